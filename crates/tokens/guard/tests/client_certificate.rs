//! Tokens that are bound to the certificate of a real rustls connection (RFC 8705).

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use actix_web::HttpServer;
use cofferdam_guard::token::base64url;
use cofferdam_guard::{ClientCertificate, Principal, get, resource, scope, sender_bound};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use serde_json::json;
use support::{guard, issuer, now, token};

fn pem(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/");
    std::fs::read(format!("{folder}{name}")).unwrap()
}

fn certificate(who: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(&pem(&format!("{who}.pem"))).unwrap()
}

fn key(who: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(&pem(&format!("{who}.key"))).unwrap()
}

fn roots() -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate("ca")).unwrap();
    Arc::new(roots)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn server_configuration() -> ServerConfig {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(), provider())
        .allow_unauthenticated()
        .build()
        .unwrap();
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate("server")], key("server"))
        .unwrap()
}

/// The status and body of one request, with the certificate of `who` or none.
async fn ask(address: SocketAddr, who: Option<&'static str>, bearer: String) -> String {
    actix_web::web::block(move || {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots());
        let configuration = match who {
            Some(who) => builder.with_client_auth_cert(vec![certificate(who)], key(who)).unwrap(),
            None => builder.with_no_client_auth(),
        };
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(configuration), name).unwrap();
        let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
        let request = format!(
            "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: {bearer}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A server that closes without a word of farewell is no error here.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap_or_default();
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        format!("{status} {body}")
    })
    .await
    .unwrap()
}

#[actix_web::test]
async fn a_token_passes_on_the_connection_of_its_certificate_alone() {
    let issuer = issuer();
    let guard = guard(&issuer);
    let server = HttpServer::new(move || {
        let who = async |principal: Principal| principal.subject().unwrap_or_default().to_owned();
        let needed = scope("containers:read").and(sender_bound());
        guard
            .app()
            .service(resource("/").route(get().to(who).require(needed)))
            .build()
    })
    .workers(1)
    .on_connect(ClientCertificate::remember)
    .bind_rustls_0_23(("127.0.0.1", 0), server_configuration())
    .unwrap();
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());

    let bound_to = |who: &str| {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate(who).as_ref());
        let token = token(&issuer, "containers:read").claim(
            "cnf",
            json!({ "x5t#S256": base64url::encode(hash.as_ref()) }),
        );
        format!("Bearer {}", token.mint(now()).unwrap())
    };
    let bearer = bound_to("client");
    // Twice, since the second verdict comes from the cache.
    for _ in 0..2 {
        assert_eq!(
            ask(address, Some("client"), bearer.clone()).await,
            "200 alice"
        );
        for who in [None, Some("server")] {
            let answer = ask(address, who, bearer.clone()).await;
            assert!(answer.starts_with("401 "), "{who:?}: {answer}");
        }
    }
    let unbound = format!(
        "Bearer {}",
        token(&issuer, "containers:read").mint(now()).unwrap()
    );
    let answer = ask(address, Some("client"), unbound).await;
    assert!(answer.starts_with("401 "), "{answer}");
}
