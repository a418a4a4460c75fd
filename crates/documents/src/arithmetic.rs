//! Sums, products and bitwise operations of numbers, with MongoDB's types and bounds.
//!
//! The wider of two types is the type of the result: Int32, Int64, Double, Decimal128. Two Int32 whose result does not
//! fit become an Int64; what does not fit an Int64 has no result.

use crate::decimal::Decimal;
use bson::Bson;
use std::cmp::Ordering;

/// A number of one of the four types.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// An Int32.
    Int32(i32),
    /// An Int64.
    Int64(i64),
    /// A double.
    Double(f64),
    /// A Decimal128.
    Decimal(Decimal),
}

impl Number {
    /// `value`, if it is a number.
    pub fn of(value: &Bson) -> Option<Self> {
        Some(match value {
            Bson::Int32(value) => Self::Int32(*value),
            Bson::Int64(value) => Self::Int64(*value),
            Bson::Double(value) => Self::Double(*value),
            Bson::Decimal128(value) => Self::Decimal(Decimal::from_bson(*value)),
            _ => return None,
        })
    }

    /// The number for a document.
    pub fn to_bson(self) -> Bson {
        match self {
            Self::Int32(value) => value.into(),
            Self::Int64(value) => value.into(),
            Self::Double(value) => value.into(),
            Self::Decimal(value) => Bson::Decimal128(value.to_bson()),
        }
    }

    /// The sum; `None` if it does not fit an Int64.
    pub fn plus(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Decimal(_), _) | (_, Self::Decimal(_)) => {
                Some(Self::Decimal(self.decimal() + other.decimal()))
            }
            (Self::Double(_), _) | (_, Self::Double(_)) => Some(Self::Double(self.double() + other.double())),
            _ => self.with_integers(other, i32::checked_add, i64::checked_add),
        }
    }

    /// The product; `None` if it does not fit an Int64.
    pub fn times(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Decimal(_), _) | (_, Self::Decimal(_)) => {
                Some(Self::Decimal(self.decimal() * other.decimal()))
            }
            (Self::Double(_), _) | (_, Self::Double(_)) => Some(Self::Double(self.double() * other.double())),
            _ => self.with_integers(other, i32::checked_mul, i64::checked_mul),
        }
    }

    fn with_integers(
        self,
        other: Self,
        narrow: fn(i32, i32) -> Option<i32>,
        wide: fn(i64, i64) -> Option<i64>,
    ) -> Option<Self> {
        if let (Self::Int32(a), Self::Int32(b)) = (self, other)
            && let Some(result) = narrow(a, b)
        {
            return Some(Self::Int32(result));
        }
        wide(self.integer()?, other.integer()?).map(Self::Int64)
    }

    /// The result of a bitwise operation on two integers; `None` if one of them is none.
    pub fn bits(self, other: Self, combine: fn(i64, i64) -> i64) -> Option<Self> {
        let result = combine(self.integer()?, other.integer()?);
        Some(match (self, other) {
            // The upper half of both is all zeros or all ones, and so is that of the result.
            (Self::Int32(_), Self::Int32(_)) => Self::Int32(i32::try_from(result).ok()?),
            _ => Self::Int64(result),
        })
    }

    /// Whether both have one type and compare as equal: `-0.0` and `0.0` do, NaN never does, and the exponents of decimals
    /// make no difference.
    pub fn is_identical(self, other: Self) -> bool {
        match (self, other) {
            (Self::Int32(a), Self::Int32(b)) => a == b,
            (Self::Int64(a), Self::Int64(b)) => a == b,
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(&b) == Some(Ordering::Equal),
            (Self::Decimal(a), Self::Decimal(b)) => a == b,
            _ => false,
        }
    }

    /// Its value, if it is an integer of 32 or 64 bits.
    pub const fn integer(self) -> Option<i64> {
        match self {
            Self::Int32(value) => Some(value as i64),
            Self::Int64(value) => Some(value),
            Self::Double(_) | Self::Decimal(_) => None,
        }
    }

    /// Its value, if it is whole and fits 64 bits, of any type.
    pub fn whole(self) -> Option<i64> {
        match self {
            Self::Int32(value) => Some(value.into()),
            Self::Int64(value) => Some(value),
            #[expect(clippy::cast_possible_truncation, reason = "the number is whole and within the bounds")]
            Self::Double(value) => {
                const END: f64 = 9_223_372_036_854_775_808.0;
                ((-END..END).contains(&value) && value.fract() == 0.0).then_some(value as i64)
            }
            Self::Decimal(value) => value.whole(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "MongoDB rounds the same")]
    fn double(self) -> f64 {
        match self {
            Self::Int32(value) => value.into(),
            Self::Int64(value) => value as f64,
            Self::Double(value) => value,
            // A decimal with another number is never computed as a double.
            Self::Decimal(_) => f64::NAN,
        }
    }

    fn decimal(self) -> Decimal {
        match self {
            Self::Int32(value) => Decimal::from_integer(value.into()),
            Self::Int64(value) => Decimal::from_integer(value),
            Self::Double(value) => Decimal::from_double(value),
            Self::Decimal(value) => value,
        }
    }
}
