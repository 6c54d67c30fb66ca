//! The REST API, on actix-web behind the guard: the same actions for programs that speak JSON.
//!
//! *The guard asks who it is → may it ask now? → which action is it? → read the body → ask the broker
//! → answer.* `service` shows what follows the guard.

mod answer;
mod app;
mod body;
mod openapi;
mod routes;
mod server;
mod service;

pub(crate) use app::guard;
pub use openapi::document;
pub(crate) use server::Workers;
