//! Schemas and documents: what is allowed, what is wrong with a document, and that every check ends.

mod agreement;

use super::{EvaluationError, Schema, Violations};
use crate::document::{DocumentId, NewDocument};
use crate::error::Error;
use crate::fuel::{Fuel, Interruption};
use crate::limits::{SCHEMA_MAX_BYTES, SCHEMA_VIOLATIONS_MAX_NAMED};
use bson::RawDocumentBuf;
use std::fmt::Write as _;

fn document(json: &str) -> RawDocumentBuf {
    let parsed = NewDocument::parse(json, 1 << 24).unwrap();
    parsed.with_id(|| DocumentId::parse("1").unwrap())
}

fn check(schema: &str, json: &str) -> Violations {
    let schema = Schema::parse(schema, "/schema").unwrap();
    schema.check(&document(json), &Fuel::for_document()).unwrap()
}

/// The pointers of all violations.
fn wrong(schema: &str, json: &str) -> Vec<String> {
    check(schema, json).named.into_iter().map(|field| field.pointer).collect()
}

/// What is refused of a schema: pointer and sentence.
fn refused(schema: &str) -> Vec<(String, String)> {
    match Schema::parse(schema, "/schema").unwrap_err() {
        Error::Invalid(fields) => fields.into_iter().map(|field| (field.pointer, field.detail)).collect(),
        error => vec![(String::new(), error.to_string())],
    }
}

