//! The assembled service: its settings, its command line, and everything that runs from start to shutdown.
//!
//! Rules belong in `tenantry-domain` and routes in `tenantry-api`; this crate reads the settings and starts
//! the other crates' parts.

pub mod cli;
pub mod config;
pub mod engine;
#[cfg(feature = "crash-points")]
mod failpoints;
pub mod fd_limit;
mod guarded_client;
pub mod huge_pages;
mod issuer_keys;
mod issuers;
mod keys;
pub mod listening;
mod mail;
mod operator_key;
pub mod service;
mod service_manager;
pub mod system;
pub mod telemetry;
mod tls;
