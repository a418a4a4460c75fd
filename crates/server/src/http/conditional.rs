//! `ETag` and `If-Match`: a change meets the version its caller has seen, or none.

use super::Http;
use super::problem::Refusal;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use std::sync::Arc;
use tenantry_domain::app::EntityTag;
use tenantry_domain::{Error, ErrorCode, Result};

/// The `ETag` of an organization.
#[must_use]
pub fn etag(tag: EntityTag) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{}-{}\"", tag.organization, tag.admin)).ok()
}

/// The version the caller has seen, if the change depends on one.
pub struct IfMatch(pub Option<EntityTag>);

impl FromRequestParts<Arc<Http>> for IfMatch {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, Refusal> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        Ok(Self(parse(value.to_str().unwrap_or_default())?))
    }
}

/// One of our tags, or `*` for whatever is there. Any other tag, a weak one too, matches no version.
fn parse(value: &str) -> Result<Option<EntityTag>> {
    let value = value.trim();
    if value == "*" {
        return Ok(None);
    }
    let quoted = value.strip_prefix("W/").unwrap_or(value);
    let Some(text) = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return Err(Error::new(ErrorCode::InvalidHeader)
            .detail("`If-Match` must be one entity tag in double quotes, as `ETag` gives it, or `*`."));
    };
    let tag = text.split_once('-').and_then(|(organization, admin)| {
        Some(EntityTag { organization: organization.parse().ok()?, admin: admin.parse().ok()? })
    });
    match tag.filter(|_| quoted == value) {
        Some(tag) => Ok(Some(tag)),
        None => Err(ErrorCode::VersionMismatch.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_reads_back_and_nothing_else_is_one() {
        let tag = EntityTag { organization: 7, admin: 2 };
        assert_eq!(parse(etag(tag).unwrap().to_str().unwrap()).unwrap(), Some(tag));
        assert_eq!(parse("*").unwrap(), None);
        for (value, code) in [
            ("7-2", ErrorCode::InvalidHeader),
            ("W/\"7-2\"", ErrorCode::VersionMismatch),
            ("\"7\"", ErrorCode::VersionMismatch),
            ("\"abc\"", ErrorCode::VersionMismatch),
        ] {
            assert_eq!(parse(value).unwrap_err().code(), code, "{value}");
        }
    }
}
