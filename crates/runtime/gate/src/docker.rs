//! The Docker Engine API, on hyper: an unmodified `docker` asks for actions.
//!
//! *Read the head as it came → who is it? → may it ask now? → which action is it? → read the body →
//! ask the broker → answer.* [`service`] shows that order.

mod answer;
mod body;
mod hijack;
mod server;
mod service;

pub(crate) use server::run;
