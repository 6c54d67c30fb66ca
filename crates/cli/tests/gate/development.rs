//! `gate --dev`: what it makes, keeps, and leaves behind.

use crate::dev::{Dev, until};
use crate::engine;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long what is waited for may take.
const SOON: Duration = Duration::from_secs(20);

fn is_running(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    state.is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn one_command_serves_containers_to_whoever_has_a_token() {
    let dev = Dev::start();
    let body = json!({ "Image": "allowed/app:1", "Cmd": ["echo", "hello"] });
    let create = "/v1.41/containers/create?name=db";
    let made = dev.ask("alice", "POST", create, Some(&body));
    assert_eq!(made.status, 201, "{}", made.text());
    let start = dev.ask("alice", "POST", "/v1.41/containers/db/start", None);
    assert_eq!(start.status, 204, "{}", start.text());
    let wait = dev.ask("alice", "POST", "/v1.41/containers/db/wait", None);
    assert_eq!(wait.json()["StatusCode"], 0, "{}", wait.text());
    let logs = dev.ask("alice", "GET", "/v1.41/containers/db/logs?stdout=1", None);
    assert!(logs.text().contains("hello"), "{}", logs.text());

    // The same tenant with another token sees it, another tenant does not, and may have a `db` too.
    let of = |name: &str| {
        dev.ask(name, "GET", "/v1.41/containers/db/json", None)
            .status
    };
    assert_eq!((of("alice-exec"), of("bob"), of("reader")), (200, 404, 404));
    assert_eq!(dev.ask("bob", "POST", create, Some(&body)).status, 201);

    // Exec takes a scope of its own, and a reader makes nothing.
    let exec = json!({ "Cmd": ["true"] });
    let target = "/v1.41/containers/db/exec";
    assert_eq!(dev.ask("alice", "POST", target, Some(&exec)).status, 403);
    assert_eq!(dev.ask("reader", "POST", create, Some(&body)).status, 403);

    // Without a token there is a challenge.
    let bare =
        dev.raw(b"GET /v1.41/containers/json HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n");
    assert_eq!(bare.status, 401);
    assert!(
        bare.head
            .to_lowercase()
            .contains("www-authenticate: bearer"),
        "{}",
        bare.head
    );

    // What nobody waits for, such as a refusal, is written a moment later.
    let events = until("the refusal is in the log", SOON, || {
        let records = dev.records(&["search", "--action", "container.create"]);
        let event = |record: &Value| record["event"].as_str().unwrap().to_owned();
        let events: Vec<String> = records.iter().map(event).collect();
        (events.len() >= 5).then_some(events)
    });
    assert_eq!(
        events,
        ["intent", "outcome", "intent", "outcome", "refused"]
    );
    assert!(dev.audit(&["verify"]).status().unwrap().success());
}

#[test]
fn the_rest_api_runs_a_command_and_streams_its_output() {
    let dev = Dev::start();
    let ask = |method: &str, target: &str, body: Option<&Value>| {
        dev.rest("alice-exec", method, target, body)
    };
    let create = json!({ "image": "allowed/app:1", "name": "web", "process": { "command": ["sleep", "60"] } });
    let made = ask("POST", "/v1/containers", Some(&create));
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(ask("POST", "/v1/containers/web/start", None).status, 204);
    let command = json!({ "command": ["echo", "from inside"], "attach_stdout": true });
    let exec = ask("POST", "/v1/containers/web/exec", Some(&command));
    let exec = exec.json()["Id"].as_str().unwrap().to_owned();
    let output = ask("POST", &format!("/v1/exec/{exec}/start"), None);
    assert_eq!(output.status, 200);
    // A frame of standard output: its kind, its length, and what was written.
    assert_eq!(output.body, b"\x01\0\0\0\0\0\0\x0cfrom inside\n");
    let ended = ask("GET", &format!("/v1/exec/{exec}"), None);
    assert_eq!(ended.json()["ExitCode"], 0, "{}", ended.text());
}

#[test]
fn the_docker_command_line_works_as_the_printed_line_says() {
    if !engine::has_docker_cli("the docker command line through the gate") {
        return;
    }
    let dev = Dev::start();
    let run = dev
        .docker("alice", &["run", "--rm", "allowed/app:1", "echo", "hello"])
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert_eq!(run.stdout, b"hello\n");
    let line = format!(
        "DOCKER_CONFIG={} docker -H {} run --rm allowed/app:1 echo hello",
        dev.docker_config("alice").display(),
        dev.docker_url()
    );
    assert!(dev.said().contains(&line), "{}", dev.said());
    let refused = dev
        .docker("alice", &["run", "--privileged", "allowed/app:1", "id"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(125));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("refused by rule create.privileged"), "{said}");
}

#[test]
fn the_rest_api_answers_as_the_printed_line_says() {
    if Command::new("curl").arg("--version").output().is_err() {
        engine::say_skipped(
            "the REST API as the printed line says",
            "`curl` is not installed",
        );
        return;
    }
    for more in [&[][..], &["--tls"]] {
        let dev = Dev::with(more);
        let body = json!({ "Image": "allowed/app:1" });
        let create = "/v1.41/containers/create?name=db";
        if more.is_empty() {
            assert_eq!(dev.ask("alice", "POST", create, Some(&body)).status, 201);
        }
        // It is printed after `dev.json` was written.
        let line = until("the line is printed", SOON, || {
            let said = dev.said();
            let printed = said.lines().find(|line| line.contains("| curl"));
            printed.map(str::to_owned)
        });
        // `?all=1` for what was made and not started.
        let asked = Command::new("sh")
            .args(["-c", &format!("{}?all=1", line.trim())])
            .output()
            .unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&asked.stdout).unwrap();
        let names: Vec<_> = answer.as_array().unwrap().iter().collect();
        assert_eq!(names.len(), usize::from(more.is_empty()), "{answer}");
    }
}

