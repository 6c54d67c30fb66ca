//! The vocabulary of Cofferdam: what a scan or a reading of deployment files found, how sure it
//! is, what proves it, and what it means on the way from a token to the host. No I/O.

mod evidence;
mod facts;
mod finding;
mod ids;

pub use evidence::{Evidence, RequestRecord, ResponseRecord, SourceLine};
pub use facts::{Fact, Facts, Truth};
pub use finding::{
    Confidence, Control, ControlStatus, Finding, Meta, Place, References, Severity, fingerprint,
};
pub use ids::{Condition, State, UnknownId};
