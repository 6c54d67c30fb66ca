//! Small services on loopback for the checks' samples: a plain function from request to response,
//! behind hyper, with two valid tokens and a strict way to verify them.

use crate::{Identity, Scan, ScanOptions, SpecSource, Target, checks, scan};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// The services of one check.
#[derive(Default)]
pub(crate) struct Samples {
    flawed: Vec<Sample>,
    sound: Vec<Sample>,
}

impl Samples {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a service that the check must report.
    pub(crate) fn flawed(mut self, sample: Sample) -> Self {
        assert!(
            !sample.reports.is_empty(),
            "{}: say what it reports",
            sample.name
        );
        self.flawed.push(sample);
        self
    }

    /// Adds a service that the check must not report.
    pub(crate) fn sound(mut self, sample: Sample) -> Self {
        assert!(
            sample.reports.is_empty(),
            "{}: a sound one reports nothing",
            sample.name
        );
        self.sound.push(sample);
        self
    }
}

/// One small service, how it is scanned, and what must be reported.
pub(crate) struct Sample {
    name: &'static str,
    description: Value,
    service: Service,
    options: Option<Change>,
    reports: Vec<&'static str>,
}

/// A change of the options of a scan.
type Change = Box<dyn FnOnce(&mut ScanOptions) + Send>;

/// A service. It runs on a blocking thread, so it may read files and open connections.
type Service = Arc<dyn Fn(&Request) -> Response + Send + Sync>;

impl Sample {
    /// A service with its OpenAPI description ([`api`] makes one; `null` for none, then discovery).
    pub(crate) fn new(
        name: &'static str,
        description: Value,
        service: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            description,
            service: Arc::new(service),
            options: None,
            reports: Vec::new(),
        }
    }

    /// The places that must be reported, as `Place` prints them: `GET /x/{id}`, or
    /// `POST /x (member)`.
    pub(crate) fn reports<const N: usize>(mut self, places: [&'static str; N]) -> Self {
        self.reports = places.to_vec();
        self
    }

    /// Changes the options of the scan: level, signing key, internal.
    pub(crate) fn options(
        mut self,
        change: impl FnOnce(&mut ScanOptions) + Send + 'static,
    ) -> Self {
        self.options = Some(Box::new(change));
        self
    }
}

/// An OpenAPI 3.1 description with these paths, all behind a bearer token.
pub(crate) fn api(paths: Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": { "title": "sample", "version": "1" },
        "components": { "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } } },
        "security": [{ "bearer": [] }],
        "paths": paths,
    })
}

/// A request as a service sees it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The target as it stood on the request line.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The target without its query, not decoded.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The decoded value of a query member.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let decode = |raw: &str| {
            percent_encoding::percent_decode_str(&raw.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned()
        };
        self.target
            .split_once('?')?
            .1
            .split('&')
            .find_map(|member| {
                let (key, value) = member.split_once('=').unwrap_or((member, ""));
                (decode(key) == name).then(|| decode(value))
            })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// What stands after `Bearer ` in `Authorization`.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// The `sub` of a valid token.
    pub(crate) fn subject(&self) -> Option<String> {
        verify(self.bearer()?)?
            .get("sub")?
            .as_str()
            .map(str::to_owned)
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// A service's answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub(crate) fn text(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    pub(crate) fn new(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), media_type.to_owned())],
            body: body.into(),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The secret behind the sample tokens; in no word list.
pub(crate) const SECRET: &[u8] = b"R7q!0zWvT3-9mXf2Lk8#pYc5Ns4Hd1Gb6Je";

/// An HS256 token over `claims`.
pub(crate) fn sign(claims: &Value) -> String {
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// The claims of a token that [`sign`] made and that has not expired.
pub(crate) fn verify(token: &str) -> Option<Value> {
    let (input, signature) = token.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    hmac::verify(&key, input.as_bytes(), &signature).ok()?;
    let (header, claims) = input.split_once('.')?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let fresh = claims["exp"].as_u64().is_none_or(|exp| exp > now());
    (header["alg"] == "HS256" && fresh).then_some(claims)
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// A valid token of `subject`, good for an hour.
pub(crate) fn token_of(subject: &str) -> String {
    sign(
        &json!({ "iss": "https://issuer.example", "aud": "sample", "sub": subject,
                  "scope": "read", "iat": now(), "exp": now() + 3600 }),
    )
}

/// A service that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) base: Target,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves `service` on a loopback port.
pub(crate) async fn serve(service: Service) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = Arc::clone(&service);
            tokio::spawn(async move {
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(
                        TokioIo::new(stream),
                        service_fn(move |request| answer(Arc::clone(&service), request)),
                    )
                    .await;
            });
        }
    });
    Running {
        base: Target::parse(&format!("http://{address}")).unwrap(),
        task,
    }
}

async fn answer(
    service: Service,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let request = Request {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.to_string(), value)
            })
            .collect(),
        body: body.to_vec(),
    };
    let response = tokio::task::spawn_blocking(move || service(&request))
        .await
        .unwrap_or_else(|_| Response::text(500, "the sample panicked"));
    let mut built = hyper::Response::builder().status(response.status);
    for (name, value) in &response.headers {
        built = built.header(name, value);
    }
    Ok(built.body(Full::new(response.body.into())).unwrap())
}

/// Scans `sample` with the check `id` alone.
pub(crate) async fn scanned(id: &str, sample: Sample) -> Scan {
    let running = serve(sample.service).await;
    let mut options = ScanOptions::new(running.base.clone());
    options.identities = ["alice", "bob"]
        .map(|name| Identity::new(name, token_of(name)))
        .to_vec();
    if !sample.description.is_null() {
        options.spec = Some(SpecSource::File {
            name: "openapi.json".to_owned(),
            text: sample.description.to_string(),
        });
    }
    options.only = Some(BTreeSet::from([id.to_owned()]));
    if let Some(change) = sample.options {
        change(&mut options);
    }
    let scan = scan(options, |_| {}, CancellationToken::new())
        .await
        .unwrap();
    assert!(scan.complete, "{id}, {}: {:?}", sample.name, scan.stopped);
    scan
}

/// The places that the check `id` reports on `sample`.
async fn reported(id: &str, sample: Sample) -> Vec<String> {
    let scan = scanned(id, sample).await;
    let mut places: Vec<String> = scan
        .findings
        .iter()
        .filter(|finding| finding.check == id)
        .flat_map(|finding| finding.places.iter().map(ToString::to_string))
        .collect();
    places.sort();
    places
}

#[tokio::test]
async fn every_check_reports_its_flawed_samples_and_not_its_sound_ones() {
    // At the same time, since most of a scan is waiting.
    let slots = Arc::new(Semaphore::new(8));
    let mut scans = JoinSet::new();
    for check in checks::ALL {
        let id = check.meta.id;
        let samples = (check.samples)();
        assert!(
            !samples.flawed.is_empty() && !samples.sound.is_empty(),
            "{id} needs both"
        );
        for sample in samples.flawed.into_iter().chain(samples.sound) {
            let slots = Arc::clone(&slots);
            scans.spawn(async move {
                let _slot = slots.acquire_owned().await;
                let name = sample.name;
                let mut expected = sample.reports.clone();
                expected.sort_unstable();
                let got = reported(id, sample).await;
                (got != expected)
                    .then(|| format!("{id}, {name}: expected {expected:?}, got {got:?}"))
            });
        }
    }
    let mut wrong: Vec<String> = scans.join_all().await.into_iter().flatten().collect();
    wrong.sort();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
