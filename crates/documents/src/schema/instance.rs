//! How a schema sees the values of a document: as the API answers them.

use super::number::Number;
use crate::document::{JsonFormat, write_value_json};
use crate::fuel::{Fuel, Interruption};
use bson::raw::CString;
use bson::{RawArray, RawBson, RawBsonRef, RawDocument, RawDocumentBuf};
use serde_json::Value as Json;

/// A value of a document as JSON has it.
pub enum Shape<'a> {
    Null,
    Boolean,
    Number(Number),
    Text(&'a str),
    Array(&'a RawArray),
    Object(&'a RawDocument),
    /// An object in Extended JSON ([`extended`]).
    Special,
}

impl<'a> Shape<'a> {
    pub fn of(value: RawBsonRef<'a>) -> Self {
        match value {
            RawBsonRef::Null => Self::Null,
            RawBsonRef::Boolean(_) => Self::Boolean,
            RawBsonRef::String(text) => Self::Text(text),
            RawBsonRef::Array(array) => Self::Array(array),
            RawBsonRef::Document(document) => Self::Object(document),
            other => Number::of(other).map_or(Self::Special, Self::Number),
        }
    }
}

/// The object that stands for a value of a type that JSON does not have.
pub fn extended(value: RawBsonRef<'_>, fuel: &Fuel<'_>) -> Result<RawDocumentBuf, Interruption> {
    // Written, read and built.
    fuel.spend(500 + 8 * crate::document::size(value) as u64)?;
    let mut json = Vec::new();
    write_value_json(value, JsonFormat::Relaxed, &mut json);
    match serde_json::from_slice(&json) {
        Ok(Json::Object(members)) => Ok(document_of(&members)),
        // Every such value is written as an object.
        _ => Ok(RawDocumentBuf::new()),
    }
}

fn document_of(members: &serde_json::Map<String, Json>) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    for (name, value) in members {
        // No name that BSON has contains NUL.
        if let Ok(name) = CString::try_from(name.as_str()) {
            document.append(name, value_of(value));
        }
    }
    document
}

fn value_of(value: &Json) -> RawBson {
    match value {
        Json::Null => RawBson::Null,
        Json::Bool(truth) => RawBson::Boolean(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => RawBson::Int64(whole),
            None => RawBson::Double(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => RawBson::String(text.clone()),
        Json::Array(items) => {
            let mut array = bson::raw::RawArrayBuf::new();
            items.iter().for_each(|item| array.push(value_of(item)));
            RawBson::Array(array)
        }
        Json::Object(members) => RawBson::Document(document_of(members)),
    }
}
