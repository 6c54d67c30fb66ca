//! A black-box scan of an HTTP API behind bearer tokens.
//!
//! [`scan`] takes a target and everything known about it ([`ScanOptions`]), makes an inventory of
//! operations, sends each once per identity (the *baseline*), runs the checks of [`checks::ALL`]
//! against those baselines, and returns what was found, what held and what could not be tested.
//! The library prints nothing, reads no environment and never talks to another host than the
//! target, the proxy and the description's URL that its caller names.

mod baseline;
mod callback;
mod check;
pub mod checks;
mod client;
mod context;
mod elevate;
mod exchange;
mod forge;
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod inventory;
mod jwt;
mod made;
mod operation;
mod options;
mod oracle;
mod probes;
mod progress;
mod redact;
mod request;
mod run;
mod target;
#[cfg(test)]
mod testing;
mod text;

pub use baseline::{Baseline, Protection};
pub use callback::{Callback, Hit};
pub use check::{Check, Outcome};
pub use context::{Context, Halt};
pub use exchange::{Exchange, Failure, Response, Sent};
pub use identity::{Identity, Secret, Template, TemplateError};
pub use jwt::Jwt;
pub use operation::{BodySpec, Operation, Param, ParamIn, Reach, Security, Source};
pub use options::{Level, Limits, ScanOptions, SpecSource};
pub use oracle::Verdict;
pub use progress::{Event, Phase};
pub use request::{Auth, Request};
pub use run::{Coverage, Reached, Scan, ScanError, scan};
pub use target::{Target, TargetError};
