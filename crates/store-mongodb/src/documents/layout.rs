//! How the documents of a collection are stored in MongoDB, and the one place that restricts a filter to these
//! documents.
//!
//! In a collection of their own they are stored as they are, with their revision in the reserved field at the end. In
//! the shared collection each is embedded in an outer document.
//!
//! # Pitfalls
//! A program of the organization may have written a document without a revision, or with anything in the reserved
//! field.

use super::index_entries::EntryCounter;
use crate::engine_error::EngineResult;
use crate::quota::size::Size;
use crate::record_codec::integer;
use bson::raw::{RawArrayBuf, cstr};
use bson::spec::ElementType;
use bson::{RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use std::borrow::Cow;
use tenantry_documents::document::{DocumentId, ID_FIELD, RESERVED_FIELD, Revision, StoredDocument};
use tenantry_domain::{Error, ErrorCode};

/// The revision of a plain document.
const REVISION: &str = "_tenantry.rev";
/// The revision of a shared document.
const SHARED_REVISION: &str = "revision";
/// The prefix of paths in a shared document.
const SHARED_PREFIX: &str = "document.";

/// How the documents of a collection are stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DocumentLayout {
    /// As they are, in a collection of their own.
    Plain {
        /// The `_id` of the container's metadata document, if it is in this collection.
        first: Option<ObjectId>,
    },
    /// Embedded, among those of other collections.
    Shared {
        /// The organization that they belong to.
        organization: ObjectId,
        /// Distinguishes the collection from every other one that the organization has or had.
        key: String,
    },
}

/// A document that was found, without its contents.
#[derive(Debug)]
pub(crate) struct Trace {
    /// The `_id` under which MongoDB has it.
    pub(crate) id: Bson,
    pub(crate) revision: Revision,
    /// Bytes of the document as BSON, as a quota counts them.
    pub(crate) bytes: u64,
    /// Bytes of its index entries, where they are counted.
    pub(crate) index_bytes: u64,
}

impl Trace {
    /// How much the document takes.
    pub(crate) fn size(&self) -> Size {
        Size::one(self.bytes).with_entries(self.index_bytes)
    }
}