#[test]
fn a_program_that_knows_only_a_socket_gets_its_token_added() {
    if !engine::has_docker_cli("the docker command line through `cofferdam connect`") {
        return;
    }
    let dev = Dev::start();
    let socket = dev.dir().join("run/connect.sock");
    let mut connect = Command::new(env!("CARGO_BIN_EXE_cofferdam"))
        .args(["connect", "--to", dev.docker_url(), "--token-file"])
        .arg(dev.dir().join("tokens/alice-exec"))
        .arg("--socket")
        .arg(&socket)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("the socket is served", SOON, || {
        std::os::unix::net::UnixStream::connect(&socket).ok()
    });
    let docker = |args: &[&str]| {
        let output = Command::new("docker")
            .arg(format!("--host=unix://{}", socket.display()))
            .args(args)
            .env("DOCKER_CONFIG", "/nonexistent")
            .stdin(std::fs::File::open(dev.dir().join(".gitignore")).unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    };
    // The end of the input reaches the container, and what it says after that comes back.
    assert_eq!(
        docker(&["run", "-i", "--rm", "allowed/app:1", "cat"]),
        "*\n"
    );
    docker(&["run", "-d", "--name", "db", "allowed/app:1", "sleep", "600"]);
    assert_eq!(docker(&["exec", "-i", "db", "cat"]), "*\n");
    assert!(docker(&["ps"]).contains("db"));
    connect.kill().unwrap();
    connect.wait().unwrap();
}

#[test]
fn what_is_secret_is_for_this_user_alone() {
    let dev = Dev::start();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dev.dir()), 0o700);
    for secret in [
        "issuer.pem",
        "audit.key",
        "tokens/alice",
        "docker/config.json",
    ] {
        assert_eq!(mode(&dev.dir().join(secret)), 0o600, "{secret}");
    }
    let ignored = std::fs::read_to_string(dev.dir().join(".gitignore")).unwrap();
    assert_eq!(ignored, "*\n");
    let token = dev.token("alice");
    assert!(!dev.said().contains(&token));
}

#[test]
fn the_directory_is_kept_with_what_somebody_wrote_into_it() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("dev");
    let mut dev = Dev::within(&dir, &[]);
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let (key, token) = (read("issuer.pem"), dev.token("alice"));
    let body = json!({ "Image": "allowed/app:1" });
    let made = dev.ask(
        "alice",
        "POST",
        "/v1.41/containers/create?name=db",
        Some(&body),
    );
    assert_eq!(made.status, 201, "{}", made.text());

    // While it runs nobody else serves from it.
    let second = Command::new(env!("CARGO_BIN_EXE_cofferdam"))
        .args(["gate", "--dev", "--listen", "127.0.0.1:0", "--dir"])
        .arg(&dir)
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(2));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("serves from it already"), "{said}");
    assert_eq!(
        dev.ask("alice", "GET", "/v1.41/containers/json", None)
            .status,
        200
    );

    let stopped = dev.stop();
    assert!(stopped < Duration::from_secs(2), "{stopped:?}");
    assert!(!dir.join("dev.json").exists());
    let config = read("broker.toml").replace("[images]", "# mine\n[images]");
    std::fs::write(dir.join("broker.toml"), config).unwrap();

    let dev = Dev::within(&dir, &[]);
    assert_eq!(read("issuer.pem"), key);
    assert_ne!(dev.token("alice"), token);
    assert!(read("broker.toml").contains("# mine"));
    let records = dev.records(&["search", "--action", "container.create"]);
    assert_eq!(records.len(), 2, "the log goes on");
    // The embedded engine forgets, and the broker takes note of it.
    let left = dev.ask("alice", "GET", "/v1.41/containers/json?all=1", None);
    assert_eq!(left.json(), json!([]));
    let made = dev.ask(
        "alice",
        "POST",
        "/v1.41/containers/create?name=db",
        Some(&body),
    );
    assert_eq!(made.status, 201, "{}", made.text());
}

