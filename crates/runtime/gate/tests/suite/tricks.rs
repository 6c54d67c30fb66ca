//! The tricks of the escape requests around a harmless body, byte for byte on the wire: each is
//! refused, and the broker hears of no action.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cofferdam_action::refusal::Rule;
use serde_json::Value;

use crate::broker::Broker;
use crate::client::{Answer, connect, request};
use crate::gate::{Gate, Place};

const HARMLESS: &[u8] = br#"{"Image":"allowed/app:1","Cmd":["true"],"HostConfig":{"Memory":0}}"#;
const JSON: &str = "Content-Type: application/json\r\n";

struct Lab {
    gate: Gate,
    broker: Broker,
    token: String,
}

impl Lab {
    async fn new() -> Lab {
        let place = Place::new();
        let broker = Broker::plain(place.path());
        let limits = "[limits]\nrequests_per_second = 100000\nburst = 100000";
        let gate = place.gate("", limits).await;
        let token = gate.token("alice");
        Lab {
            gate,
            broker,
            token,
        }
    }

    /// The first answer to these bytes, which must not be a good one.
    async fn refused(&self, wire: &[u8]) -> Answer {
        let mut client = connect(self.gate.address).await;
        client.send(wire).await;
        let answer = client.answer(wire.starts_with(b"HEAD ")).await;
        let shown = String::from_utf8_lossy(&wire[..wire.len().min(300)]).into_owned();
        assert!(
            (400..=505).contains(&answer.status),
            "{shown}: {}",
            answer.head
        );
        assert!(self.broker.actions().is_empty(), "{shown}");
        answer
    }

    /// The head of a request with a token, spelt by hand.
    fn head(&self, line: &str, headers: &str) -> Vec<u8> {
        format!(
            "{line}\r\nHost: d\r\nAuthorization: Bearer {}\r\n{headers}\r\n",
            self.token
        )
        .into_bytes()
    }
}

/// The escape requests of one class.
fn class(name: &str) -> Vec<Value> {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../action/tests/data/escape_requests.json"
    );
    let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let requests = document["requests"].as_array().unwrap();
    let chosen = requests.iter().filter(|request| request["class"] == name);
    chosen.cloned().collect()
}

fn text<'v>(entry: &'v Value, key: &str) -> &'v str {
    entry[key].as_str().unwrap()
}

fn headers(entry: &Value) -> String {
    let headers = entry["headers"].as_object().into_iter().flatten();
    headers
        .map(|(name, value)| format!("{name}: {}\r\n", value.as_str().unwrap()))
        .collect()
}

fn body(entry: &Value) -> Vec<u8> {
    match (
        &entry["body"],
        entry["body_text"].as_str(),
        entry["body_base64"].as_str(),
    ) {
        (_, Some(text), _) => text.as_bytes().to_vec(),
        (_, _, Some(coded)) => BASE64_STANDARD.decode(coded).unwrap(),
        (Value::Null, _, _) => Vec::new(),
        (body, _, _) => body.to_string().into_bytes(),
    }
}

#[tokio::test]
async fn the_harmless_body_alone_goes_through() {
    let lab = Lab::new().await;
    let mut client = connect(lab.gate.address).await;
    let wire = request(
        "POST",
        "/v1.41/containers/create",
        &lab.token,
        JSON,
        HARMLESS,
    );
    client.send(wire).await;
    assert_eq!(client.answer(false).await.status, 200);
    assert_eq!(lab.broker.actions().len(), 1);
}

#[tokio::test]
async fn path_tricks_are_refused_around_it() {
    let lab = Lab::new().await;
    let mut tried = 0;
    for entry in class("path-differential") {
        // An unversioned path is no trick.
        if entry["id"] == "path-001" {
            continue;
        }
        let wire = request("POST", text(&entry, "path"), &lab.token, JSON, HARMLESS);
        lab.refused(&wire).await;
        let (_, rule) = lab.broker.refusals().pop().unwrap();
        assert!(
            matches!(rule, Rule::Target | Rule::Version),
            "{}: {rule}",
            entry["path"]
        );
        tried += 1;
    }
    assert_eq!(tried, 14);
}

