//! The variable segments of a path: how they are parsed and written, and how the OpenAPI document describes them.
//!
//! A segment that is not a valid name cannot name anything that exists, so the response is 404 and not 400.

use super::http::Http;
use super::problem::ApiError;
use crate::error_codes;
use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use std::sync::Arc;
use tenantry_documents::document::DocumentId;
use tenantry_documents::index::IndexName;
use tenantry_domain::account_link::LinkKind;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::{AccountId, ApiKeyId, IdentityId, InvitationId, OperationId, SessionId};
use tenantry_domain::role::RoleName;
use tenantry_domain::{Error, ErrorCode, Result};
use utoipa::IntoParams;

/// Everything except the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Writes `text` as a path segment.
#[must_use]
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The decoded segment that is called `variable` in the route. A segment that is not UTF-8 counts as empty, and does not
/// affect the others.
///
/// # Errors
/// `internal` if the route has no such variable.
pub fn segment(parts: &Parts, variable: &str) -> Result<String> {
    let route = route(parts);
    segment_of(route, parts.uri.path(), variable)
        .ok_or_else(|| Error::internal(format!("the route {route} has no {variable}")))
}

/// As [`segment`], of this path of the route; `None` if the route has no such variable.
#[must_use]
pub fn segment_of(route: &str, path: &str, variable: &str) -> Option<String> {
    let is_it = |name: &[u8]| {
        name.strip_prefix(b"{").and_then(|name| name.strip_suffix(b"}")) == Some(variable.as_bytes())
    };
    let (_, text) = segments(route).zip(segments(path)).find(|(name, _)| is_it(name))?;
    Some(percent_decode(text).decode_utf8().map(String::from).unwrap_or_default())
}

/// What stands between the slashes. Byte by byte: they are so few that to set up a search for each takes longer.
fn segments(path: &str) -> impl Iterator<Item = &[u8]> {
    path.as_bytes().split(|byte| *byte == b'/')
}

fn route(parts: &Parts) -> &str {
    parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str)
}

/// The organization in the path, as text.
#[derive(IntoParams)]
#[into_params(names("organization"), parameter_in = Path)]
pub struct OrganizationPath(
    /// Its id or identifier.
    #[param(value_type = String)]
    pub String,
);

impl FromRequestParts<Arc<Http>> for OrganizationPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let route = route(parts);
        // A route without a variable ends in a word that is also an identifier (`organization_called_import`).
        if !route.contains('{') {
            return Ok(Self(route.rsplit('/').next().unwrap_or_default().to_owned()));
        }
        Ok(Self(segment(parts, "organization")?))
    }
}

/// As [`OrganizationPath`], for an organization that may be deleted: another one may have its name now.
#[derive(IntoParams)]
#[into_params(names("organization"), parameter_in = Path)]
pub struct OrganizationIdPath(
    /// Its id.
    #[param(value_type = String)]
    pub String,
);

impl FromRequestParts<Arc<Http>> for OrganizationIdPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        Ok(Self(segment(parts, "organization")?))
    }
}

/// The operation in the path.
#[derive(IntoParams)]
#[into_params(names("operation"), parameter_in = Path)]
pub struct OperationPath(
    /// Its id, from `Operation-Location` or `Location`.
    #[param(value_type = String)]
    pub OperationId,
);

impl FromRequestParts<Arc<Http>> for OperationPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let id = segment(parts, "operation")?.parse();
        Ok(Self(id.map_err(|_| ErrorCode::OperationNotFound)?))
    }
}

/// The key in the path.
#[derive(IntoParams)]
#[into_params(names("key"), parameter_in = Path)]
pub struct ApiKeyPath(
    /// Its id.
    #[param(value_type = String)]
    pub ApiKeyId,
);

impl FromRequestParts<Arc<Http>> for ApiKeyPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let id = segment(parts, "key")?.parse();
        Ok(Self(id.map_err(|_| ErrorCode::KeyNotFound)?))
    }
}

/// The signing key in the path.
#[derive(IntoParams)]
#[into_params(names("kid"), parameter_in = Path)]
pub struct SigningKeyPath(
    /// Its `kid`.
    pub String,
);

impl FromRequestParts<Arc<Http>> for SigningKeyPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        Ok(Self(segment(parts, "kid")?))
    }
}

/// The account of a member in the path.
#[derive(IntoParams)]
#[into_params(names("account"), parameter_in = Path)]
pub struct MemberPath(
    /// The id of the member's account.
    #[param(value_type = String)]
    pub AccountId,
);

