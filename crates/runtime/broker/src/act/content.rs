//! What follows the head of an answer.

use bytes::{Bytes, BytesMut};
use cofferdam_docker::pool::{AnswerBody, Streams};
use tokio::sync::mpsc;

use crate::lines::Lines;
use crate::shares::Share;
use crate::tenancy::LinesView;

/// Bytes of one line of a stream of JSON documents.
///
/// An event repeats the labels of its object, and of an exec the command twice; the floor lets 64 KiB
/// of each through, and JSON may write a byte with six.
const MAX_LINE: usize = 2 << 20;

/// What follows the head.
pub(crate) enum Content {
    /// Nothing.
    Empty,
    /// All of it, and the room that it takes until the gate has it.
    Whole(Bytes, Option<Share>),
    /// Bytes as they come.
    Stream(Box<Stream>),
    /// Bytes in both directions.
    Hijacked(Box<Streams>),
}

/// Bytes as they come.
pub(crate) struct Stream {
    source: Source,
    lines: Option<Shown>,
}

/// Where they come from.
pub(crate) enum Source {
    /// From the engine, as long as somebody listens.
    Engine(AnswerBody),
    /// From a task that reads the engine to the end, whoever listens.
    Task(mpsc::Receiver<Bytes>),
}

/// Lines that are shown as far as the tenant may see them.
struct Shown {
    view: LinesView,
    lines: Lines,
}

/// The stream ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BrokenOff;

impl Content {
    pub(crate) fn stream(source: Source, lines: Option<LinesView>) -> Self {
        let lines = lines.map(|view| Shown {
            view,
            lines: Lines::new(MAX_LINE),
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
            let shown = lines.show(chunk.as_deref());
            if chunk.is_none() || !shown.is_empty() {
                return Ok((!shown.is_empty()).then_some(shown));
            }
        }
    }
}

impl Shown {
    /// What is seen of the lines that end with this chunk, or with the stream. A line that is too
    /// long is seen by nobody, and ends nobody's stream.
    fn show(&mut self, chunk: Option<&[u8]>) -> Bytes {
        let mut shown = BytesMut::new();
        let show = |line: Option<&[u8]>| {
            if let Some(line) = line.and_then(|line| self.view.apply(line)) {
                shown.extend_from_slice(&line);
                shown.extend_from_slice(b"\n");
            }
        };
        match chunk {
            Some(chunk) => self.lines.take(chunk, show),
            None => self.lines.end(show),
        }
        shown.freeze()
    }
}
