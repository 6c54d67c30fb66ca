//! What an unmodified `docker` 28.2.2 sends: recorded on loopback from a stub that answered as an
//! engine of API 1.41 and as one of 1.51. `refused_by` in the file is the rule that is meant; the
//! other requests must go through.

use cofferdam_action::action::Action;
use cofferdam_action::docker;
use cofferdam_action::encode::{EngineBody, encode};
use cofferdam_action::request::Head;

use crate::support::{requests, runner_with_exec};

const FILE: &str = "docker_cli_28_requests.json";

#[test]
fn the_command_line_is_understood_and_refused_where_it_must_be() {
    let mut through = 0;
    for (request, entry) in requests(FILE) {
        let refused = request
            .judge(&runner_with_exec())
            .err()
            .map(|refusal| refusal.rule.id());
        assert_eq!(
            refused,
            entry["refused_by"].as_str(),
            "{}",
            entry["command"]
        );
        through += usize::from(refused.is_none());
    }
    assert!(through > 150, "only {through} went through");
}

#[test]
fn what_is_written_for_the_engine_says_the_same_as_the_command_line() {
    for (request, entry) in requests(FILE) {
        let Ok(action) = request.parse() else {
            continue;
        };
        let Some(engine) = encode(&action) else {
            continue;
        };
        let body = match &engine.body {
            EngineBody::Json(body) => body.to_string().into_bytes(),
            EngineBody::Empty | EngineBody::Archive => Vec::new(),
        };
        let headers: &[(&str, &[u8])] = &[("content-type", b"application/json")];
        let head = Head {
            method: engine.method,
            target: &engine.target,
            headers,
        };
        assert_eq!(
            docker::parse(head, &body).unwrap(),
            action,
            "{}",
            entry["command"]
        );
    }
}

#[test]
fn every_field_of_the_command_lines_host_config_is_accepted_at_its_default() {
    let all = requests(FILE);
    let plain = all.iter().find(|(_, entry)| {
        entry["command"] == "docker create img:1 sh" && entry["method"] == "POST"
    });
    let (request, _) = plain.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["HostConfig"].as_object().unwrap().len(), 62);
    let Ok(Action::ContainerCreate(create)) = request.parse() else {
        panic!("a create")
    };
    assert_eq!(create.storage, Default::default());
    assert_eq!(create.security, Default::default());
    assert_eq!(create.resources, Default::default());
    assert_eq!(create.network, Default::default());
}
