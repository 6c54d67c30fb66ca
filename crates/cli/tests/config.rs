//! `cofferdam config check`: what it says of the shipped examples, and of what is wrong.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use common::Cofferdam;

/// Exit code, standard output, and standard error.
fn check(cofferdam: &Cofferdam, args: &[&str]) -> (Option<i32>, String, String) {
    let mut all = vec!["config", "check"];
    all.extend(args);
    let output = cofferdam.run(&all);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn shipped(name: &str) -> String {
    format!("{}/../../deploy/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_shipped_broker_is_explained_and_weakened_by_nothing_but_what_ci_jobs_are_given() {
    let (code, told, warned) = check(&Cofferdam::new(), &[&shipped("broker.toml")]);
    assert_eq!(code, Some(0), "{warned}");
    for line in [
        "broker       the engine at /run/docker.sock",
        "gate         the user `cofferdam-gate` alone is heard, at /run/cofferdam/broker.sock (mode 660)",
        "tokens       of https://idp.example/realms/prod, for https://containers.example; preset keycloak",
        "roles come from the claim `realm_access.roles`",
        "only where the claim `repository_owner_id` is 1234567",
        "one owner is told from another by the claim `repository_id`",
        "images       docker.io/library/alpine, docker.io/library/postgres, registry.example/team/*",
        "limits       memory 2 GiB where a container does not say, 8 GiB at most",
        "exceptions   none",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    let warnings: Vec<&str> = warned
        .lines()
        .filter(|line| !line.contains("cannot be read") && !line.contains("not there yet"))
        .collect();
    let given =
        "warning: every token of issuer `https://token.actions.githubusercontent.com` has the";
    let [roles, scopes] = warnings[..] else {
        panic!("{warned}");
    };
    assert_eq!(roles, format!("{given} roles ci-job"));
    assert!(scopes.starts_with(&format!("{given} scopes system:read containers:read ")));
    assert!(!scopes.contains("exec") && !scopes.contains("tenants"));
}

#[test]
fn the_shipped_gate_is_explained_and_weakened_by_nothing_but_the_scopes_of_ci_jobs() {
    let (code, told, warned) = check(&Cofferdam::new(), &[&shipped("gate.toml")]);
    assert_eq!(code, Some(0), "{warned}");
    for line in [
        "gate         the Docker API at 0.0.0.0:2376",
        "tls          by the certificate in /etc/cofferdam/tls/server.pem",
        "broker       at /run/cofferdam/broker.sock",
        "process      becomes the user `cofferdam-gate`; sandbox required",
        "clients      know the REST API as https://containers.example:8443",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    let other = |line: &&str| {
        !line.contains("cannot be read")
            && !line.contains("not there yet")
            && !line.contains("has the scopes system:read")
    };
    assert_eq!(warned.lines().filter(other).count(), 0, "{warned}");
}

#[test]
fn both_shipped_examples_know_the_same_issuers() {
    let issuers = |name: &str| -> Vec<(String, String)> {
        let text = std::fs::read_to_string(shipped(name)).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let text = |issuer: &toml::Value, key: &str| issuer[key].as_str().unwrap().to_owned();
        let issuers = table["issuer"].as_array().unwrap();
        issuers
            .iter()
            .map(|issuer| (text(issuer, "issuer"), text(issuer, "keys")))
            .collect()
    };
    assert_eq!(issuers("broker.toml"), issuers("gate.toml"));
}

#[test]
fn what_weakens_is_warned_of_and_what_is_wrong_is_named_with_its_line() {
    let cofferdam = Cofferdam::new();
    let text = std::fs::read_to_string(shipped("broker.toml")).unwrap();
    let weak = text
        .replace("sandbox = \"required\"", "sandbox = \"best-effort\"")
        .replace("\"registry.example/team/*\"", "\"*\"")
        .replace("policy_mode = \"enforce\"", "policy_mode = \"would-deny\"");
    cofferdam.file("weak.toml", &weak);
    let (code, told, warned) = check(&cofferdam, &["weak.toml"]);
    assert_eq!(code, Some(0), "{warned}");
    assert!(
        told.contains("what no policy permits is done and noted"),
        "{told}"
    );
    for word in [
        "every image is allowed",
        "no policy is enforced",
        "does not confine it",
    ] {
        assert!(warned.contains(word), "{word}\n{warned}");
    }
    assert_eq!(check(&cofferdam, &["--strict", "weak.toml"]).0, Some(1));

    cofferdam.file("wrong.toml", &text.replace("socket_mode", "socket_mod"));
    let (code, _, said) = check(&cofferdam, &["wrong.toml"]);
    assert_eq!(code, Some(2));
    let mut lines = text.lines();
    let line = lines
        .position(|line| line.starts_with("socket_mode"))
        .unwrap()
        + 1;
    let place = format!("wrong.toml:{line}:1: unknown field `socket_mod`");
    assert!(said.contains(&place), "{said}");

    cofferdam.file("other.toml", "[package]\nname = \"x\"\n");
    assert_eq!(check(&cofferdam, &["other.toml"]).0, Some(2));
    assert_eq!(check(&cofferdam, &["missing.toml"]).0, Some(2));

    // A file of keys that is there is read.
    let keys = cofferdam.file("keys.json", "{\"keys\": []}");
    let with = text.replace("/var/lib/cofferdam-keys/idp.json", keys.to_str().unwrap());
    cofferdam.file("keys.toml", &with);
    let (code, _, said) = check(&cofferdam, &["keys.toml"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("no key in it that can be used"), "{said}");
}
