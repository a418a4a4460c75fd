//! Expressions: paths, literals, objects, lists and operators.
//!
//! An operator whose operands are all literals is computed here, as MongoDB does: what has no value is refused with the
//! request, not with a document.

use super::PipelineParser;
use crate::aggregate::date_trunc::parse_zone;
use crate::aggregate::evaluate::evaluate;
use crate::aggregate::syntax::{
    AggregateOperation, AggregateOperator, DateBins, DateUnit, Expression, Relation,
};
use crate::aggregate::value::Value;
use crate::document::{Json, JsonMembers, Path, empty_document, is_reference, is_wrapper};
use crate::fuel::Fuel;
use bson::Bson;
use bson::raw::RawBson;
use std::ops::RangeInclusive;

/// The weekdays as MongoDB names them, from Monday.
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/// The most units of a bin of time.
const BIN_MAX_UNITS: i64 = 1_000_000;

const UNITS: [(&str, DateUnit); 9] = [
    ("year", DateUnit::Year),
    ("quarter", DateUnit::Quarter),
    ("month", DateUnit::Month),
    ("week", DateUnit::Week),
    ("day", DateUnit::Day),
    ("hour", DateUnit::Hour),
    ("minute", DateUnit::Minute),
    ("second", DateUnit::Second),
    ("millisecond", DateUnit::Millisecond),
];

/// The operators of an expression, for the sentence that refuses another.
const OPERATORS: &str = "`$add`, `$subtract`, `$multiply`, `$divide`, `$mod`, `$abs`, `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, \
                         `$lte`, `$and`, `$or`, `$not`, `$cond`, `$ifNull`, `$dateTrunc` and `$literal`";

/// An operator by its name, and how many operands it takes.
fn operator(name: &str) -> Option<(AggregateOperator, RangeInclusive<usize>)> {
    let many = 0..=usize::MAX;
    Some(match name {
        "$add" => (AggregateOperator::Add, many),
        "$multiply" => (AggregateOperator::Multiply, many),
        "$subtract" => (AggregateOperator::Subtract, 2..=2),
        "$divide" => (AggregateOperator::Divide, 2..=2),
        "$mod" => (AggregateOperator::Modulo, 2..=2),
        "$abs" => (AggregateOperator::Absolute, 1..=1),
        "$eq" => (AggregateOperator::Compare(Relation::Equal), 2..=2),
        "$ne" => (AggregateOperator::Compare(Relation::NotEqual), 2..=2),
        "$gt" => (AggregateOperator::Compare(Relation::Greater), 2..=2),
        "$gte" => (AggregateOperator::Compare(Relation::GreaterOrEqual), 2..=2),
        "$lt" => (AggregateOperator::Compare(Relation::Less), 2..=2),
        "$lte" => (AggregateOperator::Compare(Relation::LessOrEqual), 2..=2),
        "$and" => (AggregateOperator::And, many),
        "$or" => (AggregateOperator::Or, many),
        "$not" => (AggregateOperator::Not, 1..=1),
        "$cond" => (AggregateOperator::Condition, 3..=3),
        "$ifNull" => (AggregateOperator::IfNull, 2..=usize::MAX),
        _ => return None,
    })
}

impl PipelineParser {
    /// An expression.
    pub(super) fn expression(&mut self, json: Json<'_>) -> Option<Expression> {
        if !self.count() {
            return None;
        }
        match json {
            Json::String(text) => match text.strip_prefix('$') {
                Some(path) => self.variable(path),
                None => Some(Expression::Literal(RawBson::String(text.into_owned()))),
            },
            Json::Array(items) => self.deeper(|parser| parser.list(items)).map(Expression::Array),
            Json::Object(members)
                if members.iter().any(|(name, _)| is_wrapper(name)) || is_reference(&members) =>
            {
                self.literal(Json::Object(members))
            }
            Json::Object(members) => match members.first() {
                Some((name, _)) if name.starts_with('$') => self.deeper(|parser| parser.operation(members)),
                _ => self.deeper(|parser| parser.fields(members)),
            },
            other => self.literal(other),
        }
    }

