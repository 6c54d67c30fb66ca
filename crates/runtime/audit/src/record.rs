//! What is recorded. No secret is ever in a record: a token appears by its digest.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Bytes that one entry may have: its length is written with two bytes (c2sp.org/tlog-tiles).
pub const MAX_ENTRY: usize = u16::MAX as usize;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When, in milliseconds since 1970 by the clock of the host.
    pub time_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// An action was allowed and is about to be done. It is on disk before the action is.
    Intent(Decision),
    /// An action was refused, by the token, the floor or a policy.
    Refused(Decision),
    /// An action that changes nothing was allowed.
    Read(Decision),
    /// What became of an intent, or of a read.
    Outcome {
        /// The request that the intent names.
        request: String,
        /// Whether the engine did it.
        success: bool,
        /// The engine's status or the failure, in a few words.
        detail: String,
        /// Full ids of what was made.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        created: Vec<String>,
    },
    /// The log was opened after a stop that left an unfinished write behind. Nothing in it had been
    /// acknowledged.
    Recovered {
        /// Bytes that were cut off.
        bytes: u64,
        /// Their SHA-256 in hex; the bytes themselves are kept beside the log.
        sha256: String,
    },
    /// Entries below this index were moved away by the operator. Their hashes stay.
    Rotated {
        /// The first index that is still here.
        first: u64,
    },
    /// Something else that an operator should know: a start, a reload of the policy.
    Notice {
        /// What.
        text: String,
    },
}

/// A decision about one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Decision {
    /// The request's id.
    pub request: String,
    /// Who asked.
    pub who: Who,
    /// What was asked for, as the id of an action kind (`container.create`).
    pub action: String,
    /// Whose objects the request was about, as the broker calls the tenant that the token stands
    /// for. What the broker made and could not take note of is found again by it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// On what, as full ids; as the name that the tenant gives it where it was yet to be made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
    /// Which policies or which rule decided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// Which of the operator's exceptions were used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<String>,
    /// Why it was refused; empty where it was allowed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The SHA-256 of the action's own form, in hex.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action_sha256: String,
}

/// Who asked, from the verified token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Who {
    /// The issuer.
    pub issuer: String,
    /// The subject.
    pub subject: String,
    /// The client, where the token names one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client: String,
    /// The SHA-256 of the token in hex; never the token.
    pub token_sha256: String,
}

impl Record {
    /// The entry of this record: its JSON on one line.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`MAX_ENTRY`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let bytes = serde_json::to_vec(self)
            .map_err(|_| Error::malformed("record", "it cannot be written as JSON"))?;
        if bytes.len() > MAX_ENTRY {
            return Err(Error::TooLarge { size: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// What is no record.
    pub fn decode(entry: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(entry)
            .map_err(|_| Error::malformed("record", "it is not JSON of one"))
    }

    /// The decision in this record.
    #[must_use]
    pub fn decision(&self) -> Option<&Decision> {
        match &self.event {
            Event::Intent(decision) | Event::Refused(decision) | Event::Read(decision) => {
                Some(decision)
            }
            Event::Outcome { .. }
            | Event::Recovered { .. }
            | Event::Rotated { .. }
            | Event::Notice { .. } => None,
        }
    }

    /// What was acted on, or made.
    #[must_use]
    pub fn objects(&self) -> &[String] {
        match &self.event {
            Event::Outcome { created, .. } => created,
            _ => self.decision().map_or(&[], |decision| &decision.objects),
        }
    }

    /// The request that this record is of.
    #[must_use]
    pub fn request(&self) -> Option<&str> {
        match &self.event {
            Event::Outcome { request, .. } => Some(request),
            _ => self.decision().map(|decision| decision.request.as_str()),
        }
    }
}

/// Which records a search wants; what is not set does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// From this moment on.
    pub since_ms: Option<u64>,
    /// Before this moment.
    pub until_ms: Option<u64>,
    /// Of this subject, exactly.
    pub subject: Option<String>,
    /// Of this kind of action, exactly.
    pub action: Option<String>,
    /// On this object, or having made it: exactly, or by twelve digits or more of a full id.
    pub object: Option<String>,
    /// Of this request, exactly.
    pub request: Option<String>,
    /// Refused ones only.
    pub refused: bool,
}

impl Query {
    /// Whether a record is wanted.
    #[must_use]
    pub fn matches(&self, record: &Record) -> bool {
        let Query {
            since_ms,
            until_ms,
            subject,
            action,
            object,
            request,
            refused,
        } = self;
        let decision = record.decision();
        let of = |wanted: &Option<String>, found: fn(&Decision) -> &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| decision.is_some_and(|it| found(it) == wanted))
        };
        since_ms.is_none_or(|since| record.time_ms >= since)
            && until_ms.is_none_or(|until| record.time_ms < until)
            && of(subject, |decision| &decision.who.subject)
            && of(action, |decision| &decision.action)
            && object
                .as_ref()
                .is_none_or(|object| record.objects().iter().any(|it| is_named(object, it)))
            && request
                .as_ref()
                .is_none_or(|request| record.request() == Some(request))
            && (!refused || matches!(record.event, Event::Refused(_)))
    }
}

