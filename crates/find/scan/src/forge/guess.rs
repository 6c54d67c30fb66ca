//! Guessing an HMAC secret, offline: the target hears nothing of it.
//!
//! RFC 7518, section 3.2, wants a secret at least as long as the hash; RFC 8725, section 3.5, says
//! what follows from a password in its place. A word list finds those that were left as they stood
//! in a tutorial; a list of millions is for people with a reason to search for hours.

use super::signing_key::SigningKey;
use crate::Secret;
use std::collections::BTreeSet;

/// One word a line, the likeliest first.
const WORDS: &str = include_str!("words.txt");

/// Searches the secret of an HMAC-signed `token` until `enough` says so. `names` are words of the
/// service's own: its title, its issuer, its host. `None` also for a token that is not HMAC-signed.
pub(crate) fn guess(token: &str, names: &[String], enough: impl Fn() -> bool) -> Option<Secret> {
    let (input, signature) = token.rsplit_once('.')?;
    let compact = super::Compact::read(token)?;
    let signature = {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(signature)
            .ok()?
    };
    let algorithm = compact.algorithm();
    if !SigningKey::hmac(*b"x").fits(algorithm) {
        return None;
    }
    for (count, word) in candidates(names).enumerate() {
        // Looking at the clock costs as much as a guess.
        if count % 1024 == 1023 && enough() {
            return None;
        }
        let made = SigningKey::hmac(word.as_bytes()).sign(algorithm, input.as_bytes())?;
        if made == signature {
            return Some(Secret::new(word));
        }
    }
    None
}

/// Every guess in order: the list, the service's own words, both in the dress that people give
/// them, and numbers of up to six digits.
fn candidates(names: &[String]) -> impl Iterator<Item = String> {
    let words = || {
        WORDS
            .lines()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
    };
    let mut own = BTreeSet::new();
    for name in names {
        let lower = name.trim().to_lowercase();
        let joined = |by: &str| lower.split_whitespace().collect::<Vec<_>>().join(by);
        own.extend([name.trim().to_owned(), joined(""), joined("-"), joined("_")]);
        own.extend(
            lower
                .split(|c: char| !c.is_alphanumeric())
                .filter(|part| part.len() > 2)
                .map(str::to_owned),
        );
        own.insert(lower);
    }
    own.remove("");
    let all: Vec<String> = words().chain(own.iter().cloned()).collect();
    let dressed = all
        .clone()
        .into_iter()
        .flat_map(|word| dressed(&word).into_iter());
    let short = (1..=5).flat_map(|width| {
        (0..10_u32.pow(width))
            .map(move |number| format!("{number:0width$}", width = width as usize))
    });
    let six = (0..1_000_000).map(|number| format!("{number:06}"));
    std::iter::once(String::new())
        .chain(all)
        .chain(dressed)
        .chain(short)
        .chain(six)
}

fn dressed(word: &str) -> Vec<String> {
    let mut capital = word.to_owned();
    if let Some(first) = word.get(..1) {
        capital = first.to_uppercase() + &word[1..];
    }
    let mut all = vec![
        capital.clone(),
        word.to_uppercase(),
        format!("my{word}"),
        format!("my-{word}"),
    ];
    for tail in [
        "1",
        "12",
        "123",
        "1234",
        "12345",
        "123456",
        "!",
        "123!",
        "@123",
        "key",
        "_key",
        "-key",
        "secret",
        "_secret",
        "-secret",
        "-secret-key",
        "_secret_key",
        "secretkey",
        "-jwt",
        "_jwt",
        "-jwt-secret",
        "_jwt_secret",
        "jwt",
        "token",
        "password",
        "2023",
        "2024",
        "2025",
        "2026",
    ] {
        all.push(format!("{word}{tail}"));
        all.push(format!("{capital}{tail}"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::Compact;

    fn token(secret: &str, algorithm: &str) -> String {
        let compact = Compact {
            header: [("alg".to_owned(), algorithm.into())].into_iter().collect(),
            claims: serde_json::Map::new(),
            signature: "AA".to_owned(),
        };
        let signature = SigningKey::hmac(secret)
            .sign(algorithm, compact.signing_input().as_bytes())
            .unwrap();
        compact.sealed(&signature)
    }

    #[test]
    fn obvious_secrets_are_found() {
        let names = ["Container Harbor API".to_owned()];
        for secret in [
            "secret",
            "random",
            "secret123",
            "changeme",
            "your-256-bit-secret",
            "containerharborapi",
            "harbor-secret",
            "Harbor123",
            "004711",
            "",
        ] {
            for algorithm in ["HS256", "HS512"] {
                let found = guess(&token(secret, algorithm), &names, || false).unwrap();
                assert_eq!(found.reveal(), secret);
            }
        }
    }

    #[test]
    fn the_search_ends_when_it_is_told_to() {
        let strong = token("R7q!0zWvT3-9mXf2Lk8#pYc5Ns4Hd1Gb6Je", "HS256");
        assert!(guess(&strong, &[], || true).is_none());
    }

    #[test]
    fn the_list_has_no_word_twice() {
        let words: Vec<&str> = WORDS.lines().collect();
        let distinct: BTreeSet<&&str> = words.iter().collect();
        assert_eq!(words.len(), distinct.len());
        assert!(words.len() > 150);
    }
}
