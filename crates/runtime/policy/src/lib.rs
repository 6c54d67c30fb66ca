//! Who may do what on which: Cedar policies over the pre-approved actions.
//!
//! Default deny; a `forbid` outweighs every `permit`; a policy that cannot be evaluated denies. What
//! the [floor](cofferdam_action::floor) refuses no policy can allow, since the floor is asked first
//! and policy only of what it lets through.
//!
//! The [`schema`] is made from the action types, and every policy is validated against it, strictly,
//! before it decides anything. There is no I/O here but [`Source::read`], which reads policy files.

mod case;
mod context;
mod decision;
mod entities;
mod error;
mod example;
mod request;
mod schema;
mod set;
mod shipped;
mod source;
mod subject;
mod validate;

pub use case::{Case, Expect, Owner, Owners, Verdict, parse_cases};
pub use decision::Decision;
pub use error::{LoadError, Problem};
pub use example::example;
pub use request::{Principal, Request, Resource, ResourceKind};
pub use schema::{resource_kinds, schema};
pub use set::{Effect, PolicyInfo, PolicySet};
pub use shipped::{SHIPPED, SHIPPED_CASES};
pub use source::{MAX_FILE, MAX_FILES, MAX_POLICIES, Source};
