//! The shared support code of the tests.

pub mod app;
pub mod browser;
pub mod certificates;
pub mod checker;
pub mod client;
pub mod data_set;
pub mod fixtures;
pub mod http2;
pub mod identity_provider;
pub mod jwks_server;
pub mod keys;
pub mod mongodb;
pub mod mongodb_dump;
pub mod oidc_server;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod records;
pub mod redaction;
pub mod rng;
pub mod schema;
pub mod smtp;
pub mod store;
pub mod terminal;
pub mod test_env;
pub mod transactions;
