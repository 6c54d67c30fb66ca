//! The one client that paces, caches, records and never leaves the scope.

mod connect;
mod pace;
pub(crate) mod wire;

use crate::exchange::Retained;
use crate::redact::Redactor;
use crate::{
    Auth, Exchange, Failure, Halt, Identity, Limits, Request, ScanError, ScanOptions, Secret, Sent,
    Target, Template,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pace::Pace;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use wire::{Got, Wire};

/// Failures in a row, without an answer in between, after which the target's health is tried.
const SUSPICIOUS: u32 = 6;
/// Failures of one operation after which it is not sent again.
const GIVEN_UP: u32 = 3;
/// Bytes of bodies that are held at the same time before bodies are cut short.
const RETAINED: u64 = 64 << 20;
/// What is read of a body after that.
const SHORT_BODY: usize = 16 << 10;
/// What is read of an API description.
const LARGE_BODY: usize = 64 << 20;
/// Times that a request is sent again because the target asked to wait.
const REPEATS: u32 = 3;

/// The one client. It talks to the target alone.
pub(crate) struct Client {
    wire: Wire,
    target: Target,
    limits: Limits,
    identities: Vec<Identity>,
    garbage: Secret,
    pace: Pace,
    slots: Semaphore,
    cancel: CancellationToken,
    end: tokio::time::Instant,
    redactor: Arc<Redactor>,
    sent: AtomicU32,
    retained: Arc<AtomicU64>,
    answered: AtomicBool,
    failures: AtomicU32,
    dead: OnceLock<String>,
    memory: Mutex<HashMap<Sent, Arc<Exchange>>>,
    troubles: Mutex<Troubles>,
    given_up: Mutex<HashMap<String, u32>>,
    /// A request that was answered, to try the target's health with.
    healthy: Mutex<Option<Sent>>,
}

/// What went wrong on the wire, for the notes: per kind, how often and the first place.
type Troubles = BTreeMap<Trouble, (u32, String)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Throttled,
    Unavailable,
    Timeout,
    Unending,
    Oversized,
    Closed,
    Broken,
    Redirect,
}

impl Client {
    pub(crate) fn new(
        options: &ScanOptions,
        redactor: Arc<Redactor>,
        cancel: CancellationToken,
    ) -> Result<Self, ScanError> {
        let garbage = Secret::new(URL_SAFE_NO_PAD.encode(random_bytes::<32>()));
        redactor.learn(garbage.reveal());
        Ok(Self {
            wire: Wire::new(&options.base, options)?,
            target: options.base.clone(),
            limits: options.limits,
            identities: options.identities.clone(),
            garbage,
            pace: Pace::new(options.limits.rate),
            slots: Semaphore::new(options.limits.concurrency.max(1)),
            cancel,
            end: tokio::time::Instant::now() + options.limits.wall,
            redactor,
            sent: AtomicU32::new(0),
            retained: Arc::default(),
            answered: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            dead: OnceLock::new(),
            memory: Mutex::default(),
            troubles: Mutex::default(),
            given_up: Mutex::default(),
            healthy: Mutex::default(),
        })
    }

    /// Requests that were sent so far.
    pub(crate) fn requests(&self) -> u32 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Counts requests that another client sent for the same scan.
    pub(crate) fn count(&self, requests: u32) {
        self.sent.fetch_add(requests, Ordering::Relaxed);
    }

    /// Whether the target has answered at all.
    pub(crate) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// A client for another host that the user named, without identities. It ends with this one.
    pub(crate) fn elsewhere(&self, options: &ScanOptions) -> Result<Self, ScanError> {
        Self::new(options, Arc::clone(&self.redactor), self.cancel.clone())
    }

    /// Sends a request, or answers it from memory when the same safe one was sent before and
    /// nothing unsafe since.
    pub(crate) async fn send(&self, request: &Request) -> Result<Arc<Exchange>, Halt> {
        let (who, sent) = self.prepare(request);
        if request.is_safe()
            && let Some(known) = lock(&self.memory).get(&sent)
        {
            return Ok(Arc::clone(known));
        }
        self.transmit(request, who, sent, true, None).await
    }

    /// Sends a request whose answer may be larger than others, such as an API description.
    pub(crate) async fn send_for_large(&self, request: &Request) -> Result<Arc<Exchange>, Halt> {
        let (who, sent) = self.prepare(request);
        self.transmit(request, who, sent, true, Some(LARGE_BODY))
            .await
    }

