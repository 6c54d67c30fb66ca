//! An issuer, a guard that trusts it, and a real server on loopback.

#![allow(dead_code, reason = "each test file uses what it needs")]
#![allow(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cofferdam_guard::Guard;
use cofferdam_guard::token::{Algorithm, IssuerPolicy, Verifier};
use cofferdam_issuer::{Issuer, SigningKey, TokenBuilder};

pub(crate) const AUDIENCE: &str = "https://containers.test";

pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

pub(crate) fn issuer() -> Issuer {
    Issuer::new(
        "https://idp.test",
        SigningKey::generate(Algorithm::Es256).unwrap(),
    )
}

pub(crate) fn verifier(issuer: &Issuer) -> Verifier {
    let policy = IssuerPolicy::new(issuer.url(), issuer.key_set()).audience(AUDIENCE);
    Verifier::new([policy]).unwrap().cache(64)
}

pub(crate) fn guard(issuer: &Issuer) -> Guard {
    Guard::new(verifier(issuer)).realm("containers")
}

pub(crate) fn token<'i>(issuer: &'i Issuer, scopes: &str) -> TokenBuilder<'i> {
    issuer.token("alice").audience(AUDIENCE).scope(scopes)
}

pub(crate) fn bearer(issuer: &Issuer, scopes: &str) -> (&'static str, String) {
    (
        "authorization",
        format!("Bearer {}", token(issuer, scopes).mint(now()).unwrap()),
    )
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// All values of a field, its name in lower case.
    pub(crate) fn fields(&self, name: &str) -> Vec<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(each, _)| each.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }
}

/// Sends bytes as they are over a new connection and reads until the server closes it.
pub(crate) async fn exchange(address: SocketAddr, request: Vec<u8>) -> Answer {
    actix_web::web::block(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        // The server may refuse and close before it has read everything.
        let _ = stream.write_all(&request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        Answer {
            status,
            head: head.to_owned(),
            body: body.to_owned(),
        }
    })
    .await
    .unwrap()
}

/// A request with these fields and no body.
pub(crate) async fn send(address: SocketAddr, line: &str, fields: &[(&str, &str)]) -> Answer {
    let mut request = format!("{line} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in fields {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    exchange(address, request.into_bytes()).await
}