#[tokio::test]
async fn other_spellings_of_a_target_are_refused() {
    let lab = Lab::new().await;
    for target in [
        "http://evil/containers/json",
        "HTTP://d/containers/json",
        "//containers/json",
        "//d/containers/json",
        "/v1.41//containers/json",
        "/v1.41/./containers/json",
        "/v1.41/x/../containers/json",
        "/containers/%6ason",
        "/containers%2fjson",
        "/containers/json/",
        "/containers/json#x",
        "/containers/json?#x",
        "/containers/json?all=1#x",
        "/containers/json;x",
        "/V1.41/containers/json",
        "/v1.041/containers/json",
        "/containers/json%00",
        "/containers/json?a=;",
        "/containers\\json",
        "/containers/\u{e9}/json",
        "containers/json",
        "d:2375",
        "*",
        "?containers/json",
        "#/containers/json",
    ] {
        lab.refused(&lab.head(&format!("GET {target} HTTP/1.1"), ""))
            .await;
    }
    for line in [
        "get /containers/json HTTP/1.1",
        "Get /containers/json HTTP/1.1",
        "GET /containers/json HTTP/1.0",
        "GET /containers/json HTTP/2.0",
        "GET /containers/json",
        "GET  /containers/json HTTP/1.1",
        "GET /containers/json  HTTP/1.1",
        "GET\t/containers/json HTTP/1.1",
        " GET /containers/json HTTP/1.1",
        "CONNECT d:2375 HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "OPTIONS /containers/json HTTP/1.1",
        "TRACE /containers/json HTTP/1.1",
        "PRI * HTTP/2.0",
    ] {
        lab.refused(&lab.head(line, "")).await;
    }
    let bad = [
        &b"GET /containers/json\0 HTTP/1.1\r\n"[..],
        b"GET /\xff\xfe HTTP/1.1\r\n",
    ];
    for line in bad {
        let rest = lab.head("", "");
        lab.refused(&[line, &rest[2..]].concat()).await;
    }
}

#[tokio::test]
async fn http_tricks_are_refused_around_it() {
    let lab = Lab::new().await;
    let mut tried = 0;
    for entry in class("http-differential") {
        let headers = headers(&entry);
        let json = if headers.to_ascii_lowercase().contains("content-type") {
            ""
        } else {
            JSON
        };
        let headers = format!("{json}{headers}");
        let target = text(&entry, "path");
        let wire = match entry["transport"].as_str() {
            Some("cl0") => {
                let headers = format!("{headers}Content-Length: 0\r\n");
                [
                    request("POST", target, &lab.token, &headers, b""),
                    HARMLESS.to_vec(),
                ]
                .concat()
            }
            _ if headers.to_ascii_lowercase().contains("transfer-encoding") => {
                let chunk = format!("{:x}\r\n", HARMLESS.len()).into_bytes();
                let head = request("POST", target, &lab.token, &headers, b"");
                [head, chunk, HARMLESS.to_vec(), b"\r\n0\r\n\r\n".to_vec()].concat()
            }
            _ => request("POST", target, &lab.token, &headers, HARMLESS),
        };
        lab.refused(&wire).await;
        tried += 1;
    }
    assert_eq!(tried, 9);
}