impl FromRequestParts<Arc<Http>> for MemberPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let id = segment(parts, "account")?.parse();
        Ok(Self(id.map_err(|_| ErrorCode::MemberNotFound)?))
    }
}

/// The role of the organization's own in the path.
#[derive(IntoParams)]
#[into_params(names("role"), parameter_in = Path)]
pub struct RolePath(
    /// Its name.
    #[param(value_type = String)]
    pub RoleName,
);

impl FromRequestParts<Arc<Http>> for RolePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let name = RoleName::parse(&segment(parts, "role")?);
        Ok(Self(name.map_err(|_| ErrorCode::RoleNotFound)?))
    }
}

/// The invitation in the path.
#[derive(IntoParams)]
#[into_params(names("invitation"), parameter_in = Path)]
pub struct InvitationPath(
    /// Its id.
    #[param(value_type = String)]
    pub InvitationId,
);

impl FromRequestParts<Arc<Http>> for InvitationPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let id = segment(parts, "invitation")?.parse();
        Ok(Self(id.map_err(|_| ErrorCode::InvitationNotFound)?))
    }
}

/// The session in the path.
#[derive(IntoParams)]
#[into_params(names("session"), parameter_in = Path)]
pub struct SessionPath(
    /// Its id.
    #[param(value_type = String)]
    pub SessionId,
);

impl FromRequestParts<Arc<Http>> for SessionPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let id = segment(parts, "session")?.parse();
        Ok(Self(id.map_err(|_| ErrorCode::SessionNotFound)?))
    }
}

/// The link of an account in the path.
#[derive(IntoParams)]
#[into_params(names("link"), parameter_in = Path)]
pub struct LinkPath(
    /// Its kind: `password_reset`, `email_verification` or `email_change`.
    #[param(value_type = String)]
    pub LinkKind,
);

impl FromRequestParts<Arc<Http>> for LinkPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let kind = segment(parts, "link")?.parse();
        Ok(Self(kind.map_err(|_| ErrorCode::LinkNotFound)?))
    }
}

/// The identity in the path.
#[derive(IntoParams)]
#[into_params(names("identity"), parameter_in = Path)]
pub struct IdentityPath(
    /// Its id.
    #[param(value_type = String)]
    pub IdentityId,
);

impl FromRequestParts<Arc<Http>> for IdentityPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let id = segment(parts, "identity")?.parse();
        Ok(Self(id.map_err(|_| ErrorCode::IdentityNotFound)?))
    }
}

/// The code of a problem in the path.
#[derive(IntoParams)]
#[into_params(names("code"), parameter_in = Path)]
pub struct ProblemCodePath(
    /// The `code` of a problem.
    #[param(value_type = String, example = "name_taken")]
    pub ErrorCode,
);

impl FromRequestParts<Arc<Http>> for ProblemCodePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let code = segment(parts, "code")?;
        Ok(Self(error_codes::find(&code).ok_or(error_codes::ROUTE_NOT_FOUND)?))
    }
}

/// The collection in the path.
#[derive(IntoParams)]
#[into_params(names("collection"), parameter_in = Path)]
pub struct CollectionPath(
    /// Its name.
    #[param(value_type = String)]
    pub CollectionName,
);

impl FromRequestParts<Arc<Http>> for CollectionPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let name = CollectionName::parse(&segment(parts, "collection")?);
        Ok(Self(name.map_err(|_| ErrorCode::CollectionNotFound)?))
    }
}

/// The id of a document in the path.
#[derive(IntoParams)]
#[into_params(names("document"), parameter_in = Path)]
pub struct ItemPath(
    /// Its `_id`: 24 hexadecimal digits are an ObjectId, text after `~` is JSON, anything else is a string.
    #[param(value_type = String)]
    pub DocumentId,
);

impl FromRequestParts<Arc<Http>> for ItemPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let id = DocumentId::parse(&segment(parts, "document")?);
        Ok(Self(id.map_err(|flaw| {
            Error::new(ErrorCode::DocumentNotFound)
                .detail(format!("The last part of the path is not the id of a document. {flaw}"))
        })?))
    }
}

/// The name of an index in the path.
#[derive(IntoParams)]
#[into_params(names("index"), parameter_in = Path)]
pub struct IndexPath(
    /// Its name.
    #[param(value_type = String)]
    pub IndexName,
);

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
            assert_eq!(percent_decode(written.as_bytes()).decode_utf8().unwrap(), text);
        }
    }
}
