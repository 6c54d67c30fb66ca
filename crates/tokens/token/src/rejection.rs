//! Why a token is refused.

use crate::challenge::ErrorCode;
use crate::json::JsonError;

/// A part of a JWS in compact serialization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The JOSE header.
    Header,
    /// The claims.
    Claims,
    /// The signature.
    Signature,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Header => "header",
            Part::Claims => "claims",
            Part::Signature => "signature",
        }
    }
}

/// Why a token is refused.
///
/// It names the rule and, where there is one, the header member or claim; it never carries a byte
/// of the token, so it may be logged. What a client is told is less: [`Rejection::description`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Longer than the configured limit.
    #[error("token is longer than allowed")]
    TooLong,
    /// Not three segments (RFC 7515 §7.1). JWE and the JSON serializations end here too.
    #[error("token is not a JWS in compact serialization")]
    NotCompact,
    /// A segment that is not strict base64url (RFC 7515 §2).
    #[error("token {} is not base64url without padding", .0.name())]
    Base64(Part),
    /// Header or claims are no strict JSON.
    #[error("token {}: {error}", .part.name())]
    Json {
        /// Which of the two.
        part: Part,
        /// What is wrong.
        error: JsonError,
    },
    /// Header or claims are JSON, but no object.
    #[error("token {} is not a JSON object", .0.name())]
    NotAnObject(Part),
    /// A header member is absent.
    #[error("header `{0}` is missing")]
    HeaderMissing(&'static str),
    /// A header member is of the wrong type.
    #[error("header `{0}` is malformed")]
    HeaderMalformed(&'static str),
    /// A header member that an access token must not carry: a key or where to get one (RFC 8725
    /// §3.10), compression, encryption, nesting, an unencoded payload (RFC 7797 §7).
    #[error("header `{0}` is not accepted")]
    HeaderForbidden(&'static str),
    /// A header member besides `alg`, `kid` and `typ`, which the profile does not allow (JWT-SVID
    /// §2).
    #[error("header has members that this profile does not allow")]
    HeaderNotBare,
    /// `crit` names an extension, and none is understood (RFC 7515 §4.1.11).
    #[error("header `crit` asks for an extension that is not understood")]
    Critical,
    /// An algorithm that this crate does not know, `none` among them.
    #[error("algorithm is unknown")]
    AlgorithmUnknown,
    /// An algorithm that the issuer's policy does not allow.
    #[error("algorithm is not allowed for this issuer")]
    AlgorithmNotAllowed,
    /// `typ` says that this is another kind of token (RFC 9068 §4, RFC 8725 §3.11).
    #[error("header `typ` is not that of an access token of this profile")]
    TypeNotAllowed,
    /// A claim that the profile or policy asks for is absent.
    #[error("claim `{0}` is missing")]
    ClaimMissing(&'static str),
    /// A claim of the wrong type or out of range.
    #[error("claim `{0}` is malformed")]
    ClaimMalformed(&'static str),
    /// A claim that shows this to be another kind of token, such as an ID token.
    #[error("claim `{0}` does not belong into an access token")]
    ClaimForbidden(&'static str),
    /// A claim without the value that profile or policy ask for.
    #[error("claim `{0}` has not the value that is asked for")]
    ClaimMismatch(&'static str),
    /// A claim without the value that the policy of the issuer asks for by name.
    #[error("a claim has not the value that the policy of this issuer asks for")]
    PolicyMismatch,
    /// No configured issuer of that name.
    #[error("issuer is not trusted here")]
    IssuerUnknown,
    /// `aud` does not hold this resource.
    #[error("token is for another audience")]
    AudienceMismatch,
    /// `exp` has passed.
    #[error("token has expired")]
    Expired,
    /// `nbf` has not come.
    #[error("token is not valid yet")]
    NotYetValid,
    /// `iat` lies ahead.
    #[error("token was issued in the future")]
    IssuedInFuture,
    /// From `iat` to `exp` is longer than the policy allows.
    #[error("token lives longer than allowed")]
    LifetimeTooLong,
    /// No key of that id. A fetcher may refresh, once.
    #[error("no key of this issuer has the token's `kid`")]
    KeyUnknown,
    /// The key of that id does not serve this algorithm.
    #[error("the key does not serve the token's algorithm")]
    KeyUnfit,
    /// More than one key would do.
    #[error("more than one key fits the token")]
    KeyAmbiguous,
    /// The issuer's keys have not been loaded, or are too old to be trusted.
    #[error("no keys of this issuer are at hand")]
    KeysUnavailable,
    /// The signature does not hold.
    #[error("signature is invalid")]
    SignatureInvalid,
    /// The token is bound to a sender (`cnf`) who has not proved possession (RFC 9449 §7.2, RFC
    /// 8705 §3).
    #[error("token is bound to its sender, and the request does not prove possession")]
    ProofMissing,
    /// `cnf` binds by a method that is not understood here.
    #[error("token is bound by a method that is not supported")]
    ConfirmationUnsupported,
    /// The proof is for another key or certificate.
    #[error("token is bound to another sender")]
    SenderMismatch,
    /// A DPoP proof came with a token that is bound to none (RFC 9449 §7.1).
    #[error("token is not bound to the key of the DPoP proof")]
    NotBound,
    /// Revoked by issuer and `jti`.
    #[error("token is revoked")]
    Revoked,
    /// Introspection says that the token is not active.
    #[error("token is not active")]
    Inactive,
    /// Whether the token is revoked, active or replayed could not be asked.
    #[error("the state of the token could not be looked up")]
    StateUnavailable,
}

impl Rejection {
    /// A stable name for logs, metrics and tests.
    pub fn id(&self) -> &'static str {
        match self {
            Rejection::TooLong => "too-long",
            Rejection::NotCompact => "not-compact",
            Rejection::Base64(_) => "base64",
            Rejection::Json { .. } => "json",
            Rejection::NotAnObject(_) => "not-an-object",
            Rejection::HeaderMissing(_) => "header-missing",
            Rejection::HeaderMalformed(_) => "header-malformed",
            Rejection::HeaderForbidden(_) => "header-forbidden",
            Rejection::HeaderNotBare => "header-not-bare",
            Rejection::Critical => "critical",
            Rejection::AlgorithmUnknown => "algorithm-unknown",
            Rejection::AlgorithmNotAllowed => "algorithm-not-allowed",
            Rejection::TypeNotAllowed => "type-not-allowed",
            Rejection::ClaimMissing(_) => "claim-missing",
            Rejection::ClaimMalformed(_) => "claim-malformed",
            Rejection::ClaimForbidden(_) => "claim-forbidden",
            Rejection::ClaimMismatch(_) => "claim-mismatch",
            Rejection::PolicyMismatch => "policy-mismatch",
            Rejection::IssuerUnknown => "issuer-unknown",
            Rejection::AudienceMismatch => "audience-mismatch",
            Rejection::Expired => "expired",
            Rejection::NotYetValid => "not-yet-valid",
            Rejection::IssuedInFuture => "issued-in-future",
            Rejection::LifetimeTooLong => "lifetime-too-long",
            Rejection::KeyUnknown => "key-unknown",
            Rejection::KeyUnfit => "key-unfit",
            Rejection::KeyAmbiguous => "key-ambiguous",
            Rejection::KeysUnavailable => "keys-unavailable",
            Rejection::SignatureInvalid => "signature-invalid",
            Rejection::ProofMissing => "proof-missing",
            Rejection::ConfirmationUnsupported => "confirmation-unsupported",
            Rejection::SenderMismatch => "sender-mismatch",
            Rejection::NotBound => "not-bound",
            Rejection::Revoked => "revoked",
            Rejection::Inactive => "inactive",
            Rejection::StateUnavailable => "state-unavailable",
        }
    }

    /// What a client may be told: enough for an honest one to get a new token, nothing that tells a
    /// forger which rule stopped the token.
    pub fn description(&self) -> &'static str {
        match self {
            Rejection::Expired => "the token has expired",
            Rejection::KeysUnavailable | Rejection::StateUnavailable => {
                "the token cannot be verified at the moment"
            }
            Rejection::ProofMissing | Rejection::SenderMismatch | Rejection::NotBound => {
                "the token needs proof of possession"
            }
            _ => "the token is not valid here",
        }
    }

    /// The error code of RFC 6750 §3.1. `None` where the fault is this server's and the answer is
    /// 503.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Rejection::KeysUnavailable | Rejection::StateUnavailable => None,
            _ => Some(ErrorCode::InvalidToken),
        }
    }
}
