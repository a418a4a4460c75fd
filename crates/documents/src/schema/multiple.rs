//! Whether a number is a multiple of another, as people write them: 0.3 is three times 0.1.

use super::number::Number;

/// `mantissa * 10^exponent`, without zeros at the end of the mantissa.
struct Decimal {
    mantissa: u128,
    exponent: i32,
}

impl Decimal {
    /// The shortest digits that are read as this number, without their sign.
    fn of(number: Number) -> Self {
        let (mut mantissa, mut exponent) = match number {
            Number::Whole(whole) => (u128::from(whole.unsigned_abs()), 0),
            Number::Double(double) => {
                let text = format!("{:e}", double.abs());
                let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let fraction = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
                let mantissa = digits.replace('.', "").parse().unwrap_or_default();
                let exponent: i32 = exponent.parse().unwrap_or_default();
                (mantissa, exponent - i32::try_from(fraction).unwrap_or_default())
            }
        };
        while mantissa != 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            exponent += 1;
        }
        Self { mantissa, exponent }
    }
}

/// Whether `number` is a multiple of `unit`, which is above zero.
pub fn is_multiple(number: Number, unit: Number) -> bool {
    if let (Number::Whole(number), Number::Whole(unit)) = (number, unit) {
        return number.checked_rem(unit).is_none_or(|rest| rest == 0);
    }
    let (number, unit) = (Decimal::of(number), Decimal::of(unit));
    if number.mantissa == 0 || unit.mantissa == 0 {
        return number.mantissa == 0;
    }
    // The mantissa of the number is no multiple of ten, so it is none of a larger power of ten either.
    let Ok(shift) = u32::try_from(number.exponent - unit.exponent) else { return false };
    // Both are below 10^20, so their product fits.
    let scale = power_of_ten(shift, unit.mantissa);
    ((number.mantissa % unit.mantissa) * scale).is_multiple_of(unit.mantissa)
}

/// `10^exponent` modulo `modulus`.
fn power_of_ten(exponent: u32, modulus: u128) -> u128 {
    let (mut result, mut base, mut exponent) = (1 % modulus, 10 % modulus, exponent);
    while exponent > 0 {
        if exponent % 2 == 1 {
            result = result * base % modulus;
        }
        base = base * base % modulus;
        exponent /= 2;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiple_is_decided_by_decimal_digits() {
        let number = |text: &str| Number::parse(text).unwrap();
        for (value, unit, expected) in [
            ("10", "2", true),
            ("9", "2", false),
            ("-9", "3", true),
            ("0", "7", true),
            ("0.3", "0.1", true),
            ("19.99", "0.01", true),
            ("19.995", "0.01", false),
            ("4.5", "1.5", true),
            ("35", "1.5", false),
            ("0.0075", "0.0001", true),
            ("0.00751", "0.0001", false),
            ("1e308", "0.5", true),
            ("1e308", "0.123456789", false),
            ("1e-300", "1e300", false),
            ("12391239123", "1e-8", true),
            ("-9223372036854775808", "1", true),
            ("7", "0.7", true),
        ] {
            assert_eq!(is_multiple(number(value), number(unit)), expected, "{value} of {unit}");
        }
    }
}
