//! Keys that are kept fresh.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::client::{Client, FetchError, check};
use super::discovery;
use crate::key::{JwkSet, KeyStore};
use crate::refresh::Refresh;

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The issuer's metadata says (RFC 8414, OpenID Connect Discovery).
    Discovery,
    /// This URL of a JWK set.
    Url(String),
}

/// Builds a [`KeyFetcher`].
#[derive(Clone, Debug)]
#[must_use = "nothing is fetched before `start`"]
pub struct KeyFetcherBuilder {
    issuer: String,
    source: KeySource,
    refresh_every: Duration,
    min_interval: Duration,
    max_stale: Duration,
}

impl KeyFetcherBuilder {
    /// How often the keys are loaded again in the background; five minutes by default.
    pub fn refresh_every(mut self, interval: Duration) -> KeyFetcherBuilder {
        self.refresh_every = interval.max(Duration::from_millis(10));
        self
    }

    /// How long after any attempt an unknown `kid` causes no other; thirty seconds by default.
    pub fn min_interval(mut self, interval: Duration) -> KeyFetcherBuilder {
        self.min_interval = interval;
        self
    }

    /// How long the last good keys serve while the issuer cannot be reached; a day by default.
    pub fn max_stale(mut self, time: Duration) -> KeyFetcherBuilder {
        self.max_stale = time;
        self
    }

    /// Loads the keys and goes on doing so in the background until the fetcher is dropped.
    ///
    /// # Errors
    /// [`FetchError`] where the first load fails: a service that cannot verify should say so when
    /// it starts. [`KeyFetcherBuilder::start_unloaded`] does not wait.
    pub async fn start(self, client: Client) -> Result<Arc<KeyFetcher>, FetchError> {
        let fetcher = self.build(client)?;
        fetcher.load(&mut *fetcher.progress.lock().await).await?;
        Ok(KeyFetcher::spawn(fetcher))
    }

    /// The same without waiting for the first load: until it succeeds, tokens are refused with
    /// [`crate::Rejection::KeysUnavailable`].
    ///
    /// # Errors
    /// [`FetchError::Url`] where issuer or URL are none to fetch from.
    pub fn start_unloaded(self, client: Client) -> Result<Arc<KeyFetcher>, FetchError> {
        Ok(KeyFetcher::spawn(self.build(client)?))
    }

    fn build(self, client: Client) -> Result<KeyFetcher, FetchError> {
        match &self.source {
            KeySource::Discovery => check(&self.issuer)?,
            KeySource::Url(url) => check(url)?,
        }
        Ok(KeyFetcher {
            settings: self,
            client,
            store: Arc::new(KeyStore::empty()),
            progress: Mutex::new(Progress {
                attempted: None,
                succeeded: Instant::now(),
            }),
            task: std::sync::Mutex::new(None),
        })
    }
}

/// Fetches the keys of one issuer, in the background and when a token names an unknown one.
#[derive(Debug)]
pub struct KeyFetcher {
    settings: KeyFetcherBuilder,
    client: Client,
    store: Arc<KeyStore>,
    /// Held while keys are being fetched, so that one fetch serves all who wait.
    progress: Mutex<Progress>,
    task: std::sync::Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Progress {
    attempted: Option<Instant>,
    /// Of the last success, or the start.
    succeeded: Instant,
}

impl KeyFetcher {
    /// Keys of `issuer` from `source`.
    pub fn builder(issuer: impl Into<String>, source: KeySource) -> KeyFetcherBuilder {
        KeyFetcherBuilder {
            issuer: issuer.into(),
            source,
            refresh_every: Duration::from_secs(300),
            min_interval: Duration::from_secs(30),
            max_stale: Duration::from_secs(86_400),
        }
    }

    /// The store that is kept fresh, for [`crate::IssuerPolicy::new`].
    pub fn store(&self) -> Arc<KeyStore> {
        Arc::clone(&self.store)
    }

    fn spawn(fetcher: KeyFetcher) -> Arc<KeyFetcher> {
        let fetcher = Arc::new(fetcher);
        let weak = Arc::downgrade(&fetcher);
        let interval = fetcher.settings.refresh_every;
        let loaded = fetcher.store.keys().is_some();
        let task = tokio::spawn(async move {
            if loaded {
                sleep(interval).await;
            }
            // Ends with the fetcher: the task itself does not keep it.
            while let Some(fetcher) = weak.upgrade() {
                let mut progress = fetcher.progress.lock().await;
                // The reason is of no use here; that it lasts shows in the store's age.
                let _ = fetcher.load(&mut progress).await;
                drop(progress);
                drop(fetcher);
                sleep(interval).await;
            }
        });
        *fetcher
            .task
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(task);
        fetcher
    }

    async fn load(&self, progress: &mut Progress) -> Result<(), FetchError> {
        progress.attempted = Some(Instant::now());
        match self.fetch().await {
            Ok(keys) => {
                progress.succeeded = Instant::now();
                self.store.replace(keys);
                Ok(())
            }
            Err(error) => {
                if progress.succeeded.elapsed() > self.settings.max_stale {
                    self.store.clear();
                }
                Err(error)
            }
        }
    }

    async fn fetch(&self) -> Result<JwkSet, FetchError> {
        let settings = &self.settings;
        let (_, keys) = fetch_keys(&self.client, &settings.issuer, &settings.source).await?;
        Ok(keys)
    }
}

/// Fetches the keys of `issuer` once: the document as it came, and what is in it.
///
/// # Errors
/// [`FetchError`], and so where no key in it can be used.
pub async fn fetch_keys(
    client: &Client,
    issuer: &str,
    source: &KeySource,
) -> Result<(Vec<u8>, JwkSet), FetchError> {
    let url = match source {
        KeySource::Url(url) => url.clone(),
        KeySource::Discovery => discovery::jwks_uri(client, issuer).await?,
    };
    let unusable = |reason: String| FetchError::Content(url.clone(), reason);
    let document = client.get(&url).await?;
    let keys = JwkSet::parse(&document).map_err(|error| unusable(error.to_string()))?;
    // An issuer without keys has a fault; to take its word would lock everybody out.
    match keys.keys().is_empty() {
        true => Err(unusable("it has no key that can be used".to_owned())),
        false => Ok((document, keys)),
    }
}

impl Refresh for KeyFetcher {
    fn refresh<'r>(&'r self, issuer: &'r str) -> Pin<Box<dyn Future<Output = bool> + Send + 'r>> {
        Box::pin(async move {
            if issuer != self.settings.issuer {
                return false;
            }
            let before = self.store.generation();
            let mut progress = self.progress.lock().await;
            if self.store.generation() != before {
                return true;
            }
            let recently = |attempt: Instant| attempt.elapsed() < self.settings.min_interval;
            if progress.attempted.is_some_and(recently) {
                return false;
            }
            let _ = self.load(&mut progress).await;
            self.store.generation() != before
        })
    }
}

impl Drop for KeyFetcher {
    fn drop(&mut self) {
        let task = self
            .task
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(task) = task.take() {
            task.abort();
        }
    }
}
