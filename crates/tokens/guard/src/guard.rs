//! The configuration of the gate.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use cofferdam_token::dpop::ProofPolicy;
use cofferdam_token::introspect::Introspect;
use cofferdam_token::refresh::Refresh;
use cofferdam_token::state::{Memory, State};
use cofferdam_token::throttle::Throttle;
use cofferdam_token::{Challenge, Scheme, Verifier};

use crate::app::GuardedApp;
use crate::metadata::Metadata;
use crate::origin;

/// How many proofs are remembered by default: at 75 bytes each, 15 MiB. Each for 71 seconds with the
/// default [`ProofPolicy`], so this is enough for 2,800 requests a second.
const PROOFS: usize = 200_000;
/// How long a form may be by default, in bytes.
const MAX_FORM: usize = 64 << 10;

/// Verifies the tokens of requests, and knows how to refuse them. Cheap to clone; all clones share
/// caches and counters.
///
/// It is configured first and cloned then, once for each worker: a method that configures it panics
/// where a clone exists, since the clone would not know of the change.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) verifier: Verifier,
    pub(crate) realm: Option<String>,
    pub(crate) resource_metadata: Option<String>,
    pub(crate) metadata: Option<Metadata>,
    pub(crate) max_token: usize,
    pub(crate) max_form: usize,
    pub(crate) dpop: Option<Dpop>,
    /// Those that were used.
    pub(crate) proofs: Arc<dyn State>,
    pub(crate) revocations: Option<Arc<dyn State>>,
    pub(crate) refresh: Vec<Arc<dyn Refresh>>,
    pub(crate) introspection: Option<Arc<dyn Introspect>>,
    pub(crate) throttle: Option<Throttle>,
    pub(crate) observers: Vec<Observer>,
    pub(crate) observe_only: bool,
    pub(crate) clock: fn() -> u64,
}

pub(crate) type Observer = Arc<dyn Fn(&Outcome<'_>) + Send + Sync>;

pub(crate) struct Dpop {
    pub(crate) policy: ProofPolicy,
    /// Scheme, host and port as clients see them, without a slash at the end.
    pub(crate) origin: String,
}

/// What was decided about a request, for metrics and logs. Carries no byte of a token.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Outcome<'r> {
    /// The pattern of the resource, `None` where none is declared for the path.
    pub route: Option<&'r str>,
    /// The method.
    pub method: &'r str,
    /// `granted`, `public`, or the stable name of the reason.
    pub verdict: &'static str,
    /// The status that the client gets; `None` where the request went on.
    pub status: Option<u16>,
    /// The issuer of the token, where it was verified.
    pub issuer: Option<&'r str>,
    /// The client that holds it, where it was verified.
    pub client_id: Option<&'r str>,
}

impl Guard {
    /// A guard with this verifier.
    pub fn new(verifier: Verifier) -> Guard {
        Guard(Arc::new(Inner {
            max_token: verifier.longest(),
            verifier,
            realm: None,
            resource_metadata: None,
            metadata: None,
            max_form: MAX_FORM,
            dpop: None,
            proofs: Arc::new(Memory::new(PROOFS)),
            revocations: None,
            refresh: Vec::new(),
            introspection: None,
            throttle: Some(Throttle::new(20, 5)),
            observers: Vec::new(),
            observe_only: false,
            clock: now,
        }))
    }

    /// Names the realm in challenges.
    #[must_use]
    pub fn realm(self, realm: &str) -> Guard {
        self.with(|inner| inner.realm = Some(realm.to_owned()))
    }

    /// Serves the metadata of the resource that clients know as `resource`, for example
    /// `https://api.example/mcp`, and names its URL in challenges (RFC 9728 §3 and §5.1): what a
    /// client needs that is told of the service and of nothing else. It names the configured
    /// issuers and the scopes that the routes of this guard ask for, and lies at
    /// `/.well-known/oauth-protected-resource` with the path of `resource` behind it.
    ///
    /// # Panics
    /// Where `resource` is no https URL (http of this machine will do), or has a query or fragment;
    /// [`metadata_url`](crate::metadata_url) tells before.
    #[must_use]
    #[track_caller]
    pub fn protected_resource(self, resource: &str) -> Guard {
        let metadata = Metadata::of(resource);
        self.with(|inner| {
            inner.resource_metadata = Some(metadata.url.clone());
            inner.metadata = Some(metadata);
        })
    }

    /// Names the URL of this resource's metadata in challenges (RFC 9728 §5.1), which something
    /// else serves; see [`Guard::protected_resource`].
    #[must_use]
    pub fn resource_metadata(self, url: &str) -> Guard {
        self.with(|inner| inner.resource_metadata = Some(url.to_owned()))
    }

