//! Bodies: what a client sends, within its limits, and what it is answered.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cofferdam_action::json::MAX_BODY;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::broker::{BrokerError, Download};
use crate::connection::tap::Head;
use crate::limits::Permit;
use crate::refusal::Refused;
use crate::upload;

/// A body as both dialects read one. A length that is too long is refused before a byte is read.
pub(super) async fn whole(body: &mut Incoming, time: Duration) -> Result<Bytes, Refused> {
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(upload::too_long(MAX_BODY as u64));
    }
    upload::whole(body.into_data_stream(), time).await
}

/// The body of an answer, with what ends when it does.
pub(super) struct Answer {
    content: Content,
    head: Head,
    _permit: Option<Permit>,
}

enum Content {
    Whole(Option<Bytes>),
    Download(Download),
}

impl Answer {
    pub(super) fn whole(bytes: Bytes, head: Head, permit: Option<Permit>) -> Self {
        let bytes = (!bytes.is_empty()).then_some(bytes);
        Self {
            content: Content::Whole(bytes),
            head,
            _permit: permit,
        }
    }

    pub(super) fn download(download: Download, head: Head, permit: Permit) -> Self {
        Self {
            content: Content::Download(download),
            head,
            _permit: Some(permit),
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BrokerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokerError>>> {
        match &mut self.content {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Download(download) => Pin::new(download).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_none(),
            Content::Download(download) => download.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            Content::Download(download) => download.size_hint(),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.head.be_idle();
    }
}
