//! Nonces that need no memory: the time, and a MAC over it (RFC 9449 §9).

use std::fmt;

use aws_lc_rs::{constant_time, hmac, rand};

use crate::base64url;

/// How long a nonce is accepted, in seconds. A client whose nonce has run out is told a new one with
/// the refusal, and comes again.
const LIFETIME: u64 = 300;
const TAG: usize = 16;

/// Makes and recognizes nonces. Servers that share the key recognize each other's.
#[derive(Clone)]
pub struct NonceIssuer {
    key: hmac::Key,
}

impl NonceIssuer {
    /// An issuer with this key, which should have 32 random bytes.
    pub fn new(key: &[u8; 32]) -> NonceIssuer {
        NonceIssuer {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }

    /// An issuer with a key of its own, for one server alone. `None` where the system has no
    /// randomness to give.
    pub fn random() -> Option<NonceIssuer> {
        let mut key = [0; 32];
        rand::fill(&mut key).ok()?;
        Some(NonceIssuer::new(&key))
    }

    /// A nonce of this moment, in seconds since 1970-01-01T00:00:00Z.
    pub fn issue(&self, now: u64) -> String {
        let mut nonce = now.to_be_bytes().to_vec();
        let tag = hmac::sign(&self.key, &nonce);
        nonce.extend_from_slice(&tag.as_ref()[..TAG]);
        base64url::encode(&nonce)
    }

    /// Whether the nonce is of this issuer and not older than five minutes.
    pub fn accepts(&self, nonce: &str, now: u64) -> bool {
        let mut buffer = [0; 8 + TAG];
        let Some(bytes) = base64url::decode_into(nonce, &mut buffer) else {
            return false;
        };
        let Some((time, tag)) = bytes.split_first_chunk::<8>() else {
            return false;
        };
        let expected = hmac::sign(&self.key, time);
        let ours = constant_time::verify_slices_are_equal(&expected.as_ref()[..TAG], tag).is_ok();
        let time = u64::from_be_bytes(*time);
        ours && time <= now && now - time <= LIFETIME
    }
}

impl fmt::Debug for NonceIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonceIssuer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_accepted_for_five_minutes_by_its_issuer_alone() {
        let issuer = NonceIssuer::new(&[1; 32]);
        let nonce = issuer.issue(1000);
        assert!(issuer.accepts(&nonce, 1000) && issuer.accepts(&nonce, 1300));
        assert!(!issuer.accepts(&nonce, 1301) && !issuer.accepts(&nonce, 999));
        assert!(!NonceIssuer::new(&[2; 32]).accepts(&nonce, 1000));
        for bad in ["", "AAAA", &nonce[1..], &format!("{nonce}A")] {
            assert!(!issuer.accepts(bad, 1000), "{bad}");
        }
    }
}
