//! The service as its callers see it: one binary for both engines, so that it is compiled and linked once.
//!
//! `TENANTRY_TEST_ENGINE` says which engine a run is on: `embedded`, as without it, or `mongodb`. `cargo xtask ci` makes a
//! run on each.

#![expect(clippy::unwrap_used, reason = "a missing value fails the test, in its helpers too")]

mod archives;
mod at_work;
mod bad_input;
mod brought_hashes;
mod bulk_kill;
mod checker;
mod classic;
mod collections;
mod concurrency;
#[cfg(feature = "crash-points")]
mod crash;
mod documents;
mod embedded_only;
mod ended_rights;
mod every_operation;
mod indexes;
mod isolation;
mod long_queries;
mod lost_data;
mod mailboxes;
mod mongodb_only;
mod openapi;
mod operators;
mod organizations;
mod printed_calls;
mod public_url;
mod quotas;
mod rate_limit;
mod real_data;
mod reference_calls;
mod set_password;
mod sharing;
mod sign_in;
mod support;
mod tokens;
mod upgrade;
#[cfg(feature = "crash-points")]
mod worker_panics;
mod wrong_inputs;

/// The engine that this run is on.
#[expect(clippy::disallowed_methods, reason = "no setting: what the tests run on")]
fn engine() -> support::place::Engine {
    use support::place::Engine;
    let named = std::env::var("TENANTRY_TEST_ENGINE");
    // One of them that is run by its name needs no variable.
    if named.is_err() && std::env::args().any(|argument| argument.starts_with("mongodb_only::")) {
        return Engine::MongoDb;
    }
    match named.as_deref() {
        Err(_) | Ok("embedded") => Engine::Embedded,
        Ok("mongodb") => Engine::MongoDb,
        Ok(other) => panic!("TENANTRY_TEST_ENGINE is `embedded` or `mongodb`, not `{other}`"),
    }
}
