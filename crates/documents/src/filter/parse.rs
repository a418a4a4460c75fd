//! From JSON to a [`Filter`], by allow-list.
//!
//! An object whose first member begins with `$` holds operators, unless the member makes it a value of
//! Extended JSON. The parser adds up the price as it reads and stops at the first bound it exceeds: refusing
//! a filter costs no more than reading the part of it that is within the bounds. Nothing is skipped: every
//! member is understood or refused.

use super::pattern::Pattern;
use super::price::FilterPrice;
use super::syntax::{Clause, Comparison, ElementMatch, Filter, Predicate, RequiredValues};
use crate::document::order::compare;
use crate::document::{ExtendedJsonReader, FieldErrors, Json, JsonMembers, Path, is_reference, is_wrapper};
use crate::error::{Error, Result};
use crate::limits::{FILTER_LIST_MAX_ITEMS, FILTER_MAX_LEVELS, FILTER_PATH_MAX_POSITIONS};
use bson::Bson;
use bson::raw::RawBson;

/// The operators of a filter, for the sentence that refuses another.
const OPERATORS: &str = "`$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, `$in`, `$nin`, `$all`, `$elemMatch`, `$exists`, `$size`, \
                         `$regex` (with `$options`) and `$not`";

/// How a path is parsed: from the top, or from within an array's item.
type ParsePath = fn(&str) -> std::result::Result<Path, String>;

pub fn parse(json: &str, at: &str) -> Result<Filter> {
    // It is one parameter or member of a request, not its body.
    let members = Json::parse_part(json).and_then(Json::into_object);
    let members = members.map_err(|error| Error::invalid_field(at, error))?;
    parse_members(members, at, json.len())
}

/// Reads a filter whose JSON, of that many bytes, is already parsed.
pub fn parse_members(members: JsonMembers<'_>, at: &str, bytes: usize) -> Result<Filter> {
    let mut parser = FilterParser {
        reader: ExtendedJsonReader::new(FieldErrors::new(at)),
        price: FilterPrice { bytes, ..FilterPrice::default() },
        is_beyond: false,
        levels: 0,
        path: Path::parse,
    };
    let filter = parser.filter(members);
    parser.reader.problems.finish()?;
    Ok(Filter { price: parser.price, ..filter })
}

/// A filter on what is within an update: paths begin in a value of it, and its price adds to that of the other filters.
pub fn within(members: JsonMembers<'_>, reader: &mut ExtendedJsonReader, price: &mut FilterPrice) -> Filter {
    nested(reader, price, |parser| parser.filter(members))
}

/// The operators `members` as a filter on the field `name`.
pub fn operators_on(
    name: &str,
    members: JsonMembers<'_>,
    reader: &mut ExtendedJsonReader,
    price: &mut FilterPrice,
) -> Filter {
    nested(reader, price, |parser| {
        let predicates = parser.operators(members);
        let path = Path::parse_relative(name).ok();
        let clauses = path.map(|path| Clause::Field(path, predicates)).into_iter().collect();
        Filter { clauses, price: FilterPrice::default() }
    })
}

fn nested(
    reader: &mut ExtendedJsonReader,
    price: &mut FilterPrice,
    read: impl FnOnce(&mut FilterParser) -> Filter,
) -> Filter {
    let mut parser = FilterParser {
        reader: std::mem::replace(reader, ExtendedJsonReader::new(FieldErrors::new(""))),
        // What is already beyond a bound was refused.
        is_beyond: price.excess().is_some(),
        price: *price,
        levels: 0,
        path: Path::parse_relative,
    };
    let filter = read(&mut parser);
    (*reader, *price) = (parser.reader, parser.price);
    filter
}

struct FilterParser {
    reader: ExtendedJsonReader,
    price: FilterPrice,
    /// Whether a bound of the price was exceeded, so that there is no use in reading on.
    is_beyond: bool,
    levels: usize,
    path: ParsePath,
}

impl FilterParser {
    fn refuse(&mut self, detail: impl Into<String>) {
        self.reader.problems.refuse(detail);
    }

