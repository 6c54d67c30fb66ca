//! An object of one caller is read with the token of another.
//!
//! # What it finds
//! Operations that answer with an object by its identifier and do not look whose it is: containers,
//! logs, documents, profiles.
//!
//! # Why it matters
//! Every holder of a token reads what belongs to all others. Identifiers are no secret: they stand in
//! lists, logs and links, and many can be counted up.
//!
//! # How it is proved
//! Identifiers come from what one identity is shown and the other never is; with them the other
//! identity asks. It is reported where its answer is the owner's own, apart from what changes between
//! two readings of the owner, and an invented identifier of the same look is not answered so
//! (*proven*). Objects that both are shown, that say of themselves that they are public, or that anyone
//! can read, are shared by design and not reported, unless a list names the owner and the object has a
//! member that is called secret or private and stands in no list (*firm*). Both directions are tried.
//! It needs two identities of which none administers.
//!
//! # How to fix
//! Select the object by its identifier *and* its owner in the same query, and answer as if it did
//! not exist.
//!
//! # References
//! - CWE-639 Authorization Bypass Through User-Controlled Key
//! - OWASP API1:2023 Broken Object Level Authorization
//! - ATT&CK T1190 Exploit Public-Facing Application

use crate::probes::{self, Tenants, foreign, in_a_list, item_path, listed, owned};
use crate::{Context, Halt, Operation, Outcome, Protection};
use cofferdam_finding::{Confidence, Evidence, Finding, Meta, Place, Severity, State};

pub(crate) static META: Meta = Meta {
    id: "object.cross-tenant-read",
    title: "An object of one caller is read with the token of another",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Select the object by its identifier and its owner in the same query, and answer \
                  as if it did not exist.",
    cwe: &[639],
    owasp_api: Some("API1:2023"),
    attack: &["T1190"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let tenants = Tenants::of(cx);
    if tenants.ordinary.len() < 2 {
        return Ok(Outcome::untested(
            "needs two identities of which none administers",
        ));
    }
    let candidates = cx.operations().iter().filter(|operation| {
        operation.is_safe()
            && cx.may_send(operation)
            && !matches!(cx.baseline(operation).protection, Protection::Public)
    });
    let results = cx
        .each(candidates, |operation| try_one(cx, &tenants, operation))
        .await?;

    let mut tried = 0;
    let mut causes: Vec<Cause<'_>> = Vec::new();
    for (operation, result) in results {
        let Tried::Clear(proof) = result else {
            continue;
        };
        tried += 1;
        let Some(proof) = proof else { continue };
        let resource = item_path(&operation.path).unwrap_or(&operation.path);
        // What hangs on the same object shares the look at its owner, or the lack of one.
        match causes.iter_mut().find(|cause| cause.resource == resource) {
            Some(cause) => cause.places.push(cx.place(operation)),
            None => causes.push(Cause {
                operation,
                resource,
                places: vec![cx.place(operation)],
                proof,
            }),
        }
    }
    for cause in causes {
        let description = format!(
            "{} answers {} with an object that is {}'s alone",
            cause.operation, cause.proof.other, cause.proof.owner
        );
        cx.report(
            Finding::new(&META, cause.places, cause.proof.evidence)
                .described(description)
                .confidence(cause.proof.confidence)
                .grants([State::OtherTenant]),
        );
    }
    if tried == 0 {
        return Ok(Outcome::untested(
            "no object was seen that only one of the identities is shown",
        ));
    }
    Ok(Outcome::tried(tried))
}

struct Cause<'a> {
    operation: &'a Operation,
    resource: &'a str,
    places: Vec<Place>,
    proof: Proof,
}

struct Proof {
    owner: String,
    other: String,
    confidence: Confidence,
    evidence: Vec<Evidence>,
}

enum Tried {
    /// There was no object to try with.
    Not,
    Clear(Option<Proof>),
}

