//! Who asks: the token that a request carries, verified before anything else of it is looked at.
//!
//! The broker verifies the token once more. The gate does it so that a stranger gets no further
//! than here, and hears what to do.

mod keys;
mod verify;

pub(crate) use keys::Keys;
pub use keys::KeysError;
pub use verify::Unauthenticated;
pub(crate) use verify::{Authenticator, Presented};
