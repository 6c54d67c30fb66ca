//! Secrets out of everything that is kept: requests, answers, texts.
//!
//! What is known to be secret (the identities' tokens, every made token, the signing key) is
//! replaced wherever it stands, also percent-encoded, escaped in JSON, or inside base64. What looks
//! like a secret (a JWT, a private key, a member called `password`) is replaced, too.

mod needle;
mod patterns;

use crate::text::{boundary, head};
use crate::{Exchange, Identity, Response, Sent};
use cofferdam_finding::{Evidence, RequestRecord, ResponseRecord};
use needle::Index;
use std::sync::{PoisonError, RwLock};

/// Bytes of a body that a report keeps.
const KEPT: usize = 4096;
/// Bytes of a body that are looked at on each side of the telling part.
const WINDOW: usize = 48 * 1024;
/// Bytes at a cut edge that are dropped again, since a secret may be cut in two there.
const MARGIN: usize = 16 * 1024;
/// Made tokens that are remembered; then all of them are forgotten, and it begins anew.
const REMEMBERED: usize = 65_536;
/// Shorter texts are no secrets but words.
const SHORTEST: usize = 6;

/// Knows the secrets of one scan.
#[derive(Default)]
pub(crate) struct Redactor {
    own: Index,
    made: RwLock<Index>,
}

impl Redactor {
    pub(crate) fn new(identities: &[Identity], signing_key: Option<&str>) -> Self {
        let mut own = Index::default();
        for identity in identities {
            let label = format!("[token of {}]", identity.name);
            insert(&mut own, identity.token.reveal(), &label);
        }
        if let Some(key) = signing_key {
            insert(&mut own, key.trim(), "[signing key]");
            if let Ok(serde_json::Value::Object(jwk)) = serde_json::from_str(key) {
                for member in ["k", "d", "p", "q", "dp", "dq", "qi"] {
                    if let Some(text) = jwk.get(member).and_then(serde_json::Value::as_str) {
                        insert(&mut own, text, "[signing key]");
                    }
                }
            }
            for line in key.lines().filter(|line| !line.starts_with("-----")) {
                insert(&mut own, line.trim(), "[signing key]");
            }
        }
        Self {
            own,
            made: RwLock::default(),
        }
    }

    /// Remembers a made token.
    pub(crate) fn learn(&self, token: &str) {
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= REMEMBERED {
            *made = Index::default();
        }
        insert(&mut made, token, "[made token]");
    }

    /// Remembers a whole field value: its longest word is the token.
    pub(crate) fn learn_field(&self, value: &str) {
        if let Some(word) = value.split_ascii_whitespace().max_by_key(|word| word.len()) {
            self.learn(word);
        }
        self.learn(value.trim());
    }

    /// The text with every secret replaced.
    pub(crate) fn text(&self, text: &str) -> String {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        let known = [&self.own, &*made];
        let text = needle::replace(text, &known);
        let text = needle::replace_in_base64(&text, &known);
        patterns::replace(&text)
    }

    /// Evidence from an exchange. The bodies are cut around `telling`, or to their beginning.
    pub(crate) fn evidence(
        &self,
        shows: String,
        exchange: &Exchange,
        telling: Option<&str>,
    ) -> Evidence {
        Evidence {
            shows: self.text(&shows),
            identity: Some(self.text(&exchange.who)),
            request: Some(self.request(&exchange.sent)),
            response: exchange
                .response()
                .map(|response| self.response(response, telling)),
            source: None,
            observed: match (&exchange.outcome, telling) {
                (_, Some(telling)) => Some(shorten(&self.text(telling), telling.len().min(600))),
                (Err(failure), None) => Some(failure.to_string()),
                (Ok(_), None) => None,
            },
        }
    }

    fn request(&self, sent: &Sent) -> RequestRecord {
        RequestRecord {
            method: sent.method.clone(),
            target: self.text(&sent.target),
            headers: sent
                .headers
                .iter()
                .map(|(name, value)| self.field(name, value))
                .collect(),
            body: self.body(&sent.body, None),
        }
    }

