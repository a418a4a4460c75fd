//! What an update needs to know of values: their keys, sizes and types.

use crate::document::key;
use crate::document::order::Direction;
use bson::raw::RawBson;
use bson::{Bson, Document};

/// The key of a value: equal values have equal keys, also numbers of two types.
pub fn key_of(value: &Bson) -> Option<Vec<u8>> {
    let raw = RawBson::try_from(value.clone()).ok()?;
    Some(key::encode(&[(raw.as_raw_bson_ref(), Direction::Ascending)]))
}

/// The fewest bytes that a value takes in BSON, without its name.
pub fn least_bytes(value: &Bson) -> usize {
    const FRAME: usize = 5;
    match value {
        Bson::Null | Bson::Undefined | Bson::MinKey | Bson::MaxKey => 0,
        Bson::Boolean(_) => 1,
        Bson::Int32(_) => 4,
        Bson::String(text) | Bson::Symbol(text) | Bson::JavaScriptCode(text) => FRAME + text.len(),
        Bson::Binary(binary) => FRAME + binary.bytes.len(),
        Bson::Document(document) => least_document_bytes(document),
        Bson::Array(items) => FRAME + items.iter().map(|item| 3 + least_bytes(item)).sum::<usize>(),
        Bson::JavaScriptCodeWithScope(code) => code.code.len() + least_document_bytes(&code.scope),
        Bson::RegularExpression(regex) => regex.pattern.as_str().len() + regex.options.as_str().len(),
        _ => 8,
    }
}

fn least_document_bytes(document: &Document) -> usize {
    5 + document.iter().map(|(name, value)| 2 + name.len() + least_bytes(value)).sum::<usize>()
}

/// The name of the type of a value, for a sentence.
pub const fn type_name(value: &Bson) -> &'static str {
    match value {
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_) => "a number",
        Bson::String(_) => "a string",
        Bson::Document(_) => "an object",
        Bson::Array(_) => "an array",
        Bson::Boolean(_) => "a boolean",
        Bson::Null => "null",
        Bson::DateTime(_) => "a date",
        Bson::ObjectId(_) => "an ObjectId",
        _ => "a value of another type",
    }
}
