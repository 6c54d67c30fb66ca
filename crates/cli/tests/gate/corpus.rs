//! The two request files, sent through the gate as they stand: every hostile request is refused by
//! the rule that is meant for it and nothing of it reaches the engine; every benign one works.

use crate::dev::{Answer, Dev};
use crate::engine;
use crate::recorder::{Recorder, Request as Reached};
use cofferdam_engine::{Engine, EngineOptions};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::Path;

/// What is meant to stop a hostile request.
#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stop {
    /// This object is another's.
    Owner(String),
    /// Nothing: another has a volume of this name, and the caller gets one of its own.
    Own(String),
    /// Nothing: the answer shows what is the caller's own.
    Filter(String),
    /// This rule.
    #[serde(untagged)]
    By(String),
}

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../runtime/action/tests/data");

fn data(file: &str) -> String {
    std::fs::read_to_string(Path::new(DATA).join(file)).unwrap()
}

fn requests(file: &str) -> Vec<Value> {
    let mut file: Value = serde_json::from_str(&data(file)).unwrap();
    serde_json::from_value(file["requests"].take()).unwrap()
}

/// The bytes of a request, with a token, and with the framing that it does not say itself.
fn bytes(request: &Value, path: &str, token: &str) -> Vec<u8> {
    let text = |name: &str| request[name].as_str().unwrap_or_default();
    let mut body = match (&request["body"], text("body_text"), text("body_base64")) {
        (Value::Null, "", "") => Vec::new(),
        (Value::Null, "", coded) => decode(coded),
        (Value::Null, text, _) => text.as_bytes().to_vec(),
        (body, ..) => body.to_string().into_bytes(),
    };
    let given: Vec<(String, String)> = request["headers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    let has = |name: &str| {
        given
            .iter()
            .any(|(given, _)| given.eq_ignore_ascii_case(name))
    };
    let mut head = format!("{} {path} HTTP/1.1\r\n", text("method"));
    for (name, value, is_needed) in [
        ("Host", "gate".to_owned(), true),
        ("Authorization", format!("Bearer {token}"), true),
        ("Connection", "close".to_owned(), true),
        (
            "Content-Type",
            "application/json".to_owned(),
            !body.is_empty(),
        ),
        (
            "Content-Length",
            body.len().to_string(),
            !has("Transfer-Encoding"),
        ),
    ] {
        if is_needed && !has(name) {
            head += &format!("{name}: {value}\r\n");
        }
    }
    for (name, value) in &given {
        head += &format!("{name}: {value}\r\n");
    }
    if request["transport"] == "chunked" {
        let size = format!("{:x}\r\n", body.len());
        body = [size.as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    }
    [head.as_bytes(), b"\r\n", &body].concat()
}

fn decode(coded: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(coded)
        .unwrap()
}

/// Look-ups: they change nothing, and show the broker alone what there is.
fn is_look_up(reached: &Reached) -> bool {
    let path = reached.target.split('?').next().unwrap_or_default();
    let path = path.strip_prefix("/v1.41").unwrap_or(path);
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let is_known = matches!(
        parts.as_slice(),
        ["_ping" | "version" | "info" | "events" | "volumes" | "networks"]
            | ["system", "df"]
            | ["containers" | "images", "json"]
            | ["volumes" | "networks", _]
            | ["containers", _, "json"]
            | ["images", .., "json"]
    );
    is_known && matches!(reached.method.as_str(), "GET" | "HEAD") && reached.body.is_empty()
}

/// A gate whose engine is watched, and the objects that the files speak of.
struct Place {
    dev: Dev,
    recorder: Recorder,
    /// What the engine calls bob's volume.
    theirs: String,
}

impl Place {
    fn new(engine: &Path) -> Self {
        let recorder = Recorder::new(engine);
        let dev = Dev::with_engine(&recorder.socket());
        Self {
            dev,
            recorder,
            theirs: String::new(),
        }
    }

    /// Makes something, unless it is there.
    fn make(&self, who: &str, target: &str, body: Value) {
        let answer = self.dev.ask(who, "POST", target, Some(&body));
        let is_there = answer.status == 409 || answer.status < 300;
        assert!(is_there, "{target}: {} {}", answer.status, answer.text());
    }

    fn container(&self, who: &str, name: &str) {
        let script = "mkdir -p /app; touch /app/out.txt; sleep 600";
        let body = json!({ "Image": "allowed/app:1", "Cmd": ["sh", "-c", script] });
        self.make(who, &format!("/v1.41/containers/create?name={name}"), body);
        let answer = self.dev.ask(
            who,
            "POST",
            &format!("/v1.41/containers/{name}/start"),
            None,
        );
        assert!(answer.status < 400, "{name}: {}", answer.text());
    }

    /// What is another's.
    fn of_bob(&mut self) {
        self.container("bob", "other");
        self.container("bob", "privileged-helper");
        let volume = json!({ "Name": "otheruser-secrets" });
        self.recorder.take();
        self.make("bob", "/v1.41/volumes/create", volume);
        let reached = self.recorder.take();
        let made = reached
            .iter()
            .find(|it| it.line() == "POST /v1.41/volumes/create");
        let body: Value = serde_json::from_slice(&made.unwrap().body).unwrap();
        self.theirs = body["Name"].as_str().unwrap().to_owned();
    }

    fn containers(&self, who: &str) -> Vec<Value> {
        let target = "/v1.41/containers/json?all=1";
        let answer = self.dev.ask(who, "GET", target, None);
        answer.json().as_array().unwrap().clone()
    }

    fn clear_containers(&self, who: &str) {
        for container in self.containers(who) {
            let id = container["Id"].as_str().unwrap();
            let target = format!("/v1.41/containers/{id}?force=1&v=1");
            self.dev.ask(who, "DELETE", &target, None);
        }
    }

    /// Removes the tag that a request sets, which may be left from a run that was broken off; then
    /// it is another's, and the gate would not remove it.
    fn clear_tag(&self) {
        let mut engine = std::os::unix::net::UnixStream::connect(self.recorder.socket()).unwrap();
        let request =
            "DELETE /v1.41/images/mine/app:dev HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n";
        engine.write_all(request.as_bytes()).unwrap();
        engine.read_to_end(&mut Vec::new()).unwrap();
    }

    /// Removes everything that both have made, since a real engine is there for others too.
    fn clear(&self) {
        self.clear_tag();
        for who in ["alice-exec", "bob"] {
            self.clear_containers(who);
            let volumes = self.dev.ask(who, "GET", "/v1.41/volumes", None);
            for volume in volumes.json()["Volumes"].as_array().into_iter().flatten() {
                let target = format!("/v1.41/volumes/{}", volume["Name"].as_str().unwrap());
                self.dev.ask(who, "DELETE", &target, None);
            }
            let networks = self.dev.ask(who, "GET", "/v1.41/networks", None);
            for network in networks.json().as_array().into_iter().flatten() {
                let target = format!("/v1.41/networks/{}", network["Id"].as_str().unwrap());
                // Those of the engine are shown, and not removed.
                self.dev.ask(who, "DELETE", &target, None);
            }
        }
    }

    /// Names are each tenant's own: what is mounted is the caller's volume of that name.
    fn is_own(&self, name: &str, answer: &Answer, reached: &[Reached]) -> Result<(), String> {
        // With the container goes what it mounts, so that the next request finds neither.
        let container = answer.json()["Id"].as_str().unwrap_or_default().to_owned();
        for target in [
            format!("containers/{container}?force=1"),
            format!("volumes/{name}"),
        ] {
            let target = format!("/v1.41/{target}");
            let removed = self.dev.ask("alice-exec", "DELETE", &target, None);
            assert_eq!(removed.status, 204, "{target}: {}", removed.text());
        }
        let made = reached
            .iter()
            .find(|it| it.line().contains("/containers/create"));
        let body = made.map(|it| String::from_utf8_lossy(&it.body).into_owned());
        let body = body.ok_or(format!("{} {}", answer.status, answer.text()))?;
        match body.contains(&format!(".{name}")) && !body.contains(&self.theirs) {
            true => Ok(()),
            false => Err(format!("not the caller's own volume: {body}")),
        }
    }

    /// Sends a hostile request, and says what is not as it should be.
    fn judge(&self, request: &Value, meant: &Stop) -> Result<(), String> {
        let path = request["path"].as_str().unwrap();
        let refused = self.sent(request, path, meant);
        // What is asked of another's container is refused for that alone. Asked of one's own, the
        // rule must stop it.
        match (&refused, meant) {
            (Err(why), Stop::By(_)) if why.contains("404 No such container: other") => {
                self.sent(request, &path.replace("/other/", "/mine/"), meant)
            }
            _ => refused,
        }
    }

    fn sent(&self, request: &Value, path: &str, meant: &Stop) -> Result<(), String> {
        self.recorder.take();
        let answer = self
            .dev
            .raw(&bytes(request, path, &self.dev.token("alice-exec")));
        let reached = self.recorder.take();
        if let Stop::Own(name) = meant {
            return self.is_own(name, &answer, &reached);
        }
        let strange = reached.iter().filter(|it| !is_look_up(it));
        let strange: Vec<String> = strange.map(Reached::line).collect();
        if !strange.is_empty() {
            return Err(format!("reached the engine: {strange:?}"));
        }
        let message = answer.message();
        match meant {
            Stop::By(rule) => {
                let by = format!("refused by rule {rule}: ");
                // The field at fault, and why.
                let why = message.strip_prefix(&by).and_then(|it| it.split_once(": "));
                let is_whole = why.is_some_and(|(field, why)| !field.is_empty() && !why.is_empty());
                match (400..500).contains(&answer.status) && is_whole {
                    true => Ok(()),
                    false => Err(format!("not {by}but {} {message}", answer.status)),
                }
            }
            // As the engine answers for what is not there: 409 for a namespace to join.
            Stop::Owner(name) => {
                match [404, 409].contains(&answer.status) && message.contains(name) {
                    true => Ok(()),
                    false => Err(format!(
                        "`{name}` is another's, and: {} {message}",
                        answer.status
                    )),
                }
            }
            Stop::Own(_) => Ok(()),
            Stop::Filter(_) => match answer.status == 200 && !answer.text().contains("secrets") {
                true => Ok(()),
                false => Err(format!("not filtered: {} {}", answer.status, answer.text())),
            },
        }
    }
}

/// A request whose trick is in how it is written, with nothing hostile left in what it says.
fn with_harmless_body(request: &Value, rule: &str) -> Option<Value> {
    let mut tame = request.clone();
    match request["body_text"].as_str() {
        // A member that no action knows is a trick by its value alone.
        Some(text) if rule.starts_with("json.") && rule != "json.unknown-member" => {
            tame["body_text"] = text.replace("true", "false").replace("host\"", "\"").into();
        }
        None if rule.starts_with("request.") && request["body"].is_object() => {
            tame["body"] = json!({ "Image": "allowed/app:1" });
        }
        _ => return None,
    }
    Some(tame)
}

fn every_hostile_request_is_refused(engine: &Path) {
    let mut place = Place::new(engine);
    place.of_bob();
    // What is the caller's own.
    place.container("alice-exec", "mine");
    let network = json!({ "Name": "mine" });
    place.make("alice-exec", "/v1.41/networks/create", network);
    let before = place.containers("alice-exec");
    assert_eq!(before.len(), 1, "{before:?}");

    let stops: BTreeMap<String, Stop> = serde_json::from_str(&data("escape_stops.json")).unwrap();
    let mut wrong = Vec::new();
    let mut by_rule = BTreeMap::<&str, usize>::new();
    let hostile = requests("escape_requests.json");
    assert_eq!(hostile.len(), stops.len());
    for request in &hostile {
        let id = request["id"].as_str().unwrap();
        if let Err(why) = place.judge(request, &stops[id]) {
            wrong.push(format!("{id}: {why}"));
        }
        let Stop::By(rule) = &stops[id] else {
            continue;
        };
        *by_rule.entry(rule).or_default() += 1;
        if let Some(tame) = with_harmless_body(request, rule)
            && let Err(why) = place.judge(&tame, &stops[id])
        {
            wrong.push(format!("{id} around a harmless body: {why}"));
        }
    }
    // Nothing was made, and what is there is as it was.
    let after = place.containers("alice-exec");
    let theirs = place.containers("bob");
    place.clear();
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(after.len(), 1, "{after:?}");
    assert_eq!(after[0]["Id"], before[0]["Id"]);
    assert_eq!(theirs.len(), 2, "{theirs:?}");

    // The log names each of them by its rule, but for what was no request at all.
    let mut logged = BTreeMap::<String, usize>::new();
    for record in place
        .dev
        .records(&["search", "--refused", "--subject", "alice"])
    {
        for rule in record["policies"].as_array().into_iter().flatten() {
            *logged.entry(rule.as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    for (rule, count) in by_rule {
        if !rule.starts_with("request.") {
            assert!(
                logged.get(rule) >= Some(&count),
                "{rule}: {count} of {logged:?}"
            );
        }
    }
    assert!(place.dev.audit(&["verify"]).status().unwrap().success());
}

#[test]
fn every_hostile_request_is_refused_by_its_rule_before_anything_reaches_the_embedded_engine() {
    let embedded = Embedded::start();
    every_hostile_request_is_refused(&embedded.socket());
}

#[test]
fn every_hostile_request_is_refused_by_its_rule_before_anything_reaches_a_real_engine() {
    if let Some(socket) = engine::real("the hostile requests") {
        every_hostile_request_is_refused(&socket);
    }
}

fn every_benign_request_works(engine: &Path, can_pull: bool) {
    let place = Place::new(engine);
    place.clear_tag();
    let token = place.dev.token("alice-exec");
    let mut wrong = Vec::new();
    let benign = requests("benign_requests.json");
    assert_eq!(benign.len(), 85);
    for request in &benign {
        let id = request["id"].as_str().unwrap();
        let mut path = request["path"].as_str().unwrap().to_owned();
        if id == "img-pull" && !can_pull {
            continue;
        }
        for (target, body) in [
            ("/v1.41/volumes/create", json!({ "Name": "data" })),
            ("/v1.41/networks/create", json!({ "Name": "mynet" })),
        ] {
            place.make("alice-exec", target, body);
        }
        let mut exec = None;
        if path.contains("mine") || path.contains("EXECID") || id == "net-disconnect" {
            place.container("alice-exec", "mine");
            let body = json!({ "Cmd": ["echo"], "AttachStdout": true });
            let target = "/v1.41/containers/mine/exec";
            let made = place
                .dev
                .ask("alice-exec", "POST", target, Some(&body))
                .json();
            exec = made["Id"].as_str().map(str::to_owned);
        }
        match id {
            "mine-unpause" => {
                place.make("alice-exec", "/v1.41/containers/mine/pause", Value::Null);
            }
            "net-disconnect" => {
                let body = json!({ "Container": "mine" });
                place.make("alice-exec", "/v1.41/networks/mynet/connect", body);
            }
            _ => {}
        }
        if let Some(exec) = exec {
            path = path.replace("EXECID", &exec);
        }
        let answer = head(&place.dev, &bytes(request, &path, &token));
        // An engine answers so to a resize of what was never started.
        let is_unstarted = id == "exec-resize" && answer.text().contains("exec session ready");
        if !is_unstarted && !(200..400).contains(&answer.status) {
            wrong.push(format!("{id}: {} {}", answer.status, answer.text()));
        }
        // So that the next one finds what it needs, and no more.
        place.clear_containers("alice-exec");
    }
    place.clear();
    assert_eq!(wrong, Vec::<String>::new());
    assert!(place.dev.audit(&["verify"]).status().unwrap().success());
}

/// Sends bytes and reads the head of the answer, and of the body what came with it: some go on for
/// as long as the container runs.
fn head(dev: &Dev, bytes: &[u8]) -> Answer {
    let mut stream = dev.connect();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while !answer.windows(4).any(|it| it == b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(length @ 1..) => answer.extend_from_slice(&piece[..length]),
            _ => break,
        }
    }
    Answer::of(&answer)
}

#[test]
fn every_benign_request_works_on_the_embedded_engine() {
    let embedded = Embedded::start();
    every_benign_request_works(&embedded.socket(), true);
}

#[test]
fn every_benign_request_works_on_a_real_engine() {
    if let Some(socket) = engine::real("the benign requests") {
        // Where there is no registry there is nothing to pull from.
        every_benign_request_works(&socket, false);
    }
}

/// The embedded engine in this process, so that a recorder can stand before it.
struct Embedded {
    folder: tempfile::TempDir,
    _engine: Engine,
    _runtime: tokio::runtime::Runtime,
}

impl Embedded {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = folder.path().join("host");
        std::fs::create_dir(&host).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let options = EngineOptions::new(folder.path().join("engine.sock"), host);
        let engine = runtime.block_on(Engine::start(options)).unwrap();
        Self {
            folder,
            _engine: engine,
            _runtime: runtime,
        }
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("engine.sock")
    }
}
