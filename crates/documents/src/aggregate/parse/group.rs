//! `$group`.

use super::PipelineParser;
use crate::aggregate::syntax::{Accumulator, Expression, Group, GroupField};
use crate::document::{ID_FIELD, Json};
use bson::raw::RawBson;

/// The accumulators, by their names.
const ACCUMULATORS: [(&str, Accumulator); 8] = [
    ("$sum", Accumulator::Sum),
    ("$avg", Accumulator::Average),
    ("$min", Accumulator::Min),
    ("$max", Accumulator::Max),
    ("$first", Accumulator::First),
    ("$last", Accumulator::Last),
    ("$push", Accumulator::Push),
    ("$addToSet", Accumulator::AddToSet),
];

impl PipelineParser {
    pub(super) fn group(&mut self, json: Json<'_>) -> Option<Group> {
        let members = self.object(json)?;
        let (mut key, mut fields, mut has_key) = (None, Vec::new(), false);
        self.each(members, |parser, name, json| {
            if name == ID_FIELD {
                has_key = true;
                key = parser.expression(json);
            } else if let Some(name) = parser.field_name(name) {
                fields.extend(parser.group_field(name, json));
            }
        });
        if !has_key {
            self.refuse("Needs an `_id`: what to group by, or null for one group of all.");
        }
        Some(Group { key: key?, fields })
    }

    fn group_field(&mut self, name: Box<str>, json: Json<'_>) -> Option<GroupField> {
        let members = match json {
            Json::Object(members) => members,
            _ => Vec::new(),
        };
        let Ok([(accumulator, json)]) = <[_; 1]>::try_from(members) else {
            self.refuse("Must be an object with one accumulator, such as {\"$sum\": 1}.");
            return None;
        };
        let length = self.reader.problems.push(&accumulator);
        let found = self.accumulator(&accumulator, json);
        self.reader.problems.pop(length);
        let (accumulator, value) = found?;
        Some(GroupField { name, accumulator, value })
    }

    fn accumulator(&mut self, name: &str, json: Json<'_>) -> Option<(Accumulator, Expression)> {
        if name == "$count" {
            if json != Json::Object(Vec::new()) {
                self.refuse("Takes no operand: write {\"$count\": {}}.");
            }
            return self.count().then_some((Accumulator::Sum, Expression::Literal(RawBson::Int32(1))));
        }
        let Some((_, accumulator)) = ACCUMULATORS.iter().find(|(own, _)| *own == name) else {
            self.refuse(
                "Is not an accumulator of `$group`: $sum, $avg, $min, $max, $count, $first, $last, $push and \
                 $addToSet are.",
            );
            return None;
        };
        if matches!(json, Json::Array(_)) {
            self.refuse("Takes one operand, not a list.");
            return None;
        }
        Some((*accumulator, self.expression(json)?))
    }
}
