//! HTTP: routes, authorization, reading bodies and writing responses, the OpenAPI document, and the accept loop.
//!
//! A handler takes the proof of its caller's right, calls a use case, and converts the result into a response. No handler
//! reaches a store, and this crate depends on none.

mod account_links;
mod api_keys;
mod archives;
mod audit;
mod auth;
mod authorization_server;
mod body_budget;
mod classic;
mod collection_schemas;
mod collections;
mod compression;
mod conditional;
mod content_coding;
mod cursor;
mod docs;
mod documents;
pub mod error_codes;
mod extract;
mod fields;
mod forwarding;
mod head_errors;
mod health;
mod http;
mod idempotency;
mod identities;
mod indexes;
mod invitations;
mod key_lifetime;
mod line_clock;
pub mod listen;
mod load;
mod mailed_links;
mod malformed;
mod me;
mod members;
pub mod metrics;
mod middleware;
pub mod network;
mod openapi;
mod operations;
mod organizations;
mod own_sessions;
mod paced_stream;
mod password_reset;
mod path_params;
mod problem;
mod quota;
mod rate_limit;
mod readiness;
mod request_fields;
mod request_id;
pub mod request_trace;
mod responses;
mod roles;
mod routes;
mod security;
mod sessions;
pub mod settings;
mod signing_keys;
mod tokens;
mod undeclared_query;
mod usage;

pub use routes::{ApiParts, handlers, openapi_document};
