//! A broker: what it decides by, the engine, whose what is, and the audit log.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cofferdam_action::action::ActionKind;
use cofferdam_action::floor::Floor;
use cofferdam_audit::note::SigningKey;
use cofferdam_audit::record::Event;
use cofferdam_policy::LoadError;
use tokio::sync::Notify;

use crate::config::{BrokerConfig, ConfigError, PolicyMode, Streams};
use crate::keys::{Issuers, KeysError};
use crate::policies::{InForce, Policies};
use crate::record::Recorder;
use crate::shares::{Share, Shares};
use crate::tenancy::{JournalError, Owner, Store, Tenancy};
use crate::upstream::{Timing, Upstream};

/// Changes that are carried out at once.
const CHANGES: usize = 1024;

/// Pulls that are carried out at once, beside the changes: a registry may take as long as it likes.
const PULLS: usize = 128;

/// How long one more waits.
const ROOM: Duration = Duration::from_secs(1);

/// Hears what an operator should know, a line each.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// A broker, ready to serve.
pub struct Broker {
    standing: RwLock<Arc<Standing>>,
    tenancy: Tenancy<Upstream>,
    engine: Upstream,
    recorder: Recorder,
    changes: Shares,
    pulls: Shares,
    /// Rung where nobody knows whether the engine has made or named something.
    doubt: Notify,
    say: Say,
}

/// What it decides by, as it is configured; replaced as a whole by a reload.
struct Standing {
    issuers: Arc<Issuers>,
    floor: Arc<Floor>,
    policies: Policies,
    mode: PolicyMode,
    streams: Streams,
}

