//! The shipped policies against the request files and against any request, and what is said of
//! policies that are wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at the first surprise"
)]

mod benign;
mod decisions;
mod problems;
mod properties;
mod support;