impl DocumentLayout {
    /// The prefix of each path of a document.
    pub(crate) const fn prefix(&self) -> &'static str {
        match self {
            Self::Plain { .. } => "",
            Self::Shared { .. } => SHARED_PREFIX,
        }
    }

    /// The path of the revision. No index has it.
    pub(crate) const fn revision_field(&self) -> &'static str {
        match self {
            Self::Plain { .. } => REVISION,
            Self::Shared { .. } => SHARED_REVISION,
        }
    }

    /// The `_id` of the container's metadata document, if it is in this collection.
    pub(crate) const fn first_id(&self) -> Option<ObjectId> {
        match self {
            Self::Plain { first } => *first,
            Self::Shared { .. } => None,
        }
    }

    /// Restricts `filter` to the documents of the collection.
    pub(crate) fn scoped(&self, filter: Document) -> Document {
        let mut scope = match self {
            Self::Plain { first: None } => return filter,
            Self::Plain { first: Some(first) } => doc! { "_id": { "$ne": first } },
            Self::Shared { organization, key } => doc! { "org_id": organization, "collection": key },
        };
        if !filter.is_empty() {
            scope.insert("$and", [filter]);
        }
        scope
    }

    /// Matches the document of that id.
    pub(crate) fn of_id(&self, id: &DocumentId) -> Document {
        match self {
            Self::Plain { first: Some(first) } if *id == DocumentId::from(*first) => {
                doc! { "_id": { "$in": [] } }
            }
            Self::Plain { .. } => match id.to_bson() {
                Bson::Document(id) => doc! { "_id": { "$eq": id } },
                // A plain condition, so that MongoDB looks it up directly.
                id => doc! { "_id": id },
            },
            Self::Shared { organization, key } => {
                let id = doc! { "org_id": organization, "collection": key, "id": id.to_bson() };
                doc! { "_id": { "$eq": id }, "org_id": organization, "collection": key }
            }
        }
    }

    /// The `find` of the document of that id.
    pub(crate) fn find_by_id(&self, id: &DocumentId) -> Document {
        let mut find = doc! { "filter": self.of_id(id), "limit": 1, "singleBatch": true };
        if matches!(self, Self::Shared { .. }) {
            // Saves the planner the choice of an index.
            find.insert("hint", doc! { "_id": 1 });
        }
        find
    }

    /// Matches the document of that id, if it has that revision.
    pub(crate) fn of_version(&self, id: &DocumentId, revision: Revision) -> Document {
        let mut filter = self.of_id(id);
        filter.extend(self.at_revision(revision));
        filter
    }

    /// Matches the document that was found, if it is unchanged and still meets `filter`.
    pub(crate) fn of_trace(&self, trace: &Trace, filter: &Document) -> Document {
        let id = doc! { "_id": { "$eq": &trace.id } };
        let mut all = vec![id, self.at_revision(trace.revision)];
        if !filter.is_empty() {
            all.push(filter.clone());
        }
        self.scoped(doc! { "$and": all })
    }

    /// The update that changes nothing in the document that has that revision, except what the service adds to it: so that
    /// a transaction conflicts with everybody else who writes the document. `mark` is new each time.
    pub(crate) fn mark(&self, revision: Revision, mark: ObjectId) -> Document {
        match self {
            Self::Plain { .. } if revision == Revision::UNKNOWN => {
                doc! { "$set": { RESERVED_FIELD: { "check": mark } } }
            }
            Self::Plain { .. } => {
                doc! { "$set": { RESERVED_FIELD: { "rev": integer(revision.0), "check": mark } } }
            }
            Self::Shared { .. } => doc! { "$set": { "check": mark } },
        }
    }

    /// A document of that id which a transaction inserts and removes again, so that it conflicts with everybody else who
    /// inserts one; and the filter that matches it. `distinct` are fields with values that no other document has in a
    /// unique index. In the shared collection no unique index has it.
    pub(crate) fn placeholder(&self, id: &DocumentId, distinct: Document) -> (Document, Document) {
        match self {
            Self::Plain { .. } => {
                let mut placeholder = doc! { "_id": id.to_bson() };
                placeholder.extend(distinct);
                (placeholder, doc! { "_id": { "$eq": id.to_bson() } })
            }
            Self::Shared { organization, key } => {
                let id = doc! { "org_id": organization, "collection": key, "id": id.to_bson() };
                (doc! { "_id": &id }, doc! { "_id": { "$eq": &id } })
            }
        }
    }

    /// Whether nobody can insert a document of that id, which is the container's own.
    pub(crate) fn is_own(&self, id: &DocumentId) -> bool {
        self.first_id().is_some_and(|first| *id == DocumentId::from(first))
    }

    /// Matches documents of that revision.
    pub(crate) fn at_revision(&self, revision: Revision) -> Document {
        let field = self.revision_field();
        if revision == Revision::UNKNOWN {
            // As [`self::revision`] reads it. An expression, because a condition would also match elements of arrays.
            let path = format!("${field}");
            let is_long = doc! { "$eq": [{ "$type": &path }, "long"] };
            return doc! { "$expr": { "$not": { "$and": [is_long, { "$gt": [path, 0] }] } } };
        }
        doc! { field: integer(revision.0) }
    }

    /// Encodes a document for storage.
    pub(crate) fn encode(&self, document: &StoredDocument) -> EngineResult<RawDocumentBuf> {
        let revision = integer(document.revision.0);
        match self {
            Self::Plain { .. } => {
                let mut plain = document.body.clone();
                plain.append(cstr!("_tenantry"), rawdoc! { "rev": revision });
                Ok(plain)
            }
            Self::Shared { organization, key } => {
                let id = document.id().ok_or_else(|| Error::internal("a document without an _id"))?;
                let mut full_id = rawdoc! { "org_id": *organization, "collection": key.as_str() };
                full_id.append(cstr!("id"), id.value());
                Ok(rawdoc! {
                    "_id": full_id,
                    "org_id": *organization,
                    "collection": key.as_str(),
                    "document": document.body.clone(),
                    "revision": revision,
                })
            }
        }
    }

    /// The update that makes the stored document this one. As a pipeline, because MongoDB compares the result of one with
    /// what is stored and touches the indexes of what differs, while a replacement touches every index of the collection,
    /// in the shared one those of all organizations.
    pub(crate) fn replacement(&self, document: &StoredDocument) -> EngineResult<RawArrayBuf> {
        let mut pipeline = RawArrayBuf::new();
        pipeline.push(rawdoc! { "$replaceWith": { "$literal": self.encode(document)? } });
        Ok(pipeline)
    }

    /// Decodes a stored document.
    pub(crate) fn decode(&self, stored: &RawDocument) -> EngineResult<StoredDocument> {
        if !is_readable(stored) {
            return Err(unreadable_error(stored).into());
        }
        Ok(match self {
            Self::Plain { .. } => decode_plain(stored),
            Self::Shared { .. } => StoredDocument {
                body: stored.get_document("document").map_err(unreadable)?.to_owned(),
                revision: revision(stored.get(SHARED_REVISION).ok().flatten()),
            },
        })
    }

    /// The document itself, in an expression.
    pub(crate) const fn root(&self) -> &'static str {
        match self {
            Self::Plain { .. } => "$$ROOT",
            Self::Shared { .. } => "$document",
        }
    }

    /// The projection for [`Self::trace`], with the fields that index entries are counted by.
    pub(crate) fn trace_projection(&self, counter: &EntryCounter) -> Document {
        let revision = self.revision_field();
        let mut projection = doc! { "_id": 1, revision: 1, "bytes": self.bytes() };
        if !counter.is_empty() {
            projection.insert("list", Bson::from(counter.projection(self.root())));
        }
        projection
    }

    /// Reads a document that was found with [`Self::trace_projection`].
    pub(crate) fn trace(&self, found: &RawDocument) -> EngineResult<Trace> {
        let id = found.get(ID_FIELD).map_err(unreadable)?.unwrap_or(RawBsonRef::Null);
        let bytes = found.get("bytes").map_err(unreadable)?.and_then(number).unwrap_or(0);
        let own = match self {
            Self::Plain { .. } => reserved_revision(found.get(RESERVED_FIELD).ok().flatten()),
            Self::Shared { .. } => revision(found.get(SHARED_REVISION).ok().flatten()),
        };
        Ok(Trace { id: Bson::try_from(id).map_err(unreadable)?, revision: own, bytes, index_bytes: 0 })
    }

    /// The projection for [`Self::deciding_fields`] and [`Self::deciding_trace`]. The fields are apart from the rest:
    /// any field name may be in use.
    pub(crate) fn deciding_projection(&self, fields: Document) -> Document {
        let revision = self.revision_field();
        doc! { "_id": "$_id", "revision": format!("${revision}"), "bytes": self.bytes(), "fields": fields }
    }

    /// The fields of a document that was found with that projection.
    pub(crate) fn deciding_fields<'a>(&self, found: &'a RawDocument) -> EngineResult<&'a RawDocument> {
        let fields = found.get_document("fields").map_err(unreadable)?;
        if is_readable(fields) { Ok(fields) } else { Err(unreadable_error(found).into()) }
    }

    /// The document, or those of its fields that were asked for, without what the service has added.
    pub(crate) fn selected_fields<'a>(&self, found: &'a RawDocument) -> EngineResult<Cow<'a, RawDocument>> {
        if !is_readable(found) {
            return Err(unreadable_error(found).into());
        }
        Ok(match self {
            Self::Plain { .. } if matches!(found.get(RESERVED_FIELD), Ok(None)) => Cow::Borrowed(found),
            Self::Plain { .. } => Cow::Owned(decode_plain(found).body),
            Self::Shared { .. } => Cow::Borrowed(found.get_document("document").map_err(unreadable)?),
        })
    }

    /// The identity and size of a document that was found with that projection.
    pub(crate) fn deciding_trace(&self, found: &RawDocument) -> EngineResult<Trace> {
        let id = found.get(ID_FIELD).map_err(unreadable)?.unwrap_or(RawBsonRef::Null);
        Ok(Trace {
            id: Bson::try_from(id).map_err(unreadable)?,
            revision: revision(found.get(SHARED_REVISION).map_err(unreadable)?),
            bytes: found.get("bytes").map_err(unreadable)?.and_then(number).unwrap_or(0),
            index_bytes: 0,
        })
    }

    /// The `_id` of a document that was projected to it alone.
    pub(crate) fn id_alone(&self, found: &RawDocument) -> EngineResult<Option<DocumentId>> {
        Ok(match self {
            Self::Plain { .. } => DocumentId::of(found),
            Self::Shared { .. } => {
                let full = found.get_document(ID_FIELD).map_err(unreadable)?;
                full.get("id").map_err(unreadable)?.and_then(|id| {
                    let mut own = RawDocumentBuf::new();
                    own.append(cstr!("_id"), id);
                    DocumentId::of(&own)
                })
            }
        })
    }

    /// The expression for the bytes of a document, as a quota counts them.
    pub(crate) fn bytes(&self) -> Document {
        match self {
            Self::Plain { .. } => {
                doc! { "$bsonSize": { "$unsetField": { "field": RESERVED_FIELD, "input": "$$ROOT" } } }
            }
            Self::Shared { .. } => doc! { "$bsonSize": "$document" },
        }
    }
}

