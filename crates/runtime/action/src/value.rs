//! Small values that several actions share.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::refusal::{Refusal, Rule, quote};
use crate::text::parsed_text;

parsed_text! {
    /// A variable for a process: `NAME=value`, or `NAME` alone, which unsets what the image set.
    EnvVar, |text: &str| {
        let name = text.split('=').next().unwrap_or_default();
        if name.is_empty() || text.contains('\0') {
            return Err(Refusal::new(Rule::JsonType, format!("{} is no `NAME=value`", quote(text))));
        }
        Ok(())
    }
}

parsed_text! {
    /// `user[:group]`, each a name or a number in its one spelling: no sign, no leading zero (the
    /// engine reads `+0` and `00` as root).
    UserSpec, user_spec
}

parsed_text! {
    /// A signal: a name with or without `SIG`, a real-time one such as `RTMIN+3`, or a number from
    /// 1 to 64.
    Signal, signal
}

parsed_text! {
    /// The keys that detach a terminal: single letters or `ctrl-` and one of `a-z@[\]^_`, joined by
    /// commas.
    DetachKeys, |text: &str| {
        let key = |key: &str| match key.strip_prefix("ctrl-") {
            Some(letter) => letter.len() == 1
                && letter.bytes().all(|b| b.is_ascii_lowercase() || b"@[\\]^_".contains(&b)),
            None => key.len() == 1 && key.bytes().all(|b| b.is_ascii_graphic()),
        };
        expect(text.len() <= 100 && text.split(',').all(key), text, "a list of detach keys")
    }
}

parsed_text! {
    /// A moment as the engine takes it: seconds since 1970, with a fraction of up to nine digits.
    Timestamp, |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        expect(digits(whole, 12) && digits(fraction, 9), text, "a Unix time in seconds")
    }
}

parsed_text! {
    /// Arguments of the host's `ps` that show no more than what it says of the container's own
    /// processes: `-ef`, `aux`, or `-o` with known columns. Anything else reaches a program that
    /// runs as root on the host (`e` shows environments).
    ProcessColumns, process_columns
}

parsed_text! {
    /// A set of processors or memory nodes: `0-3,5`.
    CpuSet, |text: &str| {
        let range = |range: &str| range.split('-').count() <= 2 && range.split('-').all(|number| {
            (1..=4).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit())
        });
        expect(text.len() <= 200 && text.split(',').all(range), text, "a set such as `0-3,5`")
    }
}

parsed_text! {
    /// An option for the resolver of the container: `ndots:1`, `rotate`.
    DnsOption, |text: &str| {
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-:".contains(&byte);
        expect((1..=40).contains(&text.len()) && text.bytes().all(word), text, "a resolver option")
    }
}

parsed_text! {
    /// The name of a kernel parameter: letters joined by dots.
    SysctlName, |text: &str| {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let parts = text.split('.').all(|part| !part.is_empty()) && text.contains('.');
        let letters = parts && text.len() <= 100 && text.bytes().all(word);
        if letters { Ok(()) } else {
            Err(Refusal::new(Rule::Sysctl, format!("{} is no kernel parameter", quote(text))))
        }
    }
}

/// A port of the container, `80/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct Port {
    /// 1 to 65535.
    pub number: u16,
    /// The protocol.
    pub protocol: Protocol,
}

/// The protocol of a published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// Where a port is published on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HostBinding {
    /// The address of the host, or all of them.
    pub address: Option<IpAddr>,
    /// The port, or one that the engine picks.
    pub port: Option<PortRange>,
}

/// One port of the host, or a range out of which the engine picks one: `8080`, `8000-8010`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct PortRange {
    /// The first port, at least 1.
    pub first: u16,
    /// The last port, at least the first.
    pub last: u16,
}

/// Labels: data of the caller, keys case sensitive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Labels(pub BTreeMap<String, String>);

impl Port {
    /// Reads `80/tcp`; the protocol is TCP where none is written.
    ///
    /// # Errors
    /// [`Rule::JsonType`] for what is no port.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => return Err(not(text, "a port such as `80/tcp`")),
        };
        let number = port_number(number).ok_or_else(|| not(text, "a port such as `80/tcp`"))?;
        Ok(Self { number, protocol })
    }
}

impl PortRange {
    /// Reads `8080` or `8000-8010`.
    ///
    /// # Errors
    /// [`Rule::HostPort`] for what is no port or range.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (port_number(first), port_number(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self { first, last }),
            _ => Err(Refusal::new(
                Rule::HostPort,
                format!("{} is no port of the host such as `8080`", quote(text)),
            )),
        }
    }
}

impl Protocol {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol.as_str())
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

impl TryFrom<String> for Port {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        Self::parse(&text)
    }
}

impl From<Port> for String {
    fn from(port: Port) -> String {
        port.to_string()
    }
}

impl TryFrom<String> for PortRange {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        Self::parse(&text)
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> String {
        range.to_string()
    }
}

impl EnvVar {
    /// The name, before the first `=`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.as_str().split('=').next().unwrap_or_default()
    }
}

impl Signal {
    /// Reads a signal in either case, as the engine takes it: `docker kill -s term`.
    ///
    /// # Errors
    /// As [`Signal::parse`].
    pub(crate) fn folded(text: &str) -> Result<Self, Refusal> {
        Self::parse(&text.to_ascii_uppercase())
    }
}

impl UserSpec {
    /// Whether user or group is root by name or number.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.as_str()
            .split(':')
            .any(|part| matches!(part, "0" | "root"))
    }
}

/// A number of bytes with one of the units `b`, `k`, `m`, `g`, powers of 1024.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        _ => return None,
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse::<u64>().ok().filter(|_| plain)?;
    number.checked_mul(1 << shift)
}

