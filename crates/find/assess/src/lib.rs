//! One assessment from end to end: scan and posture, paths, score.

mod model;
pub mod score;

pub use model::{
    Answer, Assessment, CategoryScore, Deployment, FindingRef, Fix, Grade, Identity, Operation,
    Path, SCHEMA_VERSION, Side, Step, Tool, Workload,
};
