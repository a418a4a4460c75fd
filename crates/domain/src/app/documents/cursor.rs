//! Cursors of documents: a position in the order of one query, sealed.
//!
//! A cursor is valid only for the organization, collection, filter and order it was made for: the seal covers
//! them. It holds values of the last document, not a number of documents, so a page neither repeats nor skips
//! a document when others come and go.

use crate::collection::CollectionName;
use crate::error::{Error, Result};
use crate::ids::OrganizationId;
use crate::limits::{INLINE_MAX_BYTES, INLINE_MAX_STEPS};
use crate::mac_keys::MacKeys;
use crate::offload;
use crate::page::PageLimit;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bson::{RawDocument, RawDocumentBuf};
use subtle::ConstantTimeEq;
use tenantry_documents::document::EntriesError;
use tenantry_documents::filter::Filter;
use tenantry_documents::fuel::{Fuel, Interruption};
use tenantry_documents::sort::{Position, Sort};

/// Bytes of the seal: half of the hash, which nobody guesses.
const SEAL_BYTES: usize = 16;

/// The detail for a bad cursor.
const NOT_A_CURSOR: &str =
    "The text is not a cursor of this query: send the `next_cursor` of an earlier page of it.";

/// The request for a page.
#[derive(Debug, Clone, Default)]
pub struct PageRequest {
    /// Which documents to find.
    pub filter: Filter,
    /// The order of the documents.
    pub sort: Sort,
    /// How many documents to return at most.
    pub limit: PageLimit,
    /// `next_cursor` of the previous page.
    pub cursor: Option<String>,
    /// The pointer of the cursor in the request, or `?cursor`, for the refusal of a bad one.
    pub cursor_at: &'static str,
    /// The pointer of the sort order, for the refusal of documents that cannot be sorted by it.
    pub sort_at: &'static str,
}

impl PageRequest {
    /// The scope that a cursor of this query is bound to.
    ///
    /// # Errors
    /// `internal`.
    pub(super) fn scope(&self, organization: OrganizationId, collection: &CollectionName) -> Result<Vec<u8>> {
        let order: Vec<String> = self.sort.keys().iter().map(ToString::to_string).collect();
        // The parsed filter, not its text: white space does not make it another query.
        let filter = RawDocumentBuf::try_from(&self.filter.to_mongodb("")).map_err(Error::internal)?;
        let order = order.join(",");
        let mut scope = b"cursor\0".to_vec();
        scope.extend(organization.as_bytes());
        for part in [collection.as_str().as_bytes(), order.as_bytes(), filter.as_bytes()] {
            scope.extend((part.len() as u64).to_be_bytes());
            scope.extend(part);
        }
        Ok(scope)
    }

    /// Where the page begins.
    pub(super) fn position(&self, keys: &MacKeys, scope: &[u8]) -> Result<Option<Position>> {
        let Some(text) = &self.cursor else { return Ok(None) };
        let opened = keys.accepted().find_map(|key| open(key, scope, text));
        let position = opened.and_then(|bytes| Position::from_bytes(&bytes, &self.sort));
        position.map(Some).ok_or_else(|| Error::invalid_field(self.cursor_at, NOT_A_CURSOR))
    }
}

/// The sealed cursor of `position`.
pub(super) fn seal(key: &[u8; 32], scope: &[u8], position: &Position) -> String {
    let mut bytes = position.to_bytes();
    let tag = tag(key, scope, &bytes);
    bytes.extend(tag);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn open(key: &[u8; 32], scope: &[u8], text: &str) -> Option<Vec<u8>> {
    let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let seal = bytes.split_off(bytes.len().checked_sub(SEAL_BYTES)?);
    bool::from(seal.ct_eq(&tag(key, scope, &bytes))).then_some(bytes)
}

fn tag(key: &[u8; 32], scope: &[u8], bytes: &[u8]) -> [u8; SEAL_BYTES] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    context.update(&(scope.len() as u64).to_be_bytes());
    context.update(scope);
    context.update(bytes);
    let mut tag = [0; SEAL_BYTES];
    tag.copy_from_slice(&context.sign().as_ref()[..SEAL_BYTES]);
    tag
}