    /// Accepts tokens with DPoP proofs (RFC 9449). `origin` is the scheme, host and port as clients
    /// see them, for example `https://api.example`: behind a proxy this server cannot know them,
    /// and a header that says so could come from anybody. Proofs that came with a good token are
    /// remembered in this process, 200,000 of them, and requests above that are answered 503; for
    /// more than 2,800 of them a second, or more than one machine, see [`Guard::proof_store`].
    ///
    /// # Panics
    /// Where `origin` is no origin of https (http of this machine will do): no proof could be for it.
    #[must_use]
    #[track_caller]
    pub fn dpop(self, origin: &str, policy: ProofPolicy) -> Guard {
        let origin = origin::alone(origin);
        self.with(|inner| inner.dpop = Some(Dpop { policy, origin }))
    }

    /// Remembers used proofs in `store`: [`Memory`] with another capacity, which is what a proof's
    /// time (`max_age` and twice five seconds) times the requests in a second needs, or a store that
    /// several machines share.
    #[must_use]
    pub fn proof_store(self, store: Arc<dyn State>) -> Guard {
        self.with(|inner| inner.proofs = store)
    }

    /// How long a form (`application/x-www-form-urlencoded`) may be that comes with a token; a
    /// longer one is answered 413. The default is 64 KiB. A form is read before its handler is
    /// called, since another token could be in it (RFC 6750 §2.2); other bodies are not, and have no
    /// limit here.
    #[must_use]
    pub fn max_form(self, bytes: usize) -> Guard {
        self.with(|inner| inner.max_form = bytes)
    }

    /// Refuses tokens whose [`cofferdam_token::state::revocation_key`] is in `store`. Tokens
    /// without `jti` cannot be revoked, so they are refused. When the store does not answer,
    /// requests are refused with 503.
    #[must_use]
    pub fn revocations(self, store: Arc<dyn State>) -> Guard {
        self.with(|inner| inner.revocations = Some(store))
    }

    /// Asks for fresh keys when a token names one that is not known. May be called once for each
    /// issuer.
    #[must_use]
    pub fn refresh(self, refresh: Arc<dyn Refresh>) -> Guard {
        self.with(|inner| inner.refresh.push(refresh))
    }

    /// Asks about tokens that are no JWT. For a peer that has failed too often nobody is
    /// asked: what is remembered passes, anything else is answered 429.
    #[must_use]
    pub fn introspection(self, introspection: Arc<dyn Introspect>) -> Guard {
        self.with(|inner| inner.introspection = Some(introspection))
    }

    /// How often a peer may fail before it is answered 429: `burst` times at once, from then on
    /// `per_second`. Good tokens pass all the same. The default is 20 and 5.
    #[must_use]
    pub fn throttle(self, burst: u32, per_second: u32) -> Guard {
        self.with(|inner| inner.throttle = Some(Throttle::new(burst, per_second)))
    }

    /// Tells `observer` the outcome of every request. May be called for several.
    #[must_use]
    pub fn observer(self, observer: impl Fn(&Outcome<'_>) + Send + Sync + 'static) -> Guard {
        self.with(|inner| inner.observers.push(Arc::new(observer)))
    }

    /// The verifier, for example to report how well its cache does.
    pub fn verifier(&self) -> &Verifier {
        &self.0.verifier
    }

    /// Begins an application whose routes this guard protects.
    pub fn app(&self) -> GuardedApp {
        GuardedApp::new(self.clone())
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    /// Whether both are clones of one.
    pub(crate) fn is(&self, other: &Guard) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The configuration is changed only while it is built, and then there is one owner; a clone
    /// that was made before keeps what it had.
    pub(crate) fn with(self, change: impl FnOnce(&mut Inner)) -> Guard {
        let mut inner = match Arc::try_unwrap(self.0) {
            Ok(inner) => inner,
            Err(_) => shared(),
        };
        change(&mut inner);
        Guard(Arc::new(inner))
    }
}

#[expect(clippy::panic, reason = "a mistake in the program that shows at start")]
fn shared() -> Inner {
    panic!("the guard is configured after it was cloned: configure it first");
}

impl Inner {
    pub(crate) fn challenge(&self, scheme: Scheme) -> Challenge {
        let mut challenge = Challenge::new(scheme);
        if let Some(realm) = &self.realm {
            challenge = challenge.realm(realm);
        }
        if let Some(url) = &self.resource_metadata {
            challenge = challenge.resource_metadata(url);
        }
        match &self.dpop {
            Some(dpop) if scheme == Scheme::Dpop => {
                challenge.algorithms(dpop.policy.accepted_algorithms())
            }
            _ => challenge,
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("verifier", &self.0.verifier)
            .finish_non_exhaustive()
    }
}

fn now() -> u64 {
    // A clock before 1970 is broken; at 0 every token is from the future and is refused.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
