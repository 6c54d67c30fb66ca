//! Each operation once without a token, once with a garbage one, once per identity.
//!
//! Lists come first; the identifiers in an identity's answers fill the path parameters of its later
//! requests, round after round. What could change state follows, and what could destroy comes last,
//! both only when the scan's level allows them.

use crate::client::{Client, lock};
use crate::inventory::{Harvest, Samples};
use crate::made::Made;
use crate::request::encode;
use crate::{
    Auth, Event, Exchange, Halt, Level, Operation, ParamIn, Reach, Request, ScanOptions, Source,
    oracle,
};
use futures_util::stream::{self, StreamExt as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// What one operation answered before any check was run.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// The index of the operation.
    pub operation: usize,
    /// The answer without a token. Absent when the operation was not sent.
    pub anonymous: Option<Arc<Exchange>>,
    /// The answer to a garbage token. Absent when the operation was not sent, or there is no
    /// identity.
    pub garbage: Option<Arc<Exchange>>,
    /// The answer to each identity, by its index.
    pub valid: Vec<Option<Arc<Exchange>>>,
    /// What the comparison of these says.
    pub protection: Protection,
    /// The request of each identity, with its own objects' identifiers filled in.
    pub(crate) requests: Vec<Option<Request>>,
}

impl Baseline {
    /// The identities that were let in, by index.
    pub fn accepted(&self) -> &[usize] {
        match &self.protection {
            Protection::Protected(who) | Protection::AnyToken(who) => who,
            Protection::Public | Protection::Unknown(_) => &[],
        }
    }

    /// Whether no token and a garbage token are refused and a valid one is accepted: the only
    /// ground on which a forged token's acceptance means something.
    pub fn is_protected(&self) -> bool {
        matches!(self.protection, Protection::Protected(_))
    }

    pub(crate) fn absent(operation: usize, identities: usize, why: impl Into<String>) -> Self {
        Self {
            operation,
            anonymous: None,
            garbage: None,
            valid: vec![None; identities],
            protection: Protection::Unknown(why.into()),
            requests: vec![None; identities],
        }
    }
}

/// How an operation treats who has no valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protection {
    /// No token and a garbage one are refused; these identities are let in.
    Protected(Vec<usize>),
    /// No token is refused, a garbage one is treated like these identities' valid ones.
    AnyToken(Vec<usize>),
    /// No token is answered like a valid one, or with success.
    Public,
    /// It was not sent, did not answer, or let nobody in; and why.
    Unknown(String),
}

/// Rounds in which identifiers of one answer lead to further answers.
const ROUNDS: usize = 4;
/// Identifiers that are tried for one operation before its answer is taken for what it is.
const ALTERNATIVES: usize = 4;

/// The baselines of all operations and what they taught, filled as they come.
pub(crate) struct Baselines {
    done: Vec<OnceLock<Baseline>>,
    harvests: Vec<Mutex<Harvest>>,
    pub(crate) made: Made,
}

impl Baselines {
    pub(crate) fn new(operations: usize, identities: usize) -> Self {
        Self {
            done: (0..operations).map(|_| OnceLock::new()).collect(),
            // One more for what is answered without a token.
            harvests: (0..=identities).map(|_| Mutex::default()).collect(),
            made: Made::default(),
        }
    }

    /// The baseline of the operation with this index, if it is there.
    pub(crate) fn of(&self, index: usize) -> Option<&Baseline> {
        self.done.get(index)?.get()
    }

    /// Writes the reason for every operation that has no baseline.
    pub(crate) fn close(&self, operations: &[Operation], options: &ScanOptions, reason: &str) {
        for (operation, place) in operations.iter().zip(&self.done) {
            let why = match may_send(operation, options.level) {
                true => reason,
                false if operation.destructive => "could destroy; needs --destructive",
                false => "could change state; needs --active",
            };
            place.get_or_init(|| Baseline::absent(operation.index, options.identities.len(), why));
        }
    }

