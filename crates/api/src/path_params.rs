//! The variable segments of a path: what they name, and how a name is written as one.
//!
//! What a newcomer gets wrong: a segment that can be nothing's name names nothing. It is 404, never 400.

use super::http::Http;
use super::problem::ApiError;
use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::sync::Arc;
use tenantry_documents::document::DocumentId;
use tenantry_documents::index::IndexName;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::{Error, ErrorCode, Result};

/// All but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `text` as a segment.
#[must_use]
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The segment that is called `variable` in the route, decoded. One that is not UTF-8 is as good as empty, and says
/// nothing about the others.
///
/// # Errors
/// `internal` if the route has no such variable.
pub fn segment(parts: &Parts, variable: &str) -> Result<String> {
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let is_it = |name: &str| name.strip_prefix('{').and_then(|name| name.strip_suffix('}')) == Some(variable);
    let mut segments = route.split('/').zip(parts.uri.path().split('/'));
    let (_, text) = segments
        .find(|(name, _)| is_it(name))
        .ok_or_else(|| Error::internal(format!("the route {route} has no {variable}")))?;
    Ok(percent_decode_str(text).decode_utf8().map(String::from).unwrap_or_default())
}

/// The collection in the path.
pub struct CollectionPath(pub CollectionName);

impl FromRequestParts<Arc<Http>> for CollectionPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let name = CollectionName::parse(&segment(parts, "collection")?);
        Ok(Self(name.map_err(|_| ErrorCode::CollectionNotFound)?))
    }
}

/// The id of a document in the path.
pub struct ItemPath(pub DocumentId);

impl FromRequestParts<Arc<Http>> for ItemPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let id = DocumentId::parse(&segment(parts, "document")?);
        Ok(Self(id.map_err(|flaw| {
            Error::new(ErrorCode::DocumentNotFound)
                .detail(format!("There is no such document, and cannot be: its id is none. {flaw}"))
        })?))
    }
}

/// The name of an index in the path.
pub struct IndexPath(pub IndexName);

impl FromRequestParts<Arc<Http>> for IndexPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let name = IndexName::parse(&segment(parts, "index")?);
        Ok(Self(name.map_err(|_| ErrorCode::IndexNotFound)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_parameter_encoding_round_trips() {
        for (text, written) in [
            ("plain-_.~", "plain-_.~"),
            ("~5", "~5"),
            ("a/b c?d#e%", "a%2Fb%20c%3Fd%23e%25"),
            ("é", "%C3%A9"),
            ("~{\"a\":1}", "~%7B%22a%22%3A1%7D"),
        ] {
            assert_eq!(encoded(text), written);
            assert_eq!(percent_decode_str(written).decode_utf8().unwrap(), text);
        }
    }
}
