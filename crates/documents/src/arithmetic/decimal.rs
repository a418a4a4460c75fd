//! Sums and products of Decimal128 (IEEE 754-2008, decimal128), rounded half to even.
//!
//! A finite number is `coefficient * 10^exponent` with at most 34 digits. Of the many forms of a value the result has
//! the one whose exponent is the standard's preferred one: the lower of both for a sum, their sum for a product.

use bson::Decimal128;

/// Digits of a coefficient.
const DIGITS: u32 = 34;
/// The first coefficient with too many digits.
const COEFFICIENTS: u128 = 10_u128.pow(DIGITS);
/// Digits kept before a result is rounded: all of them, and three to round by.
const WORKING_DIGITS: u32 = DIGITS + 3;
/// The lowest exponent of a coefficient, which is also the bias of its encoding, negated.
const EXPONENT_MIN: i32 = -6176;
/// The highest exponent of a coefficient.
const EXPONENT_MAX: i32 = 6111;
/// Digits of a double that becomes a decimal, as MongoDB converts it.
const DIGITS_OF_DOUBLE: usize = 15;
/// Half of [`DIGITS`]: two such halves are multiplied without an overflow.
const HALF: u128 = 10_u128.pow(DIGITS / 2);

/// A decimal number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimal {
    NaN,
    Infinite { negative: bool },
    Finite { negative: bool, coefficient: u128, exponent: i32 },
}

impl Decimal {
    pub fn of(value: Decimal128) -> Self {
        let bits = u128::from_le_bytes(value.bytes());
        let negative = bits >> 127 == 1;
        match (bits >> 122) & 0b11111 {
            0b11111 => return Self::NaN,
            0b11110 => return Self::Infinite { negative },
            _ => {}
        }
        // The other layout only holds coefficients that are too large, and those count as zero.
        if (bits >> 125) & 0b11 == 0b11 {
            let exponent = i32::try_from((bits >> 111) & 0x3fff).unwrap_or(0) + EXPONENT_MIN;
            return Self::Finite { negative, coefficient: 0, exponent };
        }
        let coefficient = bits & ((1 << 113) - 1);
        let exponent = i32::try_from((bits >> 113) & 0x3fff).unwrap_or(0) + EXPONENT_MIN;
        Self::Finite {
            negative,
            coefficient: if coefficient < COEFFICIENTS { coefficient } else { 0 },
            exponent,
        }
    }

    pub fn to_bson(self) -> Decimal128 {
        let bits = match self {
            Self::NaN => 0b11111 << 122,
            Self::Infinite { negative } => sign(negative) | 0b11110 << 122,
            Self::Finite { negative, coefficient, exponent } => {
                let biased = u128::try_from(exponent - EXPONENT_MIN).unwrap_or(0);
                sign(negative) | biased << 113 | coefficient
            }
        };
        Decimal128::from_bytes(bits.to_le_bytes())
    }

    pub fn of_integer(value: i64) -> Self {
        Self::Finite { negative: value < 0, coefficient: value.unsigned_abs().into(), exponent: 0 }
    }

