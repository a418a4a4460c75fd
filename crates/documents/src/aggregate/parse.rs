//! From JSON to a [`Pipeline`], by allow-list.
//!
//! The parser counts the nodes of all expressions and the levels that stages add to a document, and stops at the first
//! bound that is exceeded. Nothing is skipped: every member is understood or refused.

mod expression;
mod group;
mod project;

use super::pipeline::Pipeline;
use super::source::Source;
use super::syntax::{Stage, StageKind, Unwind};
use crate::document::order::{Direction, compare};
use crate::document::{ExtendedJsonReader, FieldErrors, Json, JsonMembers, Path, RESERVED_FIELD};
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::limits::{
    PIPELINE_ADDED_MAX_LEVELS, PIPELINE_MAX_NODES, PIPELINE_MAX_STAGES, PIPELINE_SORT_MAX_KEYS,
    PIPELINE_STAGE_MAX_LEVELS,
};
use crate::sort::SortKey;
use bson::Bson;
use bson::raw::RawBson;
use std::collections::HashSet;

pub fn parse(json: &str, at: &str) -> Result<Pipeline> {
    let list = Json::parse_part(json).map_err(|error| Error::invalid_field(at, error))?;
    let mut parser = PipelineParser {
        reader: ExtendedJsonReader::new(FieldErrors::new(at)),
        bytes: json.len(),
        nodes: 0,
        is_beyond: false,
        levels: 0,
        stage_levels: 0,
        added_levels: 0,
    };
    let mut stages = parser.stages(list);
    parser.reader.problems.finish()?;
    let source = Source::split(&mut stages);
    Ok(Pipeline { source, stages })
}

struct PipelineParser {
    reader: ExtendedJsonReader,
    /// Of the whole pipeline as JSON.
    bytes: usize,
    nodes: usize,
    /// Whether a bound was exceeded, so that there is no use in reading on.
    is_beyond: bool,
    /// The level within the stage at hand, and the deepest one.
    levels: usize,
    stage_levels: usize,
    /// Levels that all stages may add to a document.
    added_levels: usize,
}

impl PipelineParser {
    fn refuse(&mut self, detail: impl Into<String>) {
        self.reader.problems.refuse(detail);
    }

    /// Refuses what is beyond a bound, once, and ends the reading.
    fn refuse_beyond(&mut self, detail: impl Into<String>) {
        if !self.is_beyond {
            self.refuse(detail);
            self.is_beyond = true;
        }
    }

    fn at(&self) -> Box<str> {
        self.reader.problems.pointer().into()
    }

    /// Calls `read` for each member, at its pointer; refuses a duplicate name.
    fn each<'a>(&mut self, members: JsonMembers<'a>, mut read: impl FnMut(&mut Self, &str, Json<'a>)) {
        let mut seen = HashSet::new();
        for (name, json) in members {
            let length = self.reader.problems.push(&name);
            if seen.contains(&name) {
                self.refuse("Is given twice: give it once.");
            } else {
                read(self, &name, json);
            }
            self.reader.problems.pop(length);
            if self.is_beyond {
                return;
            }
            seen.insert(name);
        }
    }

    /// Whether one more node is allowed.
    fn count(&mut self) -> bool {
        self.nodes += 1;
        if self.nodes > PIPELINE_MAX_NODES {
            self.refuse_beyond(format!(
                "A pipeline may have at most {PIPELINE_MAX_NODES} operators, values and fields."
            ));
        }
        !self.is_beyond
    }

