//! A finding, a control, and the three axes: how bad, how sure, where.

use crate::{Condition, Evidence, State};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

macro_rules! scale {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $id:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every step of the scale, the lowest first.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The word that reports and the command line use.
            pub const fn id(self) -> &'static str {
                match self { $($name::$variant => $id),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.id())
            }
        }

        impl FromStr for $name {
            type Err = crate::UnknownId;

            fn from_str(text: &str) -> Result<Self, crate::UnknownId> {
                match text {
                    $($id => Ok($name::$variant),)*
                    _ => Err(crate::UnknownId(text.to_owned())),
                }
            }
        }
    };
}

scale! {
    /// How bad it is when it is true.
    Severity {
        /// Worth knowing, nothing to mend.
        Info = "info",
        /// Hardening.
        Low = "low",
        /// Helps an attacker who has something else.
        Medium = "medium",
        /// Gives an attacker data or functions of others.
        High = "high",
        /// Gives an attacker the service, the runtime or the host.
        Critical = "critical",
    }
}

scale! {
    /// How sure it is that it is true.
    Confidence {
        /// A sign, or a path that rests on something unknown.
        Tentative = "tentative",
        /// No other explanation is likely, or a configuration file says so.
        Firm = "firm",
        /// A canary came back, a callback arrived, a secret was decoded, or a difference was seen
        /// that only the flaw explains.
        Proven = "proven",
    }
}

/// What a check or a rule says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Meta {
    /// `category.short-name`, also the place of the file: `checks/category/short_name.rs`.
    pub id: &'static str,
    /// What is wrong when it reports, as a sentence without a full stop.
    pub title: &'static str,
    /// The severity of its findings, unless the check sees a reason to change it.
    pub severity: Severity,
    /// The best confidence that it can reach.
    pub confidence: Confidence,
    /// The version in which it came.
    pub since: &'static str,
    /// Whether it sends what could change state, and therefore needs `--active`.
    pub active: bool,
    /// What to do about it, one or two sentences.
    pub remediation: &'static str,
    /// Common Weakness Enumeration numbers.
    pub cwe: &'static [u16],
    /// The category of the OWASP API Security Top 10 of 2023, such as `API1:2023`.
    pub owasp_api: Option<&'static str>,
    /// ATT&CK technique ids, such as `T1611`.
    pub attack: &'static [&'static str],
}

impl Meta {
    /// The part of the id before the point.
    pub fn category(&self) -> &'static str {
        self.id
            .split_once('.')
            .map_or(self.id, |(category, _)| category)
    }
}

/// Where a finding is to be mended: an operation of the API, or a line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Method and path template, such as `GET /v1/containers/{id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The parameter or member that carries the probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The container or compose service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The deployment file or the API description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its line, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

impl Place {
    /// An operation of the API.
    pub fn operation(method: &str, path: &str) -> Self {
        Self {
            operation: Some(format!("{method} {path}")),
            parameter: None,
            container: None,
            file: None,
            line: None,
        }
    }

    /// A line of a deployment file, about one container.
    pub fn file(file: &str, line: Option<u32>, container: Option<&str>) -> Self {
        Self {
            operation: None,
            parameter: None,
            container: container.map(str::to_owned),
            file: Some(file.to_owned()),
            line,
        }
    }

    /// Names the parameter that carries the probe.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>) -> Self {
        self.parameter = Some(name.into());
        self
    }
}

impl fmt::Display for Place {
    /// The operation with its parameter, else `file:line`, else the container.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.operation, &self.file, &self.container) {
            (Some(operation), _, _) => {
                f.write_str(operation)?;
                match &self.parameter {
                    Some(parameter) => write!(f, " ({parameter})"),
                    None => Ok(()),
                }
            }
            (None, Some(file), _) => {
                f.write_str(file)?;
                match self.line {
                    Some(line) => write!(f, ":{line}"),
                    None => Ok(()),
                }
            }
            (None, None, Some(container)) => f.write_str(container),
            (None, None, None) => f.write_str("the service"),
        }
    }
}

/// Where the weakness is described by others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct References {
    /// Common Weakness Enumeration numbers.
    pub cwe: Vec<u16>,
    /// The category of the OWASP API Security Top 10 of 2023.
    pub owasp_api: Option<String>,
    /// ATT&CK technique ids.
    pub attack: Vec<String>,
}

/// One cause, however many places it shows in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The id of the check or rule that reports it.
    pub check: String,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// What is wrong, one line.
    pub title: String,
    /// What was seen, in a sentence or two.
    pub description: String,
    /// Every place it shows in; the first is the one that the evidence is about.
    pub places: Vec<Place>,
    /// What an attacker holds before it; `token_holder` for most.
    pub from: State,
    /// What an attacker holds after it. Empty when it opens no way of its own.
    pub grants: Vec<State>,
    /// The conditions that it establishes about the deployment.
    pub conditions: Vec<Condition>,
    /// What proves it, never empty.
    pub evidence: Vec<Evidence>,
    /// What to do about it.
    pub remediation: String,
    /// The weakness in the catalogues.
    pub references: References,
    /// Stable across runs, hosts and ports: see [`fingerprint`].
    pub fingerprint: String,
}

