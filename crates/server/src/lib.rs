//! Tenantry.

pub mod config;
pub mod telemetry;
