//! Attack paths from a token to the host, and the smallest set of fixes that cuts them.
//!
//! [`Graph::build`] joins findings and conditions over the edges of `data/edges.json`; then
//! [`Graph::paths_to`] lists the ways to a state, [`Graph::harm`] the cheapest way to each thing that
//! an attacker may want, and [`Graph::fixes`] what to do so that none is left.
//!
//! What nothing tells is assumed only where it holds by default; the path is then tentative and says
//! what it assumes.

mod data;
mod fixes;
mod graph;
mod hitting;
mod holds;
mod paths;
mod search;

pub use data::{By, ConditionData, Data, Derivation, EdgeData, FixData, FixKind, Of, Scope, data};
pub use fixes::{Fix, FixSet};
pub use graph::{Container, Graph, MAX_NEIGHBOURS, Neighbour};
pub use paths::{AttackPath, Paths, Step, StepBy};
pub use search::MAX_PATHS;
