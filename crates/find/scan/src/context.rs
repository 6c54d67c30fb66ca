//! What a check stands on: the baselines, the one client, the oracle, and where findings go.

use crate::baseline::{Baselines, fill, may_send};
use crate::client::{Client, lock, random_bytes};
use crate::forge::Forge;
use crate::redact::Redactor;
use crate::{
    Auth, Baseline, Callback, Event, Exchange, Identity, Jwt, Operation, Request, ScanOptions,
    Source, Verdict, callback, oracle,
};
use cofferdam_finding::{Evidence, Facts, Finding, Place};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock};
use tokio::sync::OnceCell;

/// Why a scan ends before it is done. A check passes it on with `?`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// The user interrupted it.
    #[error("interrupted")]
    Cancelled,
    /// The request budget is spent.
    #[error("the budget of {0} requests is spent")]
    Budget(u32),
    /// The time is up.
    #[error("the time limit of {0} s is reached")]
    Time(u64),
    /// The target does not answer any more.
    #[error("the target stopped answering: {0}")]
    Dead(String),
}

/// What a check stands on. Shared by all checks, which may run at the same time.
pub struct Context {
    pub(crate) options: ScanOptions,
    pub(crate) client: Client,
    pub(crate) redactor: Arc<Redactor>,
    pub(crate) progress: Box<dyn Fn(Event) + Send + Sync>,
    operations: OnceLock<Vec<Operation>>,
    baselines: OnceLock<Baselines>,
    jwts: Vec<Option<Jwt>>,
    forge: Forge,
    findings: Mutex<Vec<Finding>>,
    facts: Mutex<Facts>,
    notes: Mutex<Vec<String>>,
    callback: OnceCell<Option<Callback>>,
}

impl Context {
    pub(crate) fn new(
        options: ScanOptions,
        client: Client,
        redactor: Arc<Redactor>,
        progress: Box<dyn Fn(Event) + Send + Sync>,
    ) -> Self {
        let jwts = options
            .identities
            .iter()
            .map(|identity| Jwt::read(identity.token.reveal()))
            .collect();
        Self {
            forge: Forge::new(&options.identities, nonce()),
            facts: Mutex::new(options.facts.clone()),
            options,
            client,
            redactor,
            progress,
            operations: OnceLock::new(),
            baselines: OnceLock::new(),
            jwts,
            findings: Mutex::default(),
            notes: Mutex::default(),
            callback: OnceCell::new(),
        }
    }

    /// Takes the inventory in; called once.
    pub(crate) fn open(&self, operations: Vec<Operation>) -> (&[Operation], &Baselines) {
        let baselines = Baselines::new(operations.len(), self.options.identities.len());
        let baselines = self.baselines.get_or_init(|| baselines);
        (self.operations.get_or_init(|| operations), baselines)
    }

    pub(crate) fn baselines(&self) -> Option<&Baselines> {
        self.baselines.get()
    }

    /// What the scan was told.
    pub fn options(&self) -> &ScanOptions {
        &self.options
    }

    /// Every operation, in the order of its index; safe methods come first.
    pub fn operations(&self) -> &[Operation] {
        self.operations.get().map_or(&[], Vec::as_slice)
    }

    /// Whom the scan speaks as.
    pub fn identities(&self) -> &[Identity] {
        &self.options.identities
    }

    /// The operations where no token and garbage are refused and a valid token is accepted.
    pub fn protected(&self) -> impl Iterator<Item = &Operation> {
        self.operations()
            .iter()
            .filter(|operation| self.baseline(operation).is_protected())
    }

