//! How a forgery is made from the claims that it shall carry.
//!
//! A recipe is applied to claims that differ from the original's, so that nothing that a recipe
//! makes is a token that the issuer ever signed.

use super::signing_key::SigningKey;
use super::{Compact, Forged};
use crate::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::Arc;

/// One way to make a token that a verifier must refuse.
#[derive(Clone)]
pub(crate) struct Recipe {
    /// What is wrong with the token, for reports.
    pub(crate) label: String,
    how: How,
}

#[derive(Clone)]
enum How {
    /// The signature of the original, which does not fit the changed claims.
    Kept,
    /// The signature of the original with bits of it turned over.
    Flipped,
    /// As many zero bytes as the original's has.
    Zeros,
    /// Nothing after the second dot.
    Empty,
    /// No second dot either.
    Dropped,
    /// The header names this algorithm and the signature part is empty, or the original's.
    Unsigned { alg: &'static str, tail: Tail },
    /// Signed, after these members of the header were set.
    Signed {
        header: Vec<(&'static str, serde_json::Value)>,
        key: Arc<SigningKey>,
    },
}

/// What stands where the signature would.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    Empty,
    Dropped,
    Original,
}

impl Recipe {
    fn new(label: impl Into<String>, how: How) -> Self {
        Self {
            label: label.into(),
            how,
        }
    }

    /// Changed claims under the original's signature.
    pub(crate) fn tampered() -> Self {
        Self::new("claims changed, signature kept", How::Kept)
    }

    /// Changed claims under a signature that is none: the verifier does not look at it at all.
    pub(crate) fn broken_signature() -> Self {
        Self::new("signature changed", How::Flipped)
    }

    /// A signature of zeros, which an ECDSA verifier accepts that does not look whether its two
    /// numbers lie in their range (CVE-2022-21449).
    pub(crate) fn zeros() -> Self {
        Self::new("a signature of zeros", How::Zeros)
    }

    /// No signature (RFC 7515, section 7.1, demands three parts): an empty third part, then none.
    pub(crate) fn unsigned() -> [Self; 2] {
        [
            Self::new("signature part empty", How::Empty),
            Self::new("signature part dropped", How::Dropped),
        ]
    }

    /// `alg: none` (RFC 7518, section 3.6) in the spellings that block-lists miss.
    pub(crate) fn alg_none() -> Vec<Self> {
        let mut recipes = Vec::new();
        for alg in ["none", "None", "NONE", "nOnE"] {
            recipes.push(Self::new(
                format!("alg `{alg}`, signature part empty"),
                How::Unsigned {
                    alg,
                    tail: Tail::Empty,
                },
            ));
        }
        recipes.push(Self::new(
            "alg `none`, the signature of the original",
            How::Unsigned {
                alg: "none",
                tail: Tail::Original,
            },
        ));
        recipes.push(Self::new(
            "alg `none`, signature part dropped",
            How::Unsigned {
                alg: "none",
                tail: Tail::Dropped,
            },
        ));
        recipes
    }

    /// Signed with `key` by the original's own algorithm and header.
    pub(crate) fn signed(label: impl Into<String>, key: Arc<SigningKey>) -> Self {
        Self::signed_with(label, Vec::new(), key)
    }

