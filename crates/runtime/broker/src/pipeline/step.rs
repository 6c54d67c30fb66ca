//! The steps before anything is done. Each either makes what the next one needs, or denies.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use cofferdam_action::action::{Action, ActionKind};
use cofferdam_action::floor::{Approved, HostPathUse};
use cofferdam_action::refusal::Refusal;
use cofferdam_action::wire::{By, RawToken, Refused};
use cofferdam_audit::record::Decision;
use cofferdam_policy::{Decision as Verdict, Request, Resource, ResourceKind};
use cofferdam_token::{Sender, base64url};
use tokio::time::Instant;

use crate::act::refusal;
use crate::broker::{Broker, Rules};
use crate::caller::{Caller, hex, token_sha256, who};
use crate::config::{PolicyMode, Streams};
use crate::host_path;
use crate::shares::Share;
use crate::tenancy::{self, Kind, Object, Tenant};

/// It is refused: what the caller hears, and what the audit log says.
#[must_use]
pub(super) struct Denied {
    pub(super) refused: Refused,
    pub(super) reason: String,
}

/// An action whose references are full ids, of a verified caller.
#[must_use]
pub(super) struct Resolved {
    caller: Caller,
    tenant: Tenant,
    action: Action,
    given_name: Option<String>,
    objects: Vec<Object>,
}

/// An action that the floor lets through.
#[must_use]
pub(super) struct Floored {
    caller: Caller,
    tenant: Tenant,
    approved: Approved,
    given_name: Option<String>,
    objects: Vec<Object>,
}

/// An action that scope, floor and policy allow.
#[must_use]
pub(crate) struct Permitted {
    tenant: Tenant,
    action: Action,
    host_paths: Vec<HostPathUse>,
    decision: Decision,
    room: Option<Share>,
    /// When a stream of it is to end, where it ends with its token.
    until: Option<Instant>,
}

/// An action that stands in the audit log, and may be done.
#[must_use]
pub(super) struct Recorded {
    pub(super) request: String,
    pub(super) action: Action,
    pub(super) tenant: Tenant,
    pub(super) host_paths: Vec<HostPathUse>,
    /// Of a change; see [`room`].
    pub(super) room: Option<Share>,
}

/// Who is it? Nothing that the gate says of the token is believed.
pub(super) fn verify(
    rules: &Rules,
    token: &RawToken,
    certificate: Option<&str>,
    decision: &mut Decision,
) -> Result<Caller, Denied> {
    let raw = token.expose();
    decision.who.token_sha256 = token_sha256(raw);
    let denied = |status, message: &str, reason: String| Denied {
        refused: refusal(By::Token, status, message.to_owned()),
        reason,
    };
    let mut sender = Sender::bearer();
    if let Some(text) = certificate {
        match base64url::decode(text).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
            Some(thumbprint) => sender = sender.with_certificate_sha256(thumbprint),
            None => {
                let reason = "the gate sent a malformed certificate digest".to_owned();
                return Err(denied(
                    401,
                    "the client's certificate cannot be read",
                    reason,
                ));
            }
        }
    }
    let caller = rules
        .issuers
        .verify(raw, now(), &sender)
        .map_err(|rejection| {
            let status = if rejection.code().is_some() { 401 } else { 503 };
            let reason = format!("{}: {rejection}", rejection.id());
            denied(status, rejection.description(), reason)
        })
        .and_then(|(verified, settings)| {
            decision.who = who(&verified, std::mem::take(&mut decision.who.token_sha256));
            Caller::of(verified, settings)
                .map_err(|error| denied(403, &error.to_string(), error.to_string()))
        })?;
    decision.owner = caller.tenant().owner.to_string();
    Ok(caller)
}

/// What the gate has refused for a caller whose token is valid.
pub(super) fn refused_by_gate(route: String, refusal: Refusal, decision: &mut Decision) -> Denied {
    decision.action = "request".to_owned();
    decision.objects = vec![route];
    by_floor(&refusal)
}

/// Has the token the scope of this kind of action, as a whole word?
pub(super) fn scope(
    caller: &Caller,
    action: &Action,
    decision: &mut Decision,
) -> Result<(), Denied> {
    let kind = action.kind();
    decision.action = kind.id().to_owned();
    decision.action_sha256 = action_sha256(action);
    decision.objects = written(action);
    let scope = kind.scope();
    if caller.has_scope(scope) {
        return Ok(());
    }
    let message = format!(
        "`{}` needs the scope `{scope}`, which the token does not have",
        kind.id()
    );
    Err(Denied {
        reason: message.clone(),
        refused: Refused {
            scope: Some(scope.to_owned()),
            ..refusal(By::Scope, 403, message)
        },
    })
}

