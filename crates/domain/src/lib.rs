//! The rules of Tenantry, independent of how clients reach it (`api`) and how engines store it (`store`).
//!
//! Nothing here knows HTTP, a database driver or the environment; time and randomness come in through
//! [`clock::Clock`] and [`ids::Entropy`].
//!
//! # Pitfalls
//! A rule that spans several records belongs in an operation ([`operation`]), never in a store method.

pub mod account;
pub mod account_link;
pub mod actor;
pub mod api_key;
pub mod app;
pub mod archive;
pub mod audit;
pub mod clock;
pub mod collection;
pub mod email;
pub mod error;
pub mod failpoints;
pub mod foreign_token;
pub mod idempotency;
pub mod identity;
pub mod ids;
pub mod invitation;
pub mod limits;
pub mod mac_keys;
pub mod mail;
pub mod membership;
pub mod metrics;
pub mod name;
pub mod naming;
pub mod offload;
pub mod operation;
pub mod organization;
pub mod page;
pub mod password;
pub mod password_reset;
pub mod permission;
pub mod processor;
pub mod quota;
pub mod rate_limit;
pub mod refresh;
pub mod restored;
pub mod role;
pub mod secret_text;
pub mod session;
pub mod shared_mailbox;
pub mod signing_keys;
pub mod store;
pub mod token;

#[cfg(test)]
mod fuzz;

pub use error::{Error, ErrorCode, ErrorKind, FieldError, Result};
