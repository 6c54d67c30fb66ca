//! A listener that proves a server-side request: the target calls back with a number used once.

use std::time::Duration;

/// The listener. It answers every call with the nonce's own answer text, so that a response that
/// carries it proves a full read and not only a request.
#[derive(Debug)]
pub struct Callback {
    base: String,
}

/// One call that came in.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, at most 64 KiB of it.
    pub body: Vec<u8>,
}

impl Callback {
    /// The URL that carries `nonce`.
    pub fn url_for(&self, nonce: &str) -> String {
        format!("{}/{nonce}", self.base)
    }

    /// The text with which a call for `nonce` is answered. It cannot be derived from the URL.
    pub fn answer_for(&self, _nonce: &str) -> String {
        todo!()
    }

    /// Waits until `nonce` was called, at most so long.
    pub async fn wait(&self, _nonce: &str, _at_most: Duration) -> Option<Hit> {
        todo!()
    }
}
