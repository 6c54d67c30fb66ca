//! Names of containers, networks, volumes and execs: as references to what is there, and as names
//! for what is made.
//!
//! The engine resolves a name before an id and an id by any unique prefix, so a container named
//! like another's short id takes its place (measured, 20.10 and 1.56). A reference here is only
//! what the caller wrote; the broker resolves it to a full id once and puts that in its place.

use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer};

use crate::refusal::{Refusal, Rule, quote};
use crate::text::parsed_text;

parsed_text! {
    /// A container as the caller names it: a name, a full id, or a prefix of one. At most 255
    /// letters of `[A-Za-z0-9_.-]`, the first a letter or digit.
    ContainerRef, |text| plain(text, 1)
}

parsed_text! {
    /// A network as the caller names it; the grammar of [`ContainerRef`]. The names of the engine's
    /// own networks are none: as a network mode, `host` would be the network of the host.
    NetworkRef, network_ref
}

/// Names of the engine's own networks, which whoever asks may look at.
pub const PREDEFINED_NETWORKS: [&str; 3] = ["bridge", "host", "none"];

impl NetworkRef {
    /// A network to look at, which may be one of the engine's own.
    ///
    /// # Errors
    /// As [`NetworkRef::parse`], for anything else.
    pub(crate) fn parse_to_inspect(text: &str) -> Result<Self, Refusal> {
        match PREDEFINED_NETWORKS.contains(&text) {
            true => Ok(Self(text.to_owned())),
            false => Self::parse(text),
        }
    }

    /// The same for serde.
    pub(crate) fn deserialize_to_inspect<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_to_inspect(&text).map_err(D::Error::custom)
    }
}

parsed_text! {
    /// A volume as the caller names it; the grammar of [`ContainerRef`], two letters at least.
    VolumeRef, |text| plain(text, 2)
}

parsed_text! {
    /// The full id of an exec: 64 lower-case hex digits.
    ExecId, exec_id
}

parsed_text! {
    /// A name for a new or renamed container.
    ContainerName, |text| fresh(text, 2, &["create", "json", "prune"])
}

parsed_text! {
    /// A name for a new network. The names of the engine's own networks and modes are not free.
    NetworkName,
    |text| fresh(text, 1, &["bridge", "container", "create", "default", "host", "ingress", "nat", "none", "prune"])
}

parsed_text! {
    /// A name for a new volume.
    VolumeName, |text| fresh(text, 2, &["create", "prune"])
}

parsed_text! {
    /// A host name, domain or network alias: labels of `[A-Za-z0-9_-]` joined by dots, 253 letters
    /// at most.
    Hostname, hostname
}

fn plain(text: &str, shortest: usize) -> Result<(), Refusal> {
    let letters = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    let first = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    if letters && first && (shortest..=255).contains(&text.len()) {
        return Ok(());
    }
    Err(Refusal::new(
        Rule::Name,
        format!(
            "{} is no name; write {shortest} to 255 of the letters `[A-Za-z0-9_.-]`, the first a letter or digit",
            quote(text)
        ),
    ))
}

fn network_ref(text: &str) -> Result<(), Refusal> {
    plain(text, 1)?;
    let modes = ["bridge", "default", "host", "ingress", "nat", "none"];
    if modes.iter().any(|mode| mode.eq_ignore_ascii_case(text)) {
        return Err(Refusal::new(
            Rule::NameReserved,
            format!(
                "{} is the engine's own network; make one of your own",
                quote(text)
            ),
        ));
    }
    Ok(())
}

fn fresh(text: &str, shortest: usize, reserved: &[&str]) -> Result<(), Refusal> {
    plain(text, shortest)?;
    if is_hex_id(text) {
        return Err(Refusal::new(
            Rule::NameHex,
            format!(
                "{} could be the id of another object; choose a name that is not all hex digits",
                quote(text)
            ),
        ));
    }
    if reserved.iter().any(|word| word.eq_ignore_ascii_case(text)) {
        return Err(Refusal::new(
            Rule::NameReserved,
            format!(
                "{} is a route or a mode of the engine; choose another name",
                quote(text)
            ),
        ));
    }
    Ok(())
}

/// Whether a name has the form of a short or full id: 12 to 64 hex digits of either case.
pub(crate) fn is_hex_id(text: &str) -> bool {
    (12..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn exec_id(text: &str) -> Result<(), Refusal> {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() == 64 && text.bytes().all(hex) {
        return Ok(());
    }
    Err(Refusal::new(
        Rule::Name,
        format!("{} is no exec id of 64 hex digits", quote(text)),
    ))
}

fn hostname(text: &str) -> Result<(), Refusal> {
    let label = |label: &str| {
        let letters = label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        letters
            && (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(label) {
        return Ok(());
    }
    Err(Refusal::new(
        Rule::Name,
        format!("{} is no host name", quote(text)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_plain_letters() {
        for text in ["web", "a", "comp_web_1", "4f2a", &"f".repeat(64)] {
            assert!(ContainerRef::parse(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "-a",
            "_ping",
            "a/b",
            "a%2fb",
            "..",
            "é",
            "a b",
            "a\n",
            &"x".repeat(256),
        ] {
            assert_eq!(
                ContainerRef::parse(text).unwrap_err().rule,
                Rule::Name,
                "{text}"
            );
        }
    }

    #[test]
    fn a_new_name_is_no_id_and_no_route() {
        assert!(ContainerName::parse("web-1").is_ok());
        assert!(ContainerName::parse("cafe").is_ok());
        for hex in ["34d45baffbd6", &"a".repeat(64), "ABCDEF012345"] {
            assert_eq!(ContainerName::parse(hex).unwrap_err().rule, Rule::NameHex);
            assert_eq!(VolumeName::parse(hex).unwrap_err().rule, Rule::NameHex);
        }
        assert_eq!(
            ContainerName::parse("json").unwrap_err().rule,
            Rule::NameReserved
        );
        assert_eq!(
            NetworkName::parse("Host").unwrap_err().rule,
            Rule::NameReserved
        );
        assert_eq!(ContainerName::parse("_ping").unwrap_err().rule, Rule::Name);
    }

    #[test]
    fn serde_goes_through_the_grammar() {
        assert!(serde_json::from_str::<ContainerRef>("\"web\"").is_ok());
        assert!(serde_json::from_str::<ContainerRef>("\"../x\"").is_err());
        assert!(serde_json::from_str::<NetworkRef>("\"Host\"").is_err());
        // The engine's own networks can be looked at, and nothing else.
        let action = |text: &str| serde_json::from_str::<crate::action::Action>(text);
        for (name, is_read) in [
            ("bridge", true),
            ("none", true),
            ("Host", false),
            ("../x", false),
        ] {
            let inspect = format!(r#"{{"NetworkInspect":{{"network":"{name}"}}}}"#);
            assert_eq!(action(&inspect).is_ok(), is_read, "{inspect}");
            let remove = format!(r#"{{"NetworkRemove":{{"network":"{name}"}}}}"#);
            assert!(action(&remove).is_err(), "{remove}");
        }
        assert!(serde_json::from_str::<ExecId>("\"ABC\"").is_err());
    }
}