#[tokio::test]
async fn a_body_has_one_length() {
    let lab = Lab::new().await;
    let line = "POST /containers/create HTTP/1.1";
    let length = HARMLESS.len();
    let chunked = [
        format!("{length:x}\r\n").as_bytes(),
        HARMLESS,
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    let tar = "Content-Type: application/x-tar\r\n";
    let archive = "PUT /containers/mine/archive?path=/ HTTP/1.1";
    for (line, headers, body) in [
        (
            line,
            format!("{JSON}Content-Length: {length}\r\nContent-Length: {length}\r\n"),
            HARMLESS,
        ),
        (
            line,
            format!("{JSON}Content-Length: {length}\r\nContent-Length: 0\r\n"),
            HARMLESS,
        ),
        (
            line,
            format!("{JSON}Content-Length: +{length}\r\n"),
            HARMLESS,
        ),
        (
            line,
            format!("{JSON}Content-Length: {length}, {length}\r\n"),
            HARMLESS,
        ),
        (
            line,
            format!("{JSON}Content-Length: 0x{length:x}\r\n"),
            HARMLESS,
        ),
        (
            line,
            format!("{JSON}Content-Length : {length}\r\n"),
            HARMLESS,
        ),
        (
            line,
            format!("{JSON}Content-Length:\r\n {length}\r\n"),
            HARMLESS,
        ),
        (
            line,
            format!("{JSON}Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
            &chunked,
        ),
        (
            line,
            format!("{JSON}Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
            &chunked,
        ),
        (
            line,
            format!("{JSON}Transfer-Encoding: gzip, chunked\r\n"),
            &chunked,
        ),
        (
            line,
            format!("{JSON}Transfer-Encoding: chunked, identity\r\n"),
            HARMLESS,
        ),
        (
            line,
            format!("{JSON}Transfer-Encoding: xchunked\r\n"),
            &chunked,
        ),
        (
            line,
            format!("{JSON}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            &chunked,
        ),
        (
            archive,
            format!("{tar}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
            &chunked,
        ),
        (
            archive,
            format!("{tar}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
            &chunked,
        ),
        (
            archive,
            format!("{tar}Transfer-Encoding: gzip, chunked\r\n"),
            &chunked,
        ),
    ] {
        lab.refused(&[&lab.head(line, &headers), body].concat())
            .await;
    }
}

#[tokio::test]
async fn a_header_that_would_count_twice_or_name_another_route_is_refused() {
    let lab = Lab::new().await;
    for headers in [
        "Host: other\r\n",
        "X-HTTP-Method-Override: DELETE\r\n",
        "X-Original-URL: /build\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Expect: 100-continue\r\n",
        "X-Folded: a\r\n b\r\n",
        "X Space: a\r\n",
        "X-Colon : a\r\n",
        ": a\r\n",
        "X-Bare: a\rb\r\n",
        "X-Nul: a\0b\r\n",
    ] {
        lab.refused(&lab.head("GET /containers/json HTTP/1.1", headers))
            .await;
    }
    // Without a host there is no request (RFC 9112 section 3.2).
    let head = format!(
        "GET /containers/json HTTP/1.1\r\nAuthorization: Bearer {}\r\n\r\n",
        lab.token
    );
    lab.refused(head.as_bytes()).await;
}

#[tokio::test]
async fn json_and_form_tricks_are_refused_as_they_stand() {
    let lab = Lab::new().await;
    for name in ["json-differential", "form-body"] {
        let entries = class(name);
        assert!(!entries.is_empty());
        for entry in entries {
            let headers = headers(&entry);
            let typed = headers.to_ascii_lowercase().contains("content-type");
            let headers = format!("{}{headers}", if typed { "" } else { JSON });
            let wire = request(
                text(&entry, "method"),
                text(&entry, "path"),
                &lab.token,
                &headers,
                &body(&entry),
            );
            lab.refused(&wire).await;
        }
    }
}

#[tokio::test]
async fn lines_that_end_without_a_carriage_return_hide_nothing() {
    let lab = Lab::new().await;
    // Both readers of a head end it at the first empty line, however its lines end.
    let wire = format!(
        "GET /containers/json?#x HTTP/1.1\nHost: d\nAuthorization: Bearer {}\n\nGET /info HTTP/1.1\r\n\r\n",
        lab.token
    );
    lab.refused(wire.as_bytes()).await;
}
