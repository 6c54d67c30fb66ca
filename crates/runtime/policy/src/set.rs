//! A set of policies that fits the schema, and its decisions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use cedar_policy::{AuthorizationError, Authorizer, Entities};
use cofferdam_action::action::ActionKind;
use cofferdam_action::refusal::quote;
use sha2::{Digest as _, Sha256};

use crate::context::context;
use crate::decision::Decision;
use crate::entities::Names;
use crate::error::LoadError;
use crate::request::{Request, Resource, ResourceKind};
use crate::shipped::SHIPPED;
use crate::source::{MAX_FILES, Source};
use crate::subject::{Subject, subjects};
use crate::validate::{Validated, internal, validate};

/// Policies that have been validated against the schema. A clone is cheap and shares them, so that a
/// reload puts a new set in the place of the old one while decisions go on.
#[derive(Clone, Debug)]
pub struct PolicySet {
    loaded: Arc<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    /// For each action, in the order of [`ActionKind::ALL`], the policies that name it, alone, in a
    /// group or with all. A decision evaluates no others.
    policies: Vec<cedar_policy::PolicySet>,
    names: Names,
    authorizer: Authorizer,
    infos: Vec<PolicyInfo>,
    fingerprint: String,
}

/// A policy of a set, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyInfo {
    /// Its `@id`, unique in the set.
    pub id: String,
    /// Whether it permits or forbids.
    pub effect: Effect,
    /// The file.
    pub file: String,
    /// The line where it begins, from 1.
    pub line: usize,
    /// The actions that it can apply to, in the order of [`ActionKind::ALL`].
    pub actions: Vec<ActionKind>,
    /// Its `@reason`: why, for whoever it forbids something.
    pub reason: Option<String>,
}

/// What a policy does where it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It permits, unless another forbids.
    Permit,
    /// It forbids, whatever others permit.
    Forbid,
}

