//! The gate, and a caller at it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use cofferdam_action::action::Action;
use cofferdam_action::rest::{RestBody, encode};
use cofferdam_token::fetch::TokenExchange;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;
use crate::reply::Reply;

/// The body of a request. What a source of an archive fails with breaks the request off.
type Body = BoxBody<Bytes, std::io::Error>;

/// A gate's REST dialect. Cloning is cheap, and clones share their connections.
#[derive(Clone)]
pub struct Gate {
    http: Client<HttpsConnector<HttpConnector>, Body>,
    base: String,
    exchange: Option<Arc<TokenExchange>>,
    timeout: Duration,
}

/// Whoever a request is made for.
#[derive(Clone)]
pub struct Caller {
    gate: Gate,
    token: String,
}

impl Gate {
    /// The gate at `url`, trusting the certificates of the system. Nothing is opened yet.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::NoRoots`].
    pub fn new(url: &str) -> Result<Gate, Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() && url.starts_with("https:") {
            return Err(Error::NoRoots);
        }
        Gate::with_roots(url, roots)
    }

    /// The gate at `url`, trusting these certificates alone.
    ///
    /// # Errors
    /// [`Error::Url`]; [`Error::Tls`] where the library has no protocol version to offer.
    pub fn with_roots(url: &str, roots: RootCertStore) -> Result<Gate, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Gate::with_tls(url, tls)
    }

    /// The gate at `url`, with TLS as the service has set it up: with a certificate of its own for a
    /// gate that asks its clients for one, or for tokens that are bound to it (RFC 8705). HTTP/1.1
    /// is spoken, whatever protocols `tls` would offer.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn with_tls(url: &str, mut tls: ClientConfig) -> Result<Gate, Error> {
        let base = base_of(url).ok_or_else(|| Error::Url(url.to_owned()))?;
        // The connector sets them by the versions of HTTP that it speaks, and panics over others.
        tls.alpn_protocols.clear();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            // What changes something is not sent a second time.
            .retry_canceled_requests(false)
            .build(connector);
        Ok(Gate {
            http,
            base,
            exchange: None,
            timeout: Duration::from_secs(60),
        })
    }

    /// Exchanges each caller's token for one that is meant for the gate. Without it the token goes
    /// to the gate as it is, which must then accept the service's own audience.
    #[must_use]
    pub fn exchange(mut self, exchange: TokenExchange) -> Gate {
        self.exchange = Some(Arc::new(exchange));
        self
    }

    /// How long the gate may take until the head of its answer, and after that until the end of an
    /// answer that is read whole; 60 s by default. An action that waits by its nature
    /// ([`ActionKind::waits`](cofferdam_action::action::ActionKind::waits), such as a wait, a pull
    /// or logs that are followed) is not cut short, and neither is an answer that is read as it
    /// comes.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Gate {
        self.timeout = timeout;
        self
    }

    /// Whoever sent `token`, which the service has verified.
    #[must_use]
    pub fn caller(&self, token: &str) -> Caller {
        Caller {
            gate: self.clone(),
            token: token.to_owned(),
        }
    }
}

impl Caller {
    /// Has an action done.
    ///
    /// # Errors
    /// [`Error::Refused`] with the problem that the gate tells; the others where there is no answer.
    /// After those it is not known whether the action was done: the audit log knows.
    pub async fn act(&self, action: &Action) -> Result<Reply, Error> {
        self.send(action, None).await
    }

    /// Has [`Action::ContainerCopyIn`] done, with a plain tar archive.
    ///
    /// # Errors
    /// As [`act`](Self::act).
    pub async fn upload<B>(&self, action: &Action, archive: B) -> Result<Reply, Error>
    where
        B: hyper::body::Body<Data = Bytes, Error = std::io::Error> + Send + Sync + 'static,
    {
        self.send(action, Some(archive.boxed())).await
    }

    async fn send(&self, action: &Action, archive: Option<Body>) -> Result<Reply, Error> {
        let request = encode(action).ok_or(Error::NotOffered)?;
        let (kind, body) = match (request.body, archive) {
            (RestBody::Json(json), _) => {
                let bytes = Full::new(Bytes::from(json.to_string()));
                (
                    Some("application/json"),
                    bytes.map_err(|never| match never {}).boxed(),
                )
            }
            (RestBody::Archive, Some(archive)) => (Some("application/x-tar"), archive),
            _ => (None, Empty::new().map_err(|never| match never {}).boxed()),
        };
        let mut http = Request::builder()
            .method(request.method)
            .uri(format!("{}{}", self.gate.base, request.target))
            .header(AUTHORIZATION, self.authorization().await?);
        if let Some(kind) = kind {
            http = http.header(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        // A target of this workspace's own encoder is always one.
        let http = http.body(body).map_err(|_| Error::NotOffered)?;
        let answer = self.gate.http.request(http);
        let timeout = self.gate.timeout;
        let limit = (!action.kind().waits()).then_some(timeout);
        let answer = match limit {
            None => answer.await,
            Some(limit) => tokio::time::timeout(limit, answer)
                .await
                .map_err(|_| Error::Timeout(limit))?,
        };
        Reply::of(answer.map_err(Error::Connect)?, limit, timeout).await
    }

    async fn authorization(&self) -> Result<HeaderValue, Error> {
        let value = match &self.gate.exchange {
            None => format!("Bearer {}", self.token),
            Some(exchange) => {
                let issued = exchange.exchange(&self.token, now()).await?;
                format!("Bearer {}", issued.expose())
            }
        };
        let mut value = HeaderValue::try_from(value).map_err(|_| Error::Token)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// Does not show the token.
impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller")
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}

/// The URL without a path: https, or http with this machine.
fn base_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let host = uri.host()?.trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let allowed = scheme == "https" || (scheme == "http" && here);
    let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
    (allowed && bare && !authority.as_str().contains('@'))
        .then(|| format!("{scheme}://{authority}"))
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_over_tls_or_stays_on_this_machine() {
        for url in [
            "https://gate.example",
            "https://gate.example:8443/",
            "http://127.0.0.1:80",
            "http://[::1]:1",
        ] {
            assert!(base_of(url).is_some(), "{url}");
        }
        for url in [
            "http://gate.example",
            "http://10.0.0.1",
            "gate.example",
            "https://a@gate.example",
            "https://gate.example/v1",
            "https://gate.example?x",
        ] {
            assert!(base_of(url).is_none(), "{url}");
        }
    }

    #[tokio::test]
    async fn a_terminal_is_for_the_other_dialect_and_no_token_is_shown() {
        let gate = Gate::with_roots("http://127.0.0.1:1", RootCertStore::empty()).unwrap();
        let caller = gate.caller("secret-token");
        assert!(!format!("{caller:?}").contains("secret-token"));
        let resize = Action::ExecResize {
            exec: cofferdam_action::name::ExecId::parse(&"0".repeat(64)).unwrap(),
            size: cofferdam_action::action::TerminalSize {
                height: 1,
                width: 1,
            },
        };
        assert!(matches!(caller.act(&resize).await, Err(Error::NotOffered)));
        assert!(matches!(
            gate.caller("a\nb").act(&Action::Ping).await,
            Err(Error::Token)
        ));
    }
}
