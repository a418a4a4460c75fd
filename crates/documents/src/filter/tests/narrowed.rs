//! Tests of rendered filters: conditions that MongoDB may give up on, refuse or hide documents for are not sent to it.

use super::{document, filter};
use crate::error::Error;
use crate::filter::Filter;
use crate::filter::pattern::Pattern;
use bson::Bson;

fn pattern(text: &str, options: &str) -> Result<Pattern, String> {
    Pattern::parse(text, options)
}

fn asked(json: &str) -> String {
    Bson::from(filter(json).to_mongodb("")).to_string()
}

#[test]
fn pattern_that_pcre_does_not_compile_is_rejected() {
    let nested = format!("{}a{}", "(".repeat(210), ")".repeat(210));
    for text in [
        "[:alpha:]",
        "[:a:]",
        "[.ab.]",
        "[=a=]",
        "x[:digit:]y",
        "[+-[:digit:]]",
        "[a-[:digit:]]",
        "[--/]",
        "[^--/]",
        "[]-a]",
        "(?:[a-c]x){3000}",
        "(?:(?:abcd){100}){100}",
        &nested,
    ] {
        let refusal = pattern(text, "").expect_err(text);
        assert!(refusal.ends_with('.') && refusal.len() < 200, "{text}: {refusal}");
    }
    for text in ["[:]", "[a:]", "[.]", "[.,]", "[=]", "[-a]", "[a-]", r"[\-\-/]", r"[\]-a]"] {
        assert!(pattern(text, "").is_ok(), "{text}");
    }
}

#[test]
fn pattern_with_white_space_in_repetition_is_rejected() {
    for text in ["a{1, 2}", "a{ 1}", "a{1 ,}", "(?:ab){ 2 }", "a{1,\n2}"] {
        for options in ["", "x"] {
            assert!(pattern(text, options).is_err(), "{text:?} {options}");
        }
    }
    assert!(pattern("a{1,2}", "").is_ok() && pattern("a {1}", "").is_ok());
}

#[test]
fn pattern_required_part_is_bounded_and_in_every_match() {
    for (text, options, required) in [
        ("^foo.*bar", "", Some("^foo")),
        ("foo.*quux", "", Some("quux")),
        (".*foo.*", "", Some("foo")),
        ("a.*bcd+e", "", Some("bc")),
        (r"\w+@example\.org$", "", Some(r"@example\.org$")),
        ("^[^@]+@", "", Some("@")),
        (r"^\w+$", "", None),
        ("(?:ab)*", "", None),
        ("a.*b|c", "", None),
        ("^f o.*b", "x", Some("^f o")),
    ] {
        let parsed = pattern(text, options).unwrap();
        assert!(!parsed.is_bounded(), "{text}");
        assert_eq!(parsed.required(), required, "{text}");
        if let Some(required) = required {
            assert!(pattern(required, options).unwrap().is_bounded(), "{required}");
        }
    }
    for text in ["", "foo", "^foo", "foo.*", "^(?:jpe?g|png)$", r"\d{4}-\d{2}"] {
        assert!(pattern(text, "").unwrap().is_bounded(), "{text}");
    }
}

