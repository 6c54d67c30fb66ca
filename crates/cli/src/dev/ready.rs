//! Whether everything answers, and what is told then.

use super::files::{AUDIENCE, Files};
use super::{Engine, Options};
use crate::connect::Upstream;
use crate::input::{self, Failure};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the gate listens, from the line that it prints when it is ready.
pub(super) fn addresses(line: &str) -> Option<Addresses> {
    let of = |name: &str| {
        let (_, rest) = line.split_once(name)?;
        rest.split([',', ' ']).next()?.parse().ok()
    };
    Some(Addresses {
        docker: of("docker=")?,
        rest: of("rest=")?,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    docker: SocketAddr,
    rest: SocketAddr,
}

/// What is up.
pub(super) struct Ready<'a> {
    files: &'a Files,
    options: &'a Options,
    addresses: Addresses,
}

impl<'a> Ready<'a> {
    pub(super) fn new(files: &'a Files, options: &'a Options, addresses: Addresses) -> Self {
        Self {
            files,
            options,
            addresses,
        }
    }

    /// Asks for something that takes the gate, the broker and the engine to answer.
    pub(super) async fn answers(&self) -> Result<(), Failure> {
        let failed = |why: &dyn std::fmt::Display| {
            Failure::new(format!("the gate does not serve its first request: {why}"))
        };
        let (scheme, ca) = match self.options.tls {
            true => ("https", Some(self.files.path("tls/ca.pem"))),
            false => ("tcp", None),
        };
        let url = format!("{scheme}://{}", self.addresses.docker);
        let gate = Upstream::of(&url, ca.as_deref(), None)?;
        let token = input::key(&self.files.token("alice"))?;
        let (status, body) = gate
            .get("/v1.41/version", token.reveal())
            .await
            .map_err(|why| failed(&why))?;
        match status {
            200 => Ok(()),
            _ => Err(failed(&format!("it answers {status}: {body}"))),
        }
    }

    /// `dev.json`.
    pub(super) fn to_json(&self) -> Value {
        let files = self.files;
        let each = |path: &dyn Fn(&str) -> PathBuf| -> Value {
            let entry = |name: &str| (name.to_owned(), json!(path(name)));
            Value::Object(Files::names().map(entry).collect())
        };
        json!({
            "docker_url": self.docker_url(),
            "rest_url": self.rest_url(),
            "tokens": each(&|name| files.token(name)),
            "docker_config": files.docker_config("alice"),
            "docker_configs": each(&|name| files.docker_config(name)),
            "ca": self.options.tls.then(|| files.path("tls/ca.pem")),
            "issuer": { "issuer": files.issuer(), "audience": AUDIENCE, "key": files.path("issuer.pem") },
            "broker": { "config": files.broker_config(), "socket": files.path("run/broker.sock") },
            "gate": { "config": files.gate_config() },
        })
    }

    fn docker_url(&self) -> String {
        format!("tcp://{}", self.addresses.docker)
    }

    fn rest_url(&self) -> String {
        let scheme = if self.options.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.addresses.rest)
    }

    /// What is printed for people.
    pub(super) fn told(&self) -> String {
        let files = self.files;
        let engine = match &self.options.engine {
            Engine::Embedded => {
                "the embedded engine, a simulation: nothing is isolated and no image is real"
                    .to_owned()
            }
            Engine::Socket(path) => format!("the engine at {}", path.display()),
        };
        let (verify, authority) = match self.options.tls {
            true => (
                " --tlsverify",
                format!(" --cacert {}", files.path("tls/ca.pem").display()),
            ),
            false => ("", String::new()),
        };
        // The token is in no argument, which other users of the machine could read.
        format!(
            "ready, with {engine}\n\
             \n  DOCKER_CONFIG={} docker -H {}{verify} run --rm allowed/app:1 echo hello\
             \n  sed 's/^/Authorization: Bearer /' {} | curl -H @-{authority} {}/v1/containers\n\
             \n  tokens   {} (alice, alice-exec, bob, reader)\
             \n  REST     {}\
             \n  records  cofferdam audit tail --config {}\n\
             \nFor development: the gate and the broker are one user here, so whoever takes over one has\
             \nthe other and the engine. In production they are two (docs/gate/production.md).\n",
            files.docker_config("alice").display(),
            self.docker_url(),
            files.token("alice").display(),
            self.rest_url(),
            files.path("tokens").display(),
            self.rest_url(),
            files.dir().display(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_gate_is_read() {
        let told = addresses("ready: docker=127.0.0.1:2376, rest=[::1]:80").unwrap();
        assert_eq!(told.docker.port(), 2376);
        assert_eq!(told.rest.port(), 80);
        assert_eq!(addresses("ready"), None);
    }
}
