//! The service as its callers see it: one binary, so that it links once.

#![expect(clippy::unwrap_used, reason = "whatever is not there fails the test, in its helpers too")]
#![allow(dead_code, reason = "the tests that are not here use the rest of what tests stand on")]

mod archives;
mod at_work;
mod bad_input;
mod brought_hashes;
mod bulk_kill;
mod checker;
mod classic;
mod collections;
mod command_line;
mod concurrency;
mod connections;
#[cfg(feature = "crash-points")]
mod crash;
mod documents;
mod ended_rights;
mod every_operation;
mod faults;
mod files;
mod indexes;
mod isolation;
mod long_queries;
mod lost_data;
mod mailboxes;
mod names;
mod openapi;
mod operators;
mod organizations;
mod pages;
mod printed_calls;
mod proxies;
mod public_url;
mod quotas;
mod real_data;
mod reference_calls;
mod set_password;
mod sharing;
mod sign_in;
mod support;
mod throttling;
mod token_verifiers;
mod tokens;
mod upgrade;
#[cfg(feature = "crash-points")]
mod worker_panics;
mod wrong_inputs;

/// The engine that everything here runs on; `tests/on_mongodb.rs` is the same on the other one.
const ENGINE: support::place::Engine = support::place::Engine::Embedded;
