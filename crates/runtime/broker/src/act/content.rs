//! What follows the head of an answer.

use bytes::{Buf as _, Bytes, BytesMut};
use cofferdam_docker::pool::{AnswerBody, Streams};
use tokio::sync::mpsc;

use crate::tenancy::LinesView;

/// Bytes of one line of a stream of JSON documents.
const MAX_LINE: usize = 1 << 20;

/// What follows the head.
pub(crate) enum Content {
    /// Nothing.
    Empty,
    /// All of it.
    Whole(Bytes),
    /// Bytes as they come.
    Stream(Box<Stream>),
    /// Bytes in both directions.
    Hijacked(Box<Streams>),
}

/// Bytes as they come.
pub(crate) struct Stream {
    source: Source,
    lines: Option<Lines>,
}

/// Where they come from.
pub(crate) enum Source {
    /// From the engine, as long as somebody listens.
    Engine(AnswerBody),
    /// From a task that reads the engine to the end, whoever listens.
    Task(mpsc::Receiver<Bytes>),
}

/// Lines that are shown as far as the tenant may see them.
struct Lines {
    view: LinesView,
    /// What has come of the line that is not whole yet.
    partial: BytesMut,
}

/// The stream ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BrokenOff;

impl Content {
    pub(crate) fn stream(source: Source, lines: Option<LinesView>) -> Self {
        let lines = lines.map(|view| Lines {
            view,
            partial: BytesMut::new(),
        });
        Content::Stream(Box::new(Stream { source, lines }))
    }
}

impl Stream {
    /// The next bytes; nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, BrokenOff> {
        loop {
            let chunk = match &mut self.source {
                Source::Engine(body) => body.chunk().await.map_err(|_| BrokenOff)?,
                Source::Task(chunks) => chunks.recv().await,
            };
            let Some(lines) = &mut self.lines else {
                return Ok(chunk);
            };
            let shown = match &chunk {
                Some(chunk) => lines.take(chunk)?,
                None => lines.end(),
            };
            if chunk.is_none() || !shown.is_empty() {
                return Ok((!shown.is_empty()).then_some(shown));
            }
        }
    }
}

impl Lines {
    fn take(&mut self, chunk: &[u8]) -> Result<Bytes, BrokenOff> {
        let mut shown = BytesMut::new();
        self.partial.extend_from_slice(chunk);
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line = self.partial.split_to(end);
            self.partial.advance(1);
            show(&mut self.view, &line, &mut shown);
        }
        match self.partial.len() > MAX_LINE {
            true => Err(BrokenOff),
            false => Ok(shown.freeze()),
        }
    }

    fn end(&mut self) -> Bytes {
        let mut shown = BytesMut::new();
        let line = std::mem::take(&mut self.partial);
        show(&mut self.view, &line, &mut shown);
        shown.freeze()
    }
}

fn show(view: &mut LinesView, line: &[u8], shown: &mut BytesMut) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return;
    }
    if let Some(line) = view.apply(line) {
        shown.extend_from_slice(&line);
        shown.extend_from_slice(b"\n");
    }
}
