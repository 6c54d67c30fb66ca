//! From the headers of a request to a verified token.

use std::net::IpAddr;
use std::sync::Arc;

use cofferdam_token::authorization::{self, AuthorizationError, Credentials};
use cofferdam_token::fetch::KeyFetcher;
use cofferdam_token::refresh::Refresh as _;
use cofferdam_token::throttle::Throttle;
use cofferdam_token::{Challenge, ErrorCode, Rejection, Scheme, Sender, Verified, Verifier};

use crate::config::{ConfigError, GateConfig};

use super::Keys;

/// Verified tokens that are kept, of about 1.5 KiB each.
const CACHE: usize = 4096;

/// What a request presents of its caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Presented<'r> {
    /// Every header, repeated ones repeated.
    pub(crate) headers: &'r [(&'r str, &'r [u8])],
    /// The query of the target.
    pub(crate) query: &'r str,
    /// Whom the connection is with.
    pub(crate) peer: IpAddr,
    /// The client's certificate on the connection, in DER.
    pub(crate) certificate: Option<&'r [u8]>,
}

/// Why a request has no caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// No token that can be judged.
    #[error("{0}")]
    Credentials(#[from] AuthorizationError),
    /// The scheme `DPoP`: the broker sees the token and not the request, so it could not check the
    /// proof.
    #[error(
        "DPoP proofs are not accepted here: use a bearer token, or one that is bound to a client certificate"
    )]
    Dpop,
    /// The token is not valid.
    #[error("{}", .0.description())]
    Token(Rejection),
    /// Too many bad tokens from this address; seconds until another is judged.
    #[error("too many bad tokens came from here")]
    Throttled(u32),
}

impl Unauthenticated {
    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Unauthenticated::Credentials(error) => error.status(),
            Unauthenticated::Dpop => 401,
            Unauthenticated::Token(rejection) => rejection.code().map_or(503, ErrorCode::status),
            Unauthenticated::Throttled(_) => 429,
        }
    }

    /// A stable name for the log.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Unauthenticated::Credentials(error) => error.id(),
            Unauthenticated::Dpop => "dpop",
            Unauthenticated::Token(rejection) => rejection.id(),
            Unauthenticated::Throttled(_) => "throttled",
        }
    }

    /// The challenge that goes with it, without what is the same for all.
    pub(crate) fn challenge(self) -> Option<Challenge> {
        let bearer = Challenge::new(Scheme::Bearer);
        let code = match self {
            Unauthenticated::Throttled(_) => return None,
            Unauthenticated::Dpop => None,
            Unauthenticated::Credentials(error) => error.code(),
            // Without a code the fault is here.
            Unauthenticated::Token(rejection) => Some(rejection.code()?),
        };
        Some(match code {
            Some(code) => bearer.error(code).description(&self.to_string()),
            None => bearer,
        })
    }

    /// Whether it may be one of many attempts. An expired token is an honest client's.
    fn is_guess(self) -> bool {
        match self {
            Unauthenticated::Credentials(error) => error.code().is_some(),
            Unauthenticated::Token(Rejection::Expired) => false,
            Unauthenticated::Token(rejection) => rejection.code().is_some(),
            Unauthenticated::Dpop | Unauthenticated::Throttled(_) => false,
        }
    }
}

/// A verifier of the tokens of the configured issuers.
pub(crate) fn verifier(config: &GateConfig, keys: &Keys) -> Result<Verifier, ConfigError> {
    let verifier = Verifier::new(keys.policies(&config.issuers)?)?;
    Ok(verifier.cache(CACHE))
}

/// Verifies what requests present.
#[derive(Debug)]
pub(crate) struct Authenticator {
    verifier: Verifier,
    fetchers: Vec<Arc<KeyFetcher>>,
}

impl Authenticator {
    pub(crate) fn new(config: &GateConfig, keys: &Keys) -> Result<Authenticator, ConfigError> {
        Ok(Authenticator {
            verifier: verifier(config, keys)?,
            fetchers: keys.fetchers().to_vec(),
        })
    }