    /// Identifiers that fit a parameter, from what `who` has seen.
    pub(crate) fn harvest(&self, who: usize, operation: &Operation, name: &str) -> Vec<String> {
        let own = who.min(self.harvests.len() - 1);
        lock(&self.harvests[own]).fitting(operation, name, 16)
    }

    /// Identifiers of what the words of `path` name, from what `who` has seen.
    fn related(&self, who: usize, path: &str) -> Vec<String> {
        let own = who.min(self.harvests.len() - 1);
        lock(&self.harvests[own]).related(path, 4)
    }

    pub(crate) fn learn(&self, who: Option<usize>, path: &str, exchange: &Exchange) {
        if !oracle::welcome(exchange) {
            return;
        }
        if let Some(answer) = exchange.json() {
            let own = who
                .unwrap_or(self.harvests.len() - 1)
                .min(self.harvests.len() - 1);
            lock(&self.harvests[own]).take(path, answer);
        }
    }
}

/// Whether an operation may be sent at `level`.
pub(crate) fn may_send(operation: &Operation, level: Level) -> bool {
    if operation.destructive {
        return level >= Level::Destructive;
    }
    operation.is_safe() || level >= Level::Active || is_prompt(operation)
}

/// Whether an operation takes text for a model and nothing else: sending `Say hello.` is safe. A
/// chat between people looks alike, so the word alone is not enough.
fn is_prompt(operation: &Operation) -> bool {
    if operation.method != hyper::Method::POST || !operation.reaches(Reach::Agent) {
        return false;
    }
    let text = format!("{} {}", operation.path, operation.description).to_lowercase();
    let model = [
        "assistant",
        "agent",
        "llm",
        "completion",
        "prompt",
        "copilot",
        "language model",
        "generate",
        "chatbot",
    ];
    operation.body.is_some() && model.iter().any(|word| text.contains(word))
}

/// Takes the baselines.
pub(crate) struct Runner<'a> {
    pub(crate) options: &'a ScanOptions,
    pub(crate) client: &'a Client,
    pub(crate) operations: &'a [Operation],
    pub(crate) baselines: &'a Baselines,
    pub(crate) progress: &'a (dyn Fn(Event) + Send + Sync),
}

/// How much is known about the path parameters of an operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ready {
    /// There are none.
    Plain,
    /// Each has a value that was seen.
    Seen,
    /// Some have only a value that the description gives, which seldom exists.
    Given,
    /// Some have nothing but a guess.
    Guess,
}

