//! Tells the client, and counts, that a request examined many documents.

use crate::http::Http;
use crate::metrics::DOCUMENT_FULL_SCANS;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

/// Says how many documents a query had to examine, if there were many.
pub const FULL_SCAN: HeaderName = HeaderName::from_static("full-scan");

/// Adds the header [`FULL_SCAN`] to `response` if the query examined many documents.
pub(super) fn with_scan(http: &Http, mut response: Response, scanned: Option<u64>) -> Response {
    if let Some(scanned) = scanned.filter(|scanned| *scanned > http.settings.full_scan_notice) {
        metrics::counter!(DOCUMENT_FULL_SCANS).increment(1);
        response.headers_mut().insert(FULL_SCAN, HeaderValue::from(scanned));
    }
    response
}
