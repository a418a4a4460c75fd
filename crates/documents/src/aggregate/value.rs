//! A value while a pipeline runs: part of the document, made on the way, or missing.

use crate::document::order::{Rank, compare};
use crate::document::size;
use bson::RawBsonRef;
use bson::raw::RawBson;
use std::cmp::Ordering;

/// A value, or none.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    Missing,
    Part(RawBsonRef<'a>),
    Made(RawBson),
}

impl<'a> Value<'a> {
    /// The value; `None` if it is missing.
    pub fn present(&self) -> Option<RawBsonRef<'_>> {
        match self {
            Self::Missing => None,
            Self::Part(value) => Some(*value),
            Self::Made(value) => Some(value.as_raw_bson_ref()),
        }
    }

    /// The value as expressions compare it: a missing one is equal to undefined.
    pub fn comparable(&self) -> RawBsonRef<'_> {
        self.present().unwrap_or(RawBsonRef::Undefined)
    }

    /// The value on its own.
    pub fn into_owned(self) -> Option<RawBson> {
        match self {
            Self::Missing => None,
            Self::Part(value) => Some(value.into()),
            Self::Made(value) => Some(value),
        }
    }

    /// Whether it is missing, undefined or null.
    pub fn is_nullish(&self) -> bool {
        is_nullish(self.present())
    }

    /// Whether a condition takes it for true.
    pub fn is_true(&self) -> bool {
        match self.comparable() {
            RawBsonRef::Undefined | RawBsonRef::Null => false,
            RawBsonRef::Boolean(value) => value,
            number if Rank::of(number) == Rank::Number => compare(number, RawBsonRef::Int32(0)).is_ne(),
            _ => true,
        }
    }

    /// Bytes of the value, about.
    pub fn bytes(&self) -> usize {
        self.present().map_or(0, size)
    }

    /// The order of two values.
    pub fn compare(&self, other: &Value<'_>) -> Ordering {
        compare(self.comparable(), other.comparable())
    }
}

impl From<Option<RawBson>> for Value<'_> {
    fn from(value: Option<RawBson>) -> Self {
        value.map_or(Self::Missing, Self::Made)
    }
}

/// Whether there is no value, or it is undefined or null.
pub const fn is_nullish(value: Option<RawBsonRef<'_>>) -> bool {
    matches!(value, None | Some(RawBsonRef::Undefined | RawBsonRef::Null))
}

/// What a value is, for errors.
pub const fn type_name(value: RawBsonRef<'_>) -> &'static str {
    match value {
        RawBsonRef::Double(_) => "a double",
        RawBsonRef::String(_) => "a string",
        RawBsonRef::Array(_) => "an array",
        RawBsonRef::Document(_) => "an object",
        RawBsonRef::Boolean(_) => "a boolean",
        RawBsonRef::Null => "null",
        RawBsonRef::RegularExpression(_) => "a regular expression",
        RawBsonRef::JavaScriptCode(_) | RawBsonRef::JavaScriptCodeWithScope(_) => "code",
        RawBsonRef::Int32(_) | RawBsonRef::Int64(_) => "an integer",
        RawBsonRef::Timestamp(_) => "a timestamp",
        RawBsonRef::Binary(_) => "binary data",
        RawBsonRef::ObjectId(_) => "an ObjectId",
        RawBsonRef::DateTime(_) => "a date",
        RawBsonRef::Symbol(_) => "a symbol",
        RawBsonRef::Decimal128(_) => "a decimal",
        RawBsonRef::Undefined => "undefined",
        RawBsonRef::MaxKey => "the highest key",
        RawBsonRef::MinKey => "the lowest key",
        RawBsonRef::DbPointer(_) => "a pointer",
    }
}
