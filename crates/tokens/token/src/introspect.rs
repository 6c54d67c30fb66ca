//! Opaque tokens: asking their issuer (RFC 7662).

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::rejection::Rejection;
use crate::sender::Sender;
use crate::verifier::Verified;

/// The answer, when it comes.
pub type IntrospectionFuture<'i> =
    Pin<Box<dyn Future<Output = Result<Verified, Rejection>> + Send + 'i>>;

/// Asks an issuer what a token is worth that says nothing by itself.
pub trait Introspect: Send + Sync + fmt::Debug {
    /// Asks about one token, at `now` in seconds since 1970-01-01T00:00:00Z. The answer is judged
    /// by a policy like any token: issuer, audience, time, binding.
    fn introspect<'i>(
        &'i self,
        token: &'i str,
        now: u64,
        sender: Sender<'i>,
    ) -> IntrospectionFuture<'i>;

    /// The same from memory, without asking anybody; `None` where that needs a question. Who has a
    /// good token is served by this while others behind the same address guess.
    fn remembered(
        &self,
        _token: &str,
        _now: u64,
        _sender: &Sender<'_>,
    ) -> Option<Result<Verified, Rejection>> {
        None
    }
}
