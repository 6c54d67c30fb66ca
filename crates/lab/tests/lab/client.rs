//! A lab and a client that sends what it is told, byte for byte.

use cofferdam_issuer::SigningKey;
use cofferdam_lab::{Hole, Lab, LabOptions, Switches};
use cofferdam_token::Algorithm;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

pub(crate) fn lab(switches: Switches) -> Lab {
    // One key for all: making one takes longer than all else that a lab does.
    static KEY: LazyLock<String> = LazyLock::new(|| {
        let key = SigningKey::generate(Algorithm::Rs256).unwrap();
        key.to_pem().unwrap()
    });
    Lab::start(LabOptions {
        signing_key_pem: Some(KEY.clone()),
        switches,
        shell_helper: Some(PathBuf::from(env!("CARGO_BIN_EXE_cofferdam-lab-shell"))),
        ..LabOptions::default()
    })
    .unwrap()
}

pub(crate) fn only(hole: Hole) -> Lab {
    lab(Switches::only(hole))
}

pub(crate) fn with(holes: &[Hole]) -> Lab {
    lab(holes.iter().copied().collect())
}

pub(crate) fn hardened() -> Lab {
    lab(Switches::all_closed())
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).first().copied()
    }

    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }
}

pub(crate) fn raw(lab: &Lab, request: &str) -> Answer {
    let address = lab.base_url().replace("http://", "");
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let body = match head.to_lowercase().contains("transfer-encoding: chunked") {
        true => dechunk(body),
        false => body.to_owned(),
    };
    Answer {
        status: status.unwrap_or_else(|| panic!("no HTTP: {text}")),
        head: head.to_owned(),
        body,
    }
}

fn dechunk(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        out.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
    out
}

/// One request with a bearer token (none when it is empty) and a JSON body (none when it is null).
pub(crate) fn send(lab: &Lab, method: &str, path: &str, token: &str, body: &Value) -> Answer {
    let host = lab.base_url().replace("http://", "");
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    if !token.is_empty() {
        request.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    match body {
        Value::Null => request.push_str("\r\n"),
        body => {
            let body = body.to_string();
            request.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ));
        }
    }
    raw(lab, &request)
}

pub(crate) fn get(lab: &Lab, path: &str, token: &str) -> Answer {
    send(lab, "GET", path, token, &Value::Null)
}

pub(crate) fn post(lab: &Lab, path: &str, token: &str, body: Value) -> Answer {
    send(lab, "POST", path, token, &body)
}

pub(crate) fn alice(lab: &Lab) -> &str {
    &lab.identities()["alice"]
}

pub(crate) fn bob(lab: &Lab) -> &str {
    &lab.identities()["bob"]
}

/// A listener that answers one request and tells what was asked.
pub(crate) fn callback() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        let mut part = [0; 4096];
        loop {
            let length = stream.read(&mut part).unwrap();
            asked.extend_from_slice(&part[..length]);
            let text = String::from_utf8_lossy(&asked).into_owned();
            let whole = match text.split_once("\r\n\r\n") {
                Some((head, body)) => {
                    let length = head
                        .to_lowercase()
                        .lines()
                        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                    body.len() >= length.unwrap_or(0)
                }
                None => false,
            };
            if whole || length == 0 {
                break;
            }
        }
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\ncanary-1";
        stream.write_all(answer.as_bytes()).unwrap();
        // The test may have ended without asking.
        let _ = sender.send(String::from_utf8_lossy(&asked).into_owned());
    });
    (url, receiver)
}
