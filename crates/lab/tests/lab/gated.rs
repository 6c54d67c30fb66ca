//! The hardened twin goes through a gate: it answers as a service that holds the engine's socket, and
//! what it does for whom stands in the broker's log.

use crate::client::{alice, bob, get, hardened, only, post, send};
use cofferdam_audit::reader::Reader;
use cofferdam_audit::record::Event;
use cofferdam_lab::{Hole, Lab};
use serde_json::{Value, json};
use std::net::TcpStream;

/// What the container routes answer to one caller after the other, without what is new in each lab.
fn answers(lab: &Lab) -> Vec<(u16, Value)> {
    let mut answers = Vec::new();
    let mut note = |answer: crate::client::Answer| {
        let mut body = match answer.body.is_empty() {
            true => Value::Null,
            false => answer.json(),
        };
        let id = body["id"].as_str().map(str::to_owned);
        blank(&mut body);
        if answer.status == 201 {
            // Whether it has ended by then is chance.
            for name in ["state", "exit_code", "output"] {
                body[name] = Value::Null;
            }
        }
        answers.push((answer.status, body));
        id
    };
    let job = json!({
        "name": "one", "image": "allowed/app:1", "command": ["sh", "-c", "echo $WHO; exit 3"],
        "env": {"WHO": "me"}, "labels": {"team": "a"},
    });
    for (token, own) in [(alice(lab), "ctr-4f1d2a90"), (bob(lab), "ctr-93be51d7")] {
        let at = |rest: &str| format!("/v1/containers/{own}{rest}");
        note(get(lab, "/v1/containers", token));
        note(get(lab, &at("/logs"), token));
        note(post(lab, &at("/stop"), token, Value::Null));
        note(get(lab, &at(""), token));
        note(post(lab, &at("/start"), token, Value::Null));
        let made = note(post(lab, "/v1/jobs", token, job.clone())).unwrap();
        note(get(lab, "/v1/jobs/job-0f9c31b27a5e", token));
        note(send(
            lab,
            "DELETE",
            &format!("/v1/jobs/{made}"),
            token,
            &Value::Null,
        ));
        for prompt in [
            "list my containers",
            "show the logs of web",
            "run `echo hello` in allowed/app:1",
        ] {
            note(post(
                lab,
                "/v1/assistant",
                token,
                json!({ "prompt": prompt }),
            ));
        }
        // What the runtime refuses, if anybody does.
        let odd = json!({
            "name": "one", "image": "allowed/app:1", "command": ["a\u{0}b"], "env": {"": "x"},
        });
        let status = post(lab, "/v1/jobs", token, odd).status;
        assert!((400..500).contains(&status) || status == 201, "{status}");
    }
    answers
}

fn blank(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match name.as_str() {
                    // The floor writes the same limits out at greater length.
                    "settings" => {
                        *value = json!([
                            value["memory"],
                            value["pids_limit"],
                            value["network_mode"],
                            value["cap_drop"],
                            value["privileged"],
                        ]);
                    }
                    "id" | "hostname" | "container" if value.is_string() => {
                        let text = value.as_str().unwrap_or_default();
                        if !text.starts_with("ctr-") {
                            *value = Value::Null;
                        }
                    }
                    "started_at" => *value = Value::Null,
                    _ => blank(value),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(blank),
        _ => {}
    }
}

#[test]
fn the_service_answers_through_the_gate_as_with_the_socket() {
    let (gated, holding) = (hardened(), only(Hole::SecretsInEnvironment));
    assert!(gated.gated().is_some() && holding.gated().is_none());
    for (through, with) in answers(&gated).into_iter().zip(answers(&holding)) {
        assert_eq!(through, with);
    }
}

#[test]
fn what_the_service_does_stands_in_the_log_under_its_callers_name() {
    let lab = hardened();
    let job = json!({"name": "one", "image": "allowed/app:1", "command": ["true"]});
    assert_eq!(post(&lab, "/v1/jobs", bob(&lab), job).status, 201);
    let reader = Reader::open(lab.gated().unwrap().audit_log()).unwrap();
    let last = reader
        .entries(0)
        .filter_map(|entry| match entry.unwrap().record().unwrap().event {
            Event::Intent(decision) if decision.action == "container.create" => Some(decision),
            _ => None,
        })
        .last()
        .unwrap();
    assert_eq!(last.who.subject, "bob");
    assert_eq!(last.who.client, "cofferdam-api");
    assert_eq!(last.policies, ["runner.own"]);
}

#[test]
fn the_gate_ends_with_the_lab() {
    let lab = hardened();
    let gated = lab.gated().unwrap();
    let (gate, log) = (gated.docker_address(), gated.audit_log().to_owned());
    assert!(TcpStream::connect(gate).is_ok() && log.exists());
    lab.stop();
    assert!(TcpStream::connect(gate).is_err() && !log.exists());
}
