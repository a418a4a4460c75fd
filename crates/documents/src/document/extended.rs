//! From Extended JSON v2, relaxed or canonical, to BSON.
//!
//! An object with a member such as `$oid` is a value. Every other name that begins with `$` is refused, and
//! so is a value that MongoDB could not take or would read differently.
//!
//! # Pitfalls
//! The reader goes on after a bad field, to report them all: only [`FieldErrors::finish`] says whether the
//! input is valid.

use super::date;
use super::field_errors::FieldErrors;
use super::json::{Json, JsonMembers};
use super::raw::Element;
use crate::limits::DOCUMENT_MAX_LEVELS;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bson::raw::CString;
use bson::spec::{BinarySubtype, ElementType};
use bson::{Binary, Bson, DateTime, Document, JavaScriptCodeWithScope, Regex, Timestamp, oid::ObjectId};
use std::str::FromStr;

/// The members that make an object a value.
const WRAPPERS: [&str; 16] = [
    "$oid",
    "$date",
    "$numberInt",
    "$numberLong",
    "$numberDouble",
    "$numberDecimal",
    "$binary",
    "$uuid",
    "$timestamp",
    "$regularExpression",
    "$minKey",
    "$maxKey",
    "$symbol",
    "$code",
    "$scope",
    "$undefined",
];

/// Whether an object with the member `name` is a value, not an object.
pub fn is_wrapper(name: &str) -> bool {
    WRAPPERS.contains(&name)
}

/// The names of a reference to another document (a "DBRef"), in the order in which drivers write them.
const REFERENCE: [&str; 3] = ["$ref", "$id", "$db"];

/// Whether an object is such a reference: the one object whose names begin with `$` and that MongoDB stores as it is.
pub fn is_reference(members: &JsonMembers<'_>) -> bool {
    let find = |wanted| members.iter().find(|(name, _)| name == wanted).map(|(_, json)| json);
    matches!((find("$ref"), find("$id")), (Some(Json::String(_)), Some(_)))
}

/// Whether these first fields of a stored document are those of a reference that is read in the same order.
pub(super) fn is_reference_order(first: &[Element<'_>]) -> bool {
    let names = first.iter().map(|element| element.name);
    (2..=REFERENCE.len()).contains(&first.len())
        && names.eq(REFERENCE.iter().take(first.len()).map(|name| name.as_bytes()))
        && first[0].kind == ElementType::String
}

/// Reads values and collects their errors.
pub struct ExtendedJsonReader {
    /// The errors so far.
    pub problems: FieldErrors,
    levels: usize,
}

impl ExtendedJsonReader {
    /// A reader that adds to `problems`.
    pub const fn new(problems: FieldErrors) -> Self {
        Self { problems, levels: 0 }
    }

    /// An object's members as a document.
    pub fn document(&mut self, members: JsonMembers<'_>) -> Document {
        self.fields(members, bad_name)
    }

    /// Its own names come first, in any order; then any other fields.
    fn reference(&mut self, mut members: JsonMembers<'_>) -> Document {
        let place = |name: &str| REFERENCE.iter().position(|own| *own == name);
        members.sort_by_key(|(name, _)| place(name).unwrap_or(REFERENCE.len()));
        self.fields(members, |name| if place(name).is_some() { None } else { bad_name(name) })
    }

    fn fields(&mut self, members: JsonMembers<'_>, bad_name: impl Fn(&str) -> Option<String>) -> Document {
        let mut document = Document::new();
        if !self.descend() {
            return document;
        }
        for (name, json) in members {
            let length = self.problems.push(&name);
            let value = self.value(json);
            if let Some(detail) = bad_name(&name) {
                self.problems.refuse(detail);
            } else if document.insert(name, value).is_some() {
                self.problems.refuse("Is given twice: give it once.");
            }
            self.problems.pop(length);
        }
        self.levels -= 1;
        document
    }

    /// A value.
    pub fn value(&mut self, json: Json<'_>) -> Bson {
        match json {
            Json::Null => Bson::Null,
            Json::Bool(value) => Bson::Boolean(value),
            Json::String(text) => Bson::String(text.into_owned()),
            Json::Number(digits) => self.checked(number(digits)),
            Json::Array(items) => self.array(items),
            Json::Object(members) if members.iter().any(|(name, _)| is_wrapper(name)) => {
                self.wrapped(members)
            }
            Json::Object(members) if is_reference(&members) => Bson::Document(self.reference(members)),
            Json::Object(members) => Bson::Document(self.document(members)),
        }
    }

    fn array(&mut self, items: Vec<Json<'_>>) -> Bson {
        if !self.descend() {
            return Bson::Null;
        }
        let read = |(index, item)| {
            let length = self.problems.push_index(index);
            let value = self.value(item);
            self.problems.pop(length);
            value
        };
        let values = items.into_iter().enumerate().map(read).collect();
        self.levels -= 1;
        Bson::Array(values)
    }

    /// Whether one more level is allowed.
    fn descend(&mut self) -> bool {
        if self.levels == DOCUMENT_MAX_LEVELS {
            self.problems.refuse(format!("Is more than {DOCUMENT_MAX_LEVELS} levels deep."));
            return false;
        }
        self.levels += 1;
        true
    }

    fn wrapped(&mut self, members: JsonMembers<'_>) -> Bson {
        if let Some(scope) = members.iter().position(|(name, _)| name == "$scope") {
            return self.code_with_scope(members, scope);
        }
        if let Some((Json::String(base64), Json::String(subtype))) = pair(&members, "$binary", "$type") {
            // The form of version 1 of the format, which tools still print on request.
            let value = binary_of(base64, subtype);
            return self.checked(value.ok_or_else(|| "Is not a `$binary` with a `$type`.".to_owned()));
        }
        match <[_; 1]>::try_from(members) {
            Ok([(name, json)]) => self.checked(unwrap(&name, &json)),
            Err(_) => self.checked(Err("Mixes a `$` member that makes it a value with others.".to_owned())),
        }
    }

    fn code_with_scope(&mut self, mut members: JsonMembers<'_>, scope: usize) -> Bson {
        let (_, scope) = members.remove(scope);
        match (&members[..], scope) {
            ([(name, Json::String(code))], Json::Object(scope)) if name == "$code" => {
                let code = code.to_string();
                let length = self.problems.push("$scope");
                let scope = self.document(scope);
                self.problems.pop(length);
                Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code, scope })
            }
            _ => self.checked(Err("Must be {\"$code\": a string, \"$scope\": an object}.".to_owned())),
        }
    }

    fn checked(&mut self, value: Result<Bson, String>) -> Bson {
        value.unwrap_or_else(|detail| {
            self.problems.refuse(detail);
            Bson::Null
        })
    }
}

