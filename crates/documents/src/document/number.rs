//! The value of a number, independent of its type: the one form in which all four types compare exactly.
//!
//! A Decimal128 has at most 34 digits and a double up to 767, but two doubles differ in the first 17. So 34
//! digits and whether more follow tell any two numbers apart. The double `0.1` is a little more than the
//! decimal `0.1`, as in MongoDB.

use bson::{Decimal128, RawBsonRef};
use std::cmp::{Ordering, Reverse};

/// Significant decimal digits: those of a Decimal128.
const DIGITS: u32 = 34;
/// From here on, a coefficient has all its digits.
const FULL: u128 = 10_u128.pow(DIGITS - 1);
/// How many bits a mantissa of 53 bits can be shifted left within 128.
const BITS_ABOVE: i32 = 128 - 53;
/// The lowest exponent that leaves room for one more decimal digit within 128 bits.
const BITS_BELOW: i32 = -124;

/// A number. The derived order of the variants is theirs; NaN is below all, and equal to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Number {
    /// Not a number, of either type.
    NaN,
    /// Minus infinity.
    Lowest,
    /// Below zero: the magnitude, whose order is the reverse.
    Negative(Reverse<Magnitude>),
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
    /// Whether other digits than 0 follow.
    pub goes_on: bool,
}

impl Number {
    /// The numeric value of `value`, if it is a number.
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
        Self::finite(value < 0, value.unsigned_abs().into(), 0, false)
    }

    fn of_double(value: f64) -> Self {
        if value.is_nan() {
            return Self::NaN;
        }
        if value.is_infinite() {
            return if value > 0.0 { Self::Highest } else { Self::Lowest };
        }
        let negative = value < 0.0;
        let (mantissa, exponent) = parts(value);
        match exponent {
            0..=BITS_ABOVE => Self::finite(negative, mantissa << exponent, 0, false),
            BITS_BELOW..0 => Self::of_fraction(negative, mantissa, exponent.unsigned_abs()),
            _ => Self::of_printed(negative, value.abs()),
        }
    }

    /// `mantissa / 2^bits`, digit by digit.
    fn of_fraction(negative: bool, mantissa: u128, bits: u32) -> Self {
        let mask = (1_u128 << bits) - 1;
        let (mut digits, mut rest, mut exponent) = (mantissa >> bits, mantissa & mask, 0);
        while rest != 0 && digits < FULL {
            rest *= 10;
            digits = digits * 10 + (rest >> bits);
            rest &= mask;
            exponent -= 1;
        }
        Self::finite(negative, digits, exponent, rest != 0)
    }

    /// For very large and very small numbers, which are rare: from their full decimal expansion.
    fn of_printed(negative: bool, value: f64) -> Self {
        let text = format!("{value:.800e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let mut all = mantissa.bytes().filter(u8::is_ascii_digit);
        let digits = all.by_ref().take(34).fold(0, |sum, digit| sum * 10 + u128::from(digit - b'0'));
        let goes_on = all.any(|digit| digit != b'0');
        Self::finite(negative, digits, exponent.parse::<i32>().unwrap_or(0) - 33, goes_on)
    }

    fn of_decimal(value: Decimal128) -> Self {
        match decimal_parts(value) {
            DecimalParts::NaN => Self::NaN,
            DecimalParts::Infinite { negative: true } => Self::Lowest,
            DecimalParts::Infinite { negative: false } => Self::Highest,
            DecimalParts::Finite { negative, coefficient, exponent } => {
                Self::finite(negative, coefficient, exponent, false)
            }
        }
    }

    /// `coefficient * 10^exponent`, and a little more if it goes on.
    fn finite(negative: bool, coefficient: u128, exponent: i32, goes_on: bool) -> Self {
        let Some(log) = coefficient.checked_ilog10() else { return Self::Zero };
        let width = log + 1;
        let (digits, cut) = match width.checked_sub(DIGITS) {
            None => (coefficient * 10_u128.pow(DIGITS - width), 0),
            Some(more) => (coefficient / 10_u128.pow(more), coefficient % 10_u128.pow(more)),
        };
        let exponent = i16::try_from(exponent + width.cast_signed()).unwrap_or(i16::MAX);
        let magnitude = Magnitude { exponent, digits, goes_on: goes_on || cut != 0 };
        if negative { Self::Negative(Reverse(magnitude)) } else { Self::Positive(magnitude) }
    }
}

/// The parts of a decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalParts {
    /// Not a number.
    NaN,
    /// Infinity.
    Infinite {
        /// Whether it is below zero.
        negative: bool,
    },
    /// `coefficient * 10^exponent`.
    Finite {
        /// Whether it is below zero, or minus zero.
        negative: bool,
        /// Up to 34 digits.
        coefficient: u128,
        /// From -6176 to 6111.
        exponent: i32,
    },
}

/// Reads the binary integer encoding of IEEE 754, in which BSON keeps decimals.
pub fn decimal_parts(value: Decimal128) -> DecimalParts {
    const COEFFICIENTS: u128 = 10_u128.pow(DIGITS);
    let bits = u128::from_le_bytes(value.bytes());
    let negative = bits >> 127 == 1;
    match (bits >> 122) & 0b11111 {
        0b11111 => return DecimalParts::NaN,
        0b11110 => return DecimalParts::Infinite { negative },
        _ => {}
    }
    // The other layout only holds coefficients that are too large, and those count as zero.
    let is_small = (bits >> 125) & 0b11 != 0b11;
    let coefficient = if is_small { bits & ((1 << 113) - 1) } else { 0 };
    let exponent = i32::try_from((bits >> 113) & 0x3fff).unwrap_or(0) - 6176;
    let coefficient = if coefficient < COEFFICIENTS { coefficient } else { 0 };
    // The other layout has its exponent elsewhere, which may be beyond the range here.
    DecimalParts::Finite { negative, coefficient, exponent: exponent.min(6111) }
}

/// Mantissa and exponent of a finite double: `mantissa * 2^exponent`, the mantissa odd or 0.
fn parts(value: f64) -> (u128, i32) {
    let bits = value.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let biased = i32::try_from((bits >> 52) & 0x7ff).unwrap_or(0);
    // Numbers below the normal ones lack the leading bit.
    let (mantissa, exponent) =
        if biased == 0 { (fraction, -1074) } else { (fraction | 1 << 52, biased - 1075) };
    if mantissa == 0 {
        return (0, 0);
    }
    let zeros = mantissa.trailing_zeros();
    (u128::from(mantissa >> zeros), exponent + zeros.cast_signed())
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
