//! Reads JSON bodies and query strings, and reports every bad field at once.
//!
//! Handlers declare their fields with [`request_fields`](super::request_fields).
//!
//! # Pitfalls
//! A getter that returns `None` may have recorded an error: only [`Fields::parse`] tells whether the input is valid.

mod conditional;
mod list;
mod objects;
mod strict_json;

use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use strict_json::{Members, Strict};
use tenantry_documents::aggregate::Pipeline;
use tenantry_documents::document::{diagnosis, json_diagnosis};
use tenantry_documents::filter::Filter;
use tenantry_documents::index::PartialFilter;
use tenantry_documents::schema::Schema;
use tenantry_domain::organization::QuotaLimit;
use tenantry_domain::{Error, ErrorCode, FieldError, Result};

/// The most bad fields that are named: a response must not be many times larger than its request.
const NAMED_MAX: usize = 50;
/// Characters of a bad field's own name that are repeated in the response.
const NAME_MAX_CHARS: usize = 100;

/// The name of the body member and the query parameter that hold a filter.
const FILTER: &str = "filter";
/// The members of a body that hold conditions, stages, documents or their values.
const KEPT_AS_TEXT: [&str; 9] = [
    FILTER,
    "partial_filter",
    "update",
    "arrayFilters",
    "pipeline",
    "operations",
    "document",
    "patch",
    "schema",
];

/// The members of a JSON object, or the parameters of a query, while they are being read.
pub struct Fields {
    /// A tree: with few members it is faster than hashing, and with many not much slower.
    members: BTreeMap<String, Value>,
    /// The prefix of pointers: `/` for a body, `?` for a query, `/name/` for a member.
    at: String,
    errors: Vec<FieldError>,
}

impl Fields {
    fn new(at: impl Into<String>, members: BTreeMap<String, Value>) -> Self {
        Self { members, at: at.into(), errors: Vec::new() }
    }

    fn is_query(&self) -> bool {
        self.at == "?"
    }

    /// The members of a JSON body.
    ///
    /// # Errors
    /// `invalid_json` unless it is one JSON object without duplicate keys.
    pub fn of_json(body: &[u8]) -> Result<Self> {
        let body = diagnosis::without_mark(body);
        let value: Strict = serde_json::from_slice(body).map_err(|error| not_this_json(body, &error))?;
        match value.0 {
            Value::Object(members) => Ok(Self::new("/", members.into_iter().collect())),
            _ => Err(json_diagnosis::of_object(body).map_or_else(
                || Error::new(ErrorCode::InvalidJson).detail("The body must be a JSON object."),
                Error::from,
            )),
        }
    }

    /// The members of a JSON body, with filters, updates and pipelines kept as text: parsing them as JSON would round
    /// numbers and sort members.
    ///
    /// # Errors
    /// As [`Fields::of_json`], except that these are not checked.
    pub fn of_json_with_filter(body: &[u8]) -> Result<Self> {
        let body = diagnosis::without_mark(body);
        let Members(raw) = serde_json::from_slice(body).map_err(|error| not_this_json(body, &error))?;
        Ok(Self::new("/", kept_members(raw).map_err(|error| not_this_json(body, &error))?))
    }

    /// The members of a body that may be absent.
    ///
    /// # Errors
    /// As [`Fields::of_json`].
    pub fn of_optional_json(body: &[u8]) -> Result<Self> {
        if body.is_empty() {
            return Ok(Self::new("/", BTreeMap::new()));
        }
        Self::of_json(body)
    }

    /// The parameters of a query string.
    ///
    /// # Errors
    /// `invalid_input` for a parameter that is repeated, or is not UTF-8.
    pub fn of_query(query: &str) -> Result<Self> {
        Self::of_pairs("?", query.as_bytes())
    }

    /// Those of a form in a body.
    ///
    /// # Errors
    /// `invalid_input` for a member that is given twice, or is not UTF-8.
    pub fn of_form(body: &[u8]) -> Result<Self> {
        Self::of_pairs("/", body)
    }

