//! An answer holds a secret of the service or of its host.
//!
//! # What it finds
//! Successful answers with a Kubernetes service-account token, a cloud access key with its secret, a
//! private key, registry credentials, a connection string with its password, variables whose names
//! say that they are secrets, or the passwords in a list of accounts: debug pages, configuration that
//! is shown in full, logs.
//!
//! # Why it matters
//! The caller becomes what the secret opens: the service account at the cluster, the role at the
//! cloud, the database. Where the token's own signing secret is among them, the caller becomes anyone.
//!
//! # How it is proved
//! From the answers of the baseline; nothing more is sent. A value counts by its own structure (the
//! claims of the token, the PEM frame) or by the name of its variable, and only where it is the
//! service's: two identities are given the same one, or it stands on a path without an object. A
//! caller's own token, what a caller put into its own objects, answers to a login, descriptions and
//! placeholders do not count. A secret that verifies an identity's own token is *proven* to be the
//! signing secret. Reports keep kind and length, never the value.
//!
//! # How to fix
//! Answer with named members only, never with a whole configuration or environment; take debug routes
//! out of production. Renew what was shown.
//!
//! # References
//! - CWE-200 Exposure of Sensitive Information, CWE-522 Insufficiently Protected Credentials
//! - CWE-526 Cleartext Storage of Sensitive Information in an Environment Variable
//! - OWASP API3:2023 Broken Object Property Level Authorization
//! - ATT&CK T1552.007 Container API, T1528 Steal Application Access Token

use crate::probes::{self, Kind, Leak, leaks, words};
use crate::{Context, Exchange, Halt, Operation, Outcome, Protection};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cofferdam_finding::{Confidence, Evidence, Finding, Meta, Place, Severity, State};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) static META: Meta = Meta {
    id: "expose.secret",
    title: "An answer holds a secret of the service or of its host",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Answer with named members only, never with a whole configuration or environment; \
                  take debug routes out of production, and renew what was shown.",
    cwe: &[200, 522, 526],
    owasp_api: Some("API3:2023"),
    attack: &["T1552.007", "T1528"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let mut tried = 0;
    let mut found: Vec<Exposure<'_>> = Vec::new();
    for operation in cx
        .operations()
        .iter()
        .filter(|operation| !is_meant_to(operation))
    {
        let answers = answers(cx, operation);
        tried += u32::from(!answers.is_empty());
        let Some(exchange) = answers.first() else {
            continue;
        };
        let leaks: Vec<Leak> = of(exchange)
            .into_iter()
            .filter(|leak| !is_own(cx, leak) && is_the_services(operation, leak, &answers))
            .collect();
        if leaks.is_empty() {
            continue;
        }
        let place = cx.place(operation);
        let values: BTreeSet<&str> = leaks.iter().map(|leak| leak.value.as_str()).collect();
        // The same secret on another path is the same thing to mend.
        match found.iter_mut().find(|known| {
            known
                .leaks
                .iter()
                .any(|leak| values.contains(leak.value.as_str()))
        }) {
            Some(known) => known.places.push(place),
            None => found.push(Exposure {
                operation,
                exchange: Arc::clone(exchange),
                leaks,
                places: vec![place],
            }),
        }
    }
    for exposure in found {
        exposure.report(cx);
    }
    if tried == 0 {
        return Ok(Outcome::untested("no operation answered with success"));
    }
    Ok(Outcome::tried(tried))
}

/// One answer with secrets in it, and where else they are.
struct Exposure<'a> {
    operation: &'a Operation,
    exchange: Arc<Exchange>,
    leaks: Vec<Leak>,
    places: Vec<Place>,
}