impl Runner<'_> {
    /// Takes the baseline of every operation that the level allows.
    pub(crate) async fn run(&self) -> Result<(), Halt> {
        let done = AtomicUsize::new(0);
        let allowed = |operation: &&Operation| may_send(operation, self.options.level);
        let (safe, unsafe_): (Vec<&Operation>, Vec<&Operation>) = self
            .operations
            .iter()
            .filter(allowed)
            .partition(|op| op.is_safe() && !op.destructive);
        self.safe_rounds(&safe, Ready::Plain, &done).await?;
        self.safe_rounds(&safe, Ready::Seen, &done).await?;
        let (last, middle): (Vec<&Operation>, Vec<&Operation>) = unsafe_
            .into_iter()
            .partition(|operation| operation.destructive);
        for operation in middle {
            self.one(operation, &done).await?;
        }
        // What was made may be what other operations are about.
        self.refresh_lists(&safe).await?;
        self.safe_rounds(&safe, Ready::Seen, &done).await?;
        self.safe_rounds(&safe, Ready::Given, &done).await?;
        self.safe_rounds(&safe, Ready::Guess, &done).await?;
        for operation in last {
            self.one(operation, &done).await?;
        }
        Ok(())
    }

    /// Sends every safe operation that is as ready as `least`, until no more become so.
    async fn safe_rounds(
        &self,
        operations: &[&Operation],
        least: Ready,
        done: &AtomicUsize,
    ) -> Result<(), Halt> {
        for _ in 0..ROUNDS {
            let ready: Vec<&Operation> = operations
                .iter()
                .filter(|op| self.baselines.of(op.index).is_none() && self.ready(op) <= least)
                .copied()
                .collect();
            if ready.is_empty() {
                break;
            }
            let futures: Vec<_> = ready
                .into_iter()
                .map(|operation| self.one(operation, done))
                .collect();
            let mut results =
                stream::iter(futures).buffer_unordered(self.options.limits.concurrency.max(1));
            while let Some(result) = results.next().await {
                result?;
            }
        }
        Ok(())
    }

    /// Reads the lists again when something unsafe was sent, for the identifiers of what was made.
    async fn refresh_lists(&self, safe: &[&Operation]) -> Result<(), Halt> {
        if self.options.level < Level::Active {
            return Ok(());
        }
        let lists: Vec<&Operation> = safe
            .iter()
            .filter(|op| !op.path.contains('{'))
            .copied()
            .collect();
        for operation in lists {
            let Some(baseline) = self.baselines.of(operation.index) else {
                continue;
            };
            for (who, request) in baseline.requests.iter().enumerate() {
                if let Some(request) = request
                    && baseline.accepted().contains(&who)
                {
                    let exchange = self.client.send(request).await?;
                    self.baselines.learn(Some(who), &operation.path, &exchange);
                }
            }
        }
        Ok(())
    }

    fn ready(&self, operation: &Operation) -> Ready {
        let mut ready = Ready::Plain;
        for param in operation
            .params
            .iter()
            .filter(|param| param.place == ParamIn::Path)
        {
            let seen = (0..=self.options.identities.len()).any(|who| {
                !self
                    .baselines
                    .harvest(who, operation, &param.name)
                    .is_empty()
            });
            let given = || Samples::new(&self.options.base).param(param).is_some();
            ready = ready.max(match (seen, seen || given()) {
                (true, _) => Ready::Seen,
                (false, true) => Ready::Given,
                (false, false) => Ready::Guess,
            });
        }
        ready
    }

    async fn one(&self, operation: &Operation, done: &AtomicUsize) -> Result<(), Halt> {
        let baseline = self.take(operation).await?;
        if let Some(place) = self.baselines.done.get(operation.index) {
            // Each operation is taken once, so the place is empty.
            let _ = place.set(baseline);
        }
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        (self.progress)(Event::Baseline {
            done,
            total: self.operations.len(),
        });
        Ok(())
    }

    /// No token, garbage, then each identity, and what the comparison says.
    async fn take(&self, operation: &Operation) -> Result<Baseline, Halt> {
        let identities = self.options.identities.len();
        let mut baseline = Baseline::absent(operation.index, identities, "");
        let asked = if identities == 0 { None } else { Some(0) };
        let Some(mut shared) = self.request(operation, asked, 0) else {
            let why = missing(operation, |name| {
                self.baselines
                    .harvest(asked.unwrap_or(0), operation, name)
                    .is_empty()
            });
            return Ok(Baseline::absent(operation.index, identities, why));
        };
        self.ask_strangers(&mut baseline, operation, &shared)
            .await?;
        for who in 0..identities {
            let Some(first) = self.request(operation, Some(who), 0) else {
                continue;
            };
            let (request, exchange) = self.ask(operation, who, first).await?;
            if who == 0 && request.target != shared.target {
                // Another identifier or more parameters were needed: strangers are asked the same.
                shared = request.clone();
                self.ask_strangers(&mut baseline, operation, &shared)
                    .await?;
            }
            self.made(operation, &exchange, Auth::Identity(who));
            self.baselines.learn(Some(who), &operation.path, &exchange);
            baseline.valid[who] = Some(exchange);
            baseline.requests[who] = Some(request);
        }
        if let Some(garbage) = &baseline.garbage {
            self.made(operation, garbage, Auth::Garbage);
        }
        if let Some(anonymous) = &baseline.anonymous {
            self.made(operation, anonymous, Auth::None);
            self.baselines.learn(None, &operation.path, anonymous);
            baseline.protection =
                oracle::classify(anonymous, baseline.garbage.as_ref(), &baseline.valid);
        }
        Ok(baseline)
    }

    fn made(&self, operation: &Operation, exchange: &Exchange, auth: Auth) {
        // A login or a search changes nothing that anybody would want undone.
        let asks = ["login", "signin", "search", "query", "validate"];
        let last = operation.path.rsplit('/').next().unwrap_or_default();
        if operation.is_safe() || is_prompt(operation) || asks.contains(&last) {
            return;
        }
        let known = |delete: &Operation, name: &str, value: &str| {
            (0..=self.options.identities.len()).any(|who| {
                let seen = self.baselines.harvest(who, delete, name);
                seen.iter().any(|seen| seen == value)
            })
        };
        let made = &self.baselines.made;
        made.take(self.operations, operation, &auth, exchange, known);
    }

    async fn ask_strangers(
        &self,
        baseline: &mut Baseline,
        operation: &Operation,
        request: &Request,
    ) -> Result<(), Halt> {
        if !operation.is_safe() && baseline.anonymous.is_some() {
            // What changes state is not sent more often than needed.
            return Ok(());
        }
        let anonymous = request.clone().with_auth(Auth::None);
        baseline.anonymous = Some(self.client.send(&anonymous).await?);
        if !self.options.identities.is_empty() {
            let garbage = request.clone().with_auth(Auth::Garbage);
            baseline.garbage = Some(self.client.send(&garbage).await?);
        }
        Ok(())
    }

    /// Sends the request of an identity. Where a safe one is answered *no such thing* or *bad
    /// request*, other identifiers and the optional parameters are tried.
    async fn ask(
        &self,
        operation: &Operation,
        who: usize,
        first: Request,
    ) -> Result<(Request, Arc<Exchange>), Halt> {
        let exchange = self.client.send(&first).await?;
        if oracle::welcome(&exchange) {
            return Ok((first, exchange));
        }
        if !operation.is_safe() {
            // What an earlier identity has made may be in the way: names are often unique.
            let another = with_another_name(&first, who);
            if who > 0
                && matches!(exchange.status(), Some(400 | 409 | 422 | 500))
                && let Some(request) = another
            {
                let exchange = self.client.send(&request).await?;
                return Ok((request, exchange));
            }
            return Ok((first, exchange));
        }
        let mut tries = Vec::new();
        if matches!(exchange.status(), Some(400 | 403 | 404 | 410 | 422)) {
            for number in 1..ALTERNATIVES {
                tries.extend(self.request(operation, Some(who), number));
            }
        }
        if matches!(exchange.status(), Some(400 | 422)) {
            tries.insert(0, self.with_optional(operation, who, first.clone()));
        }
        for request in tries {
            if request.target == first.target {
                continue;
            }
            let other = self.client.send(&request).await?;
            if oracle::welcome(&other) {
                return Ok((request, other));
            }
        }
        Ok((first, exchange))
    }

    /// The request of `who` (no token: `None`) with everything filled in that it needs. `number`
    /// chooses among the identifiers that fit. `None` when a path parameter has no value.
    pub(crate) fn request(
        &self,
        operation: &Operation,
        who: Option<usize>,
        number: usize,
    ) -> Option<Request> {
        fill(self.options, self.baselines, operation, who, number)
    }

    fn with_optional(&self, operation: &Operation, who: usize, request: Request) -> Request {
        let samples = Samples::new(&self.options.base);
        let optional = operation
            .params
            .iter()
            .filter(|param| !param.required && param.place == ParamIn::Query);
        optional.fold(request, |request, param| {
            let seen = self
                .baselines
                .harvest(who, operation, &param.name)
                .into_iter()
                .next();
            match seen.or_else(|| samples.param(param)) {
                Some(value) => request.with_param(operation, &param.name, &value),
                None => request,
            }
        })
    }
}

