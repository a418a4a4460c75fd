//! `ETag`, `If-Match` and `If-None-Match`: a change applies only to the version that its caller has seen, and a response
//! that the caller already has is not sent again.
//!
//! A version has one representation, so a tag that a compressing proxy has weakened or extended still names that version.

use super::http::Http;
use super::problem::ApiError;
use crate::error_codes;
use aws_lc_rs::digest;
use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Serialize;
use std::fmt::Write;
use std::sync::Arc;
use tenantry_documents::document::Revision;
use tenantry_domain::app::documents::RevisionPrecondition;
use tenantry_domain::app::members::MemberPrecondition;
use tenantry_domain::app::roles::RolePrecondition;
use tenantry_domain::app::{EntityTag, Precondition};
use tenantry_domain::{Error, ErrorCode, Result};
use utoipa::IntoParams;

/// Suffixes that compressing proxies append to a tag, after `-` (Apache, Caddy, lighttpd), `--` (Jetty) or `;`.
const CODINGS: [&str; 6] = ["gzip", "gz", "br", "zstd", "deflate", "compress"];

/// The `ETag` of an organization.
#[must_use]
pub fn etag(tag: EntityTag) -> Option<HeaderValue> {
    // Room for the longest version: growing would cost more than writing it.
    let mut text = String::with_capacity(24);
    write!(text, "\"{}-{}\"", tag.organization, tag.admin).ok()?;
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}

/// The `ETag` of a document. A document that a program wrote directly has none: its revision does not change with its
/// content.
#[must_use]
pub fn revision_etag(revision: Revision) -> Option<HeaderValue> {
    if revision == Revision::UNKNOWN {
        return None;
    }
    HeaderValue::from_maybe_shared(Bytes::from(format!("\"{revision}\""))).ok()
}

/// The `ETag` of a resource without a version of its own: a hash of its body.
#[must_use]
pub fn shown_etag(body: &impl Serialize) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(format!("\"{}\"", shown(body)))).ok()
}

fn shown(body: &impl Serialize) -> String {
    hash(&serde_json::to_vec(body).unwrap_or_default())
}

/// The tag of bytes that have no version: half of their SHA-256, as 32 hexadecimal digits.
#[must_use]
pub fn hash(bytes: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, bytes);
    hash.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `If-Match` for a resource without a version of its own: the body that the caller has seen.
#[derive(IntoParams)]
#[into_params(names("If-Match"), parameter_in = Header)]
pub struct IfMatchBody(
    /// Its `ETag`, to delete only what you have seen. It is compared immediately before the delete.
    #[param(value_type = Option<String>)]
    Option<Vec<String>>,
);

impl IfMatchBody {
    /// Whether the change is unconditional.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.0.is_none()
    }

    /// Refuses a resource whose body has changed.
    ///
    /// # Errors
    /// `version_mismatch`.
    pub fn check(&self, body: &impl Serialize) -> Result<()> {
        match &self.0 {
            Some(tags) if !tags.contains(&shown(body)) => Err(ErrorCode::VersionMismatch.into()),
            _ => Ok(()),
        }
    }
}

impl FromRequestParts<Arc<Http>> for IfMatchBody {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        refuse_if_none_match(&parts.headers)?;
        Ok(Self(expected(&parts.headers, |text| Some(text.to_owned()))?))
    }
}

/// `If-None-Match` for a resource without a version of its own: the bodies that the caller has.
#[derive(IntoParams)]
#[into_params(names("If-None-Match"), parameter_in = Header)]
pub struct IfNoneMatchBody(
    /// The `ETag` of what you have, to get 304 if it is unchanged.
    #[param(value_type = Option<String>)]
    Option<Tags<String>>,
);

impl IfNoneMatchBody {
    /// Whether the caller has that body.
    #[must_use]
    pub fn has(&self, body: &impl Serialize) -> bool {
        match &self.0 {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::These(tags)) => tags.contains(&Some(shown(body))),
        }
    }
}

impl FromRequestParts<Arc<Http>> for IfNoneMatchBody {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        Ok(Self(tags(&parts.headers, &header::IF_NONE_MATCH, |text| Some(text.to_owned()))?))
    }
}

/// `If-Match` for an organization: the versions that the caller has seen.
#[derive(IntoParams)]
#[into_params(names("If-Match"), parameter_in = Header)]
pub struct IfMatch(
    /// Its `ETag`, to refuse the change if there is a later version.
    #[param(value_type = Option<String>)]
    pub Precondition,
);

