//! Reads a schema: the check by the meta-schema of JSON Schema 2020-12, and what is refused beyond that.
//!
//! Unknown keywords are annotations, as the dialect says. Keywords of earlier drafts and of MongoDB's own schemas that
//! would be silently without effect are refused, with the word that takes their place.

use super::Schema;
use super::canonical::encode_json;
use super::keywords::{Arrays, Composition, Keywords, Node, NodeId, Objects, Values};
use super::references::{Reference, is_anchor, resolve};
use super::values::{Bound, Number, Types};
use crate::document::{FieldErrors, Json, Members};
use crate::error::{Error, Result};
use crate::filter::Pattern;
use crate::limits::{SCHEMA_MAX_BYTES, SCHEMA_MAX_NODES, SCHEMA_MAX_PATTERNS, SCHEMA_MAX_STATES};
use std::collections::{HashMap, HashSet};

/// The one dialect.
pub(super) const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Characters of values that a sentence repeats.
const SHOWN_CHARS: usize = 100;

/// See [`Schema::parse`].
pub fn parse(text: &str, at: &str) -> Result<Schema> {
    if text.len() > SCHEMA_MAX_BYTES {
        let detail = format!("May have at most {SCHEMA_MAX_BYTES} bytes.");
        return Err(Error::invalid_field(at, detail));
    }
    let json = Json::parse(text).map_err(|error| Error::invalid_field(at, error.to_string()))?;
    let mut reader = Reader::new(at);
    reader.schema(&json);
    resolve(&mut reader, &json);
    reader.problems.finish()?;
    let mut text = String::with_capacity(text.len());
    write(&json, &mut text);
    Ok(Schema { nodes: reader.nodes, states: reader.states, patterns: reader.patterns, text })
}

/// Reads a schema, and collects what is wrong with it.
pub(super) struct Reader {
    pub(super) problems: FieldErrors,
    pub(super) nodes: Vec<Node>,
    /// The subschemas by where they are in memory: references lead to some of them.
    pub(super) places: HashMap<usize, NodeId>,
    pub(super) anchors: HashMap<String, NodeId>,
    pub(super) references: Vec<Reference>,
    /// The `$id` of the whole.
    pub(super) id: Option<String>,
    states: usize,
    patterns: usize,
    is_full: bool,
}

/// Where a JSON value is in memory.
pub(super) fn place_of(json: &Json<'_>) -> usize {
    std::ptr::from_ref(json) as usize
}

