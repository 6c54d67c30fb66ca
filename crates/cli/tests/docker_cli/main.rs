//! The `docker` command line and docker-compose, unmodified: each command once straight at a real
//! engine and once through the gate. What they print and how they end is compared; where the two
//! differ, the difference is listed, with its reason, and has to be there.
//!
//! The same list is the table of `docs/gate/clients.md`. After a change of it,
//! `COFFERDAM_WRITE=1 cargo test -p cofferdam --test docker_cli` writes the page anew.

#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test stops at the first surprise"
)]

#[path = "../common/dev.rs"]
mod dev;
#[path = "../common/engine.rs"]
mod engine;

mod cases;
mod client;
mod compose;
mod page;

use cases::{CASES, Case, Gate as Through};
use client::Client;

#[test]
fn every_command_does_through_the_gate_what_it_does_straight_but_for_what_is_listed() {
    let test = "docker_cli";
    if !engine::has_docker_cli(test) {
        return;
    }
    let Some(socket) = engine::real(test) else {
        return;
    };
    let gate = dev::Dev::with_engine(&socket);
    let straight = Client::straight(&socket);
    let through = Client::through(&gate, "alice");
    let with_exec = through.with_token_of(&gate, "alice-exec");
    let mut wrong = Vec::new();
    for case in CASES {
        let gate = match case.line.starts_with("exec ") {
            true => &with_exec,
            false => &through,
        };
        if let Some(problem) = compare(case, &straight, gate) {
            wrong.push(format!("docker {}\n{problem}", case.line));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        CASES.len(),
        wrong.join("\n")
    );
}

/// What is wrong, if anything.
fn compare(case: &Case, straight: &Client, gate: &Client) -> Option<String> {
    if let Through::Refused(sentence) = case.gate {
        let ended = gate.run(case);
        let is_right = ended.code != 0 && ended.text.contains(sentence);
        return (!is_right).then(|| format!("  through: {ended}\n  wanted:  {sentence}"));
    }
    let (one, other) = (straight.run(case), gate.run(case));
    let shown = || format!("  straight: {one}\n  through:  {other}");
    match case.gate {
        Through::Same => {
            let works = case.code == one.code;
            (!works || one != other).then(|| format!("{}\n  wanted:   {}", shown(), case.code))
        }
        Through::Differs(is, _) => {
            let is_there = other.text.contains(is) && !one.text.contains(is);
            (!is_there).then(|| format!("{}\n  wanted:   {is}", shown()))
        }
        Through::Rewords(is, _) => {
            let is_right = one == other || other.code == one.code && other.text.contains(is);
            (!is_right || case.code != one.code).then(|| format!("{}\n  wanted:   {is}", shown()))
        }
        Through::Refused(_) => None,
    }
}

#[test]
fn the_page_about_clients_has_the_list_of_commands() {
    page::check();
}
