//! Each operation once without a token, once with a garbage one, once per identity.

use crate::{Exchange, Request};
use std::sync::Arc;

/// What one operation answered before any check was run.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// The index of the operation.
    pub operation: usize,
    /// The answer without a token. Absent when the operation was not sent.
    pub anonymous: Option<Arc<Exchange>>,
    /// The answer to a garbage token. Absent when the operation was not sent.
    pub garbage: Option<Arc<Exchange>>,
    /// The answer to each identity, by its index.
    pub valid: Vec<Option<Arc<Exchange>>>,
    /// What the comparison of these says.
    pub protection: Protection,
    /// The request of each identity, with its own objects' identifiers filled in.
    pub(crate) requests: Vec<Option<Request>>,
}

impl Baseline {
    /// The identities that were let in, by index.
    pub fn accepted(&self) -> &[usize] {
        match &self.protection {
            Protection::Protected(who) | Protection::AnyToken(who) => who,
            Protection::Public | Protection::Unknown(_) => &[],
        }
    }

    /// Whether no token and a garbage token are refused and a valid one is accepted: the only
    /// ground on which a forged token's acceptance means something.
    pub fn is_protected(&self) -> bool {
        matches!(self.protection, Protection::Protected(_))
    }
}

/// How an operation treats who has no valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protection {
    /// No token and a garbage one are refused; these identities are let in.
    Protected(Vec<usize>),
    /// No token is refused, a garbage one is treated like these identities' valid ones.
    AnyToken(Vec<usize>),
    /// No token is answered like a valid one, or, without identities, with success.
    Public,
    /// It was not sent, did not answer, or let nobody in; and why.
    Unknown(String),
}