    /// Sends a request once. A 429 or 503 is its answer.
    pub(crate) async fn send_fresh(&self, request: &Request) -> Result<Arc<Exchange>, Halt> {
        let (who, sent) = self.prepare(request);
        self.transmit(request, who, sent, false, None).await
    }

    async fn transmit(
        &self,
        request: &Request,
        who: String,
        sent: Sent,
        patient: bool,
        body_limit: Option<usize>,
    ) -> Result<Arc<Exchange>, Halt> {
        let safe = request.is_safe();
        if !safe {
            lock(&self.memory).clear();
        }
        if let Some(key) = request.operation_key()
            && lock(&self.given_up).get(key).copied().unwrap_or(0) >= GIVEN_UP
        {
            let started = Instant::now();
            return Ok(self.record(0, who, sent, Err(Failure::GivenUp), started));
        }
        let exchange = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(Halt::Cancelled),
            () = tokio::time::sleep_until(self.end) => {
                return Err(Halt::Time(self.limits.wall.as_secs()));
            }
            exchange = self.attempt(who, &sent, safe && patient, body_limit) => exchange?,
        };
        self.watch(request, &exchange).await?;
        if safe && body_limit.is_none() && exchange.outcome.is_ok() {
            lock(&self.memory).insert(sent, Arc::clone(&exchange));
        }
        if !safe {
            // Answers that were read while this one was under way are stale, too.
            lock(&self.memory).clear();
        }
        Ok(exchange)
    }

    /// Sends until there is an answer that does not ask to wait, or waiting is not worth it.
    async fn attempt(
        &self,
        who: String,
        sent: &Sent,
        repeat: bool,
        body_limit: Option<usize>,
    ) -> Result<Arc<Exchange>, Halt> {
        let mut repeats = if repeat { REPEATS } else { 0 };
        loop {
            let _slot = self.slots.acquire().await.map_err(|_| Halt::Cancelled)?;
            tokio::time::sleep_until(self.pace.turn()).await;
            if let Some(reason) = self.dead.get() {
                return Err(Halt::Dead(reason.clone()));
            }
            let number = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
            if number > self.limits.requests {
                self.sent.fetch_sub(1, Ordering::Relaxed);
                return Err(Halt::Budget(self.limits.requests));
            }
            let started = Instant::now();
            let limit = body_limit.unwrap_or_else(|| self.body_limit());
            let got = self.wire.send(sent, limit).await;
            if let Ok(got) = &got
                && let Some(wait) = asks_to_wait(got)
            {
                self.trouble(
                    if got.response.status == 429 {
                        Trouble::Throttled
                    } else {
                        Trouble::Unavailable
                    },
                    sent,
                );
                if repeats > 0 && self.pace.back_off(wait) {
                    repeats -= 1;
                    continue;
                }
            }
            let outcome = got.map(|got| {
                if got.unending {
                    self.trouble(Trouble::Unending, sent);
                } else if got.response.truncated {
                    self.trouble(Trouble::Oversized, sent);
                }
                got.response
            });
            return Ok(self.record(number, who, sent.clone(), outcome, started));
        }
    }

    /// Keeps count of failures, and finds out whether the target is still alive.
    async fn watch(&self, request: &Request, exchange: &Exchange) -> Result<(), Halt> {
        let failure = match &exchange.outcome {
            Ok(response) => {
                self.answered.store(true, Ordering::Relaxed);
                self.failures.store(0, Ordering::Relaxed);
                if let Some(key) = request.operation_key() {
                    lock(&self.given_up).remove(key);
                }
                if request.is_safe() && request.auth == Auth::None {
                    let mut healthy = lock(&self.healthy);
                    if healthy.is_none() {
                        *healthy = Some(exchange.sent.clone());
                    }
                }
                if (300..400).contains(&response.status)
                    && let Some(location) = response.header("location")
                    && self.leaves_scope(&location)
                {
                    self.trouble(Trouble::Redirect, &exchange.sent);
                }
                return Ok(());
            }
            Err(failure) => failure,
        };
        match failure {
            Failure::Timeout(_) => self.trouble(Trouble::Timeout, &exchange.sent),
            Failure::Closed => self.trouble(Trouble::Closed, &exchange.sent),
            Failure::BrokenFraming(_) => self.trouble(Trouble::Broken, &exchange.sent),
            Failure::Unsendable(_) | Failure::GivenUp => return Ok(()),
            Failure::Refused(_) | Failure::Tls(_) => {}
        }
        if let Some(key) = request.operation_key() {
            *lock(&self.given_up).entry(key.to_owned()).or_default() += 1;
        }
        let refused = matches!(failure, Failure::Refused(_) | Failure::Tls(_));
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if !refused && failures < SUSPICIOUS {
            return Ok(());
        }
        // One operation that hangs is not a dead target: ask for something else.
        let answered = lock(&self.healthy).clone();
        let probe = answered.unwrap_or_else(|| self.prepare(&Request::get("/", Auth::None)).1);
        self.sent.fetch_add(1, Ordering::Relaxed);
        let alive = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(Halt::Cancelled),
            answer = self.wire.send(&probe, SHORT_BODY) => answer,
        };
        match alive {
            Ok(_) | Err(Failure::BrokenFraming(_)) => {
                self.failures.store(0, Ordering::Relaxed);
                Ok(())
            }
            Err(failure) => {
                let reason = self.dead.get_or_init(|| failure.to_string());
                Err(Halt::Dead(reason.clone()))
            }
        }
    }

    /// Whether a `Location` names another host, scheme or port.
    fn leaves_scope(&self, location: &str) -> bool {
        if location.starts_with("//") {
            return true;
        }
        location.contains("://")
            && !Target::parse_url(location).is_ok_and(|(to, _)| to.same_origin(&self.target))
    }

    fn record(
        &self,
        number: u32,
        who: String,
        sent: Sent,
        outcome: Result<crate::Response, Failure>,
        started: Instant,
    ) -> Arc<Exchange> {
        let length = outcome
            .as_ref()
            .map_or(0, |response| response.body.len() as u64);
        Arc::new(Exchange {
            id: u64::from(number),
            sent,
            who,
            outcome,
            started,
            elapsed: started.elapsed(),
            json: OnceLock::new(),
            _retained: Retained::new(&self.retained, length),
        })
    }

    fn body_limit(&self) -> usize {
        match self.retained.load(Ordering::Relaxed) > RETAINED {
            true => self.limits.body.min(SHORT_BODY),
            false => self.limits.body,
        }
    }

    /// The request as it goes out, and the name of who sends it.
    fn prepare(&self, request: &Request) -> (String, Sent) {
        let (who, credential) = self.credential(&request.auth);
        let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
        let own = |name: &str| {
            request
                .headers
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name))
        };
        for (name, value) in [
            ("host", self.target.authority()),
            (
                "user-agent",
                concat!("cofferdam/", env!("CARGO_PKG_VERSION")).to_owned(),
            ),
            ("accept", "application/json, */*;q=0.5".to_owned()),
        ] {
            if !own(name) {
                headers.push((name.to_owned(), value.into_bytes()));
            }
        }
        if let Some((name, value)) = credential
            && !own(&name)
        {
            headers.push((name, value.into_bytes()));
        }
        for (name, value) in &request.headers {
            headers.push((name.to_ascii_lowercase(), value.clone().into_bytes()));
        }
        let sent = Sent {
            method: request.method.to_string(),
            target: writable(&request.target),
            headers,
            body: request.body.clone().unwrap_or_default(),
        };
        (who, sent)
    }

    /// Who it is, and the field that says so. A made token is known to the redactor from here on.
    fn credential(&self, auth: &Auth) -> (String, Option<(String, String)>) {
        let first = self.identities.first().map(|identity| &identity.template);
        let field = |template: Option<&Template>, token: &str| {
            let default = Template::default();
            let template = template.unwrap_or(&default);
            Some((template.name().to_owned(), template.value(token)))
        };
        match auth {
            Auth::None => ("no token".to_owned(), None),
            Auth::Garbage => (
                "garbage token".to_owned(),
                field(first, self.garbage.reveal()),
            ),
            Auth::Identity(who) => match self.identities.get(*who) {
                Some(identity) => (
                    identity.name.clone(),
                    field(Some(&identity.template), identity.token.reveal()),
                ),
                None => ("no token".to_owned(), None),
            },
            Auth::Token { label, token } => {
                self.redactor.learn(token.reveal());
                (label.clone(), field(first, token.reveal()))
            }
            Auth::Field { label, name, value } => {
                self.redactor.learn_field(value.reveal());
                let name = name.to_ascii_lowercase();
                (label.clone(), Some((name, value.reveal().to_owned())))
            }
        }
    }

    fn trouble(&self, trouble: Trouble, sent: &Sent) {
        let path = sent.target.split('?').next().unwrap_or_default();
        lock(&self.troubles)
            .entry(trouble)
            .or_insert_with(|| (0, format!("{} {}", sent.method, shorten(path))))
            .0 += 1;
    }

    /// What went wrong on the wire, in sentences.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (trouble, (times, first)) in lock(&self.troubles).iter() {
            let what = match trouble {
                Trouble::Throttled => "the target throttles (429), the scan waited as asked",
                Trouble::Unavailable => "the target was unavailable (503) and asked to wait",
                Trouble::Timeout => "no answer within the time limit",
                Trouble::Unending => "an answer that does not end was cut",
                Trouble::Oversized => "an answer longer than the limit was cut",
                Trouble::Closed => "the connection was closed before the answer was complete",
                Trouble::Broken => "the answer's framing is broken",
                Trouble::Redirect => "a redirect leaves the scope and was not followed",
            };
            let mut note = format!("{what}: {first}");
            if *times > 1 {
                // Writing to a String cannot fail.
                let _ = write!(note, " and {} more", times - 1);
            }
            notes.push(note);
        }
        for (operation, times) in lock(&self.given_up).iter() {
            if *times >= GIVEN_UP {
                notes.push(format!(
                    "{operation} failed {times} times and was not sent again"
                ));
            }
        }
        notes.sort();
        notes
    }
}

