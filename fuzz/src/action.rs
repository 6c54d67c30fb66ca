//! The parsers of `cofferdam-action`: both dialects, and what is made of their actions.

use std::sync::LazyLock;

use cofferdam_action::action::Action;
use cofferdam_action::encode::{EngineBody, encode};
use cofferdam_action::floor::{Caller, Floor, FloorConfig};
use cofferdam_action::refusal::Refusal;
use cofferdam_action::request::Head;
use cofferdam_action::{docker, rest};

use crate::Target;

/// The targets of this file.
pub const TARGETS: &[Target] = &[
    Target {
        name: "action_docker",
        run: docker,
        seeds: &[
            b"POST /v1.41/containers/create?name=a\ncontent-type: application/json\n\n{\"Image\":\"alpine:3.22\",\"Cmd\":[\"sh\",\"-c\",\"id\"],\"Env\":[\"A=b\"],\"Labels\":{\"a\":\"b\"},\"HostConfig\":{\"Binds\":[\"/a:/b:ro\"],\"Memory\":1048576,\"CapAdd\":[\"NET_ADMIN\"],\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"8080\"}]},\"Mounts\":[{\"Type\":\"volume\",\"Source\":\"v\",\"Target\":\"/v\"}]},\"NetworkingConfig\":{\"EndpointsConfig\":{\"n\":{\"Aliases\":[\"x\"]}}}}",
            b"GET /v1.51/containers/json?all=1&filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%7D\n\n",
            b"GET /containers/abc/logs?stdout=1&tail=10&since=1.5\nhost: x\n\n",
            b"POST /v1.43/containers/a/exec\ncontent-type: application/json\n\n{\"Cmd\":[\"ls\"],\"AttachStdout\":true,\"Tty\":false}",
            b"POST /v1.43/images/create?fromImage=registry.example:5000/a/b&tag=1\n\n",
            b"PUT /v1.43/containers/a/archive?path=%2Fsrv\ncontent-type: application/x-tar\n\n",
            b"POST /v1.43/networks/create\ncontent-type: application/json\n\n{\"Name\":\"n\",\"Driver\":\"bridge\",\"Internal\":true}",
            b"GET /v1.43/events?since=1&until=2\n\n",
        ],
    },
    Target {
        name: "action_json",
        run: json,
        seeds: &[
            br#"{"Image":"a","Cmd":"x","a":[1,-2.5e3,true,null,"\u00e9\ud83d\ude00\n"],"b":{"c":{}}}"#,
        ],
    },
    Target {
        name: "action_rest",
        run: rest,
        seeds: &[
            b"GET /v1/containers?all=true\n\n",
            b"POST /v1/containers\ncontent-type: application/json\n\n{\"image\":\"alpine:3.22\",\"command\":[\"id\"]}",
            b"POST /v1/containers/a/exec\ncontent-type: application/json\n\n{\"command\":[\"ls\"]}",
            b"POST /v1/networks\ncontent-type: application/json\n\n{\"name\":\"n\"}",
            b"DELETE /v1/volumes/v?force=true\n\n",
        ],
    },
];

type Parse = fn(Head<'_>, &[u8]) -> Result<Action, Refusal>;

/// A request of the docker dialect.
pub fn docker(data: &[u8]) {
    request(data, docker::parse);
}

/// A request of the REST dialect.
pub fn rest(data: &[u8]) {
    request(data, rest::parse);
}

/// The strict JSON reader, by way of the largest body that there is.
pub fn json(data: &[u8]) {
    let headers: [(&str, &[u8]); 1] = [("content-type", b"application/json")];
    for (parse, target) in [
        (docker::parse as Parse, "/v1.41/containers/create"),
        (rest::parse, "/v1/containers"),
    ] {
        let head = Head {
            method: "POST",
            target,
            headers: &headers,
        };
        check(parse(head, data));
    }
}

/// A first line `METHOD TARGET`, a line for each header, an empty one, the body.
fn request(data: &[u8], parse: Parse) {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let (Some(first), mut rest) = (lines.next(), lines.next().unwrap_or_default()) else {
        return;
    };
    let Ok(first) = std::str::from_utf8(first) else {
        return;
    };
    let (method, target) = first.split_once(' ').unwrap_or((first, "/"));
    let mut headers: Vec<(&str, &[u8])> = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let Ok(name) = std::str::from_utf8(name) else {
            return;
        };
        headers.push((name, value.get(1..).unwrap_or_default().trim_ascii()));
    }
    let head = Head {
        method,
        target,
        headers: &headers,
    };
    check(parse(head, rest));
}

static FLOOR: LazyLock<Floor> = LazyLock::new(|| Floor::new(FloorConfig::default()));

/// What holds of every action that anybody can ask for, and of every refusal.
fn check(parsed: Result<Action, Refusal>) {
    let mut action = match parsed {
        Ok(action) => action,
        Err(refusal) => return quiet(&refusal),
    };
    // It goes to the broker as JSON, and must be the same there.
    let text = serde_json::to_string(&action).expect("an action becomes JSON");
    let read: Action = serde_json::from_str(&text).expect("an action comes back");
    assert_eq!(read, action);
    assert_eq!(action.references().len(), action.references_mut().len());
    match FLOOR.judge(action.clone(), &Caller::default()) {
        Ok(approved) => written(approved.action()),
        Err(refusal) => quiet(&refusal),
    }
    written(&action);
}

/// What goes to the engine is one request line and one JSON object.
fn written(action: &Action) {
    let Some(request) = encode(action) else {
        return;
    };
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    assert!(request.target.bytes().all(plain), "{}", request.target);
    let path = request.target.split('?').next().unwrap_or_default();
    assert!(path.starts_with("/v1.") && !path.contains("//"), "{path}");
    assert!(
        !path.split('/').any(|part| part == ".." || part == "."),
        "{path}"
    );
    if let EngineBody::Json(body) = request.body {
        assert!(body.is_object());
    }
}

/// A refusal is one line that steers no terminal, and not a copy of the request.
fn quiet(refusal: &Refusal) {
    let text = refusal.to_string();
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.len() < 4096, "{} bytes of refusal", text.len());
}
