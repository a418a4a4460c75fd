//! Documents: the values they may hold, and their conversion from and to JSON.
//!
//! A document is BSON. JSON is Extended JSON v2, relaxed or canonical on the way in, relaxed on the way out
//! (canonical in archives), so that documents written by an application's own MongoDB driver read correctly.
//! Nothing here knows an engine.
//!
//! # Pitfalls
//! Compare values with [`order`], as MongoDB does, never with `==`: `1`, `1.0` and the decimal `1` are one
//! value, and one `_id`.

mod date;
pub mod diagnosis;
mod entries;
mod exact;
mod extended;
mod field_errors;
mod id;
mod index_keys;
mod json;
pub mod json_diagnosis;
pub mod key;
pub(crate) mod number;
pub mod order;
mod patch;
mod path;
mod raw;
mod stored;
mod write;

#[cfg(test)]
mod tests;

pub use entries::{EntriesError, index_entries, meets_array};
pub use exact::is_exact_in_json;
pub use id::DocumentId;
pub use index_keys::{EntryBudget, IndexKey, IndexKeys, IndexKeysError, KeyFormat, entry_bytes};
pub use patch::MergePatch;
pub use path::Path;
pub use stored::{Revision, StoredDocument};
pub use write::{
    JsonFormat, write_canonical_json, write_document as write_document_json, write_json,
    write_value as write_value_json,
};

pub(crate) use extended::{ExtendedJsonReader, is_reference, is_wrapper};
pub(crate) use field_errors::FieldErrors;
pub(crate) use index_keys::cut;
pub(crate) use json::{Json, JsonMembers};
pub(crate) use number::{DecimalParts, decimal_parts, is_nan};
pub(crate) use patch::levels;
pub(crate) use path::{Leaf, PathPart, visit};

use crate::error::{Error, Result};
use crate::fuel::{self, Fuel, Interruption};
use bson::spec::ElementType;
use bson::{Bson, Document, RawBsonRef, RawDocument, RawDocumentBuf, Timestamp};

/// The field of a stored document in which engines keep its revision. No path of a caller reaches it.
pub const RESERVED_FIELD: &str = "_tenantry";
/// The field that names a document.
pub const ID_FIELD: &str = "_id";

/// A document that may be stored, with or without an `_id`.
#[derive(Debug, Clone)]
pub struct NewDocument {
    id: Option<DocumentId>,
    fields: RawDocumentBuf,
}

impl NewDocument {
    /// Reads Extended JSON.
    ///
    /// # Errors
    /// `invalid_json` if it is not one JSON object; `invalid_input` with every bad field, or if it is more than
    /// `max_bytes` of BSON.
    pub fn parse(json: &str, max_bytes: usize) -> Result<Self> {
        let mut reader = ExtendedJsonReader::new(FieldErrors::new(""));
        let fields = reader.document(Json::parse_object(json)?);
        let problems = &mut reader.problems;
        let id = fields.get(ID_FIELD).and_then(|value| problems.check("/_id", DocumentId::new(value)));
        refuse_at_top(&fields, problems);
        reader.problems.finish()?;
        Ok(Self { id, fields: encode(&fields, max_bytes)? })
    }

    /// Its `_id`, if it has one.
    #[must_use]
    pub const fn id(&self) -> Option<&DocumentId> {
        self.id.as_ref()
    }

    /// Its bytes as BSON, without an `_id` that it does not have yet.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.fields.as_bytes().len()
    }

    /// The document with its own `_id`, or else with `id`.
    #[must_use]
    pub fn with_id(self, id: impl FnOnce() -> DocumentId) -> RawDocumentBuf {
        let id = self.id.clone().unwrap_or_else(id);
        self.under_id(&id)
    }

    /// The document with the `_id` `id` as its first field, as MongoDB stores it.
    #[must_use]
    pub fn under_id(self, id: &DocumentId) -> RawDocumentBuf {
        let mut document = RawDocumentBuf::new();
        document.append(bson::raw::cstr!("_id"), id.value());
        let first = raw::fields_of(document.as_bytes());
        if raw::fields_of(self.fields.as_bytes()).starts_with(first) {
            return self.fields;
        }
        if self.id.is_none() {
            return raw::document_of(first, raw::fields_of(self.fields.as_bytes()));
        }
        for (name, value) in self.fields.iter().map_while(Result::ok) {
            if name.as_str() != ID_FIELD {
                document.append(name, value);
            }
        }
        document
    }
}