impl Reader {
    fn new(at: &str) -> Self {
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

    /// Reads a subschema; nests no deeper than JSON may.
    fn schema(&mut self, json: &Json<'_>) -> NodeId {
        let node = self.nodes.len();
        if node >= SCHEMA_MAX_NODES {
            if !std::mem::replace(&mut self.is_full, true) {
                self.problems.refuse(format!("A schema may have at most {SCHEMA_MAX_NODES} subschemas."));
            }
            return 0;
        }
        self.nodes.push(Node::Always);
        self.places.insert(place_of(json), node);
        match json {
            Json::Bool(true) => {}
            Json::Bool(false) => self.nodes[node] = Node::Never,
            Json::Object(members) => {
                let keywords = self.keywords(node, members);
                self.nodes[node] = Node::Keywords(Box::new(keywords));
            }
            _ => self.problems.refuse("Must be a schema: an object, `true` or `false`."),
        }
        node
    }

    fn keywords(&mut self, node: NodeId, members: &Members<'_>) -> Keywords {
        let mut keywords = Keywords::default();
        let mut met = HashSet::new();
        for (name, value) in members {
            let length = self.problems.push(name);
            if met.insert(name) {
                self.keyword(node, name, value, &mut keywords);
            } else {
                self.problems.refuse("Occurs twice: keep one.");
            }
            self.problems.pop(length);
        }
        self.watch(&mut keywords);
        keywords
    }

    fn keyword(&mut self, node: NodeId, name: &str, value: &Json<'_>, keywords: &mut Keywords) {
        let is_read = self.core_keyword(node, name, value)
            || self.value_keyword(name, value, keywords)
            || self.composing_keyword(name, value, keywords)
            || self.array_keyword(name, value, keywords)
            || self.object_keyword(name, value, keywords);
        if !is_read {
            self.annotation(name, value);
        }
    }

    fn core_keyword(&mut self, node: NodeId, name: &str, value: &Json<'_>) -> bool {
        match name {
            "$schema" => {
                if self.text(value).is_some_and(|text| text.trim_end_matches('#') != DIALECT) {
                    self.problems.refuse(format!("Must be `{DIALECT}`, or be left out."));
                }
            }
            "$id" => self.identify(node, value),
            "$ref" | "$dynamicRef" => {
                if let Some(target) = self.text(value) {
                    let pointer = self.problems.pointer().to_owned();
                    self.references.push(Reference { from: node, pointer, target: target.to_owned() });
                }
            }
            "$anchor" | "$dynamicAnchor" => match self.text(value) {
                Some(anchor) if !is_anchor(anchor) => {
                    self.problems.refuse("Must be a letter or `_`, and then letters, digits and `- _ .`.");
                }
                Some(anchor) => {
                    let there = self.anchors.insert(anchor.to_owned(), node);
                    // One subschema may have one name as both.
                    if there.is_some_and(|there| there != node) {
                        self.problems.refuse("Is the name of another subschema as well.");
                    }
                }
                None => {}
            },
            "$defs" | "definitions" => _ = self.schema_map(value),
            _ => return false,
        }
        true
    }

    fn identify(&mut self, node: NodeId, value: &Json<'_>) {
        let Some(id) = self.text(value) else { return };
        if node != 0 {
            self.problems.refuse("Only the whole schema may have an `$id`: use `$anchor` for a part.");
        } else if id.trim_end_matches('#').contains('#') {
            self.problems.refuse("Must not have a fragment.");
        } else {
            self.id = Some(id.trim_end_matches('#').to_owned());
        }
    }

    fn value_keyword(&mut self, name: &str, value: &Json<'_>, keywords: &mut Keywords) -> bool {
        let bound = |limit, is_upper, is_exclusive| Bound { limit, is_upper, is_exclusive };
        let number = &mut keywords.number;
        match name {
            "type" => keywords.types = self.types(value),
            "enum" => match value {
                Json::Array(values) => keywords.one_of_values = self.values(values),
                _ => self.problems.refuse("Must be an array of values."),
            },
            "const" => keywords.constant = self.values(std::slice::from_ref(value)),
            "multipleOf" => match self.number(value) {
                Some(unit) if unit.compare(Number::Whole(0)).is_gt() => number.multiple_of = Some(unit),
                Some(_) => self.problems.refuse("Must be greater than 0."),
                None => {}
            },
            "maximum" => number.bounds.extend(self.number(value).map(|limit| bound(limit, true, false))),
            "exclusiveMaximum" => {
                number.bounds.extend(self.number(value).map(|limit| bound(limit, true, true)))
            }
            "minimum" => number.bounds.extend(self.number(value).map(|limit| bound(limit, false, false))),
            "exclusiveMinimum" => {
                number.bounds.extend(self.number(value).map(|limit| bound(limit, false, true)));
            }
            "minLength" => keywords.text.min = self.count(value),
            "maxLength" => keywords.text.max = self.count(value),
            "pattern" => keywords.text.pattern = self.text(value).and_then(|text| self.pattern(text)),
            _ => return false,
        }
        true
    }

    fn composing_keyword(&mut self, name: &str, value: &Json<'_>, keywords: &mut Keywords) -> bool {
        const NAMES: [&str; 7] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else"];
        if !NAMES.contains(&name) {
            return false;
        }
        let composition: &mut Composition = keywords.composition.get_or_insert_default();
        match name {
            "allOf" => composition.all_of = self.schema_list(value),
            "anyOf" => composition.any_of = self.schema_list(value),
            "oneOf" => composition.one_of = self.schema_list(value),
            "not" => composition.not = Some(self.schema(value)),
            "if" => composition.condition = Some(self.schema(value)),
            "then" => composition.consequence = Some(self.schema(value)),
            _ => composition.alternative = Some(self.schema(value)),
        }
        true
    }

    fn array_keyword(&mut self, name: &str, value: &Json<'_>, keywords: &mut Keywords) -> bool {
        const NAMES: [&str; 9] = [
            "minItems",
            "maxItems",
            "uniqueItems",
            "prefixItems",
            "items",
            "contains",
            "minContains",
            "maxContains",
            "unevaluatedItems",
        ];
        if !NAMES.contains(&name) {
            return false;
        }
        let array: &mut Arrays = keywords.array.get_or_insert_default();
        match name {
            "minItems" => array.min = self.count(value),
            "maxItems" => array.max = self.count(value),
            "uniqueItems" => array.is_unique = self.boolean(value),
            "prefixItems" => array.prefix = self.schema_list(value),
            "items" if matches!(value, Json::Array(_)) => {
                self.problems.refuse("Must be one schema. For a schema for each item, use `prefixItems`.");
            }
            "items" => array.items = Some(self.schema(value)),
            "contains" => array.contains = Some(self.schema(value)),
            "minContains" => array.min_contains = self.count(value),
            "maxContains" => array.max_contains = self.count(value),
            _ => array.unevaluated = Some(self.schema(value)),
        }
        true
    }

    fn object_keyword(&mut self, name: &str, value: &Json<'_>, keywords: &mut Keywords) -> bool {
        const NAMES: [&str; 10] = [
            "minProperties",
            "maxProperties",
            "properties",
            "patternProperties",
            "additionalProperties",
            "propertyNames",
            "unevaluatedProperties",
            "required",
            "dependentRequired",
            "dependentSchemas",
        ];
        if !NAMES.contains(&name) {
            return false;
        }
        let object: &mut Objects = keywords.object.get_or_insert_default();
        match name {
            "minProperties" => object.min = self.count(value),
            "maxProperties" => object.max = self.count(value),
            "properties" => object.properties = self.schema_map(value).into_iter().collect(),
            "patternProperties" => {
                for (text, node) in self.schema_map(value) {
                    let length = self.problems.push(&text);
                    object.patterns.extend(self.pattern(&text).map(|pattern| (pattern, node)));
                    self.problems.pop(length);
                }
            }
            "additionalProperties" => object.additional = Some(self.schema(value)),
            "propertyNames" => object.names = Some(self.schema(value)),
            "unevaluatedProperties" => object.unevaluated = Some(self.schema(value)),
            "required" => object.required = self.names(value),
            "dependentRequired" => {
                object.dependent_required = self.map(value, Self::names).into_iter().collect();
            }
            _ => object.dependent_schemas = self.schema_map(value),
        }
        true
    }

    /// A keyword without effect on what is valid.
    fn annotation(&mut self, name: &str, value: &Json<'_>) {
        let instead = match name {
            "bsonType" => {
                "Is MongoDB's own: use `type`. A value such as an ObjectId is an object, as the API answers it."
            }
            "dependencies" => "Is of an earlier draft: use `dependentRequired` or `dependentSchemas`.",
            "additionalItems" => "Is of an earlier draft: use `prefixItems` with `items`.",
            "$recursiveRef" | "$recursiveAnchor" => "Is of an earlier draft: use `$ref`.",
            "title" | "description" | "format" | "$comment" | "contentEncoding" | "contentMediaType" => {
                _ = self.text(value);
                return;
            }
            "deprecated" | "readOnly" | "writeOnly" => {
                self.boolean(value);
                return;
            }
            "examples" if !matches!(value, Json::Array(_)) => "Must be an array.",
            "$vocabulary" if !matches!(value, Json::Object(_)) => "Must be an object.",
            "contentSchema" => {
                self.schema(value);
                return;
            }
            _ => return,
        };
        self.problems.refuse(instead);
    }

    /// Notes which members matter by their presence.
    fn watch(&mut self, keywords: &mut Keywords) {
        let Some(object) = keywords.object.as_deref_mut() else { return };
        let mut names: Vec<String> = object.required.clone();
        for (name, others) in &object.dependent_required {
            names.push(name.clone());
            names.extend(others.iter().cloned());
        }
        names.extend(object.dependent_schemas.iter().map(|(name, _)| name.clone()));
        names.iter().for_each(|name| object.watch(name));
    }

    fn text<'j>(&mut self, value: &'j Json<'_>) -> Option<&'j str> {
        match value {
            Json::String(text) => Some(text),
            _ => {
                self.problems.refuse("Must be a string.");
                None
            }
        }
    }

    fn boolean(&mut self, value: &Json<'_>) -> bool {
        if !matches!(value, Json::Bool(_)) {
            self.problems.refuse("Must be `true` or `false`.");
        }
        *value == Json::Bool(true)
    }

    fn number(&mut self, value: &Json<'_>) -> Option<Number> {
        match value {
            Json::Number(digits) => self.problems.check("", Number::parse(digits)),
            _ => {
                self.problems.refuse("Must be a number.");
                None
            }
        }
    }

    fn count(&mut self, value: &Json<'_>) -> Option<u64> {
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

    fn types(&mut self, value: &Json<'_>) -> Option<Types> {
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

    fn values(&mut self, values: &[Json<'_>]) -> Option<Values> {
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

    fn names(&mut self, value: &Json<'_>) -> Vec<String> {
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

    fn pattern(&mut self, text: &str) -> Option<Pattern> {
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

    fn schema_list(&mut self, value: &Json<'_>) -> Vec<NodeId> {
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

    fn schema_map(&mut self, value: &Json<'_>) -> Vec<(String, NodeId)> {
        self.map(value, Self::schema)
    }

    fn map<T>(&mut self, value: &Json<'_>, read: fn(&mut Self, &Json<'_>) -> T) -> Vec<(String, T)> {
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

/// Appends `json` without white space.
fn write(json: &Json<'_>, out: &mut String) {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Json::Number(digits) => out.push_str(digits),
        Json::String(text) => out.push_str(&quoted(text)),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (index, (name, value)) in members.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                out.push_str(&quoted(name));
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}
