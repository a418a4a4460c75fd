//! Arithmetic with the types of MongoDB: a result has the widest type of its operands, and an integer that does not fit
//! becomes the next wider one. No value, undefined and null make null.

use super::summation::{NumberSum, NumberType, narrowest};
use super::value::{Value, type_name};
use crate::decimal::Decimal;
use crate::error::{Error, Result};
use crate::fuel::Fuel;
use bson::raw::RawBson;
use bson::{DateTime, RawBsonRef};

/// The cost of an operation on a decimal, and on a double, which has to become one where it meets one.
const DECIMAL_COST: u64 = 300;
const DOUBLE_COST: u64 = 100;

/// The cost of a digit of a remainder.
const REMAINDER_STEP_COST: u64 = 40;

const NULL: Value<'static> = Value::Made(RawBson::Null);

fn refused<'a>(at: &str, sentence: impl Into<String>) -> Result<Value<'a>> {
    Err(Error::invalid_field(at, sentence))
}

fn not_a_number<'a>(at: &str, value: RawBsonRef<'_>) -> Result<Value<'a>> {
    refused(at, format!("A document gives {} here: only numbers can be computed with.", type_name(value)))
}

/// The sum of numbers and at most one date.
pub fn add<'a, 'v>(
    operands: impl Iterator<Item = Result<Value<'v>>>,
    at: &str,
    fuel: &Fuel<'_>,
) -> Result<Value<'a>> {
    let (mut sum, mut has_date) = (NumberSum::default(), false);
    for value in operands {
        let value = value?;
        let Some(value) = value.present().filter(|_| !value.is_nullish()) else { return Ok(NULL) };
        spend(value, fuel)?;
        match value {
            RawBsonRef::DateTime(_) if has_date => {
                return refused(at, "A document gives two dates here: only one can be added to.");
            }
            RawBsonRef::DateTime(date) => {
                has_date = true;
                sum.binary.add_integer(date.timestamp_millis());
            }
            number if sum.add(number) => {}
            other => return not_a_number(at, other),
        }
    }
    if !has_date {
        return Ok(Value::Made(sum.to_bson()));
    }
    let millis = match sum.widest {
        NumberType::Decimal => (sum.decimal + sum.binary.to_decimal()).to_integer(),
        _ => sum.binary.to_integer(),
    };
    match millis {
        Some(millis) => Ok(date(millis)),
        None => refused(at, "A document gives a number here that is too large to be added to a date."),
    }
}

fn date<'a>(millis: i64) -> Value<'a> {
    Value::Made(RawBson::DateTime(DateTime::from_millis(millis)))
}

/// The product of numbers.
pub fn multiply<'a, 'v>(
    operands: impl Iterator<Item = Result<Value<'v>>>,
    at: &str,
    fuel: &Fuel<'_>,
) -> Result<Value<'a>> {
    let mut product = Product { widest: NumberType::Int32, long: 1, double: 1.0, decimal: Decimal::ZERO };
    for value in operands {
        let value = value?;
        let Some(value) = value.present().filter(|_| !value.is_nullish()) else { return Ok(NULL) };
        spend(value, fuel)?;
        if !product.multiply(value) {
            return not_a_number(at, value);
        }
    }
    Ok(Value::Made(product.to_bson()))
}

/// A product in all types that it may end in.
struct Product {
    widest: NumberType,
    long: i64,
    double: f64,
    decimal: Decimal,
}

impl Product {
    /// Multiplies by a number; returns whether it is one.
    fn multiply(&mut self, value: RawBsonRef<'_>) -> bool {
        let (Some(kind), Some(double)) = (NumberType::of(value), to_double(value)) else { return false };
        let before = self.widest;
        self.widest = before.max(kind);
        if self.widest == NumberType::Decimal {
            if before != NumberType::Decimal {
                self.decimal = match before {
                    NumberType::Double => Decimal::from_double(self.double),
                    _ => Decimal::from_integer(self.long),
                };
            }
            self.decimal = self.decimal * Decimal::from_number(value).unwrap_or(Decimal::ZERO);
            return true;
        }
        self.double *= double;
        if self.widest < NumberType::Double {
            match self.long.checked_mul(to_long(value).unwrap_or_default()) {
                Some(long) => self.long = long,
                None => self.widest = NumberType::Double,
            }
        }
        true
    }

