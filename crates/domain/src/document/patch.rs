//! JSON merge patches (RFC 7396) of documents: `null` removes, an object merges, all else replaces.
//!
//! An Extended JSON wrapper is a value and replaces. What a newcomer gets wrong: a patch cannot store `null`, and
//! nothing of a document that it does not name changes, nor the order of its fields.

use super::json::Json;
use super::order::compare;
use super::problems::Problems;
use super::{DocumentId, ID_FIELD, Reader, encode, refuse_at_top};
use crate::error::{Error, Result};
use crate::limits::DOCUMENT_MAX_LEVELS;
use bson::raw::RawBson;
use bson::{Bson, Document, RawDocument, RawDocumentBuf};

/// A patch that may be applied to any document.
#[derive(Debug, Clone)]
pub struct MergePatch(Document);

impl MergePatch {
    /// Reads Extended JSON.
    ///
    /// # Errors
    /// As [`super::NewDocument::parse`].
    pub fn parse(json: &str) -> Result<Self> {
        let mut reader = Reader::new(Problems::new(""));
        let patch = reader.document(Json::parse_object(json)?);
        let problems = &mut reader.problems;
        if let Some(id) = patch.get(ID_FIELD) {
            problems.check("/_id", DocumentId::new(id));
        }
        refuse_at_top(&patch, problems);
        reader.problems.finish()?;
        Ok(Self(patch))
    }

    /// `document` with the patch applied.
    ///
    /// # Errors
    /// `invalid_input` if the patch names another `_id`, or the result is more than `max_bytes`.
    pub fn apply(&self, document: &RawDocument, max_bytes: usize) -> Result<RawDocumentBuf> {
        let mut patched = Document::try_from(document).map_err(Error::internal)?;
        if let Some(id) = self.0.get(ID_FIELD)
            && !patched.get(ID_FIELD).is_some_and(|own| are_equal(own, id))
        {
            return Err(Error::invalid_field("/_id", "The `_id` of a document cannot change."));
        }
        for (name, change) in self.0.iter().filter(|(name, _)| *name != ID_FIELD) {
            merge_field(&mut patched, name, change);
        }
        if levels(&patched) > DOCUMENT_MAX_LEVELS {
            let detail = format!("The document would be more than {DOCUMENT_MAX_LEVELS} levels deep.");
            return Err(Error::invalid_field("", detail));
        }
        encode(&patched, max_bytes)
    }
}

fn merge_field(target: &mut Document, name: &str, change: &Bson) {
    match (change, target.get_mut(name)) {
        (Bson::Null, _) => {
            target.remove(name);
        }
        (Bson::Document(changes), Some(Bson::Document(inner))) => merge(inner, changes),
        (Bson::Document(changes), _) => {
            let mut inner = Document::new();
            merge(&mut inner, changes);
            target.insert(name, inner);
        }
        (value, _) => {
            target.insert(name, value.clone());
        }
    }
}

fn merge(target: &mut Document, changes: &Document) {
    for (name, change) in changes {
        merge_field(target, name, change);
    }
}

fn are_equal(a: &Bson, b: &Bson) -> bool {
    match (RawBson::try_from(a.clone()), RawBson::try_from(b.clone())) {
        (Ok(a), Ok(b)) => compare(a.as_raw_bson_ref(), b.as_raw_bson_ref()).is_eq(),
        _ => false,
    }
}

fn levels(document: &Document) -> usize {
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
    fn a_patch_merges_as_rfc_7396_says() {
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
            (r#"{"_id":5,"a":1}"#, r#"{"_id":5.0,"a":2}"#, r#"{"_id":5,"a":2}"#),
        ] {
            assert_eq!(patched(document, patch).unwrap(), expected, "{document} {patch}");
        }
    }

    #[test]
    fn a_patch_cannot_change_the_id_or_reach_what_is_reserved() {
        for patch in
            [r#"{"_id":6}"#, r#"{"_id":null}"#, r#"{"_tenantry":1}"#, r#"{"a":{"$set":1}}"#, r#"{"a.b":1}"#]
        {
            let error = patched(r#"{"_id":5}"#, patch).unwrap_err();
            assert_eq!(error.fields().len(), 1, "{patch}");
        }
    }
}