    fn response(&self, response: &Response, telling: Option<&str>) -> ResponseRecord {
        ResponseRecord {
            status: response.status,
            headers: response
                .headers
                .iter()
                .map(|(name, value)| self.field(name.as_str(), value.as_bytes()))
                .collect(),
            body: self.body(&response.body, telling),
            length: response.length,
        }
    }

    fn field(&self, name: &str, value: &[u8]) -> (String, String) {
        let raw = String::from_utf8_lossy(value);
        let raw = head(&raw, WINDOW);
        let clean = self.text(raw);
        let clean = match name {
            "authorization" | "proxy-authorization" => credential(&clean),
            "cookie" => clean
                .split(';')
                .map(|pair| assigned(pair, 0))
                .collect::<Vec<_>>()
                .join(";"),
            "set-cookie" => clean
                .split(';')
                .enumerate()
                .map(|(index, part)| assigned(part, index))
                .collect::<Vec<_>>()
                .join(";"),
            name if patterns::is_secret_name(name) && !clean.starts_with('[') => {
                "[redacted]".to_owned()
            }
            _ => clean,
        };
        (name.to_owned(), shorten(&clean, 1024))
    }

    /// A body, redacted, at most [`KEPT`] bytes of it, around `telling`.
    fn body(&self, body: &[u8], telling: Option<&str>) -> String {
        let text = String::from_utf8_lossy(body);
        let at = telling.and_then(|part| text.find(part)).unwrap_or(0);
        let start = boundary(&text, at.saturating_sub(WINDOW));
        let end = boundary(&text, at.saturating_add(WINDOW));
        let clean = self.text(&text[start..end]);
        let low = if start > 0 { MARGIN } else { 0 };
        let high = if end < text.len() { MARGIN } else { 0 };
        let low = boundary(&clean, low);
        let high = boundary(&clean, clean.len().saturating_sub(high)).max(low);
        let clean_telling = telling.map(|part| self.text(part));
        around(
            &clean[low..high],
            clean_telling.as_deref(),
            low > 0,
            high < clean.len(),
        )
    }
}

/// Adds the whole of a secret, and for a JWT its signature alone: what else stands in it is no secret
/// but the signature makes it one.
fn insert(index: &mut Index, secret: &str, label: &str) {
    if secret.len() < SHORTEST {
        return;
    }
    index.insert(secret, label);
    if secret.matches('.').count() == 2
        && let Some((_, signature)) = secret.rsplit_once('.')
        && signature.len() >= 16
    {
        index.insert(signature, "[signature]");
    }
}

/// An `Authorization` value: the scheme stays, what follows does not, unless it is a placeholder.
fn credential(value: &str) -> String {
    match value.split_once(' ') {
        Some((scheme, rest)) if !rest.is_empty() => {
            let rest = rest.trim();
            if rest.starts_with('[') && rest.ends_with(']') {
                format!("{scheme} {rest}")
            } else {
                format!("{scheme} [redacted]")
            }
        }
        _ if value.starts_with('[') && value.ends_with(']') => value.to_owned(),
        _ if value.len() < SHORTEST + 2 => value.to_owned(),
        _ => "[redacted]".to_owned(),
    }
}

/// `name=value` with the value replaced, when it is the first part of a cookie.
fn assigned(part: &str, index: usize) -> String {
    match part.split_once('=') {
        Some((name, value)) if index == 0 && !value.is_empty() => format!("{name}=[redacted]"),
        _ => part.to_owned(),
    }
}

fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit.max(16) {
        return text.to_owned();
    }
    format!("{}…", head(text, limit.max(16)))
}

