//! The service put together: its settings, its command line, and what runs from its start to its end.
//!
//! What a newcomer gets wrong: a rule belongs into `tenantry-domain`, and a route into `tenantry-api`; this crate reads
//! what the operator has set and starts what the others are.

pub mod cli;
pub mod config;
pub mod engine;
#[cfg(feature = "crash-points")]
mod failpoints;
pub mod fd_limit;
pub mod huge_pages;
mod keys;
pub mod service;
pub mod system;
pub mod telemetry;
