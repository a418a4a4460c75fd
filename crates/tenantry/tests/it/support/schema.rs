//! Whether a value is what a schema of the OpenAPI document says, as far as the document uses JSON Schema.

use serde_json::Value;
use std::collections::BTreeSet;

/// What of `value` is not as `schema` says: one line each. Members that the schema does not name count, too.
pub fn mismatches(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let checker = Checker { document };
    checker.check(schema, value, "", &mut found);
    found
}

struct Checker<'a> {
    document: &'a Value,
}

impl<'a> Checker<'a> {
    fn check(&self, schema: &'a Value, value: &Value, at: &str, found: &mut Vec<String>) {
        self.check_without_unknown(schema, value, at, found);
        let named = self.members(schema);
        if let (Some(members), false) = (value.as_object(), named.is_empty()) {
            let unknown = members.keys().filter(|name| !named.contains(name.as_str()));
            found.extend(unknown.map(|name| format!("{at}/{name} is not in the schema")));
        }
    }

    fn check_without_unknown(&self, schema: &'a Value, value: &Value, at: &str, found: &mut Vec<String>) {
        if let Some(name) = schema["$ref"].as_str() {
            return self.check_without_unknown(self.resolve(name), value, at, found);
        }
        for part in list(&schema["allOf"]) {
            self.check_without_unknown(part, value, at, found);
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let fits = |choice| {
                let mut of_this = Vec::new();
                self.check(choice, value, at, &mut of_this);
                of_this.is_empty()
            };
            if !choices.iter().any(fits) {
                found.push(format!("{at} is none of the choices"));
            }
        }
        if !has_type(&schema["type"], value) {
            found.push(format!("{at} is not of the type {}", schema["type"]));
        }
        for name in list(&schema["required"]).iter().filter_map(Value::as_str) {
            if value.get(name).is_none() {
                found.push(format!("{at}/{name} is missing"));
            }
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(value) = value.get(name) {
                self.check(schema, value, &format!("{at}/{name}"), found);
            }
        }
        if let Some(schema) = schema.get("items") {
            for (number, value) in list(value).iter().enumerate() {
                self.check(schema, value, &format!("{at}/{number}"), found);
            }
        }
    }

    /// The names of all members that the schema knows.
    fn members(&self, schema: &'a Value) -> BTreeSet<&'a str> {
        if let Some(name) = schema["$ref"].as_str() {
            return self.members(self.resolve(name));
        }
        let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        own.chain(list(&schema["allOf"]).iter().flat_map(|part| self.members(part))).collect()
    }

    fn resolve(&self, name: &str) -> &'a Value {
        let pointer = name.strip_prefix('#').unwrap_or_else(|| panic!("{name} points out of the document"));
        self.document.pointer(pointer).unwrap_or_else(|| panic!("{name} points nowhere"))
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn has_type(named: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type of JSON Schema: {other}"),
    };
    match named {
        Value::Null => true,
        Value::String(name) => is(name),
        names => list(names).iter().filter_map(Value::as_str).any(is),
    }
}

#[test]
fn value_is_checked_against_schema() {
    let document =
        serde_json::json!({ "part": { "type": "object", "properties": { "a": { "type": "string" } } } });
    let schema = serde_json::json!({
        "allOf": [
            { "$ref": "#/part" },
            { "properties": { "b": { "type": ["integer", "null"] } }, "required": ["b"], "type": "object" },
        ]
    });
    for (value, expected) in [
        (serde_json::json!({ "a": "x", "b": 1 }), ""),
        (serde_json::json!({ "b": null }), ""),
        (
            serde_json::json!({ "a": 1, "b": "x" }),
            "/a is not of the type \"string\", /b is not of the type [\"integer\",\"null\"]",
        ),
        (serde_json::json!({ "c": 1 }), "/b is missing, /c is not in the schema"),
    ] {
        assert_eq!(mismatches(&document, &schema, &value).join(", "), expected, "{value}");
    }
}
