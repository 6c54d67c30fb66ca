//! What a tenant sees of the engine's answers.

/// How the body of a successful answer is shown.
#[derive(Debug)]
pub enum View {
    /// As it comes; also where there is none.
    Pass,
    /// One JSON document, read whole.
    Json(JsonView),
    /// JSON documents, one a line, as they come.
    Lines(LinesView),
}

/// How a document is shown.
#[derive(Debug)]
pub struct JsonView {}

/// How lines are shown.
#[derive(Debug)]
pub struct LinesView {}

/// An answer that is not what the Engine API says, so that it cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine's answer is not the JSON that its API has for it")]
pub struct ViewError;

impl JsonView {
    /// The document as the tenant may see it.
    ///
    /// # Errors
    /// For what is not JSON.
    pub fn apply(&self, _body: &[u8]) -> Result<Vec<u8>, ViewError> {
        Err(ViewError)
    }
}

impl LinesView {
    /// One line as the tenant may see it, without its end; nothing where it is not for them.
    pub fn apply(&mut self, _line: &[u8]) -> Option<Vec<u8>> {
        None
    }
}