    /// Calls `read` for each member, at its pointer; refuses a duplicate name.
    fn each<'a, T>(
        &mut self,
        members: JsonMembers<'a>,
        mut read: impl FnMut(&mut Self, &str, Json<'a>) -> Option<T>,
    ) -> Vec<T> {
        let mut seen = std::collections::HashSet::new();
        let mut results = Vec::with_capacity(members.len());
        for (name, json) in members {
            let length = self.reader.problems.push(&name);
            if seen.contains(&name) {
                self.refuse("Is given twice: give it once.");
            } else if self.count() {
                results.extend(read(self, &name, json));
            }
            self.reader.problems.pop(length);
            if self.is_beyond {
                break;
            }
            seen.insert(name);
        }
        results
    }

    /// Calls `read` for each item of a list, at its pointer.
    fn each_item<'a, T>(
        &mut self,
        items: Vec<Json<'a>>,
        mut read: impl FnMut(&mut Self, Json<'a>) -> Option<T>,
    ) -> Vec<T> {
        let mut results = Vec::with_capacity(items.len());
        for (index, json) in items.into_iter().enumerate() {
            let length = self.reader.problems.push_index(index);
            results.extend(read(self, json));
            self.reader.problems.pop(length);
            if self.is_beyond {
                break;
            }
        }
        results
    }

    /// Whether one more node is allowed.
    fn count(&mut self) -> bool {
        self.pay(|price| price.nodes += 1)
    }

    /// Adds to the price; whether it is still within its bounds. The first excess is refused here, and ends the reading.
    fn pay(&mut self, add: impl FnOnce(&mut FilterPrice)) -> bool {
        add(&mut self.price);
        if let Some(excess) = self.price.excess().filter(|_| !self.is_beyond) {
            self.refuse(excess);
            self.is_beyond = true;
        }
        !self.is_beyond
    }

