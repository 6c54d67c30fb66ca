//! The policies, from a folder or as they are shipped, and read again when they change.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use cofferdam_policy::{Decision, LoadError, PolicySet, Request};

use crate::watch::Stamp;

/// The policies in force.
#[derive(Debug)]
pub(crate) struct Policies {
    /// The folder; without one the shipped policies are in force.
    folder: Option<PathBuf>,
    seen: Mutex<Stamp>,
    current: RwLock<InForce>,
}

/// A set of policies, with what it has allowed in this second.
///
/// A decision follows from the request and the time in seconds alone, so the same question has the
/// same answer until the second is over. Whoever polls a list asks the same question all the time.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    set: PolicySet,
    allowed: Arc<Mutex<Allowed>>,
}

/// What was allowed in one second: the question, and the policies that permitted it.
#[derive(Debug, Default)]
struct Allowed {
    second: u64,
    by: HashMap<String, Vec<String>>,
}

/// Questions of one second whose answers are kept.
const KEPT: usize = 1024;

impl InForce {
    fn new(set: PolicySet) -> Self {
        Self {
            set,
            allowed: Arc::default(),
        }
    }

    /// Decides a request. `question` is a text that is the same only for the same request but for
    /// its time; without one the answer is not kept.
    pub(crate) fn decide(&self, request: &Request<'_>, question: Option<String>) -> Decision {
        let Some(question) = question else {
            return self.set.decide(request);
        };
        if let Some(policies) = self.allowed(request.now).by.get(&question) {
            return Decision::Allow {
                policies: policies.clone(),
            };
        }
        let decision = self.set.decide(request);
        if let Decision::Allow { policies } = &decision {
            let mut allowed = self.allowed(request.now);
            if allowed.by.len() < KEPT {
                allowed.by.insert(question, policies.clone());
            }
        }
        decision
    }

    /// What was allowed in this very second.
    fn allowed(&self, second: u64) -> std::sync::MutexGuard<'_, Allowed> {
        // An entry is whole or not there, so a panic elsewhere is no reason to stop.
        let mut allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        if allowed.second != second {
            allowed.second = second;
            allowed.by.clear();
        }
        allowed
    }
}

impl Policies {
    /// Reads them.
    pub(crate) fn read(folder: Option<PathBuf>) -> Result<Self, LoadError> {
        let seen = folder.as_deref().map(Stamp::of).unwrap_or_default();
        let current = match &folder {
            Some(folder) => PolicySet::load(folder)?,
            None => PolicySet::shipped()?,
        };
        Ok(Self {
            folder,
            seen: Mutex::new(seen),
            current: RwLock::new(InForce::new(current)),
        })
    }

    /// The set in force.
    pub(crate) fn current(&self) -> InForce {
        // Only ever replaced as a whole, so a panic elsewhere is no reason to stop.
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// What is in force, for people and for the audit log.
    pub(crate) fn describe(&self) -> String {
        let InForce { set, .. } = self.current();
        let place = match &self.folder {
            Some(folder) => format!("`{}`", folder.display()),
            None => "the program, as shipped".to_owned(),
        };
        format!(
            "{} policies from {place} with fingerprint {}",
            set.policies().len(),
            set.fingerprint()
        )
    }

    /// Reads them again if a file has changed. With a new set that is wrong the old one stays.
    pub(crate) fn refresh(&self) -> Option<Result<String, LoadError>> {
        let folder = self.folder.as_deref()?;
        let now = Stamp::of(folder);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return None;
        }
        *seen = now;
        match PolicySet::load(folder) {
            Err(error) => Some(Err(error)),
            Ok(set) if set.fingerprint() == self.current().set.fingerprint() => None,
            Ok(set) => {
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = InForce::new(set);
                drop(current);
                Some(Ok(self.describe()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_set_comes_into_force_and_a_wrong_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.cedar");
        let write = |id: &str, rest: &str| {
            let text = format!("@id(\"{id}\") permit (principal, action, resource){rest};");
            std::fs::write(&file, text).unwrap();
        };
        write("one", "");
        let policies = Policies::read(Some(dir.path().to_owned())).unwrap();
        let ids = || policies.current().set.policies()[0].id.clone();
        assert!(policies.refresh().is_none());

        write("two", " when { principal.nonsense }");
        assert!(matches!(policies.refresh(), Some(Err(_))));
        assert!(policies.refresh().is_none(), "it is said once");
        assert_eq!(ids(), "one");

        write("two", "");
        let said = policies.refresh().unwrap().unwrap();
        assert!(
            said.contains(policies.current().set.fingerprint()),
            "{said}"
        );
        assert_eq!(ids(), "two");
    }
    #[test]
    fn what_is_kept_of_a_second_is_what_the_policies_say_and_gone_with_it() {
        let text = "@id(\"p\") permit (principal, action, resource) when { principal.subject == \"alice\" };";
        let set = PolicySet::parse([cofferdam_policy::Source::new("a", text)]).unwrap();
        let in_force = InForce::new(set);
        let decide = |subject: &str, now: u64, question: Option<&str>| {
            let request = Request {
                principal: cofferdam_policy::Principal {
                    owner: "o",
                    issuer: "i",
                    subject,
                    client: None,
                    scopes: Vec::new(),
                    roles: Vec::new(),
                    groups: Vec::new(),
                },
                action: &cofferdam_action::action::Action::Ping,
                given_name: None,
                resources: &[],
                now,
            };
            let question = question.map(str::to_owned);
            in_force.decide(&request, question).is_allowed()
        };
        assert!(decide("alice", 5, Some("alice pings")));
        // The question tells; who asks it wrongly gets the wrong answer, within the second.
        assert!(decide("bob", 5, Some("alice pings")));
        assert!(!decide("bob", 5, Some("bob pings")));
        assert!(!decide("bob", 5, None));
        assert!(!decide("bob", 6, Some("alice pings")));
        assert!(
            !decide("bob", 5, Some("alice pings")),
            "nor after the clock went back"
        );
    }
}