/// A schema for the field `v`, and values of it: whether each is valid.
fn assert_values(schema: &str, values: &[(&str, bool)]) {
    let schema = format!(r#"{{"properties": {{"v": {schema}}}}}"#);
    for (value, expected) in values {
        let found = check(&schema, &format!(r#"{{"v": {value}}}"#));
        assert_eq!(found.is_empty(), *expected, "{schema} of {value}: {found:?}");
    }
}

#[test]
fn schema_types_follow_json_as_the_api_answers_it() {
    assert_values(r#"{"type": "integer"}"#, &[("1", true), ("1.0", true), ("1.5", false), ("\"1\"", false)]);
    assert_values(
        r#"{"type": "integer"}"#,
        &[(r#"{"$numberLong": "5"}"#, true), (r#"{"$numberDecimal": "5"}"#, false)],
    );
    assert_values(
        r#"{"type": "number"}"#,
        &[("1", true), ("1.5", true), (r#"{"$numberDouble": "NaN"}"#, false)],
    );
    assert_values(r#"{"type": ["null", "boolean"]}"#, &[("null", true), ("false", true), ("0", false)]);
    assert_values(r#"{"type": "array"}"#, &[("[]", true), ("{}", false)]);
    let oid = r#"{"$oid": "0123456789abcdef01234567"}"#;
    assert_values(r#"{"type": "object", "required": ["$oid"]}"#, &[(oid, true), ("{}", false), ("1", false)]);
    assert_values(
        r#"{"properties": {"$date": {"type": "string", "pattern": "^2024-"}}, "required": ["$date"]}"#,
        &[(r#"{"$date": "2024-05-06T07:08:09Z"}"#, true), (r#"{"$date": "2025-05-06T07:08:09Z"}"#, false)],
    );
    assert_values(
        r#"{"properties": {"$binary": {"properties": {"subType": {"const": "00"}}}}}"#,
        &[
            (r#"{"$binary": {"base64": "AQID", "subType": "00"}}"#, true),
            (r#"{"$binary": {"base64": "AQID", "subType": "05"}}"#, false),
        ],
    );
    assert_values(
        &format!(r#"{{"enum": [{oid}]}}"#),
        &[(oid, true), (r#"{"$oid": "1123456789abcdef01234567"}"#, false)],
    );
}

#[test]
fn schema_numbers_compare_exactly() {
    assert_values(
        r#"{"minimum": 1, "exclusiveMaximum": 3}"#,
        &[("1", true), ("0.999", false), ("2.999", true), ("3", false)],
    );
    assert_values(
        r#"{"maximum": 9007199254740993}"#,
        &[("9007199254740993", true), ("9007199254740994", false)],
    );
    assert_values(
        r#"{"exclusiveMinimum": 1.5, "maximum": 2}"#,
        &[("1.5", false), ("2.0", true), ("\"x\"", true)],
    );
    assert_values(r#"{"multipleOf": 0.01}"#, &[("19.99", true), ("4", true), ("0.075", false)]);
    assert_values(r#"{"multipleOf": 3}"#, &[("9", true), ("10", false), ("9.0", true)]);
}

#[test]
fn schema_strings_count_characters_and_match_patterns() {
    assert_values(
        r#"{"minLength": 2, "maxLength": 3}"#,
        &[("\"é\"", false), ("\"éé\"", true), ("\"💩💩💩\"", true), ("\"abcd\"", false)],
    );
    assert_values(
        r#"{"pattern": "^[a-z]+$"}"#,
        &[("\"abc\"", true), ("\"ab1\"", false), ("\"abc\\n\"", false), ("7", true)],
    );
    assert_values(r#"{"pattern": "b"}"#, &[("\"abc\"", true), ("\"ac\"", false)]);
}

#[test]
fn schema_values_are_equal_whatever_their_spelling() {
    assert_values(
        r#"{"const": {"a": 1, "b": [true, null]}}"#,
        &[(r#"{"b": [true, null], "a": 1.0}"#, true), (r#"{"a": 1}"#, false), ("1", false)],
    );
    assert_values(
        r#"{"enum": ["x", 2, null]}"#,
        &[("\"x\"", true), ("2.0", true), ("null", true), ("false", false), ("\"2\"", false)],
    );
    assert_values(r#"{"enum": [0]}"#, &[("0", true), ("-0.0", true), ("false", false)]);
    assert_values(
        r#"{"uniqueItems": true}"#,
        &[
            ("[1, 2]", true),
            ("[1, 1.0]", false),
            (r#"[{"a": 1, "b": 2}, {"b": 2, "a": 1}]"#, false),
            ("[1, true]", true),
            ("[[1], [1]]", false),
        ],
    );
}

#[test]
fn schema_value_of_many_small_items_is_found() {
    let nulls = format!("[{}]", vec!["null"; 5000].join(","));
    let schema = format!(r#"{{"enum": [{nulls}]}}"#);
    assert_values(&schema, &[(&nulls, true), ("[null]", false)]);
    assert_values(
        r#"{"const": 9100000000000000000}"#,
        &[("9100000000000000000", true), ("9.1e18", true), ("9.2e18", false)],
    );
}

#[test]
fn schema_arrays_follow_every_keyword() {
    let tuple = r#"{"prefixItems": [{"type": "integer"}, {"type": "string"}], "items": false}"#;
    assert_values(
        tuple,
        &[("[1, \"a\"]", true), ("[1]", true), ("[\"a\"]", false), ("[1, \"a\", 2]", false)],
    );
    assert_values(
        r#"{"items": {"type": "integer"}, "minItems": 1, "maxItems": 2}"#,
        &[("[1]", true), ("[]", false), ("[1, 2, 3]", false), ("[\"a\"]", false)],
    );
    let contains = r#"{"contains": {"const": 1}, "minContains": 2, "maxContains": 3}"#;
    assert_values(contains, &[("[1, 1]", true), ("[1, 2]", false), ("[1, 1, 1, 1]", false), ("{}", true)]);
    assert_values(r#"{"contains": {"const": 1}}"#, &[("[]", false), ("[2, 1]", true)]);
    assert_values(r#"{"contains": {"const": 1}, "minContains": 0}"#, &[("[]", true)]);
    let unevaluated =
        r#"{"allOf": [{"prefixItems": [true]}], "contains": {"const": "x"}, "unevaluatedItems": false}"#;
    assert_values(unevaluated, &[("[1, \"x\"]", true), ("[1, \"x\", 2]", false)]);
}

#[test]
fn schema_objects_follow_every_keyword() {
    let closed = r#"{"properties": {"a": {"type": "integer"}}, "patternProperties": {"^x_": {"type": "string"}}, "additionalProperties": false}"#;
    assert_values(
        closed,
        &[
            (r#"{"a": 1, "x_b": "s"}"#, true),
            (r#"{"a": "1"}"#, false),
            (r#"{"x_b": 1}"#, false),
            (r#"{"c": 1}"#, false),
        ],
    );
    assert_values(
        r#"{"minProperties": 1, "maxProperties": 2}"#,
        &[("{}", false), (r#"{"a": 1}"#, true), (r#"{"a": 1, "b": 2, "c": 3}"#, false)],
    );
    assert_values(
        r#"{"propertyNames": {"maxLength": 2}}"#,
        &[(r#"{"ab": 1}"#, true), (r#"{"abc": 1}"#, false)],
    );
    let dependent = r#"{"dependentRequired": {"card": ["address"]}, "dependentSchemas": {"vat": {"required": ["country"]}}}"#;
    assert_values(
        dependent,
        &[
            ("{}", true),
            (r#"{"card": 1}"#, false),
            (r#"{"card": 1, "address": 2}"#, true),
            (r#"{"vat": 1}"#, false),
            (r#"{"vat": 1, "country": 2}"#, true),
        ],
    );
    let unevaluated = r#"{"allOf": [{"properties": {"a": true}}], "anyOf": [{"properties": {"b": {"const": 1}}}, {"properties": {"b": {"const": 2}, "c": true}, "required": ["c"]}], "unevaluatedProperties": false}"#;
    assert_values(
        unevaluated,
        &[
            (r#"{"a": 1, "b": 1}"#, true),
            (r#"{"b": 2, "c": 0}"#, true),
            (r#"{"b": 1, "c": 0}"#, false),
            (r#"{"d": 1}"#, false),
        ],
    );
    let through = r##"{"$ref": "#/$defs/base", "unevaluatedProperties": false, "$defs": {"base": {"properties": {"a": true}}}}"##;
    assert!(wrong(through, r#"{"_id": 1, "a": 1}"#) == ["/_id"], "the `_id` is a field like others");
}

#[test]
fn schema_composition_counts_what_matches() {
    assert_values(
        r#"{"anyOf": [{"type": "string"}, {"minimum": 5}]}"#,
        &[("\"a\"", true), ("7", true), ("3", false)],
    );
    assert_values(
        r#"{"oneOf": [{"type": "integer"}, {"minimum": 5}]}"#,
        &[("3", true), ("7", false), ("5.5", true), ("1.5", false)],
    );
    assert_values(r#"{"allOf": [{"minimum": 1}, {"maximum": 2}]}"#, &[("1", true), ("3", false)]);
    assert_values(r#"{"not": {"type": "string"}}"#, &[("1", true), ("\"a\"", false)]);
    let condition = r#"{"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 2}}"#;
    assert_values(condition, &[("\"a\"", false), ("\"ab\"", true), ("1", false), ("2", true)]);
    assert_values("true", &[("1", true)]);
    assert_values("false", &[("1", false)]);
    assert_values(r#"{"frobnicate": 1, "format": "email", "title": "t"}"#, &[("\"no address\"", true)]);
}

#[test]
fn schema_references_lead_within_it() {
    let tree = r##"{"$id": "https://example.com/tree", "properties": {"v": {"$ref": "#node"}}, "$defs": {
        "n/o~de": {"$anchor": "node", "type": "object", "properties": {"next": {"$ref": "https://example.com/tree#/$defs/n~1o~0de"}, "value": {"$ref": "#/definitions/a%20b"}}}},
        "definitions": {"a b": {"type": "integer"}}}"##;
    assert_eq!(wrong(tree, r#"{"v": {"value": 1, "next": {"next": {"value": 2}}}}"#), [""; 0]);
    assert_eq!(
        wrong(tree, r#"{"v": {"value": "x", "next": {"next": {"value": "y"}}}}"#),
        ["/v/value", "/v/next/next/value"]
    );
    let dynamic = r##"{"properties": {"v": {"$dynamicRef": "#leaf"}}, "$defs": {"l": {"$dynamicAnchor": "leaf", "type": "string"}}}"##;
    assert_eq!(wrong(dynamic, r#"{"v": 1}"#), ["/v"]);
    let sibling =
        r##"{"properties": {"v": {"$ref": "#/$defs/a", "maximum": 5}}, "$defs": {"a": {"minimum": 1}}}"##;
    assert_eq!(wrong(sibling, r#"{"v": 7}"#), ["/v"]);
    assert_eq!(wrong(sibling, r#"{"v": 0}"#), ["/v"]);
}

#[test]
fn schema_violations_are_all_named_with_pointers() {
    let schema = r#"{"type": "object", "required": ["name", "email"], "properties": {
        "name": {"type": "string", "minLength": 2}, "age": {"type": "integer", "minimum": 0},
        "tags": {"items": {"enum": ["a", "b"]}}, "a/b": {"type": "null"}}}"#;
    let found = check(schema, r#"{"name": "x", "age": -1.5, "tags": ["a", "c", 1], "a/b": 1}"#);
    let named: Vec<(&str, &str)> =
        found.named.iter().map(|field| (field.pointer.as_str(), field.detail.as_str())).collect();
    assert_eq!(
        named,
        [
            ("/name", "Must have at least 2 characters."),
            ("/age", "Must be of the type `integer`."),
            ("/age", "Must be at least 0."),
            ("/tags/1", "Must be one of \"a\", \"b\"."),
            ("/tags/2", "Must be one of \"a\", \"b\"."),
            ("/a~1b", "Must be of the type `null`."),
            ("/email", "Is required."),
        ]
    );
    assert_eq!((found.total, found.unnamed()), (7, 0));
    let many = format!(r#"{{"v": [{}]}}"#, vec!["1"; 500].join(","));
    let found = check(r#"{"properties": {"v": {"items": {"type": "string"}}}}"#, &many);
    assert_eq!((found.total, found.named.len()), (500, SCHEMA_VIOLATIONS_MAX_NAMED));
    let long = "k".repeat(90);
    let wide: Vec<String> = (0..400).map(|number| format!(r#""{long}{number}": 1"#)).collect();
    let found = check(r#"{"additionalProperties": {"type": "string"}}"#, &format!("{{{}}}", wide.join(",")));
    assert_eq!((found.total, found.unnamed()), (400, 300), "the `_id` is a string");
}

#[test]
fn schema_with_wrong_keywords_is_refused_by_pointer() {
    for (schema, pointer) in [
        ("3", "/schema"),
        (r#"{"type": "int"}"#, "/schema/type"),
        (r#"{"type": []}"#, "/schema/type"),
        (r#"{"type": ["string", "string"]}"#, "/schema/type"),
        (r#"{"properties": {"a": {"minimum": "1"}}}"#, "/schema/properties/a/minimum"),
        (r#"{"properties": []}"#, "/schema/properties"),
        (r#"{"required": ["a", "a"]}"#, "/schema/required/1"),
        (r#"{"required": [1]}"#, "/schema/required/0"),
        (r#"{"anyOf": []}"#, "/schema/anyOf"),
        (r#"{"allOf": [1]}"#, "/schema/allOf/0"),
        (r#"{"items": [{}]}"#, "/schema/items"),
        (r#"{"minLength": -1}"#, "/schema/minLength"),
        (r#"{"minLength": 1.5}"#, "/schema/minLength"),
        (r#"{"multipleOf": 0}"#, "/schema/multipleOf"),
        (r#"{"maximum": 1e999}"#, "/schema/maximum"),
        (r#"{"const": 1e999}"#, "/schema/const"),
        (r#"{"enum": "a"}"#, "/schema/enum"),
        (r#"{"uniqueItems": "yes"}"#, "/schema/uniqueItems"),
        (r#"{"pattern": "("}"#, "/schema/pattern"),
        (r#"{"pattern": "(?=a)"}"#, "/schema/pattern"),
        (r#"{"patternProperties": {"[": {}}}"#, "/schema/patternProperties/["),
        (r#"{"$schema": "http://json-schema.org/draft-07/schema#"}"#, "/schema/$schema"),
        (r#"{"$ref": "https://example.com/other"}"#, "/schema/$ref"),
        (r#"{"$ref": "file:///etc/passwd"}"#, "/schema/$ref"),
        (r##"{"$ref": "#/$defs/none"}"##, "/schema/$ref"),
        (r##"{"$ref": "#none"}"##, "/schema/$ref"),
        (r##"{"$ref": "#/properties"}"##, "/schema/$ref"),
        (r##"{"$ref": "#"}"##, "/schema/$ref"),
        (r##"{"$ref": "#%zz"}"##, "/schema/$ref"),
        (r#"{"properties": {"a": {"$id": "https://example.com"}}}"#, "/schema/properties/a/$id"),
        (r#"{"$anchor": "1"}"#, "/schema/$anchor"),
        (r#"{"allOf": [{"$anchor": "a"}, {"$anchor": "a"}]}"#, "/schema/allOf/1/$anchor"),
        (r#"{"bsonType": "string"}"#, "/schema/bsonType"),
        (r#"{"dependencies": {}}"#, "/schema/dependencies"),
        (r#"{"title": 1}"#, "/schema/title"),
        (r#"{"type": "string", "type": "null"}"#, "/schema/type"),
        (r#"{"properties": {"a": {}, "a": {}}}"#, "/schema/properties/a"),
    ] {
        let found = refused(schema);
        assert_eq!(found.first().map(|(pointer, _)| pointer.as_str()), Some(pointer), "{schema}: {found:?}");
    }
    let several = refused(r#"{"type": 1, "minimum": "a", "properties": {"b": {"pattern": "("}}}"#);
    assert_eq!(several.len(), 3, "{several:?}");
    assert_eq!(refused("{")[0].0, "/schema");
    assert_eq!(refused(&format!("{}{}", r#"{"not": "#.repeat(200), "}".repeat(200)))[0].0, "/schema");
}

#[test]
fn schema_beyond_a_limit_is_refused() {
    let large = format!(r#"{{"title": "{}"}}"#, "x".repeat(SCHEMA_MAX_BYTES));
    assert_eq!(refused(&large)[0].0, "/schema");
    let many: Vec<String> = (0..2001).map(|number| format!(r#""{number}": {{}}"#)).collect();
    assert!(refused(&format!(r#"{{"properties": {{{}}}}}"#, many.join(",")))[0].1.contains("2000"));
    let patterns: Vec<String> = (0..101).map(|number| format!(r#""p{number}": true"#)).collect();
    assert!(refused(&format!(r#"{{"patternProperties": {{{}}}}}"#, patterns.join(",")))[0].1.contains("100"));
    let dear = r#"{"properties": {"a": {"pattern": "^([a-z]{200}[0-9]{200}){20}$"}, "b": {"pattern": "^([a-z]{200}[0-9]{200}){40}$"}}}"#;
    assert!(!refused(dear).is_empty());
}

#[test]
fn reference_in_a_circle_is_refused() {
    let circle =
        r##"{"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}}"##;
    let found = refused(circle);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].1.contains("never end"));
    let deeper = r##"{"properties": {"next": {"$ref": "#"}}}"##;
    assert_eq!(wrong(deeper, r#"{"next": {"next": {}}}"#), [""; 0]);
}

/// Each level doubles the work, so that without fuel a document of a kilobyte would never end.
#[test]
fn check_that_grows_exponentially_runs_out_of_fuel() {
    let schema = r##"{"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [
        {"properties": {"a": {"$ref": "#/$defs/n"}}, "required": ["x"]},
        {"properties": {"a": {"$ref": "#/$defs/n"}}, "required": ["y"]}]}}}"##;
    let schema = Schema::parse(schema, "/schema").unwrap();
    let json = format!("{}{}{}", r#"{"a": "#.repeat(60), "1", "}".repeat(60));
    let fuel = Fuel::unlimited().up_to(1_000_000);
    let stopped = schema.check(&document(&json), &fuel).unwrap_err();
    assert_eq!(stopped, EvaluationError::Interrupted(Interruption::BudgetSpent));
    assert!(fuel.spent() < 1_100_000);
    assert!(matches!(
        Error::from(EvaluationError::Interrupted(Interruption::DocumentTooDear)),
        Error::TooCostly(_)
    ));
}

/// The deepest document that a caller may store, and a schema that needs more levels than there are.
#[test]
fn check_of_a_deep_document_stays_on_its_stack() {
    let deep = document(&format!("{}1{}", r#"{"a": "#.repeat(99), "}".repeat(99)));
    let plain = Schema::parse(r##"{"properties": {"a": {"$ref": "#"}}}"##, "/schema").unwrap();
    assert!(plain.check(&deep, &Fuel::for_document()).unwrap().is_empty());
    let wrapped = r##"{"allOf": [{"anyOf": [{"oneOf": [{"if": true, "then": {"properties": {"a": {"$ref": "#"}}}}]}]}]}"##;
    let wrapped = Schema::parse(wrapped, "/schema").unwrap();
    assert_eq!(wrapped.check(&deep, &Fuel::for_document()), Err(EvaluationError::TooDeep));
    assert!(matches!(Error::from(EvaluationError::TooDeep), Error::TooCostly(_)));
    let chain: String = (0..500).fold(String::new(), |mut chain, number| {
        let _ = write!(chain, r##""d{number}": {{"$ref": "#/$defs/d{}"}},"##, number + 1);
        chain
    });
    let chain = format!(r##"{{"$ref": "#/$defs/d0", "$defs": {{{chain} "d500": true}}}}"##);
    let chain = Schema::parse(&chain, "/schema").unwrap();
    assert_eq!(chain.check(&document("{}"), &Fuel::for_document()), Err(EvaluationError::TooDeep));
}

#[test]
fn schema_text_keeps_members_in_their_order() {
    let schema =
        Schema::parse("{ \"type\" : \"object\",\n \"a\\u0062\": [1.50, {\"x\": null}] }", "/schema").unwrap();
    assert_eq!(schema.text(), r#"{"type":"object","ab":[1.50,{"x":null}]}"#);
    assert_eq!(Schema::parse(schema.text(), "/schema").unwrap().text(), schema.text());
}

#[test]
fn reserved_field_is_no_part_of_the_document() {
    let mut stored = document(r#"{"a": {}}"#);
    stored.append(bson::raw::cstr!("_tenantry"), bson::rawdoc! { "revision": 1_i64 });
    let schema = r#"{"properties": {"_id": true, "a": {"maxProperties": 0}}, "additionalProperties": false}"#;
    let schema = Schema::parse(schema, "/schema").unwrap();
    assert!(schema.check(&stored, &Fuel::for_document()).unwrap().is_empty());
}
