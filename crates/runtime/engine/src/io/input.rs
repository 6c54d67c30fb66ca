//! The input of a program: a pipe that clients write to and the program reads.

use super::output::Output;
use super::terminal::Lines;
use bytes::Bytes;
use cofferdam_docker::stream::Kind;
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;

/// How many pieces of input wait for the program. Then the client waits too.
const WAITING: usize = 8;
/// How long a line may be.
const LINE: usize = 64 * 1024;

/// The pipe, between those who are attached and one run of a program.
pub(crate) struct Pipe {
    sender: Mutex<Option<mpsc::Sender<Bytes>>>,
    receiver: Mutex<Option<mpsc::Receiver<Bytes>>>,
}

impl Pipe {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        Self {
            sender: Mutex::new(Some(sender)),
            receiver: Mutex::new(Some(receiver)),
        }
    }

    /// Passes bytes on; false when nobody can read them any more.
    pub(crate) async fn write(&self, bytes: Bytes) -> bool {
        let sender = {
            let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
            sender.clone()
        };
        match sender {
            Some(sender) => sender.send(bytes).await.is_ok(),
            None => false,
        }
    }

    /// Ends the input.
    pub(crate) fn close(&self) {
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        *sender = None;
    }

    /// The reading end; once.
    pub(crate) fn reader(&self) -> Option<mpsc::Receiver<Bytes>> {
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        receiver.take()
    }
}

/// What a program reads.
pub(crate) struct Input {
    /// `None` is `/dev/null`.
    pipe: Option<mpsc::Receiver<Bytes>>,
    read: Vec<u8>,
    /// What a terminal makes of what is typed.
    lines: Option<Lines>,
    ended: bool,
}

impl Input {
    pub(crate) fn new(pipe: Option<mpsc::Receiver<Bytes>>, tty: bool) -> Self {
        Self {
            pipe,
            read: Vec::new(),
            lines: tty.then(Lines::default),
            ended: false,
        }
    }

    /// Whether the input was ended by an interrupt from the terminal.
    pub(crate) fn interrupted(&self) -> bool {
        self.lines.as_ref().is_some_and(|lines| lines.interrupted)
    }

    pub(super) async fn chunk(&mut self, echo: &Output) -> Option<Vec<u8>> {
        if self.read.is_empty() && !self.fill(echo).await {
            return None;
        }
        Some(std::mem::take(&mut self.read))
    }

    pub(super) async fn line(&mut self, echo: &Output) -> Option<String> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.read.len() > LINE || !self.fill(echo).await {
                let rest = std::mem::take(&mut self.read);
                return (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned());
            }
        }
    }

    /// Waits for more; false at the end.
    async fn fill(&mut self, echo: &Output) -> bool {
        while !self.ended {
            let Some(bytes) = (match &mut self.pipe {
                Some(pipe) => pipe.recv().await,
                None => None,
            }) else {
                self.ended = true;
                break;
            };
            let Some(lines) = &mut self.lines else {
                self.read.extend_from_slice(&bytes);
                return true;
            };
            let typed = lines.typed(&bytes);
            echo.write(Kind::Stdout, &typed.echo).await;
            self.ended = typed.end;
            if !typed.ready.is_empty() {
                self.read.extend_from_slice(&typed.ready);
                return true;
            }
        }
        false
    }
}
