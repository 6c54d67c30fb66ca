//! A bound token is accepted without proof of its key.
//!
//! # What it finds
//! Operations that accept a sender-constrained token, one with a `cnf` claim, from a sender that
//! shows neither a DPoP proof nor a client certificate.
//!
//! # Why it matters
//! Binding is there so that a stolen token is worthless without its key. Where the token is accepted
//! as a plain bearer token as well, the thief leaves the proof out.
//!
//! # How it is proved
//! Where an identity's own token carries `cnf`, its plain request is the proof. Where instead the
//! operation asks for DPoP (in its `WWW-Authenticate` challenge or in the API description), the
//! issuer's key (`--signing-key`, or a secret that was guessed) signs the claims of an identity
//! again as a control, which must be accepted, and once more with a `cnf.jkt`. It is reported where
//! that is accepted without a `DPoP` field. A service that knows nothing of binding is not judged.
//!
//! # How to fix
//! Refuse a token with `cnf.jkt` under the scheme `Bearer`, and one with `cnf.x5t#S256` from a
//! connection without that certificate. Verify the proof before anything else is done.
//!
//! # References
//! - RFC 9449, section 7.2 (a bound token under `Bearer` must be rejected); RFC 8705, section 3
//! - CWE-294 Authentication Bypass by Capture-replay
//! - OWASP API2:2023 Broken Authentication

use crate::forge::{Answered, Case, Drive, negative};
use crate::{Context, Halt, Operation, Outcome};
use cofferdam_finding::{Confidence, Meta, Severity};

pub(crate) static META: Meta = Meta {
    id: "token.unbound",
    title: "A bound token is accepted without proof of its key",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Refuse a token that carries `cnf` unless the request proves possession of that \
                  key: a DPoP proof, or the client certificate of the connection.",
    cwe: &[294, 287],
    owasp_api: Some("API2:2023"),
    attack: &["T1550.001"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let all = Case::all(cx);
    let none = if all.is_empty() {
        Case::none(cx)
    } else {
        "nothing says that tokens are bound to their senders".to_owned()
    };
    let cases = all
        .into_iter()
        .filter(|case| is_bound(case) || asks_for_proof(cx, case.operation))
        .collect();
    let drive = Drive {
        meta: &META,
        does: [
            "operation accepts a token that is bound to a key from a sender that does not show it",
            "operations accept a token that is bound to a key from a sender that does not show it",
        ],
        none,
    };
    drive
        .run(cx, cases, |case| try_one(cx, case), |finding, _| finding)
        .await
}

async fn try_one<'a>(cx: &'a Context, case: Case<'a>) -> Result<Answered<'a>, Halt> {
    if !case.verifies(cx).await? {
        return Ok(Answered::Subsumed);
    }
    if is_bound(&case) {
        let shows = "the identity's token carries `cnf` and is accepted without any proof";
        return case.own_hit(cx, shows).await;
    }
    case.try_negatives(cx, |control| {
        let label = "the same claims bound to a key (`cnf.jkt`), without a DPoP proof".to_owned();
        Ok(vec![(label, negative::bound(control))])
    })
    .await
}

fn is_bound(case: &Case<'_>) -> bool {
    case.token.claims.get("cnf").is_some_and(|cnf| {
        ["jkt", "x5t#S256"]
            .iter()
            .any(|name| cnf.get(name).is_some())
    })
}

/// Whether the operation says that it knows DPoP: by a challenge of that scheme (RFC 9449, section
/// 7.1), or in the API description.
fn asks_for_proof(cx: &Context, operation: &Operation) -> bool {
    let baseline = cx.baseline(operation);
    let challenged = [&baseline.anonymous, &baseline.garbage]
        .into_iter()
        .flatten()
        .filter_map(|exchange| exchange.response())
        .flat_map(|response| response.headers.get_all("www-authenticate"))
        .any(|value| {
            String::from_utf8_lossy(value.as_bytes())
                .split([',', ' '])
                .any(|word| word.eq_ignore_ascii_case("dpop"))
        });
    let names = |text: &str| text.to_ascii_lowercase().contains("dpop");
    challenged
        || operation
            .security
            .schemes
            .iter()
            .any(|scheme| names(scheme))
        || operation
            .params
            .iter()
            .any(|param| param.name.eq_ignore_ascii_case("dpop"))
        || names(&operation.description)
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::Identity;
    use crate::forge::testing::{notes, refused, signing_key};
    use crate::testing::{Request, Sample, Samples, api, now, sign, verify};
    use serde_json::json;

    let description = || api(json!({ "/notes": { "get": {} } }));
    // `challenge` names DPoP; `enforces` refuses a bound token without a proof.
    let sample = |name, challenge: &'static str, enforces: bool| {
        Sample::new(name, description(), move |request: &Request| match request
            .bearer()
            .and_then(verify)
        {
            Some(claims)
                if enforces && claims["cnf"].is_object() && request.header("dpop").is_none() =>
            {
                refused().header("www-authenticate", challenge)
            }
            Some(_) => notes(),
            None => refused().header("www-authenticate", challenge),
        })
        .options(|options| options.signing_key = Some(signing_key()))
    };
    let both = "Bearer, DPoP algs=\"ES256\"";
    Samples::new()
        .flawed(sample("asked for, not enforced", both, false).reports(["GET /notes"]))
        .flawed(
            sample("a bound token as a bearer", "Bearer", false)
                .options(|options| {
                    let claims = json!({
                        "sub": "alice", "exp": now() + 3600,
                        "cnf": { "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" },
                    });
                    options.identities = vec![Identity::new("alice", sign(&claims))];
                })
                .reports(["GET /notes"]),
        )
        .sound(sample("enforced", both, true))
        .sound(sample("knows nothing of binding", "Bearer", false))
}
