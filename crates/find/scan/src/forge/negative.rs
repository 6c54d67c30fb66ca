//! Exact negatives: claims that are wrong in one point, to be signed with the issuer's own key.

use super::Compact;
use serde_json::{Value, json};

/// How far beyond any sensible leeway ("no more than a few minutes", RFC 9068, section 4) a time is
/// put, in seconds.
const BEYOND_LEEWAY: u64 = 3600;

/// A claim that no service knows, and that every service must therefore ignore (RFC 7519, section
/// 4): it makes claims differ from the original's without changing what they say.
pub(crate) const MARKER: &str = "cofferdam_marker";

/// The claims that everything below departs from: valid now and for twenty minutes at least, marked
/// so that the token is none that the issuer made. `exp` is moved only where the original has it
/// and it is near, and `iat` with it, since some services bound the difference.
pub(crate) fn control(base: &Compact, now: u64, marker: &str) -> Compact {
    let near = base
        .claims
        .get("exp")
        .and_then(Value::as_f64)
        .is_some_and(|exp| exp < (now + 1200) as f64);
    let mut control = base.clone().with_claim(MARKER, marker);
    if near {
        control = control.with_claim("exp", now + BEYOND_LEEWAY);
        if control.claims.contains_key("iat") {
            control = control.with_claim("iat", now);
        }
    }
    control
}

/// Expired an hour ago; what must lie before the end is moved along.
pub(crate) fn expired(control: &Compact, now: u64) -> Compact {
    let mut claims = control.clone().with_claim("exp", now - BEYOND_LEEWAY);
    for name in ["iat", "nbf", "auth_time"] {
        if claims.claims.contains_key(name) {
            claims = claims.with_claim(name, now - 2 * BEYOND_LEEWAY);
        }
    }
    claims
}

/// Valid only in an hour, and until an hour after that.
pub(crate) fn not_yet_valid(control: &Compact, now: u64) -> Compact {
    control
        .clone()
        .with_claim("nbf", now + BEYOND_LEEWAY)
        .with_claim("exp", now + 2 * BEYOND_LEEWAY)
}

/// Made for another service. `None` when the original names no audience.
pub(crate) fn other_audience(control: &Compact, marker: &str) -> Option<Compact> {
    let other = format!("https://{marker}.invalid");
    let value = match control.claims.get("aud")? {
        Value::Array(_) => json!([other]),
        _ => json!(other),
    };
    Some(control.clone().with_claim("aud", value))
}

/// Made by another issuer. `None` when the original names none.
pub(crate) fn other_issuer(control: &Compact, marker: &str) -> Option<Compact> {
    control.claims.get("iss")?;
    let other = format!("https://{marker}.invalid");
    Some(control.clone().with_claim("iss", other))
}

/// With one scope that nothing asks for. `None` when the original has no scopes.
pub(crate) fn other_scope(control: &Compact, marker: &str) -> Option<Compact> {
    control.clone().with_scopes(&[format!("{marker}:nothing")])
}

/// With scopes that hold the original's only as a part of longer words, in three shapes, each with
/// its name. Empty when the original has no scopes.
pub(crate) fn scopes_as_substrings(control: &Compact) -> Vec<(&'static str, Compact)> {
    let Some((_, scopes)) = control.scopes() else {
        return Vec::new();
    };
    let shape = |make: fn(&str) -> String| -> Option<Compact> {
        let changed: Vec<String> = scopes.iter().map(|scope| make(scope)).collect();
        // `a` and `x:a` side by side: the longer form of one may be another of the originals.
        if changed.is_empty() || changed.iter().any(|scope| scopes.contains(scope)) {
            return None;
        }
        control.clone().with_scopes(&changed)
    };
    [
        (
            "a prefix and a suffix around each",
            shape(|scope| format!("x:{scope}-ro")),
        ),
        ("a prefix before each", shape(|scope| format!("x:{scope}"))),
        ("a suffix after each", shape(|scope| format!("{scope}-ro"))),
    ]
    .into_iter()
    .filter_map(|(name, claims)| Some((name, claims?)))
    .collect()
}

/// Bound to a key that the sender does not hold (RFC 9449, section 6.1).
pub(crate) fn bound(control: &Compact) -> Compact {
    // The thumbprint of RFC 7638, section 3.1: a well-formed one, whose private key nobody uses.
    control.clone().with_claim(
        "cnf",
        json!({ "jkt": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::testing::arbitrary_claims;
    use proptest::prelude::*;
    use serde_json::Map;

    fn compact(claims: Map<String, Value>) -> Compact {
        Compact {
            header: Map::new(),
            claims,
            signature: "AAAA".to_owned(),
        }
    }

    const NOW: u64 = 1_800_000_000;

    proptest! {
        #[test]
        fn each_negative_differs_from_the_control_in_its_own_claims_alone(claims in arbitrary_claims()) {
            let control = control(&compact(claims), NOW, "m");
            let changed = |negative: &Compact| -> Vec<String> {
                let mut names: Vec<String> = negative
                    .claims
                    .iter()
                    .filter(|(name, value)| control.claims.get(*name) != Some(value))
                    .map(|(name, _)| name.clone())
                    .collect();
                names.sort();
                prop_assert_eq_len(&control, negative);
                names
            };
            for name in changed(&expired(&control, NOW)) {
                prop_assert!(["exp", "iat", "nbf", "auth_time"].contains(&name.as_str()));
            }
            for name in changed(&not_yet_valid(&control, NOW)) {
                prop_assert!(["exp", "nbf"].contains(&name.as_str()));
            }
            if let Some(negative) = other_audience(&control, "m") {
                prop_assert_eq!(changed(&negative), ["aud"]);
            }
            if let Some(negative) = other_issuer(&control, "m") {
                prop_assert_eq!(changed(&negative), ["iss"]);
            }
            prop_assert_eq!(changed(&bound(&control)), ["cnf"]);
            let originals = control.scopes().map(|(_, scopes)| scopes).unwrap_or_default();
            for (_, negative) in scopes_as_substrings(&control) {
                let (_, scopes) = negative.scopes().unwrap();
                prop_assert!(scopes.iter().all(|scope| !originals.contains(scope)));
                prop_assert!(scopes.iter().all(|scope| originals.iter().any(|o| scope.contains(o))));
            }
        }
    }

    /// A negative may add a claim, never lose one.
    fn prop_assert_eq_len(control: &Compact, negative: &Compact) {
        assert!(
            control
                .claims
                .keys()
                .all(|name| negative.claims.contains_key(name))
        );
    }

    #[test]
    fn a_token_that_is_about_to_expire_gets_an_hour() {
        let claims = |exp: u64| {
            let Value::Object(map) = json!({ "exp": exp }) else {
                unreachable!("an object")
            };
            compact(map)
        };
        assert_eq!(
            control(&claims(NOW + 5), NOW, "m").claims["exp"],
            NOW + 3600
        );
        assert_eq!(
            control(&claims(NOW + 9999), NOW, "m").claims["exp"],
            NOW + 9999
        );
        assert!(
            !control(&compact(Map::new()), NOW, "m")
                .claims
                .contains_key("exp")
        );
    }
}
