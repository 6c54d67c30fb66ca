//! docker-compose 1.29, as Debian has it, with two services.

use crate::client::Client;
use crate::{dev, engine};
use std::process::{Command, Stdio};

const FILE: &str = "\
version: '3.7'
services:
  web:
    image: allowed/app:1
    command: sh -c 'echo served > /tmp/page; echo listening; exec httpd -f -p 8080 -h /tmp'
    volumes: ['data:/data']
  job:
    image: allowed/app:1
    command: sh -c 'until wget -qO- http://web:8080/page; do usleep 50000; done; touch /data/done'
    volumes: ['data:/data']
    depends_on: [web]
volumes:
  data: {}
";

#[test]
fn docker_compose_brings_up_shows_and_takes_down() {
    let test = "docker_compose";
    let found = Command::new("docker-compose")
        .arg("version")
        .stdout(Stdio::null())
        .status();
    if found.is_err() {
        engine::skip(test, "docker-compose is not installed");
        return;
    }
    let Some(socket) = engine::real(test) else {
        return;
    };
    let gate = dev::Dev::with_engine(&socket);
    let clients = [Client::straight(&socket), Client::through(&gate, "alice")];
    let seen = clients.each_ref().map(|client| {
        std::fs::write(client.folder().join("docker-compose.yml"), FILE).unwrap();
        let project = client.prefix.trim_end_matches('-');
        let run = |words: &[&str]| {
            let mut command = Command::new("timeout");
            command
                .args(["120", "docker-compose", "--ansi", "never", "-p", project])
                .args(words);
            client.end(&mut command, "")
        };
        let up = run(&["up", "-d"]);
        // It ends when the job has.
        let followed = run(&["logs", "-f", "--no-color", "job"]);
        let listed = run(&["ps", "--services", "--filter", "status=running"]);
        let down = run(&["down", "-v", "-t", "0"]);
        let rest = run(&["ps", "-q"]);
        for (step, (code, text)) in [
            ("up", &up),
            ("logs", &followed),
            ("ps", &listed),
            ("down", &down),
        ] {
            assert_eq!(*code, 0, "{step}: {text}");
        }
        assert!(followed.1.contains("served"), "{}", followed.1);
        assert_eq!(rest.1, "");
        let lines = |text: &str| text.replace(project, "@").lines().count();
        (lines(&up.1), listed.1, lines(&down.1))
    });
    assert_eq!(seen[0], seen[1]);
}