    /// The 15 digits nearest to the double.
    pub fn of_double(value: f64) -> Self {
        let negative = value.is_sign_negative();
        if value.is_nan() {
            return Self::NaN;
        }
        if value.is_infinite() {
            return Self::Infinite { negative };
        }
        if value == 0.0 {
            return Self::Finite { negative, coefficient: 0, exponent: 0 };
        }
        let text = format!("{:.*e}", DIGITS_OF_DOUBLE - 1, value.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = mantissa.bytes().filter(u8::is_ascii_digit);
        let coefficient = digits.fold(0, |sum, digit| sum * 10 + u128::from(digit - b'0'));
        let exponent = exponent.parse::<i32>().unwrap_or(0) - (DIGITS_OF_DOUBLE as i32 - 1);
        Self::Finite { negative, coefficient, exponent }
    }

    /// Its value, if it is whole and fits 64 bits.
    pub fn whole(self) -> Option<i64> {
        let Self::Finite { negative, coefficient, exponent } = self else { return None };
        let power = 10_u128.checked_pow(exponent.unsigned_abs());
        let magnitude = match power {
            _ if coefficient == 0 => 0,
            Some(power) if exponent >= 0 => coefficient.checked_mul(power)?,
            Some(power) if coefficient % power == 0 => coefficient / power,
            _ => return None,
        };
        let magnitude = i128::try_from(magnitude).ok()?;
        i64::try_from(if negative { -magnitude } else { magnitude }).ok()
    }

    /// Whether both have one value; NaN has none.
    pub fn equals(self, other: Self) -> bool {
        match (self, other) {
            (Self::Infinite { negative: a }, Self::Infinite { negative: b }) => a == b,
            (Self::Finite { negative: a, .. }, Self::Finite { negative: b, .. }) => {
                let (x, y) = (self.reduced(), other.reduced());
                x == y && (a == b || x.0 == 0)
            }
            _ => false,
        }
    }

    /// Coefficient and exponent without the zeros at the end.
    fn reduced(self) -> (u128, i32) {
        let Self::Finite { mut coefficient, mut exponent, .. } = self else { return (0, 0) };
        if coefficient == 0 {
            return (0, 0);
        }
        while coefficient % 10 == 0 {
            coefficient /= 10;
            exponent += 1;
        }
        (coefficient, exponent)
    }

    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::NaN, _) | (_, Self::NaN) => Self::NaN,
            (Self::Infinite { negative: a }, Self::Infinite { negative: b }) if a != b => Self::NaN,
            (Self::Infinite { .. }, _) => self,
            (_, Self::Infinite { .. }) => other,
            (Self::Finite { exponent: a, .. }, Self::Finite { exponent: b, .. }) => {
                if a >= b {
                    sum(self, other)
                } else {
                    sum(other, self)
                }
            }
        }
    }

    pub fn times(self, other: Self) -> Self {
        let negative = self.is_negative() != other.is_negative();
        match (self, other) {
            (Self::NaN, _) | (_, Self::NaN) => Self::NaN,
            (Self::Finite { coefficient: 0, .. }, Self::Infinite { .. })
            | (Self::Infinite { .. }, Self::Finite { coefficient: 0, .. }) => Self::NaN,
            (Self::Infinite { .. }, _) | (_, Self::Infinite { .. }) => Self::Infinite { negative },
            (
                Self::Finite { coefficient: a, exponent: x, .. },
                Self::Finite { coefficient: b, exponent: y, .. },
            ) => {
                let (coefficient, cut, goes_on) = product(a, b);
                rounded(negative, coefficient, x + y + cut, goes_on)
            }
        }
    }

    const fn is_negative(self) -> bool {
        matches!(self, Self::Infinite { negative: true } | Self::Finite { negative: true, .. })
    }
}

fn sign(negative: bool) -> u128 {
    u128::from(negative) << 127
}

fn digits_of(coefficient: u128) -> u32 {
    coefficient.checked_ilog10().map_or(0, |log| log + 1)
}

