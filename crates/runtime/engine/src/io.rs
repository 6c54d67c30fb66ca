//! What a pretended program reads and writes, and who is attached to it.

mod input;
mod log;
mod output;
mod session;
mod terminal;

pub(crate) use input::{Input, Pipe};
pub(crate) use log::{Log, Wanted};
pub(crate) use output::Output;
pub(crate) use session::{Stdin, take_over};
pub(crate) use terminal::Size;

use cofferdam_docker::stream::Kind;
use std::sync::Arc;

/// The standard streams of a program.
pub(crate) struct Streams {
    pub(crate) input: Input,
    pub(crate) output: Arc<Output>,
    /// The size of its terminal, where it has one.
    pub(crate) terminal: Option<Arc<Size>>,
}

impl Streams {
    pub(crate) async fn out(&self, bytes: &[u8]) {
        self.output.write(Kind::Stdout, bytes).await;
    }

    pub(crate) async fn problem(&self, text: &str) {
        self.output.write(Kind::Stderr, text.as_bytes()).await;
    }

    /// The next bytes of the input, `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        self.input.chunk(&self.output).await
    }

    /// The next line of the input without its end, `None` at its end.
    pub(crate) async fn line(&mut self) -> Option<String> {
        self.input.line(&self.output).await
    }
}
