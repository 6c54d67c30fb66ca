//! A client that writes bytes and reads them back: no library stands between test and wire.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What no test waits longer for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A connection with what was read of it and not taken yet.
pub(crate) struct Client<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (other, value) = line.split_once(": ")?;
            other.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The member `message` of a refusal.
    pub(crate) fn message(&self) -> String {
        let value: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        value["message"].as_str().unwrap().to_owned()
    }
}

pub(crate) async fn connect(address: SocketAddr) -> Client<TcpStream> {
    Client::new(TcpStream::connect(address).await.unwrap())
}

/// With TLS, and with the client's certificate where `who` names one.
pub(crate) async fn connect_tls(
    address: SocketAddr,
    who: Option<&str>,
) -> std::io::Result<Client<TlsStream<TcpStream>>> {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    let certificate =
        |who: &str| CertificateDer::from_pem_file(format!("{data}/{who}.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate("ca")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match who {
        None => builder.with_no_client_auth(),
        Some(who) => {
            let key = PrivateKeyDer::from_pem_file(format!("{data}/{who}.key")).unwrap();
            builder
                .with_client_auth_cert(vec![certificate(who)], key)
                .unwrap()
        }
    };
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(address).await?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    Ok(Client::new(stream))
}

/// Asks with a token, and reads the head of the answer.
pub(crate) async fn open(
    address: SocketAddr,
    target: &str,
    token: &str,
) -> (Client<TcpStream>, Answer) {
    let mut client = connect(address).await;
    client.send(request("GET", target, token, "", b"")).await;
    let head = client.head().await;
    (client, head)
}

/// Waits until a broker has said that nobody waits for its answer any more.
pub(crate) async fn noticed(gone: &Notify) {
    let noticed = tokio::time::timeout(PATIENCE, gone.notified()).await;
    assert!(
        noticed.is_ok(),
        "nobody has noticed that the client is gone"
    );
}

/// Tries until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}");
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Writes; a gate that has closed already is no surprise.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
        let _ = self.stream.flush().await;
    }

    /// A request with a token, and without a body.
    pub(crate) async fn ask(&mut self, method: &str, target: &str, token: &str) -> Answer {
        self.send(request(method, target, token, "", b"")).await;
        self.answer(method == "HEAD").await
    }

    /// The same with a JSON body.
    pub(crate) async fn post(&mut self, target: &str, token: &str, json: &str) -> Answer {
        let type_ = "Content-Type: application/json\r\n";
        self.send(request("POST", target, token, type_, json.as_bytes()))
            .await;
        self.answer(false).await
    }

    /// Reads what there is; whether there was anything.
    pub(crate) async fn more(&mut self) -> std::io::Result<bool> {
        let read = self.stream.read_buf(&mut self.buffer);
        let count = tokio::time::timeout(PATIENCE, read).await.unwrap();
        Ok(count? > 0)
    }

    /// The head of an answer, which must come.
    pub(crate) async fn head(&mut self) -> Answer {
        loop {
            let end = self
                .buffer
                .windows(4)
                .position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                let rest = self.buffer.split_off(end + 4);
                let head = std::mem::replace(&mut self.buffer, rest);
                let head = String::from_utf8(head).unwrap();
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                return Answer {
                    status,
                    head,
                    body: Vec::new(),
                };
            }
            assert!(
                self.more().await.unwrap(),
                "no answer came: {:?}",
                self.buffer
            );
        }
    }

    /// So many bytes of what follows.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.more().await.unwrap(), "only {:?} came", self.buffer);
        }
        let rest = self.buffer.split_off(count);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// One part of a chunked body; nothing at its end.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(self.take(1).await);
        }
        let length = std::str::from_utf8(&line).unwrap().trim();
        let length = usize::from_str_radix(length, 16).unwrap();
        let bytes = self.take(length).await;
        assert_eq!(self.take(2).await, b"\r\n");
        (length > 0).then_some(bytes)
    }

    /// A whole answer.
    pub(crate) async fn answer(&mut self, bodiless: bool) -> Answer {
        let mut answer = self.head().await;
        if bodiless || [204, 304].contains(&answer.status) {
            return answer;
        }
        if let Some(length) = answer.header("content-length") {
            let length = length.parse().unwrap();
            answer.body = self.take(length).await;
        } else if answer.header("transfer-encoding").is_some() {
            while let Some(part) = self.chunk().await {
                answer.body.extend(part);
            }
        }
        answer
    }

    /// Everything until the connection ends, and whether it ended well.
    pub(crate) async fn rest(&mut self) -> (Vec<u8>, bool) {
        loop {
            match self.more().await {
                Ok(true) => {}
                Ok(false) => return (std::mem::take(&mut self.buffer), true),
                Err(_) => return (std::mem::take(&mut self.buffer), false),
            }
        }
    }

    /// Closes the half of the client.
    pub(crate) async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }
}

/// The bytes of a request. Its length is told where it has a body.
pub(crate) fn request(
    method: &str,
    target: &str,
    token: &str,
    headers: &str,
    body: &[u8],
) -> Vec<u8> {
    let length = match body.is_empty() {
        true => String::new(),
        false => format!("Content-Length: {}\r\n", body.len()),
    };
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: docker\r\nAuthorization: Bearer {token}\r\n{headers}{length}\r\n"
    );
    [head.as_bytes(), body].concat()
}
