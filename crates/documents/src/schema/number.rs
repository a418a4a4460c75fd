//! The numbers of JSON.

use crate::document::number;
use bson::RawBsonRef;
use std::cmp::Ordering;

/// A number of a schema, as a document would hold it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    Whole(i64),
    Double(f64),
}

impl Number {
    /// Takes the digits of a JSON number.
    pub fn parse(digits: &str) -> Result<Self, String> {
        if let Ok(whole) = digits.parse() {
            return Ok(Self::Whole(whole));
        }
        let double: f64 = digits.parse().map_err(|_| "Must be a number.".to_owned())?;
        if double.is_finite() { Ok(Self::Double(double)) } else { Err("Is too large a number.".to_owned()) }
    }

    /// A number of a document, if it is one to JSON.
    pub fn of(value: RawBsonRef<'_>) -> Option<Self> {
        match value {
            RawBsonRef::Int32(whole) => Some(Self::Whole(whole.into())),
            RawBsonRef::Int64(whole) => Some(Self::Whole(whole)),
            RawBsonRef::Double(double) if double.is_finite() => Some(Self::Double(double)),
            _ => None,
        }
    }

    /// Its value as a whole number that fits 64 bits, if it is one.
    pub fn whole(self) -> Option<i64> {
        // The powers of two at which 64 bits end, which a double has exactly.
        const ENDS: std::ops::Range<f64> = -9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0;
        match self {
            Self::Whole(whole) => Some(whole),
            // It is in range and has no fraction.
            Self::Double(double) if double.fract() == 0.0 && ENDS.contains(&double) => Some(double as i64),
            Self::Double(_) => None,
        }
    }

    /// Whether JSON Schema calls it an integer: it has no fraction; its type does not matter.
    pub fn is_integer(self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Double(double) => double.fract() == 0.0,
        }
    }

    pub fn compare(self, other: Self) -> Ordering {
        number::compare(self.as_value(), other.as_value())
    }

    const fn as_value(self) -> RawBsonRef<'static> {
        match self {
            Self::Whole(whole) => RawBsonRef::Int64(whole),
            Self::Double(double) => RawBsonRef::Double(double),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(whole) => whole.fmt(f),
            Self::Double(double) => double.fmt(f),
        }
    }
}
