//! The `_id` of a document: any value but a few, and how it is written in a URL.
//!
//! 24 hexadecimal digits are an ObjectId; `~` begins Extended JSON (`~5`, `~"abc"`); all else is a string.
//!
//! # Pitfalls
//! Ids are equal as values are ([`super::order`]): `~5` also finds the id `5.0`.

use super::field_errors::FieldErrors;
use super::json::Json;
use super::{ExtendedJsonReader, ID_FIELD, field, key, order, write};
use crate::limits::DOCUMENT_ID_MAX_BYTES;
use bson::oid::ObjectId;
use bson::raw::RawBson;
use bson::{Bson, RawBsonRef, RawDocument};
use order::Direction;
use std::fmt;

/// A value that may be an `_id`.
#[derive(Debug, Clone)]
pub struct DocumentId(RawBson);

impl DocumentId {
    /// Takes `value` as an id.
    ///
    /// # Errors
    /// The sentence that says why it cannot be one.
    pub fn new(value: &Bson) -> Result<Self, String> {
        if matches!(value, Bson::Array(_) | Bson::RegularExpression(_) | Bson::Undefined | Bson::Null) {
            return Err("An `_id` must not be an array, a regular expression, undefined or null.".into());
        }
        if value.as_document().is_some_and(|document| document.keys().any(|name| name.starts_with('$'))) {
            return Err("An `_id` must not be a reference to a document; MongoDB does not store it.".into());
        }
        let raw = RawBson::try_from(value.clone()).map_err(|_| "Is not a value of BSON.")?;
        let id = Self(raw);
        if id.key().len() > DOCUMENT_ID_MAX_BYTES {
            return Err(format!("An `_id` may have at most {DOCUMENT_ID_MAX_BYTES} bytes."));
        }
        Ok(id)
    }

    /// The ObjectId of these bytes.
    #[must_use]
    pub const fn of_object_id(bytes: [u8; 12]) -> Self {
        Self(RawBson::ObjectId(ObjectId::from_bytes(bytes)))
    }

    /// The id of a stored document.
    #[must_use]
    pub fn of(document: &RawDocument) -> Option<Self> {
        field(document, ID_FIELD).map(|value| Self(value.into()))
    }

    /// Reads the segment of a URL, decoded.
    ///
    /// # Errors
    /// The sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(json) = text.strip_prefix('~') {
            let mut reader = ExtendedJsonReader::new(FieldErrors::new(""));
            let json = Json::parse(json).map_err(|error| error.to_string())?;
            let value = reader.value(json);
            let first = |error: crate::Error| error.fields().first().map(|field| field.detail.clone());
            reader.problems.finish().map_err(|error| first(error).unwrap_or_default())?;
            return Self::new(&value);
        }
        if text.is_empty() {
            return Err("Must not be empty; the empty string is `~\"\"`.".into());
        }
        match object_id(text) {
            Some(id) => Ok(Self(RawBson::ObjectId(id))),
            None => Self::new(&Bson::String(text.to_owned())),
        }
    }

    /// The ids that people take for this one: an ObjectId for the text of its digits, in small or in capital letters, and
    /// the reverse, and so for numbers.
    #[must_use]
    pub fn lookalikes(&self) -> Vec<Self> {
        let found = match self.value() {
            RawBsonRef::ObjectId(id) => {
                let small = id.to_hex();
                let capital = Some(small.to_ascii_uppercase()).filter(|capital| *capital != small);
                std::iter::once(small).chain(capital).map(RawBson::String).collect()
            }
            RawBsonRef::Int32(number) => vec![RawBson::String(number.to_string())],
            RawBsonRef::Int64(number) => vec![RawBson::String(number.to_string())],
            RawBsonRef::Double(number) => vec![RawBson::String(number.to_string())],
            RawBsonRef::String(text) => {
                let whole = || text.parse().ok().filter(|number: &i64| number.to_string() == text);
                let fraction = || {
                    text.parse().ok().filter(|number: &f64| number.is_finite() && number.to_string() == text)
                };
                let id = object_id(text).map(RawBson::ObjectId);
                let number = || whole().map(RawBson::Int64).or_else(|| fraction().map(RawBson::Double));
                id.or_else(number).into_iter().collect()
            }
            _ => Vec::new(),
        };
        found.into_iter().map(Self).collect()
    }

    /// Its type, in words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.value() {
            RawBsonRef::ObjectId(_) => "an ObjectId",
            RawBsonRef::String(_) => "a text",
            RawBsonRef::Int32(_)
            | RawBsonRef::Int64(_)
            | RawBsonRef::Double(_)
            | RawBsonRef::Decimal128(_) => "a number",
            _ => "of another type",
        }
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> RawBsonRef<'_> {
        self.0.as_raw_bson_ref()
    }

    /// The value, for MongoDB.
    #[must_use]
    pub fn to_bson(&self) -> Bson {
        // It came from a `Bson`.
        Bson::try_from(self.0.clone()).unwrap_or_default()
    }

    /// Appends the value to `out`, as Extended JSON.
    pub fn write_json(&self, form: write::JsonFormat, out: &mut Vec<u8>) {
        write::write_value(self.value(), form, out);
    }

    /// Its key; equal ids have equal keys.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        key::encode(&[(self.value(), Direction::Ascending)])
    }
}

