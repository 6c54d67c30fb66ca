//! Neither the file read nor the shell nor the server-side request reaches the real machine.

use crate::client::{alice, get, lab, post, with};
use cofferdam_lab::{Hole, Lab, Switches};
use serde_json::json;
use std::io::Write;

/// A file of the real machine that nothing in the lab may see.
fn marker() -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new_in("/tmp").unwrap();
    file.write_all(b"the real machine").unwrap();
    file
}

#[test]
fn a_traversal_ends_at_the_pretend_root() {
    let lab = lab(Switches::all_open());
    let marker = marker();
    let real = marker.path().to_str().unwrap();
    std::os::unix::fs::symlink(real, lab.container_root().join("srv/link")).unwrap();
    std::os::unix::fs::symlink("/", lab.container_root().join("srv/slash")).unwrap();
    let dots = "../".repeat(40);
    let root = lab.container_root().display().to_string();
    for path in [
        real.to_owned(),
        format!("{dots}{}", &real[1..]),
        "/srv/link".to_owned(),
        format!("/srv/slash{real}"),
        format!("/proc/self/root{real}"),
        format!("/proc/self/cwd/{dots}{}", &real[1..]),
        format!("{root}/../../..{real}"),
        format!("/host{real}"),
        format!("/host/../..{real}"),
    ] {
        let answer = get(
            &lab,
            &format!("/v1/workspace/file?path={path}"),
            alice(&lab),
        );
        assert!(
            answer.status == 404 && !answer.body.contains("the real machine"),
            "{path}: {answer:?}"
        );
    }
    let name = get(&lab, "/v1/workspace/file?path=/etc/hostname", alice(&lab)).body;
    assert_eq!(name, "5f0c1d7b92aa\n");
    let status = get(
        &lab,
        "/v1/workspace/file?path=/proc/self/status",
        alice(&lab),
    )
    .body;
    assert!(status.starts_with("Name:\tcofferdam-api\n"), "{status}");
}

fn run(lab: &Lab, command: &str) -> String {
    let body = json!({"target": format!("localhost; {command}")});
    let answer = post(lab, "/v1/diagnostics/ping", alice(lab), body).json();
    let output = answer["output"].as_str().unwrap();
    output.split_once('\n').unwrap_or(("", output)).1.to_owned()
}

#[test]
fn the_shell_ends_at_the_pretend_root_too() {
    let lab = with(&[Hole::CommandInjection, Hole::RunsAsRoot, Hole::HostMount]);
    if !lab.absent_holes().is_empty() {
        return;
    }
    let marker = marker();
    let real = marker.path().to_str().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    assert!(run(&lab, "id").starts_with("uid=0(root)"));
    for path in [
        real.to_owned(),
        format!("/../../..{real}"),
        format!("/proc/1/root{real}"),
    ] {
        let text = run(&lab, &format!("cat {path}; echo changed > {path}"));
        assert!(!text.contains("the real machine"), "{path}: {text}");
    }
    assert_eq!(std::fs::read_to_string(real).unwrap(), "the real machine");
    // The classic way out of a chroot, and a few others.
    let escape = format!(
        "mkdir -p /tmp/a; chroot /tmp/a true; mount -t proc proc /proc; cat /proc/1/root{real}; ls /tmp"
    );
    assert!(!run(&lab, &escape).contains("the real machine"));
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let text = run(&lab, "cat /etc/hostname; hostname; uname -n");
    assert_eq!(text.matches("5f0c1d7b92aa").count(), 3, "{text}");
    assert!(!text.contains(hostname.trim()), "{text}");
    // No network, not even the machine's loopback.
    let dial = format!(
        "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}), 1); print(\"through\")' 2>&1; exec 3<>/dev/tcp/127.0.0.1/{port} && echo through"
    );
    assert!(!run(&lab, &dial).contains("through"));
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nothing dialled");
    // Its own processes and environment alone.
    assert_eq!(
        run(
            &lab,
            "echo $$; env | grep -v ^PWD= | grep -v ^SHLVL= | grep -v ^_="
        )
        .trim(),
        "1"
    );
    assert!(run(&lab, "touch /etc/new /usr/new 2>&1").contains("Read-only file system"));
    // What is meant to be reached: the pretend host.
    run(&lab, "touch /host/by-shell");
    assert!(lab.host_root().join("by-shell").exists());
}

#[test]
fn the_shell_has_limits() {
    let lab = with(&[Hole::CommandInjection]);
    if !lab.absent_holes().is_empty() {
        return;
    }
    let start = std::time::Instant::now();
    let body = json!({"target": "localhost; sleep 60"});
    assert_eq!(
        post(&lab, "/v1/diagnostics/ping", alice(&lab), body).json()["exit_code"],
        124
    );
    assert!(start.elapsed().as_secs() < 10);
    let body = json!({"target": "localhost; yes"});
    let answer = post(&lab, "/v1/diagnostics/ping", alice(&lab), body).json();
    assert!(answer["output"].as_str().unwrap().len() <= 64 * 1024);
    assert!(run(&lab, "id").starts_with("uid=10001(app)"));
}

#[test]
fn a_shell_reaches_the_engine_through_a_mounted_socket() {
    let lab = with(&[
        Hole::CommandInjection,
        Hole::RunsAsRoot,
        Hole::RuntimeSocket,
    ]);
    if !lab.absent_holes().is_empty() {
        return;
    }
    let ask = "python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect(\"/run/docker.sock\"); s.sendall(b\"GET /_ping HTTP/1.0\\r\\n\\r\\n\"); print(s.recv(1000))' 2>&1";
    let text = run(&lab, ask);
    assert!(
        text.contains("Docker/28") || text.contains("python3: not found"),
        "{text}"
    );
}

#[test]
fn a_server_side_request_stays_on_loopback() {
    let lab = lab(Switches::all_open());
    for url in [
        "http://192.0.2.1/",
        "http://example.com/",
        "http://0.0.0.0:80/",
        "http://[2001:db8::1]/",
        "http://kubernetes.default.svc/",
    ] {
        let answer = get(&lab, &format!("/v1/images/manifest?url={url}"), alice(&lab));
        assert_eq!(answer.status, 502, "{url}: {answer:?}");
    }
}