    /// What `operation` answered before any check was run.
    ///
    /// # Panics
    /// When `operation` is not one of [`Context::operations`].
    pub fn baseline(&self, operation: &Operation) -> &Baseline {
        #[expect(
            clippy::expect_used,
            reason = "checks run after every baseline was closed"
        )]
        self.baselines
            .get()
            .and_then(|baselines| baselines.of(operation.index))
            .expect("the operation is one of this scan")
    }

    /// Whether `operation` may be sent at this scan's level: safe methods unless destructive,
    /// prompts to a model, others from active on, destructive ones only at destructive.
    pub fn may_send(&self, operation: &Operation) -> bool {
        may_send(operation, self.options.level)
    }

    /// The request that the baseline sent as the identity `who`, or would send above the scan's
    /// level: parameters and body filled in. `None` when a path parameter has no value.
    pub fn request(&self, operation: &Operation, who: usize) -> Option<Request> {
        let baselines = self.baselines.get()?;
        let known = baselines
            .of(operation.index)?
            .requests
            .get(who)
            .cloned()
            .flatten();
        known.or_else(|| fill(&self.options, baselines, operation, Some(who), 0))
    }

    /// Sends a request: paced, within the budget, recorded, within the scope. A safe request that
    /// was sent before is answered from memory until anything unsafe was sent. A 429, or a 503 with
    /// `Retry-After`, is waited out within reason and a safe request sent again.
    ///
    /// # Errors
    /// When the whole scan has to end. A failure of this request alone is in
    /// [`Exchange::outcome`].
    pub async fn send(&self, request: Request) -> Result<Arc<Exchange>, Halt> {
        self.client.send(&request).await
    }

    /// As [`Context::send`], but never from memory, and a 429 or 503 is its answer.
    ///
    /// # Errors
    /// As [`Context::send`].
    pub async fn send_fresh(&self, request: Request) -> Result<Arc<Exchange>, Halt> {
        self.client.send_fresh(&request).await
    }

    /// Whether an answer to a request for `operation` means *accepted*: the oracle.
    pub fn judge(&self, operation: &Operation, exchange: &Exchange) -> Verdict {
        oracle::judge(self.baseline(operation), exchange)
    }

    /// How alike two answers are, from 0 to 1, in the oracle's terms: status, media type, key set,
    /// error signs, length. 0.8 and more count as the same treatment.
    pub fn likeness(&self, a: &Exchange, b: &Exchange) -> f64 {
        oracle::likeness(a, b)
    }

    /// Whether an answer gives what was asked for: 2xx or 3xx, and no error or login page in
    /// disguise.
    pub fn welcome(&self, exchange: &Exchange) -> bool {
        oracle::welcome(exchange)
    }

    /// Sends the baseline's request of the first accepted identity with another credential, and
    /// judges the answer. Unclear, and nothing sent, when there is no such request or the level
    /// does not allow it.
    ///
    /// # Errors
    /// As [`Context::send`].
    pub async fn probe(
        &self,
        operation: &Operation,
        auth: Auth,
    ) -> Result<(Verdict, Option<Arc<Exchange>>), Halt> {
        let unclear = |reason: &str| Ok((Verdict::Unclear(reason.to_owned()), None));
        let baseline = self.baseline(operation);
        let Some(who) = baseline.accepted().first() else {
            return unclear("nobody was let in");
        };
        if !self.may_send(operation) {
            return unclear("the level does not allow it");
        }
        let Some(request) = self.request(operation, *who) else {
            return unclear("no request to change");
        };
        let exchange = self.send(request.with_auth(auth)).await?;
        Ok((self.judge(operation, &exchange), Some(exchange)))
    }

    /// Runs `probe` for each item, at most as many at a time as the limits allow, and returns the
    /// results in the order of the items.
    ///
    /// # Errors
    /// The first halt.
    pub async fn each<I, F, R, T>(&self, items: I, probe: F) -> Result<Vec<T>, Halt>
    where
        I: IntoIterator,
        F: Fn(I::Item) -> R,
        R: Future<Output = Result<T, Halt>>,
    {
        // Collected first, so that the iterator need not be `Send` across an await.
        let futures: Vec<R> = items.into_iter().map(probe).collect();
        stream::iter(futures)
            .buffered(self.options.limits.concurrency.max(1))
            .try_collect()
            .await
    }

    /// Evidence from an exchange, redacted, its bodies cut to their beginning.
    pub fn evidence(&self, shows: impl Into<String>, exchange: &Exchange) -> Evidence {
        self.redactor.evidence(shows.into(), exchange, None)
    }

    /// Evidence from an exchange, its body cut around `telling`, which also becomes the observed
    /// part.
    pub fn evidence_of(
        &self,
        shows: impl Into<String>,
        exchange: &Exchange,
        telling: &str,
    ) -> Evidence {
        self.redactor
            .evidence(shows.into(), exchange, Some(telling))
    }

    /// Text with every known secret replaced, for descriptions.
    pub fn redact(&self, text: &str) -> String {
        self.redactor.text(text)
    }

    /// Where a finding about `operation` is to be mended.
    pub fn place(&self, operation: &Operation) -> Place {
        let mut place = Place::operation(operation.method.as_str(), &operation.path);
        if let Source::OpenApi {
            file: Some(file),
            line,
        } = &operation.source
        {
            place.file = Some(file.clone());
            place.line = *line;
        }
        place
    }

    /// Keeps a finding at once, so that an interrupted scan has it. One with the same fingerprint
    /// takes its places and evidence in, and its description in place of its own.
    pub fn report(&self, mut finding: Finding) {
        finding.title = self.redact(&finding.title);
        finding.description = self.redact(&finding.description);
        (self.progress)(Event::Found(Box::new(finding.clone())));
        let mut findings = lock(&self.findings);
        let Some(known) = findings
            .iter_mut()
            .find(|known| known.fingerprint == finding.fingerprint)
        else {
            findings.push(finding);
            return;
        };
        known.description = finding.description;
        known.severity = known.severity.max(finding.severity);
        known.confidence = known.confidence.max(finding.confidence);
        for place in finding.places {
            if !known.places.contains(&place) {
                known.places.push(place);
            }
        }
        for piece in finding.evidence {
            if !known.evidence.contains(&piece) {
                known.evidence.push(piece);
            }
        }
        for state in finding.grants {
            if !known.grants.contains(&state) {
                known.grants.push(state);
            }
        }
        for condition in finding.conditions {
            if !known.conditions.contains(&condition) {
                known.conditions.push(condition);
            }
        }
    }

    /// What was reported so far; a check that must not repeat another's cause looks here.
    pub fn findings(&self) -> Vec<Finding> {
        lock(&self.findings).clone()
    }

    /// Keeps facts about the deployment that were read live.
    pub fn learn(&self, facts: &Facts) {
        lock(&self.facts).merge(facts);
    }

    /// What is known of the deployment: the options' facts and what was read live.
    pub fn facts(&self) -> Facts {
        lock(&self.facts).clone()
    }

    /// Tells the user something that is no finding. The same text is kept once.
    pub fn note(&self, text: impl Into<String>) {
        let text = self.redact(&text.into());
        let mut notes = lock(&self.notes);
        if !notes.contains(&text) {
            (self.progress)(Event::Note(text.clone()));
            notes.push(text);
        }
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = lock(&self.notes).clone();
        notes.extend(
            self.client
                .notes()
                .into_iter()
                .map(|note| self.redact(&note)),
        );
        notes
    }

    /// Identifiers of objects seen in the answers to the identity `who` that fit `param` of
    /// `operation` (a path parameter, or a member of its query or body), most likely first, at most
    /// 16.
    pub fn harvest(&self, who: usize, operation: &Operation, param: &str) -> Vec<String> {
        self.baselines.get().map_or_else(Vec::new, |baselines| {
            baselines.harvest(who, operation, param)
        })
    }

    /// The token of the identity `who`, unverified; `None` when it is opaque.
    pub fn jwt(&self, who: usize) -> Option<&Jwt> {
        self.jwts.get(who)?.as_ref()
    }

    /// What makes tokens that must be refused, with what it has learnt in this scan.
    pub(crate) fn forge(&self) -> &Forge {
        &self.forge
    }

    /// Text that occurs nowhere else: 16 lower-case letters and digits, the first a letter.
    pub fn nonce(&self) -> String {
        nonce()
    }

    /// The callback listener, started at first use. `None` when the target could not reach it: it
    /// is not on loopback and no callback URL was given, or the port is taken.
    pub async fn callback(&self) -> Option<&Callback> {
        self.callback
            .get_or_init(|| async {
                match callback::start(&self.options).await {
                    Ok(callback) => {
                        if let Some(callback) = &callback {
                            self.note(format!("callbacks were expected at {}", callback.base()));
                        }
                        callback
                    }
                    Err(error) => {
                        self.note(format!("no callback listener: {error}"));
                        None
                    }
                }
            })
            .await
            .as_ref()
    }
}

/// Text that occurs nowhere else: 16 lower-case letters and digits, the first a letter.
pub(crate) fn nonce() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    random_bytes::<16>()
        .iter()
        .enumerate()
        .map(|(index, byte)| {
            let letters = if index == 0 { 26 } else { 32 };
            char::from(ALPHABET[usize::from(*byte) % letters])
        })
        .collect()
}