    /// What follows a `$`: a path, or a variable.
    fn variable(&mut self, text: &str) -> Option<Expression> {
        let Some(variable) = text.strip_prefix('$') else {
            return self.reader.problems.check("", Path::parse(text)).map(Expression::Field);
        };
        let (name, path) =
            variable.split_once('.').map_or((variable, None), |(name, path)| (name, Some(path)));
        match (name, path) {
            ("ROOT" | "CURRENT", None) => Some(Expression::Root),
            ("ROOT" | "CURRENT", Some(path)) => {
                self.reader.problems.check("", Path::parse(path)).map(Expression::Field)
            }
            ("REMOVE", None) => Some(Expression::Remove),
            _ => {
                self.refuse("Is not a variable of an expression: `$$ROOT`, `$$CURRENT` and `$$REMOVE` are.");
                None
            }
        }
    }

    pub(super) fn literal(&mut self, json: Json<'_>) -> Option<Expression> {
        // The reader lets nothing pass that BSON cannot hold.
        RawBson::try_from(self.reader.value(json)).ok().map(Expression::Literal)
    }

    fn list(&mut self, items: Vec<Json<'_>>) -> Option<Vec<Expression>> {
        let (count, mut read) = (items.len(), Vec::with_capacity(items.len()));
        for (index, item) in items.into_iter().enumerate() {
            let length = self.reader.problems.push_index(index);
            read.extend(self.expression(item));
            self.reader.problems.pop(length);
            if self.is_beyond {
                return None;
            }
        }
        (read.len() == count).then_some(read)
    }

    fn fields(&mut self, members: JsonMembers<'_>) -> Option<Expression> {
        let (count, mut fields) = (members.len(), Vec::with_capacity(members.len()));
        self.each(members, |parser, name, json| {
            let name = parser.inner_name(name);
            fields.extend(name.zip(parser.expression(json)));
        });
        (fields.len() == count).then_some(Expression::Object(fields))
    }

    /// The name of a field within a document.
    fn inner_name(&mut self, name: &str) -> Option<Box<str>> {
        if name.is_empty() || name.starts_with('$') || name.contains(['.', '\0']) {
            self.refuse("A name must not be empty, begin with `$`, or contain `.` or NUL.");
            return None;
        }
        Some(name.into())
    }

    /// An object whose first member is an operator.
    fn operation(&mut self, members: JsonMembers<'_>) -> Option<Expression> {
        let Ok([(name, json)]) = <[_; 1]>::try_from(members) else {
            self.refuse("Nothing else is allowed beside an operator.");
            return None;
        };
        let length = self.reader.problems.push(&name);
        let read = match &*name {
            "$literal" => self.literal(json),
            "$dateTrunc" => self.date_trunc(json),
            "$cond" if matches!(json, Json::Object(_)) => self.condition(json),
            name => match operator(name) {
                Some((operator, counts)) => self.operands(operator, &counts, json),
                None => {
                    self.refuse(format!("Is not an operator of an expression: {OPERATORS} are."));
                    None
                }
            },
        };
        self.reader.problems.pop(length);
        read
    }

    fn operands(
        &mut self,
        operator: AggregateOperator,
        counts: &RangeInclusive<usize>,
        json: Json<'_>,
    ) -> Option<Expression> {
        let operands = match json {
            Json::Array(items) => self.list(items)?,
            single => vec![self.expression(single)?],
        };
        if !counts.contains(&operands.len()) {
            let (least, most) = (counts.start(), counts.end());
            self.refuse(match most {
                1 => "Takes one operand.".to_owned(),
                most if least == most => format!("Takes a list of {least} operands."),
                _ => format!("Takes a list of at least {least} operands."),
            });
            return None;
        }
        self.operate(operator, operands)
    }

    /// The operation, or its value if nothing in it depends on a document.
    fn operate(&mut self, operator: AggregateOperator, operands: Vec<Expression>) -> Option<Expression> {
        let operands = match operator {
            AggregateOperator::Add | AggregateOperator::Multiply => self.collect(&operator, operands)?,
            _ => operands,
        };
        let is_constant = operands.iter().all(|operand| matches!(operand, Expression::Literal(_)));
        let operation = AggregateOperation { at: self.at(), operator, operands };
        let expression = Expression::Operation(Box::new(operation));
        if !is_constant {
            return Some(expression);
        }
        let value = evaluate(&expression, empty_document(), &Fuel::for_document());
        let value = self.reader.problems.absorb(value.map(Value::into_owned))?;
        Some(value.map_or(Expression::Remove, Expression::Literal))
    }