#[test]
fn a_directory_of_other_files_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.tex"), "").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cofferdam"))
        .args(["gate", "--dev", "--listen", "127.0.0.1:0", "--dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let network = Command::new(env!("CARGO_BIN_EXE_cofferdam"))
        .args(["gate", "--dev", "--listen", "0.0.0.0:0"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(network.status.code(), Some(2));
}

#[test]
fn a_directory_that_others_own_or_write_into_is_no_place_for_keys() {
    use std::os::unix::fs::chown;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("dev");
    let refused = |why: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_cofferdam"))
            .args(["gate", "--dev", "--listen", "127.0.0.1:0", "--dir"])
            .arg(&dir)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(why), "{said}");
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    };
    std::fs::create_dir(&dir).unwrap();
    for mode in [0o775, 0o757] {
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(mode)).unwrap();
        refused(&format!("others may write into it (mode {mode:o})"));
    }
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    match chown(&dir, Some(64001), None) {
        Ok(()) => refused("it belongs to another user"),
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
            engine::skip(
                "a directory of another user's",
                "only root can give one away",
            );
        }
    }
}

#[test]
fn a_closed_terminal_stops_it_in_order() {
    let mut dev = Dev::start();
    let children: Vec<u32> = ["gate", "broker", "engine"]
        .iter()
        .map(|name| dev.child(name).unwrap())
        .collect();
    dev.signal(rustix::process::Signal::HUP);
    let ended = until("it ends with the terminal", SOON, || dev.ended());
    assert_eq!(ended.code(), Some(0));
    assert!(!dev.dir().join("dev.json").exists());
    assert!(children.iter().all(|pid| !is_running(*pid)));
}

#[test]
fn a_broker_that_dies_is_said_to_be_gone_and_comes_back() {
    let dev = Dev::start();
    let before = dev.child("broker").unwrap();
    let process = rustix::process::Pid::from_raw(i32::try_from(before).unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    let status = || {
        dev.ask("alice", "GET", "/v1.41/containers/json", None)
            .status
    };
    let mut seen = std::collections::BTreeSet::new();
    until("the broker comes back", SOON, || {
        let status = status();
        seen.insert(status);
        let broker = dev.child("broker").filter(|pid| *pid != before);
        broker.filter(|_| status == 200)
    });
    // Whoever asks in between hears that it is gone, and nothing else.
    assert!(
        seen.iter().all(|status| [200, 502, 503].contains(status)),
        "{seen:?}"
    );
    assert!(
        dev.said()
            .contains("the broker has ended (signal 9); it is started anew")
    );
    assert!(dev.audit(&["verify"]).status().unwrap().success());
}

#[test]
fn the_others_end_with_the_first_however_it_ends() {
    let mut dev = Dev::start();
    let children: Vec<u32> = ["gate", "broker", "engine"]
        .iter()
        .map(|name| dev.child(name).unwrap())
        .collect();
    dev.signal(rustix::process::Signal::KILL);
    dev.stop();
    until("all have ended", SOON, || {
        let have_ended = children.iter().all(|pid| !is_running(*pid));
        have_ended.then_some(())
    });
}

#[test]
fn with_tls_the_generated_authority_vouches_for_the_gate() {
    let dev = Dev::with(&["--tls"]);
    let plain = dev.raw(b"GET /_ping HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n");
    assert_ne!(plain.status, 200);
    if !engine::has_docker_cli("the docker command line with TLS") {
        return;
    }
    let run = dev
        .docker(
            "alice",
            &["--tlsverify", "run", "--rm", "-i", "allowed/app:1", "cat"],
        )
        .stdin(std::fs::File::open(dev.dir().join(".gitignore")).unwrap())
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert_eq!(run.stdout, b"*\n");
}
