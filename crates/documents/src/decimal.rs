//! Arithmetic of Decimal128, as MongoDB computes it: IEEE 754, 34 digits, halves rounded to the even digit.
//!
//! BSON encodes the digits as a binary integer and the library as packed decimals, so values are converted by sign,
//! digits and exponent.
//!
//! # Pitfalls
//! A double becomes a decimal in two ways: with all its digits in a sum, and with 15 digits everywhere else.

use crate::document::{DecimalParts, decimal_parts};
use bson::{Decimal128 as Bid, RawBsonRef};
use dec::Context;
use std::fmt::Write as _;
use std::ops::{Add, Div, Mul, Sub};

/// The exponent that BSON encodes as 0.
const LOWEST_EXPONENT: i32 = -6176;
/// Digits of a double that MongoDB trusts.
const DOUBLE_DIGITS: u32 = 15;
/// Enough for all digits of any double.
const EXACT_DIGITS: usize = 800;

/// A decimal number of 34 digits.
#[derive(Debug, Clone, Copy)]
pub struct Decimal(dec::Decimal128);

impl Decimal {
    /// Zero, as an integer.
    pub const ZERO: Self = Self(dec::Decimal128::ZERO);

    /// The number that BSON encodes.
    #[must_use]
    pub fn from_bson(value: Bid) -> Self {
        match decimal_parts(value) {
            DecimalParts::NaN => Self(dec::Decimal128::NAN),
            DecimalParts::Infinite { negative } => {
                Self::signed(dec::Decimal128::from(1), negative).infinite()
            }
            DecimalParts::Finite { negative, coefficient, exponent } => {
                Self::finite(negative, coefficient, exponent)
            }
        }
    }

    /// `coefficient * 10^exponent`, of at most 34 digits.
    fn finite(negative: bool, coefficient: u128, exponent: i32) -> Self {
        let mut context = Context::<dec::Decimal128>::default();
        let mut number = match u64::try_from(coefficient) {
            Ok(coefficient) => dec::Decimal128::from(coefficient),
            Err(_) => context.from_u128(coefficient),
        };
        context.set_exponent(&mut number, exponent);
        Self::signed(number, negative)
    }

    fn signed(number: dec::Decimal128, negative: bool) -> Self {
        // By its bit: the library's own negation of 0 is 0.
        let mut bytes = number.to_le_bytes();
        if negative {
            bytes[15] |= 0x80;
        }
        Self(dec::Decimal128::from_le_bytes(bytes))
    }

    fn infinite(self) -> Self {
        let infinity =
            Context::<dec::Decimal128>::default().div(dec::Decimal128::from(1), dec::Decimal128::ZERO);
        Self::signed(infinity, self.0.is_signed())
    }

    /// As BSON encodes it.
    #[must_use]
    pub fn to_bson(self) -> Bid {
        let sign = if self.0.is_signed() { 1_u128 << 127 } else { 0 };
        let bits = if self.0.is_nan() {
            0b11111 << 122
        } else if self.0.is_infinite() {
            sign | 0b11110 << 122
        } else {
            let biased = u128::from((self.0.exponent() - LOWEST_EXPONENT).unsigned_abs());
            sign | biased << 113 | self.0.coefficient().unsigned_abs()
        };
        Bid::from_bytes(bits.to_le_bytes())
    }

    /// An integer.
    #[must_use]
    pub fn from_integer(value: i64) -> Self {
        Self(dec::Decimal128::from(value))
    }

    /// A double with all its digits, up to 34.
    #[must_use]
    pub fn from_double_exactly(value: f64) -> Self {
        let mut context = Context::<dec::Decimal128>::default();
        if value.is_nan() {
            return Self(dec::Decimal128::NAN);
        }
        if value.is_infinite() {
            return Self::signed(dec::Decimal128::from(1), value < 0.0).infinite();
        }
        if value == 0.0 {
            return Self::signed(dec::Decimal128::ZERO, value.is_sign_negative());
        }
        let mut text = String::with_capacity(EXACT_DIGITS + 8);
        // Writing into a string cannot fail.
        let _ = write!(text, "{value:.EXACT_DIGITS$e}");
        let number = context.parse(text).unwrap_or(dec::Decimal128::NAN);
        if context.status().inexact() { Self(number) } else { Self(without_zeros(number)) }
    }

    /// A double with the 15 digits that are certain.
    #[must_use]
    pub fn from_double(value: f64) -> Self {
        let exact = Self::from_double_exactly(value);
        if value == 0.0 || !value.is_finite() {
            return exact;
        }
        let mut context = Context::<dec::Decimal128>::default();
        let first = exact.0.exponent() + exact.0.digits().cast_signed();
        let mut quantized = |exponent: i32| {
            let mut quantum = dec::Decimal128::from(1);
            context.set_exponent(&mut quantum, exponent);
            context.quantize(exact.0, quantum)
        };
        let exponent = first - DOUBLE_DIGITS.cast_signed();
        let number = quantized(exponent);
        // 9.99.. may have become 10.
        Self(if number.digits() > DOUBLE_DIGITS { quantized(exponent + 1) } else { number })
    }

