//! How Tenantry is reached: HTTP, the command line, the settings. The only crate that knows any of them.
//!
//! What a newcomer gets wrong: rules belong into `tenantry-domain`; this crate reads input, calls the
//! application, and writes answers.

pub mod cli;
pub mod config;
pub mod engine;
#[cfg(feature = "crash-points")]
mod failpoints;
pub mod fd_limit;
pub mod http;
pub mod huge_pages;
mod keys;
pub mod listen;
mod paced_stream;
pub mod service;
pub mod system;
pub mod telemetry;
