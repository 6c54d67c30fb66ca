//! The policies, from a folder or as they are shipped, and read again when they change.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, RwLock};

use cofferdam_policy::{LoadError, PolicySet};

use crate::watch::Stamp;

/// The policies in force.
#[derive(Debug)]
pub(crate) struct Policies {
    /// The folder; without one the shipped policies are in force.
    folder: Option<PathBuf>,
    seen: Mutex<Stamp>,
    current: RwLock<PolicySet>,
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
            current: RwLock::new(current),
        })
    }

    /// The set in force.
    pub(crate) fn current(&self) -> PolicySet {
        // Only ever replaced as a whole, so a panic elsewhere is no reason to stop.
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// What is in force, for people and for the audit log.
    pub(crate) fn describe(&self) -> String {
        let set = self.current();
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
            Ok(set) if set.fingerprint() == self.current().fingerprint() => None,
            Ok(set) => {
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = set;
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
        let ids = || policies.current().policies()[0].id.clone();
        assert!(policies.refresh().is_none());

        write("two", " when { principal.nonsense }");
        assert!(matches!(policies.refresh(), Some(Err(_))));
        assert!(policies.refresh().is_none(), "it is said once");
        assert_eq!(ids(), "one");

        write("two", "");
        let said = policies.refresh().unwrap().unwrap();
        assert!(said.contains(policies.current().fingerprint()), "{said}");
        assert_eq!(ids(), "two");
    }
}