impl FromRequestParts<Arc<Http>> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        Ok(Self(Precondition(expected(&parts.headers, entity_tag)?)))
    }
}

/// The versions of a member the caller has seen, if the change depends on one.
#[derive(IntoParams)]
#[into_params(names("If-Match"), parameter_in = Header)]
pub struct IfMember(
    /// The member's `ETag`, to change no later version.
    #[param(value_type = Option<String>)]
    pub MemberPrecondition,
);

impl FromRequestParts<Arc<Http>> for IfMember {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        refuse_if_none_match(&parts.headers)?;
        Ok(Self(MemberPrecondition(expected(&parts.headers, version)?)))
    }
}

/// The versions of a role the caller has seen, if the change depends on one.
#[derive(IntoParams)]
#[into_params(names("If-Match"), parameter_in = Header)]
pub struct IfRole(
    /// The role's `ETag`, to change no later version.
    #[param(value_type = Option<String>)]
    pub RolePrecondition,
);

impl FromRequestParts<Arc<Http>> for IfRole {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        refuse_if_none_match(&parts.headers)?;
        Ok(Self(RolePrecondition(expected(&parts.headers, version)?)))
    }
}

/// `If-Match` for a document: the revisions that the caller has seen.
#[derive(IntoParams)]
#[into_params(names("If-Match"), parameter_in = Header)]
pub struct IfMatchRevision(
    /// Its `ETag`, to refuse the change if there is a later revision.
    #[param(value_type = Option<String>)]
    pub RevisionPrecondition,
);

impl FromRequestParts<Arc<Http>> for IfMatchRevision {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        refuse_if_none_match(&parts.headers)?;
        Ok(Self(expected_revision(&parts.headers)?))
    }
}

/// `If-None-Match` for a document: the revisions that the caller has.
#[derive(IntoParams)]
#[into_params(names("If-None-Match"), parameter_in = Header)]
pub struct IfNoneMatchRevision(
    /// The `ETag` of what you have, to get 304 if it is unchanged.
    #[param(value_type = Option<String>)]
    Option<Tags<Revision>>,
);

impl IfNoneMatchRevision {
    /// Whether the caller has that revision.
    #[must_use]
    pub fn has(&self, revision: Revision) -> bool {
        match &self.0 {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::These(tags)) => tags.contains(&Some(revision)),
        }
    }
}

impl FromRequestParts<Arc<Http>> for IfNoneMatchRevision {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        Ok(Self(tags(&parts.headers, &header::IF_NONE_MATCH, revision)?))
    }
}

/// `If-Match` or `If-None-Match` for the replacement of a document: of one that exists, or of none.
#[derive(IntoParams)]
#[into_params(names("If-Match", "If-None-Match"), parameter_in = Header)]
pub struct ReplaceCondition(
    /// Its `ETag`, to refuse the change if there is a later revision.
    #[param(value_type = Option<String>)]
    RevisionPrecondition,
    /// `*`, to create the document only if there is none of this `_id`.
    #[param(value_type = Option<String>)]
    bool,
);

impl ReplaceCondition {
    /// The revisions that the document may have; `None` if it must not exist.
    pub fn of_existing(self) -> Option<RevisionPrecondition> {
        (!self.1).then_some(self.0)
    }
}

impl FromRequestParts<Arc<Http>> for ReplaceCondition {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        let headers = &parts.headers;
        let refusal = |detail: &str| Error::new(error_codes::INVALID_HEADER).detail(detail);
        match tags(headers, &header::IF_NONE_MATCH, revision)? {
            None => Ok(Self(expected_revision(headers)?, false)),
            Some(_) if headers.contains_key(header::IF_MATCH) => {
                Err(refusal("`If-Match` needs a document and `If-None-Match` needs none: send one of them.")
                    .into())
            }
            Some(Tags::Any) => Ok(Self(RevisionPrecondition::default(), true)),
            Some(Tags::These(_)) => {
                Err(refusal("`If-None-Match` of a change must be `*`; one of a revision is `If-Match`.")
                    .into())
            }
        }
    }
}

/// The proof that a request which names no single version has no condition on one.
pub struct Unconditional;

impl FromRequestParts<Arc<Http>> for Unconditional {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Http>) -> Result<Self, ApiError> {
        refuse_conditions(&parts.headers)?;
        Ok(Self)
    }
}