    fn of_pairs(at: &str, text: &[u8]) -> Result<Self> {
        let mut fields = Self::new(at, BTreeMap::new());
        for (name, value) in form_urlencoded::parse(text) {
            // The decoder puts this character in place of bytes that are not UTF-8. No name of ours has it.
            let lost = |text: &str| !text.is_ascii() && text.contains('\u{FFFD}');
            if lost(&name) || lost(&value) {
                fields.refuse(&name, "The name or the value is not UTF-8: percent-encode it as UTF-8.");
            } else if fields.members.contains_key(&*name) {
                fields.refuse(&name, "Is given twice: give it once.");
            }
            fields.members.insert(name.into_owned(), Value::String(value.into_owned()));
        }
        if fields.errors.is_empty() { Ok(fields) } else { Err(Error::invalid(fields.errors)) }
    }

    /// Adds the errors of `earlier`, another part of the same request, before its own.
    #[must_use]
    pub fn after(self, earlier: Self) -> Self {
        Self { errors: [earlier.errors, self.errors].concat(), ..self }
    }

    /// Whether `name` is present, valid or not, and has not been read yet.
    pub fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    /// A required value, parsed from its text.
    pub fn required<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if self.members.get(name).is_none_or(Value::is_null) {
            self.members.remove(name);
            self.refuse(name, "Is required.");
            return None;
        }
        self.optional(name, parse)
    }

    /// A value that may be absent or null, parsed from its text.
    pub fn optional<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match self.members.remove(name)? {
            Value::Null => None,
            Value::String(text) => match parse(&text) {
                Ok(value) => Some(value),
                Err(detail) => {
                    self.refuse(name, detail);
                    None
                }
            },
            _ => {
                self.refuse(name, "Must be a string.");
                None
            }
        }
    }

    /// Bytes of the filter, which determine how long it takes to parse.
    pub fn filter_bytes(&self) -> usize {
        self.members.get(FILTER).and_then(Value::as_str).map_or(0, str::len)
    }

    /// A filter that may be absent or null.
    pub fn filter(&mut self, name: &str) -> Option<Filter> {
        let text: String = self.optional(name, str::parse)?;
        self.parse_filter(name, &text)
    }

    /// A required filter: a caller who means all documents must say so with `{}`.
    pub fn required_filter(&mut self, name: &str) -> Option<Filter> {
        let text: String = self.required(name, str::parse)?;
        self.parse_filter(name, &text)
    }

    /// The filter of a partial index, which may be absent or null.
    pub fn partial_filter(&mut self, name: &str) -> Option<PartialFilter> {
        let text: String = self.optional(name, str::parse)?;
        let parsed = PartialFilter::parse(&text, &format!("{}{name}", self.at));
        self.take(parsed)
    }

    fn parse_filter(&mut self, name: &str, text: &str) -> Option<Filter> {
        let parsed = Filter::parse(text, &format!("{}{name}", self.at));
        self.take(parsed)
    }

    /// A JSON Schema that may be absent or null.
    pub fn schema(&mut self, name: &str) -> Option<Schema> {
        let text: String = self.optional(name, str::parse)?;
        self.parse_schema(name, &text)
    }

    /// A required JSON Schema.
    pub fn required_schema(&mut self, name: &str) -> Option<Schema> {
        let text: String = self.required(name, str::parse)?;
        self.parse_schema(name, &text)
    }

    fn parse_schema(&mut self, name: &str, text: &str) -> Option<Schema> {
        let parsed = Schema::parse(text, &format!("{}{name}", self.at));
        self.take(parsed)
    }

    /// A required pipeline.
    pub fn pipeline(&mut self, name: &str) -> Option<Pipeline> {
        let text: String = self.required(name, str::parse)?;
        let parsed = Pipeline::parse(&text, &format!("{}{name}", self.at));
        self.take(parsed)
    }

    /// A boolean that may be absent or null; a query spells it `true` or `false`.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        match self.members.remove(name)? {
            Value::Null => None,
            Value::Bool(value) => Some(value),
            Value::String(text) if self.is_query() && text == "true" => Some(true),
            Value::String(text) if self.is_query() && text == "false" => Some(false),
            _ => {
                self.refuse(name, "Must be true or false.");
                None
            }
        }
    }

    /// A number that may be absent or null; in a query it is text.
    pub fn numeric<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if !self.is_query() {
            match self.members.get_mut(name)? {
                Value::Null => {}
                value if value.is_number() => *value = Value::String(number_text(value)),
                _ => {
                    self.members.remove(name);
                    self.refuse(name, "Must be a number.");
                }
            }
        }
        self.optional(name, parse)
    }

    /// A limit in a merge patch: `Some(None)` for null, which removes the limit; `None` if it is absent.
    pub fn limit(&mut self, name: &str) -> Option<Option<QuotaLimit>> {
        match self.members.remove(name)? {
            Value::Null => Some(None),
            value => match number_text(&value).parse().ok().and_then(|limit| QuotaLimit::new(limit).ok()) {
                Some(limit) => Some(Some(limit)),
                None => {
                    self.refuse(
                        name,
                        format!("Must be a whole number from 0 to {}, or null.", QuotaLimit::MAX),
                    );
                    None
                }
            },
        }
    }

    /// What `read` makes of the members of an object that may be absent or null.
    pub fn object<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let members = match self.members.remove(name)? {
            Value::Null => return None,
            Value::Object(members) => members,
            _ => {
                self.refuse(name, "Must be an object.");
                return None;
            }
        };
        let mut inner = Self::new(format!("{}{name}/", self.at), members.into_iter().collect());
        let value = read(&mut inner);
        inner.refuse_unknown();
        self.errors.extend(inner.errors);
        value
    }

    /// The value of `result`; its field errors are recorded.
    pub fn take<T>(&mut self, result: Result<T, impl Into<Error>>) -> Option<T> {
        result.map_err(|error| self.errors.extend_from_slice(error.into().fields())).ok()
    }

    /// Records that `name` is bad.
    pub fn refuse(&mut self, name: &str, detail: impl fmt::Display) {
        if self.errors.len() == NAMED_MAX {
            return;
        }
        // The name may be anything that the caller has sent, so it is shortened.
        let name: String = name.chars().take(NAME_MAX_CHARS).collect();
        let name = if self.is_query() { name } else { name.replace('~', "~0").replace('/', "~1") };
        self.errors.push(FieldError { pointer: format!("{}{name}", self.at), detail: detail.to_string() });
    }

    /// How many bad fields there are so far.
    pub const fn error_count(&self) -> usize {
        self.errors.len()
    }

    /// Sorts the errors after the first `earlier` ones into the order of `members`; any others come last.
    pub fn sort_errors(&mut self, earlier: usize, members: &[&str]) {
        let at = self.at.len();
        self.errors[earlier..].sort_by_key(|error| {
            let member = error.pointer.get(at..).and_then(|member| member.split('/').next());
            members.iter().position(|name| Some(*name) == member).unwrap_or(members.len())
        });
    }

    /// Leaves those of these fields that have not been read, where it is not known which of them belong there.
    pub fn ignore(&mut self, names: &[&str]) {
        self.members.retain(|name, _| !names.contains(&name.as_str()));
    }

    /// Refuses the fields that have not been read.
    fn refuse_unknown(&mut self) {
        for name in std::mem::take(&mut self.members).into_keys() {
            self.refuse(&name, "This request has no such field: check its spelling, or leave it out.");
        }
    }

    /// Checks that every field that was read is valid.
    ///
    /// # Errors
    /// `invalid_input` with every bad field.
    fn finish(self) -> Result<()> {
        if self.errors.is_empty() { Ok(()) } else { Err(Error::invalid(self.errors)) }
    }

    /// Checks that every field that was read is valid, and that none is left.
    ///
    /// # Errors
    /// `invalid_input` with every bad field.
    pub fn finish_empty(mut self) -> Result<()> {
        self.refuse_unknown();
        self.finish()
    }

    /// Reads the fields with `read`, and refuses any that it does not read.
    ///
    /// # Errors
    /// `invalid_input` with every bad field.
    pub fn parse<T>(self, read: impl FnOnce(&mut Self) -> Option<T>) -> Result<T> {
        self.parse_known(|fields| {
            let value = read(fields);
            fields.refuse_unknown();
            value
        })
    }

    /// Reads the fields with `read`, and ignores any that it does not read, as the classic API does.
    ///
    /// # Errors
    /// `invalid_input` with every bad field.
    pub fn parse_known<T>(mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Result<T> {
        let value = read(&mut self);
        self.finish()?;
        value.ok_or_else(|| Error::internal("a field was neither read nor refused"))
    }
}