    /// The verified token, and the token itself.
    pub(crate) async fn authenticate<'r>(
        &self,
        presented: &Presented<'r>,
        throttle: &Throttle,
        now: u64,
    ) -> Result<(Verified, &'r str), Unauthenticated> {
        match self.judge(presented, now).await {
            Err(reason) if reason.is_guess() && throttle.record(presented.peer, now) => {
                let seconds = u32::try_from(throttle.retry_after()).unwrap_or(u32::MAX);
                Err(Unauthenticated::Throttled(seconds))
            }
            judged => judged,
        }
    }

    async fn judge<'r>(
        &self,
        presented: &Presented<'r>,
        now: u64,
    ) -> Result<(Verified, &'r str), Unauthenticated> {
        let token = token(presented, self.verifier.longest())?;
        let mut sender = Sender::bearer();
        if let Some(certificate) = presented.certificate {
            sender = sender.with_certificate(certificate);
        }
        let verified = match self.verifier.verify_from(token, now, &sender) {
            Err(Rejection::KeyUnknown) if !self.fetchers.is_empty() => {
                Box::pin(self.refresh(token)).await;
                self.verifier.verify_from(token, now, &sender)
            }
            verified => verified,
        };
        Ok((verified.map_err(Unauthenticated::Token)?, token))
    }

    /// Asks for fresh keys of the issuer by whose policy the token is judged.
    async fn refresh(&self, token: &str) {
        let Some(issuer) = self.verifier.issuer_of(token) else {
            return;
        };
        for fetcher in &self.fetchers {
            if fetcher.refresh(issuer).await {
                return;
            }
        }
    }
}

/// The one token that the request carries, where it may carry one.
fn token<'r>(presented: &Presented<'r>, longest: usize) -> Result<&'r str, Unauthenticated> {
    let values = |name: &'static str| {
        let named = move |(other, _): &&(&'r str, &'r [u8])| other.eq_ignore_ascii_case(name);
        presented
            .headers
            .iter()
            .filter(named)
            .map(|(_, value)| *value)
    };
    let elsewhere = authorization::carries_token(presented.query)
        || values("cookie").any(authorization::cookie_carries_token);
    if elsewhere {
        return Err(AuthorizationError::WrongPlace.into());
    }
    let credentials = Credentials::parse(values("authorization"), longest)?;
    match credentials.scheme {
        Scheme::Bearer => Ok(credentials.token),
        Scheme::Dpop => Err(Unauthenticated::Dpop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'r>(
        headers: &'r [(&'r str, &'r [u8])],
        query: &'r str,
    ) -> Result<&'r str, &'static str> {
        let presented = Presented {
            headers,
            query,
            peer: "192.0.2.1".parse().unwrap(),
            certificate: None,
        };
        token(&presented, 100).map_err(Unauthenticated::id)
    }

    #[test]
    fn a_token_comes_once_and_in_its_header() {
        let bearer: (&str, &[u8]) = ("authorization", b"Bearer abc");
        assert_eq!(read(&[bearer], "all=1"), Ok("abc"));
        assert_eq!(read(&[], ""), Err("missing"));
        assert_eq!(
            read(&[bearer, ("Authorization", b"Bearer abc")], ""),
            Err("ambiguous")
        );
        assert_eq!(read(&[bearer], "access%5Ftoken=x"), Err("wrong-place"));
        assert_eq!(
            read(&[bearer, ("Cookie", b"a=b; access_token=x")], ""),
            Err("wrong-place")
        );
        // Latin-1, which is no UTF-8.
        assert_eq!(
            read(&[bearer, ("cookie", b"lang=\xe9; access_token=x")], ""),
            Err("wrong-place")
        );
        assert_eq!(read(&[("Authorization", b"DPoP abc")], ""), Err("dpop"));
        assert_eq!(
            read(&[("Authorization", b"Basic YTpi")], ""),
            Err("other-scheme")
        );
    }

    #[test]
    fn each_reason_has_its_status_and_challenge() {
        let missing = Unauthenticated::Credentials(AuthorizationError::Missing);
        assert_eq!(missing.status(), 401);
        assert_eq!(missing.challenge().unwrap().to_string(), "Bearer");
        let expired = Unauthenticated::Token(Rejection::Expired);
        assert!(
            expired
                .challenge()
                .unwrap()
                .to_string()
                .contains("invalid_token")
        );
        let fault = Unauthenticated::Token(Rejection::KeysUnavailable);
        assert_eq!((fault.status(), fault.challenge()), (503, None));
        assert_eq!(Unauthenticated::Throttled(1).status(), 429);
    }
}
