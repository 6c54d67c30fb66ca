//! The only way in which the lab's service reaches out: its own names, and loopback.
//!
//! No resolver of the machine is asked. Names of the pretended network lead to the lab's own
//! listeners or to a refused connection, a literal loopback address is really dialled, and every
//! other name or address is unknown. So a request that the caller steers can go anywhere that the
//! story needs and nowhere else.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

/// How long one request may take, redirects included.
const TIME: Duration = Duration::from_secs(3);
/// How many bytes of an answer are taken.
const BODY: usize = 64 * 1024;
/// How many redirects are followed.
const REDIRECTS: usize = 3;

/// Where the pretended names lead.
#[derive(Debug, Clone)]
pub(crate) struct Resolver {
    /// `docker:2375`, where the engine is served on TCP.
    pub(crate) engine: Option<SocketAddr>,
    /// The metadata service, where it answers.
    pub(crate) metadata: Option<SocketAddr>,
    /// `registry.internal` and `hooks.internal`.
    pub(crate) internal: SocketAddr,
}

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboundError {
    #[error("`{0}` is not an http URL")]
    Url(String),
    #[error("no such host: {0}")]
    NoSuchHost(String),
    #[error("connection refused: {0}")]
    Refused(String),
    #[error("no answer from {0}")]
    NoAnswer(String),
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

impl Resolver {
    fn resolve(&self, host: &str, port: u16) -> Result<SocketAddr, OutboundError> {
        let place = || format!("{host}:{port}");
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = literal.parse::<IpAddr>()
            && address.is_loopback()
        {
            return Ok((address, port).into());
        }
        let leads = match (host.to_ascii_lowercase().as_str(), port) {
            ("localhost", port) => Some(([127, 0, 0, 1], port).into()),
            ("registry.internal" | "hooks.internal", 80) => Some(self.internal),
            ("docker" | "host.docker.internal", 2375) => self.engine,
            ("169.254.169.254" | "metadata.google.internal", 80) => self.metadata,
            (
                "registry.internal"
                | "hooks.internal"
                | "docker"
                | "host.docker.internal"
                | "169.254.169.254"
                | "metadata.google.internal"
                | "kubernetes.default.svc",
                _,
            ) => None,
            _ => return Err(OutboundError::NoSuchHost(host.to_owned())),
        };
        leads.ok_or_else(|| OutboundError::Refused(place()))
    }

    /// Sends one request and follows its redirects.
    pub(crate) async fn fetch(
        &self,
        method: Method,
        url: &str,
        headers: &[(String, String)],
        body: Bytes,
    ) -> Result<Fetched, OutboundError> {
        let following = self.follow(method, url, headers, body);
        tokio::time::timeout(TIME, following)
            .await
            .map_err(|_| OutboundError::NoAnswer(url.to_owned()))?
    }

    async fn follow(
        &self,
        mut method: Method,
        url: &str,
        headers: &[(String, String)],
        mut body: Bytes,
    ) -> Result<Fetched, OutboundError> {
        let mut url: Uri = parse(url)?;
        for _ in 0..=REDIRECTS {
            let answer = self.once(&method, &url, headers, body.clone()).await?;
            let to = answer
                .headers()
                .get(LOCATION)
                .and_then(|to| to.to_str().ok());
            let Some(to) = to.filter(|_| answer.status().is_redirection()) else {
                let content_type = answer.headers().get(CONTENT_TYPE);
                return Ok(Fetched {
                    status: answer.status().as_u16(),
                    content_type: content_type
                        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                        .unwrap_or_default(),
                    body: read(answer).await,
                });
            };
            url = match to.strip_prefix('/') {
                Some(path) => parse(&format!("http://{}/{path}", authority(&url)))?,
                None => parse(to)?,
            };
            if matches!(answer.status().as_u16(), 301..=303) {
                (method, body) = (Method::GET, Bytes::new());
            }
        }
        Err(OutboundError::NoAnswer(url.to_string()))
    }

    async fn once(
        &self,
        method: &Method,
        url: &Uri,
        headers: &[(String, String)],
        body: Bytes,
    ) -> Result<Response<hyper::body::Incoming>, OutboundError> {
        let place = authority(url);
        let address = self.resolve(url.host().unwrap_or_default(), url.port_u16().unwrap_or(80))?;
        let failed = |_| OutboundError::NoAnswer(place.clone());
        let stream = TcpStream::connect(address)
            .await
            .map_err(|_| OutboundError::Refused(place.clone()))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(failed)?;
        tokio::spawn(connection);
        let target = url.path_and_query().map_or("/", |target| target.as_str());
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = target.parse().unwrap_or_default();
        if let Ok(host) = HeaderValue::from_str(&place) {
            request.headers_mut().insert(HOST, host);
        }
        for (name, value) in headers {
            let pair = (HeaderName::try_from(name), HeaderValue::try_from(value));
            if let (Ok(name), Ok(value)) = pair {
                request.headers_mut().insert(name, value);
            }
        }
        sender.send_request(request).await.map_err(failed)
    }
}

/// Host and port without user information.
fn authority(url: &Uri) -> String {
    match (url.host(), url.port_u16()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    }
}

/// Reads a URL that has scheme `http` and a host.
pub(crate) fn parse(text: &str) -> Result<Uri, OutboundError> {
    let wrong = || OutboundError::Url(text.to_owned());
    let text = text.split('#').next().unwrap_or_default();
    let url: Uri = text.parse().map_err(|_| wrong())?;
    match (url.scheme_str(), url.host()) {
        (Some("http"), Some(host)) if !host.is_empty() => Ok(url),
        _ => Err(wrong()),
    }
}

/// The first bytes of a body; what breaks off is taken as far as it came.
async fn read(answer: Response<hyper::body::Incoming>) -> String {
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            let room = BODY - bytes.len();
            bytes.extend_from_slice(&data[..data.len().min(room)]);
        }
        if bytes.len() == BODY {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_the_labs_own_names_lead_anywhere() {
        let resolver = Resolver {
            engine: None,
            metadata: Some(([127, 0, 0, 1], 4000).into()),
            internal: ([127, 0, 0, 1], 4001).into(),
        };
        let at = |host: &str, port| resolver.resolve(host, port).map_err(|e| e.to_string());
        assert_eq!(at("127.0.0.1", 9).unwrap(), ([127, 0, 0, 1], 9).into());
        assert_eq!(at("[::1]", 9).unwrap().to_string(), "[::1]:9");
        assert_eq!(at("169.254.169.254", 80).unwrap().port(), 4000);
        assert_eq!(at("Registry.Internal", 80).unwrap().port(), 4001);
        assert_eq!(
            at("docker", 2375).unwrap_err(),
            "connection refused: docker:2375"
        );
        assert_eq!(
            at("kubernetes.default.svc", 443).unwrap_err(),
            "connection refused: kubernetes.default.svc:443"
        );
        for host in [
            "example.com",
            "10.0.0.1",
            "0.0.0.0",
            "::",
            "[::ffff:10.0.0.1]",
            "1.1.1.1",
            "2130706433",
            "vm",
        ] {
            assert!(
                at(host, 80).unwrap_err().starts_with("no such host"),
                "{host}"
            );
        }
    }

    #[test]
    fn the_host_that_is_judged_is_the_host_that_is_dialled() {
        let url = parse("http://registry.internal@127.0.0.1:9/x#y").unwrap();
        assert_eq!((url.host(), url.path()), (Some("127.0.0.1"), "/x"));
        assert_eq!(authority(&url), "127.0.0.1:9");
        for text in [
            "https://a/",
            "ftp://a/",
            "/a",
            "a",
            "unix:/run/docker.sock",
            "http://",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
