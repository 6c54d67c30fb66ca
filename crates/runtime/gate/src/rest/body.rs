//! What a client is answered.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;

use crate::broker::{BrokerError, Download};
use crate::connection::tap::Head;
use crate::limits::Permit;

/// The body of an answer that comes bit by bit, with what ends when it does.
pub(super) struct Answer {
    download: Download,
    size: BodySize,
    _permit: Permit,
}

impl Answer {
    pub(super) fn new(download: Download, size: BodySize, permit: Permit) -> Self {
        Self {
            download,
            size,
            _permit: permit,
        }
    }
}

impl MessageBody for Answer {
    type Error = BrokerError;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BrokerError>>> {
        self.download.poll_bytes(context)
    }
}

/// The body of every answer, with whose end the time for the next request begins.
pub(super) struct Served {
    body: BoxBody,
    head: Option<Head>,
}

impl Served {
    pub(super) const fn new(body: BoxBody, head: Option<Head>) -> Self {
        Self { body, head }
    }
}

impl MessageBody for Served {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(head) = &self.head {
            head.be_idle();
        }
    }
}
