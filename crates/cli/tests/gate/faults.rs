//! Gate, broker and engine are killed at random points of two thousand actions. Afterwards every
//! change that reached the engine has its intent in the log, the log verifies, and nothing was done
//! twice.

use crate::dev::{Dev, until};
use crate::recorder::{Recorder, Request};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const ACTIONS: usize = 2000;
const CLIENTS: usize = 4;
/// After so many actions the next process is killed.
const KILL_EVERY: usize = 160;
const MARK: &str = "com.cofferdam.operation";

/// A process of the test's own, which ends with it.
struct Process(Child);

impl Process {
    /// Starts one, and waits for the line by which it says that it is ready.
    fn start(arguments: &[&str]) -> (Self, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cofferdam"))
            .args(arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.starts_with("ready"))
            .unwrap_or_else(|| panic!("`{}` has ended", arguments.join(" ")));
        // What it says later is of no interest, but it must not block on it.
        std::thread::spawn(move || lines.for_each(drop));
        (Self(child), ready)
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The processes, each of which is started again after it was killed.
struct Victims<'a> {
    dev: &'a Dev,
    engine: Process,
    engine_socket: String,
    gate: Process,
    gate_config: String,
}

impl Victims<'_> {
    fn engine(socket: &str, root: &Path) -> Process {
        // A killed engine leaves its socket.
        let _ = std::fs::remove_file(socket);
        let root = root.to_str().unwrap();
        Process::start(&["engine", "--socket", socket, "--root", root]).0
    }

    fn gate(config: &str) -> (Process, SocketAddr) {
        let (process, ready) = Process::start(&["gate", "--config", config]);
        let address = ready.split("docker=").nth(1).unwrap();
        let address = address.split(',').next().unwrap().trim();
        (process, address.parse().unwrap())
    }

    fn kill(&mut self, turn: usize, root: &Path, address: &Mutex<SocketAddr>) {
        match turn % 3 {
            0 => {
                self.gate.kill();
                let (gate, listens) = Self::gate(&self.gate_config);
                self.gate = gate;
                *address.lock().unwrap() = listens;
            }
            1 => {
                // Whoever started it starts another one.
                if let Some(broker) = child_of(self.dev.pid(), "broker") {
                    let _ = kill_process(broker, Signal::KILL);
                }
            }
            _ => {
                self.engine.kill();
                self.engine = Self::engine(&self.engine_socket, root);
            }
        }
    }
}

/// The child of a process whose first argument is this.
fn child_of(parent: u32, name: &str) -> Option<Pid> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let mut children = entries.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        let command = std::fs::read(entry.path().join("cmdline")).ok()?;
        let first = command.split(|byte| *byte == 0).nth(1)?;
        let is_it = line.trim().parse() == Ok(parent) && first == name.as_bytes();
        is_it.then(|| Pid::from_raw(pid))?
    });
    children.next()
}

/// Waits until a container action could be done again.
fn wait(address: &Mutex<SocketAddr>, token: &str) {
    until("something answers", Duration::from_secs(60), || {
        let to = *address.lock().unwrap();
        let answer = Dev::ask_at(to, token, "GET", "/v1.41/containers/json", None).ok()?;
        (answer.status == 200).then_some(())
    });
}

/// What is asked for as the action of this number: a container, or a volume, or its removal.
fn action(number: usize) -> (&'static str, String, Option<Value>) {
    match number % 4 {
        0 => (
            "POST",
            format!("/v1.41/containers/create?name=c-{number}"),
            Some(json!({ "Image": "allowed/app:1", "Cmd": ["true"] })),
        ),
        3 => ("DELETE", format!("/v1.41/volumes/v-{}", number - 2), None),
        _ => (
            "POST",
            "/v1.41/volumes/create".to_owned(),
            Some(json!({ "Name": format!("v-{number}") })),
        ),
    }
}

