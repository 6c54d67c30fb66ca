//! The `docker` command line on the embedded engine.

use crate::support::rig;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs `docker` with some input; answers the exit code and the output.
fn docker(socket: &Path, arguments: &[&str], input: &str) -> (i32, String) {
    let mut child = Command::new("docker")
        .args(arguments)
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .env("DOCKER_CLI_HINTS", "0")
        .env("DOCKER_CONFIG", "/nonexistent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

/// Says past the capture of output that the command line is not there.
fn is_there() -> bool {
    let found = Command::new("docker").arg("--version").output().is_ok();
    if !found {
        let text = "\nSKIPPED: the `docker` command line is not installed\n";
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }
    found
}

/// Arguments, input, exit code, and what the output is; a `*` at its end stands for more.
const CASES: &[(&str, &str, i32, &str)] = &[
    ("run --rm allowed/app:1 echo hi", "", 0, "hi\n"),
    ("run --rm -i allowed/app:1 cat", "a\nb\n", 0, "a\nb\n"),
    ("run --rm allowed/app:1 sh -c exit|7", "", 7, ""),
    ("run --rm other:2 true", "", 0, "*"),
    (
        "run -d --name one -l a=b allowed/app:1 sh -c echo|x;sleep|infinity",
        "",
        0,
        "*",
    ),
    ("logs one", "", 0, "x\n"),
    ("exec one echo in", "", 0, "in\n"),
    ("exec -i one cat", "c\n", 0, "c\n"),
    ("exec one sh -c exit|3", "", 3, ""),
    (
        "ps --format {{.Names}}|{{.State}} --filter label=a=b",
        "",
        0,
        "one running\n",
    ),
    ("top one", "", 0, "UID*"),
    ("stats --no-stream --format {{.Name}} one", "", 0, "one\n"),
    ("pause one", "", 0, "one\n"),
    (
        "exec one true",
        "",
        1,
        "Error response from daemon: Container*",
    ),
    ("unpause one", "", 0, "one\n"),
    ("cp - one:/tmp", "", 0, ""),
    ("cp one:/etc/passwd -", "", 0, "passwd*"),
    ("cp one:/none -", "", 1, "*"),
    ("exec one touch /new", "", 0, ""),
    ("diff one", "", 0, "A /new\n"),
    ("rename one two", "", 0, ""),
    ("network create net", "", 0, "*"),
    ("network connect net two", "", 0, ""),
    (
        "network rm net",
        "",
        1,
        "Error response from daemon: error while removing network*",
    ),
    (
        "inspect -f {{len|.NetworkSettings.Networks}} two",
        "",
        0,
        "2\n",
    ),
    ("network disconnect net two", "", 0, ""),
    ("network rm net", "", 0, "net\n"),
    ("volume create vol", "", 0, "vol\n"),
    ("run --rm -v vol:/v allowed/app:1 touch /v/kept", "", 0, ""),
    ("run --rm -v vol:/v allowed/app:1 ls /v", "", 0, "kept\n"),
    ("volume rm vol", "", 0, "vol\n"),
    ("volume ls -q", "", 0, ""),
    ("tag allowed/app:1 my:1", "", 0, ""),
    ("rmi my:1", "", 0, "Untagged: my:1\n"),
    (
        "rmi allowed/app:1",
        "",
        1,
        "Error response from daemon: conflict*",
    ),
    ("history -q allowed/app:1", "", 0, "*"),
    ("restart -t 0 two", "", 0, "two\n"),
    ("stop -t 0 two", "", 0, "two\n"),
    ("wait two", "", 0, "143\n"),
    ("start two", "", 0, "two\n"),
    ("kill two", "", 0, "two\n"),
    ("rm two", "", 0, "two\n"),
    ("container prune -f", "", 0, "Total*"),
    (
        "system df --format {{.Type}}|{{.TotalCount}}",
        "",
        0,
        "Images 2\n*",
    ),
    ("version --format {{.Server.Version}}", "", 0, "28.5.2\n"),
    ("info --format {{.Containers}}", "", 0, "0\n"),
    ("run -v /:/host allowed/app:1 touch /host/marker", "", 0, ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_docker_command_line_works() {
    if !is_there() {
        return;
    }
    let rig = rig(|_| ()).await;
    let socket = rig.engine.socket().to_owned();
    let cases = tokio::task::spawn_blocking(move || {
        for (line, input, code, text) in CASES {
            let words: Vec<_> = line.split(' ').map(|word| word.replace('|', " ")).collect();
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let (status, output) = docker(&socket, &words, input);
            let fits = match text.strip_suffix('*') {
                Some(start) => output.starts_with(start),
                None => output == *text,
            };
            assert!(status == *code && fits, "docker {line}: {status} {output}");
        }
    });
    cases.await.unwrap();
    assert!(rig.dir.path().join("host/marker").exists());
}
