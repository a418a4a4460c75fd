//! Values as bytes that are equal if JSON Schema calls the values equal: `1` and `1.0` are, and so are objects whose
//! members stand in another order.

use super::instance::{Shape, extended};
use super::number::Number;
use crate::document::{Json, fields, items};
use crate::fuel::{FIELD, Fuel, Interruption, VALUE};
use bson::RawBsonRef;

/// Appends a value of a schema.
///
/// # Errors
/// The sentence that says which value is not allowed.
pub fn encode_json(value: &Json<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    match value {
        Json::Null => out.push(b'n'),
        Json::Bool(truth) => out.push(if *truth { b't' } else { b'f' }),
        Json::Number(digits) => encode_number(Number::parse(digits)?, out),
        Json::String(text) => encode_text(text, out),
        Json::Array(items) => {
            out.push(b'[');
            items.iter().try_for_each(|item| encode_json(item, out))?;
            out.push(b']');
        }
        Json::Object(members) => {
            let mut encoded = Vec::with_capacity(members.len());
            for (name, value) in members {
                let mut one = Vec::new();
                encode_text(name, &mut one);
                encode_json(value, &mut one)?;
                encoded.push(one);
            }
            close_object(encoded, out);
        }
    }
    Ok(())
}

/// Appends a value of a document.
pub fn encode(value: RawBsonRef<'_>, fuel: &Fuel<'_>, out: &mut Vec<u8>) -> Result<(), Interruption> {
    fuel.spend(VALUE)?;
    match Shape::of(value) {
        Shape::Null => out.push(b'n'),
        Shape::Boolean => out.push(if value == RawBsonRef::Boolean(true) { b't' } else { b'f' }),
        Shape::Number(number) => encode_number(number, out),
        Shape::Text(text) => {
            fuel.spend(text.len() as u64)?;
            encode_text(text, out);
        }
        Shape::Array(array) => {
            out.push(b'[');
            items(array).try_for_each(|item| encode(item, fuel, out))?;
            out.push(b']');
        }
        Shape::Object(document) => {
            let mut encoded = Vec::new();
            for (name, value) in fields(document) {
                // Sorting compares names, which may be long and alike.
                fuel.spend(16 * (FIELD + name.len() as u64))?;
                let mut one = Vec::new();
                encode_text(name, &mut one);
                encode(value, fuel, &mut one)?;
                encoded.push(one);
            }
            close_object(encoded, out);
        }
        Shape::Special => encode(RawBsonRef::Document(&extended(value, fuel)?), fuel, out)?,
    }
    Ok(())
}

fn close_object(mut encoded: Vec<Vec<u8>>, out: &mut Vec<u8>) {
    encoded.sort_unstable();
    out.push(b'{');
    encoded.iter().for_each(|one| out.extend(one));
    out.push(b'}');
}

fn encode_text(text: &str, out: &mut Vec<u8>) {
    out.push(b's');
    out.extend((text.len() as u64).to_be_bytes());
    out.extend(text.as_bytes());
}

fn encode_number(number: Number, out: &mut Vec<u8>) {
    match (number.whole(), number) {
        (Some(whole), _) | (None, Number::Whole(whole)) => {
            out.push(b'i');
            out.extend(whole.to_be_bytes());
        }
        (None, Number::Double(double)) => {
            out.push(b'd');
            out.extend(double.to_bits().to_be_bytes());
        }
    }
}
