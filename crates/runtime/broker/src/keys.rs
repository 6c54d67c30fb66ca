//! Whose tokens are accepted: the issuers of the configuration, and their keys from files.

use std::path::PathBuf;

use cofferdam_token::settings::{IssuerSettings, KeyFile, KeyFileError, SettingsError};
use cofferdam_token::{PolicyError, Rejection, Sender, Verified, Verifier};

/// Verified tokens that are kept, of about 1.5 KiB each.
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
    keys: KeyFile,
}

/// Why there are no issuers to verify with.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file of keys has none, or cannot be read.
    #[error("`{}` is no file of keys of issuer `{issuer}`: {source}", .path.display())]
    File {
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
            .map(|issuer| issuer.settings.policy(issuer.keys.store()))
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
        let path = settings.keys.as_ref();
        let path = path.ok_or_else(|| KeysError::NoFile(settings.issuer.clone()))?;
        let keys = KeyFile::open(path).map_err(|source| KeysError::File {
            issuer: settings.issuer.clone(),
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            settings: settings.clone(),
            keys,
        })
    }

    fn refresh(&self) -> Option<Result<String, KeysError>> {
        let issuer = &self.settings.issuer;
        let refreshed = self.keys.refresh()?;
        Some(match refreshed {
            Ok(()) => Ok(format!("issuer `{issuer}` has other keys now")),
            Err(source) => Err(KeysError::File {
                issuer: issuer.clone(),
                path: self.keys.path().to_owned(),
                source,
            }),
        })
    }
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
            [Err(KeysError::File { .. })]
        ));
        assert!(issuers.refresh().is_empty(), "it is said once");
        assert!(valid(&one) && !valid(&two));

        std::fs::write(&file, two.jwks().to_string()).unwrap();
        assert!(matches!(issuers.refresh()[..], [Ok(_)]));
        assert!(!valid(&one) && valid(&two));
    }
}