/// Operators that people send with a patch, or one within the other.
const UPDATE_OPERATORS: [&str; 14] = [
    "$set",
    "$unset",
    "$inc",
    "$mul",
    "$min",
    "$max",
    "$rename",
    "$setOnInsert",
    "$currentDate",
    "$push",
    "$pull",
    "$pullAll",
    "$pop",
    "$addToSet",
];

/// What is wrong with the name of a field, if something is.
fn bad_name(name: &str) -> Option<String> {
    if name == "$literal" {
        return Some(
            "A value needs no `$literal` around it: it is never an expression. Send the value alone.".into(),
        );
    }
    if UPDATE_OPERATORS.contains(&name) {
        return Some(format!(
            "`{name}` is an operator of an update and no value: send it at the top of `update` in \
             `POST …/documents/{{id}}/update`."
        ));
    }
    if name.starts_with('$') {
        return Some(format!(
            "A name must not begin with `$`, and this is not one of {}.",
            WRAPPERS.join(" ")
        ));
    }
    let bad = name.chars().find(|c| matches!(c, '.' | '\0'))?;
    Some(format!("A name must not contain {}.", if bad == '.' { "`.`" } else { "NUL" }))
}

/// A plain JSON number: Int32 if it fits, else Int64; with a fraction or an exponent Double.
fn number(digits: &str) -> Result<Bson, String> {
    if digits == "-0" {
        return Ok(Bson::Double(-0.0));
    }
    if digits.contains(['.', 'e', 'E']) {
        let value: f64 = digits.parse().map_err(|_| "Is not a number.")?;
        let fits = value.is_finite();
        return if fits {
            Ok(Bson::Double(value))
        } else {
            Err("Does not fit a double; send $numberDecimal.".into())
        };
    }
    let value: i64 = digits.parse().map_err(|_| "Does not fit 64 bits; send $numberDecimal, or a double.")?;
    Ok(i32::try_from(value).map_or(Bson::Int64(value), Bson::Int32))
}

