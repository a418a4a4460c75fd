//! How Tenantry is reached: HTTP, the command line, the settings. The only crate that knows any of them.
//!
//! What a newcomer gets wrong: rules belong into `tenantry-domain`; this crate reads input, calls the
//! application, and writes answers.

pub mod cli;
pub mod config;
#[cfg(feature = "crash-points")]
mod crash;
pub mod descriptors;
pub mod engine;
pub mod http;
pub mod huge_pages;
mod keys;
pub mod listen;
mod patience;
pub mod service;
pub mod system;
pub mod telemetry;
