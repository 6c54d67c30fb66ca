//! A small token issuer for development and tests.
