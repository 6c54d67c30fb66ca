//! The way to the gate.

use super::Body;
use crate::input::Failure;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Name, connection and TLS together.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A single question and its whole answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Where a gate is, and how it is spoken with.
pub(crate) struct Upstream {
    url: String,
    /// Without brackets.
    host: String,
    port: u16,
    authority: HeaderValue,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Upstream {
    /// Reads `https://HOST[:PORT]`, or `tcp://HOST:PORT` for this machine. `client` is a certificate
    /// and its key.
    pub(crate) fn of(
        url: &str,
        ca: Option<&Path>,
        client: Option<(&Path, &Path)>,
    ) -> Result<Self, Failure> {
        let wrong = || {
            Failure::new(format!("`{url}` is no address of a gate"))
                .hint("give `https://HOST[:PORT]`, or `tcp://HOST:PORT` for one on this machine")
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@')
            || !matches!(uri.path(), "" | "/")
            || uri.query().is_some()
        {
            return Err(wrong());
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let (tls, port) = match uri.scheme_str() {
            Some("https") => (true, authority.port_u16().unwrap_or(443)),
            Some("tcp" | "http") => (false, authority.port_u16().ok_or_else(wrong)?),
            _ => return Err(wrong()),
        };
        let tls = match tls {
            true => {
                let name = ServerName::try_from(host.clone()).map_err(|_| wrong())?;
                let config = client_config(ca, client)?;
                Some((TlsConnector::from(Arc::new(config)), name))
            }
            false if ca.is_some() || client.is_some() => {
                return Err(Failure::new(format!(
                    "`{url}` is without TLS, but certificates are given"
                ))
                .hint("write `https://` instead of `tcp://`"));
            }
            false => None,
        };
        Ok(Self {
            url: url.to_owned(),
            host,
            port,
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?,
            tls,
        })
    }

    /// For `Host`.
    pub(super) fn authority(&self) -> HeaderValue {
        self.authority.clone()
    }

    /// Opens a connection.
    pub(super) async fn connect(&self) -> Result<SendRequest<Body>, String> {
        let failed = |why: &dyn std::fmt::Display| format!("cannot reach `{}`: {why}", self.url);
        let opened = tokio::time::timeout(CONNECT_WITHIN, async {
            let stream = self.tcp().await?;
            match &self.tls {
                None => handshake(stream).await.map_err(|error| failed(&error)),
                Some((connector, name)) => {
                    let stream = connector.connect(name.clone(), stream).await;
                    handshake(stream.map_err(|error| failed(&error))?)
                        .await
                        .map_err(|error| failed(&error))
                }
            }
        });
        opened.await.map_err(|_| failed(&"it does not answer"))?
    }

    /// Asks one question, and reads the first 64 KiB of the answer at most.
    pub(crate) async fn get(&self, path: &str, token: &str) -> Result<(u16, String), String> {
        let failed = |why: &dyn std::fmt::Display| format!("`{}`: {why}", self.url);
        let request = Request::get(path)
            .header(HOST, self.authority())
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Empty::new().map_err(|never| match never {}).boxed())
            .map_err(|error| failed(&error))?;
        let asked = tokio::time::timeout(ANSWER_WITHIN, async {
            let mut gate = self.connect().await?;
            let answer = gate
                .send_request(request)
                .await
                .map_err(|error| failed(&error))?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), 64 << 10).collect().await;
            let body = body.map_err(|error| failed(&error))?.to_bytes();
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        });
        asked.await.map_err(|_| failed(&"it does not answer"))?
    }

    async fn tcp(&self) -> Result<TcpStream, String> {
        let failed = |why: &dyn std::fmt::Display| format!("cannot reach `{}`: {why}", self.url);
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((self.host.as_str(), self.port))
            .await
            .map_err(|error| failed(&error))?
            // A token in plain text stays on this machine, whatever a resolver says.
            .filter(|address| self.tls.is_some() || address.ip().is_loopback())
            .collect();
        if addresses.is_empty() {
            return Err(failed(
                &"a token is sent without TLS to this machine alone; use `https://`",
            ));
        }
        let stream = TcpStream::connect(&*addresses)
            .await
            .map_err(|error| failed(&error))?;
        // Keystrokes of an interactive session are not held back.
        drop(stream.set_nodelay(true));
        Ok(stream)
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<SendRequest<Body>, hyper::Error> {
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    Ok(sender)
}

fn client_config(
    ca: Option<&Path>,
    client: Option<(&Path, &Path)>,
) -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(file) => {
            for certificate in certificates(file)? {
                roots
                    .add(certificate)
                    .map_err(|error| unusable(file, &error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(Failure::new("there is no certificate authority to trust")
            .hint("name the gate's with `--ca FILE`"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Failure::new)?
        .with_root_certificates(roots);
    match client {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let private =
                PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, private)
                .map_err(|error| unusable(certificate, &error))
        }
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(file, &error))?;
    match certificates.is_empty() {
        true => Err(unusable(file, &"there is no certificate in it")),
        false => Ok(certificates),
    }
}

fn unusable(file: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("cannot use `{}`: {why}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_scheme_and_nothing_more() {
        for url in [
            "tcp://127.0.0.1:2376",
            "http://[::1]:80/",
            "tcp://localhost:1",
        ] {
            assert!(Upstream::of(url, None, None).is_ok(), "{url}");
        }
        for url in [
            "",
            "127.0.0.1:2376",
            "tcp://127.0.0.1",
            "unix:///run/docker.sock",
            "https://user@gate.example",
            "https://gate.example/path",
            "https://gate.example/?x",
            "ftp://gate.example:1",
        ] {
            assert!(Upstream::of(url, None, None).is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn a_token_never_leaves_the_machine_without_tls() {
        let upstream = Upstream::of("tcp://192.0.2.1:2376", None, None).unwrap();
        let error = upstream.connect().await.err().unwrap();
        assert!(error.contains("without TLS"), "{error}");
    }
}