/// `document` as BSON.
///
/// # Errors
/// `invalid_input` if it is more than `max_bytes`.
pub(crate) fn encode(document: &Document, max_bytes: usize) -> Result<RawDocumentBuf> {
    // The reader accepts nothing that BSON cannot hold.
    let raw = RawDocumentBuf::try_from(document).map_err(Error::internal)?;
    let bytes = raw.as_bytes().len();
    if bytes > max_bytes {
        let detail = format!("Is {bytes} bytes as BSON; at most {max_bytes} are allowed.");
        return Err(Error::invalid_field("", detail));
    }
    Ok(raw)
}

/// Refuses names that are allowed in nested documents, but not at the top level.
fn refuse_at_top(fields: &Document, problems: &mut FieldErrors) {
    for (name, value) in fields {
        let length = problems.push(name);
        if name == RESERVED_FIELD {
            problems.refuse("Is reserved for the service.");
        }
        // There MongoDB would put its own time.
        if *value == Bson::Timestamp(Timestamp { time: 0, increment: 0 }) {
            problems.refuse("MongoDB does not store the timestamp 0 at the top of a document.");
        }
        problems.pop(length);
    }
}

/// The fields of a stored document, in their order. Engines pass valid BSON, which they wrote.
pub(crate) fn fields(document: &RawDocument) -> impl Iterator<Item = (&str, RawBsonRef<'_>)> {
    document.iter().map_while(Result::ok).map(|(name, value)| (name.as_str(), value))
}

/// The field `name` of a stored document.
pub(crate) fn field<'a>(document: &'a RawDocument, name: &str) -> Option<RawBsonRef<'a>> {
    fields(document).find(|(each, _)| *each == name).map(|(_, value)| value)
}

/// The field `name` of a stored document, for the fuel that passing the fields before it costs.
pub(crate) fn field_within<'a>(
    document: &'a RawDocument,
    name: &str,
    fuel: &Fuel<'_>,
) -> std::result::Result<Option<RawBsonRef<'a>>, Interruption> {
    // Their values are not read: a long text before it costs no more than a number.
    for element in document.iter_elements().map_while(std::result::Result::ok) {
        fuel.spend(fuel::FIELD)?;
        if element.key().as_str() == name {
            fuel.spend(reading(&element))?;
            return Ok(element.value().ok());
        }
    }
    Ok(None)
}

/// The values of an array, each for the fuel that it takes.
pub(crate) fn items_within<'a>(
    array: &'a bson::RawArray,
    fuel: &Fuel<'_>,
) -> impl Iterator<Item = std::result::Result<RawBsonRef<'a>, Interruption>> {
    let elements = array.iter_elements().map_while(std::result::Result::ok);
    elements.map_while(|element| match fuel.spend(fuel::VALUE + reading(&element)) {
        Ok(()) => element.value().ok().map(Ok),
        Err(stopped) => Some(Err(stopped)),
    })
}

/// The cost of decoding a value: texts are checked to be UTF-8.
fn reading(element: &bson::raw::RawElement<'_>) -> u64 {
    match element.element_type() {
        ElementType::String | ElementType::Symbol | ElementType::JavaScriptCode => element.size() as u64 / 2,
        _ => 0,
    }
}

/// The approximate bytes of a value: the cost of comparing with it or writing it.
pub(crate) fn size(value: RawBsonRef<'_>) -> usize {
    match value {
        RawBsonRef::String(text) | RawBsonRef::Symbol(text) | RawBsonRef::JavaScriptCode(text) => text.len(),
        RawBsonRef::Document(document) => document.as_bytes().len(),
        RawBsonRef::Array(array) => array.as_bytes().len(),
        RawBsonRef::Binary(binary) => binary.bytes.len(),
        RawBsonRef::RegularExpression(regex) => regex.pattern.as_str().len() + regex.options.as_str().len(),
        RawBsonRef::JavaScriptCodeWithScope(code) => code.code.len() + code.scope.as_bytes().len(),
        _ => 16,
    }
}

/// Whether a stored document has the field `name`.
pub(crate) fn has_field(document: &RawDocument, name: &str) -> bool {
    raw::Elements::of(document.as_bytes()).any(|element| element.name == name.as_bytes())
}

/// The values of an array.
pub(crate) fn items(array: &bson::RawArray) -> impl Iterator<Item = RawBsonRef<'_>> {
    array.into_iter().map_while(Result::ok)
}

/// An array as the document it is in BSON, with the positions as names.
pub(crate) fn as_document(array: &bson::RawArray) -> &RawDocument {
    RawDocument::from_bytes(array.as_bytes()).unwrap_or_else(|_| empty_document())
}

/// The document without fields.
pub(crate) fn empty_document() -> &'static RawDocument {
    RawDocument::from_bytes(&[5, 0, 0, 0, 0]).expect("five bytes are its length and its end")
}
