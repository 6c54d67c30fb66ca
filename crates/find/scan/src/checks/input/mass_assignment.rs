//! A member that no description names sets what only the service should.
//!
//! # What it finds
//! Operations that make an object out of a body and take over members that only the service should
//! set: whose the object is, or what rights an account has.
//!
//! # Why it matters
//! Whoever makes an account makes an administrator; whoever makes an object plants it with another
//! tenant, who then runs, pays for or trusts it.
//!
//! # How it is proved
//! With `--active` only, on operations that make something and whose list shows it. The documented
//! sample is sent plain and with undeclared members beside an invented one. Another owner is proved by
//! that owner's list, which holds what was made and not what the plain sample made. Rights are proved
//! by the object itself: a member that is there either way has the sent value in the one and another in
//! the plain one, and the invented member is in neither, so that what stores any JSON is not reported.
//! What was made is removed, or named in the notes.
//!
//! # How to fix
//! Read input into a type that has the permitted members only and refuse what is left over
//! (`deny_unknown_fields`); set owner and rights in the service, from the token.
//!
//! # References
//! - CWE-915 Improperly Controlled Modification of Dynamically-Determined Object Attributes
//! - OWASP API3:2023 Broken Object Property Level Authorization
//! - ATT&CK T1136 Create Account, T1078 Valid Accounts

use crate::probes::{
    self, Document, Tenants, caller, documents, identifiers, item_path, read_back, remove,
    remove_named, with_members, words,
};
use crate::{Context, Exchange, Halt, Level, Operation, Outcome, Reach, Request};
use cofferdam_finding::{Confidence, Finding, Meta, Severity, State};
use hyper::Method;
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub(crate) static META: Meta = Meta {
    id: "input.mass-assignment",
    title: "A member that no description names sets what only the service should",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: true,
    remediation: "Read input into a type that has the permitted members only and refuse what is \
                  left over; set owner and rights in the service, from the token.",
    cwe: &[915],
    owasp_api: Some("API3:2023"),
    attack: &["T1136", "T1078"],
};

/// Members by which services say whose an object is.
const OWNERS: [&str; 9] = [
    "owner",
    "owner_id",
    "ownerId",
    "tenant",
    "tenant_id",
    "tenantId",
    "user",
    "user_id",
    "userId",
];

/// Members by which services say that an account administers.
const FLAGS: [&str; 6] = [
    "admin",
    "is_admin",
    "isAdmin",
    "superuser",
    "is_superuser",
    "is_staff",
];

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    if cx.options().level < Level::Active {
        return Ok(Outcome::untested("could change state; needs --active"));
    }
    let tenants = Tenants::of(cx);
    let mut tried = 0;
    // One after the other: each looks for what it made.
    for operation in cx.operations().iter().filter(|operation| {
        operation.method == Method::POST
            && item_path(&operation.path).is_none()
            && cx.may_send(operation)
            && !operation.reaches(Reach::Agent)
    }) {
        let who = caller(cx, operation);
        let Some(request) = cx.request(operation, who) else {
            continue;
        };
        let Some(document) = documents(operation, &request)
            .into_iter()
            .find(|document| document.name().is_none())
        else {
            continue;
        };
        let probe = Probe {
            cx,
            operation,
            request,
            document,
            who,
        };
        let owner = probe.owner(&tenants).await?;
        let rights = probe.rights().await?;
        tried += u32::from(owner || rights);
    }
    if tried == 0 {
        return Ok(Outcome::untested(
            "no operation that may be sent makes something that a list shows",
        ));
    }
    Ok(Outcome::tried(tried))
}

/// One operation that makes something.
struct Probe<'a> {
    cx: &'a Context,
    operation: &'a Operation,
    request: Request,
    document: Document,
    who: usize,
}