/// Whether `wanted` is this object, or a short id of it.
fn is_named(wanted: &str, object: &str) -> bool {
    let short = wanted.len() >= 12 && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    wanted == object || short && object.starts_with(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Record {
        let who = Who {
            issuer: "https://i".into(),
            subject: "alice".into(),
            ..Who::default()
        };
        let decision = Decision {
            request: "r1".into(),
            who,
            action: "container.create".into(),
            objects: vec!["db".into()],
            reason: "mount.host-path".into(),
            ..Decision::default()
        };
        Record {
            time_ms: 5,
            event: Event::Refused(decision),
        }
    }

    #[test]
    fn a_record_survives_being_written() {
        let record = refused();
        assert_eq!(Record::decode(&record.encode().unwrap()).unwrap(), record);
        let outcome = Event::Outcome {
            request: "r1".into(),
            success: true,
            detail: "201".into(),
            created: vec!["c1".into()],
        };
        let record = Record {
            time_ms: 6,
            event: outcome,
        };
        assert_eq!(Record::decode(&record.encode().unwrap()).unwrap(), record);
        let large = Record {
            time_ms: 0,
            event: Event::Notice {
                text: "x".repeat(MAX_ENTRY),
            },
        };
        assert!(matches!(large.encode(), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn an_object_is_found_by_its_name_its_short_id_and_the_record_of_its_making() {
        let made = Record {
            time_ms: 6,
            event: Event::Outcome {
                request: "r1".into(),
                success: true,
                detail: "201".into(),
                created: vec!["0123456789abcdef".into()],
            },
        };
        let found = |record: &Record, object: &str| {
            let object = Some(object.to_owned());
            let query = Query {
                object,
                ..Query::default()
            };
            query.matches(record)
        };
        assert!(found(&made, "0123456789abcdef"));
        assert!(found(&made, "0123456789ab"));
        assert!(!found(&made, "0123456789a"));
        assert!(found(&refused(), "db"));
        assert!(!found(&refused(), "d"));
    }

    #[test]
    fn a_query_narrows_by_all_that_it_names() {
        let query = |change: fn(&mut Query)| {
            let mut query = Query::default();
            change(&mut query);
            query.matches(&refused())
        };
        assert!(query(|_| {}));
        assert!(query(|q| q.subject = Some("alice".into())));
        assert!(!query(|q| q.subject = Some("ali".into())));
        assert!(query(|q| q.object = Some("db".into())));
        assert!(query(|q| q.refused = true));
        assert!(!query(|q| q.since_ms = Some(6)));
        assert!(!query(|q| q.until_ms = Some(5)));
        assert!(query(|q| q.request = Some("r1".into())));
        assert!(!query(|q| q.action = Some("container".into())));
    }
}
