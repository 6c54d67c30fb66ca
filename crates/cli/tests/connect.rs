//! `cofferdam connect`: requests, hijacks and half-close through the real binary.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use common::Cofferdam;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Output};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// A gate that tells which heads it saw. It answers plain requests with a body, and carries what
/// comes after an `Upgrade` back in upper case, with a last word once the client has ended.
struct Gate {
    port: u16,
    heads: mpsc::Receiver<String>,
}

impl Gate {
    fn start(tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, heads) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (sender, tls) = (sender.clone(), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(stream.unwrap(), &sender),
                    Some(config) => {
                        let session = rustls::ServerConnection::new(config).unwrap();
                        serve(rustls::StreamOwned::new(session, stream.unwrap()), &sender);
                    }
                });
            }
        });
        Self { port, heads }
    }

    fn head(&self) -> String {
        self.heads.recv_timeout(Duration::from_secs(10)).unwrap()
    }
}

fn serve(stream: impl Read + Write, heads: &mpsc::Sender<String>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let hijack = head.contains("\r\nupgrade: tcp\r\n");
        heads.send(head).unwrap();
        if !hijack {
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            let sink = stream.get_mut();
            sink.write_all(answer.as_bytes()).unwrap();
            sink.write_all(&body).unwrap();
            sink.flush().unwrap();
            continue;
        }
        let switch = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
        stream.get_mut().write_all(switch.as_bytes()).unwrap();
        stream.get_mut().flush().unwrap();
        let mut line = String::new();
        while stream.read_line(&mut line).unwrap() > 0 {
            let loud = line.to_uppercase();
            stream.get_mut().write_all(loud.as_bytes()).unwrap();
            stream.get_mut().flush().unwrap();
            line.clear();
        }
        stream.get_mut().write_all(b"the last word\n").unwrap();
        stream.get_mut().flush().unwrap();
        return;
    }
}

/// The real binary, connected to a gate. It ends with this.
struct Connect {
    cofferdam: Cofferdam,
    child: Child,
    socket: PathBuf,
}

impl Connect {
    fn start(to: &str, more: &[&str]) -> Self {
        let cofferdam = Cofferdam::new();
        cofferdam.file("token", "first.token\n");
        let mut args = vec!["connect", "--to", to, "--token-file", "token"];
        args.extend(["--socket", "docker.sock"]);
        args.extend(more);
        let mut child = cofferdam.command(&args).spawn().unwrap();
        let mut line = String::new();
        let mut told = BufReader::new(child.stdout.take().unwrap());
        told.read_line(&mut line).unwrap();
        let socket = line
            .trim_end()
            .strip_prefix("export DOCKER_HOST=unix://")
            .unwrap_or_else(|| panic!("{line}"))
            .into();
        Self {
            cofferdam,
            child,
            socket,
        }
    }

    fn open(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
    }

    /// Sends one request and reads the answer to its end, which the request asks for.
    fn ask(&self, request: &str) -> String {
        let mut stream = self.open();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Connect {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PING: &str = "GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";
const ATTACH: &str = "POST /containers/x/attach?stream=1 HTTP/1.1\r\nHost: docker\r\n\
                      Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

#[test]
fn each_request_gets_the_token_that_the_file_has_now() {
    let gate = Gate::start(None);
    let connect = Connect::start(&format!("tcp://127.0.0.1:{}", gate.port), &[]);
    assert!(connect.ask(PING).starts_with("HTTP/1.1 200 OK"));
    let head = gate.head();
    assert!(
        head.contains("authorization: Bearer first.token\r\n"),
        "{head}"
    );
    assert!(
        head.contains(&format!("host: 127.0.0.1:{}\r\n", gate.port)),
        "{head}"
    );

    connect.cofferdam.file("token", "second.token");
    let body =
        "POST /x HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    assert!(connect.ask(body).ends_with("\r\n\r\nhello"));
    assert!(
        gate.head()
            .contains("authorization: Bearer second.token\r\n")
    );

    connect.cofferdam.file("token", "");
    let answer = connect.ask(PING);
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert!(answer.contains("holds no token"), "{answer}");
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let gate = Gate::start(None);
    let connect = Connect::start(&format!("tcp://127.0.0.1:{}", gate.port), &[]);
    let mut stream = BufReader::new(connect.open());
    for _ in 0..3 {
        let request = PING.replace("Connection: close\r\n", "");
        stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).unwrap() > 0);
        }
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        gate.head();
    }
}