/// The value in the wrapper `name`.
fn unwrap(name: &str, json: &Json<'_>) -> Result<Bson, String> {
    match (name, json) {
        ("$oid", Json::String(text)) => ObjectId::parse_str(text.as_ref()).map(Bson::ObjectId).ok(),
        ("$date", json) => date(json),
        ("$numberInt", Json::String(text)) if is_whole(text) => parsed(text).map(Bson::Int32),
        ("$numberLong", Json::String(text)) if is_whole(text) => parsed(text).map(Bson::Int64),
        ("$numberDouble", Json::String(text)) => double(text).map(Bson::Double),
        ("$numberDecimal", Json::String(text)) if is_decimal(text) => parsed(text).map(Bson::Decimal128),
        ("$binary", Json::Object(members)) => binary(members),
        ("$uuid", Json::String(text)) => uuid(text),
        ("$timestamp", Json::Object(members)) => timestamp(members),
        // As the class of the driver for JavaScript turns itself into JSON: both halves in one number.
        ("$timestamp", Json::String(text)) if is_whole(text) => parsed(text).map(|both: u64| {
            Bson::Timestamp(Timestamp { time: (both >> 32) as u32, increment: both as u32 })
        }),
        ("$regularExpression", Json::Object(members)) => regular_expression(members),
        ("$minKey", Json::Number("1")) => Some(Bson::MinKey),
        ("$maxKey", Json::Number("1")) => Some(Bson::MaxKey),
        ("$symbol", Json::String(text)) => Some(Bson::Symbol(text.to_string())),
        ("$code", Json::String(text)) => Some(Bson::JavaScriptCode(text.to_string())),
        ("$undefined", Json::Bool(true)) => Some(Bson::Undefined),
        _ => None,
    }
    .ok_or_else(|| format!("Is not a `{name}` as Extended JSON v2 writes it."))
}

/// What the libraries accept beyond that (`+1`, `.`, the empty text) would be stored as something else.
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number with digits, perhaps a point and an exponent; or one of the names of infinity and NaN.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if ["nan", "inf", "infinity"].iter().any(|name| unsigned.eq_ignore_ascii_case(name)) {
        return true;
    }
    let (number, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent.strip_prefix('+').unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let digits = number.replacen('.', "", 1);
    is_whole(&digits) && !digits.starts_with('-') && exponent.is_none_or(is_whole)
}

/// One that is written as a number is finite.
fn double(text: &str) -> Option<f64> {
    let value: f64 = parsed(text)?;
    (is_decimal(text) && (value.is_finite() || text.bytes().all(|byte| !byte.is_ascii_digit())))
        .then_some(value)
}

fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// A text, or the milliseconds since 1970 as an Int64. A plain number is what version 1 of the format had.
fn date(json: &Json<'_>) -> Option<Bson> {
    let date = match json {
        Json::String(text) => date::parse(text)?,
        Json::Object(members) => match &members[..] {
            [(name, Json::String(text))] if name == "$numberLong" && is_whole(text) => {
                DateTime::from_millis(parsed(text)?)
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(Bson::DateTime(date))
}

/// The two members `first` and `second`, in either order, and nothing else.
fn pair<'m, 'a>(
    members: &'m JsonMembers<'a>,
    first: &str,
    second: &str,
) -> Option<(&'m Json<'a>, &'m Json<'a>)> {
    match &members[..] {
        [(a, x), (b, y)] if a == first && b == second => Some((x, y)),
        [(b, y), (a, x)] if a == first && b == second => Some((x, y)),
        _ => None,
    }
}

fn binary(members: &JsonMembers<'_>) -> Option<Bson> {
    let (Json::String(base64), Json::String(subtype)) = pair(members, "base64", "subType")? else {
        return None;
    };
    binary_of(base64, subtype)
}

fn binary_of(base64: &str, subtype: &str) -> Option<Bson> {
    let is_hexadecimal = subtype.len() <= 2 && subtype.bytes().all(|byte| byte.is_ascii_hexdigit());
    let subtype = u8::from_str_radix(subtype, 16).ok().filter(|_| is_hexadecimal)?;
    let bytes = STANDARD.decode(base64).ok()?;
    Some(Bson::Binary(Binary { subtype: BinarySubtype::from(subtype), bytes }))
}

/// With the hyphens where they belong, or without any.
fn uuid(text: &str) -> Option<Bson> {
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    let is_grouped = groups == [8, 4, 4, 4, 12] || groups == [32];
    let bytes = hex::decode(text.replace('-', "")).ok().filter(|_| is_grouped)?;
    Some(Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes }))
}

fn timestamp(members: &JsonMembers<'_>) -> Option<Bson> {
    let (Json::Number(time), Json::Number(increment)) = pair(members, "t", "i")? else { return None };
    Some(Bson::Timestamp(Timestamp { time: parsed(time)?, increment: parsed(increment)? }))
}

fn regular_expression(members: &JsonMembers<'_>) -> Option<Bson> {
    let (Json::String(pattern), Json::String(options)) = pair(members, "pattern", "options")? else {
        return None;
    };
    // Every driver stores them sorted, and comparison relies on that.
    let mut options: Vec<char> = options.chars().collect();
    options.sort_unstable();
    let options: String = options.into_iter().collect();
    let (pattern, options) = (CString::try_from(pattern.as_ref()).ok()?, CString::try_from(options).ok()?);
    Some(Bson::RegularExpression(Regex { pattern, options }))
}