/// At most [`KEPT`] bytes of `text` around `telling`, with `…` where something was cut.
fn around(text: &str, telling: Option<&str>, cut_before: bool, cut_after: bool) -> String {
    let at = telling
        .filter(|part| !part.is_empty())
        .and_then(|part| text.find(part))
        .unwrap_or(0);
    let start = if at + 512 < KEPT {
        0
    } else {
        at.saturating_sub(KEPT / 2)
    };
    let start = boundary(text, start);
    let end = boundary(text, start + KEPT);
    let mut kept = String::new();
    if start > 0 || cut_before {
        kept.push('…');
    }
    kept.push_str(&text[start..end]);
    if end < text.len() || cut_after {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    fn redactor(token: &str) -> Redactor {
        Redactor::new(&[Identity::new("alice", token)], None)
    }

    #[test]
    fn a_reader_sees_whose_token_it_was() {
        let redactor = redactor("opaque-token-1");
        assert_eq!(
            redactor.text(r#"{"echo":"opaque-token-1"}"#),
            r#"{"echo":"[token of alice]"}"#
        );
        assert_eq!(
            redactor.field("authorization", b"Bearer opaque-token-1").1,
            "Bearer [token of alice]"
        );
        assert_eq!(
            redactor.field("cookie", b"a=1; b=2").1,
            "a=[redacted]; b=[redacted]"
        );
        assert_eq!(
            redactor.field("set-cookie", b"sid=abc; Path=/; HttpOnly").1,
            "sid=[redacted]; Path=/; HttpOnly"
        );
        assert_eq!(redactor.field("x-api-key", b"12345").1, "[redacted]");
    }

    #[test]
    fn a_long_body_is_kept_around_the_telling_part() {
        let redactor = redactor("opaque-token-1");
        let body = format!("{}CANARY{}", "a ".repeat(100_000), "b ".repeat(100_000));
        let kept = redactor.body(body.as_bytes(), Some("CANARY"));
        assert!(
            kept.contains("CANARY") && kept.len() < KEPT + 10,
            "{}",
            kept.len()
        );
        assert!(kept.starts_with('…') && kept.ends_with('…'));
    }

    #[test]
    fn the_signing_key_never_shows() {
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----\n";
        let redactor = Redactor::new(&[], Some(pem));
        assert!(!redactor.text(&format!("x{pem}y")).contains("MC4CAQ"));
        assert!(
            !redactor
                .text("x MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF y")
                .contains("MC4CAQ")
        );
    }

    proptest! {
        #[test]
        fn no_token_survives_in_any_form(
            token in "[A-Za-z0-9_-]{12,40}(\\.[A-Za-z0-9_-]{12,40}\\.[A-Za-z0-9_-]{20,60})?",
            before in "[ -~]{0,30}",
            after in "[ -~]{0,30}",
            form in 0..7usize,
        ) {
            let hidden = match form {
                0 => token.clone(),
                1 => token.bytes().map(|byte| format!("%{byte:02x}")).collect(),
                2 => token.bytes().map(|byte| format!("\\u{byte:04X}")).collect(),
                3 => STANDARD.encode(format!("{before}{token}")),
                4 => URL_SAFE_NO_PAD.encode(format!("xx{token}{after}")),
                5 => token.replace('.', "%2E"),
                _ => STANDARD.encode(STANDARD.encode(&token)),
            };
            // What is encoded stands apart from what surrounds it, as it does in real answers.
            let text = format!("{before} {hidden} {after}");
            let clean = redactor(&token).text(&text);
            let signature = token.rsplit('.').next().unwrap();
            prop_assert!(!clean.contains(&token) && !clean.contains(signature), "{clean}");
            prop_assert!(!clean.contains(&hidden), "{clean}");
        }

        #[test]
        fn a_token_of_any_characters_goes(token in "[^\\s\\[\\]%\\\\]{8,20}", around in "\\PC{0,20}") {
            let clean = redactor(&token).text(&format!("{around} {token} {around}"));
            prop_assert!(!clean.contains(&token) || around.contains(&token), "{clean}");
        }

        #[test]
        fn any_text_can_be_redacted(text in "\\PC{0,200}") {
            let _ = redactor("opaque-token-1").text(&text);
            let _ = redactor("opaque-token-1").body(text.as_bytes(), Some("a"));
        }
    }
}
