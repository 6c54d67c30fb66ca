//! `[limits]`: how much may be asked at once, and how long a client may take.

use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, text};

/// `[limits]`. A caller is counted by issuer and owner: by what tells tenants apart.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Requests that one caller may make in a second, on average.
    pub requests_per_second: u32,
    /// Requests that one caller may make at once after a pause.
    pub burst: u32,
    /// Requests of one caller that may be under way.
    pub concurrent: u32,
    /// Streams of one caller that may be open: logs that are followed, attached terminals,
    /// events, waiting, copies, pulls.
    pub streams: u32,
    /// Connections, all together.
    pub connections: usize,
    /// Connections of one address, or of one IPv6 network of 64 bits.
    pub connections_per_peer: usize,
    /// Bytes of an uploaded archive.
    #[serde(deserialize_with = "text::size")]
    pub archive: u64,
    /// How long a TLS handshake may take, and then the head of a request: of the first from the
    /// beginning of the connection, of others from their first byte.
    #[serde(deserialize_with = "text::duration")]
    pub head: Duration,
    /// How long a JSON body may take as a whole, and each part of an archive.
    #[serde(deserialize_with = "text::duration")]
    pub body: Duration,
    /// How long a connection is kept after an answer while nothing more is asked on it.
    #[serde(deserialize_with = "text::duration")]
    pub idle: Duration,
    /// How long a client may leave a short answer unread.
    #[serde(deserialize_with = "text::duration")]
    pub unread: Duration,
    /// How long streams may go on after the gate was told to stop.
    #[serde(deserialize_with = "text::duration")]
    pub stop: Duration,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            requests_per_second: 200,
            burst: 400,
            concurrent: 64,
            streams: 128,
            connections: 4096,
            connections_per_peer: 1024,
            archive: 1 << 30,
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            unread: Duration::from_secs(60),
            stop: Duration::from_secs(10),
        }
    }
}

impl LimitSettings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let counts = [
            ("requests_per_second", u64::from(self.requests_per_second)),
            ("burst", u64::from(self.burst)),
            ("concurrent", u64::from(self.concurrent)),
            ("streams", u64::from(self.streams)),
            ("connections", self.connections as u64),
            ("connections_per_peer", self.connections_per_peer as u64),
            ("archive", self.archive),
        ];
        let times = [
            ("head", self.head),
            ("body", self.body),
            ("idle", self.idle),
            ("unread", self.unread),
        ];
        let times = times.map(|(name, time)| (name, u64::from(!time.is_zero())));
        match counts
            .into_iter()
            .chain(times)
            .find(|(_, value)| *value == 0)
        {
            Some((name, _)) => Err(ConfigError::NoLimit(name)),
            None => Ok(()),
        }
    }
}