    /// Calls `read` one level down, if one more is allowed.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.levels == PIPELINE_STAGE_MAX_LEVELS {
            self.refuse_beyond(format!(
                "Expressions may be nested at most {PIPELINE_STAGE_MAX_LEVELS} levels deep."
            ));
            return None;
        }
        self.levels += 1;
        self.stage_levels = self.stage_levels.max(self.levels);
        let result = read(self);
        self.levels -= 1;
        result
    }

    fn stages(&mut self, list: Json<'_>) -> Vec<Stage> {
        let Json::Array(list) = list else {
            self.refuse("Must be a list of stages.");
            return Vec::new();
        };
        if list.len() > PIPELINE_MAX_STAGES {
            self.refuse(format!("A pipeline may have at most {PIPELINE_MAX_STAGES} stages."));
            return Vec::new();
        }
        let mut stages = Vec::with_capacity(list.len());
        for (index, stage) in list.into_iter().enumerate() {
            let length = self.reader.problems.push_index(index);
            stages.extend(self.stage(stage));
            self.reader.problems.pop(length);
            if self.is_beyond {
                break;
            }
        }
        stages
    }

    fn stage(&mut self, json: Json<'_>) -> Option<Stage> {
        let Json::Object(members) = json else {
            self.refuse("Must be a stage: an object with one member, such as `$match`.");
            return None;
        };
        let Ok([(name, json)]) = <[_; 1]>::try_from(members) else {
            self.refuse("A stage has exactly one member, such as `$match`.");
            return None;
        };
        let length = self.reader.problems.push(&name);
        self.stage_levels = 0;
        let kind = self.stage_kind(&name, json);
        // A list of what a group collects is one level more.
        self.added_levels += self.stage_levels + if name == "$group" { 2 } else { 0 };
        if self.added_levels > PIPELINE_ADDED_MAX_LEVELS {
            self.refuse_beyond(format!(
                "All stages may add at most {PIPELINE_ADDED_MAX_LEVELS} levels to a document."
            ));
        }
        let at = self.at();
        self.reader.problems.pop(length);
        Some(Stage { at, kind: kind? })
    }

    fn stage_kind(&mut self, name: &str, json: Json<'_>) -> Option<StageKind> {
        match name {
            "$match" => self.filter(json).map(StageKind::Match),
            "$unwind" => self.unwind(json).map(StageKind::Unwind),
            "$group" => self.group(json).map(StageKind::Group),
            "$sort" => self.sort(json).map(StageKind::Sort),
            "$limit" => self.whole_number(json, 1).map(StageKind::Limit),
            "$skip" => self.whole_number(json, 0).map(StageKind::Skip),
            "$project" => self.project(json),
            "$addFields" | "$set" => self.add_fields(json).map(StageKind::AddFields),
            "$count" => self.count_name(&json).map(StageKind::Count),
            _ => {
                self.refuse(
                    "Is not a stage that a pipeline may have: $match, $unwind, $group, $sort, $limit, $skip, $project, \
                     $addFields and $count are.",
                );
                None
            }
        }
    }

    fn object<'a>(&mut self, json: Json<'a>) -> Option<JsonMembers<'a>> {
        match json {
            Json::Object(members) => Some(members),
            _ => {
                self.refuse("Must be an object.");
                None
            }
        }
    }

    fn filter(&mut self, json: Json<'_>) -> Option<Filter> {
        let members = self.object(json)?;
        let filter = Filter::parse_members(members, self.reader.problems.pointer(), self.bytes);
        self.reader.problems.absorb(filter)
    }

    /// A path of the request that begins with `$`.
    fn dollar_path(&mut self, json: &Json<'_>) -> Option<Path> {
        let text = match json {
            Json::String(text) => text.strip_prefix('$'),
            _ => None,
        };
        let Some(text) = text else {
            self.refuse("Must be a path that begins with `$`.");
            return None;
        };
        self.reader.problems.check("", Path::parse(text))
    }

    fn unwind(&mut self, json: Json<'_>) -> Option<Unwind> {
        let Json::Object(members) = json else {
            return Some(Unwind { path: self.dollar_path(&json)?, index: None, keeps_empty: false });
        };
        let (mut path, mut index, mut keeps_empty, mut has_path) = (None, None, false, false);
        self.each(members, |parser, name, json| match (name, json) {
            ("path", json) => {
                has_path = true;
                path = parser.dollar_path(&json);
            }
            ("includeArrayIndex", Json::String(name)) => index = parser.field_name(&name),
            ("includeArrayIndex", _) => parser.refuse("Must be the name of a field."),
            ("preserveNullAndEmptyArrays", Json::Bool(keeps)) => keeps_empty = keeps,
            ("preserveNullAndEmptyArrays", _) => parser.refuse("Must be true or false."),
            _ => parser.refuse("Is not a member of `$unwind`, which has `path`, `includeArrayIndex` and `preserveNullAndEmptyArrays`."),
        });
        if !has_path {
            self.refuse("Needs a `path`.");
        }
        let path = path?;
        if index.as_deref() == Some(path.head()) {
            self.refuse("`includeArrayIndex` must not be the first part of the path.");
            return None;
        }
        Some(Unwind { path, index, keeps_empty })
    }

    /// The name of a field at the top of a document.
    fn field_name(&mut self, name: &str) -> Option<Box<str>> {
        let wrong = if name.is_empty() {
            "Must not be empty."
        } else if name.starts_with('$') {
            "Must not begin with `$`."
        } else if name.contains('.') {
            "Must not contain `.`: it is the name of a field, not a path."
        } else if name.contains('\0') {
            "Must not contain NUL."
        } else if name == RESERVED_FIELD {
            "Is reserved for the service."
        } else {
            return Some(name.into());
        };
        self.refuse(wrong);
        None
    }

    fn sort(&mut self, json: Json<'_>) -> Option<Vec<SortKey>> {
        let members = self.object(json)?;
        if members.is_empty() || members.len() > PIPELINE_SORT_MAX_KEYS {
            self.refuse(format!("Must have 1 to {PIPELINE_SORT_MAX_KEYS} keys."));
            return None;
        }
        let mut keys = Vec::with_capacity(members.len());
        self.each(members, |parser, name, json| {
            let path = parser.reader.problems.check("", Path::parse(name));
            let direction = parser.direction(json);
            keys.extend(path.zip(direction).map(|(path, direction)| SortKey { path, direction }));
        });
        Some(keys)
    }

    fn direction(&mut self, json: Json<'_>) -> Option<Direction> {
        if matches!(json, Json::Number(_) | Json::Object(_)) {
            let value = RawBson::try_from(self.reader.value(json)).unwrap_or(RawBson::Null);
            for (number, direction) in [(1, Direction::Ascending), (-1, Direction::Descending)] {
                if compare(value.as_raw_bson_ref(), RawBson::Int32(number).as_raw_bson_ref()).is_eq() {
                    return Some(direction);
                }
            }
        }
        self.refuse("Must be 1 (ascending) or -1 (descending).");
        None
    }

    fn whole_number(&mut self, json: Json<'_>, least: i64) -> Option<u64> {
        let number = match self.reader.value(json) {
            Bson::Int32(number) => Some(i64::from(number)),
            Bson::Int64(number) => Some(number),
            _ => None,
        };
        let number = number.filter(|number| *number >= least).and_then(|number| u64::try_from(number).ok());
        if number.is_none() {
            self.refuse(format!("Must be a whole number from {least}."));
        }
        number
    }

    fn count_name(&mut self, json: &Json<'_>) -> Option<Box<str>> {
        match json {
            Json::String(name) => self.field_name(name),
            _ => {
                self.refuse("Must be the name of a field.");
                None
            }
        }
    }
}
