//! Getting fresh keys when a token names one that is not known.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// Loads the keys of an issuer again, sparingly.
///
/// A forger can name a new `kid` in every request, so an implementation asks an issuer at most once
/// in a while, whatever comes.
pub trait Refresh: Send + Sync + fmt::Debug {
    /// Asks for fresh keys of `issuer`, waits for them, and answers whether they have changed since
    /// the call. Answers `false` at once where it is too soon to ask again, or where the issuer is
    /// none of its own.
    fn refresh<'r>(&'r self, issuer: &'r str) -> Pin<Box<dyn Future<Output = bool> + Send + 'r>>;
}
