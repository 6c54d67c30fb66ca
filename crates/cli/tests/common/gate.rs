//! `cofferdam gate --dev` as a child process.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a test stops at the first surprise, and takes the part that it needs"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a gate may take until it is ready.
const READY: Duration = Duration::from_secs(60);

/// A gate with its broker. It ends, and its folder goes, when this is dropped.
pub struct Gate {
    folder: tempfile::TempDir,
    child: Child,
    /// `dev.json`.
    pub told: serde_json::Value,
}

impl Gate {
    /// Starts one in front of the engine at `engine`, or in front of the embedded one.
    pub fn start(engine: Option<&Path>) -> Self {
        // A short path: there are sockets in it.
        let folder = tempfile::Builder::new()
            .prefix("cfg")
            .tempdir_in("/tmp")
            .unwrap();
        let dir = folder.path().join("dev");
        let mut command = Command::new(env!("CARGO_BIN_EXE_cofferdam"));
        command
            .args(["gate", "--dev", "--listen", "127.0.0.1:0", "--dir"])
            .arg(&dir)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(engine) = engine {
            command.arg("--engine").arg(engine);
        }
        let mut child = command.spawn().unwrap();
        // Both outputs are read to their end, so that the gate never waits for a reader.
        let (sender, lines) = mpsc::channel();
        let outputs: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for output in outputs {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    // Nobody listens any more once the gate is ready.
                    let _ = sender.send(line);
                }
            });
        }
        drop(sender);
        let mut said = Vec::new();
        let told = loop {
            let line = lines.recv_timeout(READY).unwrap_or_else(|error| {
                panic!("the gate is not ready ({error}):\n{}", said.join("\n"))
            });
            let is_ready = line.starts_with("ready");
            said.push(line);
            if is_ready {
                let text = std::fs::read_to_string(dir.join("dev.json")).unwrap();
                break serde_json::from_str(&text).unwrap();
            }
        };
        Self {
            folder,
            child,
            told,
        }
    }

    /// For `DOCKER_HOST`.
    pub fn docker_url(&self) -> &str {
        self.told["docker_url"].as_str().unwrap()
    }

    /// For `DOCKER_CONFIG`, with which a client is `name`.
    pub fn docker_config(&self, name: &str) -> PathBuf {
        self.told["docker_configs"][name].as_str().unwrap().into()
    }

    /// Somebody's token.
    pub fn token(&self, name: &str) -> String {
        let path = self.told["tokens"][name].as_str().unwrap();
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }

    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("dev")
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}