/// A port number in its one spelling.
fn port_number(text: &str) -> Option<u16> {
    let plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

fn user_spec(text: &str) -> Result<(), Refusal> {
    let part = |part: &str| {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            let plain = part == "0" || !part.starts_with('0');
            return plain && part.parse::<i32>().is_ok();
        }
        let letters = part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        let first = part
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        letters && first && part.len() <= 64
    };
    if text.split(':').count() <= 2 && text.split(':').all(part) {
        return Ok(());
    }
    Err(Refusal::new(
        Rule::RootUser,
        format!(
            "{} is no `user[:group]` in plain spelling, and other spellings can mean root",
            quote(text)
        ),
    ))
}

fn signal(text: &str) -> Result<(), Refusal> {
    const NAMES: &[&str] = &[
        "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT",
        "KILL", "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM",
        "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
        "RTMIN", "RTMAX",
    ];
    let number = |text: &str, range: std::ops::RangeInclusive<u8>| {
        !text.starts_with('0')
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse().is_ok_and(|number| range.contains(&number))
    };
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let real_time = name
        .strip_prefix("RTMIN+")
        .or_else(|| name.strip_prefix("RTMAX-"))
        .is_some_and(|offset| number(offset, 1..=15));
    let known = NAMES.contains(&name) || real_time || number(text, 1..=64);
    expect(known, text, "a signal such as `SIGTERM`")
}

fn process_columns(text: &str) -> Result<(), Refusal> {
    const COLUMNS: &[&str] = &[
        "args", "cmd", "comm", "command", "cputime", "etime", "euser", "gid", "group", "lstart",
        "nice", "ni", "nlwp", "pcpu", "%cpu", "pgid", "pid", "pmem", "%mem", "ppid", "pri", "rss",
        "ruser", "sid", "size", "start", "stat", "state", "stime", "s", "time", "tty", "uid",
        "user", "vsz",
    ];
    let columns = text
        .strip_prefix("-o ")
        .or_else(|| text.strip_prefix("-eo "))
        .or_else(|| text.strip_prefix("-e -o "))
        .or_else(|| text.strip_prefix("axo "));
    let known = match columns {
        Some(columns) => columns.split(',').all(|column| COLUMNS.contains(&column)),
        None => matches!(text, "-ef" | "aux" | "-aux"),
    };
    if known {
        return Ok(());
    }
    Err(Refusal::new(
        Rule::ProcessColumns,
        format!(
            "{} are no arguments that `ps` may have on the host; write `-ef`, `aux`, or `-o` with columns",
            quote(text)
        ),
    ))
}

fn not(text: &str, what: &str) -> Refusal {
    Refusal::new(Rule::JsonType, format!("{} is not {what}", quote(text)))
}

fn expect(holds: bool, text: &str, what: &str) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(not(text, what)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_one_spelling_and_root_is_seen_in_both_parts() {
        for (text, root) in [
            ("1000:1000", false),
            ("app", false),
            ("0", true),
            ("root", true),
            ("1000:0", true),
        ] {
            assert_eq!(UserSpec::parse(text).unwrap().is_root(), root, "{text}");
        }
        for text in [
            "+0",
            "00",
            "-1",
            "",
            ":0",
            "0:",
            "a:b:c",
            "4294967296",
            "ro\not",
        ] {
            assert_eq!(
                UserSpec::parse(text).unwrap_err().rule,
                Rule::RootUser,
                "{text}"
            );
        }
    }

    #[test]
    fn signals_are_named_or_numbered() {
        for text in ["SIGTERM", "HUP", "9", "64", "SIGRTMIN+3", "RTMAX-15"] {
            assert!(Signal::parse(text).is_ok(), "{text}");
            let folded = Signal::folded(&text.to_ascii_lowercase()).unwrap();
            assert_eq!(folded.as_str(), text);
        }
        for text in [
            "0", "65", "-9", "09", "sigterm", "SIG", "RTMIN+16", "TERM;x", "SIG9",
        ] {
            assert!(Signal::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ports_have_one_spelling() {
        assert_eq!(Port::parse("80").unwrap().to_string(), "80/tcp");
        assert_eq!(
            PortRange::parse("8000-8010").unwrap().to_string(),
            "8000-8010"
        );
        for text in ["0", "080", "65536", "+80", "80/icmp", "80/TCP", "80-90"] {
            assert!(Port::parse(text).is_err(), "{text}");
        }
        assert!(PortRange::parse("90-80").is_err());
    }

    #[test]
    fn ps_shows_known_columns_only() {
        for text in ["-ef", "aux", "-o pid,comm", "-eo pid,args"] {
            assert!(ProcessColumns::parse(text).is_ok(), "{text}");
        }
        for text in [
            "eww",
            "-o pid,args -C dockerd",
            "auxe",
            "-o pid,environ",
            "-o pid --pid 1",
        ] {
            assert_eq!(
                ProcessColumns::parse(text).unwrap_err().rule,
                Rule::ProcessColumns,
                "{text}"
            );
        }
    }

    #[test]
    fn a_variable_has_a_name() {
        assert_eq!(EnvVar::parse("A=b=c").unwrap().name(), "A");
        assert_eq!(EnvVar::parse("A").unwrap().name(), "A");
        assert!(EnvVar::parse("=x").is_err());
        assert!(EnvVar::parse("").is_err());
        assert!(Timestamp::parse("1767225600.000000000").is_ok());
        assert!(Timestamp::parse("1.2.3").is_err());
        assert!(DetachKeys::parse("ctrl-p,ctrl-q").is_ok());
    }
}
