//! One request, one answer, within bounds.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// The longest answer, in bytes.
const MAX_BODY: usize = 1 << 20;
/// The whole of one request by default: name, connection, TLS, answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why something could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The URL is no absolute `https` URL, nor an `http` one of this machine.
    #[error("`{0}` is no https URL (http is spoken with this machine alone)")]
    Url(String),
    /// The host could not be reached.
    #[error("cannot connect to `{0}`: {1}")]
    Connect(String, String),
    /// The certificate or the handshake failed.
    #[error("TLS with `{0}` failed: {1}")]
    Tls(String, String),
    /// It took longer than allowed.
    #[error("`{0}` did not answer within {1:?}")]
    TimedOut(String, Duration),
    /// The answer is no HTTP, or it broke off.
    #[error("`{0}` broke the exchange off: {1}")]
    Http(String, String),
    /// The answer has another status than 200; a redirect is not followed.
    #[error("`{0}` answered with status {1}")]
    Status(String, u16),
    /// The answer is longer than 1 MiB.
    #[error("`{0}` answered with more than 1 MiB")]
    TooLong(String),
    /// The answer is not what it should be.
    #[error("the answer of `{0}` cannot be used: {1}")]
    Content(String, String),
    /// The document is of another issuer than was asked (RFC 8414 §3.3).
    #[error("the metadata at `{0}` is of another issuer")]
    OtherIssuer(String),
    /// The system has no certificates to trust.
    #[error("no trusted certificates were found on this system")]
    NoRoots,
}

/// Fetches from issuers. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    tls: Arc<ClientConfig>,
    timeout: Duration,
}

impl Client {
    /// A client that trusts the certificates of the system.
    ///
    /// # Errors
    /// [`FetchError::NoRoots`] where there are none.
    pub fn new() -> Result<Client, FetchError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        match roots.is_empty() {
            true => Err(FetchError::NoRoots),
            false => Client::with_roots(roots),
        }
    }

    /// A client that trusts these certificates alone.
    ///
    /// # Errors
    /// [`FetchError::Tls`] where the library has no protocol version to offer, which does not
    /// happen with the ones this crate is built with.
    pub fn with_roots(roots: RootCertStore) -> Result<Client, FetchError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| FetchError::Tls("every host".into(), error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Client {
            tls: Arc::new(config),
            timeout: TIMEOUT,
        })
    }

    /// Allows this long for one request as a whole; ten seconds by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Client {
        self.timeout = timeout;
        self
    }

    pub(super) async fn get(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let request = Request::builder().method(Method::GET);
        self.send(url, request, Bytes::new()).await
    }

    pub(super) async fn post_form(
        &self,
        url: &str,
        authorization: &str,
        form: String,
    ) -> Result<Vec<u8>, FetchError> {
        let request = Request::builder()
            .method(Method::POST)
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(url, request, form.into()).await
    }

    async fn send(
        &self,
        url: &str,
        request: hyper::http::request::Builder,
        body: Bytes,
    ) -> Result<Vec<u8>, FetchError> {
        let late = || FetchError::TimedOut(url.to_owned(), self.timeout);
        timeout(self.timeout, self.exchange(url, request, body))
            .await
            .map_err(|_| late())?
    }

    async fn exchange(
        &self,
        url: &str,
        request: hyper::http::request::Builder,
        body: Bytes,
    ) -> Result<Vec<u8>, FetchError> {
        let place = Place::of(url)?;
        let stream = place.connect().await?;
        let request = request
            .uri(place.path.as_str())
            .header(HOST, &place.authority)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("cofferdam/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body))
            .map_err(|error| FetchError::Http(url.to_owned(), error.to_string()))?;
        if !place.tls {
            return answer(url, stream, request).await;
        }
        let failed = |error: &dyn fmt::Display| FetchError::Tls(url.to_owned(), error.to_string());
        let name = ServerName::try_from(place.host.clone()).map_err(|error| failed(&error))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector
            .connect(name, stream)
            .await
            .map_err(|error| failed(&error))?;
        answer(url, stream, request).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Whether a URL may be fetched from at all, so that a mistake shows at start.
pub(super) fn check(url: &str) -> Result<(), FetchError> {
    Place::of(url).map(drop)
}

/// Where a URL leads.
struct Place {
    url: String,
    tls: bool,
    /// Without brackets.
    host: String,
    port: u16,
    authority: String,
    path: String,
}

impl Place {
    fn of(url: &str) -> Result<Place, FetchError> {
        let bad = || FetchError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let authority = uri.authority().ok_or_else(bad)?;
        if authority.as_str().contains('@') {
            return Err(bad());
        }
        let host = uri
            .host()
            .ok_or_else(bad)?
            .trim_matches(['[', ']'])
            .to_owned();
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_this_machine(&host) => false,
            _ => return Err(bad()),
        };
        Ok(Place {
            url: url.to_owned(),
            tls,
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            host,
            authority: authority.as_str().to_owned(),
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
        })
    }

    async fn connect(&self) -> Result<TcpStream, FetchError> {
        let failed =
            |error: &dyn fmt::Display| FetchError::Connect(self.url.clone(), error.to_string());
        let addresses = tokio::net::lookup_host((self.host.as_str(), self.port));
        let addresses: Vec<SocketAddr> = addresses
            .await
            .map_err(|error| failed(&error))?
            // Whatever a resolver says, plain text stays on this machine.
            .filter(|address| self.tls || address.ip().is_loopback())
            .collect();
        TcpStream::connect(&*addresses)
            .await
            .map_err(|error| failed(&error))
    }
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

async fn answer(
    url: &str,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Vec<u8>, FetchError> {
    let failed = |error: &dyn fmt::Display| FetchError::Http(url.to_owned(), error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(&error))?;
    let exchange = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| failed(&error))?;
        if response.status() != hyper::StatusCode::OK {
            return Err(FetchError::Status(
                url.to_owned(),
                response.status().as_u16(),
            ));
        }
        match Limited::new(response.into_body(), MAX_BODY).collect().await {
            Ok(body) => Ok(body.to_bytes().to_vec()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(FetchError::TooLong(url.to_owned()))
            }
            Err(error) => Err(failed(&error)),
        }
    };
    tokio::pin!(connection);
    tokio::pin!(exchange);
    // Driven here and not in a task, so that nothing goes on when the time is over.
    tokio::select! {
        result = &mut exchange => result,
        ended = &mut connection => match ended {
            // The connection can end in the same moment as the answer is complete.
            Ok(()) => exchange.await,
            Err(error) => Err(failed(&error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_spoken_with_this_machine_alone() {
        for url in [
            "https://idp.example/jwks",
            "http://127.0.0.1:8080/jwks",
            "http://[::1]/",
            "http://localhost/",
        ] {
            assert!(check(url).is_ok(), "{url}");
        }
        for url in [
            "http://idp.example/jwks",
            "http://127.0.0.1.example/",
            "http://10.0.0.1/",
            "ftp://idp.example/",
            "/jwks",
            "idp.example/jwks",
            "https://",
            "https://a@idp.example/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(check(url).is_err(), "{url}");
        }
    }
}
