//! What a number is worth, whatever type it has: the one form in which all four types compare.
//!
//! MongoDB compares a double with a decimal after rounding the double to 34 digits. That rounding keeps doubles
//! apart and in their order, so it can be done for every comparison, and numbers have one order.

use bson::{Decimal128, RawBsonRef};
use std::cmp::Ordering;

/// Decimal digits of a number at most: those of a Decimal128.
const DIGITS: u32 = 34;

/// A number. The derived order of the variants is theirs; NaN is below all, and equal to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Number {
    /// Not a number, of either type.
    NaN,
    /// Minus infinity.
    Lowest,
    /// Below zero: the magnitude, whose order is the reverse.
    Negative(std::cmp::Reverse<Magnitude>),
    /// Zero, with either sign.
    Zero,
    /// Above zero.
    Positive(Magnitude),
    /// Infinity.
    Highest,
}

/// `0.digits * 10^exponent`, with 34 digits of which the first is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Magnitude {
    /// The power of ten.
    pub exponent: i16,
    /// From 10^33 to 10^34 - 1.
    pub digits: u128,
}

impl Number {
    /// What `value` is worth, if it is a number.
    pub fn of(value: RawBsonRef<'_>) -> Option<Self> {
        Some(match value {
            RawBsonRef::Int32(value) => Self::of_integer(value.into()),
            RawBsonRef::Int64(value) => Self::of_integer(value),
            RawBsonRef::Double(value) => Self::of_double(value),
            RawBsonRef::Decimal128(value) => Self::of_decimal(value),
            _ => return None,
        })
    }

    fn of_integer(value: i64) -> Self {
        Self::finite(value < 0, value.unsigned_abs().into(), 0)
    }

    fn of_double(value: f64) -> Self {
        const INTEGERS: f64 = 9.0e15;
        if value.is_nan() {
            return Self::NaN;
        }
        if value.is_infinite() {
            return if value > 0.0 { Self::Highest } else { Self::Lowest };
        }
        if value.fract() == 0.0 && value.abs() < INTEGERS {
            #[expect(clippy::cast_possible_truncation, reason = "it is a whole number of less than 2^53")]
            return Self::of_integer(value as i64);
        }
        Self::of_printed(value)
    }

    /// Printing with 33 digits behind the point rounds exactly, to the nearest, half to even.
    fn of_printed(value: f64) -> Self {
        let text = format!("{:.33e}", value.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = mantissa.bytes().filter(u8::is_ascii_digit);
        let digits = digits.fold(0, |sum, digit| sum * 10 + u128::from(digit - b'0'));
        Self::finite(value < 0.0, digits, exponent.parse::<i32>().unwrap_or(0) - 33)
    }

    /// The binary integer encoding of IEEE 754, in which BSON keeps decimals.
    fn of_decimal(value: Decimal128) -> Self {
        const COEFFICIENTS: u128 = 10_u128.pow(DIGITS);
        let bits = u128::from_le_bytes(value.bytes());
        let negative = bits >> 127 == 1;
        match (bits >> 122) & 0b11111 {
            0b11111 => return Self::NaN,
            0b11110 => return if negative { Self::Lowest } else { Self::Highest },
            _ => {}
        }
        // The other layout only holds coefficients that are too large, and those count as zero.
        let is_small = (bits >> 125) & 0b11 != 0b11;
        let coefficient = if is_small { bits & ((1 << 113) - 1) } else { 0 };
        let exponent = i32::try_from((bits >> 113) & 0x3fff).unwrap_or(0) - 6176;
        Self::finite(negative, if coefficient < COEFFICIENTS { coefficient } else { 0 }, exponent)
    }

    /// `coefficient * 10^exponent`.
    fn finite(negative: bool, coefficient: u128, exponent: i32) -> Self {
        let Some(log) = coefficient.checked_ilog10() else { return Self::Zero };
        let width = log + 1;
        let digits = coefficient * 10_u128.pow(DIGITS - width);
        let exponent = i16::try_from(exponent + log.cast_signed() + 1).unwrap_or(i16::MAX);
        let magnitude = Magnitude { exponent, digits };
        if negative { Self::Negative(std::cmp::Reverse(magnitude)) } else { Self::Positive(magnitude) }
    }
}

/// Compares two numbers; the pairs that are common need no conversion.
pub fn compare(a: RawBsonRef<'_>, b: RawBsonRef<'_>) -> Ordering {
    match (a, b) {
        (RawBsonRef::Int32(a), RawBsonRef::Int32(b)) => a.cmp(&b),
        (RawBsonRef::Int64(a), RawBsonRef::Int64(b)) => a.cmp(&b),
        (RawBsonRef::Int32(a), RawBsonRef::Int64(b)) => i64::from(a).cmp(&b),
        (RawBsonRef::Int64(a), RawBsonRef::Int32(b)) => a.cmp(&i64::from(b)),
        (RawBsonRef::Double(x), RawBsonRef::Double(y)) => {
            x.partial_cmp(&y).unwrap_or_else(|| Number::of(a).cmp(&Number::of(b)))
        }
        _ => Number::of(a).cmp(&Number::of(b)),
    }
}

/// Whether `value` is NaN, of either type.
pub fn is_nan(value: RawBsonRef<'_>) -> bool {
    match value {
        RawBsonRef::Double(value) => value.is_nan(),
        RawBsonRef::Decimal128(_) => Number::of(value) == Some(Number::NaN),
        _ => false,
    }
}
