//! Whether an answer means *accepted*: judged in this one place, by comparison with the baselines.
//!
//! A status code alone says nothing: a failed login is a 200 with `"status": "fail"`, a 401 stands
//! where 403 is meant, a body is refused before anyone looks at the token. So an answer to a probe
//! is *accepted* when it is like the valid identity's answer and unlike the answers to no token and
//! to a garbage one, and nothing is said where those do not differ.

use crate::{Baseline, Exchange, Protection, Response};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What an answer to a probe means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The probe was treated like the valid identity's request.
    Accepted,
    /// It was refused, like the request without a token.
    Refused,
    /// Nothing can be said, and why: a public operation, no valid baseline, no answer.
    Unclear(String),
}

impl Verdict {
    /// Whether it is [`Verdict::Accepted`].
    pub fn accepted(&self) -> bool {
        *self == Verdict::Accepted
    }

    /// Whether it is [`Verdict::Refused`].
    pub fn refused(&self) -> bool {
        *self == Verdict::Refused
    }
}

/// How like two answers must be to count as the same treatment.
const ALIKE: f64 = 0.8;

/// Judges the answer to a probe of the operation that `baseline` is about.
pub(crate) fn judge(baseline: &Baseline, probe: &Exchange) -> Verdict {
    let unclear = |reason: &str| Verdict::Unclear(reason.to_owned());
    let accepted = match &baseline.protection {
        Protection::Public => return unclear("public: it answers anyone"),
        Protection::Unknown(reason) => return unclear(reason),
        Protection::Protected(who) | Protection::AnyToken(who) => who,
    };
    let response = match &probe.outcome {
        Ok(response) => response,
        Err(failure) => return Verdict::Unclear(failure.to_string()),
    };
    let valid: Vec<View<'_>> = accepted
        .iter()
        .filter_map(|who| View::of(baseline.valid.get(*who)?.as_ref()))
        .collect();
    let Some(best) = valid.first() else {
        return unclear("no valid answer to compare with");
    };
    let probe = View::new(probe, response);
    if probe.status != best.status && (probe.status == 429 || probe.status >= 500) {
        return Verdict::Unclear(format!("answered {}", probe.status));
    }
    if probe.status / 100 != best.status / 100 || (probe.error && !best.error) {
        return Verdict::Refused;
    }
    let to_valid = valid
        .iter()
        .map(|view| probe.likeness(view))
        .fold(0.0, f64::max);
    let mut refusing = vec![&baseline.anonymous];
    if matches!(baseline.protection, Protection::Protected(_)) {
        refusing.push(&baseline.garbage);
    }
    let to_refused = refusing
        .into_iter()
        .filter_map(|exchange| View::of(exchange.as_ref()))
        .map(|view| probe.likeness(&view))
        .fold(0.0, f64::max);
    // A refusal and an answer that are alike in all but their text leave nothing to decide by.
    if (to_valid - to_refused).abs() < 0.05 {
        unclear("the answer is as much like a refusal as like an acceptance")
    } else if to_valid > to_refused {
        Verdict::Accepted
    } else {
        Verdict::Refused
    }
}