/// Fills in a request from what was seen and what the description gives.
pub(crate) fn fill(
    options: &ScanOptions,
    baselines: &Baselines,
    operation: &Operation,
    who: Option<usize>,
    number: usize,
) -> Option<Request> {
    let samples = Samples::new(&options.base);
    let own = who.unwrap_or(options.identities.len());
    let seen = |name: &str| {
        let mut values = baselines.harvest(own, operation, name);
        if values.is_empty() {
            // Somebody else's object is better than none: it shows whether the token is looked at.
            values = (0..=options.identities.len())
                .flat_map(|other| baselines.harvest(other, operation, name))
                .collect();
        }
        values
    };
    let mut path_values = Vec::new();
    for param in operation
        .params
        .iter()
        .filter(|param| param.place == ParamIn::Path)
    {
        let mut values = seen(&param.name);
        let given = samples.param(param);
        // What a description gives as an example seldom exists; what was seen does.
        values.extend(given.filter(|value| !values.contains(value)));
        if values.is_empty() && operation.is_safe() {
            values.push("1".to_owned());
        }
        let value = values.get(number).or(values.first())?;
        path_values.push((param.name.clone(), encode(value)));
    }
    let auth = who.map_or(Auth::None, Auth::Identity);
    let mut request = Request::for_operation(operation, path_values, auth);
    for param in operation
        .params
        .iter()
        .filter(|param| param.place != ParamIn::Path)
    {
        let recorded = operation.source == Source::Har || operation.source == Source::Discovered;
        let wanted = param.required || (recorded && param.example.is_some());
        if !wanted {
            continue;
        }
        let lower = param.name.to_ascii_lowercase();
        if matches!(
            lower.as_str(),
            "authorization" | "accept" | "content-type" | "host" | "content-length"
        ) {
            continue;
        }
        let value = samples
            .param(param)
            .or_else(|| seen(&param.name).into_iter().next())
            .or_else(|| baselines.related(own, &operation.path).into_iter().next())
            .unwrap_or_else(|| "sample".to_owned());
        request = request.with_param(operation, &param.name, &value);
    }
    if let Some(spec) = &operation.body
        && let Some(body) = samples.body(operation)
    {
        request = request.with_body(&spec.content_type, body);
        request = with_seen_members(request, operation, &seen);
    }
    Some(request)
}

