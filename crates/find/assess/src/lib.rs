//! One assessment from end to end: scan and posture, paths, score.
//!
//! [`assess`] scans a running service and joins what it finds with the deployment files;
//! [`posture_only`] reads deployment files alone. Both give the same [`Assessment`], which
//! `cofferdam-report` renders.

mod advice;
mod controls;
mod model;
mod options;
mod routes;
mod run;
pub mod score;
mod service;

pub use model::{
    Answer, Assessment, CategoryScore, Deployment, FindingRef, Fix, Grade, Identity, Operation,
    Path, SCHEMA_VERSION, Side, Step, Tool, Workload,
};
pub use options::{AssessError, AssessOptions, DeploymentFile};
pub use run::{assess, posture_only};

/// What a check or a posture rule says of itself, by its id.
pub fn meta(id: &str) -> Option<&'static cofferdam_finding::Meta> {
    let check = scan::checks::find(id).map(|check| check.meta);
    check.or_else(|| {
        let mut rules = posture::rules().iter().map(|rule| rule.meta);
        rules.find(|meta| meta.id == id)
    })
}

// Who assesses needs the words of the scan and of the vocabulary, and no more crates.
pub use cofferdam_finding as finding;
pub use cofferdam_posture as posture;
pub use cofferdam_scan as scan;