/// The sum of two finite numbers; `high` has the higher exponent, or the same.
fn sum(high: Decimal, low: Decimal) -> Decimal {
    let (
        Decimal::Finite { negative: high_negative, coefficient: mut a, exponent: high_exponent },
        Decimal::Finite { negative: low_negative, coefficient: mut b, exponent: low_exponent },
    ) = (high, low)
    else {
        return Decimal::NaN;
    };
    let apart = (high_exponent - low_exponent).unsigned_abs();
    // The coefficient of the higher exponent takes as many zeros as there is room for; then the other one is cut.
    let room = if a == 0 { apart } else { apart.min(WORKING_DIGITS - digits_of(a)) };
    if a != 0 {
        a *= 10_u128.pow(room);
    }
    let cut = apart - room;
    let power = 10_u128.checked_pow(cut).unwrap_or(u128::MAX);
    let goes_on = b % power != 0;
    b /= power;
    let exponent = low_exponent + cut.cast_signed();
    if high_negative == low_negative {
        return rounded(high_negative, a + b, exponent, goes_on);
    }
    // What was cut makes the subtrahend larger, and the difference smaller by less than one.
    let (negative, difference) = match a.cmp(&b) {
        std::cmp::Ordering::Less => (low_negative, b - a),
        std::cmp::Ordering::Equal if !goes_on => (false, 0),
        _ => (high_negative, a - b - u128::from(goes_on)),
    };
    rounded(negative, difference, exponent, goes_on)
}

/// The product of two coefficients: at most [`WORKING_DIGITS`] of it, how many digits were cut, and whether one of these
/// is not 0.
fn product(a: u128, b: u128) -> (u128, i32, bool) {
    let ((a_high, a_low), (b_high, b_low)) = ((a / HALF, a % HALF), (b / HALF, b % HALF));
    let middle = a_high * b_low + a_low * b_high;
    let low = a_low * b_low + (middle % HALF) * HALF;
    let high = a_high * b_high + middle / HALF + low / COEFFICIENTS;
    let low = low % COEFFICIENTS;
    let cut = (digits_of(high) + DIGITS).saturating_sub(WORKING_DIGITS);
    if high == 0 || cut == 0 {
        return (high * COEFFICIENTS + low, 0, false);
    }
    let power = 10_u128.pow(cut);
    (high * 10_u128.pow(DIGITS - cut) + low / power, cut.cast_signed(), !low.is_multiple_of(power))
}

/// The number that is nearest to `coefficient * 10^exponent`, or to a little more if it goes on.
fn rounded(negative: bool, coefficient: u128, exponent: i32, goes_on: bool) -> Decimal {
    let too_many = digits_of(coefficient).saturating_sub(DIGITS).cast_signed();
    let cut = too_many.max(EXPONENT_MIN - exponent).max(0).unsigned_abs();
    let (mut coefficient, mut exponent) =
        (half_to_even(coefficient, cut, goes_on), exponent + cut.cast_signed());
    if coefficient == COEFFICIENTS {
        coefficient /= 10;
        exponent += 1;
    }
    if exponent > EXPONENT_MAX {
        if coefficient == 0 {
            exponent = EXPONENT_MAX;
        } else {
            let above = (exponent - EXPONENT_MAX).unsigned_abs();
            if above > DIGITS - digits_of(coefficient) {
                return Decimal::Infinite { negative };
            }
            coefficient *= 10_u128.pow(above);
            exponent = EXPONENT_MAX;
        }
    }
    Decimal::Finite { negative, coefficient, exponent }
}

/// `coefficient / 10^cut`, rounded half to even.
fn half_to_even(coefficient: u128, cut: u32, goes_on: bool) -> u128 {
    if cut == 0 {
        return coefficient;
    }
    let Some(power) = 10_u128.checked_pow(cut) else { return 0 };
    let (quotient, rest, half) = (coefficient / power, coefficient % power, power / 2);
    let rounds_up = match rest.cmp(&half) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => goes_on || quotient % 2 == 1,
        std::cmp::Ordering::Less => false,
    };
    quotient + u128::from(rounds_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::of(text.parse().unwrap())
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
            assert_eq!(decimal(a).plus(decimal(b)).to_bson().to_string(), expected, "{a} + {b}");
            assert_eq!(decimal(b).plus(decimal(a)).to_bson().to_string(), expected, "{b} + {a}");
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
            assert_eq!(decimal(a).times(decimal(b)).to_bson().to_string(), expected, "{a} * {b}");
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
            assert_eq!(Decimal::of_double(double).to_bson().to_string(), expected, "{double}");
        }
    }
}
