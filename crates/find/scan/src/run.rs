//! A scan from start to end.

use crate::baseline::Runner;
use crate::client::{Client, lock};
use crate::elevate::elevate;
use crate::redact::Redactor;
use crate::{
    Baseline, Check, Context, Event, Exchange, Halt, Level, Operation, Outcome, Phase, Protection,
    ScanOptions, Secret, Source, checks, inventory, oracle,
};
use cofferdam_finding::{Confidence, Control, ControlStatus, Facts, Finding, Place};
use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

/// What a scan brings back.
#[derive(Debug, Clone, Serialize)]
pub struct Scan {
    /// The base URL.
    pub target: String,
    /// From where the operations are known, in words.
    pub inventory: String,
    /// The names of the identities, in the order of the options.
    pub identities: Vec<String>,
    /// What became of each operation.
    pub operations: Vec<Coverage>,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// What became of each check.
    pub controls: Vec<Control>,
    /// What is known of the deployment: the options' facts and what was read live.
    pub facts: Facts,
    /// What the user should know.
    pub notes: Vec<String>,
    /// Requests sent.
    pub requests: u32,
    /// How long it took, in seconds in serialized form.
    #[serde(serialize_with = "seconds")]
    pub elapsed: Duration,
    /// Whether it ran to its end.
    pub complete: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// The names of the identities that were accepted in the baseline and still are at the end.
    pub still_valid: Vec<String>,
}

/// What became of one operation.
#[derive(Debug, Clone, Serialize)]
pub struct Coverage {
    /// Method and path template.
    pub operation: String,
    /// Where the API description declares it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Place>,
    /// What each got, in the order: no token, garbage token, the identities.
    pub reached: Vec<Reached>,
    /// Whether anyone got an answer as meant (2xx that is no error in disguise).
    pub covered: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed: Option<String>,
}

/// What one got from an operation.
#[derive(Debug, Clone, Serialize)]
pub struct Reached {
    /// An identity's name, `no token` or `garbage token`.
    pub who: String,
    /// The status; absent when no answer came.
    pub status: Option<u16>,
    /// Whether it is an answer as meant: 2xx that is no error in disguise.
    pub welcome: bool,
}

/// Why a scan could not start.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The target does not answer.
    #[error("no answer from `{0}`: {1}")]
    Unreachable(String, String),
    /// The API description cannot be read.
    #[error("cannot read the API description `{0}`: {1}")]
    Spec(String, String),
    /// The certificate authority file or the proxy cannot be used.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// Neither a description nor discovery gave an operation.
    #[error("no operation found on `{0}`: name its API description with --spec")]
    Nothing(String),
}

/// Why a scan stops in its first phase.
#[derive(Debug)]
pub(crate) enum Stop {
    Halt(Halt),
    Error(ScanError),
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        Stop::Halt(halt)
    }
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Stop::Error(error)
    }
}

/// Checks that change nothing and run at the same time.
const TOGETHER: usize = 6;

/// Scans a service.
///
/// # Errors
/// When it cannot start. A scan that is cancelled, or runs out of requests or time, is no error: it
/// returns what it has, with `complete` false.
pub async fn scan(
    options: ScanOptions,
    progress: impl Fn(Event) + Send + Sync + 'static,
    cancel: CancellationToken,
) -> Result<Scan, ScanError> {
    let started = Instant::now();
    let key = options.signing_key.as_ref().map(Secret::reveal);
    let redactor = Arc::new(Redactor::new(&options.identities, key));
    let client = Client::new(&options, Arc::clone(&redactor), cancel.clone())?;
    let end = tokio::time::Instant::now() + options.limits.wall;
    let wall = options.limits.wall.as_secs();
    let cx = Context::new(options, client, redactor, Box::new(progress));
    let selected: Vec<&'static Check> = checks::ALL
        .iter()
        .filter(|check| {
            cx.options
                .only
                .as_ref()
                .is_none_or(|only| only.contains(check.meta.id))
        })
        .collect();
    let state = State::default();
    // Whatever the phases are waiting for when the scan is interrupted, they are dropped, and what
    // they found is in the context.
    let halted = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Stop::Halt(Halt::Cancelled)),
        () = tokio::time::sleep_until(end) => Err(Stop::Halt(Halt::Time(wall))),
        result = phases(&cx, &selected, &state, &cancel) => result,
    };
    let halt = match halted {
        Ok(()) => None,
        Err(Stop::Error(error)) => return Err(error),
        Err(Stop::Halt(Halt::Dead(reason))) if !cx.client.has_answered() => {
            return Err(ScanError::Unreachable(cx.options.base.to_string(), reason));
        }
        Err(Stop::Halt(halt)) => Some(halt),
    };
    Ok(conclude(
        &cx,
        &selected,
        &state,
        halt.as_ref(),
        started.elapsed(),
    ))
}

