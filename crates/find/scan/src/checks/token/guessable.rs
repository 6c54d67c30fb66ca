//! Tokens can be guessed.
//!
//! # What it finds
//! Opaque tokens that follow one another (`tok-1001`, `tok-1002`), that are made of their holder's
//! name, or that are so short that all of them can be tried.
//!
//! # Why it matters
//! A token is a password that is sent with every request. Who can say what the next one looks like
//! needs no other.
//!
//! # How it is proved
//! From the identities' own tokens it is computed how many there can be, also inside base64. Above 80
//! bits nothing more is done. Below, at most 24 tokens that stand next to the known ones are sent.
//! It is *proven* where one of them is accepted, or where the token of one identity is among the
//! guesses from another's; *firm* where there are so few that they can all be tried; *tentative*
//! where two tokens are the same but for the name of their holder and no other name was accepted.
//!
//! # How to fix
//! Make tokens of at least 128 random bits from the system's generator, and keep only a hash of
//! them. Do not number them, and do not put names, times or database keys into them.
//!
//! # References
//! - RFC 6749, section 10.10; RFC 6750, section 5.2
//! - CWE-330 Use of Insufficiently Random Values; CWE-340 Generation of Predictable Numbers or
//!   Identifiers
//! - OWASP API2:2023 Broken Authentication

use crate::forge::ask::{ask, auth, grounds};
use crate::forge::opaque::{Estimate, HOPELESS_BITS, SHORT_BITS, estimate, neighbours};
use crate::forge::{Answered, Drive, Forged, Hit};
use crate::{Context, Halt, Operation, Outcome, Secret};
use cofferdam_finding::{Confidence, Meta, Severity, State};

pub(crate) static META: Meta = Meta {
    id: "token.guessable",
    title: "Tokens can be guessed",
    severity: Severity::Critical,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Make each token of at least 128 bits from the system's random generator, with \
                  nothing else in it.",
    cwe: &[330, 340],
    owasp_api: Some("API2:2023"),
    attack: &["T1110", "T1550.001"],
};

/// Requests that a guess may cost.
const GUESSES: usize = 24;
/// Operations on which an accepted guess is tried as well, to say where it opens something.
const PLACES: usize = 20;

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let places = opaque_places(cx);
    let holders = holders(&places);
    let Some((first, who)) = places.first().copied() else {
        return Ok(Outcome::untested(
            "no operation that can be read accepts an opaque token of an identity",
        ));
    };
    let tokens: Vec<(&str, &str)> = holders
        .iter()
        .map(|who| &cx.identities()[*who])
        .map(|identity| (identity.name.as_str(), identity.token.reveal()))
        .collect();
    let estimate = estimate(&tokens);
    if estimate.bits >= HOPELESS_BITS {
        let bits = estimate.bits.floor();
        return Ok(Outcome::held(format!(
            "nothing to guess: {}, up to {bits} bits",
            estimate.why
        )));
    }
    // Names are tried before anything is said about them: test services hand out `alice-token` by
    // hand, and only a name that nobody gave us shows that tokens are made that way.
    let mut answers = if estimate.from_name {
        guess(cx, first, who, &places, &tokens).await?
    } else {
        Vec::new()
    };
    let only_a_pattern = estimate.from_name && answers.is_empty();
    if answers.is_empty() {
        answers = known_from_each_other(cx, &places, &holders, &estimate).await?;
    }
    if answers.is_empty() {
        answers = guess(cx, first, who, &places, &tokens).await?;
    }
    if answers.is_empty() {
        answers.push(if estimate.bits < SHORT_BITS {
            short(cx, first, who, &estimate).await?
        } else {
            Answered::Refused
        });
    }
    let drive = Drive {
        meta: &META,
        does: [
            "operation accepts tokens that can be guessed",
            "operations accept tokens that can be guessed",
        ],
        none: "no guess could be made".to_owned(),
    };
    Ok(drive.sum_up(cx, answers, |finding, _| {
        let description = format!("{}: {}", finding.description, estimate.why);
        let mut finding = finding.described(description);
        if only_a_pattern {
            finding = finding.confidence(Confidence::Tentative);
        }
        if estimate.from_name {
            // Everyone's token follows from one's own.
            finding.grants([State::ForgedIdentity])
        } else {
            finding.from(State::Outside).grants([State::TokenHolder])
        }
    }))
}

