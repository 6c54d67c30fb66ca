//! Whose tokens are accepted: the issuers of the configuration, and their keys from files.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cofferdam_token::settings::{IssuerSettings, KeyFileError, SettingsError};
use cofferdam_token::{JwkSet, KeyStore, PolicyError, Rejection, Sender, Verified, Verifier};

use crate::watch::Stamp;

/// Bytes that a file of keys may have.
const MAX_FILE: u64 = 1 << 20;

/// Verified tokens that are kept, of about 2 KiB each.
const KEPT: usize = 4096;

/// The issuers with their keys.
#[derive(Debug)]
pub(crate) struct Issuers {
    verifier: Verifier,
    issuers: Vec<Issuer>,
}

#[derive(Debug)]
struct Issuer {
    settings: IssuerSettings,
    file: PathBuf,
    store: Arc<KeyStore>,
    seen: Mutex<Stamp>,
}

/// Why there are no issuers to verify with.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file of keys cannot be read.
    #[error("the keys of issuer `{issuer}` cannot be read from `{}`: {source}", .path.display())]
    Read {
        /// Whose.
        issuer: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of keys has none.
    #[error("`{}` is no file of keys of issuer `{issuer}`: {source}", .path.display())]
    Malformed {
        /// Whose.
        issuer: String,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: KeyFileError,
    },
    /// An issuer without a file of keys.
    #[error("issuer `{0}` has no file of keys")]
    NoFile(String),
    /// Settings that do not fit together.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Settings that let through what they must not.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl Issuers {
    /// Reads the keys of all issuers.
    pub(crate) fn read(settings: &[IssuerSettings]) -> Result<Self, KeysError> {
        let issuers = settings
            .iter()
            .map(Issuer::read)
            .collect::<Result<Vec<_>, _>>()?;
        let policies = issuers
            .iter()
            .map(|issuer| issuer.settings.policy(Arc::clone(&issuer.store)))
            .collect::<Result<Vec<_>, _>>()?;
        let verifier = Verifier::new(policies)?.cache(KEPT);
        Ok(Self { verifier, issuers })
    }

    /// Verifies a token, and says by which settings it was.
    pub(crate) fn verify(
        &self,
        token: &str,
        now: u64,
        sender: &Sender<'_>,
    ) -> Result<(Verified, &IssuerSettings), Rejection> {
        let verified = self.verifier.verify_from(token, now, sender)?;
        let of = |issuer: &&Issuer| issuer.settings.issuer == verified.issuer();
        match self.issuers.iter().find(of) {
            Some(issuer) => Ok((verified, &issuer.settings)),
            None => Err(Rejection::IssuerUnknown),
        }
    }

    /// Reads those files again that have changed. A file that has become useless changes nothing;
    /// the answer says what was taken and what was not.
    pub(crate) fn refresh(&self) -> Vec<Result<String, KeysError>> {
        self.issuers.iter().filter_map(Issuer::refresh).collect()
    }
}

impl Issuer {
    fn read(settings: &IssuerSettings) -> Result<Self, KeysError> {
        let file = settings
            .keys
            .clone()
            .ok_or_else(|| KeysError::NoFile(settings.issuer.clone()))?;
        let seen = Stamp::of(&file);
        let keys = read(&settings.issuer, &file)?;
        Ok(Self {
            settings: settings.clone(),
            file,
            store: Arc::new(KeyStore::new(keys)),
            seen: Mutex::new(seen),
        })
    }

    fn refresh(&self) -> Option<Result<String, KeysError>> {
        let now = Stamp::of(&self.file);
        // A stamp is whole at any time, so a panic elsewhere is no reason to stop.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return None;
        }
        *seen = now;
        let before = self.store.generation();
        match read(&self.settings.issuer, &self.file) {
            Ok(keys) => {
                self.store.replace(keys);
                (self.store.generation() != before).then(|| {
                    Ok(format!(
                        "issuer `{}` has other keys now",
                        self.settings.issuer
                    ))
                })
            }
            Err(error) => Some(Err(error)),
        }
    }
}

fn read(issuer: &str, path: &Path) -> Result<JwkSet, KeysError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes))
        .map_err(|source| KeysError::Read {
            issuer: issuer.to_owned(),
            path: path.to_owned(),
            source,
        })?;
    IssuerSettings::parse_keys(&bytes).map_err(|source| KeysError::Malformed {
        issuer: issuer.to_owned(),
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use cofferdam_issuer::{Issuer as Minting, SigningKey};
    use cofferdam_token::Algorithm;

    use super::*;

    fn now() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        since.as_secs()
    }

    #[test]
    fn keys_are_read_again_when_their_file_changes_and_kept_when_it_is_broken() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keys");
        let key = || SigningKey::generate(Algorithm::EdDsa).unwrap();
        let make = || Minting::new("https://i", key());
        let (one, two) = (make(), make());
        std::fs::write(&file, one.jwks().to_string()).unwrap();
        let settings = serde_json::from_value(serde_json::json!({
            "issuer": "https://i", "audience": "a", "keys": file,
        }))
        .unwrap();
        let issuers = Issuers::read(&[settings]).unwrap();
        let bearer = Sender::bearer();
        let valid = |issuer: &Minting| {
            let token = issuer.token("alice").audience("a").mint(now()).unwrap();
            issuers.verify(&token, now(), &bearer).is_ok()
        };
        assert!(valid(&one) && !valid(&two));
        assert!(issuers.refresh().is_empty());

        std::fs::write(&file, "{}").unwrap();
        assert!(matches!(
            issuers.refresh()[..],
            [Err(KeysError::Malformed { .. })]
        ));
        assert!(issuers.refresh().is_empty(), "it is said once");
        assert!(valid(&one) && !valid(&two));

        std::fs::write(&file, two.jwks().to_string()).unwrap();
        assert!(matches!(issuers.refresh()[..], [Ok(_)]));
        assert!(!valid(&one) && valid(&two));
    }
}