    /// The decimal that a number is in an operation with decimals; `None` if it is not a number.
    #[must_use]
    pub fn from_number(value: RawBsonRef<'_>) -> Option<Self> {
        Some(match value {
            RawBsonRef::Int32(value) => Self::from_integer(value.into()),
            RawBsonRef::Int64(value) => Self::from_integer(value),
            RawBsonRef::Double(value) => Self::from_double(value),
            RawBsonRef::Decimal128(value) => Self::from_bson(value),
            _ => return None,
        })
    }

    /// The remainder of a division that is cut to an integer, with the sign of `self`, exactly. The library gives up where
    /// that integer has more than 34 digits.
    #[must_use]
    pub fn remainder(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        if !a.is_finite() || b.is_nan() || b.is_zero() {
            return Self(dec::Decimal128::NAN);
        }
        if b.is_infinite() {
            return self;
        }
        let (mut rest, divisor) = (a.coefficient().unsigned_abs(), b.coefficient().unsigned_abs());
        let steps = self.remainder_steps(other);
        if steps > 0 {
            rest %= divisor;
            for _ in 0..steps {
                // Of 34 digits: ten times as much has room.
                rest = rest * 10 % divisor;
            }
            return Self::finite(a.is_signed(), rest, b.exponent());
        }
        let shift = (b.exponent() - a.exponent()).unsigned_abs();
        let scaled = 10_u128.checked_pow(shift).and_then(|power| divisor.checked_mul(power));
        // A divisor that has no room is larger than the number.
        Self::finite(a.is_signed(), scaled.map_or(rest, |scaled| rest % scaled), a.exponent())
    }

    /// How many digits [`Self::remainder`] takes down, each in a step of some ten nanoseconds.
    #[must_use]
    pub fn remainder_steps(self, other: Self) -> u32 {
        if self.0.is_finite() && other.0.is_finite() {
            u32::try_from(self.0.exponent() - other.0.exponent()).unwrap_or(0)
        } else {
            0
        }
    }

    /// The nearest integer, halves to the even one; `None` if it needs more than 64 bits or there is none.
    #[must_use]
    pub fn to_integer(self) -> Option<i64> {
        let whole = Context::<dec::Decimal128>::default().quantize(self.0, dec::Decimal128::ZERO);
        if whole.is_finite() { i64::try_from(whole.coefficient()).ok() } else { None }
    }

    /// Its value, if it is whole and fits 64 bits.
    #[must_use]
    pub fn whole(self) -> Option<i64> {
        self.to_integer().filter(|whole| Self::from_integer(*whole) == self)
    }

    /// Whether it is zero, with either sign.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

/// The exponents of equal numbers may differ; NaN is equal to nothing.
impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        !self.0.is_nan() && !other.0.is_nan() && self.0 == other.0
    }
}

impl Add for Decimal {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(Context::<dec::Decimal128>::default().add(self.0, other.0))
    }
}

impl Sub for Decimal {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(Context::<dec::Decimal128>::default().sub(self.0, other.0))
    }
}

impl Mul for Decimal {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self(Context::<dec::Decimal128>::default().mul(self.0, other.0))
    }
}

impl Div for Decimal {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        Self(Context::<dec::Decimal128>::default().div(self.0, other.0))
    }
}

