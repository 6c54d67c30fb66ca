//! What a route asks of a token, and the decision.

use crate::challenge::{Challenge, ErrorCode};
use crate::json::Value;
use crate::scope::{Scopes, is_scope};
use crate::sender::Binding;
use crate::verifier::Verified;

/// What a verified token must have for an operation. Built with the functions of this module.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a requirement does nothing until it is checked"]
pub struct Requirement(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Authenticated,
    Scope(String),
    Member(Attribute, String),
    Claim(Vec<String>, String),
    Audience(String),
    Issuer(String),
    Bound,
    Acr(Vec<String>),
    MaxAge(u64),
    All(Vec<Requirement>),
    Any(Vec<Requirement>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attribute {
    Role,
    Group,
    Entitlement,
}

/// Any verified token.
pub fn authenticated() -> Requirement {
    Requirement(Kind::Authenticated)
}

/// This scope, as a whole.
///
/// # Panics
/// Where `scope` is no scope by RFC 6749 §3.3 (empty, or with a space in it): it could never be
/// granted, so it is a mistake in the program and shows at start.
#[track_caller]
pub fn scope(scope: impl Into<String>) -> Requirement {
    let scope = scope.into();
    assert!(
        is_scope(&scope),
        "`{scope}` is not one scope by RFC 6749 section 3.3"
    );
    Requirement(Kind::Scope(scope))
}

/// This role (claim `roles`).
pub fn role(role: impl Into<String>) -> Requirement {
    Requirement(Kind::Member(Attribute::Role, role.into()))
}

/// This group (claim `groups`).
pub fn group(group: impl Into<String>) -> Requirement {
    Requirement(Kind::Member(Attribute::Group, group.into()))
}

/// This entitlement (claim `entitlements`).
pub fn entitlement(entitlement: impl Into<String>) -> Requirement {
    Requirement(Kind::Member(Attribute::Entitlement, entitlement.into()))
}

/// The string `value` at a path of member names in the claims, alone or as an element of an array:
/// for roles that an issuer keeps in a place of its own. Compared byte for byte. A member's name is
/// one element of the path whatever dots it has, and nothing on the way but objects is entered.
///
/// ```
/// # use cofferdam_token::requirement::claim;
/// let requirement = claim(["resource_access", "containers", "roles"], "operator");
/// # let _ = requirement;
/// ```
///
/// # Panics
/// Where the path is empty: it could never be granted, so it is a mistake in the program and shows
/// at start.
#[track_caller]
pub fn claim<N: Into<String>>(
    path: impl IntoIterator<Item = N>,
    value: impl Into<String>,
) -> Requirement {
    let path: Vec<String> = path.into_iter().map(Into::into).collect();
    assert!(!path.is_empty(), "a claim is required without a name");
    Requirement(Kind::Claim(path, value.into()))
}

/// This role of Keycloak's realm (claim `realm_access.roles`).
pub fn realm_role(role: impl Into<String>) -> Requirement {
    claim(["realm_access", "roles"], role)
}

/// This role of one client of Keycloak's (claim `resource_access.CLIENT.roles`).
pub fn client_role(client: impl Into<String>, role: impl Into<String>) -> Requirement {
    claim(
        [
            "resource_access".to_owned(),
            client.into(),
            "roles".to_owned(),
        ],
        role,
    )
}

/// This audience in particular, where the verifier accepts several.
pub fn audience(audience: impl Into<String>) -> Requirement {
    Requirement(Kind::Audience(audience.into()))
}

/// This issuer in particular, where the verifier trusts several.
pub fn issuer(issuer: impl Into<String>) -> Requirement {
    Requirement(Kind::Issuer(issuer.into()))
}

/// A token that is bound to its sender, by DPoP or a client certificate.
pub fn sender_bound() -> Requirement {
    Requirement(Kind::Bound)
}

/// A login of one of these classes (claim `acr`, RFC 9470 §3).
pub fn acr<V: Into<String>>(values: impl IntoIterator<Item = V>) -> Requirement {
    Requirement(Kind::Acr(values.into_iter().map(Into::into).collect()))
}

/// A login at most this many seconds ago (claim `auth_time`, RFC 9470 §3), and no further ahead than
/// the leeway of the issuer's policy, since clocks differ.
pub fn max_age(seconds: u64) -> Requirement {
    Requirement(Kind::MaxAge(seconds))
}

/// Every one of these. Of none, any verified token.
pub fn all_of(requirements: impl IntoIterator<Item = Requirement>) -> Requirement {
    Requirement(Kind::All(requirements.into_iter().collect()))
}

/// At least one of these. Of none, no token at all.
pub fn any_of(requirements: impl IntoIterator<Item = Requirement>) -> Requirement {
    Requirement(Kind::Any(requirements.into_iter().collect()))
}

/// Whether a token may do what the requirement guards.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an unread decision lets everything through"]
pub enum Decision {
    /// It may.
    Granted,
    /// It may not, and this is what the client is told.
    Denied(Denial),
}

impl Decision {
    /// The decision as a result, for `?`.
    ///
    /// # Errors
    /// [`Denial`] where it is denied.
    pub fn into_result(self) -> Result<(), Denial> {
        match self {
            Decision::Granted => Ok(()),
            Decision::Denied(denial) => Err(denial),
        }
    }
}

/// What a token lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The token grants too little (RFC 6750 §3.1).
    #[error("the token does not grant what this operation needs")]
    Insufficient {
        /// The scopes that would do, separated by spaces; empty where it is not about scopes.
        scope: String,
    },
    /// The token is not bound to its sender.
    #[error("this operation needs a token that is bound to its sender")]
    NotBound,
    /// The login was too weak or too long ago (RFC 9470 §3).
    #[error("this operation needs a stronger or more recent login")]
    StepUp {
        /// Classes that would do, separated by spaces.
        acr_values: String,
        /// The greatest age in seconds.
        max_age: Option<u64>,
    },
}

impl Denial {
    /// The error code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Denial::Insufficient { .. } => ErrorCode::InsufficientScope,
            Denial::NotBound => ErrorCode::InvalidToken,
            Denial::StepUp { .. } => ErrorCode::InsufficientUserAuthentication,
        }
    }

    /// Adds what is missing to a challenge.
    pub fn describe(&self, challenge: Challenge) -> Challenge {
        let challenge = challenge.error(self.code()).description(&self.to_string());
        match self {
            Denial::Insufficient { scope } if !scope.is_empty() => challenge.scope(scope),
            Denial::StepUp {
                acr_values,
                max_age,
            } => {
                let challenge = match acr_values.is_empty() {
                    true => challenge,
                    false => challenge.acr_values(acr_values),
                };
                max_age
                    .iter()
                    .fold(challenge, |challenge, seconds| challenge.max_age(*seconds))
            }
            Denial::Insufficient { .. } | Denial::NotBound => challenge,
        }
    }
}

