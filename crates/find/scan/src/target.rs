//! The one host and port that a scan may talk to.

use std::fmt;
use std::net::IpAddr;
use thiserror::Error;

/// A base URL: scheme, host, port and base path. Nothing else of a scan's input chooses where a
/// request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    tls: bool,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    path: String,
}

/// Why a text is no target.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Not `http://` or `https://`.
    #[error("`{0}` is no http or https URL: write it as `http://HOST:PORT`")]
    Scheme(String),
    /// No host, or one with characters that no host has.
    #[error("no usable host in `{0}`: write it as `http://HOST:PORT`")]
    Host(String),
    /// The port is not a number from 1 to 65535.
    #[error("no usable port in `{0}`: it must be a number from 1 to 65535")]
    Port(String),
    /// A user name or password in the URL.
    #[error("credentials in the URL: give them as an identity instead")]
    Credentials,
    /// A query or fragment.
    #[error("`{0}` has a query or fragment: give the base URL alone")]
    Query(String),
}

impl Target {
    /// Parses a base URL.
    ///
    /// # Errors
    /// When it is not `http` or `https`, has no host, a bad port, credentials, a query or a
    /// fragment. A URL with credentials is not repeated in the error.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let (target, rest) = Self::parse_url(text)?;
        match rest {
            Some(_) => Err(TargetError::Query(text.to_owned())),
            None => Ok(target),
        }
    }

    /// Parses a URL that may have a query; the fragment is dropped. The second value is the query.
    pub(crate) fn parse_url(text: &str) -> Result<(Self, Option<String>), TargetError> {
        let text = text.trim();
        let scheme = || TargetError::Scheme(text.to_owned());
        let (name, rest) = text.split_once("://").ok_or_else(scheme)?;
        let tls = match name.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(scheme()),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        if authority.contains('@') {
            return Err(TargetError::Credentials);
        }
        let bad_host = || TargetError::Host(text.to_owned());
        let (host, port) = if let Some(inner) = authority.strip_prefix('[') {
            let (host, port) = inner.split_once(']').ok_or_else(bad_host)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| bad_host())?;
            let port = match port {
                "" => None,
                port => Some(port.strip_prefix(':').ok_or_else(bad_host)?),
            };
            (host, port)
        } else {
            match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            }
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || !host.chars().all(plain) {
            return Err(bad_host());
        }
        let port = match port {
            None | Some("") => {
                if tls {
                    443
                } else {
                    80
                }
            }
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| TargetError::Port(text.to_owned()))?,
        };
        let tail = tail.split('#').next().unwrap_or_default();
        let (path, query) = match tail.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (tail, None),
        };
        if path.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(bad_host());
        }
        let target = Self {
            tls,
            host: host.to_ascii_lowercase(),
            port,
            path: path.to_owned(),
        };
        Ok((target, query))
    }

    /// Whether TLS is spoken.
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// The host, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path as it was given, without a slash at its end; empty for the root.
    pub fn base_path(&self) -> &str {
        self.path.trim_end_matches('/')
    }

    /// The whole path as it was given; `/` when there was none.
    pub(crate) fn path(&self) -> &str {
        if self.path.is_empty() {
            "/"
        } else {
            &self.path
        }
    }

    /// Host and port as in the `Host` field: the port is left out when it is the scheme's own.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match (self.tls, self.port) {
            (false, 80) | (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// Whether the host is a loopback address or `localhost`.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// Whether `other` is the same scheme, host and port.
    pub fn same_origin(&self, other: &Target) -> bool {
        (self.tls, &self.host, self.port) == (other.tls, &other.host, other.port)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.base_path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_read_and_printed() {
        for (text, printed) in [
            ("http://127.0.0.1:4711", "http://127.0.0.1:4711"),
            ("HTTPS://Api.Example/v1/", "https://api.example/v1"),
            ("http://[::1]:80/", "http://[::1]"),
            ("https://h:8443/a//b/../c", "https://h:8443/a//b/../c"),
        ] {
            assert_eq!(Target::parse(text).unwrap().to_string(), printed);
        }
        assert!(Target::parse("http://[::1]:8080").unwrap().is_loopback());
        assert!(!Target::parse("http://128.0.0.1").unwrap().is_loopback());
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for text in [
            "",
            "h",
            "ftp://h",
            "http://",
            "http:///x",
            "http://h:0",
            "http://h:99999",
            "http://h:x",
            "http://a b",
            "http://h?x=1",
            "http://[::1",
            "http://[zz]",
            "http://h/a b",
        ] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
        let error = Target::parse("http://user:hunter2@h").unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
