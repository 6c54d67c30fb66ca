//! A request as the handlers see it: its parameters, its body, and whether it asks to take over the
//! connection.

use crate::answer::Refusal;
use crate::decode;
use crate::state::Engine;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{Seek, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How many bytes a request body may have.
const BODY: usize = 4 * 1024 * 1024;
/// How many bytes an archive that is sent may have. It is kept in a file, not in memory.
pub(crate) const ARCHIVE: u64 = 64 * 1024 * 1024;
/// How long a request body may take.
const BODY_TIME: Duration = Duration::from_secs(30);

/// One request.
pub(crate) struct Call {
    pub(crate) engine: Arc<Engine>,
    /// The minor number of the API version that is spoken.
    pub(crate) minor: u32,
    values: Vec<(String, String)>,
    content_type: Option<String>,
    body: Bytes,
    upgrade: Mutex<Option<OnUpgrade>>,
}

impl Call {
    /// Reads the parameters and the body.
    pub(crate) async fn read(
        engine: Arc<Engine>,
        minor: u32,
        mut request: Request<Incoming>,
    ) -> Result<Self, Refusal> {
        let upgrade = request
            .headers()
            .contains_key(UPGRADE)
            .then(|| hyper::upgrade::on(&mut request));
        let content_type = request
            .headers()
            .get(CONTENT_TYPE)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let has_form = matches!(
            *request.method(),
            Method::POST | Method::PUT | Method::PATCH
        );
        let query = values(request.uri().query().unwrap_or_default())?;
        let body = whole(request.into_body()).await?;
        let mut call = Self {
            engine,
            minor,
            values: Vec::new(),
            content_type,
            body,
            upgrade: Mutex::new(upgrade),
        };
        // Go puts what a form says in the body before what the query says, so the body wins.
        if has_form && call.has_type("application/x-www-form-urlencoded") {
            call.values = values(&String::from_utf8_lossy(&call.body))?;
        }
        call.values.extend(query);
        Ok(call)
    }

    /// A parameter, empty when it is absent.
    pub(crate) fn query(&self, name: &str) -> &str {
        let found = self.values.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// A parameter that is a truth value in dockerd's reading.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let value = self.query(name).trim().to_ascii_lowercase();
        !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// The JSON body.
    pub(crate) fn json(&self) -> Result<&[u8], Refusal> {
        if !self.has_type("application/json") {
            let kind = self.content_type.as_deref().unwrap_or_default();
            return Err(Refusal::bad(format!(
                "unsupported Content-Type header ({kind}): must be 'application/json'"
            )));
        }
        Ok(&self.body)
    }

    /// The JSON body, read as `shape`.
    pub(crate) fn read_as<T: DeserializeOwned>(&self, shape: &decode::Shape) -> Result<T, Refusal> {
        let value = decode::read(self.json()?, shape)?;
        serde_json::from_value(value).map_err(|error| Refusal::bad(error.to_string()))
    }

    pub(crate) fn has_body(&self) -> bool {
        !self.body.is_empty()
    }

    /// The connection, when the client asks to take it over; once.
    pub(crate) fn upgrade(&self) -> Option<OnUpgrade> {
        let mut upgrade = self.upgrade.lock().unwrap_or_else(PoisonError::into_inner);
        upgrade.take()
    }

    fn has_type(&self, wanted: &str) -> bool {
        let kind = self.content_type.as_deref().unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case(wanted)
    }
}

/// Puts an archive that is sent into a file without a name.
pub(crate) async fn spool(body: Incoming) -> Result<File, Refusal> {
    let mut file = tempfile::tempfile().map_err(Refusal::internal)?;
    let mut body = Limited::new(body, usize::try_from(ARCHIVE).unwrap_or(usize::MAX));
    let copied = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| unreadable(&*error))?;
            if let Ok(data) = frame.into_data() {
                file.write_all(&data).map_err(Refusal::internal)?;
            }
        }
        Ok(())
    };
    in_time(copied).await??;
    file.rewind().map_err(Refusal::internal)?;
    Ok(file)
}

/// The pairs of a query or form. A semicolon is an error, as Go has it since 1.17.
pub(crate) fn values(text: &str) -> Result<Vec<(String, String)>, Refusal> {
    if text.contains(';') {
        return Err(Refusal::bad("invalid semicolon separator in query"));
    }
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    Ok(text
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect())
}

async fn whole(body: Incoming) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > BODY as u64 {
        return Err(Refusal::bad(format!(
            "the body is larger than {BODY} bytes"
        )));
    }
    let body = in_time(Limited::new(body, BODY).collect()).await?;
    Ok(body.map_err(|error| unreadable(&*error))?.to_bytes())
}

async fn in_time<F: Future>(future: F) -> Result<F::Output, Refusal> {
    tokio::time::timeout(BODY_TIME, future)
        .await
        .map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body took too long"))
}

fn unreadable(error: &dyn std::error::Error) -> Refusal {
    Refusal::bad(format!("cannot read the body: {error}"))
}
