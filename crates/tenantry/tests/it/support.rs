//! The shared support code of the tests.

pub mod app;
pub mod browser;
pub mod chance;
pub mod checker;
pub mod client;
pub mod data_set;
pub mod given;
pub mod mongodb;
pub mod mongodb_dump;
pub mod place;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod records;
pub mod schema;
pub mod terminal;
