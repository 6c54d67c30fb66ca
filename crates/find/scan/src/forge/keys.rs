//! What the forge of one scan knows: the tokens to start from, and the keys that there are.

use super::guess::guess;
use super::public_key::PublicKey;
use super::signing_key::{NamedKey, SigningKey};
use super::{Case, Compact, Forged, Recipe, ask};
use crate::client::lock;
use crate::inventory;
use crate::run::Stop;
use crate::{
    Auth, Context, Exchange, Halt, Identity, Operation, Request, Secret, SpecSource, Target,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::OnceCell;

/// How long an HMAC secret is searched for at most. Offline, on one core; a list that is gone through
/// sooner ends it.
const GUESSING: Duration = Duration::from_secs(10);

/// The forge of one scan. What costs time or requests is done once, when it is first asked for.
pub(crate) struct Forge {
    /// Text that occurs nowhere else; the same in the whole scan, so that the same forgery is the
    /// same request and is answered from memory.
    pub(crate) marker: String,
    tokens: Vec<Option<Compact>>,
    public: OnceCell<Vec<PublicKey>>,
    guessed: OnceCell<Option<Secret>>,
    signing: OnceCell<Result<Vec<Signing>, String>>,
    malformed: PerOperation<Option<Malformed>>,
    tampered: PerOperation<bool>,
    unsigned: PerOperation<bool>,
    controls: PerOperation<Arc<Result<Control, String>>>,
    fresh: Mutex<BTreeMap<String, Option<Arc<SigningKey>>>>,
}

/// Tells the search for a secret that nobody waits for it any more.
#[derive(Default)]
struct Left(Arc<AtomicBool>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What is asked of each operation once, however many checks want to know at the same time.
struct PerOperation<T>(Mutex<BTreeMap<usize, Arc<OnceCell<T>>>>);

impl<T> PerOperation<T> {
    fn of(&self, operation: &Operation) -> Arc<OnceCell<T>> {
        Arc::clone(lock(&self.0).entry(operation.index).or_default())
    }
}

impl<T> Default for PerOperation<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// A value that is no token and was accepted in place of one.
#[derive(Clone)]
pub(crate) struct Malformed {
    /// What it looks like.
    pub(crate) label: &'static str,
    /// The answer.
    pub(crate) exchange: Arc<Exchange>,
}

/// A key that may be the issuer's.
#[derive(Clone)]
pub(crate) struct Signing {
    pub(crate) key: Arc<SigningKey>,
    kid: Option<String>,
}

impl Forge {
    /// A forge for these identities; `marker` is text that occurs nowhere else.
    pub(crate) fn new(identities: &[Identity], marker: String) -> Self {
        Self {
            marker,
            tokens: identities
                .iter()
                .map(|identity| Compact::read(identity.token.reveal()))
                .collect(),
            public: OnceCell::new(),
            guessed: OnceCell::new(),
            signing: OnceCell::new(),
            malformed: PerOperation::default(),
            tampered: PerOperation::default(),
            unsigned: PerOperation::default(),
            controls: PerOperation::default(),
            fresh: Mutex::default(),
        }
    }

    /// The token of the identity `who`, taken apart; `None` when it is no JWT.
    pub(crate) fn compact(&self, who: usize) -> Option<&Compact> {
        self.tokens.get(who)?.as_ref()
    }

    /// Whether any identity's token is a JWT.
    pub(crate) fn has_jwt(&self) -> bool {
        self.tokens.iter().any(Option::is_some)
    }

    /// The first value without any issuer behind it that a protected operation accepts in place of
    /// a token.
    pub(crate) async fn malformed(
        &self,
        cx: &Context,
        operation: &Operation,
        who: usize,
    ) -> Result<Option<Malformed>, Halt> {
        let cell = self.malformed.of(operation);
        let found = cell.get_or_try_init(|| async {
            for (label, value) in shapes(&self.marker) {
                let forged = Forged {
                    label: format!("malformed: {label}"),
                    token: Secret::new(value),
                };
                let (verdict, exchange) = ask::ask(cx, operation, who, &forged).await?;
                if let (true, Some(exchange)) = (verdict.accepted(), exchange) {
                    return Ok(Some(Malformed { label, exchange }));
                }
            }
            Ok::<_, Halt>(None)
        });
        Ok(found.await?.clone())
    }

    /// Whether an operation accepts changed claims under the signature of the original, or at least
    /// does not refuse them: where it fails, nothing is known of how it verifies.
    pub(crate) async fn takes_tampered(&self, cx: &Context, case: &Case<'_>) -> Result<bool, Halt> {
        let cell = self.tampered.of(case.operation);
        let taken = cell.get_or_try_init(|| async {
            match Recipe::tampered().forge(&case.marked(cx)) {
                Some(forged) => Ok(!case.ask(cx, &forged).await?.0.refused()),
                None => Ok::<_, Halt>(false),
            }
        });
        Ok(*taken.await?)
    }

    /// Whether an operation accepts changed claims under no signature at all.
    pub(crate) async fn takes_unsigned(&self, cx: &Context, case: &Case<'_>) -> Result<bool, Halt> {
        let cell = self.unsigned.of(case.operation);
        let taken = cell.get_or_try_init(|| async {
            for recipe in Recipe::unsigned() {
                if let Some(forged) = recipe.forge(&case.marked(cx))
                    && case.ask(cx, &forged).await?.0.accepted()
                {
                    return Ok(true);
                }
            }
            Ok::<_, Halt>(false)
        });
        Ok(*taken.await?)
    }

    /// A key of the kind that `algorithm` needs, which nobody else knows; the same in the whole
    /// scan.
    pub(crate) fn fresh(&self, algorithm: &str) -> Option<Arc<SigningKey>> {
        lock(&self.fresh)
            .entry(algorithm.to_owned())
            .or_insert_with(|| SigningKey::fresh(algorithm).map(Arc::new))
            .clone()
    }

    /// Now in seconds since 1970, at most ten minutes late: rounded, so that what is made from it
    /// does not change from one check to the next.
    pub(crate) fn now() -> u64 {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        now.as_secs() / 600 * 600
    }

    /// The issuer's public keys: those that the user gave, the public half of the signing key, and
    /// those that the target itself publishes.
    pub(crate) async fn public_keys(&self, cx: &Context) -> Result<&[PublicKey], Halt> {
        let keys = self
            .public
            .get_or_try_init(|| async {
                let mut keys = Vec::new();
                let mut add = |found: Vec<PublicKey>| {
                    for key in found {
                        if !keys.contains(&key) {
                            keys.push(key);
                        }
                    }
                };
                if let Some(source) = &cx.options().jwks {
                    add(PublicKey::from_set(&given(cx, source).await?));
                }
                for signing in self.signing_keys(cx).await.unwrap_or_default() {
                    add(signing.public().into_iter().collect());
                }
                for set in published(cx).await? {
                    add(PublicKey::from_set(&set));
                }
                Ok::<_, Halt>(keys)
            })
            .await?;
        Ok(keys)
    }

    /// The HMAC secret of the identities' tokens, when it could be guessed.
    pub(crate) async fn guessed(&self, cx: &Context) -> Option<Secret> {
        self.guessed
            .get_or_init(|| async {
                let token = cx
                    .identities()
                    .iter()
                    .zip(&self.tokens)
                    .find(|(_, compact)| {
                        compact
                            .as_ref()
                            .is_some_and(|compact| compact.algorithm().starts_with("HS"))
                    })?
                    .0
                    .token
                    .clone();
                let names = self.own_names(cx);
                let deadline = Instant::now() + GUESSING;
                // Set when this future is dropped, as it is when the scan is interrupted: a runtime
                // that ends waits for its blocking tasks.
                let left = Left::default();
                let gone = Arc::clone(&left.0);
                let enough = move || gone.load(Ordering::Relaxed) || Instant::now() >= deadline;
                // Computing for seconds would hold up every other task of the runtime.
                tokio::task::spawn_blocking(move || guess(token.reveal(), &names, enough))
                    .await
                    .ok()
                    .flatten()
            })
            .await
            .clone()
    }

    /// The keys that may be the issuer's: the user's, else the guessed secret.
    ///
    /// # Errors
    /// Why there is none, as a fragment.
    pub(crate) async fn signing_keys(&self, cx: &Context) -> Result<&[Signing], &str> {
        let keys = self
            .signing
            .get_or_init(|| async {
                if let Some(text) = &cx.options().signing_key {
                    let keys =
                        SigningKey::parse(text.reveal()).map_err(|error| error.to_string())?;
                    return Ok(keys.into_iter().map(Signing::new).collect());
                }
                match self.guessed(cx).await {
                    Some(secret) => Ok(vec![Signing {
                        key: Arc::new(SigningKey::hmac(secret.reveal())),
                        kid: None,
                    }]),
                    None => Err("no --signing-key".to_owned()),
                }
            })
            .await;
        match keys {
            Ok(keys) => Ok(keys),
            Err(reason) => Err(reason),
        }
    }

    /// The key that signs like the issuer of the case's token, and shows it: a *control*, the same
    /// claims signed again, is accepted.
    pub(crate) async fn control(
        &self,
        cx: &Context,
        case: &Case<'_>,
    ) -> Result<Arc<Result<Control, String>>, Halt> {
        let cell = self.controls.of(case.operation);
        let control = cell.get_or_try_init(|| async {
            Ok::<_, Halt>(Arc::new(self.try_control(cx, case).await?))
        });
        Ok(Arc::clone(control.await?))
    }

    async fn try_control(
        &self,
        cx: &Context,
        case: &Case<'_>,
    ) -> Result<Result<Control, String>, Halt> {
        let keys = match self.signing_keys(cx).await {
            Ok(keys) => keys,
            Err(reason) => return Ok(Err(reason.to_owned())),
        };
        let algorithm = case.token.algorithm();
        let own_kid = case.token.header.get("kid").and_then(Value::as_str);
        let mut fitting: Vec<&Signing> =
            keys.iter().filter(|key| key.key.fits(algorithm)).collect();
        fitting.sort_by_key(|key| key.kid.as_deref() != own_kid);
        let Some(first) = keys.first() else {
            return Ok(Err("no --signing-key".to_owned()));
        };
        if fitting.is_empty() {
            return Ok(Err(format!(
                "the signing key is {} and the tokens are signed with {}",
                first.key.kind(),
                cx.redact(algorithm)
            )));
        }
        let claims = super::negative::control(case.token, Self::now(), &self.marker);
        for signing in fitting.into_iter().take(3) {
            let recipe = signing.recipe("signed again with the signing key", own_kid);
            let Some(forged) = recipe.forge(&claims) else {
                continue;
            };
            let (verdict, exchange) = case.ask(cx, &forged).await?;
            if let (true, Some(exchange)) = (verdict.accepted(), exchange) {
                return Ok(Ok(Control {
                    claims,
                    signing: signing.clone(),
                    own_kid: own_kid.map(str::to_owned),
                    exchange,
                }));
            }
        }
        Ok(Err(
            "a token signed again with the signing key is refused: it is not the issuer's key"
                .to_owned(),
        ))
    }

    /// Words of the service's own that may be its secret: title, host, issuer and audience.
    fn own_names(&self, cx: &Context) -> Vec<String> {
        let mut names = vec![cx.options().base.host().to_owned()];
        if let Some(SpecSource::File { text, .. }) = &cx.options().spec {
            names.extend(title(text));
        }
        for compact in self.tokens.iter().flatten() {
            for claim in ["iss", "aud", "azp", "client_id"] {
                if let Some(text) = compact.claims.get(claim).and_then(Value::as_str) {
                    names.push(text.chars().take(80).collect());
                }
            }
        }
        names.sort();
        names.dedup();
        names
    }
}

/// A control that was accepted, and what it was made with.
pub(crate) struct Control {
    /// Its claims.
    pub(crate) claims: Compact,
    signing: Signing,
    own_kid: Option<String>,
    /// The answer to it.
    pub(crate) exchange: Arc<Exchange>,
}

impl Control {
    /// Signs other claims as the control was signed.
    pub(crate) fn recipe(&self, label: impl Into<String>) -> Recipe {
        self.signing.recipe(label, self.own_kid.as_deref())
    }
}

impl Signing {
    fn new(named: NamedKey) -> Self {
        Self {
            key: Arc::new(named.key),
            kid: named.kid,
        }
    }

    /// Signs under the token's own `kid`, or under the key's where it has another one.
    fn recipe(&self, label: impl Into<String>, own_kid: Option<&str>) -> Recipe {
        let header = match &self.kid {
            Some(kid) if Some(kid.as_str()) != own_kid => vec![("kid", json!(kid))],
            _ => Vec::new(),
        };
        Recipe::signed_with(label, header, Arc::clone(&self.key))
    }

    fn public(&self) -> Option<PublicKey> {
        let mut jwk = self.key.public_jwk()?;
        if let Some(kid) = &self.kid {
            jwk["kid"] = json!(kid);
        }
        PublicKey::from_jwk(&jwk)
    }
}

/// The JWK set that the user named. One that cannot be fetched is said, and the scan goes on.
async fn given(cx: &Context, source: &SpecSource) -> Result<String, Halt> {
    match source {
        SpecSource::File { text, .. } => Ok(text.clone()),
        SpecSource::Url(url) => match inventory::fetch(cx.options(), &cx.client, url).await {
            Ok(text) => Ok(text),
            Err(Stop::Halt(halt)) => Err(halt),
            Err(Stop::Error(_)) => {
                cx.note(format!("no JWK set could be fetched from {url}"));
                Ok(String::new())
            }
        },
    }
}

/// The JWK sets that the target itself publishes, by the well-known names (RFC 8414, section 3;
/// OpenID Connect Discovery, section 4). A `jwks_uri` on another host is not followed.
async fn published(cx: &Context) -> Result<Vec<String>, Halt> {
    let mut sets = Vec::new();
    let get = |target: String| cx.send(Request::get(target, Auth::None));
    let mut paths = vec!["/.well-known/jwks.json".to_owned(), "/jwks.json".to_owned()];
    for path in [
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
    ] {
        let exchange = get(path.to_owned()).await?;
        let found = exchange
            .json()
            .and_then(|document| document.get("jwks_uri")?.as_str())
            .and_then(|uri| Target::parse(uri).ok())
            .filter(|uri| uri.same_origin(&cx.options().base));
        if let Some(uri) = found {
            paths.insert(0, uri.base_path().to_owned());
        }
    }
    paths.dedup();
    for path in paths {
        let exchange = get(path).await?;
        let is_set = exchange.status() == Some(200)
            && exchange
                .json()
                .is_some_and(|document| document.get("keys").is_some_and(Value::is_array));
        if is_set {
            sets.push(exchange.text().into_owned());
        }
    }
    Ok(sets)
}

/// Values that no issuer makes, each of a look that a careless test lets pass: by its dots, by its
/// length, by its beginning.
fn shapes(marker: &str) -> [(&'static str, String); 3] {
    [
        (
            "three random parts with dots",
            format!("{marker}.{marker}.{marker}"),
        ),
        (
            "a value with a dot that is longer than 100 characters",
            format!("{0}.{0}", marker.repeat(8)),
        ),
        (
            "a JWT-like beginning and nothing else",
            format!("eyJhbGciOiJIUzI1NiJ9.{marker}."),
        ),
    ]
}

/// The title of an API description, read without caring for its version.
fn title(text: &str) -> Option<String> {
    if let Ok(document) = serde_json::from_str::<Value>(text) {
        return Some(document.get("info")?.get("title")?.as_str()?.to_owned());
    }
    text.lines().take(200).find_map(|line| {
        let value = line.trim().strip_prefix("title:")?;
        Some(value.trim().trim_matches(['"', '\'']).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_is_found_in_json_and_in_yaml() {
        assert_eq!(
            title(r#"{"openapi":"3.1.0","info":{"title":"Harbor"}}"#).as_deref(),
            Some("Harbor")
        );
        assert_eq!(
            title("openapi: 3.0.0\ninfo:\n  title: 'Harbor API'\n").as_deref(),
            Some("Harbor API")
        );
        assert_eq!(title("nothing"), None);
    }

    #[test]
    fn an_opaque_token_is_no_ground_for_a_forgery() {
        let forge = Forge::new(&[Identity::new("a", "opaque")], "m".to_owned());
        assert!(!forge.has_jwt());
        assert!(forge.compact(0).is_none() && forge.compact(7).is_none());
    }
}
