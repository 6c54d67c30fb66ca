//! Operations that nothing describes.
//!
//! Without a description: common paths, then whatever the answers give away, round after round:
//! links, path-like texts, names of members, identifiers in lists. Beside a description: a short
//! list of what services have and seldom name. Whether something is there is judged against the
//! answers to random paths in the same folder, since services differ in how they say *not found*.

pub(crate) mod clues;
mod learn;
mod words;

use super::harvest::looks_like_id;
use super::{Harvest, first_identity, har, operation, tag};
use crate::client::Client;
use crate::context::nonce;
use crate::request::encode;
use crate::run::Stop;
use crate::{Auth, Exchange, Level, Operation, ParamIn, Request, ScanOptions, oracle};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use hyper::Method;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// Requests that discovery may use without a description, and beside one.
const BUDGET: usize = 3000;
const BUDGET_BESIDE: usize = 250;
/// Operations that are kept.
const OPERATIONS: usize = 300;
/// Items of a list that are looked at.
const ITEMS: usize = 2;
/// Common words that are tried under every prefix.
const FIRST: usize = 40;

/// What was found.
pub(super) struct Discovered {
    pub(super) operations: Vec<Operation>,
    pub(super) notes: Vec<String>,
}

/// Looks for operations beside those that are `known`.
pub(super) async fn discover(
    options: &ScanOptions,
    client: &Client,
    known: &[Operation],
) -> Result<Discovered, Stop> {
    let described = !known.is_empty();
    let budget = if described { BUDGET_BESIDE } else { BUDGET };
    let mut explorer = Explorer {
        options,
        client,
        known,
        auth: first_identity(options),
        budget: budget.min(options.limits.requests as usize / 3),
        absent: HashMap::new(),
        tried: HashSet::new(),
        queue: VecDeque::new(),
        found: BTreeMap::new(),
        harvest: Harvest::default(),
        identifiers: HashSet::new(),
        folders: Vec::new(),
        changed: Vec::new(),
    };
    explorer.seed(described);
    explorer.explore(described).await?;
    if !described {
        explorer.seed_live_prefixes();
        explorer.explore(described).await?;
        explorer.methods().await?;
        if options.level >= Level::Active {
            explorer.unsafe_operations().await?;
        }
    }
    let mut notes = Vec::new();
    if !explorer.changed.is_empty() {
        notes.push(format!(
            "discovery may have changed state with POST {}",
            explorer.changed.join(", ")
        ));
    }
    if explorer.budget == 0 {
        notes.push("discovery used up its share of the requests; there may be more".to_owned());
    }
    Ok(Discovered {
        operations: explorer.found.into_values().collect(),
        notes,
    })
}

struct Explorer<'a> {
    options: &'a ScanOptions,
    client: &'a Client,
    known: &'a [Operation],
    auth: Auth,
    budget: usize,
    /// The answer to a random name in a folder.
    absent: HashMap<String, Arc<Exchange>>,
    tried: HashSet<String>,
    queue: VecDeque<String>,
    found: BTreeMap<String, Operation>,
    harvest: Harvest,
    /// Texts that stood for an object in a path.
    identifiers: HashSet<String>,
    /// Folders in which something was found.
    folders: Vec<String>,
    /// Paths that took a `POST`.
    changed: Vec<String>,
}