/// Refuses `If-Match` and `If-None-Match`: ignoring them would apply a change that the caller has ruled out.
fn refuse_conditions(headers: &HeaderMap) -> Result<()> {
    for (name, header) in [("If-Match", header::IF_MATCH), ("If-None-Match", header::IF_NONE_MATCH)] {
        if headers.contains_key(header) {
            let detail = format!(
                "This request takes no `{name}`: only a request for one document by its `_id` does. Leave it out; to depend \
                 on a revision, name the document in the path, or use `revision` in an operation of `POST …/batch`."
            );
            return Err(Error::new(error_codes::INVALID_HEADER).detail(detail));
        }
    }
    Ok(())
}

/// Ignoring it would apply a change that the caller has ruled out.
fn refuse_if_none_match(headers: &HeaderMap) -> Result<()> {
    if !headers.contains_key(header::IF_NONE_MATCH) {
        return Ok(());
    }
    let detail = "`If-None-Match` is for reading alone; a change takes `If-Match`.";
    Err(Error::new(error_codes::INVALID_HEADER).detail(detail))
}

/// The versions that `If-Match` names; `None` if it is absent or `*`. A tag that we did not issue matches no version.
fn expected<T>(headers: &HeaderMap, read: impl Fn(&str) -> Option<T>) -> Result<Option<Vec<T>>> {
    match tags(headers, &header::IF_MATCH, read)? {
        None | Some(Tags::Any) => Ok(None),
        Some(Tags::These(tags)) => Ok(Some(tags.into_iter().flatten().collect())),
    }
}

/// The revisions that `If-Match` names. `*` is any of a document that exists, so that no upsert inserts one.
fn expected_revision(headers: &HeaderMap) -> Result<RevisionPrecondition> {
    Ok(match tags(headers, &header::IF_MATCH, revision)? {
        None => RevisionPrecondition::Unconditional,
        Some(Tags::Any) => RevisionPrecondition::Exists,
        Some(Tags::These(tags)) => RevisionPrecondition::OneOf(tags.into_iter().flatten().collect()),
    })
}

fn version(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|version| version.to_string() == text)
}

fn entity_tag(text: &str) -> Option<EntityTag> {
    let (organization, admin) = text.split_once('-')?;
    Some(EntityTag { organization: organization.parse().ok()?, admin: admin.parse().ok()? })
}

fn revision(text: &str) -> Option<Revision> {
    // `+5` and `05` are not the tag `5`, and an unknown revision has no tag.
    let is_tag = |revision: &Revision| *revision != Revision::UNKNOWN && revision.to_string() == text;
    text.parse().ok().filter(is_tag)
}

/// The tags in a conditional header.
#[derive(Debug, PartialEq)]
enum Tags<T> {
    /// `*`: any version.
    Any,
    /// Any of these; `None` is a tag that we did not issue.
    These(Vec<Option<T>>),
}

fn tags<T>(
    headers: &HeaderMap,
    name: &HeaderName,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<Tags<T>>> {
    let lines: Vec<&str> =
        headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default()).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let refusal = || {
        let name = if *name == header::IF_MATCH { "If-Match" } else { "If-None-Match" };
        Error::new(error_codes::INVALID_HEADER)
            .detail(format!("`{name}` must be entity tags in double quotes, as `ETag` gives them, or `*`."))
    };
    parse(&lines.join(","), read).map(Some).ok_or_else(refusal)
}

fn parse<T>(value: &str, read: impl Fn(&str) -> Option<T>) -> Option<Tags<T>> {
    if value.trim() == "*" {
        return Some(Tags::Any);
    }
    let tag = |text: &str| {
        // Apache before 2.4 appends the coding after the quotes.
        let quoted = strip_codings(text.strip_prefix("W/").unwrap_or(text));
        let opaque = quoted.strip_prefix('"')?.strip_suffix('"')?;
        Some(read(strip_codings(opaque)))
    };
    // Empty elements count for nothing (RFC 9110, 5.6.1.2), but a list needs one that is not.
    let tags: Vec<_> = elements(value).map(str::trim).filter(|text| !text.is_empty()).map(tag).collect();
    if tags.is_empty() {
        return None;
    }
    tags.into_iter().collect::<Option<_>>().map(Tags::These)
}

/// The elements of a list. A comma within quotes is part of a tag.
fn elements(value: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    value.split(move |c| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    })
}

/// The tag without the codings that proxies have appended.
fn strip_codings(mut tag: &str) -> &str {
    while let Some(rest) = CODINGS.iter().find_map(|coding| strip_coding(tag, coding)) {
        tag = rest;
    }
    tag
}

