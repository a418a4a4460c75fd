//! The same service on MongoDB: what the tests of `main.rs` say that has nothing to do with files.
//!
//! A binary of its own, so that one run has both engines. What is missing here is what an engine cannot differ in
//! (the pages, the command line) or what the embedded one alone has (its files).

#![expect(clippy::unwrap_used, reason = "whatever is not there fails the test, in its helpers too")]
#![allow(dead_code, reason = "the tests that are not here use the rest of what tests stand on")]

mod archives;
mod at_work;
mod bad_input;
mod brought_hashes;
mod bulk_kill;
#[cfg(feature = "crash-points")]
mod chaos;
mod checker;
mod classic;
mod collections;
mod concurrency;
#[cfg(feature = "crash-points")]
mod crash;
mod doctor;
mod documents;
mod ended_rights;
mod every_operation;
mod further_collections;
mod indexes;
mod isolation;
mod long_queries;
mod lost_data;
mod mailboxes;
mod names;
mod openapi;
mod operators;
mod organizations;
mod placements;
mod printed_calls;
mod public_url;
mod quotas;
mod real_data;
mod reference_calls;
mod set_password;
mod sharing;
mod sign_in;
mod support;
mod throttling;
mod tokens;
mod transfer;
mod upgrade;
#[cfg(feature = "crash-points")]
mod worker_panics;
mod wrong_inputs;

/// The engine that everything here runs on.
const ENGINE: support::place::Engine = support::place::Engine::MongoDb;
