//! The client at a gate of the test's own: how long it waits, for what, and with which certificate.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use cofferdam_client::action::{Action, LogsQuery};
use cofferdam_client::name::ContainerRef;
use cofferdam_client::rustls::pki_types::pem::PemObject as _;
use cofferdam_client::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use cofferdam_client::rustls::server::WebPkiClientVerifier;
use cofferdam_client::rustls::{self, ClientConfig, RootCertStore, ServerConfig};
use cofferdam_client::{Error, Gate};

/// How long the client waits where it does not wait without end.
const SHORT: Duration = Duration::from_millis(50);

/// Serves connections as `serve` says, each in a thread of its own, and answers the port.
fn listen(serve: impl Fn(std::net::TcpStream) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream.unwrap()));
        }
    });
    port
}

/// The first line of a request, of which the rest of the head is read.
fn request(stream: &mut impl Read) -> String {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(lines.any(|line| line.unwrap().is_empty()));
    first
}

fn container() -> ContainerRef {
    ContainerRef::parse("db").unwrap()
}

fn inspect() -> Action {
    Action::ContainerInspect {
        container: container(),
        size: false,
    }
}

fn logs() -> Action {
    Action::ContainerLogs(LogsQuery {
        container: container(),
        stdout: true,
        stderr: false,
        follow: true,
        timestamps: false,
        since: None,
        until: None,
        tail: None,
    })
}

fn gate(port: u16) -> Gate {
    let url = format!("http://127.0.0.1:{port}");
    let gate = Gate::with_roots(&url, RootCertStore::empty()).unwrap();
    gate.timeout(SHORT)
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_are_silent_are_waited_for_and_an_inspect_is_not() {
    let (asked, mut came) = tokio::sync::mpsc::unbounded_channel();
    let (speak, speaks) = mpsc::channel::<()>();
    let speaks = Arc::new(std::sync::Mutex::new(speaks));
    let port = listen(move |mut stream| {
        let request = request(&mut stream);
        let is_logs = request.contains("/logs");
        asked.send(request).unwrap();
        if is_logs {
            speaks.lock().unwrap().recv().unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
            stream.write_all(answer).unwrap();
        } else {
            // Until the client goes away.
            let _ = stream.read(&mut [0; 1]);
        }
    });
    let caller = gate(port).caller("t");
    let follower = caller.clone();
    let following = tokio::spawn(async move { follower.act(&logs()).await?.bytes().await });
    assert!(came.recv().await.unwrap().contains("/logs"));
    let inspected = caller.act(&inspect()).await;
    assert!(matches!(inspected, Err(Error::Timeout(SHORT))));
    // By now the logs have been silent for longer than that.
    assert!(!following.is_finished());
    speak.send(()).unwrap();
    assert_eq!(following.await.unwrap().unwrap().as_ref(), b"hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_stops_halfway_is_given_up_where_it_is_read_whole() {
    let port = listen(|mut stream| {
        request(&mut stream);
        let half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"Id\"";
        stream.write_all(half).unwrap();
        // Until the client goes away.
        let _ = stream.read(&mut [0; 1]);
    });
    let caller = gate(port).caller("t");
    let reply = caller.act(&inspect()).await.unwrap();
    let read = reply.json::<serde_json::Value>().await;
    assert!(matches!(read, Err(Error::Timeout(SHORT))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_that_does_not_end_is_the_refusal_that_its_head_says() {
    let port = listen(|mut stream| {
        request(&mut stream);
        let half = b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\n{";
        stream.write_all(half).unwrap();
        let _ = stream.read(&mut [0; 1]);
    });
    // Logs may take their time; a refusal of them may not.
    match gate(port).caller("t").act(&logs()).await {
        Err(Error::Refused(problem)) => assert_eq!(problem.status, 404),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_the_services_own_is_shown_to_the_gate() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../gate/tests/data");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let certificates = |name: &str| -> Vec<CertificateDer<'static>> {
        let certificates = CertificateDer::pem_file_iter(format!("{data}/{name}.pem")).unwrap();
        certificates.collect::<Result<_, _>>().unwrap()
    };
    let key = |name: &str| PrivateKeyDer::from_pem_file(format!("{data}/{name}.key")).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates("ca"));

    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots.clone().into(), provider.clone());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(certificates("server"), key("server"))
        .unwrap();
    let server = Arc::new(server);
    let port = listen(move |stream| {
        let session = rustls::ServerConnection::new(Arc::clone(&server)).unwrap();
        let mut stream = rustls::StreamOwned::new(session, stream);
        // Whoever shows no certificate has no request read.
        if stream.conn.complete_io(&mut stream.sock).is_err() {
            return;
        }
        request(&mut stream);
        let shown = stream.conn.peer_certificates().unwrap()[0].len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n{shown:4}");
        stream.write_all(answer.as_bytes()).unwrap();
    });

    let url = format!("https://localhost:{port}");
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots.clone());
    let own = certificates("client");
    let length = own[0].len();
    let mut tls = builder.with_client_auth_cert(own, key("client")).unwrap();
    // What a service sets up for other servers does no harm.
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let gate = Gate::with_tls(&url, tls).unwrap();
    let reply = gate.caller("t").act(&inspect()).await.unwrap();
    assert_eq!(reply.json::<usize>().await.unwrap(), length);

    let without = Gate::with_roots(&url, roots).unwrap();
    let refused = without.caller("t").act(&inspect()).await;
    assert!(matches!(refused, Err(Error::Connect(_))));
}
