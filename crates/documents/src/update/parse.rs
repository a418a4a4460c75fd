//! From JSON to an [`Update`], by allow-list: every operator, path and operand is understood or refused, each at its JSON
//! pointer.

use super::operands::{self, OperandReader, ReadMembers};
use super::operator::{Leaf, UpdateOperator};
use super::tree::{Node, PathStep};
use super::{Update, UpdatePointers, paths};
use crate::document::{ExtendedJsonReader, FieldErrors, ID_FIELD, Json, JsonMembers};
use crate::error::{Error, Result};
use crate::filter::{Filter, FilterPrice};
use crate::limits::UPDATE_MAX_PATHS;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The operators that are allowed.
const OPERATORS: [&str; 15] = [
    "$set",
    "$unset",
    "$inc",
    "$mul",
    "$min",
    "$max",
    "$rename",
    "$setOnInsert",
    "$currentDate",
    "$push",
    "$addToSet",
    "$pull",
    "$pullAll",
    "$pop",
    "$bit",
];

/// An update with the filters of its arrays, while they are read.
pub struct UpdateParser {
    operands: OperandReader,
    root: Node,
    /// The sources of `$rename`.
    sources: Vec<Vec<Box<str>>>,
    filters: BTreeMap<Box<str>, Filter>,
    used: BTreeSet<Box<str>>,
    /// Whether a filter was refused so that its name is not known: then no path is refused for the lack of it.
    lacks_filters: bool,
    paths: usize,
    needs_position: bool,
    id_pointer: Option<Box<str>>,
    renamed_to_id: Vec<usize>,
}

/// Reads an update, and the filters of its arrays.
///
/// # Errors
/// `invalid_input` with every bad field of both.
pub fn parse(update: &str, array_filters: Option<&str>, at: UpdatePointers<'_>) -> Result<Update> {
    let mut parser = UpdateParser {
        operands: OperandReader {
            reader: ExtendedJsonReader::new(FieldErrors::new(at.array_filters)),
            price: FilterPrice::default(),
        },
        root: Node::root(),
        sources: Vec::new(),
        filters: BTreeMap::new(),
        used: BTreeSet::new(),
        lacks_filters: false,
        paths: 0,
        needs_position: false,
        id_pointer: None,
        renamed_to_id: Vec::new(),
    };
    let names = parser.array_filters(array_filters.unwrap_or("[]"), at.array_filters)?;
    let earlier =
        std::mem::replace(&mut parser.operands.reader, ExtendedJsonReader::new(FieldErrors::new(at.update)));
    let json = Json::parse_part(update).map_err(|error| Error::invalid_field(at.update, error))?;
    match json {
        Json::Object(members) if !members.is_empty() => parser.update(members),
        Json::Object(_) => parser.refuse("Must have at least one operator, such as `$set`."),
        Json::Array(_) => {
            parser.refuse("Pipelines are not supported: give an object of operators, such as `$set`.");
        }
        _ => parser.refuse("Must be an object of operators, such as `$set`."),
    }
    let unused: Vec<usize> =
        names.iter().filter(|(_, name)| !parser.used.contains(name)).map(|(index, _)| *index).collect();
    let mut found = Vec::new();
    let mut filters = earlier.problems;
    for index in unused {
        let length = filters.push_index(index);
        filters.refuse("No path of the update uses this filter: a path with `$[name]` does.");
        filters.pop(length);
    }
    for problems in [filters, parser.operands.reader.problems] {
        if let Err(error) = problems.finish() {
            found.extend_from_slice(error.fields());
        }
    }
    if !found.is_empty() {
        return Err(Error::Invalid(found));
    }
    Ok(Update {
        root: parser.root,
        sources: parser.sources,
        filters: parser.filters,
        needs_position: parser.needs_position,
        id_pointer: parser.id_pointer,
        renamed_to_id: parser.renamed_to_id,
        pointer: at.update.into(),
        bytes: update.len() + array_filters.map_or(0, str::len),
        paths: parser.paths,
        price: parser.operands.price,
    })
}

impl ReadMembers for UpdateParser {
    fn problems(&mut self) -> &mut FieldErrors {
        &mut self.operands.reader.problems
    }
}

impl UpdateParser {
    /// The filters of arrays by their names; returns the name of each, by its place in the list.
    fn array_filters(&mut self, json: &str, at: &str) -> Result<Vec<(usize, Box<str>)>> {
        let json = Json::parse_part(json).map_err(|error| Error::invalid_field(at, error))?;
        let mut names = Vec::new();
        let Json::Array(items) = json else {
            self.refuse("Must be a list of filters.");
            self.lacks_filters = true;
            return Ok(names);
        };
        for (index, item) in items.into_iter().enumerate() {
            let length = self.problems().push_index(index);
            let name = self.array_filter(item);
            self.lacks_filters |= name.is_none();
            names.extend(name.map(|name| (index, name)));
            self.problems().pop(length);
        }
        Ok(names)
    }

