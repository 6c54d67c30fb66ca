//! How an answer of the Engine API is known.

use cofferdam_finding::{Confidence, Evidence, Fact, Facts};
use cofferdam_posture::{Deployment, Input};
use serde_json::{Map, Value};

/// Whether it is the engine's answer to `GET /version`.
pub(crate) fn is_engine_version(json: &Value) -> bool {
    let Some(map) = json.as_object() else {
        return false;
    };
    let version = map
        .get("ApiVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let numbered = version
        .split_once('.')
        .is_some_and(|(major, minor)| major.parse::<u8>().is_ok() && minor.parse::<u16>().is_ok());
    numbered
        && [
            "MinAPIVersion",
            "GitCommit",
            "KernelVersion",
            "Components",
            "Os",
        ]
        .iter()
        .filter(|name| map.contains_key(**name))
        .count()
            >= 2
}

/// Whether it is the engine's answer to `GET /info`, which speaks of the host and not of a caller.
pub(crate) fn is_engine_info(json: &Value) -> bool {
    json.as_object().is_some_and(|map| {
        [
            "DockerRootDir",
            "ServerVersion",
            "Containers",
            "Driver",
            "OperatingSystem",
            "SecurityOptions",
        ]
        .iter()
        .filter(|name| map.contains_key(**name))
        .count()
            >= 4
    })
}

/// The full ids in the engine's answer to `GET /containers/json`; `None` when it is none.
pub(crate) fn list_of_containers(json: &Value) -> Option<Vec<String>> {
    let list = json.as_array()?;
    list.iter()
        .map(|item| {
            let map = item.as_object()?;
            let id = map.get("Id")?.as_str()?;
            let full = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            (full && is_container(map)).then(|| id.to_owned())
        })
        .collect()
}

/// What the engine's answer to `GET /info` says about the host; `proof` is kept with each fact.
pub(crate) fn engine_facts(info: &str, proof: &Evidence) -> Facts {
    let input = Input {
        name: "GET /info",
        bytes: info.as_bytes(),
    };
    let engine = Deployment::read(&[input])
        .ok()
        .and_then(|deployment| deployment.engine);
    let mut facts = Facts::new();
    for (condition, fact) in engine.iter().flat_map(|engine| engine.facts.iter()) {
        let mut evidence = fact.evidence.clone();
        evidence.push(proof.clone());
        let live = Fact {
            truth: fact.truth,
            confidence: Confidence::Proven,
            evidence,
        };
        facts.learn(condition, live);
    }
    facts
}

fn is_container(map: &Map<String, Value>) -> bool {
    [
        "Names",
        "Image",
        "ImageID",
        "Command",
        "State",
        "HostConfig",
    ]
    .iter()
    .filter(|name| map.contains_key(**name))
    .count()
        >= 3
}

/// Whether it is the engine's own refusal to make a container of an image that is not there.
pub(crate) fn is_engine_error(json: &Value, image: &str) -> bool {
    let Some(message) = json
        .as_object()
        .and_then(|map| map.get("message")?.as_str())
    else {
        return false;
    };
    let message = message.to_lowercase();
    message.contains(image)
        && ["no such image", "image not known", "not found"]
            .iter()
            .any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_engine_is_known_by_several_members_at_once() {
        assert!(is_engine_version(
            &json!({ "ApiVersion": "1.47", "MinAPIVersion": "1.24", "Os": "linux" })
        ));
        assert!(!is_engine_version(&json!({ "version": "1.47" })));
        assert!(!is_engine_version(
            &json!({ "ApiVersion": "v1", "Os": "linux", "GitCommit": "x" })
        ));
        let id = "ab".repeat(32);
        let list = json!([{ "Id": id, "Names": ["/a"], "Image": "b", "State": "running" }]);
        assert_eq!(list_of_containers(&list), Some(vec![id]));
        assert_eq!(
            list_of_containers(&json!([{ "id": "c-1", "image": "b" }])),
            None
        );
        assert_eq!(list_of_containers(&json!([])), Some(vec![]));
        assert!(is_engine_error(
            &json!({ "message": "No such image: nx/nx:0" }),
            "nx/nx"
        ));
        assert!(!is_engine_error(
            &json!({ "message": "the policy refuses nx/nx" }),
            "nx/nx"
        ));
    }
}
