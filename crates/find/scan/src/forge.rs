//! Tokens that a verifier must refuse, made from one that it accepts.
//!
//! Apart from `cofferdam-token`, which reads strictly and cannot make any of these. Most files are
//! computation alone; `keys` learns what keys there are, `ask` sends what was made, and `drive` sums
//! the answers up.

pub(crate) mod ask;
pub(crate) mod compact;
pub(crate) mod confusion;
mod drive;
pub(crate) mod guess;
pub(crate) mod keys;
pub(crate) mod negative;
pub(crate) mod opaque;
pub(crate) mod public_key;
pub(crate) mod recipe;
pub(crate) mod signing_key;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use ask::{Answered, Case, Hit};
pub(crate) use compact::Compact;
pub(crate) use drive::Drive;
pub(crate) use keys::Forge;
pub(crate) use recipe::Recipe;

use crate::Secret;

/// A token that was made here, and what reports call it.
#[derive(Clone)]
pub(crate) struct Forged {
    /// What is wrong with it, such as `alg none`; never a secret.
    pub(crate) label: String,
    /// The token.
    pub(crate) token: Secret,
}