    fn to_bson(&self) -> RawBson {
        match self.widest {
            NumberType::Int32 => narrowest(self.long),
            NumberType::Int64 => RawBson::Int64(self.long),
            NumberType::Double => RawBson::Double(self.double),
            NumberType::Decimal => RawBson::Decimal128(self.decimal.to_bson()),
        }
    }
}

/// Two numbers in the widest type of both.
enum Pair {
    Int32(i64, i64),
    Int64(i64, i64),
    Double(f64, f64),
    Decimal(Decimal, Decimal),
}

impl Pair {
    fn of(a: RawBsonRef<'_>, b: RawBsonRef<'_>) -> Option<Self> {
        Some(match NumberType::of(a)?.max(NumberType::of(b)?) {
            NumberType::Int32 => Self::Int32(to_long(a)?, to_long(b)?),
            NumberType::Int64 => Self::Int64(to_long(a)?, to_long(b)?),
            NumberType::Double => Self::Double(to_double(a)?, to_double(b)?),
            NumberType::Decimal => Self::Decimal(Decimal::from_number(a)?, Decimal::from_number(b)?),
        })
    }
}

/// The difference of two numbers, of a date and a number, or of two dates (milliseconds).
pub fn subtract<'a>(a: &Value<'_>, b: &Value<'_>, at: &str, fuel: &Fuel<'_>) -> Result<Value<'a>> {
    let (Some(left), Some(right)) = (a.present(), b.present()) else { return Ok(NULL) };
    if a.is_nullish() || b.is_nullish() {
        return Ok(NULL);
    }
    spend(left, fuel)?;
    spend(right, fuel)?;
    let made = match (left, right) {
        (RawBsonRef::DateTime(left), RawBsonRef::DateTime(right)) => {
            let millis = left.timestamp_millis().checked_sub(right.timestamp_millis());
            match millis {
                Some(millis) => RawBson::Int64(millis),
                None => return refused(at, "A document gives dates here that are too far apart."),
            }
        }
        (RawBsonRef::DateTime(left), RawBsonRef::Int32(_) | RawBsonRef::Int64(_) | RawBsonRef::Double(_)) => {
            let millis = rounded(right).and_then(|millis| left.timestamp_millis().checked_sub(millis));
            return match millis {
                Some(millis) => Ok(date(millis)),
                None => {
                    refused(at, "A document gives a number here that is too large to be taken from a date.")
                }
            };
        }
        _ => match Pair::of(left, right) {
            Some(Pair::Int32(left, right)) => narrowest(left - right),
            Some(Pair::Int64(left, right)) => match left.checked_sub(right) {
                Some(difference) => RawBson::Int64(difference),
                None => RawBson::Double(long_to_double(left) - long_to_double(right)),
            },
            Some(Pair::Double(left, right)) => RawBson::Double(left - right),
            Some(Pair::Decimal(left, right)) => RawBson::Decimal128((left - right).to_bson()),
            None => {
                let is_number = NumberType::of(left).is_some();
                return not_a_number(at, if is_number { right } else { left });
            }
        },
    };
    Ok(Value::Made(made))
}

/// The quotient of two numbers: a double, or a decimal.
pub fn divide<'a>(a: &Value<'_>, b: &Value<'_>, at: &str, fuel: &Fuel<'_>) -> Result<Value<'a>> {
    let (left, right) = (a.comparable(), b.comparable());
    let Some(pair) = Pair::of(left, right) else { return null_or_refused(a, b, at) };
    spend(left, fuel)?;
    spend(right, fuel)?;
    let quotient = match pair {
        Pair::Decimal(_, right) if right.is_zero() => None,
        Pair::Decimal(left, right) => Some(RawBson::Decimal128((left / right).to_bson())),
        Pair::Double(_, 0.0) | Pair::Int32(_, 0) | Pair::Int64(_, 0) => None,
        Pair::Double(left, right) => Some(RawBson::Double(left / right)),
        Pair::Int32(left, right) | Pair::Int64(left, right) => {
            Some(RawBson::Double(long_to_double(left) / long_to_double(right)))
        }
    };
    match quotient {
        Some(quotient) => Ok(Value::Made(quotient)),
        None => refused(at, "A document gives 0 here: nothing can be divided by it."),
    }
}

