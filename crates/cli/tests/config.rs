//! `cofferdam config check`: what it says of the shipped examples, and of what is wrong.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use common::Cofferdam;
use std::os::unix::fs::PermissionsExt as _;

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

/// The shipped broker's configuration, in a folder where all that it names is there.
fn placed(cofferdam: &Cofferdam) -> String {
    let folder = cofferdam.folder.path();
    let made = cofferdam.run(&["audit", "new-key", "audit.example", "audit.key"]);
    assert_eq!(made.status.code(), Some(0));
    for name in ["policies", "run"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    cofferdam.file(
        "policies/one.cedar",
        "@id(\"one\") permit (principal, action, resource);",
    );
    let text = moved(cofferdam, "broker.toml");
    // With policies of its own, which may be an example there.
    let lines = text.lines().filter(|line| !line.starts_with("policy = "));
    let text: Vec<&str> = ["policy = \"policies\""].into_iter().chain(lines).collect();
    text.join("\n")
}

/// The shipped gate's, in the same way.
fn placed_gate(cofferdam: &Cofferdam) -> String {
    std::fs::create_dir(cofferdam.folder.path().join("tls")).unwrap();
    cofferdam.file("tls/server.pem", SERVER.0);
    let key = cofferdam.file("tls/server.key", SERVER.1);
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    moved(cofferdam, "gate.toml")
}

/// A shipped file whose folders are that of the test and whose accounts are there, with the keys of
/// the issuers.
fn moved(cofferdam: &Cofferdam, name: &str) -> String {
    for name in ["idp.json", "github.json"] {
        cofferdam.file(name, KEYS);
    }
    std::fs::read_to_string(shipped(name))
        .unwrap()
        .replace("/etc/cofferdam/", "")
        .replace("/var/lib/cofferdam-keys/", "")
        .replace("/run/cofferdam/", "run/")
        .replace("= \"cofferdam-broker\"", "= \"root\"")
        .replace("= \"cofferdam-gate\"", "= \"root\"")
        .replace("[\"docker\"]", "[\"root\"]")
}

const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"one",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// A certificate and its key, and the key of another one.
const SERVER: (&str, &str) = (
    include_str!("../../runtime/gate/tests/data/server.pem"),
    include_str!("../../runtime/gate/tests/data/server.key"),
);
const OTHER_KEY: &str = include_str!("../../runtime/gate/tests/data/client.key");

/// Whether a line is about something that a machine without Cofferdam does not have.
fn is_of_this_machine(line: &str) -> bool {
    [
        "cannot be read",
        "cannot read `/etc/cofferdam/polic",
        "user `cofferdam-",
        "group `cofferdam-",
        "group `docker`",
        "no container engine answers",
        "for the broker's socket yet",
        "may not be read by this user",
        "`cofferdam keys sync` fetches them",
    ]
    .iter()
    .any(|word| line.contains(word))
}

#[test]
fn the_shipped_broker_is_explained_and_weakened_by_nothing_but_what_ci_jobs_are_given() {
    let (_, told, warned) = check(&Cofferdam::new(), &[&shipped("broker.toml")]);
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
        .filter(|line| !is_of_this_machine(line))
        .collect();
    let given =
        "warning: every token of issuer `https://token.actions.githubusercontent.com` has the";
    let [roles, scopes] = warnings[..] else {
        panic!("{warned}");
    };
    assert_eq!(roles, format!("{given} roles ci-job"));
    assert!(scopes.starts_with(&format!("{given} scopes system:read containers:read ")));
    assert!(!scopes.contains("exec") && !scopes.contains("tenants"));

    let cofferdam = Cofferdam::new();
    let text = placed(&cofferdam);
    cofferdam.file("broker.toml", &text);
    let (code, _, warned) = check(&cofferdam, &["broker.toml"]);
    assert_eq!(code, Some(0), "{warned}");
}

#[test]
fn the_shipped_gate_is_explained_and_weakened_by_nothing() {
    let (_, told, warned) = check(&Cofferdam::new(), &[&shipped("gate.toml")]);
    for line in [
        "gate         the Docker API at 0.0.0.0:2376",
        "tls          by the certificate in /etc/cofferdam/tls/server.pem",
        "broker       at /run/cofferdam/broker.sock",
        "process      becomes the user `cofferdam-gate`; sandbox required",
        "clients      know the REST API as https://containers.example:8443",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    let other = |line: &&str| !is_of_this_machine(line);
    assert_eq!(warned.lines().filter(other).count(), 0, "{warned}");

    // Where all that it names is there, nothing is left to say.
    let cofferdam = Cofferdam::new();
    let text = placed_gate(&cofferdam);
    cofferdam.file("gate.toml", &text);
    let (code, _, warned) = check(&cofferdam, &["--strict", "gate.toml"]);
    assert_eq!((code, warned.as_str()), (Some(0), ""));
}

#[test]
fn both_shipped_examples_know_the_same_issuers() {
    let issuers = |name: &str| -> Vec<(String, String, Option<String>)> {
        let text = std::fs::read_to_string(shipped(name)).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let text = |issuer: &toml::Value, key: &str| issuer[key].as_str().unwrap().to_owned();
        let issuers = table["issuer"].as_array().unwrap();
        issuers
            .iter()
            .map(|issuer| {
                let owner = issuer.get("owner_claim").and_then(toml::Value::as_str);
                let owner = owner.map(str::to_owned);
                (text(issuer, "issuer"), text(issuer, "keys"), owner)
            })
            .collect()
    };
    assert_eq!(issuers("broker.toml"), issuers("gate.toml"));
}

#[test]
fn what_weakens_is_warned_of_and_what_is_wrong_is_named_with_its_line() {
    let cofferdam = Cofferdam::new();
    let text = placed(&cofferdam);
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
}

#[test]
fn what_a_broker_would_not_start_with_is_an_error() {
    let cofferdam = Cofferdam::new();
    let text = placed(&cofferdam).replace("roles = [\"ci-job\"]", "");
    let with = |change: &str, into: &str| {
        assert!(text.contains(change), "{change}");
        cofferdam.file("broker.toml", &text.replace(change, into));
        check(&cofferdam, &["broker.toml"])
    };
    let (code, told, said) = with("[images]", "[images]");
    assert_eq!(code, Some(0), "{said}");
    let folder = cofferdam.folder.path().display();
    assert!(
        told.contains(&format!("keys from {folder}/idp.json: one")),
        "{told}"
    );
    assert!(
        told.contains(&format!("those in {folder}/policies, 1 of them")),
        "{told}"
    );
    assert!(
        said.contains("warning: no container engine answers at"),
        "{said}"
    );

    for (change, into, wrong) in [
        ("\"audit.key\"", "\"no.key\"", "/no.key`"),
        ("\"audit.key\"", "\"idp.json\"", "no key of an audit log"),
        ("\"policies\"", "\"no-policies\"", "no-policies"),
        ("\"policies\"", "\"run\"", "no policy in"),
        ("\"idp.json\"", "\"audit.key\"", "no file of keys of issuer"),
        (
            "user = \"root\"\ngroups",
            "user = \"no-such-user\"\ngroups",
            "no-such-user",
        ),
        ("[\"root\"]", "[\"no-such-group\"]", "no-such-group"),
        (
            "socket_group = \"root\"",
            "socket_group = \"no-such-group\"",
            "no-such-group",
        ),
        (
            "gate_user = \"root\"",
            "gate_user = \"no-such-user\"",
            "no-such-user",
        ),
    ] {
        let (code, told, said) = with(change, into);
        assert_eq!(code, Some(2), "{into}: {said}");
        let errors: Vec<&str> = said
            .lines()
            .filter(|it| it.starts_with("error: "))
            .collect();
        assert_eq!(errors.len(), 1, "{into}: {said}");
        assert!(errors[0].contains(wrong), "{into}: {said}");
        // The rest is explained all the same.
        assert!(told.contains("broker       the engine at"), "{told}");
    }
    // Keys that are fetched may come yet.
    let (code, _, said) = with("\"idp.json\"", "\"later.json\"");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("`cofferdam keys sync` fetches them"),
        "{said}"
    );
}

#[test]
fn what_a_gate_would_not_start_with_is_an_error() {
    let cofferdam = Cofferdam::new();
    cofferdam.file("idp.json", KEYS);
    for (name, pem) in [
        ("cert", SERVER.0),
        ("key", SERVER.1),
        ("other.key", OTHER_KEY),
        ("broken", "-----BEGIN PRIVATE KEY-----\nMIIB"),
    ] {
        let file = cofferdam.file(name, pem);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let text = "listen = \"127.0.0.1:0\"\nbroker = \"broker.sock\"\nuser = \"root\"\n\
                [tls]\ncert = \"cert\"\nkey = \"key\"\n\
                [[issuer]]\nissuer = \"https://i\"\naudience = \"a\"\nkeys = \"idp.json\"\n";
    for (change, into, code, wrong) in [
        ("cert", "cert", 0, ""),
        ("\"cert\"", "\"no.pem\"", 2, "no.pem"),
        ("\"cert\"", "\"key\"", 2, "there is no certificate in it"),
        ("\"key\"", "\"other.key\"", 2, "cannot be served"),
        ("\"key\"", "\"broken\"", 2, "broken` cannot be used"),
        ("\"idp.json\"", "\"no.json\"", 2, "no.json"),
        ("\"root\"", "\"no-such-user\"", 2, "no-such-user"),
    ] {
        cofferdam.file("gate.toml", &text.replace(change, into));
        let (found, _, said) = check(&cofferdam, &["gate.toml"]);
        assert_eq!(found, Some(code), "{into}: {said}");
        assert!(said.contains(wrong), "{into}: {said}");
    }
    cofferdam.file("idp.json", "{\"keys\": []}");
    cofferdam.file("gate.toml", text);
    let (code, _, said) = check(&cofferdam, &["gate.toml"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no key in it that can be used"), "{said}");
}

#[test]
fn a_key_that_others_may_read_is_warned_of() {
    let cofferdam = Cofferdam::new();
    cofferdam.file("idp.json", KEYS);
    cofferdam.file("cert", SERVER.0);
    let key = cofferdam.file("key", SERVER.1);
    let text = "listen = \"127.0.0.1:0\"\nbroker = \"broker.sock\"\nuser = \"root\"\n\
                [tls]\ncert = \"cert\"\nkey = \"key\"\n\
                [[issuer]]\nissuer = \"https://i\"\naudience = \"a\"\nkeys = \"idp.json\"\n";
    cofferdam.file("gate.toml", text);
    for (mode, warned) in [(0o644, true), (0o640, true), (0o600, false), (0o400, false)] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let (code, _, said) = check(&cofferdam, &["gate.toml"]);
        assert_eq!(code, Some(0), "{said}");
        let warning = format!("can pass for the gate; its mode is {mode:o}");
        assert_eq!(said.contains(&warning), warned, "{said}");
    }
}

#[test]
fn what_moves_out_of_the_log_is_explained() {
    let cofferdam = Cofferdam::new();
    let text = placed(&cofferdam);
    for (audit, told) in [
        ("", "all of them stay there"),
        ("keep = \"90d\"", "what is older than 90 days moves to "),
        (
            "keep = \"36h\"\nkeep_records = 1000",
            "what is older than 36 hours, and what is before the last 1000 moves to ",
        ),
    ] {
        let table = match audit {
            "" => String::new(),
            audit => format!("[audit]\narchive = \"old\"\n{audit}\n"),
        };
        cofferdam.file("broker.toml", &format!("{text}\n{table}"));
        let (code, said, warned) = check(&cofferdam, &["broker.toml"]);
        assert_eq!(code, Some(0), "{warned}");
        assert!(said.contains(told), "{told}\n{said}");
    }
}