/// Whether the whole document can be read. The server accepts malformed BSON from programs, and reading would
/// silently end there.
fn is_readable(document: &RawDocument) -> bool {
    defect(document).is_none()
}

/// Where a document cannot be read, and why.
struct BsonDefect {
    /// The names of the fields, innermost first.
    path: Vec<String>,
    what: &'static str,
}

fn defect(document: &RawDocument) -> Option<BsonDefect> {
    document.iter_elements().find_map(|element| {
        let element = match element {
            Ok(element) => element,
            Err(error) => {
                return Some(BsonDefect { path: Vec::new(), what: what_is_wrong(&error, ElementType::Null) });
            }
        };
        let mut defect = match element.value() {
            Ok(RawBsonRef::Document(inner)) => defect(inner),
            Ok(RawBsonRef::Array(inner)) => RawDocument::from_bytes(inner.as_bytes()).ok().and_then(defect),
            Ok(_) => None,
            Err(error) => {
                Some(BsonDefect { path: Vec::new(), what: what_is_wrong(&error, element.element_type()) })
            }
        }?;
        defect.path.push(element.key().as_str().to_owned());
        Some(defect)
    })
}

const MALFORMED: &str = "a value that is not well-formed BSON";

fn what_is_wrong(error: &bson::error::Error, kind: ElementType) -> &'static str {
    match (&error.kind, kind) {
        (bson::error::ErrorKind::Utf8Encoding { .. }, _) => "text that is not UTF-8",
        (_, ElementType::Binary) => "a binary that is malformed (the old subtype 02 has a length of its own)",
        _ => MALFORMED,
    }
}