    /// The operands of a sum or a product as MongoDB takes them: those of sums within a sum are its own, and the literals
    /// are added up and come last. Overflows depend on it.
    fn collect(
        &mut self,
        operator: &AggregateOperator,
        operands: Vec<Expression>,
    ) -> Option<Vec<Expression>> {
        let mut flat = Vec::with_capacity(operands.len());
        for operand in operands {
            match operand {
                Expression::Operation(inner) if inner.operator == *operator => flat.extend(inner.operands),
                other => flat.push(other),
            }
        }
        let is_literal = |each: &Expression| matches!(each, Expression::Literal(_));
        let (literals, mut others): (Vec<_>, Vec<_>) = flat.into_iter().partition(is_literal);
        if others.is_empty() || literals.len() < 2 {
            others.extend(literals);
            return Some(others);
        }
        others.push(self.operate(operator.clone(), literals)?);
        Some(others)
    }

    /// The form of `$cond` with names.
    fn condition(&mut self, json: Json<'_>) -> Option<Expression> {
        let members = self.object(json)?;
        let mut operands = [None, None, None];
        let (mut named, mut has_all) = ([false; 3], true);
        self.each(members, |parser, name, json| {
            match ["if", "then", "else"].iter().position(|own| *own == name) {
                Some(place) => {
                    named[place] = true;
                    operands[place] = parser.expression(json);
                }
                None => parser.refuse("Is not a member of `$cond`, which has `if`, `then` and `else`."),
            }
        });
        if named.contains(&false) {
            self.refuse("Needs `if`, `then` and `else`.");
            has_all = false;
        }
        let [condition, then, otherwise] = operands;
        let operands = vec![condition?, then?, otherwise?];
        if has_all { self.operate(AggregateOperator::Condition, operands) } else { None }
    }

    fn date_trunc(&mut self, json: Json<'_>) -> Option<Expression> {
        let members = self.object(json)?;
        let (mut date, mut unit, mut size, mut zone, mut week_start) = (None, None, Some(1), None, Some(6));
        let (mut has_date, mut has_unit, mut is_good) = (false, false, true);
        self.each(members, |parser, name, json| match name {
            "date" => {
                has_date = true;
                date = parser.expression(json);
            }
            "unit" => {
                has_unit = true;
                unit = parser.choice(&json, &UNITS);
            }
            "binSize" => size = parser.bin_size(json),
            "timezone" => {
                zone = match &json {
                    Json::String(text) => parser.reader.problems.check("", parse_zone(text)),
                    _ => {
                        parser.refuse("Must be the name of a time zone.");
                        None
                    }
                };
                is_good &= zone.is_some();
            }
            "startOfWeek" => week_start = parser.weekday(&json),
            _ => parser.refuse("Is not a member of `$dateTrunc`, which has `date`, `unit`, `binSize`, `timezone` and `startOfWeek`."),
        });
        if !has_date || !has_unit {
            self.refuse("Needs a `date` and a `unit`.");
        }
        let bins = DateBins {
            unit: unit?,
            size: size?,
            zone: zone.unwrap_or(jiff::tz::TimeZone::UTC),
            week_start: week_start?,
        };
        if is_good { self.operate(AggregateOperator::Truncate(bins), vec![date?]) } else { None }
    }

    fn choice<T: Copy>(&mut self, json: &Json<'_>, all: &[(&str, T)]) -> Option<T> {
        let found = match json {
            Json::String(text) => all.iter().find(|(name, _)| name == text),
            _ => None,
        };
        if found.is_none() {
            let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
            self.refuse(format!("Must be one of {}.", names.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    fn bin_size(&mut self, json: Json<'_>) -> Option<i64> {
        let size = match self.reader.value(json) {
            Bson::Int32(size) => i64::from(size),
            Bson::Int64(size) => size,
            _ => 0,
        };
        if !(1..=BIN_MAX_UNITS).contains(&size) {
            self.refuse(format!("Must be a whole number from 1 to {BIN_MAX_UNITS}."));
            return None;
        }
        Some(size)
    }

    fn weekday(&mut self, json: &Json<'_>) -> Option<i8> {
        let day = match json {
            Json::String(text) => {
                let text = text.to_ascii_lowercase();
                WEEKDAYS.iter().position(|day| *day == text || day[..3] == text)
            }
            _ => None,
        };
        if day.is_none() {
            self.refuse("Must be a day of the week, such as `monday`.");
        }
        day.and_then(|day| i8::try_from(day).ok())
    }
}