/// Members of a JSON body that name an object and for which the description gives no value take
/// one that was seen.
fn with_seen_members(
    mut request: Request,
    operation: &Operation,
    seen: &dyn Fn(&str) -> Vec<String>,
) -> Request {
    let Some(serde_json::Value::Object(body)) = request.json_body() else {
        return request;
    };
    let schema = operation.body.as_ref().map(|body| &body.schema);
    for (name, value) in &body {
        let made_up = value
            .as_str()
            .is_some_and(|text| text.starts_with("sample"));
        let described =
            schema.is_some_and(|schema| schema["properties"][name]["example"].is_string());
        if made_up
            && !described
            && let Some(value) = seen(name).into_iter().next()
        {
            let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            request = request.with_body_member(&pointer, value.into());
        }
    }
    request
}

/// The request with a number added to the members of its body that name what is made.
fn with_another_name(request: &Request, number: usize) -> Option<Request> {
    let body = request.json_body()?;
    let mut changed = None;
    for (name, value) in body.as_object()? {
        let lower = name.to_ascii_lowercase();
        let names = ["name", "title", "slug", "label", "email"];
        if let Some(text) = value.as_str()
            && names.iter().any(|part| lower.ends_with(part))
        {
            let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            let request = changed.take().unwrap_or_else(|| request.clone());
            let value = format!("{}{text}", number + 1);
            changed = Some(request.with_body_member(&pointer, value.into()));
        }
    }
    changed
}

/// Why a request could not be made.
fn missing(operation: &Operation, unknown: impl Fn(&str) -> bool) -> String {
    let name = operation
        .params
        .iter()
        .filter(|param| param.place == ParamIn::Path)
        .find(|param| unknown(&param.name))
        .map_or("?", |param| param.name.as_str());
    format!("no value for the path parameter `{name}`")
}
