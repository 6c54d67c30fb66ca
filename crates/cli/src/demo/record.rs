//! What the broker behind the hardened twin wrote down: its audit log is verified and read.

use cofferdam_audit::Error;
use cofferdam_audit::reader::Reader;
use cofferdam_audit::record::{Decision, Event, Record};
use cofferdam_docker::Client;
use cofferdam_lab::{Gated, Lab};
use cofferdam_report::visible;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long it may take until what was answered stands in the log.
const WRITTEN: Duration = Duration::from_secs(5);
/// The container of the service itself, which whoever deployed it has made.
const SERVICE: &str = "/cofferdam-api";

/// What was read.
pub(super) struct Written {
    pub(super) lines: Vec<String>,
    /// Each claim, and whether it was seen.
    pub(super) claims: [(bool, String); 2],
}

/// The log's signed checkpoint of this moment: what a witness would keep.
pub(super) fn checkpoint(gated: &Gated) -> Result<String, Error> {
    let signed = cofferdam_audit::proof::published(gated.audit_log(), gated.audit_key())?;
    Ok(signed.note)
}

/// Verifies the log against a checkpoint that was `kept`, and tells what stands in it.
pub(super) async fn read(lab: &Lab, gated: &Gated, kept: &str) -> Result<Written, String> {
    let records = records(gated).await.map_err(|error| error.to_string())?;
    let (log, key) = (gated.audit_log(), gated.audit_key());
    let report = cofferdam_audit::verify::verify(log, None, key, Some(kept));
    let report = report.map_err(|error| error.to_string())?;
    let mut verified = format!(
        "the log of {} records verifies, also against the checkpoint from before the scan",
        report.size
    );
    if let Some(fault) = report.faults.first() {
        verified = format!("{verified}: but {}", visible(&fault.what));
    }

    let engine = Client::unix(lab.engine_socket());
    let containers = engine.containers(true).await.map_err(|e| e.to_string())?;
    let made: BTreeSet<&String> = records.iter().flat_map(created).collect();
    let mut of_tenants = containers
        .iter()
        .filter(|container| !container.names.iter().any(|name| name == SERVICE));
    let count = of_tenants.clone().count();
    let all = of_tenants.all(|container| made.contains(&container.id));
    Ok(Written {
        lines: lines(&records),
        claims: [
            (report.is_intact(), verified),
            (
                all && count > 0,
                format!(
                    "each of the {count} containers of tenants in the engine was made by an action in it"
                ),
            ),
        ],
    })
}

/// All records, once what was answered stands among them: reads are written a moment later.
async fn records(gated: &Gated) -> Result<Vec<Record>, Error> {
    let began = Instant::now();
    loop {
        let reader = Reader::open(gated.audit_log())?;
        let records = reader.entries(0).map(|entry| entry?.record());
        let records: Vec<Record> = records.collect::<Result<_, Error>>()?;
        let open = records.iter().fold(BTreeSet::new(), |mut open, record| {
            match (&record.event, record.request()) {
                (Event::Intent(_) | Event::Read(_), Some(request)) => open.insert(request),
                (Event::Outcome { .. }, Some(request)) => open.remove(request),
                _ => false,
            };
            open
        });
        if open.is_empty() || began.elapsed() > WRITTEN {
            return Ok(records);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn created(record: &Record) -> &[String] {
    match &record.event {
        Event::Outcome { created, .. } => created,
        _ => &[],
    }
}

/// Who had which actions done, and who was refused what and by which rule, most often first.
fn lines(records: &[Record]) -> Vec<String> {
    let mut done: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for record in records {
        match &record.event {
            Event::Intent(decision) | Event::Read(decision) => {
                let actions = done.entry(who(decision)).or_default();
                *actions.entry(decision.action.as_str()).or_default() += 1;
            }
            Event::Refused(decision) => {
                let rules = decision.policies.join(", ");
                let what = format!("{}  {} by {rules}", who(decision), decision.action);
                *refused.entry(what).or_default() += 1;
            }
            _ => {}
        }
    }
    let done = done.into_iter().map(|(who, actions)| {
        let mut actions: Vec<_> = actions.into_iter().collect();
        actions.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let actions = actions
            .iter()
            .map(|(action, count)| format!("{count} {action}"));
        format!("done     {who}  {}", actions.collect::<Vec<_>>().join(", "))
    });
    let refused = refused
        .into_iter()
        .map(|(what, count)| format!("refused  {what}, {count}×"));
    done.chain(refused).map(|line| visible(&line)).collect()
}

fn who(decision: &Decision) -> String {
    match decision.who.client.as_str() {
        "" => decision.who.subject.clone(),
        client => format!("{} through {client}", decision.who.subject),
    }
}