/// The error for a document that cannot be read completely.
fn unreadable_error(stored: &RawDocument) -> Error {
    let id =
        DocumentId::of(stored).map_or_else(|| "without a readable `_id`".to_owned(), |id| format!("`{id}`"));
    let (what, place) = match defect(stored) {
        Some(defect) if !defect.path.is_empty() => {
            let path: Vec<&str> = defect.path.iter().rev().map(String::as_str).collect();
            (defect.what, format!(" in the field `{}`", path.join(".")))
        }
        defect => (defect.map_or(MALFORMED, |defect| defect.what), String::new()),
    };
    Error::new(ErrorCode::DocumentUnreadable).detail(format!(
        "The document {id} holds {what}{place}. It was not written by this service: correct or delete it."
    ))
}

fn decode_plain(stored: &RawDocument) -> StoredDocument {
    let mut document = StoredDocument { body: RawDocumentBuf::new(), revision: Revision::UNKNOWN };
    for (name, value) in stored.iter().map_while(Result::ok) {
        if name.as_str() == RESERVED_FIELD {
            document.revision = reserved_revision(Some(value));
        } else {
            document.body.append(name, value);
        }
    }
    document
}

fn reserved_revision(field: Option<RawBsonRef<'_>>) -> Revision {
    let reserved = field.and_then(RawBsonRef::as_document);
    revision(reserved.and_then(|reserved| reserved.get("rev").ok().flatten()))
}

