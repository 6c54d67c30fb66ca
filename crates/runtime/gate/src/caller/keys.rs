//! The issuers' public keys: from files that are read again when they change, or fetched.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cofferdam_token::fetch::{Client, FetchError, KeyFetcher, KeySource};
use cofferdam_token::settings::{IssuerSettings, KeyFile, KeyFileError};
use cofferdam_token::{IssuerPolicy, KeyStore};
use rustls::RootCertStore;

use crate::config::ConfigError;

/// Why keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file of keys has none, or cannot be read.
    #[error("the keys in `{}` cannot be used: {error}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: KeyFileError,
    },
    /// Nothing can be fetched.
    #[error("the keys of `{issuer}` cannot be fetched: {error}")]
    Fetch {
        /// The issuer.
        issuer: String,
        /// Why.
        error: FetchError,
    },
}

/// The keys of every issuer, in the order of the configuration.
#[derive(Debug)]
pub(crate) struct Keys {
    stores: Vec<Arc<KeyStore>>,
    files: Vec<KeyFile>,
    fetchers: Vec<Arc<KeyFetcher>>,
}

impl Keys {
    /// Reads the files, and starts to fetch the rest. An issuer that cannot be reached now is asked
    /// again in the background; until then its tokens are refused with 503.
    pub(crate) async fn load(issuers: &[IssuerSettings]) -> Result<Keys, KeysError> {
        let mut keys = Keys {
            stores: Vec::new(),
            files: Vec::new(),
            fetchers: Vec::new(),
        };
        let mut client = None;
        for settings in issuers {
            let store = match &settings.keys {
                Some(path) => keys.file(path)?,
                None => {
                    let fail = |error| KeysError::Fetch {
                        issuer: settings.issuer.clone(),
                        error,
                    };
                    let client = match &client {
                        Some(client) => Client::clone(client),
                        None => client.insert(new_client().map_err(fail)?).clone(),
                    };
                    let fetcher = fetch(settings, client).await.map_err(fail)?;
                    let store = fetcher.store();
                    keys.fetchers.push(fetcher);
                    store
                }
            };
            keys.stores.push(store);
        }
        Ok(keys)
    }

    fn file(&mut self, path: &Path) -> Result<Arc<KeyStore>, KeysError> {
        let file = KeyFile::open(path).map_err(|error| KeysError::File {
            path: path.to_owned(),
            error,
        })?;
        let store = file.store();
        self.files.push(file);
        Ok(store)
    }

    /// The policies of the issuers, which were those given to [`Keys::load`].
    pub(crate) fn policies(
        &self,
        issuers: &[IssuerSettings],
    ) -> Result<Vec<IssuerPolicy>, ConfigError> {
        let pairs = issuers.iter().zip(&self.stores);
        pairs
            .map(|(settings, store)| Ok(settings.policy(Arc::clone(store))?))
            .collect()
    }

    /// Who can fetch keys again.
    pub(crate) fn fetchers(&self) -> &[Arc<KeyFetcher>] {
        &self.fetchers
    }

    /// Reads the files that have changed. One that cannot be used leaves the old keys in place.
    pub(crate) fn read_changed(&self) {
        for file in &self.files {
            let path = file.path().display();
            match file.refresh() {
                None => {}
                Some(Ok(())) => tracing::info!(file = %path, "the issuer has other keys now"),
                Some(Err(error)) => {
                    tracing::warn!(file = %path, %error, "the former keys of the issuer stay in place");
                }
            }
        }
    }
}

/// A client that trusts what the system trusts.
fn new_client() -> Result<Client, FetchError> {
    match Client::new() {
        Err(error @ FetchError::NoRoots) => {
            tracing::warn!(%error, "only issuers of this machine can be asked for keys");
            Client::with_roots(RootCertStore::empty())
        }
        client => client,
    }
}

async fn fetch(settings: &IssuerSettings, client: Client) -> Result<Arc<KeyFetcher>, FetchError> {
    let source = match &settings.jwks_uri {
        Some(url) => KeySource::Url(url.clone()),
        None => KeySource::Discovery,
    };
    let builder = KeyFetcher::builder(&settings.issuer, source);
    match builder.clone().start(client.clone()).await {
        Ok(fetcher) => Ok(fetcher),
        // This does not pass by itself.
        Err(error @ FetchError::Url(_)) => Err(error),
        Err(error) => {
            tracing::warn!(issuer = settings.issuer, %error, "tokens of this issuer are refused until its keys are there");
            builder.start_unloaded(client)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"KID",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    #[tokio::test]
    async fn a_changed_file_is_read_again_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write(&KEY.replace("KID", "one"));
        let settings = serde_json::json!({
            "issuer": "https://i.example", "audience": "https://a", "keys": path,
        });
        let settings = [serde_json::from_value::<IssuerSettings>(settings).unwrap()];
        let keys = Keys::load(&settings).await.unwrap();
        let has = |kid: &str| keys.stores[0].keys().unwrap().has_kid(kid);
        assert!(has("one"));
        write("{\"keys\":[]}");
        keys.read_changed();
        assert!(has("one"));
        write(&KEY.replace("KID", "other"));
        keys.read_changed();
        assert!(has("other") && !has("one"));
        std::fs::remove_file(&path).unwrap();
        keys.read_changed();
        assert!(has("other"));
        assert!(Keys::load(&settings).await.is_err());
    }
}