async fn try_one<'a>(
    cx: &'a Context,
    tenants: &Tenants,
    operation: &'a Operation,
) -> Result<(&'a Operation, Tried), Halt> {
    let mut result = Tried::Not;
    let unlisted = foreign(cx, tenants, operation)
        .into_iter()
        .map(|object| (object, false));
    let listed = listed(cx, tenants, operation)
        .into_iter()
        .map(|object| (object, true));
    for (foreign, is_listed) in unlisted.chain(listed) {
        let Some((content, owners)) = owned(cx, &foreign).await? else {
            continue;
        };
        // What is listed for all is shared by design, unless a part of it says that it is not.
        let private = content
            .private_member()
            .filter(|(_, value)| !in_a_list(cx, foreign.other, value))
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        if is_listed && private.is_none() {
            continue;
        }
        if content.is_shared() {
            continue;
        }
        result = Tried::Clear(None);
        let others = cx.send_fresh(foreign.as_other()).await?;
        if !content.is_in(&others) {
            continue;
        }
        let telling = match is_listed {
            true => private
                .as_ref()
                .filter(|(_, value)| probes::shown(&others, value))
                .map(|(name, _)| format!("`{name}`")),
            false => content.telling(tenants, foreign.other, &others),
        };
        let Some(telling) = telling else { continue };
        // A page that is the same whatever the identifier tells of no object.
        let absent = cx.send(foreign.absent(cx, operation)).await?;
        if content.is_in(&absent)
            || absent.status() == others.status() && probes::succeeded(&absent)
        {
            continue;
        }
        // Without a token it must be closed, or the object is everyone's.
        let anonymous = cx
            .send(foreign.request.clone().with_auth(crate::Auth::None))
            .await?;
        if content.is_in(&anonymous) {
            continue;
        }
        let name = |who: usize| cx.identities()[who].name.clone();
        let (owner, other) = (name(foreign.owner), name(foreign.other));
        let evidence = vec![
            cx.evidence(format!("{owner} reads an object of its own"), &owners),
            match is_listed {
                true => cx
                    .evidence(format!("{other} is answered with the same object"), &others)
                    .observed(format!("{telling} is among it, and in no list")),
                false => cx.evidence_of(
                    format!("{other} is answered with the same object"),
                    &others,
                    &telling,
                ),
            },
            cx.evidence(
                "control: an identifier that nothing has is not answered",
                &absent,
            ),
        ];
        let confidence = match is_listed {
            true => Confidence::Firm,
            false => Confidence::Proven,
        };
        result = Tried::Clear(Some(Proof {
            owner,
            other,
            confidence,
            evidence,
        }));
        break;
    }
    Ok((operation, result))
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::testing::{Request, Response, Sample, Samples, api};
    use serde_json::{Value, json};

    let parameter = || json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }]);
    let description = move || {
        api(json!({
            "/boxes": { "get": {} },
            "/boxes/{id}": { "get": { "parameters": parameter() } },
            "/boxes/{id}/logs": { "get": { "parameters": parameter() } },
        }))
    };
    let boxes = || {
        vec![
            json!({ "id": "bx-a1", "owner": "alice", "title": "milk and honey", "public": false }),
            json!({ "id": "bx-b1", "owner": "bob", "title": "iron and salt", "public": false }),
        ]
    };
    let refused = || Response::json(401, json!({ "error": "token required" }));
    let absent = || Response::json(404, json!({ "error": "no such box" }));
    let mine = move |subject: &str| -> Value {
        boxes()
            .into_iter()
            .filter(|item| item["owner"] == subject)
            .collect()
    };
    let by_id = move |request: &Request| {
        let id = request
            .path()
            .split('/')
            .nth(2)
            .unwrap_or_default()
            .to_owned();
        boxes().into_iter().find(|item| item["id"] == id)
    };
    let answer = move |request: &Request, item: Value| match request.path().ends_with("/logs") {
        true => Response::text(200, format!("started for {}\nlistening\n", item["owner"])),
        false => Response::json(200, item),
    };
    let service = move |checked: bool| {
        move |request: &Request| {
            let Some(subject) = request.subject() else {
                return refused();
            };
            if request.path() == "/boxes" {
                return Response::json(200, mine(&subject));
            }
            match by_id(request) {
                Some(item) if !checked || item["owner"] == subject.as_str() => {
                    answer(request, item)
                }
                _ => absent(),
            }
        }
    };
    // Everyone is shown what there is and whose it is; one member is the owner's alone.
    let journal = move |checked: bool| {
        move |request: &Request| {
            let Some(subject) = request.subject() else {
                return refused();
            };
            if request.path() == "/boxes" {
                return Response::json(200, Value::from(boxes()));
            }
            match by_id(request) {
                Some(mut item) if !request.path().ends_with("/logs") => {
                    if !checked || item["owner"] == subject.as_str() {
                        item["secret"] =
                            json!(format!("the key of {} is below the mat", item["owner"]));
                    }
                    Response::json(200, item)
                }
                _ => absent(),
            }
        }
    };
    Samples::new()
        .flawed(
            Sample::new("no look at the owner", description(), service(false))
                .reports(["GET /boxes/{id}", "GET /boxes/{id}/logs"]),
        )
        .flawed(
            Sample::new(
                "a secret part of what is listed",
                description(),
                journal(false),
            )
            .reports(["GET /boxes/{id}"]),
        )
        .sound(Sample::new(
            "a secret part for its owner",
            description(),
            journal(true),
        ))
        .sound(Sample::new(
            "the owner is looked at",
            description(),
            service(true),
        ))
        .sound(Sample::new(
            "shared by design",
            description(),
            move |request: &Request| {
                if request.subject().is_none() {
                    return refused();
                }
                if request.path() == "/boxes" {
                    return Response::json(200, Value::from(boxes()));
                }
                by_id(request).map_or_else(absent, |item| answer(request, item))
            },
        ))
        .sound(Sample::new(
            "success that takes itself back",
            description(),
            move |request: &Request| {
                let Some(subject) = request.subject() else {
                    return refused();
                };
                if request.path() == "/boxes" {
                    return Response::json(200, mine(&subject));
                }
                match by_id(request) {
                    Some(item) if item["owner"] == subject.as_str() => answer(request, item),
                    _ => Response::json(200, json!({ "status": "fail", "message": "not yours" })),
                }
            },
        ))
        .sound(Sample::new(
            "the identifier is ignored",
            description(),
            move |request: &Request| {
                let Some(subject) = request.subject() else {
                    return refused();
                };
                if request.path() == "/boxes" {
                    return Response::json(200, mine(&subject));
                }
                let own = mine(&subject)[0].clone();
                answer(request, own)
            },
        ))
}
