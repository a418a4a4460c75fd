//! Documents as BSON, for those whose names Extended JSON cannot tell from its own: a program may have written a field
//! `$oid`, `a.b`, or one name twice.

use super::extended::is_reference_order;
use super::raw::{Element, Elements};
use super::{DocumentId, FieldErrors, ID_FIELD, NewDocument, RESERVED_FIELD, refuse_at_top};
use crate::error::{Error, Result};
use crate::limits::DOCUMENT_MAX_LEVELS;
use bson::spec::ElementType;
use bson::{Document, RawBsonRef, RawDocument, RawDocumentBuf};

/// Whether `document`, written as canonical Extended JSON, reads as the same document.
#[must_use]
pub fn is_exact_in_json(document: &RawDocument) -> bool {
    has_plain_names(document.as_bytes(), |_| false)
}

/// The values in it have plain names, and so has it itself; or its names are those of a reference.
fn is_plain(element: &Element<'_>) -> bool {
    match element.kind {
        ElementType::EmbeddedDocument => has_plain_names(element.value, is_reference_order),
        ElementType::Array => Elements::of(element.value).all(|item| is_plain(&item)),
        ElementType::JavaScriptCodeWithScope => has_plain_names(scope_of(element.value), |_| false),
        // The reader does not know it: only programs of long ago have written one.
        ElementType::DbPointer => false,
        _ => true,
    }
}