impl Requirement {
    /// Both this and `other`.
    pub fn and(self, other: Requirement) -> Requirement {
        all_of([self, other])
    }

    /// This or `other`.
    pub fn or(self, other: Requirement) -> Requirement {
        any_of([self, other])
    }

    /// Decides for a verified token at `now`, in seconds since 1970-01-01T00:00:00Z.
    pub fn check(&self, token: &Verified, now: u64) -> Decision {
        match self.decide(token, now) {
            Ok(()) => Decision::Granted,
            Err(mut denial) => {
                // Which scopes would do is said for the whole requirement, not for the first part
                // that failed, or a client would come back once for each.
                if let Denial::Insufficient { scope } = &mut denial {
                    *scope = self.scopes().join(" ");
                }
                Decision::Denied(denial)
            }
        }
    }

    /// The scopes that it names, each once, in order; for a challenge or an API description.
    pub fn scopes(&self) -> Vec<&str> {
        let mut scopes = Vec::new();
        self.collect(&mut scopes);
        scopes
    }

    /// The sets of scopes of which any one is enough as far as scopes go, for an API description.
    /// A requirement that names no scope gives one empty set; one that nothing fulfils gives none.
    pub fn scope_sets(&self) -> Vec<Vec<&str>> {
        match &self.0 {
            Kind::Scope(scope) => vec![vec![scope]],
            Kind::Any(parts) => parts.iter().flat_map(Requirement::scope_sets).collect(),
            Kind::All(parts) => parts.iter().fold(vec![Vec::new()], |sets, part| {
                let more = part.scope_sets();
                sets.iter()
                    .flat_map(|set| {
                        more.iter().map(move |more| {
                            let mut joined = set.clone();
                            joined.extend(more.iter().filter(|scope| !set.contains(scope)));
                            joined
                        })
                    })
                    .collect()
            }),
            _ => vec![Vec::new()],
        }
    }