/// The values of members, with those that hold values of documents as their text.
fn kept_members(
    raw: Vec<(String, Box<RawValue>)>,
) -> std::result::Result<BTreeMap<String, Value>, serde_json::Error> {
    let read = |(name, value): (String, Box<RawValue>)| {
        let value = if KEPT_AS_TEXT.contains(&&*name) && value.get() != "null" {
            Value::String(value.get().to_owned())
        } else {
            let Strict(value) = serde_json::from_str(value.get())?;
            value
        };
        Ok((name, value))
    };
    raw.into_iter().map(read).collect()
}

fn not_this_json(body: &[u8], error: &serde_json::Error) -> Error {
    let detail = || format!("The body is not the JSON object this request takes: {error}.");
    json_diagnosis::of_object(body)
        .map_or_else(|| Error::new(ErrorCode::InvalidJson).detail(detail()), Error::from)
}

/// The text of a number, for parsers. `3.0` is the integer 3, as JSON Schema has it: some languages write it so.
fn number_text(number: &Value) -> String {
    match number.as_f64() {
        Some(whole) if number.is_f64() && whole.fract() == 0.0 && whole.abs() < 2.0_f64.powi(53) => {
            format!("{whole:.0}")
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &str) -> ErrorCode {
        match Fields::of_json(body.as_bytes()) {
            Ok(_) => panic!("{body} was taken"),
            Err(error) => error.code(),
        }
    }

    #[test]
    fn json_body_rejects_non_objects_and_duplicate_keys() {
        let deep = "[".repeat(1_000_000);
        for body in [
            "",
            "null",
            "[]",
            "1",
            "\"a\"",
            "{",
            "{}{}",
            "{\"a\":1,\"a\":2}",
            "{\"a\":{\"b\":1,\"b\":1}}",
            "{\"a\":\"\\ud800\"}",
            "{'a':1}",
            "{\"a\":NaN}",
            &format!("{{\"a\":{deep}"),
        ] {
            assert_eq!(code(body), ErrorCode::InvalidJson);
        }
    }

    #[test]
    fn fields_report_every_bad_field_at_once() {
        let mut fields = Fields::of_json(br#"{"a":1,"b":"x","~/":0}"#).unwrap();
        assert_eq!(fields.required("a", str::parse::<String>), None);
        assert_eq!(fields.required("b", |_| Err::<(), _>("Is bad.")), None);
        assert_eq!(fields.required("c", str::parse::<String>), None);
        fields.refuse_unknown();
        let error = fields.finish().unwrap_err();
        let named: Vec<_> = error.fields().iter().map(|f| (f.pointer.as_str(), f.detail.as_str())).collect();
        assert_eq!(
            named,
            [
                ("/a", "Must be a string."),
                ("/b", "Is bad."),
                ("/c", "Is required."),
                ("/~0~1", "This request has no such field: check its spelling, or leave it out."),
            ]
        );
    }

    #[test]
    fn whole_number_may_have_fraction_of_zero() {
        let mut fields =
            Fields::of_json(br#"{"a":60.0,"b":-0.0,"c":1.5,"d":1e3,"e":1e300,"f":7.0}"#).unwrap();
        let mut number = |name: &str| fields.numeric(name, str::parse::<u32>);
        assert_eq!(["a", "b", "c", "d", "e"].map(&mut number), [Some(60), None, None, Some(1000), None]);
        assert_eq!(fields.limit("f"), Some(QuotaLimit::new(7).ok()));
        assert_eq!(number_text(&serde_json::json!(u64::MAX)), u64::MAX.to_string());
    }
}
