//! Cases: a request written by hand, and what policy should say of it.

use std::collections::BTreeMap;
use std::fmt;

use cofferdam_action::action::{Action, ActionKind, Reference};
use cofferdam_action::refusal::quote;
use serde::Deserialize;
use serde_json::Value;

use crate::decision::Decision;
use crate::example::example;
use crate::request::{Principal, Request, Resource, ResourceKind};
use crate::set::PolicySet;

/// Cases of one file at most.
const MAX_CASES: usize = 10_000;
/// The tenant that is not the caller's.
const OTHER: &str = "another";

/// A request, and what policy should say of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case says, as a sentence.
    #[serde(default)]
    pub name: String,
    /// The caller's roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The caller's groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The token's scopes; the one that the action takes, where it does not say.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// The caller's tenant.
    #[serde(default = "caller")]
    pub tenant: String,
    /// `iss` of the token.
    #[serde(default = "issuer")]
    pub issuer: String,
    /// `sub` of the token.
    #[serde(default = "caller")]
    pub subject: String,
    /// `client_id` of the token.
    #[serde(default)]
    pub client: Option<String>,
    /// The action, such as `container.create`.
    #[serde(with = "kind")]
    pub action: ActionKind,
    /// Members of the action that differ from [`example`].
    #[serde(default)]
    pub with: Value,
    /// Whose the objects are that it refers to.
    #[serde(default)]
    pub owner: Owners,
    /// The time, in seconds since 1970; a Tuesday at noon, where it does not say.
    #[serde(default = "noon")]
    pub at: u64,
    /// What policy should say.
    #[serde(default)]
    pub expect: Option<Expect>,
    /// The policy that should be among those that decide.
    #[serde(default)]
    pub policy: Option<String>,
}

/// Whose an object is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// The caller's.
    #[default]
    Own,
    /// Another tenant's.
    Other,
    /// Nobody's: an image that the operator allows to everyone.
    None,
    /// Everyone's, of a list that is not cut down to the caller's own.
    Everyone,
}

/// Whose the objects of a request are: all the same, or by what they are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "`own`, `other`, `none` or `everyone`, or one of them for each kind of object"
)]
pub enum Owners {
    /// All the same.
    All(Owner),
    /// By kind of object; what is not named is the caller's.
    Each(BTreeMap<String, Owner>),
}

/// What policy should say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// It may be done.
    Allow,
    /// It may not.
    Deny,
}

/// What is said of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The token lacks the scope that the action takes. The broker asks for it before policy.
    Scope(&'static str),
    /// What policy says.
    Policy(Decision),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    case: Vec<Case>,
}

/// Reads the cases of a file in TOML, each a table `[[case]]` with a name and what to expect.
///
/// # Errors
/// What is no such file, with its line, and a file without a case.
pub fn parse_cases(text: &str) -> Result<Vec<Case>, String> {
    let File { case: cases } = toml::from_str(text).map_err(|error| error.to_string())?;
    if cases.is_empty() || cases.len() > MAX_CASES {
        return Err(format!(
            "there are {} cases; write 1 to {MAX_CASES}",
            cases.len()
        ));
    }
    for (at, case) in cases.iter().enumerate() {
        let lacks = match (case.name.as_str(), case.expect) {
            ("", _) => "name",
            (_, None) => "expect",
            _ => continue,
        };
        return Err(format!("case {} has no `{lacks}`", at + 1));
    }
    Ok(cases)
}

impl Case {
    /// A case of an action, with everything else left to its default.
    #[must_use]
    pub fn new(action: ActionKind) -> Self {
        Self {
            name: String::new(),
            roles: Vec::new(),
            groups: Vec::new(),
            scopes: None,
            tenant: caller(),
            issuer: issuer(),
            subject: caller(),
            client: None,
            action,
            with: Value::Null,
            owner: Owners::default(),
            at: noon(),
            expect: None,
            policy: None,
        }
    }

    /// The action of the case.
    ///
    /// # Errors
    /// Where `with` has a member that the action does not have, or at a value that it cannot have.
    pub fn action(&self) -> Result<Action, String> {
        let failed = |error: serde_json::Error| {
            format!("`with` is no part of `{}`: {error}", self.action.id())
        };
        let mut action: Value = serde_json::from_str(example(self.action)).map_err(failed)?;
        if let Some((_, members)) = action.as_object_mut().and_then(|it| it.iter_mut().next()) {
            merge(members, &self.with);
        }
        serde_json::from_value(action).map_err(failed)
    }

