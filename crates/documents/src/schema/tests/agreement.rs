//! Random schemas and documents: a check that names everything and one that only decides agree, and so do a schema and the
//! ways to say the same by composition.

use super::document;
use crate::fuel::Fuel;
use crate::schema::Schema;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..6).prop_map(Value::from),
        (-6_i32..12).prop_map(|half| json!(f64::from(half) / 2.0)),
        "[ab]{0,3}".prop_map(Value::from),
        Just(json!({ "$oid": "65f0a1b2c3d4e5f601234567" })),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[abc]", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn leaf() -> impl Strategy<Value = Value> {
    let kind =
        prop::sample::select(vec!["null", "boolean", "integer", "number", "string", "array", "object"]);
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        kind.prop_map(|kind| json!({ "type": kind })),
        value().prop_map(|value| json!({ "const": value })),
        vec(value(), 0..3).prop_map(|values| json!({ "enum": values })),
        (-2_i64..4).prop_map(|limit| json!({ "minimum": limit, "exclusiveMaximum": limit + 3 })),
        (0_u32..3).prop_map(|limit| json!({ "maxLength": limit, "minItems": limit, "maxProperties": limit })),
        Just(json!({ "multipleOf": 1.5 })),
        Just(json!({ "pattern": "^a|b$" })),
        Just(json!({ "uniqueItems": true })),
        Just(json!({ "required": ["a"], "dependentRequired": { "b": ["c"] } })),
    ]
}

fn schema() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 32, 3, |inner| {
        let list = vec(inner.clone(), 1..3);
        prop_oneof![
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, other)| {
                json!({ "properties": { "a": a }, "patternProperties": { "[bc]": b }, "additionalProperties": other })
            }),
            (list.clone(), inner.clone()).prop_map(|(list, rest)| json!({ "prefixItems": list, "items": rest })),
            inner.clone().prop_map(|inner| json!({ "contains": inner, "maxContains": 2 })),
            inner.clone().prop_map(|inner| json!({ "propertyNames": inner })),
            inner.clone().prop_map(|inner| json!({ "dependentSchemas": { "a": inner } })),
            list.clone().prop_map(|list| json!({ "allOf": list })),
            list.clone().prop_map(|list| json!({ "anyOf": list })),
            list.clone().prop_map(|list| json!({ "oneOf": list })),
            inner.clone().prop_map(|inner| json!({ "not": inner })),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| json!({ "if": a, "then": b, "else": c })),
            (list.clone(), inner.clone())
                .prop_map(|(list, rest)| json!({ "anyOf": list, "unevaluatedProperties": rest })),
            (list, inner).prop_map(|(list, rest)| json!({ "allOf": list, "unevaluatedItems": rest })),
        ]
    })
}

fn is_valid(schema: &Value, value: &Value) -> bool {
    let schema = Schema::parse(&json!({ "properties": { "v": schema } }).to_string(), "").unwrap();
    let found = schema.check(&document(&json!({ "v": value }).to_string()), &Fuel::for_document()).unwrap();
    assert!(found.named.iter().all(|field| field.pointer.starts_with("/v")), "{found:?}");
    found.is_empty()
}

proptest! {
    #[test]
    fn schema_means_the_same_in_every_composition(schema in schema(), value in value()) {
        let plain = is_valid(&schema, &value);
        for same in [
            json!({ "not": { "not": schema } }),
            json!({ "anyOf": [schema] }),
            json!({ "anyOf": [false, schema] }),
            json!({ "oneOf": [schema, false] }),
            json!({ "allOf": [schema, true] }),
            json!({ "if": schema, "else": false }),
            json!({ "allOf": [schema], "unevaluatedProperties": true, "unevaluatedItems": true }),
            json!({ "$ref": "#/properties/v/$defs/s", "$defs": { "s": schema } }),
        ] {
            prop_assert_eq!(is_valid(&same, &value), plain, "{} of {}", same, value);
        }
        prop_assert_eq!(is_valid(&json!({ "not": schema }), &value), !plain);
        // What is equal to itself is valid, and found among others.
        for equal in [json!({ "const": value }), json!({ "enum": [[], value] })] {
            prop_assert!(is_valid(&equal, &value), "{}", value);
        }
    }
}
