//! JSON merge patches (RFC 7396) of documents: `null` removes, an object merges, all else replaces.
//!
//! An Extended JSON wrapper is a value and replaces. A patch cannot store `null`. Fields that it does not
//! name keep their values and their order.

use super::field_errors::FieldErrors;
use super::json::Json;
use super::order::compare;
use super::{DocumentId, ExtendedJsonReader, ID_FIELD, encode, refuse_at_top};
use crate::error::{Error, Result};
use crate::limits::DOCUMENT_MAX_LEVELS;
use bson::raw::RawBson;
use bson::{Bson, Document, RawDocument, RawDocumentBuf};
use std::collections::HashSet;

/// A patch that may be applied to any document.
#[derive(Debug, Clone)]
pub struct MergePatch {
    /// The `_id` that the document must have, if it names one.
    id: Option<Bson>,
    fields: Document,
    bytes: usize,
}

impl MergePatch {
    /// Reads Extended JSON.
    ///
    /// # Errors
    /// As [`super::NewDocument::parse`].
    pub fn parse(json: &str) -> Result<Self> {
        let mut reader = ExtendedJsonReader::new(FieldErrors::new(""));
        let mut patch = reader.document(Json::parse_object(json)?);
        let problems = &mut reader.problems;
        if let Some(id) = patch.get(ID_FIELD) {
            problems.check("/_id", DocumentId::new(id));
        }
        refuse_at_top(&patch, problems);
        reader.problems.finish()?;
        let id = patch.remove(ID_FIELD);
        Ok(Self { id, fields: patch, bytes: json.len() })
    }

    /// Its bytes as JSON: applying it takes time in proportion to these and the document's.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// `document` with the patch applied.
    ///
    /// # Errors
    /// `invalid_input` if the patch names another `_id`, or the result is more than `max_bytes`.
    pub fn apply(&self, document: &RawDocument, max_bytes: usize) -> Result<RawDocumentBuf> {
        let current = Document::try_from(document).map_err(Error::internal)?;
        if let Some(id) = &self.id
            && !current.get(ID_FIELD).is_some_and(|own| are_equal(own, id))
        {
            return Err(Error::invalid_field("/_id", "The `_id` of a document cannot change."));
        }
        let patched = merge(current, &self.fields);
        if levels(&patched) > DOCUMENT_MAX_LEVELS {
            let detail = format!("The document would be more than {DOCUMENT_MAX_LEVELS} levels deep.");
            return Err(Error::invalid_field("", detail));
        }
        encode(&patched, max_bytes)
    }
}

/// `current` with `changes`, field by field: removing fields from a document in place would move all later
/// ones each time.
fn merge(current: Document, changes: &Document) -> Document {
    let mut merged = Document::new();
    let mut met = HashSet::with_capacity(changes.len());
    for (name, value) in current {
        let value = match changes.get(&name) {
            None => Some(value),
            Some(change) => {
                met.insert(name.clone());
                changed_value(Some(value), change)
            }
        };
        if let Some(value) = value {
            merged.insert(name, value);
        }
    }
    for (name, change) in changes.iter().filter(|(name, _)| !met.contains(*name)) {
        if let Some(value) = changed_value(None, change) {
            merged.insert(name, value);
        }
    }
    merged
}

/// The value after `change`; `None` if it is removed.
fn changed_value(current: Option<Bson>, change: &Bson) -> Option<Bson> {
    match change {
        Bson::Null => None,
        // A reference to another document is a value, too.
        Bson::Document(reference) if reference.keys().next().is_some_and(|first| first == "$ref") => {
            Some(change.clone())
        }
        Bson::Document(changes) => {
            let current = match current {
                Some(Bson::Document(current)) => current,
                _ => Document::new(),
            };
            Some(merge(current, changes).into())
        }
        value => Some(value.clone()),
    }
}

fn are_equal(a: &Bson, b: &Bson) -> bool {
    match (RawBson::try_from(a.clone()), RawBson::try_from(b.clone())) {
        (Ok(a), Ok(b)) => compare(a.as_raw_bson_ref(), b.as_raw_bson_ref()).is_eq(),
        _ => false,
    }
}

/// Levels of objects and arrays, including itself.
pub fn levels(document: &Document) -> usize {
    1 + document.values().map(levels_of_value).max().unwrap_or(0)
}

fn levels_of_value(value: &Bson) -> usize {
    match value {
        Bson::Document(document) => levels(document),
        Bson::Array(items) => 1 + items.iter().map(levels_of_value).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::write_json;

    fn patched(document: &str, patch: &str) -> Result<String> {
        let document = super::super::NewDocument::parse(document, 1 << 20).unwrap();
        let patched = MergePatch::parse(patch)?.apply(&document.fields, 1 << 20)?;
        let mut json = Vec::new();
        write_json(&patched, &mut json);
        Ok(String::from_utf8(json).unwrap())
    }

    #[test]
    fn merge_patch_follows_rfc_7396() {
        for (document, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b",null]}"#, r#"{"a":["b",null]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            (r#"{"a":1,"b":2,"c":3}"#, r#"{"b":null,"a":4}"#, r#"{"a":4,"c":3}"#),
            (r#"{"a":{"b":1}}"#, r#"{"a":{"$numberDecimal":"2"}}"#, r#"{"a":{"$numberDecimal":"2"}}"#),
            (r#"{"a":{"b":1}}"#, r#"{"a":{"$ref":"c","$id":2}}"#, r#"{"a":{"$ref":"c","$id":2}}"#),
            (r#"{"_id":5,"a":1}"#, r#"{"_id":5.0,"a":2}"#, r#"{"_id":5,"a":2}"#),
        ] {
            assert_eq!(patched(document, patch).unwrap(), expected, "{document} {patch}");
        }
    }

    #[test]
    fn merge_patch_rejects_id_change_and_reserved_fields() {
        for patch in
            [r#"{"_id":6}"#, r#"{"_id":null}"#, r#"{"_tenantry":1}"#, r#"{"a":{"$set":1}}"#, r#"{"a.b":1}"#]
        {
            let error = patched(r#"{"_id":5}"#, patch).unwrap_err();
            assert_eq!(error.fields().len(), 1, "{patch}");
        }
    }
}
