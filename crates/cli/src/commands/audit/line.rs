//! One record on one line, for people and for programs.

use crate::input::Failure;
use cofferdam_audit::record::{Decision, Event, Record};
use cofferdam_report::visible;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// How records are printed.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
#[group(skip)]
pub(super) struct Args {
    /// Prints each record as JSON on a line of its own.
    #[arg(long)]
    pub(super) json: bool,
}

/// The line of a record, with its end.
pub(super) fn line(index: u64, record: &Record, args: &Args) -> Result<String, Failure> {
    match args.json {
        true => json(index, record),
        false => Ok(text(index, record)),
    }
}

/// The record as it is in the log, with its index and its time in words before it.
fn json(index: u64, record: &Record) -> Result<String, Failure> {
    let mut line = Map::new();
    line.insert("index".to_owned(), index.into());
    line.insert("time".to_owned(), time(record.time_ms).into());
    if let Value::Object(record) = serde_json::to_value(record).map_err(Failure::new)? {
        line.extend(record);
    }
    Ok(format!("{}\n", Value::Object(line)))
}

/// Number, time, what happened, who, which action on what, and why.
fn text(index: u64, record: &Record) -> String {
    let mut line = format!("{index:>6}  {}  ", time(record.time_ms));
    // Writing to a `String` cannot fail.
    let _ = match &record.event {
        Event::Intent(decision) => write!(line, "intent   {}", decided(decision)),
        Event::Read(decision) => write!(line, "read     {}", decided(decision)),
        Event::Refused(decision) => write!(line, "refused  {}", decided(decision)),
        Event::Outcome {
            request,
            success,
            detail,
            created,
        } => {
            let word = if *success { "done" } else { "failed" };
            let made = match created.is_empty() {
                true => String::new(),
                false => format!("  made {}", created.join(" ")),
            };
            write!(line, "{word:<7}  {detail}{made}  [{request}]")
        }
        Event::Recovered { bytes, sha256 } => write!(
            line,
            "notice   opened after a stop: {bytes} bytes of an unfinished write were cut off ({sha256})"
        ),
        Event::Rotated { first } => {
            write!(line, "notice   entries below {first} were moved away")
        }
        Event::Notice { text } => write!(line, "notice   {text}"),
    };
    // Names and reasons hold what strangers wrote.
    format!("{}\n", visible(&line))
}

fn decided(decision: &Decision) -> String {
    let who = &decision.who;
    let mut words = match (who.subject.as_str(), who.client.as_str()) {
        ("", "") => "nobody".to_owned(),
        ("", client) => client.to_owned(),
        (subject, client) if client.is_empty() || client == subject => subject.to_owned(),
        (subject, client) => format!("{subject} through {client}"),
    };
    let mut word = |before: &str, text: &str| {
        if !text.is_empty() {
            words.push_str(before);
            words.push_str(text);
        }
    };
    word("  ", &decision.action);
    word("  ", &decision.objects.join(" "));
    word("  by ", &decision.policies.join(", "));
    word("  with the exception ", &decision.exceptions.join(", "));
    word(": ", &decision.reason);
    format!("{words}  [{}]", decision.request)
}

/// RFC 3339 in UTC, with milliseconds.
fn time(ms: u64) -> String {
    let time = i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| format!("{ms} ms"), |time| format!("{time:.3}"))
}

/// A moment as people give it: RFC 3339, or how long ago (`90m`, `2h`, `3d`).
pub(super) fn moment(text: &str) -> Result<u64, String> {
    let wrong = || {
        "a moment is `2026-11-24T12:00:00Z`, or how long ago it was: `90m`, `2h`, `3d`".to_owned()
    };
    let time = match text.parse::<Timestamp>() {
        Ok(time) => time,
        Err(_) => {
            let ago: Span = text.parse().map_err(|_| wrong())?;
            let ago = ago.to_duration(SpanRelativeTo::days_are_24_hours());
            let ago: SignedDuration = ago.map_err(|_| wrong())?;
            Timestamp::now().checked_sub(ago).map_err(|_| wrong())?
        }
    };
    u64::try_from(time.as_millisecond()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofferdam_audit::record::Who;

    fn refused() -> Record {
        Record {
            time_ms: 1_795_521_600_123,
            event: Event::Refused(Decision {
                request: "r7".into(),
                who: Who {
                    issuer: "https://idp.example".into(),
                    subject: "alice".into(),
                    client: "ci".into(),
                    token_sha256: "00".into(),
                },
                action: "container.create".into(),
                objects: vec!["db\u{1b}[2J".into()],
                policies: vec!["privileged".into()],
                reason: "`HostConfig.Privileged` hands over the host".into(),
                ..Decision::default()
            }),
        }
    }

    #[test]
    fn a_record_is_one_line_and_what_a_stranger_wrote_cannot_steer_the_terminal() {
        let line = text(12, &refused());
        assert_eq!(line.lines().count(), 1);
        assert!(!line.contains('\u{1b}'), "{line:?}");
        assert!(
            line.starts_with(
                "    12  2026-11-24T12:00:00.123Z  refused  alice through ci  container.create  db"
            ),
            "{line}"
        );
        assert!(
            line.ends_with("  by privileged: `HostConfig.Privileged` hands over the host  [r7]\n"),
            "{line}"
        );
        let value: Value = serde_json::from_str(&json(12, &refused()).unwrap()).unwrap();
        assert_eq!(value["index"], 12);
        assert_eq!(value["event"], "refused");
        assert_eq!(value["who"]["subject"], "alice");
    }

    #[test]
    fn a_moment_is_a_time_or_an_age() {
        assert_eq!(moment("2026-11-24T12:00:00.123Z"), Ok(1_795_521_600_123));
        let (earlier, later) = (moment("2h").unwrap(), moment("90m").unwrap());
        assert!((later - earlier).abs_diff(30 * 60_000) < 5_000);
        let (earlier, later) = (moment("3d").unwrap(), moment("71h").unwrap());
        assert!((later - earlier).abs_diff(60 * 60_000) < 5_000);
        for text in ["", "yesterday", "1mo", "2026-11-24", "-"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