/// A revision, if it looks like one that the service wrote; anything else was written by a program.
fn revision(value: Option<RawBsonRef<'_>>) -> Revision {
    let number = value.and_then(RawBsonRef::as_i64).and_then(|number| u64::try_from(number).ok());
    // 0 is [`Revision::UNKNOWN`].
    number.map_or(Revision::UNKNOWN, Revision)
}

/// The count in a field; 0 if it is missing.
pub(crate) fn count_in(document: &RawDocument, field: &str) -> u64 {
    document.get(field).ok().flatten().and_then(number).unwrap_or(0)
}

/// A count, in any of the number types that the server sends.
fn number(value: RawBsonRef<'_>) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, reason = "no count comes near 2^53")]
    let number = match value {
        RawBsonRef::Int32(number) => i64::from(number),
        RawBsonRef::Int64(number) => number,
        RawBsonRef::Double(number) => number as i64,
        _ => return None,
    };
    u64::try_from(number).ok()
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("a stored document is unreadable: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layouts() -> [DocumentLayout; 3] {
        let id = ObjectId::from_bytes([7; 12]);
        let shared = DocumentLayout::Shared { organization: id, key: "notes.1".into() };
        [DocumentLayout::Plain { first: None }, DocumentLayout::Plain { first: Some(id) }, shared]
    }

    #[test]
    fn document_layout_round_trips_body_and_revision() {
        let body = rawdoc! { "_id": 1, "a": { "_tenantry": 2 }, "b": [1, { "c": null }] };
        for layout in layouts() {
            let document = StoredDocument { body: body.clone(), revision: Revision(1_750_000_000_123) };
            assert_eq!(layout.decode(&layout.encode(&document).unwrap()).unwrap(), document);
        }
    }

    /// What a program wrote directly has no revision, and the reserved field is never shown.
    #[test]
    fn document_layout_without_own_revision_reads_as_unknown() {
        for reserved in [
            rawdoc! { "_id": 1, "_tenantry": 7, "a": 1 },
            rawdoc! { "_id": 1, "a": 1 },
            rawdoc! { "_id": 1, "a": 1, "_tenantry": { "rev": "7" } },
            rawdoc! { "_id": 1, "a": 1, "_tenantry": { "rev": -7_i64 } },
        ] {
            let document = layouts()[0].decode(&reserved).unwrap();
            assert_eq!(document.revision, Revision::UNKNOWN);
            assert_eq!(document.body, rawdoc! { "_id": 1, "a": 1 });
        }
    }

    #[test]
    fn document_layout_id_filter_stays_within_collection() {
        let id = ObjectId::from_bytes([7; 12]);
        let own = DocumentId::from(id);
        let [plain, first, shared] = layouts();
        assert_eq!(plain.of_id(&own), doc! { "_id": id });
        assert_eq!(first.of_id(&own), doc! { "_id": { "$in": [] } });
        let expected = doc! {
            "_id": { "$eq": { "org_id": id, "collection": "notes.1", "id": id } },
            "org_id": id, "collection": "notes.1",
        };
        assert_eq!(shared.of_id(&own), expected);
    }

    #[test]
    fn document_layout_filter_stays_within_collection() {
        let id = ObjectId::from_bytes([7; 12]);
        let filter = doc! { "$or": [{ "a": 1 }, { "_id": id }] };
        let [plain, first, shared] = layouts();
        assert_eq!(plain.scoped(filter.clone()), filter);
        assert_eq!(first.scoped(filter.clone()), doc! { "_id": { "$ne": id }, "$and": [&filter] });
        let expected = doc! { "org_id": id, "collection": "notes.1", "$and": [&filter] };
        assert_eq!(shared.scoped(filter), expected);
        assert_eq!(shared.scoped(doc! {}), doc! { "org_id": id, "collection": "notes.1" });
    }
}
