//! DPoP proofs (RFC 9449 §4.3), for the operation that supports them.

use aws_lc_rs::digest;
use cofferdam_token::{Algorithm, Jwk, base64url, unverified};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How long a proof is good, in seconds, and how long its id is remembered.
const FRESH: u64 = 60;
/// How many ids are remembered; with more the proof is refused rather than a replay let through.
const IDS: usize = 10_000;

/// The proofs that were seen.
#[derive(Debug, Default)]
pub(crate) struct Proofs(Mutex<HashMap<String, u64>>);

impl Proofs {
    /// Checks a proof for one request and answers the thumbprint of its key.
    pub(crate) fn check(
        &self,
        proof: &str,
        method: &str,
        url: &str,
        token: &str,
        now: u64,
    ) -> Result<String, &'static str> {
        let read = unverified::inspect(proof).map_err(|_| "the proof is no JWT")?;
        let (header, claims) = (read.header().root(), read.claims().root());
        let text = |value: Option<cofferdam_token::json::Value<'_>>| {
            value.and_then(|value| value.as_str().map(str::to_owned))
        };
        if text(header.get("typ")).as_deref() != Some("dpop+jwt") {
            return Err("the proof has another type");
        }
        let algorithm = match text(header.get("alg")).as_deref() {
            Some("ES256") => Algorithm::Es256,
            Some("RS256") => Algorithm::Rs256,
            _ => return Err("the proof has another algorithm"),
        };
        let whole: serde_json::Value = serde_json::from_str(read.header().text())
            .map_err(|_| "the proof's header is no JSON")?;
        if whole["jwk"].get("d").is_some() {
            return Err("the proof holds a private key");
        }
        let key = Jwk::parse(whole["jwk"].to_string().as_bytes())
            .map_err(|_| "the proof holds no usable key")?;
        let (message, _) = proof.rsplit_once('.').ok_or("the proof is no JWT")?;
        if !key.verify(algorithm, message.as_bytes(), read.signature()) {
            return Err("the proof's signature is wrong");
        }
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        let same = text(claims.get("htm")).as_deref() == Some(method)
            && text(claims.get("htu")).as_deref() == Some(url)
            && text(claims.get("ath")).as_deref() == Some(&base64url::encode(hash.as_ref()));
        if !same {
            return Err("the proof is for another request or token");
        }
        let issued = claims.get("iat").and_then(|iat| iat.as_u64());
        if issued.is_none_or(|issued| issued.abs_diff(now) > FRESH) {
            return Err("the proof is not fresh");
        }
        let id = text(claims.get("jti")).ok_or("the proof has no id")?;
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, time| time.abs_diff(now) <= 2 * FRESH);
        if seen.len() >= IDS || id.len() > 200 || seen.insert(id, now).is_some() {
            return Err("the proof was used before");
        }
        Ok(key.thumbprint().to_owned())
    }
}
