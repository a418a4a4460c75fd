//! From BSON to Extended JSON v2, straight into bytes: relaxed for responses, canonical for archives.
//!
//! Relaxed JSON does not tell Int32 from Int64: both are plain integers, and a double always has a point or
//! an exponent. Canonical JSON keeps every type.

use super::raw::{Element, Elements};
use super::{fields, order};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bson::oid::ObjectId;
use bson::raw::cstr;
use bson::spec::ElementType;
use bson::{DateTime, RawBsonRef, RawDocument, RawDocumentBuf};
use std::fmt::Display;
use std::io::Write as _;

/// One of the two forms of Extended JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JsonFormat {
    /// Numbers and dates as people read them.
    #[default]
    Relaxed,
    /// Every value with its type.
    Canonical,
}

/// Appends `document` to `out`, relaxed and complete: [`crate::projection::Projection::apply`] removes the
/// reserved field.
pub fn write_json(document: &RawDocument, out: &mut Vec<u8>) {
    write_document(document, JsonFormat::Relaxed, out);
}

/// Appends `document` to `out`, canonical: read again, it is the same in every type.
pub fn write_canonical_json(document: &RawDocument, out: &mut Vec<u8>) {
    write_document(document, JsonFormat::Canonical, out);
}

/// Appends one value to `out`.
pub fn write_value(value: RawBsonRef<'_>, form: JsonFormat, out: &mut Vec<u8>) {
    let mut alone = RawDocumentBuf::new();
    alone.append(cstr!(""), value);
    for element in Elements::of(alone.as_bytes()) {
        write_element(&element, form, out);
    }
}

/// Appends `document` to `out`, complete.
pub fn write_document(document: &RawDocument, form: JsonFormat, out: &mut Vec<u8>) {
    write_fields(document.as_bytes(), form, out);
}

fn write_fields(document: &[u8], form: JsonFormat, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, element) in Elements::of(document).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        text(element.name, out);
        out.push(b':');
        write_element(&element, form, out);
    }
    out.push(b'}');
}

fn write_items(array: &[u8], form: JsonFormat, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, element) in Elements::of(array).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_element(&element, form, out);
    }
    out.push(b']');
}

/// Writes the common types straight from their bytes; the rest are decoded first.
fn write_element(element: &Element<'_>, form: JsonFormat, out: &mut Vec<u8>) {
    match element.kind {
        ElementType::Null => out.extend(b"null"),
        ElementType::Boolean => display(element.value != [0], out),
        ElementType::Int32 => {
            number("$numberInt", &i32::from_le_bytes(element.fixed().unwrap_or_default()), form, out);
        }
        ElementType::Int64 => {
            number("$numberLong", &i64::from_le_bytes(element.fixed().unwrap_or_default()), form, out);
        }
        ElementType::Double => double(f64::from_le_bytes(element.fixed().unwrap_or_default()), form, out),
        ElementType::String => text(element.text(), out),
        ElementType::EmbeddedDocument => write_fields(element.value, form, out),
        ElementType::Array => write_items(element.value, form, out),
        ElementType::ObjectId => {
            wrapped("$oid", &ObjectId::from_bytes(element.fixed().unwrap_or_default()).to_hex(), out);
        }
        ElementType::DateTime => {
            let milliseconds = i64::from_le_bytes(element.fixed().unwrap_or_default());
            write_date(DateTime::from_millis(milliseconds), form, out);
        }
        _ => {
            let alone = element.alone();
            match alone.as_ref().and_then(|alone| fields(alone).next()) {
                Some((_, value)) => write_rare(value, form, out),
                None => out.extend(b"null"),
            }
        }
    }
}