    /// What a policy set says of the case, after the scope.
    ///
    /// # Errors
    /// As [`Case::action`].
    pub fn decide(&self, policies: &PolicySet) -> Result<Verdict, String> {
        let action = self.action()?;
        let scope = self.action.scope();
        let scopes: Vec<&str> = match &self.scopes {
            Some(scopes) => texts(scopes),
            None => vec![scope],
        };
        if !scopes.contains(&scope) {
            return Ok(Verdict::Scope(scope));
        }
        let references = action.references();
        let names: Vec<(ResourceKind, String)> = references.iter().map(named).collect();
        let mut resources = Vec::new();
        for (kind, name) in &names {
            resources.push(Resource::new(*kind, name, self.owner_of(*kind)?).named(name));
        }
        if self.owner == Owners::All(Owner::Everyone) {
            resources = vec![Resource::everyone()];
        }
        Ok(Verdict::Policy(policies.decide(&Request {
            principal: Principal {
                owner: &self.tenant,
                issuer: &self.issuer,
                subject: &self.subject,
                client: self.client.as_deref(),
                scopes,
                roles: texts(&self.roles),
                groups: texts(&self.groups),
            },
            action: &action,
            given_name: action.given_name(),
            resources: &resources,
            now: self.at,
        })))
    }

    fn owner_of(&self, kind: ResourceKind) -> Result<Option<&str>, String> {
        let owner = match &self.owner {
            Owners::All(owner) => *owner,
            Owners::Each(owners) => {
                let known = |word: &&String| ResourceKind::ALL.iter().all(|it| it.word() != *word);
                if let Some(unknown) = owners.keys().find(known) {
                    return Err(format!("{} is no kind of object", quote(unknown)));
                }
                owners.get(kind.word()).copied().unwrap_or_default()
            }
        };
        match owner {
            Owner::Own => Ok(Some(&self.tenant)),
            Owner::Other => Ok(Some(OTHER)),
            Owner::None => Ok(None),
            Owner::Everyone => Err("only a list is of everyone's objects".to_owned()),
        }
    }
}

impl Verdict {
    /// Whether it may be done, as far as scope and policy go.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Verdict::Policy(Decision::Allow { .. }))
    }

    /// Whether it is what a case expects. The policy counts only where one is named.
    #[must_use]
    pub fn meets(&self, case: &Case) -> bool {
        let as_expected = case
            .expect
            .is_none_or(|expect| (expect == Expect::Allow) == self.is_allowed());
        let policies = match self {
            Verdict::Scope(_) => &[],
            Verdict::Policy(decision) => decision.policies(),
        };
        as_expected && case.policy.as_ref().is_none_or(|it| policies.contains(it))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Scope(scope) => write!(f, "denied: the token lacks the scope `{scope}`"),
            Verdict::Policy(Decision::Allow { policies }) => {
                write!(f, "allowed by {}", policies.join(", "))
            }
            Verdict::Policy(Decision::Deny {
                policies: _,
                reason,
            }) => {
                write!(f, "denied: {reason}")
            }
        }
    }
}

impl Default for Owners {
    fn default() -> Self {
        Owners::All(Owner::Own)
    }
}

fn texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn named(reference: &Reference) -> (ResourceKind, String) {
    match reference {
        Reference::Container(container) => (ResourceKind::Container, container.to_string()),
        Reference::Network(network) => (ResourceKind::Network, network.to_string()),
        Reference::Volume(volume) => (ResourceKind::Volume, volume.to_string()),
        Reference::Exec(exec) => (ResourceKind::Exec, exec.to_string()),
        Reference::Image(image) => (ResourceKind::Image, image.to_string()),
    }
}

/// Puts the members of `change` into `target`, tables member by member.
fn merge(target: &mut Value, change: &Value) {
    match (target, change) {
        (_, Value::Null) => {}
        (Value::Object(target), Value::Object(change)) => {
            for (name, value) in change {
                match target.get_mut(name) {
                    Some(inner) => merge(inner, value),
                    None => drop(target.insert(name.clone(), value.clone())),
                }
            }
        }
        (target, change) => *target = change.clone(),
    }
}

fn caller() -> String {
    "caller".to_owned()
}

fn issuer() -> String {
    "https://idp.example".to_owned()
}

/// 2026-11-24T12:00:00Z.
const fn noon() -> u64 {
    1_795_521_600
}

/// An action by its id.
mod kind {
    use super::{ActionKind, Deserialize, quote};
    use serde::Deserializer;
    use serde::de::Error as _;

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<ActionKind, D::Error> {
        let id = String::deserialize(deserializer)?;
        let mut kinds = ActionKind::ALL.iter().copied();
        kinds.find(|kind| kind.id() == id).ok_or_else(|| {
            D::Error::custom(format!(
                "{} is no action such as `container.create`",
                quote(&id)
            ))
        })
    }
}
