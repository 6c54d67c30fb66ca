//! What a check stands on: the baselines, the one client, the oracle, and where findings go.

use crate::{
    Auth, Baseline, Callback, Exchange, Identity, Jwt, Operation, Request, ScanOptions, Verdict,
};
use cofferdam_finding::{Evidence, Facts, Finding, Place};
use std::future::Future;
use std::sync::Arc;

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
    options: ScanOptions,
    operations: Vec<Operation>,
}

impl Context {
    /// What the scan was told.
    pub fn options(&self) -> &ScanOptions {
        &self.options
    }

    /// Every operation, in the order of its index.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Whom the scan speaks as.
    pub fn identities(&self) -> &[Identity] {
        &self.options.identities
    }

    /// The operations where no token and garbage are refused and a valid token is accepted.
    pub fn protected(&self) -> impl Iterator<Item = &Operation> {
        self.operations
            .iter()
            .filter(|op| self.baseline(op).is_protected())
    }

    /// What `operation` answered before any check was run.
    pub fn baseline(&self, _operation: &Operation) -> &Baseline {
        todo!()
    }

    /// Whether `operation` may be sent at this scan's level: safe methods always unless
    /// destructive, others from active on, destructive ones only at destructive.
    pub fn may_send(&self, _operation: &Operation) -> bool {
        todo!()
    }

    /// The request that the baseline sent (or, above the scan's level, would send) as the identity
    /// `who`: parameters and body filled in. `None` when a parameter has no value.
    pub fn request(&self, _operation: &Operation, _who: usize) -> Option<Request> {
        todo!()
    }

    /// Sends a request: paced, within the budget, recorded, within the scope. A safe request that
    /// was sent before is answered from memory until anything unsafe was sent.
    ///
    /// # Errors
    /// When the whole scan has to end. A failure of this request alone is in
    /// [`Exchange::outcome`].
    pub async fn send(&self, _request: Request) -> Result<Arc<Exchange>, Halt> {
        todo!()
    }

    /// As [`Context::send`], but never from memory.
    ///
    /// # Errors
    /// As [`Context::send`].
    pub async fn send_fresh(&self, _request: Request) -> Result<Arc<Exchange>, Halt> {
        todo!()
    }

    /// Whether an answer to a request for `operation` means *accepted*: the oracle.
    pub fn judge(&self, _operation: &Operation, _exchange: &Exchange) -> Verdict {
        todo!()
    }

    /// Sends the baseline's request of the first accepted identity with another credential, and
    /// judges the answer. Unclear when there is no such request.
    ///
    /// # Errors
    /// As [`Context::send`].
    pub async fn probe(
        &self,
        _operation: &Operation,
        _auth: Auth,
    ) -> Result<(Verdict, Option<Arc<Exchange>>), Halt> {
        todo!()
    }

    /// Runs `probe` for each item, at most as many at a time as the limits allow, and returns the
    /// results in the order of the items.
    ///
    /// # Errors
    /// The first halt.
    pub async fn each<I, F, R, T>(&self, _items: I, _probe: F) -> Result<Vec<T>, Halt>
    where
        I: IntoIterator,
        F: Fn(I::Item) -> R,
        R: Future<Output = Result<T, Halt>>,
    {
        todo!()
    }

    /// Evidence from an exchange, redacted and cut to the telling part.
    pub fn evidence(&self, _shows: impl Into<String>, _exchange: &Exchange) -> Evidence {
        todo!()
    }

    /// Evidence from an exchange, its body cut around `telling`, which also becomes the observed
    /// part.
    pub fn evidence_of(
        &self,
        _shows: impl Into<String>,
        _exchange: &Exchange,
        _telling: &str,
    ) -> Evidence {
        todo!()
    }

    /// Text with every known secret replaced, for descriptions.
    pub fn redact(&self, _text: &str) -> String {
        todo!()
    }

    /// Where a finding about `operation` is to be mended.
    pub fn place(&self, _operation: &Operation) -> Place {
        todo!()
    }

    /// Keeps a finding at once, so that an interrupted scan has it.
    pub fn report(&self, _finding: Finding) {
        todo!()
    }

    /// What was reported so far; a check that must not repeat another's cause looks here.
    pub fn findings(&self) -> Vec<Finding> {
        todo!()
    }

    /// Keeps facts that were read live.
    pub fn learn(&self, _facts: &Facts) {
        todo!()
    }

    /// Tells the user something that is no finding.
    pub fn note(&self, _text: impl Into<String>) {
        todo!()
    }

    /// Identifiers of objects seen in the answers to the identity `who` that fit `param` of
    /// `operation`, most likely first.
    pub fn harvest(&self, _who: usize, _operation: &Operation, _param: &str) -> Vec<String> {
        todo!()
    }

    /// The token of the identity `who`, unverified; `None` when it is opaque.
    pub fn jwt(&self, _who: usize) -> Option<&Jwt> {
        todo!()
    }

    /// Text that occurs nowhere else: 16 lower-case letters and digits, the first a letter.
    pub fn nonce(&self) -> String {
        todo!()
    }

    /// The callback listener, started at first use. `None` when the target could not reach it.
    pub async fn callback(&self) -> Option<&Callback> {
        todo!()
    }
}
