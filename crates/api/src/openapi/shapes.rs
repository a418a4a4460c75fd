//! What holds for all schemas and parameters of the document, whichever handler declares them: the names of path
//! parameters, the bounds of `limit`, bodies of NDJSON, objects that take any member, parameters that are
//! never `null`.
//!
//! It is done once for the whole document because the macros that the handlers use cannot say it, or would say it
//! once for each route.

use serde_json::{Map, Value, json};
use tenantry_domain::limits::{PAGE_DEFAULT_ITEMS, PAGE_MAX_ITEMS};

/// The media type of values that are one to a line.
const NDJSON: &str = "application/x-ndjson";

/// The variables of our routes that the document gives another name: what is addressed by its id says so. Generators name
/// the argument that takes a body after its schema, so that `{document}` beside a body of the schema `Document` would be
/// two arguments of one name. The routes themselves keep their names: metrics have them as a label.
const PATH_PARAMETERS: [(&str, &str); 2] = [("document", "document_id"), ("operation", "operation_id")];

/// Makes the shapes of `document` say what the service means.
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
    // A header or a query that is absent is an `Option` in the code; there is no `null` in either.
    let types = parameter["schema"]["type"].as_array();
    if let Some(only) = types.and_then(|types| types.iter().find(|name| **name != "null")).cloned() {
        parameter["schema"]["type"] = only;
    }
    if parameter["name"] == "limit" {
        bound(&mut parameter["schema"]);
    }
}

/// Says of NDJSON that it is a stream and, where each line is of one schema, which. That schema alone would mean that the
/// whole body is one value, and text alone is sent as a JSON string by some generated clients; `binary` goes as it is.
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

/// Bounds the members of bodies that are called `limit`.
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

/// Says of each object whose members no schema names that it takes any: generators give it none otherwise.
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