/// Operations that can be read and accept an opaque token, each with whose.
pub(in crate::checks) fn opaque_places(cx: &Context) -> Vec<(&Operation, usize)> {
    cx.protected()
        .filter(|operation| operation.is_safe() && cx.may_send(operation))
        .flat_map(|operation| {
            cx.baseline(operation)
                .accepted()
                .iter()
                .filter(|who| cx.jwt(**who).is_none())
                .map(move |who| (operation, *who))
        })
        .collect()
}

pub(in crate::checks) fn holders(places: &[(&Operation, usize)]) -> Vec<usize> {
    let mut holders: Vec<usize> = places.iter().map(|(_, who)| *who).collect();
    holders.sort_unstable();
    holders.dedup();
    holders
}

/// Hits where one identity's token is among the guesses from another's alone: it was accepted in
/// the baseline, so nothing need be sent.
async fn known_from_each_other<'a>(
    cx: &'a Context,
    places: &[(&'a Operation, usize)],
    holders: &[usize],
    estimate: &Estimate,
) -> Result<Vec<Answered<'a>>, Halt> {
    let identity = |who: usize| &cx.identities()[who];
    let of = |who: usize| (identity(who).name.as_str(), identity(who).token.reveal());
    let found = holders.iter().find_map(|a| {
        let guesses = neighbours(&[of(*a)], GUESSES);
        let b = holders.iter().find(|b| {
            *b != a
                && (estimate.from_name
                    || guesses.iter().any(|(_, guess)| guess.reveal() == of(**b).1))
        })?;
        Some((*a, *b))
    });
    let Some((a, b)) = found else {
        return Ok(Vec::new());
    };
    let mut answers = Vec::new();
    for (operation, who) in places.iter().filter(|(_, who)| *who == b) {
        let Some(valid) = cx
            .baseline(operation)
            .valid
            .get(*who)
            .and_then(Option::as_ref)
        else {
            continue;
        };
        answers.push(match grounds(cx, operation, *who).await? {
            Ok(mut pieces) => {
                let (a, b) = (&identity(a).name, &identity(b).name);
                let shows = if estimate.from_name {
                    format!(
                        "the token of {b}, which is that of {a} with the name replaced, is accepted"
                    )
                } else {
                    format!(
                        "the token of {b}, which is among the first {GUESSES} guesses from the \
                         token of {a}, is accepted"
                    )
                };
                pieces.push(cx.evidence(shows, valid).observed(estimate.why.clone()));
                Answered::Accepted(Hit::new(cx, operation, *who, pieces))
            }
            Err(reason) => Answered::Unclear(reason),
        });
    }
    Ok(answers)
}

/// Hits where a token that stands next to a known one is accepted.
async fn guess<'a>(
    cx: &'a Context,
    first: &'a Operation,
    who: usize,
    places: &[(&'a Operation, usize)],
    tokens: &[(&str, &str)],
) -> Result<Vec<Answered<'a>>, Halt> {
    for (label, token) in neighbours(tokens, GUESSES) {
        let forged = Forged {
            label: format!("guessed: {label}"),
            token,
        };
        let Some(request) = cx.request(first, who) else {
            break;
        };
        // Never waited for: a service that throttles guesses has answered the question.
        let exchange = cx
            .send_fresh(request.with_auth(auth(cx, who, &forged)))
            .await?;
        if matches!(exchange.status(), Some(429 | 503)) {
            break;
        }
        if !cx.judge(first, &exchange).accepted() {
            continue;
        }
        let mut answers = Vec::new();
        for (operation, who) in places.iter().take(PLACES) {
            let (verdict, exchange) = ask(cx, operation, *who, &forged).await?;
            if let (true, Some(exchange)) = (verdict.accepted(), exchange)
                && !answers.iter().any(|answer| {
                    matches!(answer, Answered::Accepted(hit) if hit.operation.index == operation.index)
                })
                && let Ok(mut pieces) = grounds(cx, operation, *who).await?
            {
                pieces.push(cx.evidence(format!("{label} is accepted"), &exchange));
                answers.push(Answered::Accepted(Hit::new(cx, operation, *who, pieces)));
            }
        }
        return Ok(answers);
    }
    Ok(Vec::new())
}

