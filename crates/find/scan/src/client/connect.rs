//! From a target to an open connection: TCP, an HTTP proxy where one was named, TLS.

use crate::{Failure, ScanError, ScanOptions, Target};
use bytes::Bytes;
use http_body_util::{Empty, Full};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

/// Header fields of an answer that are read, in all.
const MAX_HEADERS: usize = 256;
/// Bytes of the head of an answer that are read.
const MAX_HEAD: usize = 128 * 1024;

/// Opens connections to one target and to no other host.
pub(super) struct Connector {
    target: Target,
    proxy: Option<Target>,
    tls: Option<TlsConnector>,
}

/// An open connection. Dropping it closes it.
pub(super) struct Connection {
    pub(super) sender: SendRequest<Full<Bytes>>,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connector {
    pub(super) fn new(target: &Target, options: &ScanOptions) -> Result<Self, ScanError> {
        let tls = match target.tls() {
            true => Some(TlsConnector::from(Arc::new(tls_config(options)?))),
            false => None,
        };
        Ok(Self {
            target: target.clone(),
            proxy: options.proxy.clone(),
            tls,
        })
    }

    /// Whether requests go to a proxy in absolute form (RFC 9112, section 3.2.2).
    pub(super) fn absolute_form(&self) -> bool {
        self.proxy.is_some() && self.tls.is_none()
    }

    /// Opens a connection. The caller limits the time.
    pub(super) async fn open(&self) -> Result<Connection, Failure> {
        let first = self.proxy.as_ref().unwrap_or(&self.target);
        let stream = TcpStream::connect((first.host(), first.port()))
            .await
            .map_err(|error| Failure::Refused(error.to_string()))?;
        // Without it the small segments of a request wait for each other.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return shake(stream).await;
        };
        let name = ServerName::try_from(self.target.host().to_owned())
            .map_err(|error| Failure::Tls(error.to_string()))?;
        let failed = |error: std::io::Error| Failure::Tls(error.to_string());
        if self.proxy.is_some() {
            let tunnel = self.tunnel(stream).await?;
            shake(tls.connect(name, tunnel).await.map_err(failed)?).await
        } else {
            shake(tls.connect(name, stream).await.map_err(failed)?).await
        }
    }

    /// A tunnel through the proxy (RFC 9110, section 9.3.6).
    async fn tunnel(
        &self,
        stream: TcpStream,
    ) -> Result<TokioIo<hyper::upgrade::Upgraded>, Failure> {
        let refused = |error: hyper::Error| Failure::Refused(format!("proxy: {error}"));
        let (mut sender, connection) = Builder::new()
            .handshake(TokioIo::new(stream))
            .await
            .map_err(refused)?;
        tokio::spawn(connection.with_upgrades());
        let authority = format!("{}:{}", bracketed(self.target.host()), self.target.port());
        let request = hyper::Request::connect(&authority)
            .header("host", &authority)
            .body(Empty::<Bytes>::new())
            .map_err(|error| Failure::Unsendable(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(refused)?;
        if !response.status().is_success() {
            let status = response.status().as_u16();
            return Err(Failure::Refused(format!("the proxy answered {status}")));
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(refused)?;
        Ok(TokioIo::new(upgraded))
    }
}

fn bracketed(host: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    }
}

async fn shake<S>(stream: S) -> Result<Connection, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = Builder::new()
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        // A hostile or sloppy field must not hide the rest of the answer.
        .ignore_invalid_headers_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Failure::Closed)?;
    let task = tokio::spawn(async move {
        // What goes wrong on the connection reaches the request that is under way on it.
        let _ = connection.await;
    })
    .abort_handle();
    Ok(Connection { sender, task })
}

fn tls_config(options: &ScanOptions) -> Result<ClientConfig, ScanError> {
    let failed = |error: &dyn std::fmt::Display| ScanError::Tls(error.to_string());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let mut config = if options.insecure {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth()
    } else {
        builder
            .with_root_certificates(roots(options.ca.as_deref())?)
            .with_no_client_auth()
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The roots in `ca`, or the system's own.
fn roots(ca: Option<&[u8]>) -> Result<RootCertStore, ScanError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let bad = |error: &dyn std::fmt::Display| {
                    ScanError::Tls(format!("the certificate authority file: {error}"))
                };
                let certificate = certificate.map_err(|error| bad(&error))?;
                roots.add(certificate).map_err(|error| bad(&error))?;
            }
            if roots.is_empty() {
                return Err(ScanError::Tls(
                    "no certificate in the certificate authority file".to_owned(),
                ));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(ScanError::Tls(
                    "this machine has no certificate authorities: name some with --ca".to_owned(),
                ));
            }
        }
    }
    Ok(roots)
}

/// Accepts any certificate, because the user said `--insecure`. Signatures are still verified, so
/// that a broken server is not mistaken for a working one.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
