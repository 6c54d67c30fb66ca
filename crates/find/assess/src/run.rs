//! The flow of an assessment: files, scan, facts, findings, paths, score.

use crate::advice::advice;
use crate::options::read;
use crate::routes::{Known, Routes, routes};
use crate::service::{Chosen, choose};
use crate::{
    Answer, AssessError, AssessOptions, Assessment, DeploymentFile, Identity, Operation,
    SCHEMA_VERSION, Tool, controls, score,
};
use cofferdam_finding::{Confidence, Control, Facts, Finding, State};
use cofferdam_posture::Deployment;
use cofferdam_scan::{Coverage, Event, Reached, Scan, ScanOptions, scan};
use jiff::Timestamp;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// What the columns of who has no valid token are called, after the identities.
const WITHOUT: [&str; 2] = ["no token", "garbage token"];
/// How a container is called of which only a `/proc` was seen.
const UNNAMED: &str = "the container of the API";

/// Assesses a running service, with its deployment files where they are given.
///
/// # Errors
/// When a deployment file cannot be read, the named service is in none of them, or the scan cannot
/// start. A scan that was cancelled, or ran out of time or requests, is no error: the assessment
/// says that it is not complete.
pub async fn assess(
    options: AssessOptions,
    progress: impl Fn(Event) + Send + Sync + 'static,
    cancel: CancellationToken,
) -> Result<Assessment, AssessError> {
    let started = Timestamp::now();
    let deployment = read(&options.deployment)?;
    let port = Some(options.scan.base.port());
    let chosen = choose(&deployment, options.service.as_deref(), port)?;
    let mut plan = options.scan;
    if let ([name], false) = (chosen.names.as_slice(), chosen.guess)
        && let Some(workload) = deployment.workload(name)
    {
        plan.facts.merge(&workload.facts);
    }
    let known = plan.clone();
    let scan = scan(plan, progress, cancel).await?;
    Ok(conclude(&known, &deployment, &chosen, scan, started))
}

/// Assesses deployment files alone, with paths that start at `assume` in each container, or in
/// `service` only.
///
/// # Errors
/// When a file cannot be read or `service` is in none of them.
pub fn posture_only(
    files: Vec<DeploymentFile>,
    service: Option<&str>,
    assume: State,
) -> Result<Assessment, AssessError> {
    let started = Timestamp::now();
    let clock = Instant::now();
    let deployment = read(&files)?;
    let mut chosen = choose(&deployment, service, None)?;
    if chosen.guess {
        chosen.guess = false;
        "paths start in each container".clone_into(&mut chosen.because);
    }
    let containers = containers(&deployment, &Facts::new(), &chosen);
    let mut findings = of_files(&deployment);
    sort(&mut findings);
    let controls = controls::posture(&containers, &findings);
    let routes = routes(&findings, &containers, assume, chosen.guess);
    let mut assessment = blank(started, clock.elapsed());
    assessment.assumed = Some(assume);
    assessment.deployment = model(&deployment, &containers, &chosen);
    assessment.notes = deployment.notes;
    assessment.advice = vec![
        "`cofferdam scan URL --deployment FILE` tells whether a caller of the API gets into the \
         container at all"
            .to_owned(),
    ];
    Ok(finish(assessment, findings, controls, routes, true))
}

fn conclude(
    options: &ScanOptions,
    deployment: &Deployment,
    chosen: &Chosen,
    scan: Scan,
    started: Timestamp,
) -> Assessment {
    let live = proven(&scan.facts);
    let containers = containers(deployment, &live, chosen);
    let mut findings = of_files(deployment);
    // Where the container is a guess, what was read live belongs to none of them by name.
    let mut api = containers.iter().filter(|known| known.api);
    let name = match (api.next(), chosen.guess) {
        (Some(known), false) => known.name.as_str(),
        _ => UNNAMED,
    };
    for finding in cofferdam_posture::findings(name, &live) {
        join(&mut findings, finding);
    }
    findings.extend(scan.findings);
    sort(&mut findings);
    let mut controls = scan.controls;
    controls.extend(controls::posture(&containers, &findings));
    let routes = routes(&findings, &containers, State::TokenHolder, chosen.guess);
    let reached = scan.operations.iter().any(|operation| operation.covered);

    let mut assessment = blank(started, scan.elapsed);
    assessment.target = Some(scan.target);
    assessment.complete = scan.complete;
    assessment.incomplete_because = scan.stopped;
    assessment.identities = identities(options, &scan.operations);
    assessment.operations = scan.operations.iter().map(operation).collect();
    assessment.requests = u64::from(scan.requests);
    assessment.deployment = model(deployment, &containers, chosen);
    assessment
        .notes
        .push(format!("operations known from {}", scan.inventory));
    if !scan.still_valid.is_empty() {
        let names = scan.still_valid.join(", ");
        assessment
            .notes
            .push(format!("tokens still valid at the end: {names}"));
    }
    assessment.notes.extend(scan.notes);
    assessment.notes.extend(deployment.notes.iter().cloned());
    assessment.advice = advice(options, !deployment.files.is_empty(), &controls);
    finish(assessment, findings, controls, routes, reached)
}

