//! Ownership from outside: whole requests against a model of an engine.

mod isolation;
mod lifecycle;
mod model;
mod names;
mod world;
