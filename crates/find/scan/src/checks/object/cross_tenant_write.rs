//! An object of one caller is changed with the token of another.
//!
//! # What it finds
//! Operations that change an object by its identifier, or act on it, and do not look whose it is.
//!
//! # Why it matters
//! Every holder of a token changes, stops or takes over what belongs to all others.
//!
//! # How it is proved
//! With `--active` only. The object is read as its owner, the other identity changes one harmless
//! member to a text used once (a label, a description, a name) or stops and starts it, and it is read
//! as its owner again. Only the owner's changed view is proof: a 204 that changes nothing, or that
//! changes the caller's own object, is none. The change is taken back at once, as the owner; where that
//! fails, the report says so. Credentials and roles are never touched, nothing is deleted.
//!
//! # How to fix
//! Select the object by its identifier *and* its owner in the statement that changes it, and answer
//! as if it did not exist.
//!
//! # References
//! - CWE-639 Authorization Bypass Through User-Controlled Key
//! - OWASP API1:2023 Broken Object Level Authorization
//! - ATT&CK T1190 Exploit Public-Facing Application

use crate::probes::{
    self, Foreign, MemberChange, Tenants, foreign, item_path, member_change, on_object, opposite,
    state_in, state_of, would_change,
};
use crate::{Auth, Context, Exchange, Halt, Level, Operation, Outcome, Request};
use cofferdam_finding::{Confidence, Evidence, Finding, Meta, Place, Severity, State};
use hyper::Method;
use std::sync::Arc;

pub(crate) static META: Meta = Meta {
    id: "object.cross-tenant-write",
    title: "An object of one caller is changed with the token of another",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: true,
    remediation: "Select the object by its identifier and its owner in the statement that changes \
                  it, and answer as if it did not exist.",
    cwe: &[639],
    owasp_api: Some("API1:2023"),
    attack: &["T1190"],
};

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    if cx.options().level < Level::Active {
        return Ok(Outcome::untested("could change state; needs --active"));
    }
    let tenants = Tenants::of(cx);
    if tenants.ordinary.len() < 2 {
        return Ok(Outcome::untested(
            "needs two identities of which none administers",
        ));
    }
    let mut tried = 0;
    let mut causes: Vec<(String, Vec<Place>, Proof, &Operation)> = Vec::new();
    let mut candidates: Vec<&Operation> = cx
        .operations()
        .iter()
        .filter(|operation| {
            matches!(operation.method, Method::PUT | Method::PATCH | Method::POST)
                && item_path(&operation.path).is_some()
                && cx.may_send(operation)
        })
        .collect();
    // A changed member is less than an action.
    candidates.sort_by_key(|operation| match operation.method {
        Method::PATCH => 0,
        Method::PUT => 1,
        _ => 2,
    });
    // One after the other: each reads what the last one may have changed.
    for operation in candidates {
        let Some(read) = state_of(cx, operation) else {
            continue;
        };
        match try_one(cx, &tenants, operation, read).await? {
            Tried::Not => {}
            Tried::Held => tried += 1,
            Tried::Changed(proof) => {
                tried += 1;
                let resource = item_path(&operation.path).unwrap_or_default().to_owned();
                let place = cx.place(operation);
                match causes.iter_mut().find(|(known, ..)| *known == resource) {
                    Some((_, places, ..)) => places.push(place),
                    None => causes.push((resource, vec![place], proof, operation)),
                }
            }
        }
    }
    for (_, places, proof, operation) in causes {
        cx.report(
            Finding::new(&META, places, proof.evidence)
                .described(format!(
                    "{operation} as {} changed an object of {}, as its owner sees it",
                    proof.other, proof.owner
                ))
                .grants([State::OtherTenant]),
        );
    }
    if tried == 0 {
        return Ok(Outcome::untested(
            "no operation changes, in a way that can be taken back, an object that only one of \
             the identities is shown",
        ));
    }
    Ok(Outcome::tried(tried))
}