fn has_plain_names(document: &[u8], is_reference: impl Fn(&[Element<'_>]) -> bool) -> bool {
    let elements: Vec<Element<'_>> = Elements::of(document).collect();
    let is_plain_name = |name: &[u8]| !name.starts_with(b"$") && !name.contains(&b'.');
    let dollars = elements.iter().take_while(|element| element.name.starts_with(b"$")).count();
    let others =
        if dollars > 0 && is_reference(&elements[..dollars]) { &elements[dollars..] } else { &elements };
    others.iter().all(|element| is_plain_name(element.name))
        && elements.iter().all(is_plain)
        && is_each_once(&elements)
}

/// The scope in a value of code with scope: the length of both comes first, then the code with its length.
fn scope_of(value: &[u8]) -> &[u8] {
    let code = value.get(4..).and_then(|rest| rest.first_chunk().map(|bytes| i32::from_le_bytes(*bytes)));
    let code = code.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX);
    value.get(code.saturating_add(8)..).unwrap_or_default()
}

fn is_each_once(elements: &[Element<'_>]) -> bool {
    let mut names: Vec<&[u8]> = elements.iter().map(|element| element.name).collect();
    names.sort_unstable();
    names.windows(2).all(|pair| pair[0] != pair[1])
}

impl NewDocument {
    /// Reads BSON, with any names of fields that MongoDB stores.
    ///
    /// # Errors
    /// `invalid_input` if it is not valid BSON, is too deep or more than `max_bytes`, or has no `_id` or one that must not
    /// be.
    pub fn from_bson(bytes: Vec<u8>, max_bytes: usize) -> Result<Self> {
        let invalid = |detail: &str| Error::invalid_field("", detail.to_owned());
        if bytes.len() > max_bytes {
            let detail = format!("Is {} bytes as BSON; at most {max_bytes} are allowed.", bytes.len());
            return Err(invalid(&detail));
        }
        let raw = RawDocumentBuf::from_bytes(bytes).map_err(|_| invalid("Is not valid BSON."))?;
        check(&raw, 1).map_err(|detail| invalid(&detail))?;
        let fields = Document::try_from(raw.as_ref()).map_err(|_| invalid("Is not valid BSON."))?;
        let mut problems = FieldErrors::new("");
        let id = fields.get(ID_FIELD).and_then(|value| problems.check("/_id", DocumentId::new(value)));
        refuse_at_top(&fields, &mut problems);
        problems.finish()?;
        for name in [ID_FIELD, RESERVED_FIELD] {
            if raw.iter_elements().flatten().filter(|element| element.key().as_str() == name).count() > 1 {
                return Err(Error::invalid_field(format!("/{name}"), "Is given twice.".to_owned()));
            }
        }
        Ok(Self { id, fields: raw })
    }
}

/// Checks every value, before anything decodes them without a bound of depth.
fn check(document: &RawDocument, level: usize) -> std::result::Result<(), String> {
    if level > DOCUMENT_MAX_LEVELS {
        return Err(format!("Is more than {DOCUMENT_MAX_LEVELS} levels deep."));
    }
    for field in document {
        match field.map_err(|_| "Is not valid BSON.")?.1 {
            RawBsonRef::Document(inner) => check(inner, level + 1)?,
            RawBsonRef::Array(items) => {
                let items = RawDocument::from_bytes(items.as_bytes()).map_err(|_| "Is not valid BSON.")?;
                check(items, level + 1)?;
            }
            RawBsonRef::JavaScriptCodeWithScope(code) => check(code.scope, level + 1)?,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::write_canonical_json;
    use bson::{oid::ObjectId, rawdoc};

    fn exact(document: RawDocumentBuf) -> Result<NewDocument> {
        NewDocument::from_bson(document.into_bytes(), 1 << 20)
    }

    fn with_scope(scope: RawDocumentBuf) -> RawDocumentBuf {
        rawdoc! { "_id": 1, "c": bson::raw::RawJavaScriptCodeWithScope { code: "f()".into(), scope } }
    }

    #[test]
    fn document_is_exact_in_json_if_its_names_are_plain() {
        let oid = ObjectId::from_bytes([7; 12]);
        for plain in [
            rawdoc! { "_id": 1, "a": [{ "b": 1.5 }, "x"], "c": { "d": oid } },
            rawdoc! { "_id": 1, "r": { "$ref": "c", "$id": oid } },
            rawdoc! { "_id": 1, "r": [{ "$ref": "c", "$id": 1, "$db": "d", "more": { "x": 1 } }] },
            with_scope(rawdoc! { "a": [1] }),
        ] {
            assert!(is_exact_in_json(&plain), "{plain:?}");
            let mut json = Vec::new();
            write_canonical_json(&plain, &mut json);
            let read = NewDocument::parse(std::str::from_utf8(&json).unwrap(), 1 << 20).unwrap();
            assert_eq!(read.with_id(|| unreachable!()).as_bytes(), plain.as_bytes());
        }
        let mut twice = rawdoc! { "_id": 1, "a": 1 };
        twice.append(bson::raw::cstr!("a"), 2);
        for odd in [
            rawdoc! { "_id": 1, "a.b": 1 },
            rawdoc! { "_id": 1, "$a": 1 },
            rawdoc! { "_id": 1, "a": { "$oid": "x" } },
            rawdoc! { "_id": 1, "a": [[{ "b": { ".": 1 } }]] },
            rawdoc! { "_id": 1, "a": { "$numberInt": "5" } },
            rawdoc! { "_id": 1, "r": { "$id": 1, "$ref": "c" } },
            rawdoc! { "_id": 1, "r": { "$ref": 1, "$id": 1 } },
            rawdoc! { "_id": 1, "r": { "$ref": "c", "$id": 1, "x": 1, "$db": "d" } },
            rawdoc! { "$ref": "c", "$id": 1 },
            with_scope(rawdoc! { "$a": 1 }),
            twice,
        ] {
            assert!(!is_exact_in_json(&odd), "{odd:?}");
        }
    }

    #[test]
    fn bson_is_read_with_any_names() {
        let document = rawdoc! { "_id": 1, "a.b": { "$oid": "x", "": [{ "$set": 1 }] } };
        let read = exact(document.clone()).unwrap();
        assert_eq!(read.bytes(), document.as_bytes().len());
        assert_eq!(read.with_id(|| unreachable!()).as_bytes(), document.as_bytes());
    }

    #[test]
    fn invalid_bson_is_rejected() {
        let mut deep = rawdoc! {};
        for _ in 0..DOCUMENT_MAX_LEVELS {
            deep = rawdoc! { "a": deep };
        }
        deep.append(bson::raw::cstr!("_id"), 1);
        let mut two_ids = rawdoc! { "_id": 1 };
        two_ids.append(bson::raw::cstr!("_id"), 2);
        for invalid in [deep, two_ids, rawdoc! { "_id": [1] }, rawdoc! { "_id": 1, "_tenantry": 1 }] {
            assert!(exact(invalid).is_err());
        }
        let mut not_utf8 = rawdoc! { "_id": 1, "a": "xyz" }.into_bytes();
        let at = not_utf8.iter().position(|byte| *byte == b'y').unwrap();
        not_utf8[at] = 0xFF;
        for bytes in [not_utf8, vec![], vec![5, 0, 0, 0], vec![6, 0, 0, 0, 0]] {
            assert!(NewDocument::from_bson(bytes, 1 << 20).is_err());
        }
        let large = rawdoc! { "_id": 1, "a": "x".repeat(100) };
        assert!(NewDocument::from_bson(large.into_bytes(), 100).is_err());
    }
}