/// How an operation treats who has no valid token, from its baseline answers.
pub(crate) fn classify(
    anonymous: &Arc<Exchange>,
    garbage: Option<&Arc<Exchange>>,
    valid: &[Option<Arc<Exchange>>],
) -> Protection {
    let unknown = |reason: String| Protection::Unknown(reason);
    let Some(open) = View::of(Some(anonymous)) else {
        return unknown(match &anonymous.outcome {
            Err(failure) => failure.to_string(),
            Ok(_) => String::new(),
        });
    };
    let views: Vec<(usize, View<'_>)> = valid
        .iter()
        .enumerate()
        .filter_map(|(who, exchange)| Some((who, View::of(exchange.as_ref())?)))
        .collect();
    if views.is_empty() {
        return if open.welcome() {
            Protection::Public
        } else if valid.is_empty() {
            unknown(format!(
                "answered {} without a token, and there is no identity",
                open.status
            ))
        } else {
            unknown("no answer to a valid token".to_owned())
        };
    }
    // Who got what was asked for counts; where nobody did, who got past the token (`no such
    // object` in place of `who are you`) shows at least that the token is looked at.
    let mut let_in: Vec<usize> = views
        .iter()
        .filter(|(_, view)| view.welcome())
        .map(|(who, _)| *who)
        .collect();
    let welcomed = !let_in.is_empty();
    if !welcomed {
        let past = |view: &View<'_>| matches!(view.status, 400 | 404 | 409 | 410 | 415 | 422);
        let_in = views
            .iter()
            .filter(|(_, view)| past(view) && view.status != open.status)
            .map(|(who, _)| *who)
            .collect();
    }
    if let_in.is_empty() {
        let telling = views
            .iter()
            .map(|(_, view)| view.status)
            .find(|status| *status != open.status);
        return unknown(match telling {
            Some(status) => format!("answered {status} to a valid token"),
            None => format!("answered {} to everyone", open.status),
        });
    }
    let same_as_valid = |view: &View<'_>| {
        views
            .iter()
            .filter(|(who, _)| let_in.contains(who))
            .any(|(_, valid)| view.error == valid.error && view.likeness(valid) >= ALIKE)
    };
    if open.welcome() || same_as_valid(&open) {
        return Protection::Public;
    }
    match garbage.map(|exchange| View::of(Some(exchange))) {
        // Where nobody got what was asked for, like answers show no more than that the request was
        // judged before the token: `no such thing`, or `that name is taken` from the second on.
        Some(Some(garbage)) if same_as_valid(&garbage) && !welcomed => unknown(
            "a valid token and a garbage one are answered alike, and neither is served".to_owned(),
        ),
        Some(Some(garbage)) if same_as_valid(&garbage) => Protection::AnyToken(let_in),
        Some(None) => unknown("no answer to a garbage token".to_owned()),
        _ => Protection::Protected(let_in),
    }
}

/// Whether an answer gives what was asked for: 2xx or 3xx to its own place, and no error in
/// disguise.
pub(crate) fn welcome(exchange: &Exchange) -> bool {
    exchange
        .response()
        .is_some_and(|response| View::new(exchange, response).welcome())
}

/// How alike two answers are, from 0 to 1; 0 when either is missing.
pub(crate) fn likeness(a: &Exchange, b: &Exchange) -> f64 {
    match (a.response(), b.response()) {
        (Some(x), Some(y)) => View::new(a, x).likeness(&View::new(b, y)),
        _ => 0.0,
    }
}

/// What of an answer is compared.
struct View<'a> {
    status: u16,
    media: String,
    body: &'a [u8],
    kind: &'static str,
    keys: BTreeSet<String>,
    error: bool,
    login: bool,
}

impl<'a> View<'a> {
    fn of(exchange: Option<&'a Arc<Exchange>>) -> Option<Self> {
        let exchange = exchange?;
        Some(Self::new(exchange, exchange.response()?))
    }

    fn new(exchange: &'a Exchange, response: &'a Response) -> Self {
        let media = response.media_type();
        let mut keys = BTreeSet::new();
        let json = exchange.json();
        let kind = match json {
            Some(value) => {
                collect_keys(value, "", 0, &mut keys);
                match value {
                    Value::Object(_) => "object",
                    Value::Array(_) => "array",
                    _ => "scalar",
                }
            }
            None if response.body.is_empty() => "empty",
            None => {
                collect_words(&response.body, &mut keys);
                "text"
            }
        };
        let location = response
            .header("location")
            .unwrap_or_default()
            .to_ascii_lowercase();
        let login = (300..400).contains(&response.status)
            && ["login", "signin", "sign-in", "auth", "sso"]
                .iter()
                .any(|word| location.contains(word));
        let error = media == "application/problem+json"
            || match json {
                Some(value) => says_error(value),
                None => text_says_error(&response.body),
            };
        Self {
            status: response.status,
            media,
            body: &response.body,
            kind,
            keys,
            error,
            login,
        }
    }

    fn welcome(&self) -> bool {
        (200..400).contains(&self.status) && !self.error && !self.login
    }

