//! The operator's settings for HTTP. The binary reads them.

use super::network::Network;
use axum::http::{HeaderName, HeaderValue};
use std::time::Duration;

/// What a caller without a token can see of an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupPolicy {
    /// Everything, including the admin's e-mail address and the container.
    Full,
    /// Everything except the admin's e-mail address and the container.
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

/// The issuer of access tokens, where it is an https URL.
pub struct IssuerUrl {
    /// As tokens have it.
    pub text: String,
    /// Its path; empty if that is `/`.
    pub path: String,
    /// What the URLs of the service begin with, without a slash at the end.
    pub base: String,
}

/// How many requests a minute each may send; 0 is without limit.
pub struct RequestRates {
    /// An IPv4 address, or a /64 of IPv6.
    pub address: u32,
    /// An account.
    pub account: u32,
    /// An organization.
    pub organization: u32,
    /// A key.
    pub key: u32,
    /// The networks whose addresses are not counted.
    pub exempt: Vec<Network>,
}

/// The operator's settings for HTTP.
pub struct Settings {
    /// The name of the service.
    pub app_name: String,
    /// The prefix of the path in every link; empty if the URL of the service is not set.
    pub public_url: String,
    /// The issuer of access tokens, where it is an https URL.
    pub issuer_url: Option<IssuerUrl>,
    /// What a caller without a token can see.
    pub public_lookup: LookupPolicy,
    /// Who may read `/metrics`.
    pub metrics: MetricsPolicy,
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    /// The largest document, or line with a document, in bytes.
    pub max_document_json_bytes: usize,
    /// Bytes that lines of NDJSON may take in memory, over all requests.
    pub bulk_memory_bytes: usize,
    /// A query that examines more documents than this reports it.
    pub full_scan_notice: u64,
    /// From the head of a request to the head of its response; for an import, between two pieces of its body, and for each
    /// of its lines.
    pub request_timeout: Duration,
    /// How long the reader of an export may read nothing of it.
    pub export_pause_timeout: Duration,
    /// Whether responses are compressed where that pays.
    pub compression: bool,
    /// How many requests are worked on at once; one more is refused.
    pub max_concurrent_requests: usize,
    /// Whether reads that succeed are logged like all other requests.
    pub log_all_requests: bool,
    /// How many requests each may send.
    pub request_rates: RequestRates,
    /// The proxies whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<Network>,
    /// The origins whose pages may call the API; without any, no CORS headers are sent.
    pub cors_origins: Vec<HeaderValue>,
    /// Request headers that those pages may send besides the usual.
    pub cors_headers: Vec<HeaderName>,
}

impl Settings {
    /// How long a body may take to arrive: half of the request timeout, so that a slow client is told that it is slow, and
    /// not that the service is.
    #[must_use]
    pub fn arrival_timeout(&self) -> Duration {
        self.request_timeout / 2
    }
}
