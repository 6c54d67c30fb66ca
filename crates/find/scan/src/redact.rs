//! Secrets out of what is kept.
