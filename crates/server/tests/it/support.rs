//! What the tests stand on.

pub mod app;
pub mod browser;
pub mod client;
pub mod given;
pub mod raw;
pub mod records;