impl Exposure<'_> {
    fn report(self, cx: &Context) {
        let mut kinds: Vec<Kind> = self.leaks.iter().map(|leak| leak.kind).collect();
        kinds.dedup();
        let mut grants = Vec::new();
        if kinds.contains(&Kind::ServiceAccountToken) {
            grants.push(State::K8sToken);
        }
        if kinds.contains(&Kind::CloudKey) {
            grants.push(State::CloudCredentials);
        }
        let open = matches!(cx.baseline(self.operation).protection, Protection::Public);
        if kinds.contains(&Kind::AccountPassword) {
            grants.push(if open {
                State::TokenHolder
            } else {
                State::OtherTenant
            });
        }
        let mut evidence = vec![redacted(cx, &self.exchange, &self.leaks)];
        let by_name = [Kind::Variable, Kind::AccountPassword];
        let by_structure = kinds.iter().any(|kind| !by_name.contains(kind));
        let mut confidence = if by_structure {
            Confidence::Proven
        } else {
            Confidence::Firm
        };
        let mut severity = META.severity;
        let named: Vec<String> = kinds.iter().map(|kind| kind.label().to_owned()).collect();
        let mut description = format!("{} answers with {}", self.operation, named.join(" and "));
        if let Some((leak, who)) = signing_secret(cx, &self.leaks) {
            grants.push(State::ForgedIdentity);
            confidence = Confidence::Proven;
            severity = Severity::Critical;
            let name = &cx.identities()[who].name;
            description.push_str(&format!(
                "; `{}` is the secret that signs the tokens",
                leak.name
            ));
            evidence.push(
                Evidence::new("the signature of an identity's token verifies with the secret")
                    .observed(format!("`{}` verifies the token of {name}", leak.name)),
            );
        }
        if open {
            description.push_str("; no token is needed");
        }
        cx.report(
            Finding::new(&META, self.places, evidence)
                .described(description)
                .confidence(confidence)
                .severity(severity)
                .from(if open {
                    State::Outside
                } else {
                    State::TokenHolder
                })
                .grants(grants),
        );
    }
}

/// The successful answers of the baseline, each identity's, else the one without a token.
fn answers(cx: &Context, operation: &Operation) -> Vec<Arc<Exchange>> {
    let baseline = cx.baseline(operation);
    let fine = |exchange: &&Arc<Exchange>| probes::succeeded(exchange);
    let all: Vec<Arc<Exchange>> = baseline
        .valid
        .iter()
        .flatten()
        .filter(fine)
        .cloned()
        .collect();
    if all.is_empty() {
        return baseline.anonymous.iter().filter(fine).cloned().collect();
    }
    all
}

fn of(exchange: &Exchange) -> Vec<Leak> {
    leaks(&exchange.text(), exchange.json())
}

/// Whether handing out a secret, or showing an example of one, is what the operation is for.
fn is_meant_to(operation: &Operation) -> bool {
    operation.path.split('/').any(|part| {
        words(part).iter().any(|word| {
            matches!(
                word.as_str(),
                "token"
                    | "tokens"
                    | "login"
                    | "signin"
                    | "oauth"
                    | "oauth2"
                    | "session"
                    | "sessions"
                    | "docs"
                    | "doc"
                    | "openapi"
                    | "swagger"
                    | "redoc"
                    | "readme"
                    | "help"
                    | "examples"
            )
        })
    })
}

/// Whether it is a credential that the scan itself was given, or a sample that it sent.
fn is_own(cx: &Context, leak: &Leak) -> bool {
    let token = cx.identities().iter().any(|identity| {
        let token = identity.token.reveal();
        token == leak.value || leak.value.contains(token)
    });
    // What the description gives as a sample comes back from where it was sent.
    let sample = cx.operations().iter().any(|operation| {
        let holds = |value: &serde_json::Value| value.to_string().contains(&leak.value);
        operation
            .body
            .as_ref()
            .is_some_and(|body| body.example.as_ref().is_some_and(holds) || holds(&body.schema))
            || operation
                .params
                .iter()
                .any(|param| param.example.as_ref().is_some_and(holds) || holds(&param.schema))
    });
    token || sample
}

/// Whether a secret is the service's and not a caller's own: everyone is given the same, or it does
/// not stand in an object.
fn is_the_services(operation: &Operation, leak: &Leak, answers: &[Arc<Exchange>]) -> bool {
    if answers.len() > 1 {
        return answers
            .iter()
            .all(|exchange| of(exchange).iter().any(|other| other.value == leak.value));
    }
    !operation.path.contains('{')
}