impl Explorer<'_> {
    fn seed(&mut self, described: bool) {
        let base = self.options.base.base_path().to_owned();
        if described {
            let mut folders = vec![base];
            for known in self.known {
                // `/api/v1` of `/api/v1/things/{id}`: where hidden siblings would be.
                let folder: Vec<&str> = known
                    .path
                    .split('/')
                    .take_while(|part| part.is_empty() || *part == "api" || is_version(part))
                    .collect();
                let folder = folder.join("/").trim_end_matches('/').to_owned();
                if !folders.contains(&folder) && folders.len() < 3 {
                    folders.push(folder);
                }
            }
            for folder in folders {
                self.push_all(&folder, words::HIDDEN.iter().copied());
            }
            self.push_siblings();
        } else {
            self.push(format!("{base}/"));
            self.push(format!("{base}/robots.txt"));
            self.push_all(&base, words::HIDDEN.iter().copied());
            self.push_all(&base, words::COMMON.iter().chain(words::MORE).copied());
            for prefix in words::PREFIXES {
                let folder = format!("{base}{prefix}");
                self.push_all(&folder, words::COMMON.iter().take(FIRST).copied());
            }
        }
    }

    /// The rest of the words below prefixes where something was found.
    fn seed_live_prefixes(&mut self) {
        let base = self.options.base.base_path().to_owned();
        for prefix in words::PREFIXES.iter().filter(|prefix| !prefix.is_empty()) {
            let folder = format!("{base}{prefix}");
            let below = format!("{folder}/");
            // `/api/v1/x` is below `/api` as well, and says nothing about `/api/x`.
            let live = self.found.values().any(|found| {
                found
                    .path
                    .strip_prefix(&below)
                    .is_some_and(|rest| !rest.split('/').next().is_some_and(is_version))
            });
            if live {
                let words = words::HIDDEN.iter().chain(words::COMMON).chain(words::MORE);
                self.push_all(&folder, words.copied());
            }
        }
    }

    /// Other versions of a few described operations.
    fn push_siblings(&mut self) {
        let known = self.known;
        let versioned = known.iter().filter(|operation| {
            operation.method == Method::GET
                && !operation.path.contains('{')
                && operation.path.split('/').any(is_version)
        });
        for operation in versioned.take(8) {
            for version in ["v0", "v1", "v2", "v3", "internal"] {
                let path: Vec<&str> = operation
                    .path
                    .split('/')
                    .map(|part| if is_version(part) { version } else { part })
                    .collect();
                self.push(path.join("/"));
            }
        }
    }

    fn push_all<'b>(&mut self, folder: &str, segments: impl Iterator<Item = &'b str>) {
        for segment in segments {
            self.push(format!("{folder}/{segment}"));
        }
    }

    /// Queues a raw path, unless it was tried, would destroy, or stands in the description.
    fn push(&mut self, mut path: String) {
        // What a link has in its query is learnt from how the bare path answers.
        path.truncate(path.find(['?', '#']).unwrap_or(path.len()));
        if path.len() > 300 || path.contains("/../") || self.tried.contains(&path) {
            return;
        }
        let mut probe = operation("GET", &path);
        tag::tag(&mut probe);
        if probe.destructive || self.known.iter().any(|known| matches(&known.path, &path)) {
            return;
        }
        self.tried.insert(path.clone());
        self.queue.push_back(path);
    }

    async fn explore(&mut self, described: bool) -> Result<(), Stop> {
        while !self.queue.is_empty() && self.budget > 0 && self.found.len() < OPERATIONS {
            let wave: Vec<String> = {
                let take = self.queue.len().min(64);
                self.queue.drain(..take).collect()
            };
            self.calibrate(&wave).await?;
            let answers = self.get(wave).await?;
            for (path, exchange) in answers {
                if self.is_there(&path, &exchange) {
                    self.hit(&path, exchange, described).await?;
                }
            }
        }
        Ok(())
    }

    /// Asks each new folder for a random name.
    async fn calibrate(&mut self, wave: &[String]) -> Result<(), Stop> {
        let mut folders: Vec<String> = Vec::new();
        for path in wave {
            let folder = folder_of(path);
            if !self.absent.contains_key(folder) && !folders.iter().any(|known| known == folder) {
                folders.push(folder.to_owned());
            }
        }
        let names: Vec<String> = folders
            .iter()
            .map(|folder| format!("{folder}/{}", nonce()))
            .collect();
        for (folder, (_, exchange)) in folders.into_iter().zip(self.get(names).await?) {
            self.absent.insert(folder, exchange);
        }
        Ok(())
    }

    async fn get(&mut self, paths: Vec<String>) -> Result<Vec<(String, Arc<Exchange>)>, Stop> {
        self.budget = self.budget.saturating_sub(paths.len());
        let (client, auth) = (self.client, &self.auth);
        let futures: Vec<_> = paths
            .into_iter()
            .map(|path| async move {
                let exchange = client
                    .send(&Request::get(path.clone(), auth.clone()))
                    .await?;
                Ok::<_, Stop>((path, exchange))
            })
            .collect();
        stream::iter(futures)
            .buffered(self.options.limits.concurrency.max(1))
            .try_collect()
            .await
    }

    /// Whether an answer is unlike the one to a random name in the same folder.
    fn is_there(&self, path: &str, exchange: &Exchange) -> bool {
        let Some(status) = exchange.status() else {
            return false;
        };
        let Some(absent) = self.absent.get(folder_of(path)) else {
            return false;
        };
        if matches!(status, 404 | 410 | 429 | 501 | 502 | 503) {
            return false;
        }
        absent.status() != Some(status) || oracle::likeness(absent, exchange) < 0.9
    }

    async fn hit(
        &mut self,
        path: &str,
        exchange: Arc<Exchange>,
        described: bool,
    ) -> Result<(), Stop> {
        let status = exchange.status().unwrap_or_default();
        if (300..400).contains(&status) {
            // Another spelling of the same, such as with a slash at its end.
            if let Some(location) = exchange.header("location")
                && let Some(next) =
                    clues::paths(&format!("href={location} "), path, &self.options.base).pop()
            {
                self.push(next);
            }
            return Ok(());
        }
        let text = exchange.text().into_owned();
        if har::is_asset(path) || path.ends_with("robots.txt") {
            self.follow(&text, path);
            return Ok(());
        }
        if status == 405 {
            for method in allowed(&exchange).unwrap_or_else(|| vec![Method::POST]) {
                self.record(method, path);
            }
            return Ok(());
        }
        let id = self.record(Method::GET, path);
        if matches!(status, 400 | 422)
            && let Some(id) = &id
        {
            self.learn_query(id, path, &text).await?;
        }
        if described || !oracle::welcome(&exchange) {
            return Ok(());
        }
        self.follow(&text, path);
        let folder = folder_of(path).to_owned();
        if !self.folders.contains(&folder)
            && self.folders.len() < 12
            && !self
                .identifiers
                .iter()
                .any(|id| folder.ends_with(id.as_str()))
        {
            self.folders.push(folder);
        }
        match exchange.json() {
            Some(answer) => self.learn(path, answer),
            None => {
                let root = self.options.base.base_path().to_owned();
                for word in clues::listed_words(&text) {
                    self.push(format!("{root}/{word}"));
                }
            }
        }
        Ok(())
    }

    /// Queues the paths that stand in a text. A placeholder takes what fits it.
    fn follow(&mut self, text: &str, from: &str) {
        for path in clues::paths(text, from, &self.options.base) {
            if !path.contains('{') {
                self.push(path);
                continue;
            }
            let listed = operation("GET", &path);
            let mut filled = path.clone();
            for param in &listed.params {
                let Some(value) = self.harvest.fitting(&listed, &param.name, 1).pop() else {
                    break;
                };
                filled = filled.replace(&format!("{{{}}}", param.name), &encode(&value));
                self.identifiers.insert(value);
            }
            if filled.contains('{') {
                // It may fill up later, from what other answers hold.
                self.keep(listed);
            } else {
                self.push(filled);
            }
        }
    }

    /// Items of a list, what may stand below an item, and words that may be siblings.
    fn learn(&mut self, path: &str, answer: &Value) {
        self.harvest.take(path, answer);
        for link in self.harvest.paths().to_vec() {
            self.push(link);
        }
        let clean = path.trim_end_matches('/');
        let segments = clues::segments(answer);
        let last = clean.rsplit('/').next().unwrap_or_default();
        if self
            .identifiers
            .contains(&*percent_decode_str(last).decode_utf8_lossy())
        {
            for word in words::BELOW
                .iter()
                .map(|word| (*word).to_owned())
                .chain(segments.iter().cloned())
            {
                self.push(format!("{clean}/{word}"));
            }
        } else if clean != self.options.base.base_path() {
            // What the root lists are collections and no items.
            let item = operation("GET", &format!("{clean}/{{id}}"));
            for value in self.harvest.items(&item, "id", ITEMS) {
                if !value.contains(['/', '{', '}']) && value.len() < 80 {
                    self.push(format!("{clean}/{}", encode(&value)));
                    self.identifiers.insert(value);
                }
            }
        }
        let mut folders = self.folders.clone();
        folders.push(folder_of(path).to_owned());
        for word in segments {
            for folder in &folders {
                self.push(format!("{folder}/{word}"));
            }
        }
    }

    /// Keeps the operation that a raw path belongs to. Returns its id, also when it was known.
    fn record(&mut self, method: Method, path: &str) -> Option<String> {
        let (template, values) = self.template(path);
        let mut found = operation(method.as_str(), &template);
        for (name, value) in values {
            if let Some(param) = found.params.iter_mut().find(|param| param.name == name) {
                param.example = Some(Value::from(value));
            }
        }
        self.keep(found)
    }

    fn keep(&mut self, mut found: Operation) -> Option<String> {
        if found.path.is_empty() || !found.path.starts_with('/') {
            return None;
        }
        tag::tag(&mut found);
        let same = |other: &Operation| {
            other.method == found.method && shape(&other.path) == shape(&found.path)
        };
        if self.known.iter().any(same) || self.found.len() >= OPERATIONS {
            return None;
        }
        if let Some((id, known)) = self.found.iter_mut().find(|(_, known)| same(known)) {
            for (known, new) in known.params.iter_mut().zip(&found.params) {
                if known.example.is_none() {
                    known.example.clone_from(&new.example);
                }
            }
            return Some(id.clone());
        }
        let id = found.id();
        self.found.insert(id.clone(), found);
        Some(id)
    }

    /// A raw path with identifiers replaced by parameters, as [`har::template`] does, where every
    /// text that was seen as an identifier counts as one.
    fn template(&self, path: &str) -> (String, Vec<(String, String)>) {
        let marked: Vec<String> = path
            .split('/')
            .map(|segment| {
                let text = percent_decode_str(segment).decode_utf8_lossy();
                match self.identifiers.contains(&*text) && !looks_like_id(segment) {
                    // A digit string is an identifier to every reader of paths.
                    true => format!("0000{}", digits(&text)),
                    false => segment.to_owned(),
                }
            })
            .collect();
        let (template, values) = har::template(&marked.join("/"));
        let mut plain = path.split('/').filter(|segment| {
            looks_like_id(segment)
                || self
                    .identifiers
                    .contains(&*percent_decode_str(segment).decode_utf8_lossy())
        });
        let values = values
            .into_iter()
            .map(|(name, _)| {
                let raw = plain.next().unwrap_or_default();
                (
                    name,
                    percent_decode_str(raw).decode_utf8_lossy().into_owned(),
                )
            })
            .collect();
        (template, values)
    }

    /// Asks which methods each path takes.
    async fn methods(&mut self) -> Result<(), Stop> {
        let paths: Vec<String> = self
            .found
            .values()
            .filter_map(|found| self.sample_path(found))
            .collect();
        let (client, auth) = (self.client, &self.auth);
        let futures: Vec<_> = paths
            .into_iter()
            .map(|path| async move {
                let request = Request::new(Method::OPTIONS, path.clone(), auth.clone());
                Ok::<_, Stop>((path, client.send(&request).await?))
            })
            .collect();
        let answers: Vec<(String, Arc<Exchange>)> = stream::iter(futures)
            .buffered(self.options.limits.concurrency.max(1))
            .try_collect()
            .await?;
        for (path, exchange) in answers {
            for method in allowed(&exchange).unwrap_or_default() {
                self.record(method, &path);
            }
        }
        Ok(())
    }

    /// The path of an operation with the examples of its parameters filled in.
    fn sample_path(&self, found: &Operation) -> Option<String> {
        let mut path = found.path.clone();
        for param in found
            .params
            .iter()
            .filter(|param| param.place == ParamIn::Path)
        {
            let value = param.example.as_ref()?.as_str()?;
            path = path.replace(&format!("{{{}}}", param.name), &encode(value));
        }
        Some(path)
    }
}

/// The methods in `Allow` (RFC 9110, section 10.2.1) that are operations of their own.
fn allowed(exchange: &Exchange) -> Option<Vec<Method>> {
    let allow = exchange.header("allow")?;
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    Some(
        allow
            .split(',')
            .filter_map(|name| known.iter().find(|method| method.as_str() == name.trim()))
            .cloned()
            .collect(),
    )
}

fn folder_of(path: &str) -> &str {
    let path = path.split('?').next().unwrap_or(path).trim_end_matches('/');
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn is_version(segment: &str) -> bool {
    segment
        .strip_prefix('v')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a raw path is one of a template's.
fn matches(template: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path).trim_end_matches('/');
    let template = template.trim_end_matches('/');
    let mut segments = path.split('/');
    for part in template.split('/') {
        match segments.next() {
            Some(segment) if part == segment || (part.contains('{') && !segment.is_empty()) => {}
            _ => return false,
        }
    }
    segments.next().is_none()
}

/// The template without the names of its parameters.
fn shape(template: &str) -> String {
    template
        .trim_end_matches('/')
        .split('/')
        .map(|part| if part.starts_with('{') { "{}" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

fn digits(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:03}")).collect()
}

#[cfg(test)]
mod tests;