/// The number as close to an integer as it can be written: `5.00` becomes `5`.
fn without_zeros(number: dec::Decimal128) -> dec::Decimal128 {
    let mut context = Context::<dec::Decimal128>::default();
    let reduced = context.reduce(number);
    if reduced.exponent() <= 0 {
        return reduced;
    }
    let quantized = context.quantize(reduced, dec::Decimal128::ZERO);
    if quantized.is_nan() { number } else { quantized }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::from_bson(text.parse().unwrap())
    }

    fn text(number: Decimal) -> String {
        number.to_bson().to_string()
    }

    #[test]
    fn decimal_round_trips_through_its_library() {
        for number in [
            "0",
            "-0",
            "0E+3",
            "-0E-6176",
            "1",
            "-1.50",
            "1E+6111",
            "9.999999999999999999999999999999999E+6144",
            "1E-6176",
            "12345678901234567890123456789012345E-1",
            "NaN",
            "Infinity",
            "-Infinity",
        ] {
            let Ok(bson) = number.parse::<Bid>() else { continue };
            assert_eq!(Decimal::from_bson(bson).to_bson(), bson, "{number}");
        }
    }

    #[test]
    fn decimal_of_double_has_fifteen_or_all_digits() {
        for (double, short, exact) in [
            (0.5, "0.500000000000000", "0.5"),
            (0.1, "0.100000000000000", "0.1000000000000000055511151231257827"),
            (3.0, "3.00000000000000", "3"),
            (-0.0, "-0", "-0"),
            (1e22, "1.00000000000000E+22", "10000000000000000000000"),
            (0.999_999_999_999_999_4, "0.999999999999999", "0.9999999999999994448884876874217298"),
            (f64::NEG_INFINITY, "-Infinity", "-Infinity"),
            (f64::NAN, "NaN", "NaN"),
        ] {
            assert_eq!(text(Decimal::from_double(double)), short);
            assert_eq!(text(Decimal::from_double_exactly(double)), exact);
        }
    }

    #[test]
    fn decimal_arithmetic_rounds_to_34_digits() {
        assert_eq!(text(decimal("0.1") + decimal("0.20")), "0.30");
        assert_eq!(text(decimal("1") / decimal("3")), "0.3333333333333333333333333333333333");
        assert_eq!(text(decimal("2") / decimal("3")), "0.6666666666666666666666666666666667");
        assert_eq!(text(decimal("1.5") * decimal("2")), "3.0");
        assert_eq!(text(decimal("1") - decimal("Infinity")), "-Infinity");
        for (a, b, rest) in [
            ("-7.5", "2", "-1.5"),
            ("7", "-2.00", "1.00"),
            ("1E+6000", "0.3", "0.1"),
            ("5", "1E+6000", "5"),
            ("1E-6000", "3", "1E-6000"),
            ("-5", "Infinity", "-5"),
            ("Infinity", "5", "NaN"),
            ("12345678901234567890123456789012.34", "10.00", "2.34"),
        ] {
            assert_eq!(text(decimal(a).remainder(decimal(b))), rest, "{a} {b}");
        }
        assert!(decimal("-0E+3").is_zero());
    }

    #[test]
    fn decimal_is_whole_within_64_bits() {
        for (number, whole) in [
            ("5.00", Some(5)),
            ("-0", Some(0)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("9223372036854775807.5", None),
            ("1E+2", Some(100)),
            ("0.5", None),
            ("NaN", None),
            ("Infinity", None),
        ] {
            assert_eq!(decimal(number).whole(), whole, "{number}");
        }
        assert_ne!(decimal("NaN"), decimal("NaN"));
        assert_eq!(decimal("1.50"), decimal("1.5"));
        assert_eq!(decimal("-0"), decimal("0E+3"));
    }

    /// What MongoDB 6.0 makes of these.
    #[test]
    fn decimal_sum_has_preferred_exponent_and_rounds() {
        for (a, b, expected) in [
            ("1E+6111", "9E+6111", "1.0E+6112"),
            ("9.999999999999999999999999999999999E+6144", "1E+6111", "Infinity"),
            ("1E-6176", "1E-6176", "2E-6176"),
            ("1", "1E-40", "1.000000000000000000000000000000000"),
            ("1.000000000000000000000000000000000", "-0.9999999999999999999999999999999999", "1E-34"),
            ("1", "-1E-50", "1.000000000000000000000000000000000"),
            ("0E+10", "0E-3", "0.000"),
            ("1", "-1", "0"),
            ("-0", "-0", "-0"),
            ("1.50", "1", "2.50"),
            ("Infinity", "-Infinity", "NaN"),
        ] {
            assert_eq!(text(decimal(a) + decimal(b)), expected, "{a} + {b}");
            assert_eq!(text(decimal(b) + decimal(a)), expected, "{b} + {a}");
        }
    }

    #[test]
    fn decimal_product_rounds_at_both_ends_of_the_range() {
        for (a, b, expected) in [
            ("1E-3000", "1E-3177", "0E-6176"),
            ("1.5E-3000", "1E-3176", "2E-6176"),
            ("9E+6000", "9E+6000", "Infinity"),
            ("1E+6000", "1E+111", "1E+6111"),
            ("1E+6000", "1E+144", "1.000000000000000000000000000000000E+6144"),
            ("1E+6000", "1E+145", "Infinity"),
            ("0E+6000", "0E+6000", "0E+6111"),
            (
                "1234567890123456789012345678901234",
                "9876543210987654321098765432109876",
                "1.219326311370217952261850327338667E+67",
            ),
            ("Infinity", "0", "NaN"),
            ("-3", "0", "-0"),
            ("Infinity", "-2", "-Infinity"),
            ("3E-6176", "5E-1", "2E-6176"),
        ] {
            assert_eq!(text(decimal(a) * decimal(b)), expected, "{a} * {b}");
        }
    }

    #[test]
    fn decimal_of_double_has_fifteen_digits() {
        for (double, expected) in [
            (0.1, "0.100000000000000"),
            (2.0, "2.00000000000000"),
            (1e16, "1.00000000000000E+16"),
            (999_999_999_999_999.5, "1.00000000000000E+15"),
            (5e-324, "4.94065645841247E-324"),
            (-0.0, "-0"),
        ] {
            assert_eq!(text(Decimal::from_double(double)), expected, "{double}");
        }
    }
}
