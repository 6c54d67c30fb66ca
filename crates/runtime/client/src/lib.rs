//! Pre-approved container actions at a gate, for a handler that acts for its caller.
//!
//! A service that starts a container for whoever calls it needs no runtime socket and no rights of
//! its own: it takes its caller's token, exchanges it for one that is meant for the gate (RFC 8693),
//! and asks the gate for a typed [`Action`](action::Action). The gate and the broker judge the caller, not the
//! service, and the audit log names both.
//!
//! ```no_run
//! use cofferdam_client::action::{Action, ContainerListQuery};
//! use cofferdam_client::{Gate, TokenExchange, fetch};
//!
//! # async fn handler(callers_token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let exchange = TokenExchange::new(
//!     fetch::Client::new()?,
//!     "https://idp.example/token",
//!     "shop",
//!     &std::env::var("SHOP_SECRET")?,
//!     "https://gate.example",
//! )?;
//! let gate = Gate::new("https://gate.example")?.exchange(exchange);
//!
//! // In the handler, with the token that the guard has verified:
//! let caller = gate.caller(callers_token);
//! let list = Action::ContainerList(ContainerListQuery::default());
//! let containers: serde_json::Value = caller.act(&list).await?.json().await?;
//! # Ok(())
//! # }
//! ```

mod error;
mod gate;
mod reply;

pub use cofferdam_action::{action, container, filter, image, name, path, value};
pub use cofferdam_token::fetch::{self, TokenExchange};
pub use rustls;

pub use error::{Error, Problem};
pub use gate::{Caller, Gate};
pub use reply::Reply;