    /// How alike two answers are: status, media type, JSON kind, key set, whether it says that it
    /// is an error, and length, each with its weight.
    fn likeness(&self, other: &Self) -> f64 {
        if self.status == other.status && self.body == other.body {
            return 1.0;
        }
        let mut score = 0.0;
        // 200 and 201 are nearly the same, 401 and 404 are not.
        let both_fine = self.status < 300 && other.status < 300;
        score += match (self.status == other.status, both_fine) {
            (true, _) => 0.35,
            (false, true) => 0.2,
            _ => 0.0,
        };
        score += if self.media == other.media { 0.1 } else { 0.0 };
        score += if self.kind == other.kind { 0.1 } else { 0.0 };
        score += if self.error == other.error && self.login == other.login {
            0.15
        } else {
            0.0
        };
        score += 0.25 * jaccard(&self.keys, &other.keys);
        let (short, long) = {
            let (a, b) = (self.body.len() as f64, other.body.len() as f64);
            (a.min(b), a.max(b))
        };
        score += 0.05 * if long == 0.0 { 1.0 } else { short / long };
        score
    }
}

fn jaccard(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    if a.is_empty() && b.is_empty() {
        return 1.0;
    }
    let both = a.intersection(b).count() as f64;
    both / (a.len() + b.len()) as f64 * 2.0
}

/// The key paths of a JSON value. Elements of a list share theirs, so lists of different length
/// have the same shape; an empty list has the shape of its name.
fn collect_keys(value: &Value, path: &str, depth: u32, keys: &mut BTreeSet<String>) {
    if depth > 3 || keys.len() > 200 {
        return;
    }
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                let path = format!("{path}.{name}");
                collect_keys(inner, &path, depth + 1, keys);
                keys.insert(path);
            }
        }
        Value::Array(list) => {
            for inner in list.iter().take(10) {
                collect_keys(inner, path, depth + 1, keys);
            }
        }
        _ => {}
    }
}

fn collect_words(body: &[u8], words: &mut BTreeSet<String>) {
    let head = String::from_utf8_lossy(&body[..body.len().min(4096)]);
    words.extend(
        head.split(|c: char| !c.is_alphanumeric())
            .filter(|word| word.len() > 2)
            .take(200)
            .map(str::to_lowercase),
    );
}

/// Words of a refusal. Only short texts are searched for them: a document may speak of anything.
const REFUSALS: [&str; 14] = [
    "unauthorized",
    "unauthorised",
    "not authorized",
    "not authorised",
    "forbidden",
    "access denied",
    "permission denied",
    "invalid token",
    "token is missing",
    "missing token",
    "token has expired",
    "not authenticated",
    "authentication required",
    "please log in",
];

fn speaks_refusal(text: &str) -> bool {
    let lower = text.to_lowercase();
    lower.len() < 600 && REFUSALS.iter().any(|words| lower.contains(words))
}

fn says_error(value: &Value) -> bool {
    let Some(map) = value.as_object() else {
        return false;
    };
    let set = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Bool(true) => true,
    };
    for (name, value) in map {
        let name = name.to_ascii_lowercase();
        let found = match name.as_str() {
            "error" | "errors" | "exception" => set(value),
            "status" | "result" => value.as_str().is_some_and(|text| {
                matches!(
                    text.to_ascii_lowercase().as_str(),
                    "fail"
                        | "failed"
                        | "failure"
                        | "error"
                        | "denied"
                        | "unauthorized"
                        | "forbidden"
                )
            }),
            "success" | "ok" | "authenticated" | "authorized" => *value == Value::Bool(false),
            "code" | "statuscode" | "status_code" => value
                .as_u64()
                .is_some_and(|code| (400..600).contains(&code)),
            "message" | "detail" | "msg" | "reason" => {
                map.len() <= 4 && value.as_str().is_some_and(speaks_refusal)
            }
            _ => false,
        };
        if found {
            return true;
        }
    }
    false
}

fn text_says_error(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&body[..body.len().min(16 * 1024)]);
    let lower = text.to_lowercase();
    // A page that asks for a password is no answer to what was asked.
    speaks_refusal(&text)
        || lower.contains("type=\"password\"")
        || lower.contains("type='password'")
}

#[cfg(test)]
mod tests;