/// What one call is decided by, from its beginning to its end.
pub(crate) struct Rules {
    pub(crate) issuers: Arc<Issuers>,
    pub(crate) floor: Arc<Floor>,
    pub(crate) policies: InForce,
    pub(crate) mode: PolicyMode,
    pub(crate) streams: Streams,
}

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The issuers' keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The policies.
    #[error(transparent)]
    Policies(#[from] LoadError),
    /// The key of the audit log cannot be read.
    #[error("the key of the audit log cannot be read from `{}`: {source}; `cofferdam audit new-key` makes one", .path.display())]
    AuditKey {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The audit log, or its key.
    #[error(transparent)]
    Audit(#[from] cofferdam_audit::Error),
    /// The journal of owners.
    #[error(transparent)]
    Owners(#[from] JournalError),
}

impl Broker {
    /// Opens the audit log and the journal of owners, and reads keys and policies. Nothing is asked
    /// of the engine yet. Threads are started, so a process confines itself before.
    ///
    /// # Errors
    /// [`OpenError`], where one of them cannot be had.
    pub fn open(config: &BrokerConfig, timing: Timing, say: Say) -> Result<Self, OpenError> {
        let standing = Standing::read(config)?;
        let key = audit_key(&config.audit_key)?;
        let (recorder, opened) = Recorder::open(&config.audit(), key)?;
        if opened.torn > 0 {
            say(&format!(
                "{} bytes of an unfinished write were cut off the audit log; nothing in them had been acknowledged",
                opened.torn
            ));
        }
        let store = Store::open(config.owners())?;
        if store.cut() > 0 {
            say(&format!(
                "{} bytes of an unfinished line were cut off the journal of owners",
                store.cut()
            ));
        }
        let engine = Upstream::new(&config.engine, timing);
        Ok(Self {
            tenancy: Tenancy::new(store, engine.clone(), config.images.clone()),
            standing: RwLock::new(Arc::new(standing)),
            engine,
            recorder,
            changes: Shares::new(CHANGES),
            pulls: Shares::new(PULLS),
            doubt: Notify::new(),
            say,
        })
    }

    /// Reads the configuration, the keys and the policies again. What is wrong leaves all as it is.
    ///
    /// What cannot change while it runs, such as paths and users, is not looked at.
    ///
    /// # Errors
    /// [`OpenError`], for whatever is wrong with the new ones.
    pub async fn reload(&self, path: &Path) -> Result<(), OpenError> {
        let config = BrokerConfig::read(path)?;
        let standing = Standing::read(&config)?;
        let policies = standing.policies.describe();
        self.tenancy.allow(config.images);
        *self
            .standing
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(standing);
        self.notice(format!("the configuration was read again; {policies}"))
            .await;
        Ok(())
    }

    /// Takes note of files of keys and policies that have changed, and of a log that cannot be
    /// published. Cheap enough for every second.
    pub async fn refresh(&self) {
        match self.recorder.publication() {
            Some(Err(error)) => {
                self.notice(format!(
                    "the audit log cannot be published: {error}; its records are safe, and no newer checkpoint is seen until this is mended"
                ))
                .await;
            }
            Some(Ok(())) => {
                self.notice("the audit log is published again".to_owned())
                    .await
            }
            None => {}
        }
        let standing = self.standing();
        let keys = standing.issuers.refresh();
        let keys = keys
            .into_iter()
            .map(|it| it.map_err(|error| error.to_string()));
        let policies = standing.policies.refresh();
        let policies = policies.map(|it| it.map_err(|error| error.to_string()));
        for told in keys.chain(policies) {
            match told {
                Ok(text) => self.notice(text).await,
                Err(error) => {
                    let text = format!("{error}; what was there before stays in force");
                    self.notice(text).await;
                }
            }
        }
    }

    /// Tells the operator, and the audit log.
    pub(crate) async fn notice(&self, text: String) {
        self.say(&text);
        let text = text.chars().take(2000).collect();
        if let Err(error) = self.recorder.soon(Event::Notice { text }).await {
            self.say(&error.to_string());
        }
    }

    /// Waits for changes that are carried out, for at most `limit`, and for their records.
    pub async fn finish(&self, limit: Duration) {
        let all = async {
            self.changes.idle().await;
            self.pulls.idle().await;
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            self.say("some actions were still under way; the audit log has their intents");
        }
        self.recorder.drain().await;
    }

    /// What holds, for people at start.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let standing = self.standing();
        let counts = self.tenancy.store().counts();
        let mode = match standing.mode {
            PolicyMode::Enforce => "enforced",
            PolicyMode::WouldDeny => "not enforced (would-deny)",
        };
        vec![
            format!("policy: {mode}, {}", standing.policies.describe()),
            format!(
                "owners: {} objects, {} tags of images",
                counts.objects, counts.tags
            ),
        ]
    }

    /// Whose what is.
    pub(crate) const fn tenancy(&self) -> &Tenancy<Upstream> {
        &self.tenancy
    }

    pub(crate) const fn engine(&self) -> &Upstream {
        &self.engine
    }

    pub(crate) const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    pub(crate) fn say(&self, text: &str) {
        (self.say)(text);
    }

    /// Room for a change of a tenant, if there is some within a moment. A stop waits for it as long
    /// as it is held.
    pub(crate) async fn room_for(&self, kind: ActionKind, owner: Owner) -> Option<Share> {
        let shares = match kind {
            ActionKind::ImagePull => &self.pulls,
            _ => &self.changes,
        };
        shares.take_within(owner, 1, ROOM).await
    }

    /// Takes note that the engine may have done something of which nobody has heard.
    pub(crate) fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// Waits for such a note.
    pub(crate) async fn doubted(&self) {
        self.doubt.notified().await;
    }

    /// What a call is decided by.
    pub(crate) fn rules(&self) -> Rules {
        let standing = self.standing();
        Rules {
            issuers: Arc::clone(&standing.issuers),
            floor: Arc::clone(&standing.floor),
            policies: standing.policies.current(),
            mode: standing.mode,
            streams: standing.streams,
        }
    }

    fn standing(&self) -> Arc<Standing> {
        // Only ever replaced as a whole, so a panic elsewhere is no reason to stop.
        let standing = self.standing.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&standing)
    }
}

impl Standing {
    fn read(config: &BrokerConfig) -> Result<Self, OpenError> {
        Ok(Self {
            issuers: Arc::new(Issuers::read(&config.issuers)?),
            floor: Arc::new(Floor::new(config.floor())),
            policies: Policies::read(config.policy.clone())?,
            mode: config.policy_mode,
            streams: config.streams,
        })
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").finish_non_exhaustive()
    }
}

/// Reads the key that signs the audit log.
pub(crate) fn audit_key(path: &Path) -> Result<SigningKey, OpenError> {
    let text = std::fs::read_to_string(path).map_err(|source| OpenError::AuditKey {
        path: path.to_owned(),
        source,
    })?;
    Ok(SigningKey::parse(&text)?)
}