    fn array_filter(&mut self, json: Json<'_>) -> Option<Box<str>> {
        let Json::Object(members) = json else {
            self.refuse("Must be a filter, an object.");
            return None;
        };
        let filter = {
            let OperandReader { reader, price } = &mut self.operands;
            Filter::of_members(members, reader, price)
        };
        let heads: Vec<&str> = filter.heads().into_iter().collect();
        let name: Box<str> = match heads.as_slice() {
            [name] => (*name).into(),
            [] => {
                self.refuse(
                    "Must have a condition on the name of the filter, such as `{\"item.price\": 5}`.",
                );
                return None;
            }
            _ => {
                self.refuse("All its conditions must begin with one name.");
                return None;
            }
        };
        let is_good = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_good {
            self.refuse("Its name must be ASCII letters and digits, beginning with a lower-case letter.");
            return None;
        }
        if filter.has_empty_list() {
            self.refuse("Must not have a condition on an empty list: it holds for no item or for all.");
        }
        if self.filters.insert(name.clone(), filter).is_some() {
            self.refuse("Another filter has the same name.");
            return None;
        }
        Some(name)
    }

    fn update(&mut self, members: JsonMembers<'_>) {
        self.each(members, |parser, name, json| {
            if !OPERATORS.contains(&name) {
                let name: String = name.chars().take(30).collect();
                parser.refuse(if name.starts_with('$') {
                    format!("`{name}` is not an operator of an update: {} are.", OPERATORS.join(", "))
                } else {
                    "An update consists of operators, such as `$set`. To replace the document, use PUT."
                        .to_owned()
                });
                return;
            }
            match json {
                Json::Object(operands) => {
                    parser.each(operands, |parser, path, operand| parser.operand(name, path, operand));
                }
                _ => parser.refuse("Must be an object of paths."),
            }
        });
    }

    fn operand(&mut self, operator: &str, path: &str, json: Json<'_>) {
        self.paths += 1;
        if self.paths > UPDATE_MAX_PATHS {
            if self.paths == UPDATE_MAX_PATHS + 1 {
                self.refuse(format!("An update may have at most {UPDATE_MAX_PATHS} paths."));
            }
            return;
        }
        if operator == "$rename" {
            return self.rename(path, &json);
        }
        let steps = paths::parse(path);
        let steps = self.problems().check("", steps);
        let read = operands::read(&mut self.operands, operator, json);
        if let (Some(steps), Some(read)) = (steps, read) {
            self.insert(&steps, read, operator == "$setOnInsert");
        }
    }

    fn rename(&mut self, from: &str, json: &Json<'_>) {
        let Json::String(to) = json else {
            return self.refuse("Must be the new path, a string.");
        };
        let source = self.problems().check("", paths::parse_static(from));
        let target = self.problems().check("", paths::parse_static(to));
        let (Some(source), Some(target)) = (source, target) else { return };
        if source.starts_with(&target) || target.starts_with(&source) {
            return self.refuse("The old and the new path must not be the same, nor one within the other.");
        }
        let number = self.sources.len();
        if paths::names(&target).first().is_some_and(|name| &**name == ID_FIELD) {
            self.renamed_to_id.push(number);
        }
        self.sources.push(paths::names(&source));
        self.insert(&source, UpdateOperator::RenameSource, false);
        self.insert(&target, UpdateOperator::Rename(number), false);
    }

    fn insert(&mut self, steps: &[PathStep], operator: UpdateOperator, only_on_insert: bool) {
        let pointer: Box<str> = self.problems().pointer().into();
        for step in steps {
            match step {
                PathStep::Filtered(name) if !self.filters.contains_key(name) => {
                    if self.lacks_filters {
                        return;
                    }
                    let name: String = name.chars().take(30).collect();
                    return self.refuse(format!("No filter in `arrayFilters` is named `{name}`."));
                }
                PathStep::Filtered(name) => {
                    self.used.insert(name.clone());
                }
                PathStep::Matched => self.needs_position = true,
                PathStep::Field(_) | PathStep::All => {}
            }
        }
        if matches!(&steps[0], PathStep::Field(name) if **name == *ID_FIELD) {
            self.id_pointer.get_or_insert_with(|| pointer.clone());
        }
        let leaf = Arc::new(Leaf { operator, pointer, only_on_insert });
        if let Err(depth) = self.root.insert(steps, leaf) {
            let place = text_of(&steps[..depth]);
            self.refuse(format!("Another path of the update conflicts with this one at `{place}`."));
        }
    }
}

fn text_of(steps: &[PathStep]) -> String {
    let text = |step: &PathStep| match step {
        PathStep::Field(name) => name.to_string(),
        PathStep::Matched => "$".to_owned(),
        PathStep::All => "$[]".to_owned(),
        PathStep::Filtered(name) => format!("$[{name}]"),
    };
    steps.iter().map(text).collect::<Vec<_>>().join(".")
}
