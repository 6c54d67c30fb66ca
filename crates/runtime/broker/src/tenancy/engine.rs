//! The engine, as far as ownership needs it: a few reads and the removals of a prune, each of them
//! a typed action.

use std::future::Future;

use bytes::Bytes;
use cofferdam_action::action::Action;
use serde_json::Value;

use crate::sieve::Sieve;

/// The engine behind the broker.
pub trait Engine: Send + Sync {
    /// Asks the engine, and reads the whole answer. The references in the action are full ids.
    ///
    /// # Errors
    /// Where there is no whole answer.
    fn ask(&self, action: &Action) -> impl Future<Output = Result<Reply, EngineFailure>> + Send;

    /// Asks for lists, and hands `keep` each element with the member of the answer that it is in.
    /// The reply has what `keep` has returned in its place, if anything: a list that is everybody's
    /// may be longer than what is held of it.
    ///
    /// # Errors
    /// As [`Engine::ask`], and for what is not JSON.
    fn ask_each(
        &self,
        action: &Action,
        keep: impl FnMut(&str, Value) -> Option<Value> + Send,
    ) -> impl Future<Output = Result<Reply, EngineFailure>> + Send {
        async move {
            let Reply { status, body } = self.ask(action).await?;
            let mut sieve = Sieve::new(keep);
            sieve
                .take(&body)
                .map_err(|error| EngineFailure::Unreachable(error.to_string()))?;
            let body = sieve.end().into();
            Ok(Reply { status, body })
        }
    }
}

/// What the engine answered, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer of the engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineFailure {
    /// It cannot be reached, or did not answer whole and in time.
    #[error("the engine did not answer: {0}")]
    Unreachable(String),
    /// It refused what only the broker asks of it, or its answer is not what its API says.
    #[error("the engine answered {status} to {what}: {message}")]
    Answer {
        /// What was asked.
        what: &'static str,
        /// The status.
        status: u16,
        /// What it said.
        message: String,
    },
}

impl<E: Engine> Engine for std::sync::Arc<E> {
    fn ask(&self, action: &Action) -> impl Future<Output = Result<Reply, EngineFailure>> + Send {
        self.as_ref().ask(action)
    }

    fn ask_each(
        &self,
        action: &Action,
        keep: impl FnMut(&str, Value) -> Option<Value> + Send,
    ) -> impl Future<Output = Result<Reply, EngineFailure>> + Send {
        self.as_ref().ask_each(action, keep)
    }
}

impl Reply {
    /// The JSON of a success.
    ///
    /// # Errors
    /// For another status, and a body that is not JSON. `what` names the question.
    pub(super) fn json(&self, what: &'static str) -> Result<Value, EngineFailure> {
        let answer = |message: String| EngineFailure::Answer {
            what,
            status: self.status,
            message,
        };
        if !(200..300).contains(&self.status) {
            return Err(answer(self.message()));
        }
        serde_json::from_slice(&self.body).map_err(|error| answer(error.to_string()))
    }

    /// What the engine says in an error.
    pub(super) fn message(&self) -> String {
        let message = serde_json::from_slice::<Value>(&self.body)
            .ok()
            .and_then(|body| Some(body.get("message")?.as_str()?.to_owned()));
        message.unwrap_or_default()
    }
}