impl From<ObjectId> for DocumentId {
    fn from(id: ObjectId) -> Self {
        Self(RawBson::ObjectId(id))
    }
}

impl PartialEq for DocumentId {
    fn eq(&self, other: &Self) -> bool {
        order::compare(self.value(), other.value()).is_eq()
    }
}

impl Eq for DocumentId {}

/// Writes the shortest text that parses to an equal id.
impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            RawBsonRef::ObjectId(id) => f.write_str(&id.to_hex()),
            RawBsonRef::String(text) if is_plain(text) => f.write_str(text),
            value => {
                let mut json = Vec::new();
                write::write_value(value, write::JsonFormat::Relaxed, &mut json);
                write!(f, "~{}", String::from_utf8_lossy(&json))
            }
        }
    }
}

/// Whether a string is written in the URL as it is. `.` and `..` are not: clients resolve them before they
/// send the request.
fn is_plain(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && !text.starts_with('~') && object_id(text).is_none()
}

fn object_id(text: &str) -> Option<ObjectId> {
    // Not by its own parser, which makes an error with a sentence of every other text.
    let mut bytes = [0; 12];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(ObjectId::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_id_round_trips_through_url_form() {
        for (text, printed) in [
            ("65f0a1b2c3d4e5f601234567", "65f0a1b2c3d4e5f601234567"),
            ("65F0A1B2C3D4E5F601234567", "65f0a1b2c3d4e5f601234567"),
            ("abc", "abc"),
            ("a b/c~", "a b/c~"),
            ("5", "5"),
            ("~5", "~5"),
            ("~ 5 ", "~5"),
            ("~5.0", "~5.0"),
            ("~\"abc\"", "abc"),
            ("~\"~\"", "~\"~\""),
            ("~\"\"", "~\"\""),
            ("..", "~\"..\""),
            (".a", ".a"),
            ("~\"65f0a1b2c3d4e5f601234567\"", "~\"65f0a1b2c3d4e5f601234567\""),
            ("~{\"$oid\":\"65f0a1b2c3d4e5f601234567\"}", "65f0a1b2c3d4e5f601234567"),
            ("~{\"$numberLong\":\"5\"}", "~5"),
            ("~{\"$numberDecimal\":\"5\"}", "~{\"$numberDecimal\":\"5\"}"),
            ("~{\"a\":[1,{\"b\":true}]}", "~{\"a\":[1,{\"b\":true}]}"),
            (
                "~{\"$uuid\":\"00112233-4455-6677-8899-aabbccddeeff\"}",
                "~{\"$binary\":{\"base64\":\"ABEiM0RVZneImaq7zN3u/w==\",\"subType\":\"04\"}}",
            ),
        ] {
            let id = DocumentId::parse(text).unwrap_or_else(|detail| panic!("{text}: {detail}"));
            assert_eq!(id.to_string(), printed);
            assert_eq!(DocumentId::parse(printed).as_ref(), Ok(&id));
        }
    }

    #[test]
    fn document_ids_of_equal_numbers_are_equal() {
        let id = |text| DocumentId::parse(text).unwrap();
        assert_eq!(id("~5"), id("~5.0"));
        assert_eq!(id("~5").key(), id("~{\"$numberDecimal\":\"5.00\"}").key());
        assert_ne!(id("~5"), id("5"));
    }

    #[test]
    fn document_id_has_the_lookalike_that_people_mistake_it_for() {
        let hex = "65f0a1b2c3d4e5f601234567";
        for (text, other) in [
            (hex, "~\"65f0a1b2c3d4e5f601234567\""),
            ("~\"65F0A1B2C3D4E5F601234567\"", hex),
            ("5", "~5"),
            ("~-5", "-5"),
            ("~9007199254740993", "9007199254740993"),
            ("1.5", "~1.5"),
            ("~-0.25", "-0.25"),
            ("~5.0", "5"),
        ] {
            let (id, other) = (DocumentId::parse(text).unwrap(), DocumentId::parse(other).unwrap());
            assert_eq!(id.lookalikes().first(), Some(&other), "{text}");
        }
        for text in ["abc", "05", "+5", "5.0", "1.50", "inf", "NaN", "65f0", "~{\"a\":1}"] {
            assert_eq!(DocumentId::parse(text).unwrap().lookalikes(), [], "{text}");
        }
    }

    #[test]
    fn document_id_parse_rejects_unusable_values() {
        let long = "x".repeat(DOCUMENT_ID_MAX_BYTES);
        for text in [
            "",
            "~",
            "~null",
            "~[1]",
            "~{\"$undefined\":true}",
            "~{\"$regularExpression\":{\"pattern\":\"a\",\"options\":\"\"}}",
            "~{\"$foo\":1}",
            "~{\"a.b\":1}",
            "~1 2",
            &long,
        ] {
            assert!(DocumentId::parse(text).is_err(), "{text}");
        }
    }
}
