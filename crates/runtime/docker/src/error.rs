//! What a call to the engine can fail with.

use std::path::PathBuf;
use std::time::Duration;

/// A call to the engine that gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket could not be reached.
    #[error("cannot reach the engine at `{}`", path.display())]
    Connect {
        /// The socket's path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke, or what came was not HTTP.
    #[error("the exchange with the engine failed")]
    Http(#[from] hyper::Error),
    /// The path or a header could not be put into a request.
    #[error("the request to the engine is malformed")]
    Request(#[from] hyper::http::Error),
    /// The engine did not answer in time.
    #[error("the engine did not answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// The answer is larger than the client takes.
    #[error("the answer of the engine is larger than {0} bytes")]
    TooLarge(usize),
    /// The engine refused.
    #[error("the engine answered {status}: {message}")]
    Engine {
        /// The HTTP status.
        status: u16,
        /// Its `message` member, or the first bytes of an answer that is not JSON.
        message: String,
    },
    /// The answer does not have the shape that the reference gives.
    #[error("the answer of the engine is not as documented")]
    Decode(#[from] serde_json::Error),
    /// A stream of output frames is cut short or has an unknown kind of frame.
    #[error("the output stream of the engine is broken at byte {0}")]
    Frames(usize),
}

impl Error {
    /// The HTTP status, when the engine answered at all.
    pub fn status(&self) -> Option<u16> {
        match self {
            Error::Engine { status, .. } => Some(*status),
            _ => None,
        }
    }
}
