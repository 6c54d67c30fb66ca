//! The hardened lab answers good requests as meant, and holds whoever speaks to it at arm's length.

use crate::client::{alice, bob, get, hardened, lab, raw, send};
use cofferdam_lab::Switches;
use serde_json::{Value, json};

/// Sends every documented operation with its documented examples; answers those that fail.
fn unreached(lab: &cofferdam_lab::Lab) -> (usize, Vec<String>) {
    let document = get(lab, "/openapi.json", "").json();
    let (mut count, mut failed) = (0, Vec::new());
    let job = send(
        lab,
        "POST",
        "/v1/jobs",
        alice(lab),
        &json!({
        "name": "sample", "image": "allowed/app:1", "command": ["echo", "done"]}),
    )
    .json();
    for (template, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let (mut path, mut query) = (template.clone(), Vec::new());
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let (name, mut value) = (
                    parameter["name"].as_str().unwrap(),
                    parameter["example"].as_str().unwrap(),
                );
                if template.starts_with("/v1/jobs/") {
                    value = job["id"].as_str().unwrap();
                }
                match parameter["in"].as_str() {
                    Some("path") => path = path.replace(&format!("{{{name}}}"), value),
                    _ => query.push(format!("{name}={value}")),
                }
            }
            if !query.is_empty() {
                path = format!("{path}?{}", query.join("&"));
            }
            let token = match template.starts_with("/legacy/") {
                true => &lab.identities()["acme-ci"],
                false => alice(lab),
            };
            let body = &operation["requestBody"]["content"]["application/json"]["example"];
            let answer = send(lab, &method.to_uppercase(), &path, token, body);
            count += 1;
            if operation["responses"]
                .get(answer.status.to_string())
                .is_none()
                || answer.status >= 300
            {
                failed.push(format!("{method} {template}: {}", answer.status));
            }
        }
    }
    (count, failed)
}

#[test]
fn an_ordinary_token_reaches_all_operations_but_the_administrators() {
    let lab = hardened();
    let (count, failed) = unreached(&lab);
    assert!(count >= 25, "{count}");
    assert_eq!(failed, ["get /v1/admin/tenants: 403"]);
}

#[test]
fn the_vulnerable_lab_answers_everything_too() {
    let lab = lab(Switches::all_open());
    let (_, failed) = unreached(&lab);
    assert_eq!(failed, Vec::<String>::new());
}

#[test]
fn every_protected_operation_refuses_who_has_no_token_before_it_looks_at_the_request() {
    let lab = hardened();
    let document = get(&lab, "/openapi.json", "").json();
    for (template, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["security"] == json!([]) || template == "/v1/account" {
                continue;
            }
            let path = template.replace("{id}", "x");
            for token in ["", "garbage"] {
                let answer = send(
                    &lab,
                    &method.to_uppercase(),
                    &path,
                    token,
                    &json!({"wrong": 1}),
                );
                assert_eq!(answer.status, 401, "{method} {template} with `{token}`");
                // The problem details are the guard's; handlers answer plain JSON.
                let kind = answer.header("content-type").unwrap();
                let by_guard = kind == "application/problem+json";
                let opaque = template.starts_with("/legacy/");
                assert_eq!(by_guard, !opaque, "{method} {template}: {kind}");
            }
        }
    }
}

#[test]
fn what_is_not_declared_is_not_there() {
    let lab = hardened();
    assert_eq!(get(&lab, "/v1/nothing", alice(&lab)).status, 404);
    let other_method = send(&lab, "PUT", "/v1/jobs", alice(&lab), &json!({}));
    assert_eq!(
        (other_method.status, other_method.header("allow")),
        (405, Some("GET, POST"))
    );
}

#[test]
fn tenants_see_their_own() {
    let lab = hardened();
    for (token, tenant) in [(alice(&lab), "acme"), (bob(&lab), "globex")] {
        let list = get(&lab, "/v1/containers", token).json();
        let containers = list["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 2);
        assert!(
            containers
                .iter()
                .all(|container| container["tenant"] == tenant)
        );
    }
    let job = json!({"name": "one", "image": "allowed/app:1", "command": ["echo", "hi"]});
    let made = send(&lab, "POST", "/v1/jobs", alice(&lab), &job).json();
    let path = format!("/v1/jobs/{}", made["id"].as_str().unwrap());
    assert_eq!(get(&lab, &path, bob(&lab)).status, 404);
    assert_eq!(
        send(&lab, "DELETE", &path, bob(&lab), &Value::Null).status,
        404
    );
    assert_eq!(
        send(&lab, "DELETE", &path, alice(&lab), &Value::Null).status,
        204
    );
    assert_eq!(get(&lab, &path, alice(&lab)).status, 404);
}

#[test]
fn a_host_or_origin_that_is_not_its_own_is_refused() {
    let lab = lab(Switches::all_open());
    let own = lab.base_url().replace("http://", "");
    let port = own.rsplit(':').next().unwrap();
    let ask = |head: &str| {
        raw(
            &lab,
            &format!("GET /healthz HTTP/1.1\r\n{head}Connection: close\r\n\r\n"),
        )
        .status
    };
    assert_eq!(ask(&format!("Host: {own}\r\n")), 200);
    assert_eq!(ask(&format!("Host: localhost:{port}\r\n")), 200);
    assert_eq!(
        ask(&format!("Host: {own}\r\nOrigin: http://{own}\r\n")),
        200
    );
    for host in ["evil.example", "127.0.0.1", "localhost", "127.0.0.1:1"] {
        assert_eq!(ask(&format!("Host: {host}\r\n")), 421, "{host}");
    }
    assert_eq!(ask(&format!("Host: evil.example:{port}\r\n")), 421);
    for origin in ["http://evil.example", "null", &format!("https://{own}")] {
        assert_eq!(
            ask(&format!("Host: {own}\r\nOrigin: {origin}\r\n")),
            403,
            "{origin}"
        );
    }
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let lab = hardened();
    let body = json!({"prompt": "x".repeat(70_000)});
    assert_eq!(
        send(&lab, "POST", "/v1/assistant", alice(&lab), &body).status,
        413
    );
}

#[test]
fn a_tenant_has_at_most_fifty_jobs() {
    let lab = hardened();
    let job = json!({"name": "many", "image": "allowed/app:1", "command": ["true"]});
    for _ in 0..53 {
        assert_eq!(
            send(&lab, "POST", "/v1/jobs", alice(&lab), &job).status,
            201
        );
    }
    let jobs = get(&lab, "/v1/jobs", alice(&lab)).json();
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 50);
}

#[test]
fn stopping_leaves_nothing_behind() {
    let lab = lab(Switches::all_open());
    let address = lab.base_url().replace("http://", "");
    let engine = lab.engine_tcp().unwrap();
    let (root, socket) = (
        lab.container_root().to_owned(),
        lab.engine_socket().to_owned(),
    );
    assert!(root.exists() && socket.exists());
    lab.stop();
    assert!(!root.exists() && !socket.exists());
    assert!(std::net::TcpStream::connect(address).is_err());
    assert!(std::net::TcpStream::connect(engine).is_err());
}

#[test]
fn two_labs_with_one_key_take_each_others_tokens() {
    let first = hardened();
    let second = cofferdam_lab::Lab::start(cofferdam_lab::LabOptions {
        signing_key_pem: Some(first.signing_key_pem().to_owned()),
        ..Default::default()
    })
    .unwrap();
    assert_eq!(get(&second, "/v1/containers", alice(&first)).status, 200);
}
