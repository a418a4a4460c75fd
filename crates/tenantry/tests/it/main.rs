//! The service as its callers see it: one binary for both engines, so that it is compiled and linked once.
//!
//! `TENANTRY_TEST_ENGINE` says which engine a run is on: `embedded`, as without it, or `mongodb`. `cargo xtask ci` makes a
//! run on each.

#![expect(clippy::unwrap_used, reason = "a missing value fails the test, in its helpers too")]

mod account_links;
mod account_removal;
mod api_keys;
mod archives;
mod audit;
mod backend_examples;
mod backup;
mod bad_input;
mod batch_kill;
mod bulk_kill;
mod canaries;
mod checker;
mod classic;
mod coded_bodies;
mod collection_schemas;
mod collections;
mod compressed_responses;
mod concurrency;
#[cfg(feature = "crash-points")]
mod crash;
mod documents;
mod embedded_only;
mod ended_credentials;
mod ended_rights;
mod error_sentences;
mod every_operation;
mod identity_providers;
mod imported_hashes;
mod indexes;
mod input_diagnosis;
mod invitations;
mod isolation;
mod lifecycle_under_load;
mod long_queries;
mod lost_data;
mod mail;
mod mailboxes;
mod me;
mod members;
mod metrics;
mod migrating;
mod mongodb_only;
mod openapi;
mod operator_key;
mod organization_share;
mod organizations;
mod own_sessions;
mod password_reset;
mod printed_calls;
mod public_url;
mod query_operators;
mod quotas;
mod rate_limit;
mod real_data;
mod reference_calls;
mod request_rates;
mod roles;
mod secret_rotation;
mod set_password;
mod sign_in;
mod signing_keys;
#[cfg(feature = "crash-points")]
mod soak;
mod support;
mod telemetry;
mod tokens;
mod update_kill;
mod upgrade;
#[cfg(feature = "crash-points")]
mod worker_panics;

/// The engine that this run is on.
#[expect(clippy::disallowed_methods, reason = "no setting: what the tests run on")]
fn engine() -> support::test_env::Engine {
    use support::test_env::Engine;
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