fn write_rare(value: RawBsonRef<'_>, form: JsonFormat, out: &mut Vec<u8>) {
    match value {
        RawBsonRef::Decimal128(decimal) => wrapped("$numberDecimal", &decimal.to_string(), out),
        RawBsonRef::Symbol(text) => wrapped("$symbol", text, out),
        RawBsonRef::JavaScriptCode(code) => wrapped("$code", code, out),
        RawBsonRef::Binary(binary) => {
            let subtype = hex::encode([u8::from(binary.subtype)]);
            pair("$binary", ("base64", &STANDARD.encode(binary.bytes)), ("subType", &subtype), out);
        }
        RawBsonRef::RegularExpression(regex) => {
            // The format wants them sorted, and a program may have stored them otherwise.
            let mut options: Vec<char> = regex.options.as_str().chars().collect();
            options.sort_unstable();
            let options = String::from_iter(options);
            pair("$regularExpression", ("pattern", regex.pattern.as_str()), ("options", &options), out);
        }
        RawBsonRef::Timestamp(time) => {
            display(format_args!(r#"{{"$timestamp":{{"t":{},"i":{}}}}}"#, time.time, time.increment), out);
        }
        RawBsonRef::JavaScriptCodeWithScope(code) => {
            out.extend(br#"{"$code":"#);
            string(code.code, out);
            out.extend(br#","$scope":"#);
            write_document(code.scope, form, out);
            out.push(b'}');
        }
        RawBsonRef::DbPointer(_) => {
            let (namespace, id) = order::db_pointer(value);
            out.extend(br#"{"$dbPointer":{"$ref":"#);
            string(&namespace, out);
            out.extend(br#","$id":"#);
            wrapped("$oid", &hex::encode(id), out);
            out.extend(b"}}");
        }
        RawBsonRef::MinKey => out.extend(br#"{"$minKey":1}"#),
        RawBsonRef::MaxKey => out.extend(br#"{"$maxKey":1}"#),
        // All others are written above.
        _ => out.extend(br#"{"$undefined":true}"#),
    }
}

fn number(name: &str, value: &(impl Display + serde::Serialize), form: JsonFormat, out: &mut Vec<u8>) {
    match form {
        JsonFormat::Relaxed => json(value, out),
        JsonFormat::Canonical => wrapped(name, &value.to_string(), out),
    }
}

fn double(value: f64, form: JsonFormat, out: &mut Vec<u8>) {
    if value.is_nan() {
        wrapped("$numberDouble", "NaN", out);
    } else if value.is_infinite() {
        wrapped("$numberDouble", if value > 0.0 { "Infinity" } else { "-Infinity" }, out);
    } else if form == JsonFormat::Canonical {
        // The shortest digits that are read as the same number.
        wrapped("$numberDouble", &format!("{value:?}"), out);
    } else {
        json(&value, out);
    }
}

/// Relaxed, a text for the years 1970 to 9999; else milliseconds, as the format says.
fn write_date(date: DateTime, form: JsonFormat, out: &mut Vec<u8>) {
    const YEAR_10000: i64 = 253_402_300_800_000;
    let milliseconds = date.timestamp_millis();
    match date.try_to_rfc3339_string() {
        Ok(text) if form == JsonFormat::Relaxed && (0..YEAR_10000).contains(&milliseconds) => {
            wrapped("$date", &text, out);
        }
        _ => {
            out.extend(br#"{"$date":"#);
            wrapped("$numberLong", &milliseconds.to_string(), out);
            out.push(b'}');
        }
    }
}

fn wrapped(name: &str, text: &str, out: &mut Vec<u8>) {
    display(format_args!("{{\"{name}\":"), out);
    string(text, out);
    out.push(b'}');
}

fn pair(name: &str, first: (&str, &str), second: (&str, &str), out: &mut Vec<u8>) {
    display(format_args!("{{\"{name}\":{{\"{}\":", first.0), out);
    string(first.1, out);
    display(format_args!(",\"{}\":", second.0), out);
    string(second.1, out);
    out.extend(b"}}");
}

fn string(text: &str, out: &mut Vec<u8>) {
    json(&text, out);
}

/// Writes the bytes of a string. Nearly all need no escapes in JSON, and a check of each byte without an
/// early exit is the quickest one.
fn text(bytes: &[u8], out: &mut Vec<u8>) {
    let is_other = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\' || !byte.is_ascii();
    if bytes.iter().fold(false, |found, byte| found | is_other(*byte)) {
        return string(&String::from_utf8_lossy(bytes), out);
    }
    out.push(b'"');
    out.extend(bytes);
    out.push(b'"');
}

// Writing into a vector cannot fail.
fn display(value: impl Display, out: &mut Vec<u8>) {
    let _ = write!(out, "{value}");
}

fn json(value: &impl serde::Serialize, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, value);
}