    fn collect<'r>(&'r self, scopes: &mut Vec<&'r str>) {
        match &self.0 {
            Kind::Scope(scope) if !scopes.contains(&scope.as_str()) => scopes.push(scope),
            Kind::All(parts) => parts.iter().for_each(|part| part.collect(scopes)),
            // A challenge cannot say "or": the first alternative that scopes can fulfil is named.
            Kind::Any(parts) => {
                let first = parts.iter().find(|part| !part.scopes().is_empty());
                first.into_iter().for_each(|part| part.collect(scopes));
            }
            _ => {}
        }
    }

    fn decide(&self, token: &Verified, now: u64) -> Result<(), Denial> {
        let insufficient = || Denial::Insufficient {
            scope: String::new(),
        };
        let holds = match &self.0 {
            Kind::Authenticated => true,
            Kind::Scope(scope) => Scopes::contains(token.scopes(), scope),
            Kind::Member(attribute, wanted) => {
                let claims = token.claims();
                match attribute {
                    Attribute::Role => claims.roles().any(|role| role == wanted),
                    Attribute::Group => claims.groups().any(|group| group == wanted),
                    Attribute::Entitlement => claims.entitlements().any(|each| each == wanted),
                }
            }
            Kind::Claim(path, wanted) => token.claims().at_path(path).is_some_and(|found| {
                let is_wanted = |value: Value<'_>| value.as_str() == Some(wanted);
                is_wanted(found) || found.as_array().is_some_and(|mut all| all.any(is_wanted))
            }),
            Kind::Audience(wanted) => token.claims().audience().any(|each| each == wanted),
            Kind::Issuer(wanted) => token.issuer() == wanted,
            Kind::Bound => match token.binding() {
                Binding::None => return Err(Denial::NotBound),
                _ => true,
            },
            Kind::Acr(values) => {
                let acr = token.claims().get("acr").and_then(|acr| acr.as_str());
                match acr.is_some_and(|acr| values.iter().any(|value| value == acr)) {
                    true => true,
                    false => {
                        return Err(Denial::StepUp {
                            acr_values: values.join(" "),
                            max_age: None,
                        });
                    }
                }
            }
            Kind::MaxAge(seconds) => {
                let time = token
                    .claims()
                    .get("auth_time")
                    .and_then(|time| time.as_f64());
                // A login that lies ahead is none: an issuer that counts milliseconds would make
                // every login a recent one.
                let is_recent = |time: f64| {
                    let age = now as f64 - time;
                    (-token.leeway_seconds()..=*seconds as f64).contains(&age)
                };
                match time.is_some_and(is_recent) {
                    true => true,
                    false => {
                        return Err(Denial::StepUp {
                            acr_values: String::new(),
                            max_age: Some(*seconds),
                        });
                    }
                }
            }
            Kind::All(parts) => return parts.iter().try_for_each(|part| part.decide(token, now)),
            Kind::Any(parts) => {
                let mut last = insufficient();
                for part in parts {
                    match part.decide(token, now) {
                        Ok(()) => return Ok(()),
                        Err(denial) => last = denial,
                    }
                }
                return Err(last);
            }
        };
        if holds { Ok(()) } else { Err(insufficient()) }
    }
}
