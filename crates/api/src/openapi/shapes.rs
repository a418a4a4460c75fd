//! Corrections to all schemas and parameters of the document: the names of path parameters, the bounds of `limit`, NDJSON
//! bodies, objects that take any member, parameters that are never `null`.
//!
//! They are made once for the whole document because the macros of the handlers cannot express them, or would have to
//! repeat them for each route.

use serde_json::{Map, Value, json};
use tenantry_domain::limits::{PAGE_DEFAULT_ITEMS, PAGE_MAX_ITEMS};

/// The media type of NDJSON.
const NDJSON: &str = "application/x-ndjson";

/// Path variables that have another name in the document, which says that they are ids. Generators name the body argument
/// after its schema, so `{document}` beside a body of the schema `Document` would give two arguments the same name. The
/// routes keep their names, because metrics have them as a label.
const PATH_PARAMETERS: [(&str, &str); 7] = [
    ("document", "document_id"),
    ("operation", "operation_id"),
    ("account", "account_id"),
    ("identity", "identity_id"),
    ("invitation", "invitation_id"),
    ("role", "role_name"),
    ("session", "session_id"),
];

/// Corrects the schemas and parameters of `document`.
pub fn finish(document: &mut Value) {
    if let Some(paths) = document["paths"].as_object_mut() {
        *paths =
            std::mem::take(paths).into_iter().map(|(path, item)| (documented_path(&path), item)).collect();
        let operations = paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut);
        let parameters = operations.filter_map(|operation| operation.get_mut("parameters")?.as_array_mut());
        parameters.flatten().for_each(parameter);
    }
    lines(document);
    open_objects(document);
    bound_limits(document);
}

fn documented_path(path: &str) -> String {
    let mut documented = path.to_owned();
    for (variable, name) in PATH_PARAMETERS {
        documented = documented.replace(&format!("{{{variable}}}"), &format!("{{{name}}}"));
    }
    documented
}

fn parameter(parameter: &mut Value) {
    if parameter["in"] == "path" {
        let name = PATH_PARAMETERS.iter().find(|(variable, _)| parameter["name"] == *variable);
        if let Some((_, name)) = name {
            parameter["name"] = (*name).into();
        }
    }
    // An optional header or query parameter is an `Option` in the code, but can never be `null`.
    let types = parameter["schema"]["type"].as_array();
    if let Some(only) = types.and_then(|types| types.iter().find(|name| **name != "null")).cloned() {
        parameter["schema"]["type"] = only;
    }
    if parameter["name"] == "limit" {
        bound(&mut parameter["schema"]);
    }
}

/// Describes NDJSON as a stream and, where all lines have one schema, names it. That schema alone would mean that the
/// whole body is one value; some generated clients send plain text as a JSON string, but leave `binary` unchanged.
fn lines(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(schema) = members.get_mut(NDJSON).and_then(|media| media.get_mut("schema")) {
                let line = schema.take();
                *schema = json!({ "type": "string", "format": "binary", "contentMediaType": NDJSON });
                if line["type"] != "string" {
                    schema["contentSchema"] = line;
                }
            }
            members.values_mut().for_each(lines);
        }
        Value::Array(items) => items.iter_mut().for_each(lines),
        _ => {}
    }
}

/// Adds the bounds of body members that are called `limit`.
fn bound_limits(document: &mut Value) {
    let schemas = document["components"]["schemas"].as_object_mut();
    for schema in schemas.into_iter().flat_map(Map::values_mut) {
        if let Some(limit) = schema.pointer_mut("/properties/limit") {
            bound(limit);
        }
    }
}

fn bound(limit: &mut Value) {
    limit["minimum"] = 1.into();
    limit["maximum"] = PAGE_MAX_ITEMS.into();
    limit["default"] = PAGE_DEFAULT_ITEMS.into();
}

/// Declares that an object without named members takes any: otherwise generators give it none.
fn open_objects(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let is_object = match members.get("type") {
                Some(Value::String(name)) => name == "object",
                Some(Value::Array(names)) => names.contains(&json!("object")),
                _ => false,
            };
            if is_object && !members.contains_key("properties") {
                members.entry("additionalProperties").or_insert(Value::Bool(true));
            }
            members.values_mut().for_each(open_objects);
        }
        Value::Array(items) => items.iter_mut().for_each(open_objects),
        _ => {}
    }
}
