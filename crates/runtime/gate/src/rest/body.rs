//! What a client is answered.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

use crate::broker::{BrokerError, Download};
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
