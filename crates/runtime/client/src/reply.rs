//! What the gate answers.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, Response, StatusCode};
use serde::de::DeserializeOwned;

use crate::error::{Error, Problem};

/// Bytes of an answer that is read as a whole.
const MAX_ANSWER: usize = 16 << 20;
/// Bytes of a problem.
const MAX_PROBLEM: usize = 64 << 10;

/// An action that was done. Its body is still to be read.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Incoming,
    /// How long the body may take where it is read whole.
    limit: Option<Duration>,
}

impl Reply {
    /// Takes an answer; one that says no becomes an error. A good one may take `limit` where it is
    /// read whole, and a problem `timeout`.
    pub(crate) async fn of(
        response: Response<Incoming>,
        limit: Option<Duration>,
        timeout: Duration,
    ) -> Result<Reply, Error> {
        let (head, body) = response.into_parts();
        let mut reply = Reply {
            status: head.status,
            headers: head.headers,
            body,
            limit,
        };
        if head.status.is_success() || head.status == StatusCode::NOT_MODIFIED {
            return Ok(reply);
        }
        let request = reply.request().map(str::to_owned);
        reply.limit = Some(timeout);
        let bytes = reply.collect(MAX_PROBLEM).await.unwrap_or_default();
        let problem = serde_json::from_slice(&bytes).unwrap_or_else(|_| Problem {
            status: head.status.as_u16(),
            title: head
                .status
                .canonical_reason()
                .unwrap_or_default()
                .to_owned(),
            detail: String::new(),
            rules: Vec::new(),
            request,
        });
        Err(Error::Refused(problem))
    }

    /// The status: 2xx, or 304 where there was nothing to do.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The id of the request in the audit log.
    #[must_use]
    pub fn request(&self) -> Option<&str> {
        self.headers.get("x-request-id")?.to_str().ok()
    }

    /// A header of the answer.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Reads the whole body as JSON.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above 16 MiB, [`Error::Timeout`], [`Error::Broken`], [`Error::Decode`].
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(Error::Decode)
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above 16 MiB, [`Error::Timeout`], [`Error::Broken`].
    pub async fn bytes(self) -> Result<Bytes, Error> {
        self.collect(MAX_ANSWER).await
    }

    /// The next piece of the body as it comes; nothing at its end.
    ///
    /// # Errors
    /// [`Error::Broken`]: what came is not whole.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = self.body.frame().await {
            // Trailers are no part of the body.
            if let Ok(data) = frame.map_err(Error::Broken)?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    async fn collect(self, most: usize) -> Result<Bytes, Error> {
        let body = Limited::new(self.body, most).collect();
        let body = match self.limit {
            None => body.await,
            Some(limit) => tokio::time::timeout(limit, body)
                .await
                .map_err(|_| Error::Timeout(limit))?,
        };
        match body {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLarge(most)),
            Err(error) => match error.downcast::<hyper::Error>() {
                Ok(error) => Err(Error::Broken(*error)),
                // `Limited` has no third kind of error; what it might grow is no answer either.
                Err(_) => Err(Error::TooLarge(most)),
            },
        }
    }
}