/// The remainder of a division, with the sign of the first number.
pub fn modulo<'a>(a: &Value<'_>, b: &Value<'_>, at: &str, fuel: &Fuel<'_>) -> Result<Value<'a>> {
    let left = a.comparable();
    let right = match (left, b.comparable()) {
        // Beside an integer, MongoDB takes a whole double for an integer here, and nowhere else.
        (RawBsonRef::Int32(_) | RawBsonRef::Int64(_), RawBsonRef::Double(number)) => {
            whole_int32(number).map_or(RawBsonRef::Double(number), RawBsonRef::Int32)
        }
        (_, right) => right,
    };
    let Some(pair) = Pair::of(left, right) else { return null_or_refused(a, b, at) };
    spend(left, fuel)?;
    spend(right, fuel)?;
    let rest = match pair {
        Pair::Decimal(_, right) if right.is_zero() => None,
        Pair::Decimal(left, right) => {
            fuel.spend(u64::from(left.remainder_steps(right)) * REMAINDER_STEP_COST)?;
            Some(RawBson::Decimal128(left.remainder(right).to_bson()))
        }
        Pair::Double(_, 0.0) | Pair::Int32(_, 0) | Pair::Int64(_, 0) => None,
        Pair::Double(left, right) => Some(RawBson::Double(left % right)),
        // Of the lowest integer and -1 it is 0.
        Pair::Int32(left, right) => Some(narrowest(left.wrapping_rem(right))),
        Pair::Int64(left, right) => Some(RawBson::Int64(left.wrapping_rem(right))),
    };
    match rest {
        Some(rest) => Ok(Value::Made(rest)),
        None => refused(at, "A document gives 0 here: there is no remainder of a division by it."),
    }
}

/// The value of a double that is whole and fits 32 bits.
fn whole_int32(number: f64) -> Option<i32> {
    let is_whole = number.fract() == 0.0 && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number);
    #[expect(clippy::cast_possible_truncation, reason = "the number is whole and within the bounds")]
    is_whole.then_some(number as i32)
}

fn null_or_refused<'a>(a: &Value<'_>, b: &Value<'_>, at: &str) -> Result<Value<'a>> {
    if a.is_nullish() || b.is_nullish() {
        return Ok(NULL);
    }
    let left = a.comparable();
    not_a_number(at, if NumberType::of(left).is_some() { b.comparable() } else { left })
}

/// The magnitude of a number.
pub fn absolute<'a>(value: &Value<'_>, at: &str) -> Result<Value<'a>> {
    if value.is_nullish() {
        return Ok(NULL);
    }
    Ok(Value::Made(match value.comparable() {
        RawBsonRef::Int32(number) => narrowest(i64::from(number).abs()),
        RawBsonRef::Int64(number) => match number.checked_abs() {
            Some(number) => RawBson::Int64(number),
            None => {
                return refused(at, "A document gives the lowest Int64 here: its magnitude does not fit.");
            }
        },
        RawBsonRef::Double(number) => RawBson::Double(number.abs()),
        RawBsonRef::Decimal128(number) => {
            let mut bytes = number.bytes();
            bytes[15] &= 0x7f;
            RawBson::Decimal128(bson::Decimal128::from_bytes(bytes))
        }
        other => return not_a_number(at, other),
    }))
}

fn spend(value: RawBsonRef<'_>, fuel: &Fuel<'_>) -> Result<()> {
    match value {
        RawBsonRef::Decimal128(_) => fuel.spend(DECIMAL_COST)?,
        // It may meet a decimal.
        RawBsonRef::Double(number) if number.fract() != 0.0 => fuel.spend(DOUBLE_COST)?,
        _ => {}
    }
    Ok(())
}

const fn to_long(value: RawBsonRef<'_>) -> Option<i64> {
    match value {
        RawBsonRef::Int32(value) => Some(value as i64),
        RawBsonRef::Int64(value) => Some(value),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "as MongoDB converts")]
const fn long_to_double(value: i64) -> f64 {
    value as f64
}

/// A number as a double; of a decimal, which stays one, any.
fn to_double(value: RawBsonRef<'_>) -> Option<f64> {
    Some(match value {
        RawBsonRef::Int32(value) => value.into(),
        RawBsonRef::Int64(value) => long_to_double(value),
        RawBsonRef::Double(value) => value,
        RawBsonRef::Decimal128(_) => 0.0,
        _ => return None,
    })
}

/// A number of milliseconds as an integer.
#[expect(clippy::cast_possible_truncation, reason = "the bounds are checked first")]
fn rounded(value: RawBsonRef<'_>) -> Option<i64> {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    match value {
        RawBsonRef::Double(value) => (value.abs() < BEYOND).then(|| value.round() as i64),
        other => to_long(other),
    }
}