impl PolicySet {
    /// Reads and validates one policy file, or the files `*.cedar` of a folder.
    ///
    /// # Errors
    /// What [`Source::read`] and [`PolicySet::parse`] say.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Self::parse(Source::read(path)?)
    }

    /// Validates policies, strictly: each must have an `@id` of its own and fit the schema, and one
    /// that could never apply is refused too, since it does not do what its author meant.
    ///
    /// # Errors
    /// [`LoadError::Invalid`] with every problem and its place; [`LoadError::TooLarge`] beyond
    /// [`MAX_FILES`], [`crate::MAX_FILE`] or [`crate::MAX_POLICIES`]; [`LoadError::Nothing`] where there is
    /// no policy.
    pub fn parse(sources: impl IntoIterator<Item = Source>) -> Result<Self, LoadError> {
        let sources: Vec<Source> = sources.into_iter().take(MAX_FILES + 1).collect();
        if sources.len() > MAX_FILES {
            return Err(LoadError::TooLarge {
                what: "the number of policy files".to_owned(),
                limit: MAX_FILES.to_string(),
            });
        }
        sources.iter().try_for_each(Source::check_size)?;
        let Validated { policies, infos } = validate(&sources)?;
        let names = Names::new()?;
        let by_action = ActionKind::ALL.iter().map(|&kind| {
            let named = policies.policies().filter(|it| names.names(it, kind));
            cedar_policy::PolicySet::from_policies(named.cloned()).map_err(|error| internal(&error))
        });
        let by_action = by_action.collect::<Result<_, LoadError>>();
        Ok(Self {
            loaded: Arc::new(Loaded {
                policies: by_action?,
                names,
                authorizer: Authorizer::new(),
                infos,
                fingerprint: fingerprint(&sources),
            }),
        })
    }

    /// The shipped set: one policy file for each role.
    ///
    /// # Errors
    /// None, as a test holds.
    pub fn shipped() -> Result<Self, LoadError> {
        Self::parse(SHIPPED.map(|(name, text)| Source::new(name, text)))
    }

    /// SHA-256 in hex over the names and texts of all files: the same for the same policies.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.loaded.fingerprint
    }

    /// Every policy, by file and place.
    #[must_use]
    pub fn policies(&self) -> &[PolicyInfo] {
        &self.loaded.infos
    }

    /// Decides a request: on every object that it concerns, and denied if it is on one of them.
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        match self.try_decide(request) {
            Ok(decision) => decision,
            Err(reason) => Decision::Deny {
                policies: Vec::new(),
                reason: format!("it cannot be decided: {reason}"),
            },
        }
    }

    fn try_decide(&self, request: &Request<'_>) -> Result<Decision, String> {
        let Loaded {
            policies,
            names,
            authorizer,
            ..
        } = &*self.loaded;
        let subjects = subjects(request)?;
        let kind = request.action.kind();
        let policies = policies
            .get(kind as usize)
            .ok_or("the action has no policies")?;
        let action = names.action(kind).ok_or("the action has no entity")?;
        let principal = names.principal(&request.principal)?;
        let context = context(request)?;
        let principal_uid = principal.uid();
        let mut entities = vec![principal, action.entity.clone()];
        let mut uids = Vec::with_capacity(subjects.len());
        for subject in &subjects {
            let entity = names.resource(subject)?;
            uids.push(entity.uid());
            entities.push(entity);
        }
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let entities = Entities::from_entities(entities, None).map_err(|error| text(&error))?;
        let mut permitting = BTreeSet::new();
        for (subject, uid) in subjects.iter().zip(uids) {
            let asked = cedar_policy::Request::new(
                principal_uid.clone(),
                action.uid.clone(),
                uid,
                context.clone(),
                None,
            );
            let asked = asked.map_err(|error| text(&error))?;
            let response = authorizer.is_authorized(&asked, policies, &entities);
            let mut errors = response.diagnostics().errors().peekable();
            if errors.peek().is_some() {
                let failed = errors.map(|AuthorizationError::PolicyEvaluationError(error)| {
                    (error.policy_id().to_string(), error.inner().to_string())
                });
                let failed: BTreeMap<_, _> = failed.collect();
                let reason = self.not_evaluated(&failed);
                let policies = failed.into_keys().collect();
                return Ok(Decision::Deny { policies, reason });
            }
            let reasons = response.diagnostics().reason().map(ToString::to_string);
            match response.decision() {
                cedar_policy::Decision::Allow => permitting.extend(reasons),
                cedar_policy::Decision::Deny => {
                    let policies: BTreeSet<String> = reasons.collect();
                    let reason = self.denied(&policies, request, subject);
                    let policies = policies.into_iter().collect();
                    return Ok(Decision::Deny { policies, reason });
                }
            }
        }
        Ok(Decision::Allow {
            policies: permitting.into_iter().collect(),
        })
    }

    /// Why a request is denied on an object, for whoever asked.
    fn denied(
        &self,
        forbidding: &BTreeSet<String>,
        request: &Request<'_>,
        subject: &Subject<'_>,
    ) -> String {
        let own = request.principal.owner;
        let what = format!("`{}`{}", request.action.kind().id(), on(subject, own));
        let Some(first) = forbidding.first() else {
            let who = match request.principal.roles.as_slice() {
                [] => "a caller without a role".to_owned(),
                [role] => format!("the role {}", quote(role)),
                roles => {
                    let roles: Vec<String> = roles.iter().map(|role| quote(role)).collect();
                    format!("the roles {}", roles.join(", "))
                }
            };
            return format!("no policy permits {what} for {who}");
        };
        let mut reason = format!("the policy `{first}` forbids {what}");
        if let Some(why) = self.info(first).and_then(|info| info.reason.as_deref()) {
            // Writing to a `String` cannot fail.
            let _ = write!(reason, ": {why}");
        }
        reason
    }

    fn not_evaluated(&self, failed: &BTreeMap<String, String>) -> String {
        let failed: Vec<String> = failed
            .iter()
            .map(|(id, error)| format!("the policy `{id}` cannot be evaluated: {error}"))
            .collect();
        failed.join("; ")
    }

    fn info(&self, id: &str) -> Option<&PolicyInfo> {
        self.loaded.infos.iter().find(|info| info.id == id)
    }
}

/// ` on the container db`, or nothing where the action names no object. What is another's is not
/// named: whoever asked may have written its id alone.
fn on(subject: &Subject<'_>, own: &str) -> String {
    let resource = &subject.resource;
    let kind = resource.kind;
    match kind {
        ResourceKind::Tenant if *resource == Resource::everyone() => {
            return " on the objects of everyone".to_owned();
        }
        ResourceKind::Tenant | ResourceKind::System => return String::new(),
        _ => {}
    }
    let is_everyones = subject.image.is_some() && resource.owner.is_none();
    if resource.owner != Some(own) && !is_everyones {
        return format!(" on another's {}", kind.word());
    }
    let name = match &subject.image {
        Some(image) => image.to_string(),
        None => resource.name.unwrap_or(resource.id).to_owned(),
    };
    format!(" on the {} {}", kind.word(), quote(&name))
}

