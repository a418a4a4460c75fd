//! Extractors for the body, the query and the client address of a request.

use super::content_coding::{CodingFault, decoded};
use super::fields::Fields;
use super::http::Http;
use super::problem::ApiError;
use crate::error_codes;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, header};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tenantry_documents::document::diagnosis;
use tenantry_domain::rate_limit::ClientNetwork;
use tenantry_domain::{Error, ErrorCode, Result};

/// Names the media types that PATCH accepts (RFC 5789).
pub const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
/// The media types that PATCH accepts. Any other `+json` type is another patch language, which would be misread.
pub const PATCH_TYPES: HeaderValue =
    HeaderValue::from_static("application/merge-patch+json, application/json");

/// The media type of HTML forms and of OAuth 2.0.
const FORM: &str = "application/x-www-form-urlencoded";

/// A body, whole and within the limit, that says it is JSON (or, where it may be, is absent).
pub struct JsonBody(pub Bytes);

impl JsonBody {
    /// Its members.
    ///
    /// # Errors
    /// `invalid_json`.
    pub fn fields(&self) -> Result<Fields> {
        Fields::of_json(&self.0)
    }

    /// Its members; no members if it is absent.
    ///
    /// # Errors
    /// `invalid_json`.
    pub fn optional_fields(&self) -> Result<Fields> {
        Fields::of_optional_json(&self.0)
    }
}

impl FromRequest<Arc<Http>> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, http: &Arc<Http>) -> Result<Self, ApiError> {
        read_json(request, http, http.settings.max_body_bytes).await.map(Self)
    }
}

/// The members of a body that is a form or JSON, whole and within the limit.
pub struct FormBody(pub Fields);

impl FromRequest<Arc<Http>> for FormBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, http: &Arc<Http>) -> Result<Self, ApiError> {
        let is_form = media_type(request.headers()) == FORM;
        let check: fn(&Parts) -> Result<()> = if is_form { |_| Ok(()) } else { require_json };
        let bytes = read_body(request, http, http.settings.max_body_bytes, check).await?;
        Ok(Self(if is_form { Fields::of_form(&bytes)? } else { Fields::of_json(&bytes)? }))
    }
}

/// A body that holds a document, or a filter, which may hold one. Its limit follows from that of documents.
#[derive(Clone)]
pub struct DocumentBody(pub Bytes);

impl DocumentBody {
    /// The members of a body with a filter in it.
    ///
    /// # Errors
    /// `invalid_json`.
    pub fn fields(&self) -> Result<Fields> {
        Fields::of_json_with_filter(&self.0)
    }

    /// Its text.
    ///
    /// # Errors
    /// `invalid_json` if it is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        let text = diagnosis::without_mark(&self.0);
        std::str::from_utf8(text).map_err(|_| {
            let what = diagnosis::not_utf8(text).explain("JSON in UTF-8");
            Error::new(ErrorCode::InvalidJson).detail(format!("The body {what}"))
        })
    }
}

impl FromRequest<Arc<Http>> for DocumentBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, http: &Arc<Http>) -> Result<Self, ApiError> {
        read_json(request, http, http.settings.max_document_json_bytes).await.map(Self)
    }
}

async fn read_json(request: Request, http: &Http, limit: usize) -> Result<Bytes, ApiError> {
    read_body(request, http, limit, require_json).await
}

/// A body within the limit, which `check` refuses by what its head says of it.
async fn read_body(
    request: Request,
    http: &Http,
    limit: usize,
    check: fn(&Parts) -> Result<()>,
) -> Result<Bytes, ApiError> {
    let (parts, body) = request.into_parts();
    let body = decoded(&parts.headers, body)?;
    let declared = declared_length(&parts.headers).unwrap_or(0);
    if declared > limit as u64 {
        return Err(too_large(limit));
    }
    // Checked before the body is read, if its length is declared.
    if declared > 0 {
        check(&parts)?;
    }
    let arriving = axum::body::to_bytes(body, limit);
    let bytes = match tokio::time::timeout(http.settings.arrival_timeout(), arriving).await {
        Err(_) => return Err(error_codes::REQUEST_TIMEOUT.into()),
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return Err(broken(&error, limit)),
    };
    if !bytes.is_empty() {
        check(&parts)?;
    }
    Ok(bytes)
}

