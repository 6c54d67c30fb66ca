//! The two request files: every escape is refused by the rule that is meant for it, or needs an
//! object that the broker must know to be the caller's; every benign request goes through.

use std::collections::BTreeMap;

use cofferdam_action::action::{Action, ActionKind, Reference};
use cofferdam_action::encode::encode;
use cofferdam_action::refusal::Rule;
use serde::Deserialize;

use crate::support::{requests, runner, runner_with_exec};

/// What is meant to stop a request, as `escape_stops.json` says.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stop {
    /// The broker's ownership: the action refers to this object, which is another's.
    Owner(String),
    /// The broker's names: the action refers to this object, which another has by the same name, and
    /// what it gets is the caller's own.
    Own(String),
    /// The broker's filter: the answer shows the caller's own objects only.
    Filter(ActionKind),
    /// A rule of the dialect or the floor.
    #[serde(untagged)]
    By(Rule),
}

fn stops() -> BTreeMap<String, Stop> {
    serde_json::from_str(include_str!("../data/escape_stops.json")).unwrap()
}

#[test]
fn every_escape_is_refused_by_the_rule_that_is_meant_for_it() {
    let mut classes = BTreeMap::<String, usize>::new();
    let stops = stops();
    for (request, entry) in requests("escape_requests.json") {
        let meant = &stops[&request.id];
        let outcome = request.judge(&runner_with_exec());
        match (meant, outcome) {
            (Stop::By(rule), Err(refusal)) => {
                assert_eq!(*rule, refusal.rule, "{}: {refusal}", request.id);
                // The command line shows this sentence, so it must be one.
                assert!(refusal.to_string().len() < 600, "{}: {refusal}", request.id);
                assert!(
                    !refusal.to_string().contains('\n'),
                    "{}: {refusal}",
                    request.id
                );
            }
            (Stop::Owner(name) | Stop::Own(name), Ok(approved)) => {
                let named =
                    approved
                        .action()
                        .references()
                        .iter()
                        .any(|reference| match reference {
                            Reference::Container(container) => container.as_str() == name,
                            Reference::Volume(volume) => volume.as_str() == name,
                            Reference::Network(network) => network.as_str() == name,
                            Reference::Exec(exec) => exec.as_str() == name,
                            Reference::Image(_) => false,
                        });
                assert!(named, "{} does not refer to `{name}`", request.id);
            }
            (Stop::Filter(kind), Ok(approved)) => {
                assert_eq!(approved.action().kind(), *kind, "{}", request.id);
                let by_condition = entry["condition"] == "answer is not filtered by owner";
                assert!(
                    by_condition || entry["expect"] == "deny-or-filter",
                    "{}",
                    request.id
                );
            }
            (meant, outcome) => panic!("{}: {meant:?} is meant, and it is {outcome:?}", request.id),
        }
        *classes.entry(request.class).or_default() += 1;
    }
    assert_eq!(classes.values().sum::<usize>(), 310);
    assert_eq!(stops.len(), 310);
    assert_eq!(classes.len(), 23);
}

#[test]
fn a_health_command_takes_the_scope_of_exec() {
    let all = requests("benign_requests.json");
    let (health, _) = all
        .iter()
        .find(|(request, _)| request.id == "cli-health")
        .unwrap();
    assert!(health.judge(&runner_with_exec()).is_ok());
    assert_eq!(
        health.judge(&runner()).unwrap_err().rule,
        Rule::HealthCommand
    );
}

#[test]
fn every_benign_request_goes_through_and_reaches_the_engine_hardened() {
    let all = requests("benign_requests.json");
    assert_eq!(all.len(), 85);
    for (request, _) in all {
        let approved = request
            .judge(&runner_with_exec())
            .unwrap_or_else(|refusal| panic!("{}: {refusal}", request.id));
        assert!(approved.exceptions().is_empty() && approved.host_paths().is_empty());
        let Some(encoded) = encode(approved.action()) else {
            assert_eq!(request.id, "ctr-prune-own");
            continue;
        };
        assert!(encoded.target.starts_with("/v1.41/"), "{}", encoded.target);
        if let Action::ContainerCreate(create) = approved.action() {
            assert!(create.security.no_new_privileges && create.security.cap_drop_all);
            assert!(create.resources.pids.is_some() && create.resources.memory.is_some());
        }
    }
}
