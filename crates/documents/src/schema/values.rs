//! Small values of schemas: types and bounds.

use super::instance::Shape;
use super::number::Number;
use bson::RawBsonRef;
use std::cmp::Ordering;

/// A bound on numbers.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    pub limit: Number,
    /// Whether numbers above it are outside, or those below.
    pub is_upper: bool,
    pub is_exclusive: bool,
}

impl Bound {
    pub fn allows(&self, number: Number) -> bool {
        match number.compare(self.limit) {
            Ordering::Equal => !self.is_exclusive,
            Ordering::Less => self.is_upper,
            Ordering::Greater => !self.is_upper,
        }
    }

    pub fn sentence(&self) -> String {
        let relation = match (self.is_upper, self.is_exclusive) {
            (true, true) => "less than",
            (true, false) => "at most",
            (false, true) => "greater than",
            (false, false) => "at least",
        };
        format!("Must be {relation} {}.", self.limit)
    }
}

/// The names of types, in the order of their bits.
const NAMES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

/// A set of types.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Types(u8);

impl Types {
    /// Adds the type of that name; whether it is new.
    pub fn add(&mut self, name: &str) -> Result<bool, String> {
        let Some(bit) = NAMES.iter().position(|known| *known == name) else {
            let known = NAMES.map(|name| format!("`{name}`")).join(", ");
            return Err(format!("Must be one of {known}."));
        };
        let is_new = self.0 & (1 << bit) == 0;
        self.0 |= 1 << bit;
        Ok(is_new)
    }

    const fn has(self, bit: u8) -> bool {
        self.0 & (1 << bit) != 0
    }

    /// Whether a value is of one of the types.
    pub fn allow(self, value: RawBsonRef<'_>) -> bool {
        match Shape::of(value) {
            Shape::Null => self.has(0),
            Shape::Boolean => self.has(1),
            Shape::Number(number) => self.has(3) || (self.has(2) && number.is_integer()),
            Shape::Text(_) => self.has(4),
            Shape::Array(_) => self.has(5),
            Shape::Object(_) | Shape::Special => self.has(6),
        }
    }

    pub fn sentence(self) -> String {
        let names: Vec<String> = (0_u8..)
            .zip(NAMES)
            .filter(|(bit, _)| self.has(*bit))
            .map(|(_, name)| format!("`{name}`"))
            .collect();
        match names.split_last() {
            None => "Can be of no type.".to_owned(),
            Some((only, [])) => format!("Must be of the type {only}."),
            Some((last, others)) => format!("Must be of the type {} or {last}.", others.join(", ")),
        }
    }
}