#[test]
fn whatever_is_killed_every_change_has_its_intent_and_none_is_done_twice() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("host");
    let engine_socket = folder.path().join("engine.sock");
    let engine_socket = engine_socket.to_str().unwrap().to_owned();
    let engine = Victims::engine(&engine_socket, &root);
    let recorder = Recorder::new(Path::new(&engine_socket));
    let mut dev = Dev::with_engine(&recorder.socket());

    // A second gate, since the first one's end would be the end of all.
    let gate_config = dev.dir().join("gate.toml");
    let text = std::fs::read_to_string(&gate_config).unwrap();
    let limits = "[limits]\nrequests_per_second = 100000\nburst = 100000\n";
    let gate_config = dev.dir().join("second.toml");
    std::fs::write(&gate_config, text.replace("[limits]\n", limits)).unwrap();
    let gate_config = gate_config.to_str().unwrap().to_owned();
    let (gate, listens) = Victims::gate(&gate_config);
    let address = Mutex::new(listens);
    let victims = Mutex::new(Victims {
        dev: &dev,
        engine,
        engine_socket,
        gate,
        gate_config,
    });

    let next = AtomicUsize::new(0);
    let accepted: Mutex<BTreeSet<usize>> = Mutex::default();
    let tokens = [dev.token("alice"), dev.token("bob")];
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let token = &tokens[client % tokens.len()];
            let (next, accepted, address, victims) = (&next, &accepted, &address, &victims);
            let root = &root;
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= ACTIONS {
                        return;
                    }
                    if number % KILL_EVERY == KILL_EVERY - 1 {
                        let turn = number / KILL_EVERY;
                        victims.lock().unwrap().kill(turn, root, address);
                    }
                    let (method, target, body) = action(number);
                    let to = *address.lock().unwrap();
                    let answer = Dev::ask_at(to, token, method, &target, body.as_ref());
                    match answer.map_or(0, |answer| answer.status) {
                        201 => {
                            accepted.lock().unwrap().insert(number);
                        }
                        100..500 => {}
                        // Whoever was killed is on the way back.
                        _ => wait(address, token),
                    }
                }
            });
        }
    });
    let accepted = accepted.into_inner().unwrap();
    // Most of them are done although eleven processes were killed, or the test shows little.
    assert!(
        accepted.len() > ACTIONS / 3,
        "only {} were done",
        accepted.len()
    );
    // The broker works, and so does what was killed last, before all ends in order.
    wait(&address, &tokens[0]);
    drop(victims);
    dev.stop();

    let verified = dev.audit(&["verify"]).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stdout);
    assert!(verified.status.success(), "{said}");
    judge(
        &recorder.take(),
        &dev.records(&["tail", "-n", "100000"]),
        &accepted,
    );
}

/// Compares what reached the engine with what the log says.
fn judge(requests: &[Request], records: &[Value], accepted: &BTreeSet<usize>) {
    let mut intents: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut removals: BTreeMap<&str, usize> = BTreeMap::new();
    for record in records.iter().filter(|record| record["event"] == "intent") {
        let request = record["request"].as_str().unwrap();
        assert!(
            intents.insert(request, record).is_none(),
            "{request} stands twice"
        );
        if record["action"] == "volume.remove" {
            // Beside what its owner calls it stands what the engine does.
            let mut objects = record["objects"].as_array().unwrap().iter();
            let object = objects.find_map(|it| it.as_str().filter(|it| it.starts_with("cf-")));
            *removals.entry(object.unwrap()).or_default() += 1;
        }
    }
    let (mut marks, mut names) = (BTreeSet::new(), BTreeSet::new());
    for request in requests.iter().filter(|it| it.method != "GET") {
        let line = request.line();
        if request.method == "DELETE" {
            let volume = line.split("/volumes/").nth(1).unwrap();
            let volume = volume.split('?').next().unwrap();
            let left = removals.get_mut(volume).filter(|left| **left > 0);
            *left.unwrap_or_else(|| panic!("{line} has no intent")) -= 1;
            continue;
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let mark = body["Labels"][MARK].as_str().unwrap().to_owned();
        let intent = intents.get(mark.as_str());
        let intent = intent.unwrap_or_else(|| panic!("{line} has no intent"));
        let kind = match line.contains("/containers/create") {
            true => "container.create",
            false => "volume.create",
        };
        assert_eq!(intent["action"], kind, "{line}");
        assert!(marks.insert(mark), "{line} is done twice");
        // Two tenants may have one name, but each of these was asked for once.
        let name = line.split("name=").nth(1).map(str::to_owned);
        let name = name.unwrap_or_else(|| body["Name"].as_str().unwrap().to_owned());
        assert!(names.insert(name), "{line} is done twice");
    }
    assert!(
        marks.len() >= accepted.len(),
        "the engine has not heard of all that was done"
    );
}