struct Proof {
    owner: String,
    other: String,
    evidence: Vec<Evidence>,
}

enum Tried {
    Not,
    Held,
    Changed(Proof),
}

async fn try_one(
    cx: &Context,
    tenants: &Tenants,
    operation: &Operation,
    read: &Operation,
) -> Result<Tried, Halt> {
    let mut result = Tried::Not;
    let mut owners = Vec::new();
    for foreign in foreign(cx, tenants, read) {
        // One object in each direction is enough.
        if owners.contains(&foreign.owner) {
            continue;
        }
        let before = cx.send_fresh(foreign.request.clone()).await?;
        if !probes::succeeded(&before) {
            continue;
        }
        let attempt = Attempt {
            cx,
            operation,
            foreign: &foreign,
            before,
        };
        let tried = match opposite(cx, operation) {
            Some(undo) => attempt.act(undo).await?,
            None => attempt.change().await?,
        };
        match tried {
            Tried::Not => {}
            Tried::Held => {
                owners.push(foreign.owner);
                result = Tried::Held;
            }
            changed @ Tried::Changed(_) => return Ok(changed),
        }
    }
    Ok(result)
}

/// One object of one identity, and the operation that another one tries on it.
struct Attempt<'a> {
    cx: &'a Context,
    operation: &'a Operation,
    foreign: &'a Foreign,
    before: Arc<Exchange>,
}