#[test]
fn pattern_with_unbounded_search_never_reaches_mongodb() {
    for (json, expected) in [
        (
            r#"{"a":{"$regex":"^x.*y"},"b":1}"#,
            r#"{ "$and": [{ "$or": [{ "a": { "$regex": "^x", "$options": "" } }, { "a": { "$eq": /^x.*y/ } }] }, { "b": { "$eq": 1 } }] }"#,
        ),
        (
            r#"{"a":{"$regex":"^.*$","$gt":"k"}}"#,
            r#"{ "$and": [{ "$or": [{ "a": { "$gte": "" } }, { "a": { "$eq": /^.*$/ } }] }, { "a": { "$gt": "k" } }] }"#,
        ),
        (r#"{"a":{"$not":{"$regex":"x.*y"}}}"#, "{}"),
        (r#"{"a":{"$not":{"$not":{"$regex":"x.*y"}},"$size":2}}"#, r#"{ "a": { "$size": 2 } }"#),
        (r#"{"$nor":[{"a":{"$regex":"x.*y"}},{"b":1}]}"#, r#"{ "$nor": [{ "b": { "$eq": 1 } }] }"#),
        (r#"{"a":{"$elemMatch":{"$regex":"x.*y"}}}"#, r#"{ "a": { "$elemMatch": { "$exists": true } } }"#),
        (r#"{"a":{"$elemMatch":{"$nor":[{"b":{"$regex":"x.*y"}}]}}}"#, r#"{ "a": { "$elemMatch": {} } }"#),
    ] {
        assert!(!filter(json).is_decided_by_mongodb(), "{json}");
        assert_eq!(asked(json).replace("[ ", "[").replace("{  }", "{}"), expected, "{json}");
    }
    assert!(filter(r#"{"a":{"$not":{"$regex":"^x"}}}"#).is_decided_by_mongodb());
}

#[test]
fn filter_range_above_nested_array_asks_only_for_arrays() {
    for operator in ["$gt", "$gte", "$lt", "$lte"] {
        let json = format!(r#"{{"a":{{"{operator}":[[1],2]}}}}"#);
        assert!(!filter(&json).is_decided_by_mongodb(), "{json}");
        assert_eq!(asked(&json), r#"{ "a": { "$type": "array" } }"#);
    }
    for json in [r#"{"a":{"$gt":[1,[2]]}}"#, r#"{"a":{"$eq":[[1]]}}"#, r#"{"a":{"$in":[[[1]]]}}"#] {
        assert!(filter(json).is_decided_by_mongodb(), "{json}");
    }
}

#[test]
fn filter_negated_list_of_null_and_empty_array_is_not_sent() {
    for json in [
        r#"{"a.b":{"$nin":[null,[]]}}"#,
        r#"{"a.b":{"$not":{"$in":[[],null,[]]}}}"#,
        r#"{"$nor":[{"a.b":{"$in":[null,[]]}}]}"#,
        r#"{"a.b":{"$not":{"$not":{"$nin":[null,[]]}}}}"#,
    ] {
        assert!(!filter(json).is_decided_by_mongodb(), "{json}");
        assert!(filter(json).to_mongodb("").is_empty(), "{json}");
    }
    // Not negated it narrows as it should.
    assert_eq!(asked(r#"{"a.b":{"$in":[null,[]]}}"#), r#"{ "a.b": { "$in": [null, []] } }"#);
    for json in [r#"{"a.b":{"$nin":[null,[],1]}}"#, r#"{"a.b":{"$nin":[[]]}}"#, r#"{"a.b":{"$nin":[null]}}"#]
    {
        assert!(filter(json).is_decided_by_mongodb(), "{json}");
    }
}

#[test]
fn filter_heads_are_the_fields_that_decide() {
    let heads = |json: &str| filter(json).heads().into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(heads("{}"), Vec::<String>::new());
    let json = r#"{"b.c":1,"$or":[{"a.0.x":{"$elemMatch":{"z":1}}},{"$nor":[{"_id":1}]}]}"#;
    assert_eq!(heads(json), ["_id", "a", "b"]);
}

#[test]
fn filter_exists_accepts_zero_and_one_of_every_type() {
    for (json, exists) in [
        ("true", true),
        ("1", true),
        ("1.0", true),
        (r#"{"$numberInt":"1"}"#, true),
        (r#"{"$numberLong":"1"}"#, true),
        (r#"{"$numberDouble":"1.0"}"#, true),
        (r#"{"$numberDecimal":"1"}"#, true),
        ("false", false),
        ("0", false),
        (r#"{"$numberInt":"0"}"#, false),
    ] {
        let filter = filter(&format!(r#"{{"a":{{"$exists":{json}}}}}"#));
        assert_eq!(filter.matches(&document(r#"{"a":1}"#)), exists, "{json}");
    }
    for json in ["2", "null", "\"true\"", r#"{"$numberInt":"2"}"#, "[]"] {
        let error = Filter::parse(&format!(r#"{{"a":{{"$exists":{json}}}}}"#), "").unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{json}");
    }
}

#[test]
fn filter_accepts_document_reference_as_operand() {
    let stored = document(r#"{"r":{"$ref":"c","$id":1},"s":[{"$ref":"c","$id":1,"$db":"d","x":2}]}"#);
    for (json, matches) in [
        (r#"{"r":{"$ref":"c","$id":1}}"#, true),
        (r#"{"r":{"$eq":{"$ref":"c","$id":1.0}}}"#, true),
        (r#"{"r":{"$in":[{"$ref":"c","$id":1}]}}"#, true),
        (r#"{"r":{"$ne":{"$ref":"c","$id":2}}}"#, true),
        (r#"{"s":{"$ref":"c","$id":1,"$db":"d","x":2}}"#, true),
        (r#"{"r":{"$id":1,"$ref":"c"}}"#, true),
        (r#"{"r":{"$ref":"c","$id":2}}"#, false),
    ] {
        assert_eq!(filter(json).matches(&stored), matches, "{json}");
    }
    for json in [r#"{"r":{"$ref":"c"}}"#, r#"{"r":{"$ref":1,"$id":1}}"#, r#"{"r":{"$id":1}}"#] {
        assert!(Filter::parse(json, "").is_err(), "{json}");
    }
}
