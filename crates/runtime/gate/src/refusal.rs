//! Why a request is not carried out: what both dialects answer, each in its own form.

use std::fmt;

use cofferdam_action::refusal::{Refusal, Rule};
use cofferdam_action::wire::{self, By};
use cofferdam_token::{AuthorizationError, Challenge, ErrorCode, Scheme};

use crate::broker::BrokerError;
use crate::caller::Unauthenticated;
use crate::limits::Limited;

/// Why a request is not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// It is no HTTP request that is read here.
    #[error("{0}")]
    Http(HttpError),
    /// It has no caller.
    #[error("{}", caller(*.0))]
    Caller(#[from] Unauthenticated),
    /// It has to wait.
    #[error("{0}")]
    Limited(#[from] Limited),
    /// It is no action.
    #[error("{0}")]
    Rule(#[from] Refusal),
    /// Its body did not come.
    #[error("{0}")]
    Body(#[from] BodyError),
    /// The broker refused, or the engine said no.
    #[error("{}", .0.message)]
    Broker(Box<wire::Refused>),
    /// The broker could not be asked.
    #[error("{0}")]
    Failed(#[from] BrokerError),
}

/// What is wrong below the level of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HttpError {
    /// Another version than 1.1.
    Version,
    /// No `Host` (RFC 9112 §3.2).
    Host,
    /// Two readers of this head would not agree.
    Head,
}

/// Why a body did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// It broke off.
    #[error("the body broke off before its end")]
    Broken,
    /// It took too long.
    #[error("the body took too long")]
    TimedOut,
}

impl HttpError {
    /// The refusal by rule.
    fn refusal(self) -> Refusal {
        match self {
            HttpError::Version => {
                Refusal::new(Rule::Http, "HTTP/1.1 is spoken here").at("protocol version")
            }
            HttpError::Host => Refusal::new(Rule::Header, "it is missing").at("header `host`"),
            HttpError::Head => Refusal::new(Rule::Http, "it cannot be read in one way").at("head"),
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refusal().fmt(f)
    }
}

/// The refusal by rule of a request whose fault is in how it is written, and not in its token: with
/// two tokens, two readers could each take another one.
fn written_twice(reason: Unauthenticated) -> Option<Refusal> {
    match reason {
        Unauthenticated::Credentials(AuthorizationError::Ambiguous) => {
            let refusal = Refusal::new(Rule::Header, "it is given twice");
            Some(refusal.at("header `authorization`"))
        }
        _ => None,
    }
}

fn caller(reason: Unauthenticated) -> String {
    written_twice(reason).map_or_else(|| reason.to_string(), |refusal| refusal.to_string())
}

impl Refused {
    /// The HTTP status.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Refused::Http(HttpError::Version) => 505,
            Refused::Http(_) | Refused::Body(BodyError::Broken) => 400,
            Refused::Body(BodyError::TimedOut) => 408,
            Refused::Caller(reason) => reason.status(),
            Refused::Limited(_) => 429,
            Refused::Rule(refusal) => refusal.status(),
            Refused::Broker(refused) => refused.status,
            Refused::Failed(error) => error.status(),
        }
    }

    /// A stable name for the log.
    pub(crate) fn id(&self) -> &str {
        match self {
            Refused::Http(error) => error.refusal().rule.id(),
            Refused::Caller(reason) => {
                written_twice(*reason).map_or(reason.id(), |refusal| refusal.rule.id())
            }
            Refused::Limited(_) => "limit",
            Refused::Rule(refusal) => refusal.rule.id(),
            Refused::Body(_) => "body",
            Refused::Broker(refused) => refused.rules.first().map_or("broker", String::as_str),
            Refused::Failed(_) => "broker-failed",
        }
    }

    /// The ids of the rule or the policies that decided.
    pub(crate) fn rules(&self) -> Vec<&str> {
        match self {
            Refused::Http(_) | Refused::Rule(_) => vec![self.id()],
            Refused::Caller(reason) if written_twice(*reason).is_some() => vec![self.id()],
            Refused::Broker(refused) => refused.rules.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// After how many seconds another try may be answered.
    pub(crate) fn retry_after(&self) -> Option<u32> {
        match self {
            Refused::Caller(Unauthenticated::Throttled(seconds)) => Some(*seconds),
            Refused::Limited(limited) => Some(limited.retry_after()),
            Refused::Broker(refused) => refused.retry_after,
            Refused::Failed(BrokerError::Unreachable(_)) => Some(1),
            _ => None,
        }
    }

    /// The value of `WWW-Authenticate`, where it is about the token (RFC 6750 §3). `metadata` is
    /// the URL of the resource's metadata (RFC 9728 §5.1).
    pub(crate) fn challenge(&self, metadata: Option<&str>) -> Option<String> {
        let challenge = match self {
            Refused::Caller(reason) => reason.challenge()?,
            Refused::Broker(refused) => {
                let bearer = Challenge::new(Scheme::Bearer);
                match refused.by {
                    By::Token => bearer.error(ErrorCode::InvalidToken),
                    By::Scope => {
                        let bearer = bearer.error(ErrorCode::InsufficientScope);
                        match &refused.scope {
                            Some(scope) => bearer.scope(scope),
                            None => bearer,
                        }
                    }
                    _ => return None,
                }
            }
            _ => return None,
        };
        let challenge = match metadata {
            Some(url) => challenge.resource_metadata(url),
            None => challenge,
        };
        Some(challenge.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(by: By, scope: Option<&str>) -> Refused {
        Refused::Broker(Box::new(wire::Refused {
            by,
            status: 403,
            message: "no".to_owned(),
            rules: vec!["a.b".to_owned()],
            scope: scope.map(str::to_owned),
            retry_after: None,
        }))
    }

    #[test]
    fn a_missing_scope_is_named_in_the_challenge_and_a_policy_is_not() {
        let scope = refused(By::Scope, Some("containers:run"));
        assert_eq!(
            scope.challenge(Some("https://c.example/m")).unwrap(),
            r#"Bearer error="insufficient_scope", scope="containers:run", resource_metadata="https://c.example/m""#
        );
        assert_eq!(refused(By::Policy, None).challenge(None), None);
        assert_eq!(refused(By::Floor, None).id(), "a.b");
    }

    #[test]
    fn what_is_wrong_with_how_a_request_is_written_is_refused_by_rule_and_field() {
        let twice = Unauthenticated::Credentials(AuthorizationError::Ambiguous);
        for (refused, status, message) in [
            (
                Refused::Caller(twice),
                400,
                "refused by rule request.header: header `authorization`: it is given twice",
            ),
            (
                Refused::Http(HttpError::Version),
                505,
                "refused by rule request.http: protocol version: HTTP/1.1 is spoken here",
            ),
            (
                Refused::Http(HttpError::Host),
                400,
                "refused by rule request.header: header `host`: it is missing",
            ),
            (
                Refused::Http(HttpError::Head),
                400,
                "refused by rule request.http: head: it cannot be read in one way",
            ),
        ] {
            assert_eq!(refused.to_string(), message);
            assert_eq!(refused.status(), status, "{message}");
            assert_eq!(refused.rules(), [refused.id()], "{message}");
            assert!(message.contains(refused.id()), "{message}");
        }
        // It is still said to be about the token (RFC 6750 §3.1).
        let challenge = Refused::Caller(twice).challenge(None).unwrap();
        assert!(challenge.contains("invalid_request"), "{challenge}");
        let missing = Unauthenticated::Credentials(AuthorizationError::Missing);
        assert_eq!(Refused::Caller(missing).rules(), Vec::<&str>::new());
    }
}