/// What is it about? Names become full ids, among the caller's own unless they may see all.
pub(super) async fn resolve(
    broker: &Broker,
    rules: &Rules,
    caller: Caller,
    mut action: Action,
    decision: &mut Decision,
) -> Result<Resolved, Denied> {
    let tenant = sight(rules, &caller, &action);
    let given_name = action.given_name().map(str::to_owned);
    let objects = broker.tenancy().resolve(&mut action, &tenant).await;
    let objects = objects.map_err(|refused| Denied {
        reason: refused.message.clone(),
        refused,
    })?;
    // What is made comes first, since a record is cut short at its end, and the name leads from what
    // the engine has back to its intent.
    let found = objects.iter().flat_map(|it| [&*it.name, it.recorded()]);
    let found = found.map(str::to_owned).collect();
    let written = std::mem::replace(&mut decision.objects, found);
    decision.objects.extend(written);
    each_once(&mut decision.objects);
    Ok(Resolved {
        caller,
        tenant,
        action,
        given_name,
        objects,
    })
}

/// May anybody? What hands over the host is refused, whatever the token says.
pub(super) fn floor(
    broker: &Broker,
    rules: &Rules,
    resolved: Resolved,
    decision: &mut Decision,
) -> Result<Floored, Denied> {
    let Resolved {
        caller,
        tenant,
        action,
        given_name,
        objects,
    } = resolved;
    let images = broker.tenancy().caller_images(&action, &tenant);
    let before = caller.before_floor(images);
    let approved = rules
        .floor
        .judge(action, &before)
        .map_err(|refusal| by_floor(&refusal))?;
    decision.exceptions = approved
        .exceptions()
        .iter()
        .filter_map(|exception| serde_json::to_string(exception).ok())
        .collect();
    Ok(Floored {
        caller,
        tenant,
        approved,
        given_name,
        objects,
    })
}

/// May this one? Whatever no policy permits is denied.
pub(super) fn policy(
    rules: &Rules,
    floored: Floored,
    decision: &mut Decision,
) -> Result<Permitted, Denied> {
    let Floored {
        caller,
        tenant,
        approved,
        given_name,
        objects,
    } = floored;
    let everyone = tenant.sees_all && shows_everyone(approved.action().kind());
    let request = Request {
        principal: caller.principal(),
        action: approved.action(),
        given_name: given_name.as_deref(),
        resources: &resources(everyone, approved.action(), &objects),
        now: now(),
    };
    // What a read is resolved to follows from what was asked for and from its objects, and who asks
    // from the token. A change is decided each time.
    let question = (!approved.action().kind().changes()).then(|| {
        let mut question = format!(
            "{}{}{everyone}",
            &decision.who.token_sha256, decision.action_sha256
        );
        for object in &objects {
            let owner = object.owner.as_ref().map_or("", |owner| owner.as_str());
            for part in [object.kind.as_str(), owner, object.recorded(), &object.name] {
                question.push('\n');
                question.push_str(part);
            }
        }
        question
    });
    let verdict = rules.policies.decide(&request, question);
    decision.policies = verdict.policies().to_vec();
    if let Verdict::Deny { policies, reason } = verdict {
        let own = caller.tenant().owner;
        let is_own = |object: &Object| match object.owner {
            Some(owner) => owner == own,
            None => object.kind == Kind::Image,
        };
        let among_their_own = !everyone && objects.iter().all(is_own);
        if rules.mode == PolicyMode::Enforce || !among_their_own {
            return Err(by_policy(policies, reason));
        }
        decision.reason = format!("would be denied by policy, but none is enforced: {reason}");
    }
    let until = match rules.streams {
        Streams::OutliveToken => None,
        Streams::EndWithToken => Some(Instant::now() + caller.accepted_for(SystemTime::now())),
    };
    let host_paths = approved.host_paths().to_vec();
    let mut action = approved.into_action();
    tenancy::mark(&mut action, &tenant.owner, &decision.request);
    Ok(Permitted {
        tenant,
        action,
        host_paths,
        decision: Decision::default(),
        room: None,
        until,
    })
}

/// Is there room for it? A change goes on when its caller is gone, so no tenant may have so many
/// under way that there is none for others. It is refused before there is an intent.
pub(super) async fn room(broker: &Broker, permitted: Permitted) -> Result<Permitted, Denied> {
    if !permitted.changes() {
        return Ok(permitted);
    }
    let kind = permitted.action.kind();
    match broker.room_for(kind, permitted.tenant.owner).await {
        Some(room) => Ok(Permitted {
            room: Some(room),
            ..permitted
        }),
        None => {
            let message = "too much is under way already, so it was not done; ask again later";
            Err(Denied {
                reason: message.to_owned(),
                refused: Refused {
                    retry_after: Some(5),
                    ..refusal(By::Broker, 503, message.to_owned())
                },
            })
        }
    }
}

