//! What a schema is read with: where the reader is, what it has found, and the operands of keywords, each read by its type.

use super::canonical::encode_json;
use super::keywords::{Node, NodeId, Values};
use super::number::Number;
use super::text::write;
use super::values::Types;
use crate::document::{FieldErrors, Json};
use crate::filter::Pattern;
use crate::limits::{SCHEMA_MAX_PATTERNS, SCHEMA_MAX_STATES};
use std::collections::{HashMap, HashSet};

/// The one dialect.
pub(super) const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Characters of values that a sentence repeats.
const SHOWN_CHARS: usize = 100;

/// A reference as it was written.
pub(super) struct Reference {
    /// The subschema that has it.
    pub(super) from: NodeId,
    /// Its pointer within the request.
    pub(super) pointer: String,
    pub(super) target: String,
}

/// Reads a schema, and collects what is wrong with it.
pub(super) struct SchemaReader {
    pub(super) problems: FieldErrors,
    pub(super) nodes: Vec<Node>,
    /// The subschemas by where they are in memory: references lead to some of them.
    pub(super) places: HashMap<usize, NodeId>,
    pub(super) anchors: HashMap<String, NodeId>,
    pub(super) references: Vec<Reference>,
    /// The `$id` of the whole.
    pub(super) id: Option<String>,
    pub(super) states: usize,
    pub(super) patterns: usize,
    pub(super) is_full: bool,
}

/// Where a JSON value is in memory.
pub(super) fn place_of(json: &Json<'_>) -> usize {
    std::ptr::from_ref(json) as usize
}

impl SchemaReader {
    pub(super) fn new(at: &str) -> Self {
        Self {
            problems: FieldErrors::new(at),
            nodes: Vec::new(),
            places: HashMap::new(),
            anchors: HashMap::new(),
            references: Vec::new(),
            id: None,
            states: 0,
            patterns: 0,
            is_full: false,
        }
    }

    pub(super) fn text<'j>(&mut self, value: &'j Json<'_>) -> Option<&'j str> {
        match value {
            Json::String(text) => Some(text),
            _ => {
                self.problems.refuse("Must be a string.");
                None
            }
        }
    }

    pub(super) fn boolean(&mut self, value: &Json<'_>) -> bool {
        if !matches!(value, Json::Bool(_)) {
            self.problems.refuse("Must be `true` or `false`.");
        }
        *value == Json::Bool(true)
    }

    pub(super) fn number(&mut self, value: &Json<'_>) -> Option<Number> {
        match value {
            Json::Number(digits) => self.problems.check("", Number::parse(digits)),
            _ => {
                self.problems.refuse("Must be a number.");
                None
            }
        }
    }

    pub(super) fn count(&mut self, value: &Json<'_>) -> Option<u64> {
        let count = match value {
            Json::Number(digits) => Number::parse(digits).ok().and_then(Number::whole),
            _ => None,
        };
        let count = count.and_then(|count| u64::try_from(count).ok());
        if count.is_none() {
            self.problems.refuse("Must be a whole number of at least 0.");
        }
        count
    }

    pub(super) fn types(&mut self, value: &Json<'_>) -> Option<Types> {
        let mut types = Types::default();
        let names = match value {
            Json::String(_) => std::slice::from_ref(value),
            Json::Array(names) if !names.is_empty() => names,
            _ => {
                self.problems.refuse("Must be the name of a type, or an array of some.");
                return None;
            }
        };
        for name in names {
            let name = self.text(name)?;
            if self.problems.check("", types.add(name)) == Some(false) {
                self.problems.refuse(format!("Names `{name}` twice: keep one."));
            }
        }
        Some(types)
    }

    pub(super) fn values(&mut self, values: &[Json<'_>]) -> Option<Values> {
        let mut read = Values::default();
        let mut shown = Vec::with_capacity(values.len());
        for value in values {
            let mut encoded = Vec::new();
            self.problems.check("", encode_json(value, &mut encoded))?;
            read.longest = read.longest.max(encoded.len());
            read.encoded.insert(encoded);
            let mut text = String::new();
            write(value, &mut text);
            shown.push(text);
        }
        let shown = shown.join(", ");
        read.sentence = match values.len() {
            1 if shown.len() <= SHOWN_CHARS => format!("Must be {shown}."),
            _ if shown.len() <= SHOWN_CHARS && !shown.is_empty() => format!("Must be one of {shown}."),
            _ => "Must be one of the values that the schema lists.".to_owned(),
        };
        Some(read)
    }

    pub(super) fn names(&mut self, value: &Json<'_>) -> Vec<String> {
        let Json::Array(items) = value else {
            self.problems.refuse("Must be an array of names.");
            return Vec::new();
        };
        let (mut names, mut met) = (Vec::with_capacity(items.len()), HashSet::new());
        for (index, item) in items.iter().enumerate() {
            let length = self.problems.push_index(index);
            if let Some(name) = self.text(item) {
                if met.insert(name) {
                    names.push(name.to_owned());
                } else {
                    self.problems.refuse("Is named twice: keep one.");
                }
            }
            self.problems.pop(length);
        }
        names
    }

    pub(super) fn pattern(&mut self, text: &str) -> Option<Pattern> {
        let pattern = self.problems.check("", Pattern::parse_exact(text))?;
        self.patterns += 1;
        self.states += pattern.states();
        if self.patterns > SCHEMA_MAX_PATTERNS {
            self.problems.refuse(format!("A schema may have at most {SCHEMA_MAX_PATTERNS} patterns."));
            return None;
        }
        if self.states > SCHEMA_MAX_STATES {
            let detail = format!(
                "The patterns of a schema may have at most {SCHEMA_MAX_STATES} states when compiled: use fewer or smaller \
                 repetitions."
            );
            self.problems.refuse(detail);
            return None;
        }
        Some(pattern)
    }

    pub(super) fn schema_list(&mut self, value: &Json<'_>) -> Vec<NodeId> {
        let Json::Array(items) = value else {
            self.problems.refuse("Must be an array of schemas.");
            return Vec::new();
        };
        if items.is_empty() {
            self.problems.refuse("Must have at least one schema.");
        }
        let mut nodes = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let length = self.problems.push_index(index);
            nodes.push(self.schema(item));
            self.problems.pop(length);
        }
        nodes
    }

    pub(super) fn schema_map(&mut self, value: &Json<'_>) -> Vec<(String, NodeId)> {
        self.map(value, Self::schema)
    }

    pub(super) fn map<T>(
        &mut self,
        value: &Json<'_>,
        read: fn(&mut Self, &Json<'_>) -> T,
    ) -> Vec<(String, T)> {
        let Json::Object(members) = value else {
            self.problems.refuse("Must be an object.");
            return Vec::new();
        };
        let (mut all, mut met) = (Vec::with_capacity(members.len()), HashSet::new());
        for (name, value) in members {
            let length = self.problems.push(name);
            if met.insert(name) {
                all.push((name.to_string(), read(self, value)));
            } else {
                self.problems.refuse("Occurs twice: keep one.");
            }
            self.problems.pop(length);
        }
        all
    }
}
