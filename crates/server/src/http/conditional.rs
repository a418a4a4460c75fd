//! `ETag` and `If-Match`: a change meets the version its caller has seen, or none.

use super::Http;
use super::problem::Refusal;
use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use std::fmt::Write;
use std::sync::Arc;
use tenantry_domain::app::{EntityTag, Expected};
use tenantry_domain::{Error, ErrorCode, Result};

/// The `ETag` of an organization.
#[must_use]
pub fn etag(tag: EntityTag) -> Option<HeaderValue> {
    // Room for all that versions come to: growing would cost more than writing them.
    let mut text = String::with_capacity(24);
    write!(text, "\"{}-{}\"", tag.organization, tag.admin).ok()?;
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}

/// The versions the caller has seen, if the change depends on one.
pub struct IfMatch(pub Expected);

impl FromRequestParts<Arc<Http>> for IfMatch {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, Refusal> {
        let mut lines = parts.headers.get_all(header::IF_MATCH).iter().peekable();
        if lines.peek().is_none() {
            return Ok(Self(Expected::default()));
        }
        let lines: Vec<&str> = lines.map(|line| line.to_str().unwrap_or_default()).collect();
        Ok(Self(parse(&lines.join(","))?))
    }
}

/// Any of these tags, or `*` for whatever is there. A tag that is not ours, a weak one too, matches no version.
fn parse(value: &str) -> Result<Expected> {
    if value.trim() == "*" {
        return Ok(Expected::default());
    }
    let mut tags = Vec::new();
    for tag in value.split(',').map(str::trim) {
        let quoted = tag.strip_prefix("W/").unwrap_or(tag);
        let Some(text) = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
            return Err(Error::new(ErrorCode::InvalidHeader)
                .detail("`If-Match` must be entity tags in double quotes, as `ETag` gives them, or `*`."));
        };
        tags.extend(text.split_once('-').filter(|_| quoted == tag).and_then(|(organization, admin)| {
            Some(EntityTag { organization: organization.parse().ok()?, admin: admin.parse().ok()? })
        }));
    }
    Ok(Expected(Some(tags)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_read_back_and_nothing_else_is_one() {
        let tag = EntityTag { organization: 7, admin: 2 };
        assert_eq!(parse(etag(tag).unwrap().to_str().unwrap()).unwrap(), Expected(Some(vec![tag])));
        let other = EntityTag { organization: 8, admin: 2 };
        assert_eq!(parse("\"7-2\", W/\"9-9\" ,\"8-2\"").unwrap(), Expected(Some(vec![tag, other])));
        assert_eq!(parse("*").unwrap(), Expected(None));
        for value in ["W/\"7-2\"", "\"7\"", "\"abc\""] {
            assert_eq!(parse(value).unwrap(), Expected(Some(Vec::new())), "{value}");
        }
        for value in ["7-2", "", "\"7-2", "*, \"7-2\""] {
            assert_eq!(parse(value).unwrap_err().code(), ErrorCode::InvalidHeader, "{value}");
        }
    }
}
