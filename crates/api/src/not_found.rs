//! What a refusal says about the thing that the path names.
//!
//! The sentence is made of the error's code and of the path, and of nothing else. So it is the same whether the thing does not
//! exist or is hidden from the caller, and no handler has to write it.

use super::path_params::segment_of;
use tenantry_domain::error::quoted;
use tenantry_domain::ids::ApiKeyId;
use tenantry_domain::{Error, ErrorCode};

/// The sentences, with the variables of the route in braces.
const SENTENCES: &[(ErrorCode, &str)] = &[
    (
        ErrorCode::OrganizationNotFound,
        "No organization has the name or id {organization}. Check the spelling; the operator can list the organizations.",
    ),
    (
        ErrorCode::OperationNotFound,
        "No operation has the id {operation}. Check it: the `Operation-Location` header of the change that began the operation has it.",
    ),
    (
        ErrorCode::CollectionNotFound,
        "The organization has no collection {collection}. Create it at POST /v1/organizations/{organization}/collections, or check its name.",
    ),
    (
        ErrorCode::DocumentNotFound,
        "The collection {collection} has no document with the `_id` {document}. Check it: text after `~` is JSON, 24 hexadecimal digits are an ObjectId, all else is a string.",
    ),
    (
        ErrorCode::IndexNotFound,
        "The collection {collection} has no index {index}. Check its name against the list of indexes.",
    ),
    (
        ErrorCode::SchemaNotFound,
        "The collection {collection} has no schema. Set one, if its documents should be checked.",
    ),
    (ErrorCode::KeyNotFound, "No key has the id {key}. Check it against the list of keys."),
    (
        ErrorCode::SigningKeyNotFound,
        "No signing key has the `kid` {kid}. Check it against the list of signing keys.",
    ),
    (
        ErrorCode::MemberNotFound,
        "The organization has no member with the account {account}. Check it against the list of members.",
    ),
    (
        ErrorCode::RoleNotFound,
        "The organization has no role {role} of its own. Check its name against the list of the organization's roles; those that every organization has are at GET /v1/roles, and stay as they are.",
    ),
    (
        ErrorCode::RoleInUse,
        "Members have the role {role}. Give them another role first: GET /v1/organizations/{organization}/members lists who has which.",
    ),
    (
        ErrorCode::InvitationNotFound,
        "The organization has no invitation {invitation}. Check the id against the list of invitations: one that was used is gone.",
    ),
    (
        ErrorCode::SessionNotFound,
        "The account has no session {session}. Check the id against the list of sessions: one that has ended is gone.",
    ),
    (
        ErrorCode::LinkNotFound,
        "The account has no link {link}. Check its kind against the list of links: one that was used or has expired is gone.",
    ),
    (
        ErrorCode::IdentityNotFound,
        "The account has no identity {identity}. Check the id against the list of the account's identities.",
    ),
];

/// This error with the name that the path of the request has for what it is about. One that says more already stays as it is.
#[must_use]
pub fn with_name(error: Error, route: &str, path: &str) -> Error {
    if error.particulars().is_some() || !error.fields().is_empty() {
        return error;
    }
    match SENTENCES.iter().find(|(code, _)| *code == error.code()) {
        Some((_, sentence)) => match filled(sentence, route, path) {
            Some(detail) => error.detail(detail),
            None => error,
        },
        None => error,
    }
}

/// The sentence with what the path has for each variable; `None` if the route lacks one, or if what was sent is not to be
/// repeated.
fn filled(sentence: &str, route: &str, path: &str) -> Option<String> {
    let mut pieces = sentence.split('{');
    let mut text = pieces.next()?.to_owned();
    for piece in pieces {
        let (variable, rest) = piece.split_once('}')?;
        // `{organization}` within a path of the sentence stays a variable.
        if text.ends_with('/') {
            text.extend(["{", variable, "}", rest]);
            continue;
        }
        let sent = segment_of(route, path, variable).filter(|sent| !sent.is_empty())?;
        // Someone may have put the key itself there.
        if variable == "key" && sent.parse::<ApiKeyId>().is_err() {
            return None;
        }
        text.extend([&quoted(&sent), rest]);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(code: ErrorCode, route: &str, path: &str) -> Option<String> {
        with_name(code.into(), route, path).particulars().map(str::to_owned)
    }

    #[test]
    fn sentence_has_the_name_that_the_path_has() {
        let route = "/v1/organizations/{organization}/collections/{collection}";
        let sentence =
            detail(ErrorCode::CollectionNotFound, route, "/v1/organizations/a/collections/b%20%7Bx%7D");
        let expected = "The organization has no collection `b {x}`. Create it at POST /v1/organizations/{organization}/collections, or check its name.";
        assert_eq!(sentence.as_deref(), Some(expected));
        let sentence = detail(
            ErrorCode::OrganizationNotFound,
            route,
            "/v1/organizations/%7Bcollection%7D/collections/b",
        );
        assert!(sentence.unwrap().starts_with("No organization has the name or id `{collection}`. "));
    }

    #[test]
    fn sentence_without_its_name_in_the_path_stays_general() {
        assert_eq!(
            detail(ErrorCode::MemberNotFound, "/v1/invitations/accept", "/v1/invitations/accept"),
            None
        );
        assert_eq!(
            detail(ErrorCode::NameTaken, "/v1/organizations/{organization}", "/v1/organizations/a"),
            None
        );
    }

    #[test]
    fn sentence_never_repeats_the_text_of_a_key() {
        let shown =
            |sent: &str| detail(ErrorCode::KeyNotFound, "/v1/keys/{key}", &format!("/v1/keys/{sent}"));
        assert!(shown("0123456789abcdef01234567").unwrap().contains("`0123456789abcdef01234567`"));
        assert_eq!(shown("not-an-id"), None);
    }

    #[test]
    fn sentence_that_says_more_stays() {
        let error = Error::new(ErrorCode::DocumentNotFound).detail("Another one is meant.");
        let named = with_name(error, "/{collection}/{document}", "/a/b");
        assert_eq!(named.particulars(), Some("Another one is meant."));
    }

    #[test]
    fn sentences_are_of_one_length_at_most() {
        let long = "x".repeat(10_000);
        let sentence =
            detail(ErrorCode::OrganizationNotFound, "/{organization}", &format!("/{long}")).unwrap();
        assert!(sentence.len() < 300, "{sentence}");
    }
}