impl Permitted {
    pub(super) fn recorded_as(self, decision: Decision) -> Self {
        Self { decision, ..self }
    }

    pub(super) const fn changes(&self) -> bool {
        self.action.kind().changes()
    }

    pub(super) const fn until(&self) -> Option<Instant> {
        self.until
    }

    pub(super) fn into_recorded(self) -> (Decision, Recorded) {
        let Self {
            tenant,
            action,
            host_paths,
            decision,
            room,
            until: _,
        } = self;
        let recorded = Recorded {
            request: decision.request.clone(),
            action,
            tenant,
            host_paths,
            room,
        };
        (decision, recorded)
    }
}

/// Do the paths of the host that an exception allows lead where they say? It is asked right before
/// the act, since a link could be put on the way until then.
pub(super) fn walk(paths: &[HostPathUse]) -> Result<(), Refused> {
    host_path::walk(paths).map_err(|refusal| by_floor(&refusal).refused)
}

/// Whose objects an action is resolved and shown among. Others' are seen only with the scope for
/// it; and of a list, only where a policy permits it of everyone.
fn sight(rules: &Rules, caller: &Caller, action: &Action) -> Tenant {
    if !caller.tenant().sees_all {
        return caller.tenant().clone();
    }
    if !action.references().is_empty() {
        // What they refer to is decided by policy, once it is known whose it is.
        return caller.tenant().clone();
    }
    let permitted = shows_everyone(action.kind())
        && rules
            .policies
            .decide(
                &Request {
                    principal: caller.principal(),
                    action,
                    given_name: action.given_name(),
                    resources: &[Resource::everyone()],
                    now: now(),
                },
                None,
            )
            .is_allowed();
    match permitted {
        true => caller.tenant().clone(),
        false => caller.among_their_own(),
    }
}

/// What shows the objects of a tenant, or of everyone. A prune is always of one's own.
const fn shows_everyone(kind: ActionKind) -> bool {
    matches!(
        kind,
        ActionKind::ContainerList
            | ActionKind::NetworkList
            | ActionKind::VolumeList
            | ActionKind::DiskUsage
            | ActionKind::Events
    )
}

/// The objects that policy decides on: those that the action refers to, without what it makes.
fn resources<'o>(everyone: bool, action: &Action, objects: &'o [Object]) -> Vec<Resource<'o>> {
    if everyone {
        return vec![Resource::everyone()];
    }
    // The container that a create makes comes first, and its image last.
    let made = usize::from(matches!(action, Action::ContainerCreate(_)));
    let referred = objects.iter().skip(made).take(action.references().len());
    referred.map(resource).collect()
}

fn resource(object: &Object) -> Resource<'_> {
    let kind = match object.kind {
        Kind::Container => ResourceKind::Container,
        Kind::Network => ResourceKind::Network,
        Kind::Volume => ResourceKind::Volume,
        Kind::Exec => ResourceKind::Exec,
        Kind::Image => ResourceKind::Image,
    };
    let owner = object.owner.as_ref().map(|owner| owner.as_str());
    Resource::new(kind, object.recorded(), owner).named(&object.name)
}

fn by_floor(refusal: &Refusal) -> Denied {
    let message = refusal.to_string();
    Denied {
        reason: message.clone(),
        refused: Refused {
            rules: vec![refusal.rule.id().to_owned()],
            ..crate::act::refusal(By::Floor, refusal.status(), message)
        },
    }
}

fn by_policy(policies: Vec<String>, reason: String) -> Denied {
    let message = match policies.is_empty() {
        true => format!("refused by policy: {reason}"),
        false => format!("refused by policy {}: {reason}", policies.join(", ")),
    };
    Denied {
        reason,
        refused: Refused {
            // The audit record has them already.
            rules: policies,
            ..refusal(By::Policy, 403, message)
        },
    }
}

/// What an action is about in the words of the caller, for the audit log: the name that it gives,
/// what it refers to, and images.
fn written(action: &Action) -> Vec<String> {
    let name = action.given_name().map(str::to_owned).into_iter();
    let references = action.references().into_iter();
    let references = references.map(|reference| reference.to_string());
    let images = tenancy::named(action).into_iter().map(ToString::to_string);
    let mut written = name.chain(references).chain(images).collect();
    each_once(&mut written);
    written
}

fn each_once(texts: &mut Vec<String>) {
    let mut seen = HashSet::new();
    texts.retain(|text| seen.insert(text.clone()));
}

/// The SHA-256 of an action as it was asked for.
fn action_sha256(action: &Action) -> String {
    // What was read from JSON can be written as JSON.
    let json = serde_json::to_vec(action).unwrap_or_default();
    hex(digest::digest(&digest::SHA256, &json).as_ref())
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
