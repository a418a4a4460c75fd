//! What an operator sets about HTTP. Reading the settings is left to the binary.

use super::network::Network;
use axum::http::{HeaderName, HeaderValue};
use std::time::Duration;

/// Who learns what about an organization without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupPolicy {
    /// All of it, with the admin's e-mail address and the container.
    Full,
    /// Neither the admin's e-mail address nor the container.
    Card,
    /// Nothing: a token of that organization is needed.
    Off,
}

/// Who may read `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsPolicy {
    /// Anybody.
    Open,
    /// The holder of the operator key.
    Operator,
    /// Nobody: the path does not exist.
    Off,
}

/// What an operator sets about HTTP.
pub struct Settings {
    /// What the service calls itself.
    pub app_name: String,
    /// What stands before the path in every link; empty if nobody has said under which URL the service is reached.
    pub public_url: String,
    /// Who learns what without a token.
    pub public_lookup: LookupPolicy,
    /// Who may read `/metrics`.
    pub metrics: MetricsPolicy,
    /// Bytes of a request body at most.
    pub max_body_bytes: usize,
    /// Bytes of a document, or of a line that holds one, at most.
    pub max_document_json_bytes: usize,
    /// Bytes that lines of NDJSON may hold in memory, over all requests.
    pub bulk_memory_bytes: usize,
    /// A query that looks at more documents than this says so.
    pub full_scan_notice: u64,
    /// From the head of a request to the head of its answer; of an import, between two pieces of its body, and for each of
    /// its lines.
    pub request_timeout: Duration,
    /// For the reader of an export to take nothing of it.
    pub export_pause_timeout: Duration,
    /// The proxies whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<Network>,
    /// The origins whose pages may call the API; without any, no CORS header is sent.
    pub cors_origins: Vec<HeaderValue>,
    /// Request headers that those pages may send besides the usual.
    pub cors_headers: Vec<HeaderName>,
}

impl Settings {
    /// How long a body may take to arrive: half of the time, so that a slow client hears of its own slowness and not
    /// of ours.
    #[must_use]
    pub fn arrival_timeout(&self) -> Duration {
        self.request_timeout / 2
    }
}
