//! `cofferdam keys sync`, against an issuer on loopback.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use cofferdam_issuer::{Server, SigningKey};
use cofferdam_token::Algorithm;
use common::Cofferdam;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

/// An issuer, and a configuration that knows it.
struct Place {
    cofferdam: Cofferdam,
    server: Server,
    runtime: tokio::runtime::Runtime,
}

impl Place {
    fn new(source: impl Fn(&str) -> String) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let server = runtime.block_on(Server::start(key())).unwrap();
        let cofferdam = Cofferdam::new();
        let url = server.issuer().url().to_owned();
        cofferdam.file(
            "broker.toml",
            &format!(
                "socket = \"/run/x\"\n[[issuer]]\nissuer = \"{url}\"\naudience = \"a\"\nkeys = \"keys/idp.json\"\n{}\n\
                 [images]\nlocal = true\n",
                source(&url)
            ),
        );
        Self {
            cofferdam,
            server,
            runtime,
        }
    }

    fn sync(&self) -> Output {
        // Named, since a bare machine has none of its own.
        let ca = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../find/scan/tests/data/ca.pem"
        );
        // The path of the file of keys begins at the configuration, wherever this runs.
        let config = self.cofferdam.folder.path().join("broker.toml");
        let config = config.to_str().unwrap();
        let args = ["keys", "sync", "--config", config, "--ca", ca];
        let mut command = self.cofferdam.command(&args);
        command.current_dir("/").output().unwrap()
    }

    fn keys(&self) -> Option<String> {
        std::fs::read_to_string(self.file()).ok()
    }

    fn file(&self) -> std::path::PathBuf {
        self.cofferdam
            .folder
            .path()
            .join(Path::new("keys/idp.json"))
    }
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn keys_are_written_whole_and_it_is_told_which_came_and_went() {
    for source in [
        (|_: &str| "discover = true".to_owned()) as fn(&str) -> String,
        |url| format!("jwks_uri = \"{url}/jwks\""),
    ] {
        let place = Place::new(source);
        let old = place.server.issuer().key().kid().to_owned();
        let output = place.sync();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains(&format!("written, with `{old}`")));
        assert!(place.keys().unwrap().contains(&old));
        let mode = std::fs::metadata(place.file())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o644);
        assert!(text(&place.sync().stdout).contains(": unchanged"));

        let new = key();
        let id = new.kid().to_owned();
        place.server.issuer().rotate(new);
        let told = text(&place.sync().stdout);
        assert!(told.contains(&format!("added `{id}`")), "{told}");
        assert!(place.keys().unwrap().contains(&id));
    }
}

#[test]
fn what_cannot_be_fetched_leaves_the_file_as_it_is() {
    let mut place = Place::new(|_| "discover = true".to_owned());
    place.sync();
    let before = place.keys().unwrap();
    let Place {
        server, runtime, ..
    } = &mut place;
    let other = runtime.block_on(Server::start(key())).unwrap();
    // The server ends, and nothing answers in its place.
    drop(std::mem::replace(server, other));
    let output = place.sync();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("stays as it is"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(place.keys().unwrap(), before);
}

#[test]
fn an_issuer_whose_keys_are_kept_by_hand_is_left_alone() {
    let place = Place::new(|_| String::new());
    let output = place.sync();
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("left alone"));
    assert_eq!(place.keys(), None);
}

#[test]
fn a_file_that_is_no_configuration_is_an_error() {
    let place = Place::new(|_| String::new());
    place
        .cofferdam
        .file("broker.toml", "[[issuer]]\nissuer = 5\n");
    assert_eq!(place.sync().status.code(), Some(2));
    place.cofferdam.file("broker.toml", "socket = \"x\"\n");
    assert_eq!(place.sync().status.code(), Some(2));
}