/// The lengths keep apart what would run together.
fn fingerprint(sources: &[Source]) -> String {
    let mut hash = Sha256::new();
    for text in sources.iter().flat_map(|it| [&it.name, &it.text]) {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use cedar_policy::Schema;
    use cofferdam_action::action::{Action, Reference};

    use super::*;
    use crate::request::Principal;

    /// Strict validation says nothing of a request that does not fit the schema, so each must.
    #[test]
    fn what_a_decision_is_made_of_fits_the_schema() {
        let (schema, _) = Schema::from_cedarschema_str(&crate::schema()).unwrap();
        let names = Names::new().unwrap();
        let examples = ActionKind::ALL.iter().map(|&kind| crate::example(kind));
        let full = r#"{"ContainerCreate":{
            "name":"db","image":"ghcr.io/team/db:16","labels":{"a":"b"},
            "process":{"user":"70","command":["postgres"],"health":{"test":{"shell":"x"}}},
            "storage":{"binds":[{"source":{"volume":"data"},"target":"/a"}]},
            "network":{"mode":{"network":"net"},"published_ports":{"80":[]}},
            "security":{"cap_add":["NET_RAW"],"pid_of":"web"},
            "lifecycle":{"restart":"always"}}}"#;
        let exec = r#"{"ExecCreate":{"container":"web","exec":{"command":["sh"],"user":"root"}}}"#;
        for text in examples.chain([full, exec]) {
            let action: Action = serde_json::from_str(text).unwrap();
            for client in [None, Some("cli")] {
                let principal = Principal {
                    owner: "a",
                    issuer: "https://idp.example",
                    subject: "alice",
                    client,
                    scopes: vec!["containers:read"],
                    roles: vec!["runner"],
                    groups: vec!["developers"],
                };
                let references = action.references();
                let resources: Vec<Resource<'_>> = references
                    .iter()
                    .map(|reference| match reference {
                        Reference::Container(_) => {
                            Resource::new(ResourceKind::Container, "c", Some("a")).named("web")
                        }
                        Reference::Network(_) => {
                            Resource::new(ResourceKind::Network, "n", Some("a"))
                        }
                        Reference::Volume(_) => {
                            Resource::new(ResourceKind::Volume, "v", None).named("v")
                        }
                        Reference::Exec(_) => {
                            Resource::new(ResourceKind::Exec, "e", Some("a")).named("e")
                        }
                        Reference::Image(_) => Resource::new(ResourceKind::Image, "i", client),
                    })
                    .collect();
                let request = Request {
                    principal: principal.clone(),
                    action: &action,
                    given_name: action.given_name(),
                    resources: &resources,
                    now: 0,
                };
                let action = names.action(action.kind()).unwrap();
                let principal = names.principal(&principal).unwrap();
                let uid = principal.uid();
                let mut entities = vec![principal, action.entity.clone()];
                for subject in subjects(&request).unwrap() {
                    let resource = names.resource(&subject).unwrap();
                    let asked = cedar_policy::Request::new(
                        uid.clone(),
                        action.uid.clone(),
                        resource.uid(),
                        context(&request).unwrap(),
                        Some(&schema),
                    );
                    asked.unwrap_or_else(|error| panic!("{text}: {error}"));
                    entities.push(resource);
                }
                Entities::from_entities(entities, Some(&schema))
                    .unwrap_or_else(|error| panic!("{text}: {error}"));
            }
        }
    }

    #[test]
    fn a_decision_evaluates_every_policy_that_can_apply() {
        let more = r#"
            @id("any") permit (principal, action, resource);
            @id("read") permit (principal, action in Action::"read", resource);
            @id("either") permit (principal, action in [Action::"exec.start", Action::"change"], resource);
            @id("one") forbid (principal, action == Action::"image.pull", resource);
        "#;
        let shipped = SHIPPED.map(|(name, text)| Source::new(name, text));
        let sources = shipped.into_iter().chain([Source::new("more.cedar", more)]);
        let set = PolicySet::parse(sources).unwrap();
        for info in set.policies() {
            let id = cedar_policy::PolicyId::new(&info.id);
            // What the validator finds a policy can apply to, by a way of its own.
            for &kind in &info.actions {
                let evaluated = &set.loaded.policies[kind as usize];
                assert!(evaluated.policy(&id).is_some(), "{} for {kind:?}", info.id);
            }
        }
        let one = |kind: ActionKind| set.loaded.policies[kind as usize].policies();
        let of = |kind| {
            one(kind)
                .filter(|it| !it.id().to_string().contains('.'))
                .count()
        };
        assert_eq!(of(ActionKind::Ping), 2);
        assert_eq!(of(ActionKind::ImagePull), 3);
        assert_eq!(of(ActionKind::ExecInspect), 2);
        assert_eq!(of(ActionKind::ExecStart), 2);
    }
}
