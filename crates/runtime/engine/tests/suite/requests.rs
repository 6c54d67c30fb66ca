//! The two request files, sent straight to the engine: what dockerd 20.10.24 did with a request is
//! noted in the files, and the embedded engine does the same. So a request that slips past a gate
//! has an effect here too, and a test that sees none has seen something.

use crate::support::{body, get, rig};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cofferdam_docker::wire::ExecCreate;
use serde_json::{Value, json};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

fn requests(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../action/tests/data")
        .join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(file["requests"].take()).unwrap()
}

/// Sends a request as it stands in the file; answers the status, and what a creation answered.
async fn send(socket: &Path, request: &Value) -> (u16, Value) {
    let text = |name: &str| request[name].as_str().unwrap_or_default();
    let body = match (&request["body"], text("body_text"), text("body_base64")) {
        (Value::Null, "", "") => Vec::new(),
        (Value::Null, "", encoded) => STANDARD.decode(encoded).unwrap(),
        (Value::Null, text, _) => text.as_bytes().to_vec(),
        (body, ..) => body.to_string().into_bytes(),
    };
    let given: Vec<(String, String)> = match &request["headers"] {
        Value::Object(headers) => headers
            .iter()
            .map(|(name, value)| {
                let value = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                (name.to_ascii_lowercase(), value)
            })
            .collect(),
        _ => Vec::new(),
    };
    let has = |name: &str| given.iter().any(|(given, _)| given == name);
    let mut head = format!("{} {} HTTP/1.1\r\n", text("method"), text("path"));
    if !has("host") {
        head += "host: docker\r\n";
    }
    if !has("connection") {
        head += "connection: close\r\n";
    }
    if !body.is_empty() && !has("content-type") {
        head += "content-type: application/json\r\n";
    }
    if !has("transfer-encoding") && !has("content-length") {
        head += &format!("content-length: {}\r\n", body.len());
    }
    for (name, value) in &given {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // The engine may refuse by the head and close.
    let _ = stream.write_all(&body).await;
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    let status = std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap();
    if status == 201 {
        stream.read_to_end(&mut answer).await.unwrap();
    }
    let start = answer.windows(4).position(|end| end == b"\r\n\r\n");
    let body = start.and_then(|start| serde_json::from_slice(&answer[start + 4..]).ok());
    (status, body.unwrap_or_default())
}

#[tokio::test]
async fn a_hostile_create_has_the_effect_that_it_has_on_dockerd() {
    let rig = rig(|_| ()).await;
    for dir in [
        "var/run",
        "root",
        "proc",
        "sys/kernel",
        "dev",
        "home",
        "boot",
        "usr",
        "lib",
    ] {
        std::fs::create_dir_all(rig.dir.path().join("host").join(dir)).unwrap();
    }
    std::fs::write(rig.dir.path().join("host/var/run/docker.sock"), "").unwrap();
    for name in ["mine", "other", "victim"] {
        let id = rig
            .client
            .create(Some(name), &body(&["sleep", "infinity"], &[]))
            .await
            .unwrap();
        rig.client.start(&id.id).await.unwrap();
    }
    let (mut seen, mut shown, mut differ) = (0, 0, Vec::new());
    for request in requests("escape_requests.json") {
        let noted = &request["observed"]["moby 20.10.24"];
        let path = request["path"].as_str().unwrap();
        let id = request["id"].as_str().unwrap();
        let is_create = path.contains("create") && !path.contains("images/create");
        if noted["status"] != 201 || !is_create || OTHERWISE.iter().any(|(other, _)| *other == id) {
            continue;
        }
        seen += 1;
        let (status, answer) = send(rig.engine.socket(), &request).await;
        if status != 201 {
            differ.push(format!("{id}: {status} ({})", request["why"]));
            continue;
        }
        let field = request["first_affected_field"].as_str().unwrap();
        let field = field.strip_prefix("HostConfig.").unwrap_or(field);
        let field = field.split('[').next().unwrap();
        if noted["effective"] != true || !FIELDS.contains(&field) {
            continue;
        }
        shown += 1;
        let made = get(
            &rig,
            &format!("/containers/{}/json", answer["Id"].as_str().unwrap()),
        )
        .await;
        let made: Value = serde_json::from_str(made.split_once("\r\n\r\n").unwrap().1).unwrap();
        // No list of masked paths at all is the engine's own, an empty one is an effect.
        let plain = match field {
            "MaskedPaths" => json!([null]),
            _ => json!([null, "", 0, false, [], {}, "private", "bridge", "runc"]),
        };
        if plain
            .as_array()
            .unwrap()
            .contains(&made["HostConfig"][field])
        {
            differ.push(format!("{id}: {field} has no effect ({})", request["why"]));
        }
    }
    assert!(seen > 100 && shown > 60, "{seen} {shown}");
    assert_eq!(differ, Vec::<String>::new());
}

/// Where the embedded engine does not do what dockerd 20.10.24 did, and why.
const OTHERWISE: &[(&str, &str)] = &[
    ("misc-026", "names the image by its id on that engine"),
    ("path-025", "an API version that this engine has not, 1.12"),
];

/// Fields of the host configuration whose effect an inspection shows.
const FIELDS: &[&str] = &[
    "Binds",
    "CapAdd",
    "Mounts",
    "SecurityOpt",
    "Devices",
    "Privileged",
    "PidMode",
    "MaskedPaths",
    "DeviceRequests",
    "UsernsMode",
    "IpcMode",
    "NetworkMode",
    "CgroupParent",
    "Sysctls",
    "Ulimits",
    "ExtraHosts",
    "DeviceCgroupRules",
    "GroupAdd",
    "OomScoreAdj",
    "PortBindings",
    "Tmpfs",
];

#[tokio::test]
async fn a_benign_request_is_answered() {
    for mut request in requests("benign_requests.json") {
        let rig = rig(|_| ()).await;
        let id = request["id"].as_str().unwrap().to_owned();
        let path = request["path"].as_str().unwrap().to_owned();
        let volume = json!({"method": "POST", "path": "/volumes/create", "body": {"Name": "data"}});
        let network =
            json!({"method": "POST", "path": "/networks/create", "body": {"Name": "mynet"}});
        for needed in [volume, network] {
            // Unless the request makes it itself.
            if path != needed["path"].as_str().unwrap() && !path.ends_with("/create") {
                assert_eq!(send(rig.engine.socket(), &needed).await.0, 201);
            }
        }
        if path.contains("mine") || path.contains("mynet") || path.contains("EXECID") {
            let mine = body(
                &["sh", "-c", "mkdir /app; touch /app/out.txt; sleep infinity"],
                &[],
            );
            let mine = rig.client.create(Some("mine"), &mine).await.unwrap().id;
            rig.client.start(&mine).await.unwrap();
            let command = ["echo".to_owned()].to_vec();
            let exec = ExecCreate {
                cmd: command,
                ..ExecCreate::default()
            };
            let exec = rig.client.exec_create(&mine, &exec).await.unwrap();
            request["path"] = path.replace("EXECID", &exec).into();
            let unready = match id.as_str() {
                "mine-unpause" => "/containers/mine/pause",
                "net-disconnect" => "/networks/mynet/connect",
                _ => "/containers/mine/resize?h=1&w=1",
            };
            let ready = json!({"method": "POST", "path": unready, "body": {"Container": "mine"}});
            assert!(send(rig.engine.socket(), &ready).await.0 < 300, "{id}");
        }
        let (status, _) = send(rig.engine.socket(), &request).await;
        assert!(status < 400, "{id}: {status}");
    }
}

#[tokio::test]
async fn what_a_form_says_beats_the_query() {
    let rig = rig(|_| ()).await;
    let id = rig
        .client
        .create(Some("mine"), &body(&["true"], &[]))
        .await
        .unwrap()
        .id;
    let form = json!({"content-type": "application/x-www-form-urlencoded"});
    for (path, form_body) in [
        ("/containers/mine/rename?name=harmless", "name=other"),
        ("/images/allowed/app:1/tag?repo=harmless", "repo=evil&tag=2"),
        ("/images/create?fromImage=harmless", "fromImage=evil/pulled"),
        (
            "/containers/prune?filters=%7B%22label%22%3A%5B%22x%22%5D%7D",
            "filters=",
        ),
    ] {
        if path.starts_with("/containers/prune") {
            assert_eq!(rig.client.inspect(&id).await.unwrap().name, "/other");
        }
        let request =
            json!({"method": "POST", "path": path, "headers": form, "body_text": form_body});
        assert!(send(rig.engine.socket(), &request).await.0 < 300, "{path}");
    }
    assert!(
        rig.client.inspect(&id).await.is_err(),
        "the prune kept to its query"
    );
    for image in ["evil:2", "evil/pulled"] {
        rig.client.image(image).await.unwrap();
    }
    assert!(rig.client.image("harmless").await.is_err());
}