/// A hit by arithmetic: there are so few tokens that all can be tried.
async fn short<'a>(
    cx: &'a Context,
    operation: &'a Operation,
    who: usize,
    estimate: &Estimate,
) -> Result<Answered<'a>, Halt> {
    let Some(valid) = cx
        .baseline(operation)
        .valid
        .get(who)
        .and_then(Option::as_ref)
    else {
        return Ok(Answered::Refused);
    };
    Ok(match grounds(cx, operation, who).await? {
        Ok(mut pieces) => {
            let bits = estimate.bits.ceil();
            let shows = format!("a token is accepted that is one of at most 2^{bits}");
            pieces.push(cx.evidence(shows, valid).observed(estimate.why.clone()));
            let mut hit = Hit::new(cx, operation, who, pieces);
            hit.proven = false;
            Answered::Accepted(hit)
        }
        Err(reason) => Answered::Unclear(reason),
    })
}

/// The token that a check sends in place of a known one; see [`crate::forge::opaque::lookalike`].
pub(in crate::checks) fn lookalike(cx: &Context, who: usize) -> Option<Forged> {
    let token: Secret = crate::forge::opaque::lookalike(cx.identities()[who].token.reveal())?;
    Some(Forged {
        label: "random, of the form of a token".to_owned(),
        token,
    })
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::Identity;
    use crate::forge::testing::{notes, refused};
    use crate::testing::{Request, Sample, Samples, api};
    use serde_json::json;

    // `known` are the identities' tokens, `others` are valid as well.
    let sample = |name, known: [&'static str; 2], others: &'static [&'static str]| {
        let description = api(json!({ "/notes": { "get": {} } }));
        Sample::new(name, description, move |request: &Request| {
            match request.bearer() {
                Some(token) if known.contains(&token) || others.contains(&token) => notes(),
                _ => refused(),
            }
        })
        .options(move |options| {
            options.identities = vec![
                Identity::new("alice", known[0]),
                Identity::new("bob", known[1]),
            ];
        })
    };
    Samples::new()
        .flawed(
            sample("numbered", ["tok-001001", "tok-001040"], &["tok-001003"])
                .reports(["GET /notes"]),
        )
        .flawed(sample("one after the other", ["s-71", "s-72"], &[]).reports(["GET /notes"]))
        .flawed(
            sample(
                "the holder's name",
                ["tok/alice/7Qm2Xv9LkR4t", "tok/bob/7Qm2Xv9LkR4t"],
                &[],
            )
            .reports(["GET /notes"]),
        )
        .flawed(sample("six digits", ["493817", "120466"], &[]).reports(["GET /notes"]))
        .sound(sample(
            "random",
            [
                "q8Zt2vXn5Lk9pRw3sYc7Hd1Gb6Je4Mf0",
                "Vb3Nc8Kx1Za6Qw9Er4Ty7Ui2Op5As0Df",
            ],
            &[],
        ))
        .sound(sample(
            "random, not long",
            ["k3m9x2v7q1p8", "z7w4n6b1c5r2"],
            &[],
        ))
        .sound(Sample::new(
            "signed",
            api(json!({ "/notes": { "get": {} } })),
            |request: &Request| match request.subject() {
                Some(_) => notes(),
                None => refused(),
            },
        ))
}
