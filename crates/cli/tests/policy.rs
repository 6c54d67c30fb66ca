//! `cofferdam policy`: what it answers, end to end.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "what the files of tests share is not used by each of them"
)]

mod common;

use common::Cofferdam;
use std::io::Write as _;
use std::process::{Output, Stdio};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// The shipped policies and cases, as files.
fn shipped(cofferdam: &Cofferdam) {
    let folder = cofferdam.folder.path().join("policies");
    std::fs::create_dir(&folder).unwrap();
    for (name, text) in cofferdam_policy::SHIPPED {
        std::fs::write(folder.join(name), text).unwrap();
    }
    cofferdam.file("cases.toml", cofferdam_policy::SHIPPED_CASES);
}

#[test]
fn the_shipped_policies_are_right_and_listed_with_their_actions() {
    let cofferdam = Cofferdam::new();
    shipped(&cofferdam);
    let output = cofferdam.run(&["policy", "check", "policies"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let listed = text(&output.stdout);
    let line = |id: &str| {
        let found = listed
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(id));
        let words: Vec<&str> = found.unwrap().split_whitespace().collect();
        let (file, _) = words[2].split_once(".cedar:").unwrap();
        [&[words[0], file], &words[3..]].concat().join(" ")
    };
    assert_eq!(
        line("agent.create"),
        "permit policies/agent container.create"
    );
    assert_eq!(
        line("ci-job.no-restart"),
        "forbid policies/ci-job container.create"
    );
    assert_eq!(
        line("runner.exec"),
        "permit policies/runner containers:exec"
    );
}

#[test]
fn a_wrong_policy_is_told_with_its_place_and_answers_1() {
    let cofferdam = Cofferdam::new();
    cofferdam.file(
        "p.cedar",
        "@id(\"a\")\npermit (principal, action == Action::\"container.creat\", resource);\n",
    );
    let output = cofferdam.run(&["policy", "check", "p.cedar"]);
    assert_eq!(code(&output), 1);
    let said = text(&output.stderr);
    assert!(
        said.starts_with("p.cedar:2:30: in the policy `a`: "),
        "{said}"
    );
    // Whoever wants to use it has a configuration that is wrong.
    for command in [
        &[
            "policy",
            "explain",
            "--policy",
            "p.cedar",
            "--action",
            "system.ping",
        ][..],
        &["policy", "test", "--policy", "p.cedar", "p.cedar"],
        &["policy", "check", "none.cedar"],
        &["policy", "check"],
    ] {
        assert_eq!(code(&cofferdam.run(command)), 2, "{command:?}");
    }
}

#[test]
fn a_request_is_explained() {
    let cofferdam = Cofferdam::new();
    let explain = |args: &[&str]| {
        let args = [&["policy", "explain"], args].concat();
        let output = cofferdam.run(&args);
        (code(&output), text(&output.stdout))
    };
    let (code, said) = explain(&["--action", "container.create", "--role", "runner"]);
    assert_eq!(code, 0);
    assert!(
        said.starts_with("allowed by runner.own\n  permit runner.own at runner.cedar:"),
        "{said}"
    );

    let (code, said) = explain(&[
        "--action",
        "container.create",
        "--role",
        "runner",
        "--owner",
        "volume=other",
        "--with",
        r#"{"storage":{"binds":[{"source":{"volume":"data"},"target":"/d"}]}}"#,
    ]);
    assert_eq!(code, 1);
    let denied = "denied: no policy permits `container.create` on another's volume for the role \
                  `runner`\n  under other conditions `container.create` is permitted by ";
    assert!(said.starts_with(denied), "{said}");

    let (code, said) = explain(&[
        "--action",
        "exec.create",
        "--role",
        "runner",
        "--scope",
        "containers:run",
    ]);
    assert_eq!(code, 1);
    assert_eq!(
        said,
        "denied: the token lacks the scope `containers:exec`\n"
    );

    let (code, said) = explain(&[
        "--action",
        "container.create",
        "--role",
        "ci-job",
        "--with",
        r#"{"lifecycle":{"restart":"always"}}"#,
    ]);
    assert_eq!(code, 1);
    assert!(
        said.contains("the policy `ci-job.no-restart` forbids `container.create`: a container"),
        "{said}"
    );

    for wrong in [
        &["--action", "container.creat"][..],
        &["--action", "container.create", "--owner", "mine"],
        &["--action", "container.create", "--with", "[]"],
        &[
            "--action",
            "container.create",
            "--with",
            r#"{"privileged":true}"#,
        ],
        &["--action", "container.create", "--image", "A B"],
        &["--role", "runner"],
    ] {
        assert_eq!(explain(wrong).0, 2, "{wrong:?}");
    }
}

#[test]
fn an_image_goes_where_the_action_has_one() {
    let cofferdam = Cofferdam::new();
    cofferdam.file(
        "p.cedar",
        r#"
        @id("create") permit (principal, action == Action::"container.create", resource)
        when { context.image.registry == "ghcr.io" };
        @id("pull") permit (principal, action == Action::"image.pull", resource)
        when { resource.image.registry == "ghcr.io" };
        @id("start") permit (principal, action == Action::"container.start", resource);
        "#,
    );
    for action in ["container.create", "image.pull"] {
        let explain = |image| {
            let args = [
                "policy", "explain", "--policy", "p.cedar", "--action", action, "--image", image,
            ];
            code(&cofferdam.run(&args))
        };
        assert_eq!(explain("ghcr.io/team/app:1"), 0, "{action}");
        assert_eq!(explain("alpine"), 1, "{action}");
    }
    let args = [
        "policy",
        "explain",
        "--policy",
        "p.cedar",
        "--action",
        "container.start",
    ];
    assert_eq!(code(&cofferdam.run(&args)), 0);
    assert_eq!(
        code(&cofferdam.run(&[&args[..], &["--image", "alpine"]].concat())),
        2
    );
}

#[test]
fn a_request_is_read_from_standard_input() {
    let cofferdam = Cofferdam::new();
    let feed = |input: &str| {
        let mut child = cofferdam
            .command(&["policy", "explain"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        code(&child.wait_with_output().unwrap())
    };
    assert_eq!(feed(r#"{"roles":["reader"],"action":"container.list"}"#), 0);
    assert_eq!(
        feed(r#"{"roles":["reader"],"action":"container.start"}"#),
        1
    );
    assert_eq!(feed(r#"{"role":["reader"],"action":"container.list"}"#), 2);
    assert_eq!(feed(""), 2);
}

#[test]
fn the_shipped_cases_are_met_and_one_that_is_not_is_shown() {
    let cofferdam = Cofferdam::new();
    shipped(&cofferdam);
    for args in [
        &["policy", "test", "cases.toml"][..],
        &["policy", "test", "--policy", "policies", "cases.toml"],
    ] {
        let output = cofferdam.run(args);
        assert_eq!(code(&output), 0, "{}", text(&output.stdout));
        assert!(text(&output.stdout).ends_with(" cases, all as expected\n"));
    }
    cofferdam.file(
        "wrong.toml",
        "[[case]]\nname = \"a reader starts\"\nroles = [\"reader\"]\naction = \"container.start\"\n\
         expect = \"allow\"\npolicy = \"reader.own\"\n\
         [[case]]\nname = \"an agent enters\"\nroles = [\"agent\"]\naction = \"exec.create\"\n\
         expect = \"deny\"\npolicy = \"agent.read\"\n\
         [[case]]\nname = \"a reader lists\"\nroles = [\"reader\"]\naction = \"container.list\"\n\
         expect = \"allow\"\n",
    );
    let output = cofferdam.run(&["policy", "test", "wrong.toml"]);
    assert_eq!(code(&output), 1);
    assert_eq!(
        text(&output.stdout),
        "not as expected: a reader starts\n  expected  allowed by reader.own\n  is        denied: no \
         policy permits `container.start` on the container `web` for the role `reader`\n\
         not as expected: an agent enters\n  expected  denied by agent.read\n  is        denied: the \
         policy `agent.no-entry` forbids `exec.create` on the container `web`: an agent does not \
         enter containers; make one for each command (agent.no-entry)\n\
         3 cases, 2 not as expected\n"
    );
    cofferdam.file(
        "bad.toml",
        "[[case]]\nname = \"x\"\naction = \"container.list\"\n",
    );
    assert_eq!(code(&cofferdam.run(&["policy", "test", "bad.toml"])), 2);
    cofferdam.file("empty.toml", "");
    assert_eq!(code(&cofferdam.run(&["policy", "test", "empty.toml"])), 2);
}

#[test]
fn the_schema_is_printed() {
    let cofferdam = Cofferdam::new();
    let output = cofferdam.run(&["policy", "schema"]);
    assert_eq!(code(&output), 0);
    assert_eq!(text(&output.stdout), cofferdam_policy::schema());
}
