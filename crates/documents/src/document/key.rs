//! Keys: bytes whose order is the order of the values they encode ([`super::order`]).
//!
//! An engine with ordered keys indexes by them. No key is a prefix of another value's key, so parts can be
//! concatenated, and a descending part is simply inverted.
//!
//! # Pitfalls
//! Keys are stored: a change here changes every index.

use super::number::{Magnitude, Number};
use super::order::{self, Direction, Rank};
use super::{as_document, fields};
use bson::{RawBsonRef, RawDocument};

/// The key of several values, each with its direction.
#[must_use]
pub fn encode(parts: &[(RawBsonRef<'_>, Direction)]) -> Vec<u8> {
    let mut key = Vec::with_capacity(parts.len() * 16);
    for (value, direction) in parts {
        append(*value, *direction, &mut key);
    }
    key
}

/// Appends one value to a key.
pub fn append(value: RawBsonRef<'_>, direction: Direction, key: &mut Vec<u8>) {
    let start = key.len();
    append_value(value, key);
    if direction == Direction::Descending {
        invert(&mut key[start..]);
    }
}

fn append_value(value: RawBsonRef<'_>, key: &mut Vec<u8>) {
    key.push(Rank::of(value) as u8);
    append_content(value, key);
}

fn append_content(value: RawBsonRef<'_>, key: &mut Vec<u8>) {
    match value {
        RawBsonRef::String(text) | RawBsonRef::Symbol(text) | RawBsonRef::JavaScriptCode(text) => {
            append_text(text, key);
        }
        RawBsonRef::Document(document) => append_document(document, key),
        RawBsonRef::Array(array) => append_document(as_document(array), key),
        RawBsonRef::Binary(binary) => {
            let (length, subtype, bytes) = order::binary_parts(&binary);
            append_length(length, key);
            key.push(subtype);
            key.extend(bytes);
        }
        RawBsonRef::ObjectId(id) => key.extend(id.bytes()),
        RawBsonRef::Boolean(value) => key.push(value.into()),
        // With the sign bit inverted, negative numbers come first.
        RawBsonRef::DateTime(date) => key.extend((date.timestamp_millis() ^ i64::MIN).to_be_bytes()),
        RawBsonRef::Timestamp(timestamp) => {
            let (time, increment) = order::timestamp_parts(timestamp);
            key.extend(time.to_be_bytes());
            key.extend(increment.to_be_bytes());
        }
        RawBsonRef::RegularExpression(regex) => {
            append_text(regex.pattern.as_str(), key);
            append_text(regex.options.as_str(), key);
        }
        RawBsonRef::JavaScriptCodeWithScope(code) => {
            append_text(code.code, key);
            append_document(code.scope, key);
        }
        RawBsonRef::DbPointer(_) => {
            let (namespace, id) = order::db_pointer(value);
            append_length(namespace.len(), key);
            key.extend(namespace.as_bytes());
            key.extend(id);
        }
        RawBsonRef::Int32(_) | RawBsonRef::Int64(_) | RawBsonRef::Double(_) | RawBsonRef::Decimal128(_) => {
            append_number(Number::of(value), key);
        }
        RawBsonRef::MinKey | RawBsonRef::Undefined | RawBsonRef::Null | RawBsonRef::MaxKey => {}
    }
}

/// Type, name and value of each field; the end is below every type.
fn append_document(document: &RawDocument, key: &mut Vec<u8>) {
    for (name, value) in fields(document) {
        key.push(Rank::of(value) as u8);
        append_text(name, key);
        append_content(value, key);
    }
    key.push(0);
}

/// A NUL of the text is followed by 255, the one that ends it by 0.
pub(super) fn append_text(text: &str, key: &mut Vec<u8>) {
    append_text_start(text, key);
    key.extend([0, 0]);
}

/// Appends the common prefix of the keys of all texts that begin with `text`.
pub(crate) fn append_text_start(text: &str, key: &mut Vec<u8>) {
    for byte in text.bytes() {
        key.push(byte);
        if byte == 0 {
            key.push(0xff);
        }
    }
}

fn append_length(length: usize, key: &mut Vec<u8>) {
    // A document is far below 4 GiB.
    key.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

fn append_number(number: Option<Number>, key: &mut Vec<u8>) {
    match number.unwrap_or(Number::NaN) {
        Number::NaN => key.push(0),
        Number::Lowest => key.push(1),
        Number::Negative(std::cmp::Reverse(magnitude)) => {
            key.push(2);
            let start = key.len();
            append_magnitude(magnitude, key);
            invert(&mut key[start..]);
        }
        Number::Zero => key.push(3),
        Number::Positive(magnitude) => {
            key.push(4);
            append_magnitude(magnitude, key);
        }
        Number::Highest => key.push(5),
    }
}

/// The exponent, then the digits, two in a byte and each pair one higher, so that 0 can end them. Where more
/// digits would follow, all 17 pairs and 1.
fn append_magnitude(magnitude: Magnitude, key: &mut Vec<u8>) {
    const LOW: u128 = 10_u128.pow(18);
    key.extend((magnitude.exponent ^ i16::MIN).to_be_bytes());
    let start = key.len();
    append_pairs(magnitude.digits / LOW, 8, key);
    append_pairs(magnitude.digits % LOW, 9, key);
    while !magnitude.goes_on && key.len() > start && key.last() == Some(&1) {
        key.pop();
    }
    key.push(magnitude.goes_on.into());
}

fn append_pairs(digits: u128, pairs: u32, key: &mut Vec<u8>) {
    let mut rest = u64::try_from(digits).unwrap_or(u64::MAX);
    let mut unit = 100_u64.pow(pairs - 1);
    for _ in 0..pairs {
        key.push(u8::try_from(rest / unit).unwrap_or(99) + 1);
        rest %= unit;
        unit = (unit / 100).max(1);
    }
}

pub(crate) fn invert(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
}
