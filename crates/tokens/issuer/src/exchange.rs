//! The token endpoint's one grant: token exchange (RFC 8693), for services that act for their
//! callers (feature `serve`).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cofferdam_token::{IssuerPolicy, Verifier};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::mint::Issuer;

/// How long a token that was exchanged lives at most, in seconds.
const LIFETIME: u64 = 300;

/// Claims of the subject's token that are not carried over: they are made anew.
const OWN: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "scope",
    "scp",
    "cnf",
    "act",
];

/// A service that may exchange its callers' tokens.
#[derive(Clone)]
pub struct ExchangeClient {
    id: String,
    secret: String,
    audience: String,
    targets: Vec<String>,
    /// A scope at the service, and one that it stands for at the targets.
    stands_for: Vec<(String, String)>,
}

impl ExchangeClient {
    /// The service `id` with `secret`, whose callers' tokens are for `audience`.
    pub fn new(
        id: impl Into<String>,
        secret: impl Into<String>,
        audience: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            secret: secret.into(),
            audience: audience.into(),
            targets: Vec::new(),
            stands_for: Vec::new(),
        }
    }

    /// Lets it have tokens for another audience.
    #[must_use]
    pub fn target(mut self, audience: impl Into<String>) -> Self {
        self.targets.push(audience.into());
        self
    }

    /// Has the scope `held` of a caller at the service stand for `given` at the targets, which may
    /// call the same right by another name. Without it, a caller gets the scopes that they hold.
    #[must_use]
    pub fn scope(mut self, held: impl Into<String>, given: impl Into<String>) -> Self {
        self.stands_for.push((held.into(), given.into()));
        self
    }
}

impl std::fmt::Debug for ExchangeClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExchangeClient")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Answers a token request: the status, and the document of RFC 8693 §2.2 or RFC 6749 §5.2.
pub(crate) fn answer(
    issuer: &Issuer,
    clients: &[ExchangeClient],
    authorization: Option<&str>,
    form: &[u8],
    now: u64,
) -> (u16, Value) {
    match exchange(issuer, clients, authorization, form, now) {
        Ok(document) => (200, document),
        Err(Refused { status, error }) => (status, json!({ "error": error })),
    }
}

struct Refused {
    status: u16,
    error: &'static str,
}

const fn refused(error: &'static str) -> Refused {
    Refused { status: 400, error }
}

fn exchange(
    issuer: &Issuer,
    clients: &[ExchangeClient],
    authorization: Option<&str>,
    form: &[u8],
    now: u64,
) -> Result<Value, Refused> {
    let client = authorization
        .and_then(|value| authenticate(clients, value))
        .ok_or(Refused {
            status: 401,
            error: "invalid_client",
        })?;
    let form = parse(form).ok_or(refused("invalid_request"))?;
    let field = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map(|(_, v)| v.as_str())
    };
    if field("grant_type") != Some("urn:ietf:params:oauth:grant-type:token-exchange") {
        return Err(refused("unsupported_grant_type"));
    }
    const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
    let subject = field("subject_token").ok_or(refused("invalid_request"))?;
    if field("subject_token_type") != Some(ACCESS_TOKEN) {
        return Err(refused("invalid_request"));
    }
    let audience = field("audience")
        .filter(|audience| client.targets.iter().any(|target| target == audience))
        .ok_or(refused("invalid_target"))?;

    let policy =
        IssuerPolicy::new(issuer.url(), issuer.key_set()).audience(client.audience.as_str());
    let verified = Verifier::new([policy])
        .ok()
        .and_then(|verifier| verifier.verify(subject, now).ok())
        .ok_or(refused("invalid_request"))?;
    let mut scope: Vec<&str> = verified.scopes().iter().collect();
    for (held, given) in &client.stands_for {
        if verified.scopes().contains(held) && !scope.contains(&given.as_str()) {
            scope.push(given);
        }
    }
    // More than the caller has is not given (RFC 8693 §2.1: the server decides).
    if let Some(wanted) = field("scope") {
        scope.retain(|scope| wanted.split(' ').any(|wanted| wanted == *scope));
    }
    let scope = scope.join(" ");
    let claims: Map<String, Value> =
        serde_json::from_str(verified.claims().json()).unwrap_or_default();
    let left = (verified.expires_at() as u64).saturating_sub(now);
    let mut token = issuer
        .token(verified.subject().unwrap_or_default())
        .audience(audience)
        .client(client.id.as_str())
        .claim("act", actor(&client.id, claims.get("act")))
        .lifetime(left.min(LIFETIME));
    if !scope.is_empty() {
        token = token.scope(&scope);
    }
    for (name, value) in claims {
        if !OWN.contains(&name.as_str()) {
            token = token.claim(&name, value);
        }
    }
    let token = token.mint(now).map_err(|_| Refused {
        status: 500,
        error: "server_error",
    })?;
    Ok(json!({
        "access_token": token,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": left.min(LIFETIME),
        "scope": scope,
    }))
}

/// RFC 8693 §4.1: who acts now, and inside of it who acted before.
fn actor(client: &str, before: Option<&Value>) -> Value {
    let mut actor = json!({ "sub": client });
    if let Some(before) = before {
        actor["act"] = before.clone();
    }
    actor
}

/// RFC 6749 §2.3.1: HTTP Basic, both parts form-encoded.
fn authenticate<'c>(clients: &'c [ExchangeClient], value: &str) -> Option<&'c ExchangeClient> {
    let pair = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let (id, secret) = (decode(id)?, decode(secret)?);
    let client = clients.iter().find(|client| client.id == id)?;
    verify_slices_are_equal(client.secret.as_bytes(), secret.as_bytes())
        .is_ok()
        .then_some(client)
}

/// The fields of a form; none where one is not UTF-8 or stands twice.
fn parse(form: &[u8]) -> Option<Vec<(String, String)>> {
    let text = std::str::from_utf8(form).ok()?;
    let mut fields: Vec<(String, String)> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=')?;
        let key = decode(key)?;
        if fields.iter().any(|(other, _)| *other == key) {
            return None;
        }
        fields.push((key, decode(value)?));
    }
    Some(fields)
}

fn decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}