impl Probe<'_> {
    /// Another owner than the caller, proved by the other's list. Whether it was tried.
    async fn owner(&self, tenants: &Tenants) -> Result<bool, Halt> {
        let cx = self.cx;
        let victim = tenants
            .ordinary
            .iter()
            .copied()
            .find(|other| *other != self.who);
        let Some(victim) = victim.filter(|_| tenants.ordinary.contains(&self.who)) else {
            return Ok(false);
        };
        let Some(list) = cx.operations().iter().find(|known| {
            known.method == Method::GET && known.path == self.operation.path && cx.may_send(known)
        }) else {
            return Ok(false);
        };
        let members: Map<String, Value> = OWNERS
            .iter()
            .filter(|member| !self.document.knows("", member))
            .filter_map(|member| {
                Some(((*member).to_owned(), self.owner_name(list, victim, member)?))
            })
            .collect();
        let Some(theirs) = cx.request(list, victim).filter(|_| !members.is_empty()) else {
            return Ok(false);
        };
        let plain = cx.send_fresh(self.request.clone()).await?;
        let made = self.make(&self.document.value, &members).await?;
        let listed = cx.send_fresh(theirs).await?;
        let (plain_ids, ids) = (identifiers(&plain), identifiers(&made));
        let is_listed = |id: Option<&String>| id.is_some_and(|id| probes::shown(&listed, id));
        let planted = probes::succeeded(&made)
            && plain_ids.first() != ids.first()
            && is_listed(ids.first())
            && !plain_ids.is_empty()
            && !is_listed(plain_ids.first());
        if planted {
            let name = &cx.identities()[victim].name;
            let telling = ids.first().map_or("", String::as_str);
            let evidence = vec![
                cx.evidence("the sample is sent with another owner", &made),
                cx.evidence_of(
                    format!("what was made stands in the list of {name}; what the plain sample made does not"),
                    &listed,
                    telling,
                ),
            ];
            cx.report(
                Finding::new(&META, vec![cx.place(self.operation)], evidence)
                    .described(format!(
                        "{} gives what it makes to whom the body names",
                        self.operation
                    ))
                    .grants([State::OtherTenant]),
            );
        }
        remove(cx, self.operation, &plain, self.who).await?;
        remove(
            cx,
            self.operation,
            &made,
            if planted { victim } else { self.who },
        )
        .await?;
        Ok(true)
    }

    /// What the identity's own objects say in a member that names their owner.
    fn owner_name(&self, list: &Operation, who: usize, member: &str) -> Option<Value> {
        let exchange = self.cx.baseline(list).valid.get(who)?.as_ref()?;
        let shown = exchange.json().and_then(|json| {
            let (_, leaf) = probes::leaves(json)
                .into_iter()
                .find(|(at, _)| at.rsplit('/').next() == Some(member))?;
            Some(leaf.clone())
        });
        shown
            .or_else(|| self.cx.jwt(who)?.text("sub").map(Value::from))
            .filter(|value| value.is_string() || value.is_number())
    }

    /// Rights of what is made, proved by the object beside a plain one. Whether it was tried.
    async fn rights(&self) -> Result<bool, Halt> {
        let cx = self.cx;
        let names: Vec<&String> = self
            .document
            .value
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, value)| {
                value.is_string()
                    && words(name).last().is_some_and(|word| {
                        matches!(
                            word.as_str(),
                            "username" | "name" | "login" | "handle" | "email" | "title"
                        )
                    })
            })
            .map(|(name, _)| name)
            .collect();
        // Accounts have rights; what else has a name has not.
        let account = words(&self.operation.path).iter().any(|word| {
            matches!(
                word.as_str(),
                "user"
                    | "users"
                    | "account"
                    | "accounts"
                    | "member"
                    | "members"
                    | "register"
                    | "signup"
                    | "registration"
                    | "people"
                    | "customers"
                    | "profiles"
            )
        });
        if names.is_empty() || !account {
            return Ok(false);
        }
        let control = cx.nonce();
        let mut members: Map<String, Value> = FLAGS
            .iter()
            .filter(|flag| !self.document.knows("", flag))
            .map(|flag| ((*flag).to_owned(), json!(true)))
            .collect();
        if !self.document.knows("", "role") {
            members.insert("role".to_owned(), json!("admin"));
        }
        let sent = members.clone();
        members.insert(control.clone(), json!(control));
        let (mark, plain_mark) = (cx.nonce(), cx.nonce());
        let made = self.make(&self.named(&names, &mark), &members).await?;
        let plain = self
            .make(&self.named(&names, &plain_mark), &Map::new())
            .await?;
        if probes::succeeded(&made) && probes::succeeded(&plain) {
            let mut answers = vec![Arc::clone(&made), Arc::clone(&plain)];
            answers.extend(read_back(cx, self.operation, &made, self.who).await?);
            let find = |mark: &str| {
                answers.iter().find_map(|exchange| {
                    let object = object_with(exchange.json()?, mark)?;
                    sent.keys()
                        .any(|flag| object.contains_key(flag))
                        .then_some((exchange, object))
                })
            };
            if let (Some((exchange, with)), Some((_, without))) = (find(&mark), find(&plain_mark))
                && !with.contains_key(&control)
                && let Some((flag, _)) = sent.iter().find(|(flag, value)| {
                    with.get(*flag) == Some(*value)
                        && without.get(*flag).is_some_and(|other| other != *value)
                })
            {
                let evidence = vec![
                    cx.evidence(
                        format!("the sample is sent with an undeclared `{flag}`"),
                        &made,
                    ),
                    cx.evidence_of(
                        format!(
                            "`{flag}` has the sent value; what the plain sample made has another"
                        ),
                        exchange,
                        &mark,
                    ),
                ];
                let place = cx.place(self.operation).parameter(flag);
                cx.report(
                    Finding::new(&META, vec![place], evidence)
                        .described(format!(
                            "{} takes `{flag}`, which no description names",
                            self.operation
                        ))
                        .grants([State::Admin]),
                );
            }
        }
        for (exchange, mark) in [(&made, mark), (&plain, plain_mark)] {
            if probes::succeeded(exchange) {
                // Many services name an account by what it calls itself and answer no identifier.
                let mut ids = identifiers(exchange);
                ids.push(mark);
                remove_named(cx, self.operation, &ids, self.who).await?;
            }
        }
        Ok(true)
    }

    async fn make(
        &self,
        document: &Value,
        members: &Map<String, Value>,
    ) -> Result<Arc<Exchange>, Halt> {
        let value = with_members(document, "", members);
        self.cx
            .send_fresh(self.document.put(&self.request, &value))
            .await
    }

    /// The sample with names that nothing else has.
    fn named(&self, names: &[&String], mark: &str) -> Value {
        let mut value = self.document.value.clone();
        for name in names {
            value[name.as_str()] = match name.to_lowercase().contains("email") {
                true => json!(format!("{mark}@example.com")),
                false => json!(mark),
            };
        }
        value
    }
}