impl Finding {
    /// A finding of `meta` at `places`, with what `meta` says filled in.
    ///
    /// # Panics
    /// In debug builds when `places` or `evidence` is empty: there is no finding without a place
    /// or without kept evidence.
    pub fn new(meta: &Meta, places: Vec<Place>, evidence: Vec<Evidence>) -> Self {
        debug_assert!(!places.is_empty(), "{}: a finding needs a place", meta.id);
        debug_assert!(
            !evidence.is_empty(),
            "{}: a finding needs evidence",
            meta.id
        );
        Self {
            check: meta.id.to_owned(),
            severity: meta.severity,
            confidence: meta.confidence,
            title: meta.title.to_owned(),
            description: String::new(),
            fingerprint: fingerprint(meta.id, places.first()),
            places,
            from: State::TokenHolder,
            grants: Vec::new(),
            conditions: Vec::new(),
            evidence,
            remediation: meta.remediation.to_owned(),
            references: References {
                cwe: meta.cwe.to_vec(),
                owasp_api: meta.owasp_api.map(str::to_owned),
                attack: meta.attack.iter().map(|id| (*id).to_owned()).collect(),
            },
        }
    }

    /// Says what was seen.
    #[must_use]
    pub fn described(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Replaces the title of the check by one that names the thing.
    #[must_use]
    pub fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Lowers or raises the confidence.
    #[must_use]
    pub fn confidence(mut self, confidence: Confidence) -> Self {
        self.confidence = confidence;
        self
    }

    /// Lowers or raises the severity.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Says what an attacker needs before it.
    #[must_use]
    pub fn from(mut self, state: State) -> Self {
        self.from = state;
        self
    }

    /// Says what an attacker holds after it.
    #[must_use]
    pub fn grants(mut self, states: impl IntoIterator<Item = State>) -> Self {
        self.grants.extend(states);
        self
    }

    /// Says which conditions it establishes.
    #[must_use]
    pub fn conditions(mut self, conditions: impl IntoIterator<Item = Condition>) -> Self {
        self.conditions.extend(conditions);
        self
    }
}

/// 128 bits, in hex, of SHA-256 over the check's id and the first place without its line: the same
/// flaw has the same fingerprint on another host or port, and after lines have moved.
pub fn fingerprint(check: &str, place: Option<&Place>) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        // Length first, so that two lists of parts cannot run together to the same bytes.
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    };
    part(check);
    if let Some(place) = place {
        for text in [&place.operation, &place.parameter, &place.container] {
            part(text.as_deref().unwrap_or_default());
        }
        // The same operation is the same flaw, whether its description came from a file or from the
        // service itself.
        let file = place.file.as_deref().filter(|_| place.operation.is_none());
        part(file.unwrap_or_default());
    }
    hash.finalize()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What became of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// The id of the check.
    pub check: String,
    /// What is right when it holds, the check's title turned round by the report.
    pub title: String,
    /// Held, failed or untested.
    pub status: ControlStatus,
    /// Why: how many operations were tried, what was missing.
    pub reason: String,
    /// The operations that it was tried on.
    pub operations: u32,
}

/// Whether what a check looks for is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ControlStatus {
    /// It was tried and refused as it should be.
    Held,
    /// It was tried and there is a finding.
    Failed,
    /// It was not tried, or nothing could be concluded; no statement about safety.
    Untested,
}

impl fmt::Display for ControlStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ControlStatus::Held => "held",
            ControlStatus::Failed => "failed",
            ControlStatus::Untested => "untested",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_names_the_flaw_and_not_the_line() {
        let at = |line| Place::file("compose.yaml", Some(line), Some("api"));
        let check = "posture.runtime-socket";
        assert_eq!(
            fingerprint(check, Some(&at(3))),
            fingerprint(check, Some(&at(9)))
        );
        assert_ne!(
            fingerprint(check, Some(&at(3))),
            fingerprint("posture.root", Some(&at(3)))
        );
        let operation = Place::operation("GET", "/a");
        assert_ne!(
            fingerprint(check, Some(&operation)),
            fingerprint(check, Some(&operation.clone().parameter("b")))
        );
        let mut described = operation.clone();
        described.file = Some("openapi.yaml".to_owned());
        assert_eq!(
            fingerprint(check, Some(&operation)),
            fingerprint(check, Some(&described))
        );
        assert_eq!(fingerprint(check, None).len(), 32);
    }

    #[test]
    fn the_scales_are_ordered_and_parse() {
        assert!(Severity::Critical > Severity::High);
        assert!(Confidence::Proven > Confidence::Firm);
        assert_eq!("high".parse(), Ok(Severity::High));
        assert!("HIGH".parse::<Severity>().is_err());
        assert_eq!(format!("{:<9}|", Severity::High), "high     |");
    }
}