/// The leaked value that signs an identity's token (RFC 7518, section 3.2), and whose.
fn signing_secret<'a>(cx: &Context, leaks: &'a [Leak]) -> Option<(&'a Leak, usize)> {
    (0..cx.identities().len()).find_map(|who| {
        let algorithm = match cx.jwt(who)?.algorithm()? {
            "HS256" => hmac::HMAC_SHA256,
            "HS384" => hmac::HMAC_SHA384,
            "HS512" => hmac::HMAC_SHA512,
            _ => return None,
        };
        let (input, signature) = cx.identities()[who].token.reveal().rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let signs = |secret: &[u8]| {
            hmac::verify(
                &hmac::Key::new(algorithm, secret),
                input.as_bytes(),
                &signature,
            )
            .is_ok()
        };
        let leak = leaks.iter().find(|leak| {
            signs(leak.value.as_bytes())
                || STANDARD.decode(&leak.value).is_ok_and(|raw| signs(&raw))
        })?;
        Some((leak, who))
    })
}

/// The answer as evidence, without the values: only the surroundings of the first are kept.
fn redacted(cx: &Context, exchange: &Exchange, leaks: &[Leak]) -> Evidence {
    let mut text = exchange.text().into_owned();
    let mut marks: Vec<String> = Vec::new();
    // The longest first, so that one that is part of another leaves no rest.
    let mut sorted: Vec<&Leak> = leaks.iter().collect();
    sorted.sort_by_key(|leak| std::cmp::Reverse(leak.value.len()));
    for leak in sorted {
        let mark = leak.redacted();
        let escaped = serde_json::to_string(&leak.value).unwrap_or_default();
        for form in [leak.value.as_str(), escaped.trim_matches('"')] {
            if !form.is_empty() {
                text = text.replace(form, &mark);
            }
        }
        marks.push(format!("{}: {mark}", leak.name));
    }
    let mut evidence = cx.evidence("the answer holds it; its value is not kept", exchange);
    if let Some(response) = &mut evidence.response {
        let at = text.find("[a ").or_else(|| text.find("[the ")).unwrap_or(0);
        let from = text[..at]
            .char_indices()
            .rev()
            .nth(200)
            .map_or(0, |(from, _)| from);
        let body: String = text[from..].chars().take(600).collect();
        response.body = cx.redact(&body);
        response
            .headers
            .retain(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    }
    evidence.observed(cx.redact(&marks.join(", ")))
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::testing::{Request, Response, Sample, Samples, api};
    use serde_json::{Value, json};

    let debug = || api(json!({ "/debug/vars": { "get": {} } }));
    let refused = || Response::json(401, json!({ "error": "token required" }));
    let account = || {
        let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let claims = json!({ "iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:prod:api" });
        format!(
            "{}.{}.{}",
            part(json!({ "alg": "RS256" })),
            part(claims),
            URL_SAFE_NO_PAD.encode([9_u8; 64])
        )
    };
    let guarded = move |body: Value| {
        move |request: &Request| match request.subject() {
            Some(_) => Response::json(200, body.clone()),
            None => refused(),
        }
    };
    Samples::new()
        .flawed(
            Sample::new("a service-account token", debug(), guarded(json!({ "cluster": { "token": account() } })))
                .reports(["GET /debug/vars"]),
        )
        .flawed(
            Sample::new(
                "an environment",
                debug(),
                guarded(json!({ "env": ["PATH=/bin", "DB_PASSWORD=h7Lq-2vXw9"] })),
            )
            .reports(["GET /debug/vars"]),
        )
        .sound(Sample::new(
            "placeholders",
            debug(),
            guarded(json!({ "env": ["DB_PASSWORD=********"], "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE" })),
        ))
        .sound(Sample::new(
            "each caller's own",
            api(json!({ "/containers": { "get": {} } })),
            move |request: &Request| match request.subject() {
                Some(subject) => Response::json(200, json!([{
                    "id": format!("{subject}-web"), "env": [format!("APP_PASSWORD=h7Lq-{subject}-9Xw")]
                }])),
                None => refused(),
            },
        ))
        .sound(Sample::new(
            "an example in the documentation",
            api(json!({ "/docs/tokens": { "get": {} } })),
            guarded(json!({ "example": account() })),
        ))
}
