//! The secret that signs the tokens can be guessed.
//!
//! # What it finds
//! HMAC-signed tokens (HS256, HS384, HS512) whose secret is a word of a short list: `secret`,
//! `changeme`, a value from a tutorial, the product's own name, a number of up to six digits.
//!
//! # Why it matters
//! Every token that such a service hands out is a question that can be answered offline, without
//! a request and without a trace. Who has the secret signs tokens for anyone.
//!
//! # How it is proved
//! The secret is searched on this machine, for at most ten seconds. When it is found, claims that
//! the issuer never signed are signed with it and sent. It is reported where that token is answered
//! like the valid one. The secret itself is not in the report.
//!
//! # How to fix
//! Make the secret of at least 256 random bits, or use an asymmetric algorithm, so that what
//! verifies cannot sign. Replace the secret that was found: every token it signed must be refused.
//!
//! # References
//! - RFC 7518, section 3.2 (key size), RFC 8725, section 3.5
//! - CWE-1391 Use of Weak Credentials
//! - CWE-521 Weak Password Requirements
//! - OWASP API2:2023 Broken Authentication

use crate::forge::signing_key::SigningKey;
use crate::forge::{Answered, Case, Drive, Recipe};
use crate::{Context, Halt, Outcome};
use cofferdam_finding::{Confidence, Meta, Severity, State};
use std::sync::Arc;

pub(crate) static META: Meta = Meta {
    id: "token.weak-secret",
    title: "The secret that signs the tokens can be guessed",
    severity: Severity::Critical,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Replace the secret by at least 256 random bits, or sign with an asymmetric key, \
                  and refuse every token that the old secret signed.",
    cwe: &[1391, 521],
    owasp_api: Some("API2:2023"),
    attack: &["T1110.002", "T1606"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let mut cases = Case::all(cx);
    let none = if cases.is_empty() {
        Case::none(cx)
    } else {
        "the tokens are not signed with a secret but with a private key".to_owned()
    };
    cases.retain(|case| case.token.algorithm().starts_with("HS"));
    if cases.is_empty() {
        return Ok(Outcome::untested(none));
    }
    let Some(secret) = cx.forge().guessed(cx).await else {
        return Ok(Outcome::held(
            "the secret was not found by a search of at most ten seconds",
        ));
    };
    // How long it is or where in the list it stands would be as good as the secret itself.
    let recipe = [Recipe::signed(
        "signed with the secret, which was guessed",
        Arc::new(SigningKey::hmac(secret.reveal())),
    )];
    let drive = Drive {
        meta: &META,
        does: [
            "operation accepts tokens that are signed with a secret from a short list",
            "operations accept tokens that are signed with a secret from a short list",
        ],
        none,
    };
    drive
        .run(
            cx,
            cases,
            |case| try_one(cx, case, &recipe),
            |finding, _| finding.grants([State::ForgedIdentity]),
        )
        .await
}

async fn try_one<'a>(
    cx: &'a Context,
    case: Case<'a>,
    recipe: &[Recipe],
) -> Result<Answered<'a>, Halt> {
    if !case.verifies(cx).await? {
        return Ok(Answered::Subsumed);
    }
    case.try_recipes(cx, recipe).await
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::Identity;
    use crate::forge::testing::{TestIssuer, notes, refused};
    use crate::testing::{Request, Sample, Samples, api, verify};
    use serde_json::json;

    let description = || api(json!({ "/notes": { "get": {} } }));
    let with_secret = |name, secret: &'static str| {
        let issuer = Arc::new(TestIssuer::with_key("HS256", SigningKey::hmac(secret)));
        let known = Arc::clone(&issuer);
        Sample::new(name, description(), move |request: &Request| match request
            .bearer()
            .and_then(|token| known.verify(token))
        {
            Some(_) => notes(),
            None => refused(),
        })
        .options(move |options| {
            options.identities = vec![Identity::new("alice", issuer.token_of("alice"))];
        })
    };
    Samples::new()
        .flawed(with_secret("a word", "random").reports(["GET /notes"]))
        .flawed(with_secret("the title and more", "sample-secret-key").reports(["GET /notes"]))
        .flawed(with_secret("six digits", "102938").reports(["GET /notes"]))
        .sound(Sample::new(
            "a strong secret",
            description(),
            |request: &Request| match request.bearer().and_then(verify) {
                Some(_) => notes(),
                None => refused(),
            },
        ))
}