/// The innermost object with a text member that holds `mark`.
fn object_with<'a>(json: &'a Value, mark: &str) -> Option<&'a Map<String, Value>> {
    match json {
        Value::Object(map) => map
            .values()
            .find_map(|value| object_with(value, mark))
            .or_else(|| {
                map.values()
                    .any(|value| value.as_str().is_some_and(|text| text.contains(mark)))
                    .then_some(map)
            }),
        Value::Array(list) => list.iter().find_map(|value| object_with(value, mark)),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::testing::{Response, Sample, Samples, api};
    use std::sync::Mutex;

    let body = |properties: Value, example: Value| {
        json!({ "required": true, "content": { "application/json": {
            "schema": { "type": "object", "properties": properties }, "example": example } } })
    };
    let boxes = move || {
        let request = body(
            json!({ "title": { "type": "string" } }),
            json!({ "title": "sample" }),
        );
        api(json!({ "/boxes": { "get": {}, "post": { "requestBody": request } } }))
    };
    let accounts = move || {
        let request = body(
            json!({ "username": { "type": "string" }, "email": { "type": "string" } }),
            json!({ "username": "sample", "email": "sample@example.com" }),
        );
        api(json!({ "/accounts": { "get": {}, "post": { "requestBody": request } } }))
    };
    /// What becomes of the members of a body.
    #[derive(Clone, Copy, PartialEq)]
    enum Reading {
        /// All of them replace what the service would set.
        Merged,
        /// Only the declared ones are read.
        Declared,
        /// What is not declared is refused.
        Strict,
        /// All of them are stored beside what the service sets.
        Stored,
    }
    let service = move |reading: Reading, shared: bool| {
        let made: Mutex<Vec<Value>> = Mutex::default();
        move |request: &crate::testing::Request| {
            let Some(subject) = request.subject() else {
                return Response::json(401, json!({ "error": "token required" }));
            };
            let mut made = made.lock().unwrap();
            if request.method == "GET" {
                let mine = made
                    .iter()
                    .filter(|item| shared || item["owner"] == subject.as_str());
                return Response::json(200, mine.cloned().collect::<Value>());
            }
            let Some(Value::Object(body)) = request.json() else {
                return Response::text(400, "an object is needed");
            };
            let declared = ["title", "username", "email"];
            if reading == Reading::Strict
                && body.keys().any(|name| !declared.contains(&name.as_str()))
            {
                return Response::json(422, json!({ "error": "unknown member" }));
            }
            let mut item =
                json!({ "id": format!("it-{}", made.len()), "owner": subject, "admin": false });
            for (name, value) in &body {
                if reading == Reading::Merged && name != "id" && item.get(name).is_some()
                    || declared.contains(&name.as_str())
                {
                    item[name] = value.clone();
                }
            }
            if reading == Reading::Stored {
                item["extra"] = Value::Object(body);
            }
            made.push(item.clone());
            Response::json(201, json!({ "id": item["id"] }))
        }
    };
    let active = |options: &mut crate::ScanOptions| options.level = Level::Active;
    Samples::new()
        .flawed(
            Sample::new("another owner", boxes(), service(Reading::Merged, false))
                .options(active)
                .reports(["POST /boxes"]),
        )
        .flawed(
            Sample::new(
                "an administrator",
                accounts(),
                service(Reading::Merged, true),
            )
            .options(active)
            .reports(["POST /accounts (admin)"]),
        )
        .sound(
            Sample::new("declared only", boxes(), service(Reading::Declared, false))
                .options(active),
        )
        .sound(
            Sample::new(
                "declared accounts",
                accounts(),
                service(Reading::Declared, true),
            )
            .options(active),
        )
        .sound(Sample::new("refused", accounts(), service(Reading::Strict, true)).options(active))
        .sound(
            Sample::new(
                "any JSON is stored",
                accounts(),
                service(Reading::Stored, true),
            )
            .options(active),
        )
}
