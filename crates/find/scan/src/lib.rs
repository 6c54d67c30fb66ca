//! A black-box scan of an HTTP API behind bearer tokens.