impl Attempt<'_> {
    /// Changes a member to a text used once.
    async fn change(&self) -> Result<Tried, Halt> {
        let (cx, foreign) = (self.cx, self.foreign);
        let mark = cx.nonce();
        let Some(request) = self.request(self.operation) else {
            return Ok(Tried::Not);
        };
        let Some(now) = self.before.json() else {
            return Ok(Tried::Not);
        };
        let Some(change) = member_change(self.operation, &request, now, &mark) else {
            return Ok(Tried::Not);
        };
        let own = self.own_object().await?;
        let act = cx
            .send_fresh(
                request
                    .clone()
                    .with_auth(Auth::Identity(foreign.other))
                    .with_json(&change.body),
            )
            .await?;
        self.mend_own(own, &change, &mark).await?;
        let after = cx.send_fresh(foreign.request.clone()).await?;
        if !probes::shown(&after, &mark) {
            return Ok(Tried::Held);
        }
        let undo = request.with_json(&change.undo);
        cx.send_fresh(undo).await?;
        let last = cx.send_fresh(foreign.request.clone()).await?;
        if probes::shown(&last, &mark) {
            cx.note(format!(
                "{}: `{}` of {} still holds {mark}; the change could not be taken back",
                self.operation, change.member, foreign.id
            ));
        }
        Ok(Tried::Changed(self.proof(
            &self.before,
            &act,
            &after,
            &mark,
        )))
    }

    /// Does what `undo` undoes.
    async fn act(&self, undo: &Operation) -> Result<Tried, Halt> {
        let (cx, foreign) = (self.cx, self.foreign);
        let (Some(request), Some(undo)) = (self.request(self.operation), self.request(undo)) else {
            return Ok(Tried::Not);
        };
        let first = state_in(&self.before);
        let prepared = !would_change(self.operation, &self.before);
        if prepared {
            // Already there: the owner takes it the other way first.
            cx.send_fresh(undo.clone()).await?;
        }
        let before = cx.send_fresh(foreign.request.clone()).await?;
        let again = cx.send_fresh(foreign.request.clone()).await?;
        let was = state_in(&before);
        if was.is_empty() || state_in(&again) != was || (was == first) == prepared {
            // It has no state, or one that changes by itself, or not on demand.
            return Ok(Tried::Not);
        }
        let own = self.own_object().await?;
        let act = cx
            .send_fresh(request.clone().with_auth(Auth::Identity(foreign.other)))
            .await?;
        let after = cx.send_fresh(foreign.request.clone()).await?;
        let changed = state_in(&after) != was;
        if changed != prepared {
            cx.send_fresh(if changed { undo.clone() } else { request })
                .await?;
        }
        let last = cx.send_fresh(foreign.request.clone()).await?;
        if state_in(&last) != first {
            cx.note(format!(
                "{}: the state of {} changed and could not be put back",
                self.operation, foreign.id
            ));
        }
        if let Some((read, own_before)) = own {
            let own_after = cx.send_fresh(read.clone()).await?;
            if state_in(&own_after) != state_in(&own_before) {
                let id = read
                    .param(self.operation, &foreign.param)
                    .unwrap_or_default();
                let undo = undo.with_param(self.operation, &foreign.param, &id);
                cx.send_fresh(undo.with_auth(Auth::Identity(foreign.other)))
                    .await?;
            }
        }
        if !changed {
            return Ok(Tried::Held);
        }
        let telling = state_in(&after)
            .into_iter()
            .find(|state| !was.contains(state))
            .map_or_else(String::new, |(_, value)| value);
        Ok(Tried::Changed(self.proof(&before, &act, &after, &telling)))
    }

    /// The owner's request for `operation` on the object.
    fn request(&self, operation: &Operation) -> Option<Request> {
        on_object(
            self.cx,
            operation,
            &self.foreign.param,
            &self.foreign.id,
            self.foreign.owner,
        )
    }

    /// The acting identity's own object of this kind, which some services change instead.
    async fn own_object(&self) -> Result<Option<(Request, Arc<Exchange>)>, Halt> {
        let (cx, foreign) = (self.cx, self.foreign);
        let Some(read) = state_of(cx, self.operation) else {
            return Ok(None);
        };
        let Some(id) = cx
            .harvest(foreign.other, read, &foreign.param)
            .into_iter()
            .next()
        else {
            return Ok(None);
        };
        let Some(request) = on_object(cx, read, &foreign.param, &id, foreign.other) else {
            return Ok(None);
        };
        let exchange = cx.send_fresh(request.clone()).await?;
        Ok(probes::succeeded(&exchange).then_some((request, exchange)))
    }

    /// Puts the acting identity's own object back, when it was the one that changed.
    async fn mend_own(
        &self,
        own: Option<(Request, Arc<Exchange>)>,
        change: &MemberChange,
        mark: &str,
    ) -> Result<(), Halt> {
        let (cx, foreign) = (self.cx, self.foreign);
        let Some((read, before)) = own else {
            return Ok(());
        };
        let after = cx.send_fresh(read.clone()).await?;
        if !probes::shown(&after, mark) {
            return Ok(());
        }
        let id = read
            .param(self.operation, &foreign.param)
            .unwrap_or_default();
        if let (Some(now), Some(request)) = (
            before.json(),
            on_object(cx, self.operation, &foreign.param, &id, foreign.other),
        ) && let Some(back) = member_change(self.operation, &request, now, mark)
        {
            cx.send_fresh(request.with_json(&back.undo)).await?;
        }
        let last = cx.send_fresh(read).await?;
        if probes::shown(&last, mark) {
            cx.note(format!(
                "{}: `{}` of {id} holds {mark}; the change could not be taken back",
                self.operation, change.member
            ));
        }
        Ok(())
    }

    fn proof(&self, before: &Exchange, act: &Exchange, after: &Exchange, telling: &str) -> Proof {
        let (cx, foreign) = (self.cx, self.foreign);
        let owner = cx.identities()[foreign.owner].name.clone();
        let other = cx.identities()[foreign.other].name.clone();
        let evidence = vec![
            cx.evidence(format!("{owner} reads the object"), before),
            cx.evidence(format!("{other} changes it"), act),
            cx.evidence_of(
                format!("{owner} reads it again, and it has changed"),
                after,
                telling,
            ),
        ];
        Proof {
            owner,
            other,
            evidence,
        }
    }
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::testing::{Response, Sample, Samples, api};
    use serde_json::{Value, json};
    use std::sync::Mutex;

    let parameter = || json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }]);
    let description = move || {
        api(json!({
            "/boxes": { "get": {} },
            "/boxes/{id}": {
                "get": { "parameters": parameter() },
                "patch": { "parameters": parameter(), "requestBody": { "required": true, "content": {
                    "application/json": { "schema": { "type": "object", "properties": {
                        "description": { "type": "string" } } } } } } },
            },
            "/boxes/{id}/stop": { "post": { "parameters": parameter() } },
            "/boxes/{id}/start": { "post": { "parameters": parameter() } },
        }))
    };
    let boxes = || {
        Mutex::new(vec![
            json!({ "id": "bx-a1", "owner": "alice", "description": "milk", "state": "running" }),
            json!({ "id": "bx-b1", "owner": "bob", "description": "iron", "state": "running" }),
        ])
    };
    #[derive(Clone, Copy, PartialEq)]
    enum Check {
        Nowhere,
        /// Writes are refused for who is not the owner.
        Owner,
        /// Writes go to the caller's own object whatever the identifier says, with success.
        Own,
    }
    let service = move |members: Check, actions: Check| {
        let boxes = boxes();
        move |request: &crate::testing::Request| {
            let Some(subject) = request.subject() else {
                return Response::json(401, json!({ "error": "token required" }));
            };
            let absent = || Response::json(404, json!({ "error": "no such box" }));
            let mut boxes = boxes.lock().unwrap();
            let path = request.path().to_owned();
            let parts: Vec<&str> = path.split('/').skip(2).collect();
            let owned = |item: &Value| item["owner"] == subject.as_str();
            let Some(id) = parts.first() else {
                let mine: Vec<Value> = boxes.iter().filter(|item| owned(item)).cloned().collect();
                return Response::json(200, Value::from(mine));
            };
            let check = if parts.len() == 2 { actions } else { members };
            let found = match (request.method.as_str(), check) {
                ("GET", _) => boxes
                    .iter_mut()
                    .find(|item| item["id"] == *id && owned(item)),
                (_, Check::Nowhere) => boxes.iter_mut().find(|item| item["id"] == *id),
                (_, Check::Owner) => boxes
                    .iter_mut()
                    .find(|item| item["id"] == *id && owned(item)),
                (_, Check::Own) => boxes.iter_mut().find(|item| owned(item)),
            };
            let Some(item) = found else { return absent() };
            match (request.method.as_str(), parts.get(1).copied()) {
                ("GET", None) => Response::json(200, item.clone()),
                ("PATCH", None) => {
                    let body = request.json().unwrap_or_default();
                    item["description"] = body["description"].clone();
                    Response::text(204, "")
                }
                ("POST", Some("stop")) => {
                    item["state"] = json!("stopped");
                    Response::text(204, "")
                }
                ("POST", Some("start")) => {
                    item["state"] = json!("running");
                    Response::text(204, "")
                }
                _ => absent(),
            }
        }
    };
    let active = |options: &mut crate::ScanOptions| options.level = Level::Active;
    Samples::new()
        .flawed(
            Sample::new(
                "a member",
                description(),
                service(Check::Nowhere, Check::Owner),
            )
            .options(active)
            .reports(["PATCH /boxes/{id}"]),
        )
        .flawed(
            Sample::new(
                "an action",
                description(),
                service(Check::Owner, Check::Nowhere),
            )
            .options(active)
            .reports(["POST /boxes/{id}/start", "POST /boxes/{id}/stop"]),
        )
        .sound(
            Sample::new(
                "the owner is looked at",
                description(),
                service(Check::Owner, Check::Owner),
            )
            .options(active),
        )
        .sound(
            Sample::new(
                "the caller's own is changed",
                description(),
                service(Check::Own, Check::Own),
            )
            .options(active),
        )
}
