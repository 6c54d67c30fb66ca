//! The scan against the lab: what the manifest says is planted is found, and nothing else.
//!
//! The scan never reads the manifest; this file does, to compare.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use cofferdam_assess::{AssessOptions, Assessment, DeploymentFile, assess};
use cofferdam_finding::{Confidence, Finding};
use cofferdam_lab::{Hole, Lab, LabOptions, Switches};
use cofferdam_scan::{Identity, Level, ScanOptions, Secret, Target};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio_util::sync::CancellationToken;

fn start(switches: Switches) -> Lab {
    let lab = Lab::start(LabOptions {
        switches,
        shell_helper: Some(env!("CARGO_BIN_EXE_cofferdam").into()),
        ..LabOptions::default()
    });
    lab.unwrap()
}

/// Assesses the lab as its owner would: two tenants, the staging key, the deployment files.
fn assessed(lab: &Lab) -> Assessment {
    let mut scan = ScanOptions::new(Target::parse(&lab.base_url()).unwrap());
    scan.identities = lab
        .identities()
        .iter()
        .map(|(name, token)| Identity::new(name, token))
        .collect();
    scan.signing_key = Some(Secret::new(lab.signing_key_pem()));
    scan.level = Level::Active;
    scan.internal = true;
    let deployment = lab.deployment_files().iter().map(|path| DeploymentFile {
        name: path.file_name().unwrap().to_str().unwrap().to_owned(),
        text: std::fs::read_to_string(path).unwrap(),
    });
    let options = AssessOptions {
        scan,
        deployment: deployment.collect(),
        service: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let assessment = runtime
        .block_on(assess(options, |_| {}, CancellationToken::new()))
        .unwrap();
    assert!(assessment.complete, "{:?}", assessment.incomplete_because);
    assessment
}

fn firm(assessment: &Assessment) -> Vec<&Finding> {
    assessment
        .findings
        .iter()
        .filter(|finding| finding.confidence >= Confidence::Firm)
        .collect()
}

fn told(findings: &[&Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|f| format!("{} {} {}", f.confidence, f.check, f.places[0]))
        .collect()
}

/// Whether `finding` is the one that the manifest promises for `hole`.
fn is_of(finding: &Finding, hole: Hole) -> bool {
    let planted = hole.planted();
    match &planted.check {
        Some(check) => {
            let place = &finding.places[0];
            finding.check == *check
                && place
                    .operation
                    .as_ref()
                    .is_some_and(|at| planted.operations.contains(at))
                && (planted.parameter.is_none() || place.parameter == planted.parameter)
        }
        None => {
            finding.check.starts_with("posture.")
                && finding
                    .conditions
                    .iter()
                    .any(|c| planted.conditions.iter().any(|id| id == c.id()))
        }
    }
}

/// Runs `judge` for every item on as many threads as there are cores, and returns what it said.
fn each<T: Sync>(items: &[T], judge: impl Fn(&T) -> Option<String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let said = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    said.lock().unwrap().extend(judge(item));
                }
            });
        }
    });
    said.into_inner().unwrap()
}

#[test]
fn the_hardened_lab_gives_nothing_and_nearly_all_of_it_is_reached() {
    let lab = start(Switches::all_closed());
    let assessment = assessed(&lab);
    assert_eq!(told(&firm(&assessment)), Vec::<String>::new());
    let certain = assessment
        .paths
        .iter()
        .filter(|path| path.confidence >= Confidence::Firm);
    assert_eq!(certain.count(), 0);
    let missed: Vec<_> = assessment
        .operations
        .iter()
        .filter(|op| !op.reached)
        .collect();
    assert!(
        missed.len() * 10 <= assessment.operations.len(),
        "not reached: {missed:#?}"
    );
}

/// The holes that give a finding of their own; the others are facts about the surroundings.
fn with_a_finding() -> Vec<Hole> {
    let has = |hole: &&Hole| hole.planted().check.is_some() || hole.planted().rule.is_some();
    Hole::ALL.iter().filter(has).copied().collect()
}

#[test]
fn each_hole_alone_gives_exactly_its_finding() {
    let wrong = each(&with_a_finding(), |hole| {
        let lab = start(Switches::only(*hole));
        if lab.absent_holes().contains_key(hole) {
            eprintln!("SKIPPED: {hole}: {}", lab.absent_holes()[hole]);
            return None;
        }
        let assessment = assessed(&lab);
        let found = firm(&assessment);
        let own = found.iter().filter(|finding| is_of(finding, *hole)).count();
        let also = |finding: &&&Finding| hole.planted().also.contains(&finding.check);
        let exact = own == 1 && own + found.iter().filter(also).count() == found.len();
        (!exact).then(|| format!("{hole}: {:?}", told(&found)))
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_vulnerable_lab_gives_every_finding_and_a_path_to_the_host() {
    let lab = start(Switches::all_open());
    let assessment = assessed(&lab);
    let found = firm(&assessment);
    let is_found = |hole: Hole| found.iter().any(|finding| is_of(finding, hole));
    let missed: Vec<_> = with_a_finding()
        .into_iter()
        .filter(|hole| !lab.absent_holes().contains_key(hole))
        .filter(|hole| {
            let mut whole = hole.planted().within.iter();
            !is_found(*hole) && !whole.any(|id| is_found(id.parse().unwrap()))
        })
        .map(Hole::id)
        .collect();
    assert!(
        missed.is_empty(),
        "missed: {missed:?}\nfound: {:#?}",
        told(&found)
    );
    assert!(
        assessment
            .paths_to_host()
            .any(|path| path.confidence >= Confidence::Firm)
    );
    assert!(!assessment.fixes.is_empty());
}