/// An assessment in which nothing is known yet.
fn blank(started: Timestamp, elapsed: Duration) -> Assessment {
    Assessment {
        schema_version: SCHEMA_VERSION.to_owned(),
        tool: Tool {
            name: "cofferdam".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        target: None,
        started: started.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        complete: true,
        incomplete_because: None,
        score: None,
        grade: None,
        scores: Default::default(),
        identities: Vec::new(),
        deployment: None,
        operations: Vec::new(),
        controls: Vec::new(),
        findings: Vec::new(),
        paths: Vec::new(),
        fixes: Vec::new(),
        notes: Vec::new(),
        advice: Vec::new(),
        requests: 0,
        assumed: None,
    }
}

fn finish(
    mut assessment: Assessment,
    findings: Vec<Finding>,
    controls: Vec<Control>,
    routes: Routes,
    tested: bool,
) -> Assessment {
    if tested {
        let overall = score::overall(&findings, &routes.paths, assessment.assumed);
        assessment.score = Some(overall);
        assessment.grade = Some(score::grade(overall));
    }
    assessment.scores = score::by_category(&findings, &controls);
    assessment.findings = findings;
    assessment.controls = controls;
    assessment.paths = routes.paths;
    assessment.fixes = routes.fixes;
    assessment.notes.extend(routes.notes);
    assessment
}

/// Joins what the files say with what was read live through the API.
fn containers(deployment: &Deployment, live: &Facts, chosen: &Chosen) -> Vec<Known> {
    let mut containers: Vec<Known> = deployment
        .workloads
        .iter()
        .map(|workload| {
            let api = chosen.names.contains(&workload.name);
            let mut facts = workload.facts.clone();
            if api {
                facts.merge(live);
            }
            Known {
                name: workload.name.clone(),
                named: true,
                facts,
                source: workload.sources.first().cloned(),
                shares_volumes_with: workload.shares_volumes_with.clone(),
                api,
            }
        })
        .collect();
    if !containers.iter().any(|known| known.api) {
        containers.push(Known {
            name: UNNAMED.to_owned(),
            named: false,
            facts: live.clone(),
            source: None,
            shares_volumes_with: Vec::new(),
            api: true,
        });
    }
    containers
}

/// The deployment as a report shows it; `None` when nothing is known of any container.
fn model(
    deployment: &Deployment,
    containers: &[Known],
    chosen: &Chosen,
) -> Option<crate::Deployment> {
    let workloads: Vec<crate::Workload> = containers
        .iter()
        .filter(|known| known.named || !known.facts.is_empty())
        .map(|known| crate::Workload {
            name: known.name.clone(),
            file: known.source.as_ref().map(|source| source.file.clone()),
            image: deployment
                .workload(&known.name)
                .and_then(|workload| workload.image.clone()),
            api: known.api,
            conditions: known.facts.clone(),
        })
        .collect();
    (!workloads.is_empty() || !deployment.files.is_empty()).then(|| crate::Deployment {
        files: deployment
            .files
            .iter()
            .map(|file| file.name.clone())
            .collect(),
        workloads,
        chosen_because: if deployment.workloads.is_empty() {
            "what is known was read through the API itself".to_owned()
        } else {
            chosen.because.clone()
        },
    })
}

/// What was read live: a file proves nothing.
fn proven(facts: &Facts) -> Facts {
    let mut live = Facts::new();
    for (condition, fact) in facts.iter() {
        if fact.confidence == Confidence::Proven {
            live.learn(condition, fact.clone());
        }
    }
    live
}

fn of_files(deployment: &Deployment) -> Vec<Finding> {
    let workloads = deployment
        .workloads
        .iter()
        .flat_map(|workload| &workload.findings);
    let engine = deployment.engine.iter().flat_map(|engine| &engine.findings);
    workloads.chain(engine).cloned().collect()
}

/// Adds what was read live to the finding of the same rule about the same conditions. Where no file
/// says it there is no line to mend and no finding: it stays a fact, which the paths use and show.
fn join(findings: &mut [Finding], live: Finding) {
    let same = findings.iter_mut().find(|known| {
        known.check == live.check
            && (known.fingerprint == live.fingerprint
                || known
                    .conditions
                    .iter()
                    .any(|condition| live.conditions.contains(condition)))
    });
    let Some(known) = same else {
        return;
    };
    known.confidence = known.confidence.max(live.confidence);
    for piece in live.evidence {
        if !known.evidence.contains(&piece) {
            known.evidence.push(piece);
        }
    }
}

/// The worst and surest first.
fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        (b.severity, b.confidence)
            .cmp(&(a.severity, a.confidence))
            .then_with(|| (&a.check, a.places.first()).cmp(&(&b.check, b.places.first())))
    });
}

fn identities(options: &ScanOptions, operations: &[Coverage]) -> Vec<Identity> {
    let named = options.identities.iter().map(|identity| Identity {
        name: identity.name.clone(),
        scopes: identity.scopes.clone().unwrap_or_default(),
    });
    let asked = |who: &str| {
        let mut reached = operations.iter().flat_map(|operation| &operation.reached);
        reached.any(|reached| reached.who == who)
    };
    let without = WITHOUT
        .into_iter()
        .filter(|who| asked(who))
        .map(|who| Identity {
            name: who.to_owned(),
            scopes: Vec::new(),
        });
    named.chain(without).collect()
}

fn operation(coverage: &Coverage) -> Operation {
    let (method, path) = coverage
        .operation
        .split_once(' ')
        .unwrap_or(("", &coverage.operation));
    Operation {
        method: method.to_owned(),
        path: path.to_owned(),
        reached: coverage.covered,
        reason: coverage.missed.clone(),
        answers: coverage
            .reached
            .iter()
            .map(|reached| Answer {
                identity: reached.who.clone(),
                status: reached.status,
                verdict: verdict(reached).to_owned(),
            })
            .collect(),
        source: coverage.source.clone(),
    }
}

/// What an answer means, as one word for the matrix.
fn verdict(reached: &Reached) -> &'static str {
    match reached.status {
        None => "no answer",
        Some(_) if reached.welcome => "accepted",
        Some(401) => "refused",
        Some(403) => "forbidden",
        Some(404 | 410) => "not found",
        Some(429) => "throttled",
        Some(500..) => "error",
        Some(_) => "not accepted",
    }
}