fn strip_coding<'a>(tag: &'a str, coding: &str) -> Option<&'a str> {
    let marked = tag.strip_suffix(coding)?;
    ["--", "-", ";"].iter().find_map(|separator| marked.strip_suffix(separator))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    fn if_match(value: &str) -> Result<Option<Vec<EntityTag>>> {
        expected(&headers(header::IF_MATCH, value), entity_tag)
    }

    #[test]
    fn if_match_reads_own_tags_and_rejects_other_values() {
        let tag = EntityTag { organization: 7, admin: 2 };
        assert_eq!(if_match(etag(tag).unwrap().to_str().unwrap()).unwrap(), Some(vec![tag]));
        let other = EntityTag { organization: 8, admin: 2 };
        assert_eq!(if_match("\"7-2\", \"x\" ,\"8-2\"").unwrap(), Some(vec![tag, other]));
        assert_eq!(if_match("\"a,b\",\"7-2\",\",\"").unwrap(), Some(vec![tag]), "a comma may be in a tag");
        assert_eq!(if_match("*").unwrap(), None);
        for value in ["\"7\"", "\"abc\"", "\"7-gzip\"", "\"7-2-snappy\"", "\"-gzip\""] {
            assert_eq!(if_match(value).unwrap(), Some(Vec::new()), "{value}");
        }
        for value in ["7-2", "", "\"7-2", "*, \"7-2\"", "\"", "\"a,b", ",", " , ", "\"7-2\", x"] {
            assert_eq!(if_match(value).unwrap_err().code(), error_codes::INVALID_HEADER, "{value}");
        }
    }

    /// Receivers of lists ignore empty elements (RFC 9110, 5.6.1.2).
    #[test]
    fn if_match_ignores_empty_list_elements() {
        let tag = EntityTag { organization: 7, admin: 2 };
        for value in ["\"7-2\",", ", \"7-2\"", "\"x\",,\"7-2\"", " , ,\"7-2\" ,, "] {
            assert_eq!(if_match(value).unwrap(), Some(vec![tag]), "{value}");
        }
    }

    #[test]
    fn if_match_accepts_tag_changed_by_compressing_proxy() {
        let tag = EntityTag { organization: 7, admin: 2 };
        let changed = [
            "W/\"7-2\"",
            "\"7-2-gzip\"",
            "W/\"7-2-gzip\"",
            "\"7-2--gzip\"",
            "\"7-2;gzip\"",
            "\"7-2-br\"",
            "\"7-2-zstd\"",
            "\"7-2-deflate\"",
            "\"7-2-gzip-gzip\"",
            "\"7-2\"-gzip",
        ];
        for value in changed {
            assert_eq!(if_match(value).unwrap(), Some(vec![tag]), "{value}");
        }
    }

    /// A revision has one strong tag; in `If-None-Match` its weak form counts as well.
    #[test]
    fn revision_etag_matches_strong_and_weak_forms() {
        let known = Revision(5);
        assert_eq!(revision_etag(known).unwrap(), "\"5\"");
        let strong =
            |value: &str| expected(&headers(header::IF_MATCH, value), revision).unwrap().unwrap_or_default();
        assert_eq!(strong("\"5\", \"05\", \"+6\", \"x\""), [known]);
        let has = |value: &str| {
            IfNoneMatchRevision(
                tags(&headers(header::IF_NONE_MATCH, value), &header::IF_NONE_MATCH, revision).unwrap(),
            )
            .has(known)
        };
        for value in ["*", "\"5\"", "W/\"5\"", "\"5-gzip\"", "\"x\", \"5\""] {
            assert!(has(value), "{value}");
        }
        for value in ["\"4\"", "W/\"x\""] {
            assert!(!has(value), "{value}");
        }
        assert!(!IfNoneMatchRevision(None).has(known));
    }

    /// A document that a program wrote directly has no revision, and no tag matches it.
    #[test]
    fn unknown_revision_has_no_etag_and_matches_none() {
        assert_eq!(revision_etag(Revision::UNKNOWN), None);
        let zero = |name: HeaderName| headers(name, "\"0\"");
        assert_eq!(expected(&zero(header::IF_MATCH), revision).unwrap(), Some(Vec::new()));
        let known = tags(&zero(header::IF_NONE_MATCH), &header::IF_NONE_MATCH, revision).unwrap();
        assert!(!IfNoneMatchRevision(known).has(Revision::UNKNOWN));
    }
}
