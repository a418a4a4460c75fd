//! Reads a schema: the check by the meta-schema of JSON Schema 2020-12, and what is refused beyond that.
//!
//! Unknown keywords are annotations, as the dialect says. Keywords of earlier drafts and of MongoDB's own schemas that
//! would be silently without effect are refused, with the word that takes their place.

use super::compiled::Schema;
use super::keywords::{Arrays, Composition, Keywords, Node, NodeId, Objects};
use super::number::Number;
use super::reader::{DIALECT, Reference, SchemaReader, place_of};
use super::references::{is_anchor, resolve};
use super::text::write;
use super::values::Bound;
use crate::document::{Json, JsonMembers};
use crate::error::{Error, Result};
use crate::limits::{SCHEMA_MAX_BYTES, SCHEMA_MAX_NODES};
use std::collections::HashSet;

impl Schema {
    /// Reads a schema; `at` is the pointer of the schema within the request.
    ///
    /// # Errors
    /// `invalid_input` with everything that is not allowed.
    pub fn parse(json: &str, at: &str) -> Result<Self> {
        if json.len() > SCHEMA_MAX_BYTES {
            let detail = format!("May have at most {SCHEMA_MAX_BYTES} bytes.");
            return Err(Error::invalid_field(at, detail));
        }
        let root = Json::parse_part(json).map_err(|error| Error::invalid_field(at, error))?;
        let mut reader = SchemaReader::new(at);
        reader.schema(&root);
        resolve(&mut reader, &root);
        reader.problems.finish()?;
        let mut text = String::with_capacity(json.len());
        write(&root, &mut text);
        Ok(Self { nodes: reader.nodes, states: reader.states, patterns: reader.patterns, text })
    }
}

impl SchemaReader {
    /// Reads a subschema; nests no deeper than JSON may.
    pub(super) fn schema(&mut self, json: &Json<'_>) -> NodeId {
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

    fn keywords(&mut self, node: NodeId, members: &JsonMembers<'_>) -> Keywords {
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
                number.bounds.extend(self.number(value).map(|limit| bound(limit, true, true)));
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
}