/// What the phases leave behind, kept outside them so that it survives an interruption.
#[derive(Default)]
struct State {
    inventory: Mutex<String>,
    outcomes: Mutex<BTreeMap<&'static str, Outcome>>,
    still_valid: Mutex<Vec<String>>,
}

async fn phases(
    cx: &Context,
    selected: &[&'static Check],
    state: &State,
    cancel: &CancellationToken,
) -> Result<(), Stop> {
    for text in expiries(cx) {
        cx.note(text);
    }
    (cx.progress)(Event::Phase(Phase::Inventory));
    let inventory = inventory::take(&cx.options, &cx.client).await?;
    for note in inventory.notes {
        cx.note(note);
    }
    lock(&state.inventory).clone_from(&inventory.from);
    (cx.progress)(Event::Inventory {
        operations: inventory.operations.len(),
        from: inventory.from,
    });

    (cx.progress)(Event::Phase(Phase::Baseline));
    let (operations, baselines) = cx.open(inventory.operations);
    if let Some(halt) = inventory.halted {
        return Err(halt.into());
    }
    let runner = Runner {
        options: &cx.options,
        client: &cx.client,
        operations,
        baselines,
        progress: &*cx.progress,
    };
    runner.run().await?;
    baselines.close(operations, &cx.options, "not sent");
    if !cx.client.has_answered() {
        let target = cx.options.base.to_string();
        return Err(ScanError::Unreachable(target, "no request was answered".to_owned()).into());
    }

    (cx.progress)(Event::Phase(Phase::Checks));
    let (last, others): (Vec<&'static Check>, Vec<&'static Check>) = selected
        .iter()
        .copied()
        .partition(|check| checks::LAST.contains(&check.meta.id));
    let (active, passive): (Vec<&'static Check>, Vec<&'static Check>) =
        others.into_iter().partition(|check| check.meta.active);
    let runs: Vec<_> = passive
        .into_iter()
        .map(|check| run_check(cx, check, state))
        .collect();
    stream::iter(runs)
        .buffer_unordered(TOGETHER)
        .try_collect::<()>()
        .await?;
    // What changes state runs alone, so that checks do not see each other's changes.
    for check in active {
        if cx.options.level >= Level::Active {
            run_check(cx, check, state).await?;
        } else {
            let outcome = Outcome::untested("could change state; needs --active");
            lock(&state.outcomes).insert(check.meta.id, outcome);
        }
    }
    elevate(cx, selected, cancel).await?;
    for id in checks::LAST {
        for check in last.iter().filter(|check| check.meta.id == id) {
            run_check(cx, check, state).await?;
        }
    }

    (cx.progress)(Event::Phase(Phase::Closing));
    baselines.made.undo(&cx.client).await?;
    let valid = still_valid(cx).await?;
    *lock(&state.still_valid) = valid;
    Ok(())
}

async fn run_check(cx: &Context, check: &'static Check, state: &State) -> Result<(), Halt> {
    (cx.progress)(Event::CheckStarted(check.meta.id));
    // A fault in one check must not take the others' findings with it.
    let outcome = match AssertUnwindSafe((check.run)(cx)).catch_unwind().await {
        Ok(outcome) => outcome?,
        Err(_) => {
            cx.note(format!(
                "the check {} failed; this is a bug in cofferdam",
                check.meta.id
            ));
            Outcome::untested("the check failed")
        }
    };
    lock(&state.outcomes).insert(check.meta.id, outcome);
    (cx.progress)(Event::CheckEnded(check.meta.id));
    Ok(())
}

/// Which tokens have expired, or will during a scan of usual length, by their own `exp`.
fn expiries(cx: &Context) -> Vec<String> {
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    for (who, identity) in cx.identities().iter().enumerate() {
        let exp = cx.jwt(who).and_then(|jwt| jwt.claims.get("exp")?.as_f64());
        let Some(exp) = exp else { continue };
        let left = exp - now.as_secs_f64();
        if left <= 0.0 {
            notes.push(format!(
                "the token of {} expired {:.0} s ago: give a fresh one",
                identity.name, -left
            ));
        } else if left < 60.0 {
            notes.push(format!(
                "the token of {} expires in {left:.0} s, maybe before the scan ends",
                identity.name
            ));
        }
    }
    notes
}

/// The identities that the baseline let in somewhere and that are let in there still.
async fn still_valid(cx: &Context) -> Result<Vec<String>, Halt> {
    let mut valid = Vec::new();
    for (who, identity) in cx.identities().iter().enumerate() {
        let place = cx.operations().iter().find(|operation| {
            let baseline = cx.baseline(operation);
            let own = baseline.valid.get(who).and_then(Option::as_ref);
            operation.is_safe()
                && !operation.destructive
                && baseline.is_protected()
                && baseline.accepted().contains(&who)
                && own.is_some_and(|exchange| oracle::welcome(exchange))
        });
        let Some(operation) = place else { continue };
        let Some(request) = cx.request(operation, who) else {
            continue;
        };
        let exchange = cx.send_fresh(request).await?;
        if oracle::judge(cx.baseline(operation), &exchange).accepted() {
            valid.push(identity.name.clone());
        } else if matches!(exchange.status(), Some(401 | 403)) {
            cx.note(format!(
                "the token of {} stopped working during the scan ({operation} answered {})",
                identity.name,
                exchange.status().unwrap_or_default(),
            ));
        }
    }
    Ok(valid)
}

fn conclude(
    cx: &Context,
    selected: &[&'static Check],
    state: &State,
    halt: Option<&Halt>,
    elapsed: Duration,
) -> Scan {
    let ended = halt.map_or_else(
        || "not sent".to_owned(),
        |halt| format!("the scan ended before: {halt}"),
    );
    if let Some(baselines) = cx.baselines() {
        baselines.close(cx.operations(), &cx.options, &ended);
        if let Some(note) = baselines.made.note() {
            cx.note(note);
        }
    }
    let mut findings = cx.findings();
    findings.sort_by(|a, b| {
        (b.severity, b.confidence)
            .cmp(&(a.severity, a.confidence))
            .then_with(|| (&a.check, a.places.first()).cmp(&(&b.check, b.places.first())))
    });
    let outcomes = lock(&state.outcomes);
    let controls = selected
        .iter()
        .map(|check| control(check, outcomes.get(check.meta.id), &findings, &ended))
        .collect();
    Scan {
        target: cx.options.base.to_string(),
        inventory: lock(&state.inventory).clone(),
        identities: cx
            .identities()
            .iter()
            .map(|identity| identity.name.clone())
            .collect(),
        operations: cx
            .operations()
            .iter()
            .map(|operation| coverage(cx, operation))
            .collect(),
        controls,
        facts: cx.facts(),
        notes: cx.notes(),
        requests: cx.client.requests(),
        elapsed,
        complete: halt.is_none(),
        stopped: halt.map(ToString::to_string),
        still_valid: lock(&state.still_valid).clone(),
        findings,
    }
}

/// Failed with a finding that is at least firm, held when it was tried and there is none, untested
/// otherwise.
fn control(check: &Check, outcome: Option<&Outcome>, findings: &[Finding], ended: &str) -> Control {
    let own = || {
        findings
            .iter()
            .filter(|finding| finding.check == check.meta.id)
    };
    let places: usize = own().map(|finding| finding.places.len()).sum();
    let tried = outcome.map_or(0, |outcome| outcome.tried);
    let missing = outcome.and_then(|outcome| outcome.untested.clone());
    let counted =
        |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (status, mut reason) = if own().any(|finding| finding.confidence >= Confidence::Firm) {
        (
            ControlStatus::Failed,
            format!("fails at {}", counted(places, "place")),
        )
    } else if own().next().is_some() {
        (
            ControlStatus::Untested,
            format!("signs at {}, not proven", counted(places, "place")),
        )
    } else if tried > 0 {
        (
            ControlStatus::Held,
            format!("tried on {}", counted(tried as usize, "operation")),
        )
    } else if let Some(reason) = outcome.and_then(|outcome| outcome.held.clone()) {
        (ControlStatus::Held, reason)
    } else {
        let reason = missing.clone().unwrap_or_else(|| match outcome {
            Some(_) => "it applies to no operation".to_owned(),
            None => ended.to_owned(),
        });
        (ControlStatus::Untested, reason)
    };
    if status != ControlStatus::Untested
        && let Some(missing) = missing
    {
        reason = format!("{reason}; not everywhere: {missing}");
    }
    Control {
        check: check.meta.id.to_owned(),
        title: check.meta.title.to_owned(),
        status,
        reason,
        operations: tried,
    }
}

fn coverage(cx: &Context, operation: &Operation) -> Coverage {
    let baseline = cx.baseline(operation);
    let mut reached = Vec::new();
    let mut take = |who: &str, exchange: Option<&Arc<Exchange>>| {
        if let Some(exchange) = exchange {
            reached.push(Reached {
                who: who.to_owned(),
                status: exchange.status(),
                welcome: oracle::welcome(exchange),
            });
        }
    };
    take("no token", baseline.anonymous.as_ref());
    take("garbage token", baseline.garbage.as_ref());
    for (identity, exchange) in cx.identities().iter().zip(&baseline.valid) {
        take(&identity.name, exchange.as_ref());
    }
    let covered = baseline
        .valid
        .iter()
        .chain([&baseline.anonymous])
        .flatten()
        .any(|exchange| oracle::welcome(exchange));
    let missed = (!covered).then(|| missed(cx, baseline));
    let source = match &operation.source {
        Source::OpenApi {
            file: Some(file),
            line,
        } => Some(Place::file(file, *line, None)),
        _ => None,
    };
    Coverage {
        operation: operation.id(),
        source,
        reached,
        covered,
        missed,
    }
}

/// Why an operation did not answer as meant: the answer that came nearest to it.
fn missed(cx: &Context, baseline: &Baseline) -> String {
    let names = cx
        .identities()
        .iter()
        .map(|identity| identity.name.as_str());
    let answers = names
        .zip(&baseline.valid)
        .chain([("no token", &baseline.anonymous)]);
    let nearest = answers
        .filter_map(|(who, exchange)| Some((who, exchange.as_ref()?)))
        // Forbidden or not found is further than *who are you*.
        .min_by_key(|(_, exchange)| match exchange.status() {
            Some(401) => 2,
            Some(_) => 0,
            None => 1,
        });
    match (nearest, &baseline.protection) {
        (Some((who, exchange)), _) => match &exchange.outcome {
            Ok(response) if response.status < 400 => {
                format!(
                    "answered {} to {who}, and said that it failed",
                    response.status
                )
            }
            Ok(response) => format!("answered {} to {who}", response.status),
            Err(failure) => failure.to_string(),
        },
        (None, Protection::Unknown(reason)) => reason.clone(),
        (None, _) => "not sent".to_owned(),
    }
}

fn seconds<S: serde::Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests;