/// How long an answer asks to wait: 429 (RFC 6585, section 4), or 503 with `Retry-After` (RFC
/// 9110, section 10.2.3). A date counts as one second.
fn asks_to_wait(got: &Got) -> Option<Duration> {
    let after = got.response.header("retry-after");
    let seconds = after.as_ref().map(|text| text.trim().parse().unwrap_or(1));
    match got.response.status {
        429 => Some(Duration::from_secs(seconds.unwrap_or(1))),
        503 => seconds.map(Duration::from_secs),
        _ => None,
    }
}

/// The target with the bytes percent-encoded that cannot stand on a request line, and no others.
fn writable(target: &str) -> String {
    let mut out = String::with_capacity(target.len() + 1);
    if !target.starts_with('/') && target != "*" {
        out.push('/');
    }
    let mut in_query = false;
    for character in target.chars() {
        let refused = match character {
            '\0'..=' ' | '\u{7f}' | '#' | '<' | '>' => true,
            '`' => !in_query,
            '"' => in_query,
            _ => false,
        };
        in_query |= character == '?';
        if refused {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{:02X}", u32::from(character));
        } else {
            out.push(character);
        }
    }
    out
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Bytes from the system's generator.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(
        clippy::expect_used,
        reason = "a machine without randomness can run no TLS either"
    )]
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// Locks, whatever became of another holder: what these locks guard is valid after every step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::http::uri::PathAndQuery;
    use proptest::prelude::*;

    #[test]
    fn a_target_is_sent_as_it_stands() {
        for target in [
            "/a/../b",
            "/%2e%2e/x",
            "//a///b",
            "/x?y=/../z&`",
            "/%00%ff",
            "/{id}",
            "/a;b=1,2:3",
            "/%252e",
            "/x?a=b?c",
            "/\\..\\",
            "/é",
        ] {
            assert_eq!(writable(target), target);
            assert_eq!(PathAndQuery::try_from(target).unwrap().as_str(), target);
        }
        assert_eq!(writable("/a b#c<d>`"), "/a%20b%23c%3Cd%3E%60");
        assert_eq!(writable("x"), "/x");
    }

    proptest! {
        #[test]
        fn every_target_can_be_written_and_nothing_that_may_stand_is_changed(text in "\\PC{0,60}") {
            let target = format!("/{text}");
            let written = writable(&target);
            let parsed = PathAndQuery::try_from(written.as_str());
            prop_assert!(parsed.is_ok(), "{written:?}");
            let parsed = parsed.unwrap();
            prop_assert_eq!(parsed.as_str(), written.as_str());
            prop_assert_eq!(writable(&written), written.clone());
            if PathAndQuery::try_from(target.as_str()).is_ok_and(|kept| kept.as_str() == target) {
                prop_assert_eq!(written, target);
            }
        }
    }
}
