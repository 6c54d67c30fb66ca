//! A pull: the engine says what became of it at the end of its progress, and gives it up when
//! nobody listens. So it is read to the end whether the caller still listens or not.

use cofferdam_action::wire::Done;
use cofferdam_docker::pool::AnswerBody;
use tokio::sync::{mpsc, oneshot};

use super::{Acted, Asked, Content, Reply, Source};
use crate::lines::Lines;
use crate::tenancy::{Begun, View};

/// Chunks of progress that wait for a slow caller; beyond them the engine waits.
const WAITING: usize = 16;

/// Bytes of one line of progress that are looked at.
const MAX_LINE: usize = 64 << 10;

/// Answers as soon as the head is there, and comes back at the end.
pub(super) async fn run(
    asked: Asked<'_>,
    mut begun: Begun,
    done: Done,
    mut body: AnswerBody,
    answer: oneshot::Sender<Reply>,
) -> Acted {
    let (chunks, receiver) = mpsc::channel(WAITING);
    let lines = match std::mem::replace(&mut begun.view, View::Pass) {
        View::Lines(lines) => Some(lines),
        View::Pass => None,
        View::Json(_) => return Acted::unreadable(),
    };
    let status = done.status;
    // A caller who is gone hears nothing.
    let _ = answer.send(Ok((done, Content::stream(Source::Task(receiver), lines))));

    let mut progress = Progress::new();
    let mut listener = Some(chunks);
    let broken = loop {
        match body.chunk().await {
            Ok(None) => break None,
            Err(error) => break Some(error),
            Ok(Some(chunk)) => {
                progress.take(&chunk);
                if let Some(chunks) = &listener
                    && chunks.send(chunk).await.is_err()
                {
                    listener = None;
                }
            }
        }
    };
    let failure = progress.failure;
    let (_, trouble) = match (&broken, &failure) {
        (None, None) => asked.settle(&begun, status, &[]),
        _ => (Vec::new(), None),
    };
    let detail = match (broken, failure) {
        (Some(_), _) => "unknown: the engine broke the exchange off".to_owned(),
        (None, Some(message)) => format!("{status}, then: {message}"),
        (None, None) => status.to_string(),
    };
    Acted {
        reply: None,
        success: detail == status.to_string(),
        detail,
        objects: Vec::new(),
        trouble,
        in_doubt: false,
    }
}

/// What the lines of progress say of the end.
struct Progress {
    lines: Lines,
    failure: Option<String>,
}

impl Progress {
    const fn new() -> Self {
        Self {
            lines: Lines::new(MAX_LINE),
            failure: None,
        }
    }

    fn take(&mut self, chunk: &[u8]) {
        self.lines.take(chunk, |line| {
            let Some(line) = line else {
                // No line of progress is so long; what is in it is not known.
                self.failure = Some("its progress could not be read".to_owned());
                return;
            };
            let line: Result<serde_json::Value, _> = serde_json::from_slice(line);
            if let Ok(line) = line
                && let Some(error) = line.get("error").and_then(|error| error.as_str())
            {
                self.failure = Some(error.chars().take(200).collect());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_at_the_end_of_the_progress_is_seen_however_it_is_cut() {
        let text = "{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{},\"error\":\"no \\\"error\\\" here\"}\r\n";
        for cut in 1..text.len() {
            let mut progress = Progress::new();
            for part in text.as_bytes().chunks(cut) {
                progress.take(part);
            }
            assert_eq!(progress.failure.as_deref(), Some("no \"error\" here"));
        }
        let mut progress = Progress::new();
        progress.take(b"{\"status\":\"error\"}\n");
        assert_eq!(progress.failure, None);
    }
}
