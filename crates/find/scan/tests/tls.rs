//! A target behind TLS: trusted by the authority that the user names, refused otherwise, accepted
//! with `insecure`, and reached through a proxy's tunnel.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, also in its helpers"
)]

use cofferdam_scan::{Identity, Limits, Scan, ScanError, ScanOptions, SpecSource, Target, scan};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

const AUTHORITY: &[u8] = include_bytes!("data/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("data/server.pem");
const KEY: &[u8] = include_bytes!("data/server.key.pem");

/// A service behind TLS on loopback. It runs as long as the test.
async fn server() -> Target {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()],
            PrivateKeyDer::from_pem_slice(KEY).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let _ = converse(stream).await;
                }
            });
        }
    });
    Target::parse(&format!("https://localhost:{port}")).unwrap()
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let status = match (head.starts_with("GET /ok "), head.contains("good-token")) {
            (true, true) => "200 OK",
            (true, false) => "401 Unauthorized",
            _ => "404 Not Found",
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}");
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// A proxy that only makes tunnels.
async fn proxy() -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    stream.read_line(&mut head).await.unwrap();
                }
                let place = head
                    .strip_prefix("CONNECT ")
                    .unwrap()
                    .split(' ')
                    .next()
                    .unwrap();
                let mut target = TcpStream::connect(place).await.unwrap();
                stream
                    .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    .await
                    .unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut target).await;
            });
        }
    });
    Target::parse(&base).unwrap()
}

async fn run(target: &Target, change: impl FnOnce(&mut ScanOptions)) -> Result<Scan, ScanError> {
    let mut options = ScanOptions::new(target.clone());
    options.identities = vec![Identity::new("alice", "good-token-of-alice")];
    options.spec = Some(SpecSource::File {
        name: "api.json".to_owned(),
        text: r#"{"openapi":"3.1.0","paths":{"/ok":{"get":{}}}}"#.to_owned(),
    });
    options.limits = Limits {
        timeout: Duration::from_secs(10),
        ..options.limits
    };
    change(&mut options);
    scan(options, |_| {}, CancellationToken::new()).await
}

fn reached(scan: &Scan) -> Vec<Option<u16>> {
    scan.operations[0]
        .reached
        .iter()
        .map(|one| one.status)
        .collect()
}

#[tokio::test]
async fn an_authority_that_the_user_names_is_trusted() {
    let target = server().await;
    let scan = run(&target, |options| options.ca = Some(AUTHORITY.to_vec()))
        .await
        .unwrap();
    assert_eq!(reached(&scan), [Some(401), Some(401), Some(200)]);
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_the_error_says_so() {
    let target = server().await;
    let error = run(&target, |_| {}).await.unwrap_err();
    let text = error.to_string();
    // A machine without any root says that; one with roots does not know this one.
    assert!(
        text.contains("TLS") && (text.contains("certificate") || text.contains("UnknownIssuer")),
        "{text}"
    );
    let error = run(&target, |options| options.ca = Some(b"no pem".to_vec()))
        .await
        .unwrap_err();
    assert!(matches!(error, ScanError::Tls(_)));
}

#[tokio::test]
async fn insecure_accepts_any_certificate() {
    let target = server().await;
    let scan = run(&target, |options| options.insecure = true)
        .await
        .unwrap();
    assert_eq!(reached(&scan), [Some(401), Some(401), Some(200)]);
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel() {
    let (target, proxy) = (server().await, proxy().await);
    let scan = run(&target, |options| {
        options.ca = Some(AUTHORITY.to_vec());
        options.proxy = Some(proxy);
    })
    .await
    .unwrap();
    assert_eq!(reached(&scan), [Some(401), Some(401), Some(200)]);
}
