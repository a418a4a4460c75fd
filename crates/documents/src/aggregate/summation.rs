//! Sums of numbers of all types, without losing what a double cannot hold.
//!
//! The sum of integers and doubles is kept as two doubles, the rounded sum and what rounding has left over (the 2Sum of
//! Møller and Knuth, the Fast2Sum of Dekker), as MongoDB does: sums of integers are exact, and those of doubles hardly
//! depend on the order.

use crate::decimal::Decimal;
use bson::RawBsonRef;
use bson::raw::RawBson;

/// Two to the 63rd, the first number beyond 64 bits.
const BEYOND_LONG: f64 = 9_223_372_036_854_775_808.0;

/// A sum of integers and doubles.
#[derive(Debug, Clone, Copy, Default)]
pub struct CompensatedSum {
    sum: f64,
    rest: f64,
    /// The plain sum, for infinities: the compensated one makes NaN of them.
    plain: f64,
}

impl CompensatedSum {
    /// Adds a double.
    pub fn add_double(&mut self, value: f64) {
        self.plain += value;
        let (value, rest) = fast_two_sum(value, self.rest);
        let (sum, error) = two_sum(self.sum, value);
        self.sum = sum;
        self.rest = rest + error;
    }

    /// Adds an integer, exactly.
    #[expect(clippy::cast_precision_loss, reason = "each half has fewer bits than a double")]
    pub fn add_integer(&mut self, value: i64) {
        let high = value / (1 << 32) * (1 << 32);
        self.add_double((value - high) as f64);
        self.add_double(high as f64);
    }

    /// The nearest double.
    pub const fn to_double(self) -> f64 {
        if self.sum.is_nan() { self.plain } else { self.sum }
    }

    /// The nearest integer, halves away from zero; `None` if it needs more than 64 bits.
    #[expect(clippy::cast_possible_truncation, reason = "the bounds are checked first")]
    pub fn to_integer(self) -> Option<i64> {
        if self.sum >= BEYOND_LONG || self.sum < -BEYOND_LONG || self.sum.is_nan() {
            // The rest may bring the first number beyond back.
            if self.sum == BEYOND_LONG && self.rest < -0.5 {
                return (self.rest.round() as i64).checked_add(i64::MAX)?.checked_add(1);
            }
            return None;
        }
        if self.sum == -BEYOND_LONG && self.rest < -0.5 {
            return None;
        }
        let whole = self.sum.round();
        (whole as i64).checked_add(((self.sum - whole) + self.rest).round() as i64)
    }

    /// The sum as a decimal, with all its digits.
    pub fn to_decimal(self) -> Decimal {
        if self.sum.is_finite() {
            Decimal::from_double_exactly(self.sum) + Decimal::from_double_exactly(self.rest)
        } else {
            Decimal::from_double_exactly(self.plain)
        }
    }
}

fn fast_two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    (sum, b - (sum - a))
}

fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let near_a = sum - b;
    let near_b = sum - near_a;
    (sum, (a - near_a) + (b - near_b))
}

/// The types of numbers from the narrowest to the widest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum NumberType {
    #[default]
    Int32,
    Int64,
    Double,
    Decimal,
}

impl NumberType {
    /// The type of a number; `None` for any other value.
    pub const fn of(value: RawBsonRef<'_>) -> Option<Self> {
        match value {
            RawBsonRef::Int32(_) => Some(Self::Int32),
            RawBsonRef::Int64(_) => Some(Self::Int64),
            RawBsonRef::Double(_) => Some(Self::Double),
            RawBsonRef::Decimal128(_) => Some(Self::Decimal),
            _ => None,
        }
    }
}

/// A sum of numbers of all types.
#[derive(Debug, Clone, Copy)]
pub struct NumberSum {
    pub binary: CompensatedSum,
    pub decimal: Decimal,
    pub widest: NumberType,
    /// How many numbers.
    pub count: u64,
}

impl Default for NumberSum {
    fn default() -> Self {
        Self {
            binary: CompensatedSum::default(),
            decimal: Decimal::ZERO,
            widest: NumberType::default(),
            count: 0,
        }
    }
}

impl NumberSum {
    /// Adds a number; returns whether it is one.
    pub fn add(&mut self, value: RawBsonRef<'_>) -> bool {
        match value {
            RawBsonRef::Int32(value) => self.binary.add_double(value.into()),
            RawBsonRef::Int64(value) => self.binary.add_integer(value),
            RawBsonRef::Double(value) => self.binary.add_double(value),
            RawBsonRef::Decimal128(value) => self.decimal = self.decimal + Decimal::from_bson(value),
            _ => return false,
        }
        self.widest = self.widest.max(NumberType::of(value).unwrap_or_default());
        self.count += 1;
        true
    }

    /// The sum, in the widest type of its numbers; an integer that needs more bits becomes a wider one.
    pub fn to_bson(self) -> RawBson {
        match self.widest {
            NumberType::Decimal => self.to_decimal(),
            NumberType::Double => RawBson::Double(self.binary.to_double()),
            NumberType::Int32 => match self.binary.to_integer() {
                Some(sum) => narrowest(sum),
                None => RawBson::Double(self.binary.to_double()),
            },
            NumberType::Int64 => match self.binary.to_integer() {
                Some(sum) => RawBson::Int64(sum),
                None => RawBson::Double(self.binary.to_double()),
            },
        }
    }

    fn to_decimal(self) -> RawBson {
        RawBson::Decimal128((self.decimal + self.binary.to_decimal()).to_bson())
    }

    /// The average; null of no numbers.
    #[expect(clippy::cast_precision_loss, reason = "no aggregate reads as many documents")]
    pub fn average(self) -> RawBson {
        if self.count == 0 {
            return RawBson::Null;
        }
        if self.widest == NumberType::Decimal {
            let sum = self.decimal + self.binary.to_decimal();
            let count = Decimal::from_integer(i64::try_from(self.count).unwrap_or(i64::MAX));
            return RawBson::Decimal128((sum / count).to_bson());
        }
        RawBson::Double(self.binary.to_double() / self.count as f64)
    }
}

/// An integer as Int32 if it fits.
pub fn narrowest(value: i64) -> RawBson {
    i32::try_from(value).map_or(RawBson::Int64(value), RawBson::Int32)
}