/// Input, its echo, the end of the input, and what comes after it.
fn hijack(connect: &Connect) {
    let mut stream = BufReader::new(connect.open());
    stream.get_mut().write_all(ATTACH.as_bytes()).unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).unwrap() > 0);
    }
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    for word in ["one\n", "two\n"] {
        stream.get_mut().write_all(word.as_bytes()).unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        assert_eq!(line, word.to_uppercase());
    }
    stream.get_ref().shutdown(Shutdown::Write).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "the last word\n");
}

#[test]
fn a_hijacked_connection_carries_both_directions_and_ends_each_by_itself() {
    let gate = Gate::start(None);
    let connect = Connect::start(&format!("tcp://127.0.0.1:{}", gate.port), &[]);
    hijack(&connect);
    assert!(
        gate.head()
            .contains("authorization: Bearer first.token\r\n")
    );
}

#[test]
fn the_same_holds_with_tls_and_only_for_a_gate_that_the_authority_vouches_for() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../find/scan/tests/data");
    let gate = Gate::start(Some(server_config(data)));
    let to = format!("https://localhost:{}", gate.port);
    let connect = Connect::start(&to, &["--ca", &format!("{data}/ca.pem")]);
    hijack(&connect);
    assert!(
        gate.head()
            .contains("authorization: Bearer first.token\r\n")
    );

    let other = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tokens/guard/tests/data/ca.pem"
    );
    let connect = Connect::start(&to, &["--ca", other]);
    let answer = connect.ask(PING);
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert!(gate.heads.try_recv().is_err());
}

fn server_config(data: &str) -> Arc<rustls::ServerConfig> {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let certificates = CertificateDer::pem_file_iter(format!("{data}/server.pem"));
    let certificates = certificates.unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{data}/server.key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    Arc::new(config)
}

#[test]
fn a_request_with_a_token_of_its_own_is_refused() {
    let gate = Gate::start(None);
    let connect = Connect::start(&format!("tcp://127.0.0.1:{}", gate.port), &[]);
    let request = PING.replace("Host:", "Authorization: Bearer other\r\nHost:");
    let answer = connect.ask(&request);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("\"message\":"), "{answer}");
    assert!(gate.heads.try_recv().is_err());
}

#[test]
fn the_socket_is_of_this_user_alone_and_goes_with_the_program() {
    let gate = Gate::start(None);
    let to = format!("tcp://127.0.0.1:{}", gate.port);
    let mut connect = Connect::start(&to, &[]);
    let mode = std::fs::metadata(&connect.socket)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let run = |args: &[&str]| -> Output {
        let mut all = vec!["connect", "--to", &to, "--token-file", "token"];
        all.extend(args);
        connect.cofferdam.run(&all)
    };
    let second = run(&["--socket", "docker.sock"]);
    assert_eq!(second.status.code(), Some(2));
    assert!(
        String::from_utf8(second.stderr)
            .unwrap()
            .contains("is served by another program")
    );
    assert_eq!(run(&["--socket", "token"]).status.code(), Some(2));
    assert_eq!(run(&[]).status.code(), Some(2));

    let process = rustix::process::Pid::from_child(&connect.child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    assert_eq!(connect.child.wait().unwrap().code(), Some(0));
    assert!(!connect.socket.exists());
}

#[test]
fn a_socket_that_another_program_has_put_in_its_place_stays() {
    let gate = Gate::start(None);
    let mut connect = Connect::start(&format!("tcp://127.0.0.1:{}", gate.port), &[]);
    std::fs::remove_file(&connect.socket).unwrap();
    let _other = std::os::unix::net::UnixListener::bind(&connect.socket).unwrap();
    let process = rustix::process::Pid::from_child(&connect.child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    assert_eq!(connect.child.wait().unwrap().code(), Some(0));
    assert!(connect.socket.exists());
}

#[test]
fn a_gate_that_is_not_there_is_told_in_the_form_that_docker_prints() {
    // A port that was free a moment ago.
    let port = TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    let connect = Connect::start(&format!("tcp://127.0.0.1:{port}"), &[]);
    let answer = connect.ask(PING);
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert!(
        answer.contains("{\"message\":\"cofferdam connect: cannot reach"),
        "{answer}"
    );
}