/// The position of a document in the order by which it was found.
pub(super) async fn position(sort: Sort, body: &RawDocument) -> Result<Position> {
    if body.as_bytes().len() <= INLINE_MAX_BYTES {
        // Comparing its values may cost far more than its size suggests.
        match sort.position(body, &Fuel::unlimited().up_to(INLINE_MAX_STEPS)) {
            Err(EntriesError::Stopped(Interruption::BudgetSpent)) => {}
            found => return Ok(found.map_err(EntriesError::unexpected)?),
        }
    }
    let body = body.to_owned();
    let found = offload::elsewhere(move || sort.position(&body, &Fuel::for_document())).await?;
    Ok(found.map_err(EntriesError::unexpected)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::rawdoc;

    fn request(filter: &str, sort: &str) -> PageRequest {
        PageRequest {
            filter: Filter::parse(filter, "?filter").unwrap(),
            sort: Sort::parse(sort).unwrap(),
            cursor_at: "?cursor",
            ..PageRequest::default()
        }
    }

    #[test]
    fn cursor_is_valid_only_for_its_own_query() {
        let keys = MacKeys::new([7; 32], None);
        let (own, other) = (OrganizationId::from_bytes([1; 12]), OrganizationId::from_bytes([2; 12]));
        let (orders, lines) =
            (CollectionName::parse("orders").unwrap(), CollectionName::parse("lines").unwrap());
        let first = request(r#"{"b":{"$in":[1,2]}}"#, "a");
        let position = first.sort.position(&rawdoc! { "_id": 1, "a": 5 }, &Fuel::unlimited()).unwrap();
        let cursor = seal(&[7; 32], &first.scope(own, &orders).unwrap(), &position);

        let at = |request: PageRequest, organization, collection: &CollectionName, cursor: &str| {
            let request = PageRequest { cursor: Some(cursor.into()), ..request };
            let scope = request.scope(organization, collection).unwrap();
            request.position(&keys, &scope).map_err(|error| error.code())
        };
        assert_eq!(at(first.clone(), own, &orders, &cursor), Ok(Some(position.clone())));
        let written_otherwise = request(r#"{ "b": { "$in": [2, 1] } }"#, "a");
        assert_eq!(at(written_otherwise, own, &orders, &cursor), Ok(Some(position)));
        assert!(at(first.clone(), other, &orders, &cursor).is_err());
        assert!(at(first.clone(), own, &lines, &cursor).is_err());
        assert!(at(request("{}", "a"), own, &orders, &cursor).is_err());
        assert!(at(request(r#"{"b":{"$in":[1,2]}}"#, "-a"), own, &orders, &cursor).is_err());
        let changed = format!("A{}", &cursor[1..]);
        for text in ["", "x", "!!", &cursor[..cursor.len() - 2], &changed] {
            assert!(at(first.clone(), own, &orders, text).is_err(), "{text}");
        }
    }

    #[test]
    fn cursor_of_previous_key_is_valid_while_both_are() {
        let (own, orders) = (OrganizationId::from_bytes([1; 12]), CollectionName::parse("orders").unwrap());
        let query = request("{}", "a");
        let body = rawdoc! { "_id": 1, "a": 5 };
        let position = query.sort.position(&body, &Fuel::unlimited()).unwrap();
        let scope = query.scope(own, &orders).unwrap();
        let query = PageRequest { cursor: Some(seal(&[7; 32], &scope, &position)), ..query };
        for (current, previous, is_valid) in [
            ([7; 32], None, true),
            ([8; 32], Some([7; 32]), true),
            ([7; 32], Some([8; 32]), true),
            ([8; 32], None, false),
        ] {
            assert_eq!(query.position(&MacKeys::new(current, previous), &scope).is_ok(), is_valid);
        }
    }
}