    /// Calls `read` one level down, if one more is allowed.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.levels == FILTER_MAX_LEVELS {
            self.refuse(format!("Conditions may be nested at most {FILTER_MAX_LEVELS} levels deep."));
            return None;
        }
        self.levels += 1;
        let result = read(self);
        self.levels -= 1;
        result
    }

    fn filter(&mut self, members: JsonMembers<'_>) -> Filter {
        Filter { clauses: self.each(members, Self::clause), price: FilterPrice::default() }
    }

    fn clause(&mut self, name: &str, json: Json<'_>) -> Option<Clause> {
        match name {
            "$and" => self.filters(json).map(Clause::And),
            "$or" => self.filters(json).map(Clause::Or),
            "$nor" => self.filters(json).map(Clause::Nor),
            _ if name.starts_with('$') => {
                self.refuse(format!(
                    "`{}` is not an operator that combines filters: `$and`, `$or` and `$nor` are.",
                    short(name)
                ));
                None
            }
            _ => {
                let path = self.path(name);
                let predicates = if self.is_beyond { None } else { self.field(json) };
                Some(Clause::Field(path?, predicates?))
            }
        }
    }

    fn path(&mut self, name: &str) -> Option<Path> {
        let path = self.reader.problems.check("", (self.path)(name))?;
        if path.positions() > FILTER_PATH_MAX_POSITIONS {
            self.refuse(format!(
                "A path may have at most {FILTER_PATH_MAX_POSITIONS} parts that are numbers."
            ));
            return None;
        }
        self.pay(|price| price.path_parts += path.parts().len()).then_some(path)
    }

    fn filters(&mut self, json: Json<'_>) -> Option<Vec<Filter>> {
        let Json::Array(items) = json else {
            self.refuse("Must be a list of filters.");
            return None;
        };
        if items.is_empty() {
            self.refuse("Must not be empty.");
        }
        self.deeper(|parser| {
            Some(parser.each_item(items, |parser, item| {
                let Json::Object(members) = item else {
                    parser.refuse("Must be a filter, an object.");
                    return None;
                };
                if parser.count() { Some(parser.filter(members)) } else { None }
            }))
        })
    }

    /// The condition on a field: operators, or equality with a value.
    fn field(&mut self, json: Json<'_>) -> Option<Vec<Predicate>> {
        match json {
            Json::Object(members) if has_operators(&members) => Some(self.operators(members)),
            other => {
                let operand = self.operand(other)?;
                Some(vec![Predicate::Compare(Comparison::Equal, operand)])
            }
        }
    }

    fn operators(&mut self, members: JsonMembers<'_>) -> Vec<Predicate> {
        let find = |name| members.iter().find(|(each, _)| each == name).map(|(_, json)| json.clone());
        let (regex, options) = (find("$regex"), find("$options"));
        self.each(members, |parser, name, json| match name {
            "$regex" => parser.regex(&json, options.as_ref()),
            "$options" => {
                if regex.is_none() {
                    parser.refuse("`$options` needs a `$regex` beside it.");
                }
                None
            }
            _ => parser.operator(name, json),
        })
    }

    fn operator(&mut self, name: &str, json: Json<'_>) -> Option<Predicate> {
        let compare = |comparison| move |operand| Predicate::Compare(comparison, operand);
        match name {
            // A regular expression is compared as a value here, and taken as a pattern everywhere else.
            "$eq" => self.value(json).map(compare(Comparison::Equal)),
            "$gt" => self.operand(json).map(compare(Comparison::Greater)),
            "$gte" => self.operand(json).map(compare(Comparison::GreaterOrEqual)),
            "$lt" => self.operand(json).map(compare(Comparison::Less)),
            "$lte" => self.operand(json).map(compare(Comparison::LessOrEqual)),
            "$ne" => self.operand(json).map(Predicate::NotEqual),
            "$in" => self.set(json).map(Predicate::In),
            "$nin" => self.set(json).map(Predicate::NotIn),
            "$all" => self.all(json),
            "$elemMatch" => self.element_match(json).map(Predicate::ElementMatch),
            "$exists" => self.exists(json),
            "$size" => self.size(json),
            "$not" => self.not(json),
            _ => {
                self.refuse(format!("`{}` is not an operator of a filter: {OPERATORS} are.", short(name)));
                None
            }
        }
    }

    /// A value.
    fn value(&mut self, json: Json<'_>) -> Option<RawBson> {
        let value = self.reader.value(json);
        if value == Bson::Undefined {
            self.refuse("A comparison with `undefined` is not possible.");
            return None;
        }
        // The reader lets nothing pass that BSON cannot hold.
        RawBson::try_from(value).ok()
    }

    /// A value that is not a pattern.
    fn operand(&mut self, json: Json<'_>) -> Option<RawBson> {
        let value = self.value(json)?;
        if matches!(value, RawBson::RegularExpression(_)) {
            self.refuse("Must not be a regular expression; use `$regex`.");
            return None;
        }
        Some(value)
    }

    /// Values in their order, none twice: there may be many, and they are searched for every document.
    fn list(&mut self, json: Json<'_>) -> Option<Vec<RawBson>> {
        let Json::Array(items) = json else {
            self.refuse("Must be a list of values.");
            return None;
        };
        if items.len() > FILTER_LIST_MAX_ITEMS {
            self.refuse(format!("Must have at most {FILTER_LIST_MAX_ITEMS} values."));
            return None;
        }
        self.price.list_items += items.len();
        let mut operands = self.each_item(items, Self::operand);
        operands.sort_by(|a, b| compare(a.as_raw_bson_ref(), b.as_raw_bson_ref()));
        Some(operands)
    }

    /// Values of which it does not matter how often each is there.
    fn set(&mut self, json: Json<'_>) -> Option<Vec<RawBson>> {
        let mut operands = self.list(json)?;
        operands.dedup_by(|a, b| compare(a.as_raw_bson_ref(), b.as_raw_bson_ref()).is_eq());
        Some(operands)
    }

    fn all(&mut self, json: Json<'_>) -> Option<Predicate> {
        match json {
            Json::Array(items) if items.iter().any(is_element_match) => self
                .deeper(|parser| {
                    if items.len() > FILTER_LIST_MAX_ITEMS {
                        parser.refuse(format!("Must have at most {FILTER_LIST_MAX_ITEMS} values."));
                        return None;
                    }
                    Some(parser.each_item(items, Self::element_match_alone))
                })
                .map(Predicate::AllMatch),
            other => self.list(other).map(RequiredValues::new).map(Predicate::All),
        }
    }

    /// Only `{"$elemMatch": ..}`.
    fn element_match_alone(&mut self, json: Json<'_>) -> Option<ElementMatch> {
        match json {
            Json::Object(members) if members.len() == 1 && members[0].0 == "$elemMatch" => {
                self.each(members, |parser, _, json| parser.element_match(json)).pop()
            }
            _ => {
                self.refuse("Nothing else is allowed beside an `$elemMatch`.");
                None
            }
        }
    }

    fn element_match(&mut self, json: Json<'_>) -> Option<ElementMatch> {
        let Json::Object(members) = json else {
            self.refuse("Must be an object.");
            return None;
        };
        if members.first().is_some_and(|(name, _)| is_wrapper(name)) {
            self.refuse("Must be conditions, not a value.");
            return None;
        }
        let is_value = has_operators(&members) && !matches!(&*members[0].0, "$and" | "$or" | "$nor");
        let outer = std::mem::replace(&mut self.path, Path::parse_relative);
        let element = self.deeper(|parser| {
            Some(if is_value {
                ElementMatch::Value(parser.operators(members))
            } else {
                ElementMatch::Document(parser.filter(members))
            })
        });
        self.path = outer;
        element
    }

    fn not(&mut self, json: Json<'_>) -> Option<Predicate> {
        match json {
            Json::Object(members) if has_operators(&members) => {
                self.deeper(|parser| Some(Predicate::Not(parser.operators(members))))
            }
            _ => {
                self.refuse("Must be an object of operators.");
                None
            }
        }
    }

    /// A truth value, or the number 0 or 1 of any type, as canonical clients write it.
    fn exists(&mut self, json: Json<'_>) -> Option<Predicate> {
        let value = self.reader.value(json);
        let is =
            |number: i32| RawBson::try_from(value.clone()).is_ok_and(|value| is_equal_to(&value, number));
        match value {
            Bson::Boolean(value) => Some(Predicate::Exists(value)),
            _ if is(0) => Some(Predicate::Exists(false)),
            _ if is(1) => Some(Predicate::Exists(true)),
            _ => {
                self.refuse("Must be true or false.");
                None
            }
        }
    }

    fn size(&mut self, json: Json<'_>) -> Option<Predicate> {
        match self.reader.value(json) {
            Bson::Int32(size) if size >= 0 => Some(Predicate::Size(size.into())),
            Bson::Int64(size) if size >= 0 => Some(Predicate::Size(size)),
            _ => {
                self.refuse("Must be a whole number from 0.");
                None
            }
        }
    }

    fn regex(&mut self, pattern: &Json<'_>, options: Option<&Json<'_>>) -> Option<Predicate> {
        let options = match options {
            None => "",
            Some(Json::String(options)) => options,
            Some(_) => {
                self.refuse("Its `$options` must be a string.");
                return None;
            }
        };
        let Json::String(pattern) = pattern else {
            self.refuse("Must be a string.");
            return None;
        };
        let pattern = self.reader.problems.check("", Pattern::parse(pattern, options))?;
        self.pay(|price| price.states += pattern.states()).then_some(Predicate::Regex(pattern))
    }
}

fn is_equal_to(value: &RawBson, number: i32) -> bool {
    compare(value.as_raw_bson_ref(), RawBson::Int32(number).as_raw_bson_ref()).is_eq()
}

/// Whether an object holds operators: as in MongoDB, its first member decides.
fn has_operators(members: &JsonMembers<'_>) -> bool {
    members.first().is_some_and(|(name, _)| name.starts_with('$') && !is_wrapper(name))
        && !is_reference(members)
}

fn is_element_match(json: &Json<'_>) -> bool {
    matches!(json, Json::Object(members) if members.first().is_some_and(|(name, _)| name == "$elemMatch"))
}

/// The operator's name from the request, shortened for the error.
fn short(name: &str) -> String {
    name.chars().take(50).collect()
}