/// Refuses a body whose media type is not JSON, and a patch in another patch language.
fn require_json(parts: &Parts) -> Result<()> {
    let media_type = media_type(&parts.headers);
    let (is_taken, detail) = if parts.method == Method::PATCH {
        let taken = ["application/merge-patch+json", "application/json"];
        let detail = "The body must be a merge patch: send `Content-Type: application/merge-patch+json`.";
        (taken.contains(&media_type.as_str()), detail)
    } else {
        (is_json(&media_type), "The body must be JSON: send `Content-Type: application/json`.")
    };
    if is_taken {
        return Ok(());
    }
    Err(not_taken(&media_type, "JSON", detail))
}

/// The refusal of a media type: it explains what such a body is if that is known, else what to send.
pub fn not_taken(media_type: &str, wanted: &str, advice: &str) -> Error {
    let named = diagnosis::of_media_type(media_type).map(|what| format!("The body {}", what.explain(wanted)));
    Error::new(error_codes::UNSUPPORTED_MEDIA_TYPE).detail(named.unwrap_or_else(|| advice.to_owned()))
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The refusal of a body that was cut off.
pub fn cut_off() -> Error {
    Error::new(ErrorCode::InvalidJson).detail("The body did not arrive whole.")
}

/// The refusal of a body that did not arrive completely: too long, or cut off.
fn broken(error: &axum::Error, limit: usize) -> ApiError {
    if let Some(fault) = CodingFault::behind(error) {
        return fault.refusal(ErrorCode::InvalidJson).into();
    }
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if error.is::<http_body_util::LengthLimitError>() {
            return too_large(limit);
        }
        source = error.source();
    }
    cut_off().into()
}

fn too_large(limit: usize) -> ApiError {
    Error::new(error_codes::BODY_TOO_LARGE).detail(format!("The body may have at most {limit} bytes.")).into()
}

/// `application/json` or a `+json` type.
fn is_json(media_type: &str) -> bool {
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// The media type of the body without parameters; empty if there is none.
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The parameters of a query string.
pub struct QueryFields(pub Fields);

impl FromRequestParts<Arc<Http>> for QueryFields {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(Fields::of_query(query)?))
    }
}

/// The network that a request comes from, for rate limits.
pub struct ClientAddress(pub ClientNetwork);

impl FromRequestParts<Arc<Http>> for ClientAddress {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, ApiError> {
        let address = address_of(http, &parts.headers, &parts.extensions);
        let address = address.ok_or_else(|| Error::internal("a request without a peer address"))?;
        Ok(Self(ClientNetwork::of(address)))
    }
}

/// The address of the client that sent a request; `None` without a connection.
pub fn address_of(http: &Http, headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
    let peer = extensions.get::<SocketAddr>()?.ip();
    let trusted = |address| http.settings.trusted_proxies.iter().any(|proxy| proxy.contains(address));
    Some(client_address(peer, headers, trusted))
}

/// The last address that no trusted proxy vouches for: anybody may have written the addresses to its left.
fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let lines: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    let hops = lines.iter().rev().flat_map(|line| line.split(',').rev().map(str::trim));
    let mut address = peer;
    for hop in hops {
        if !trusted(address) {
            break;
        }
        let Some(next) = parse_hop(hop) else { break };
        address = next;
    }
    address
}

/// Parses an address as proxies write it: bare, with a port, or in brackets.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let trusted = |address: IpAddr| address.to_string().starts_with("10.");
        client_address(peer.parse().unwrap(), &headers, trusted).to_string()
    }

    #[test]
    fn client_address_comes_only_from_trusted_proxies() {
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["1.1.1.1", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }
}