    /// Signed with `key` after these members of the header were set.
    pub(crate) fn signed_with(
        label: impl Into<String>,
        header: Vec<(&'static str, serde_json::Value)>,
        key: Arc<SigningKey>,
    ) -> Self {
        Self::new(label, How::Signed { header, key })
    }

    /// The token with these claims; `None` when the key does not fit the algorithm, or when what
    /// would come out is what went in.
    pub(crate) fn forge(&self, claims: &Compact) -> Option<Forged> {
        let (input, original) = (claims.signing_input(), &claims.signature);
        let token = match &self.how {
            How::Kept => format!("{input}.{original}"),
            How::Flipped => {
                let mut bytes = URL_SAFE_NO_PAD.decode(original).ok()?;
                // In the middle: the first bytes of an RSA signature may be padding, and the last
                // base64 character may have bits that decoders drop.
                let middle = bytes.len() / 2;
                *bytes.get_mut(middle)? ^= 0x55;
                format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes))
            }
            How::Zeros => {
                let length = URL_SAFE_NO_PAD.decode(original).ok()?.len();
                format!("{input}.{}", URL_SAFE_NO_PAD.encode(vec![0; length]))
            }
            How::Empty => format!("{input}."),
            How::Dropped => input,
            How::Unsigned { alg, tail } => {
                let input = claims.clone().with_header("alg", *alg).signing_input();
                match tail {
                    Tail::Empty => format!("{input}."),
                    Tail::Dropped => input,
                    Tail::Original => format!("{input}.{original}"),
                }
            }
            How::Signed { header, key } => {
                let mut claims = claims.clone();
                for (name, value) in header {
                    claims = claims.with_header(name, value.clone());
                }
                let signature = key.sign(claims.algorithm(), claims.signing_input().as_bytes())?;
                claims.sealed(&signature)
            }
        };
        Some(Forged {
            label: format!("forged: {}", self.label),
            token: Secret::new(token),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::confusion;
    use crate::forge::public_key::PublicKey;
    use crate::forge::testing::arbitrary_claims;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    /// Every recipe, with the `alg` that its header must say.
    fn recipes(key: &Arc<SigningKey>) -> Vec<(Recipe, Option<&'static str>)> {
        let public = PublicKey::from_jwk(&key.public_jwk().unwrap()).unwrap();
        let mut all = vec![
            (Recipe::tampered(), None),
            (Recipe::broken_signature(), None),
            (Recipe::zeros(), None),
            (Recipe::signed("wrong key", Arc::clone(key)), None),
        ];
        all.extend(Recipe::unsigned().map(|recipe| (recipe, None)));
        all.extend(
            confusion::public_key_as_secret(&public)
                .into_iter()
                .map(|recipe| (recipe, Some("HS256"))),
        );
        all.extend(
            confusion::chosen_by_token("ES256", None)
                .into_iter()
                .map(|recipe| (recipe, None)),
        );
        for recipe in Recipe::alg_none() {
            let alg = ["None", "NONE", "nOnE"]
                .into_iter()
                .find(|alg| recipe.label.contains(alg))
                .unwrap_or("none");
            all.push((recipe, Some(alg)));
        }
        all
    }

    fn decoded(part: &str) -> Map<String, Value> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_forgery_is_never_the_original_and_says_what_it_was_made_to_say(
            claims in arbitrary_claims(),
            marker in "[a-z]{8}",
        ) {
            let issuer = SigningKey::fresh("ES256").unwrap();
            let attacker = Arc::new(SigningKey::fresh("ES256").unwrap());
            let unsigned = Compact {
                header: serde_json::from_str(r#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#).unwrap(),
                claims,
                signature: String::new(),
            };
            let signature = issuer.sign("ES256", unsigned.signing_input().as_bytes()).unwrap();
            let original = unsigned.sealed(&signature);
            let base = Compact::read(&original).unwrap();
            let changed = base.clone().with_claim("cofferdam_marker", marker);
            for (recipe, alg) in recipes(&attacker) {
                let forged = recipe.forge(&changed).unwrap();
                let token = forged.token.reveal();
                prop_assert_ne!(token, &original, "{}", recipe.label);
                prop_assert!(!forged.label.contains(token));
                let mut parts = token.split('.');
                let header = decoded(parts.next().unwrap());
                prop_assert_eq!(&decoded(parts.next().unwrap()), &changed.claims);
                match alg {
                    Some(alg) => prop_assert_eq!(&header["alg"], alg, "{}", recipe.label),
                    None => prop_assert!(header["alg"].is_string()),
                }
                // The issuer's own verifier would refuse each.
                let input = token.rsplit_once('.').unwrap().0;
                prop_assert_ne!(input, base.signing_input());
            }
        }
    }

    #[test]
    fn a_key_that_does_not_fit_makes_no_token() {
        let base = Compact {
            header: serde_json::from_str(r#"{"alg":"RS256"}"#).unwrap(),
            claims: Map::new(),
            signature: "AAAA".to_owned(),
        };
        let key = Arc::new(SigningKey::hmac(*b"secret"));
        assert!(Recipe::signed("x", key).forge(&base).is_none());
    }
}
