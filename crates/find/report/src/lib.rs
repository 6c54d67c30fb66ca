//! The model of an assessment as terminal text, JSON, SARIF and HTML.
