//! Tests of filters: tables of what matches, what is refused and what MongoDB gets. The differential test of
//! the store checks that MongoDB agrees.

mod cost;
mod narrowed;

use super::Filter;
use crate::document::NewDocument;
use crate::error::Error;
use crate::limits::{FILTER_LIST_MAX_ITEMS, FILTER_MAX_INTERVALS, FILTER_MAX_LEVELS, FILTER_MAX_NODES};
use bson::{Bson, RawDocumentBuf};

fn document(json: &str) -> RawDocumentBuf {
    let document = NewDocument::parse(json, 1 << 20).unwrap();
    document.with_id(|| bson::oid::ObjectId::from_bytes([7; 12]).into())
}

fn filter(json: &str) -> Filter {
    Filter::parse(json, "").unwrap_or_else(|error| panic!("{json}: {error} {:?}", error.fields()))
}

#[test]
fn filter_matches_as_mongodb_does() {
    for (json, matching, others) in [
        ("{}", &["{}"][..], &[][..]),
        (r#"{"a":1}"#, &[r#"{"a":1.0}"#, r#"{"a":[2,1]}"#], &["{}", r#"{"a":[[1]]}"#, r#"{"a":"1"}"#]),
        (r#"{"a":null}"#, &["{}", r#"{"a":null}"#, r#"{"a":[null]}"#], &[r#"{"a":0}"#, r#"{"a":[]}"#]),
        (r#"{"a.b":null}"#, &["{}", r#"{"a":1}"#, r#"{"a":[{}]}"#], &[r#"{"a":[]}"#, r#"{"a":[1]}"#]),
        (r#"{"a":[1,2]}"#, &[r#"{"a":[1,2]}"#, r#"{"a":[[1,2]]}"#], &[r#"{"a":[2,1]}"#, r#"{"a":1}"#]),
        (r#"{"a":{"b":1}}"#, &[r#"{"a":{"b":1}}"#], &[r#"{"a":{"b":1,"c":1}}"#, r#"{"a":{}}"#]),
        (r#"{"a":{"$gt":1}}"#, &[r#"{"a":1.5}"#, r#"{"a":[0,2]}"#], &[r#"{"a":"x"}"#, r#"{"a":1}"#, "{}"]),
        (r#"{"a":{"$ne":1}}"#, &["{}", r#"{"a":[2]}"#], &[r#"{"a":[1,2]}"#]),
        (r#"{"a":{"$in":[1,null]}}"#, &["{}", r#"{"a":[1]}"#], &[r#"{"a":2}"#]),
        (r#"{"a":{"$nin":[1,null]}}"#, &[r#"{"a":2}"#, r#"{"a":[]}"#], &["{}", r#"{"a":[1]}"#]),
        (r#"{"a":{"$in":[]}}"#, &[], &["{}", r#"{"a":[]}"#]),
        (r#"{"a":{"$exists":true}}"#, &[r#"{"a":null}"#, r#"{"a":[]}"#], &["{}"]),
        (r#"{"a.b":{"$exists":false}}"#, &["{}", r#"{"a":[]}"#, r#"{"a":[1]}"#], &[r#"{"a":[{"b":1},{}]}"#]),
        (r#"{"a":{"$all":[1,2]}}"#, &[r#"{"a":[2,3,1]}"#], &[r#"{"a":1}"#]),
        (r#"{"a":{"$all":[1,1,1.0]}}"#, &[r#"{"a":[2,3,1]}"#, r#"{"a":1}"#], &[r#"{"a":2}"#]),
        (r#"{"a":{"$all":[]}}"#, &[], &[r#"{"a":[]}"#]),
        (r#"{"a":{"$size":0}}"#, &[r#"{"a":[]}"#], &["{}", r#"{"a":[1]}"#]),
        (r#"{"a":{"$elemMatch":{"$gt":1,"$lt":3}}}"#, &[r#"{"a":[0,2]}"#], &[r#"{"a":[0,4]}"#, r#"{"a":2}"#]),
        (
            r#"{"a":{"$elemMatch":{"b":1,"c":2}}}"#,
            &[r#"{"a":[{"b":1,"c":2}]}"#],
            &[r#"{"a":[{"b":1},{"c":2}]}"#],
        ),
        (r#"{"a":{"$not":{"$gt":1}}}"#, &["{}", r#"{"a":1}"#], &[r#"{"a":[0,2]}"#]),
        (r#"{"$or":[{"a":1},{"b":1}]}"#, &[r#"{"b":1}"#], &["{}"]),
        (r#"{"$nor":[{"a":1},{"b":1}]}"#, &["{}"], &[r#"{"b":1}"#]),
        (r#"{"a.0":1}"#, &[r#"{"a":[1,2]}"#, r#"{"a":{"0":1}}"#, r#"{"a":[{"0":1}]}"#], &[r#"{"a":[2,1]}"#]),
        (
            r#"{"a":{"$regex":"^B","$options":"i"}}"#,
            &[r#"{"a":"bc"}"#, r#"{"a":["x","B"]}"#],
            &[r#"{"a":"ab"}"#],
        ),
        (r#"{"a":{"$gte":{"$minKey":1}}}"#, &["{}", r#"{"a":1}"#], &[]),
        (
            r#"{"a":{"$gt":{"$numberDouble":"NaN"}}}"#,
            &[],
            &[r#"{"a":1}"#, r#"{"a":{"$numberDouble":"NaN"}}"#],
        ),
        (
            r#"{"a":{"$lte":{"$numberDouble":"NaN"}}}"#,
            &[r#"{"a":{"$numberDecimal":"NaN"}}"#],
            &[r#"{"a":1}"#],
        ),
    ] {
        let filter = filter(json);
        matching.iter().for_each(|each| assert!(filter.matches(&document(each)), "{json} {each}"));
        others.iter().for_each(|each| assert!(!filter.matches(&document(each)), "{json} {each}"));
    }
}

#[test]
fn filter_rejects_unlisted_operators_with_pointer() {
    const OTHERS: [&str; 30] = [
        "$where",
        "$expr",
        "$text",
        "$jsonSchema",
        "$comment",
        "$mod",
        "$type",
        "$bitsAllSet",
        "$bitsAnyClear",
        "$geoWithin",
        "$near",
        "$nearSphere",
        "$geoIntersects",
        "$function",
        "$accumulator",
        "$rand",
        "$sampleRate",
        "$alwaysTrue",
        "$alwaysFalse",
        "$slice",
        "$meta",
        "$ref",
        "$id",
        "$db",
        "$prefix",
        "$query",
        "$",
        "$EQ",
        "$eq ",
        "$internalExprEq",
    ];
    for operator in OTHERS {
        for (json, pointer) in [
            (format!(r#"{{"{operator}":1}}"#), ""),
            (format!(r#"{{"a":{{"{operator}":1}}}}"#), "/a"),
            (format!(r#"{{"a":{{"$gt":0,"{operator}":1}}}}"#), "/a"),
            (format!(r#"{{"a":{{"b":0,"{operator}":1}}}}"#), "/a"),
            (format!(r#"{{"a":{{"$not":{{"{operator}":1}}}}}}"#), "/a/$not"),
            (format!(r#"{{"a":{{"$eq":{{"b":[{{"{operator}":1}}]}}}}}}"#), "/a/$eq/b/0"),
            (format!(r#"{{"a":{{"$in":[{{"{operator}":1}}]}}}}"#), "/a/$in/0"),
            (format!(r#"{{"a":{{"$elemMatch":{{"{operator}":1}}}}}}"#), "/a/$elemMatch"),
            (
                format!(r#"{{"a":{{"$all":[{{"$elemMatch":{{"b":{{"{operator}":1}}}}}}]}}}}"#),
                "/a/$all/0/$elemMatch/b",
            ),
            (format!(r#"{{"$and":[{{"$or":[{{"$nor":[{{"{operator}":1}}]}}]}}]}}"#), "/$and/0/$or/0/$nor/0"),
        ] {
            let error = Filter::parse(&json, "?filter").expect_err(&json);
            assert!(matches!(error, Error::Invalid(_)));
            let fields = error.fields();
            assert_eq!(fields.len(), 1, "{json} {fields:?}");
            assert_eq!(fields[0].pointer, format!("?filter{pointer}/{operator}"));
            assert!(fields[0].detail.contains('$'), "{json} {fields:?}");
        }
    }
}

#[test]
fn filter_rejects_invalid_and_unsupported_conditions() {
    for json in [
        r#"{"":1}"#,
        r#"{"a.":1}"#,
        r#"{".a":1}"#,
        r#"{"a..b":1}"#,
        r#"{"a.$b":1}"#,
        r#"{"a\u0000":1}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"a":{"$gt":1,"$gt":2}}"#,
        r#"{"$and":[]}"#,
        r#"{"$and":{}}"#,
        r#"{"$or":[1]}"#,
        r#"{"$nor":[]}"#,
        r#"{"$not":{"a":1}}"#,
        r#"{"a":{"$not":{}}}"#,
        r#"{"a":{"$not":1}}"#,
        r#"{"a":{"$not":{"b":1}}}"#,
        r#"{"a":{"$in":1}}"#,
        r#"{"a":{"$nin":{}}}"#,
        r#"{"a":{"$all":1}}"#,
        r#"{"a":{"$all":[{"$elemMatch":{}},1]}}"#,
        r#"{"a":{"$all":[1,{"$elemMatch":{}}]}}"#,
        r#"{"a":{"$all":[{"$elemMatch":{},"$gt":1}]}}"#,
        r#"{"a":{"$elemMatch":1}}"#,
        r#"{"a":{"$elemMatch":[]}}"#,
        r#"{"a":{"$elemMatch":{"$oid":"65f0a1b2c3d4e5f601234567"}}}"#,
        r#"{"a":{"$size":-1}}"#,
        r#"{"a":{"$size":1.5}}"#,
        r#"{"a":{"$size":"1"}}"#,
        r#"{"a":{"$exists":"x"}}"#,
        r#"{"a":{"$options":"i"}}"#,
        r#"{"a":{"$regex":1}}"#,
        r#"{"a":{"$regex":"a","$options":1}}"#,
        r#"{"a":{"$regex":"a","$options":"g"}}"#,
        r#"{"a":{"$regex":"a","$options":"ii"}}"#,
        r#"{"a":{"$undefined":true}}"#,
        r#"{"a":{"$in":[{"$undefined":true}]}}"#,
        r#"{"a":{"$regularExpression":{"pattern":"a","options":""}}}"#,
        r#"{"a":{"$ne":{"$regularExpression":{"pattern":"a","options":""}}}}"#,
        r#"{"a":{"$in":[{"$regularExpression":{"pattern":"a","options":""}}]}}"#,
        r#"{"a":{"$gt":1,"b":2}}"#,
        r#"{"a":{"b.c":1}}"#,
    ] {
        let error = Filter::parse(json, "").expect_err(json);
        assert!(matches!(error, Error::Invalid(_)), "{json}");
        assert_eq!(error.fields().len(), 1, "{json} {:?}", error.fields());
    }
}

#[test]
fn filter_paths_never_reach_reserved_field() {
    for path in ["_tenantry", "_tenantry.x", "_tenantry.0"] {
        for json in [
            format!(r#"{{"{path}":1}}"#),
            format!(r#"{{"{path}":{{"$exists":true}}}}"#),
            format!(r#"{{"$or":[{{"a":1}},{{"{path}":1}}]}}"#),
            format!(r#"{{"$nor":[{{"$and":[{{"{path}":{{"$elemMatch":{{"a":1}}}}}}]}}]}}"#),
        ] {
            assert!(Filter::parse(&json, "").is_err(), "{json}");
        }
    }
    // Within a user's array it is a field like any other.
    assert!(
        filter(r#"{"a":{"$elemMatch":{"_tenantry":1}}}"#).matches(&document(r#"{"a":[{"_tenantry":1}]}"#))
    );
}

#[test]
fn filter_bounds_are_enforced_and_named() {
    let list = |length: usize| vec!["1"; length].join(",");
    let nested = |levels: usize| format!("{}{{}}{}", "{\"$and\":[".repeat(levels), "]}".repeat(levels));
    let wide = |nodes: usize| {
        let fields: Vec<_> = (0..nodes).map(|number| format!("\"f{number}\":1")).collect();
        format!("{{{}}}", fields.join(","))
    };
    for (good, bad, bound) in [
        (
            format!(r#"{{"a":{{"$in":[{}]}}}}"#, list(FILTER_LIST_MAX_ITEMS)),
            format!(r#"{{"a":{{"$in":[{}]}}}}"#, list(FILTER_LIST_MAX_ITEMS + 1)),
            FILTER_LIST_MAX_ITEMS,
        ),
        (nested(FILTER_MAX_LEVELS), nested(FILTER_MAX_LEVELS + 1), FILTER_MAX_LEVELS),
        (wide(FILTER_MAX_NODES), wide(FILTER_MAX_NODES + 1), FILTER_MAX_NODES),
    ] {
        filter(&good);
        let error = Filter::parse(&bad, "").unwrap_err();
        assert_eq!(error.fields().len(), 1);
        assert!(error.fields()[0].detail.contains(&bound.to_string()), "{:?}", error.fields());
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(1_000_000), "}".repeat(1_000_000));
    for json in [&deep, "", "[]", "{\"a\":}"] {
        let error = Filter::parse(json, "?filter").unwrap_err();
        assert!(matches!(error, Error::Invalid(_)));
        assert_eq!(error.fields()[0].pointer, "?filter");
    }
}

#[test]
fn filter_renders_to_mongodb_under_prefix() {
    for (json, plain, prefixed) in [
        (r#"{"a":1}"#, r#"{ "a": { "$eq": 1 } }"#, r#"{ "doc.a": { "$eq": 1 } }"#),
        (
            r#"{"$or":[{"a.b":{"$regex":"x"}},{"c":{"$elemMatch":{"d":null}}}]}"#,
            r#"{ "$or": [{ "a.b": { "$regex": "x", "$options": "" } }, { "c": { "$elemMatch": { "d": { "$eq": null } } } }] }"#,
            r#"{ "$or": [{ "doc.a.b": { "$regex": "x", "$options": "" } }, { "doc.c": { "$elemMatch": { "d": { "$eq": null } } } }] }"#,
        ),
        (
            r#"{"a":{"$not":{"$all":[1],"$size":2}}}"#,
            r#"{ "a": { "$not": { "$all": [1], "$size": 2 } } }"#,
            r#"{ "doc.a": { "$not": { "$all": [1], "$size": 2 } } }"#,
        ),
        // Below an array, where it could be served by an index that demands the path.
        (
            r#"{"a.b":{"$ne":null},"c":{"$ne":null}}"#,
            r#"{ "$and": [{ "$nor": [{ "a.b": { "$eq": null } }, { "_id": { "$exists": false } }] }, { "c": { "$ne": null } }] }"#,
            r#"{ "$and": [{ "$nor": [{ "doc.a.b": { "$eq": null } }, { "_id": { "$exists": false } }] }, { "doc.c": { "$ne": null } }] }"#,
        ),
        (
            r#"{"$nor":[{"$and":[{"a.b":null}]}],"c":{"$elemMatch":{"a.b":{"$ne":null}}}}"#,
            r#"{ "$and": [{ "$nor": [{ "$and": [{ "a.b": { "$eq": null } }] }, { "_id": { "$exists": false } }] }, { "c": { "$elemMatch": { "a.b": { "$ne": null } } } }] }"#,
            r#"{ "$and": [{ "$nor": [{ "$and": [{ "doc.a.b": { "$eq": null } }] }, { "_id": { "$exists": false } }] }, { "doc.c": { "$elemMatch": { "a.b": { "$ne": null } } } }] }"#,
        ),
    ] {
        let text = |prefix| Bson::from(filter(json).to_mongodb(prefix)).to_string().replace(": [ ", ": [");
        assert_eq!((text(""), text("doc.")), (plain.to_owned(), prefixed.to_owned()));
    }
}

#[test]
fn filter_pattern_means_what_pcre_means() {
    for (pattern, options, matching, others) in [
        ("", "", &["", "a"][..], &[][..]),
        ("a$", "", &["a", "ba\n"], &["a\n\n", "ab"]),
        ("^(a|b$)", "", &["ac", "b\n"], &["ca", "bc"]),
        ("a$", "m", &["a\nb"], &["ab"]),
        ("^b", "m", &["a\nb"], &["ab"]),
        (r"^\d+$", "", &["12"], &["\u{661}"]),
        (r"^\w$", "i", &["a"], &["é", "\u{212a}"]),
        (r"\bb", "", &["éb", "a b"], &["ab"]),
        (r"^\s$", "", &["\u{b}", "\t"], &["\u{a0}"]),
        (r"^[^\d]$", "", &["é"], &["1"]),
        ("a.b", "", &["a\rb"], &["a\nb"]),
        ("a.b", "s", &["a\nb"], &[]),
        ("^a b$", "x", &["ab"], &["a b"]),
        ("k", "i", &["K", "\u{212a}"], &[]),
        (r"^\x41\.$", "", &["A."], &["Ab"]),
    ] {
        let filter =
            filter(&serde_json::json!({ "a": { "$regex": pattern, "$options": options } }).to_string());
        let matches = |text: &str| filter.matches(&document(&serde_json::json!({ "a": text }).to_string()));
        matching.iter().for_each(|text| assert!(matches(text), "{pattern:?} {text:?}"));
        others.iter().for_each(|text| assert!(!matches(text), "{pattern:?} {text:?}"));
    }
}

#[test]
fn filter_pattern_that_pcre_reads_differently_is_rejected() {
    for (pattern, options) in [
        ("a$b", ""),
        ("(a$)*", ""),
        ("a^b", "m"),
        ("^", "m"),
        ("^a*", "m"),
        (r"\B", ""),
        (r"\b{start}", ""),
        (r"\<a", ""),
        ("é", "i"),
        ("[a-é]", "i"),
        (r"[\w]", "i"),
        (r"\x{e9}", "i"),
        ("[[:alpha:]]", ""),
        ("[a&&b]", ""),
        ("[a--b]", ""),
        ("[a[b]]", ""),
        (r"\p{L}", ""),
        (r"\pL", ""),
        (r"\v", ""),
        (r"\u0041", ""),
        (r"\U00000041", ""),
        ("a{,2}", ""),
        ("a**", ""),
        ("a*+", ""),
        ("a{2}{3}", ""),
        ("^*", ""),
        ("(a*)*", ""),
        ("(a+b)+", ""),
        ("(?:a{1,}){2,}", ""),
        ("(?i)a", ""),
        ("(?i:a)", ""),
        ("(?<n>a)", ""),
        ("(?P<n>a)", ""),
        ("(?=a)", ""),
        ("(?!a)", ""),
        ("(?<=a)", ""),
        (r"(a)\1", ""),
        (r"\Z", ""),
        (r"\Qa\E", ""),
        (r"\h", ""),
        ("(", ""),
        ("a{", ""),
        ("a\0", ""),
        ("[a b]", "x"),
        ("[#]", "x"),
        ("a #b", "x"),
        ("a +", "x"),
        ("a\u{a0}", "x"),
        ("(?:(?:a{200}){200}){200}", ""),
        ("a", "u"),
        ("a", "mm"),
        (&"a".repeat(crate::limits::REGEX_MAX_BYTES + 1), ""),
    ] {
        let json = serde_json::json!({ "a": { "$regex": pattern, "$options": options } }).to_string();
        let error = Filter::parse(&json, "").expect_err(&json);
        assert_eq!(error.fields()[0].pointer, "/a/$regex", "{json}");
    }
}

/// Two bounds of a path intersect only where a document has one index entry; an array has many.
#[test]
fn filter_bounds_intersect_only_for_single_entry_documents() {
    use super::Entries;
    use crate::document::Path;
    let count = |json: &str, path: &str, entries| {
        filter(json).bounds(&Path::parse(path).unwrap(), entries).map(|intervals| intervals.len())
    };
    for (json, path, one, many) in [
        (r#"{"a":1}"#, "a", Some(1), Some(1)),
        (r#"{"a":1}"#, "b", None, None),
        (r#"{"a":1}"#, "a.b", None, None),
        (r#"{"a":null}"#, "a", Some(2), Some(2)),
        (r#"{"a":{"$in":[1,2,2.0]}}"#, "a", Some(2), Some(2)),
        (r#"{"a":{"$gt":5,"$lt":1}}"#, "a", Some(0), Some(1)),
        (r#"{"$and":[{"a":1},{"a":2}]}"#, "a", Some(0), Some(1)),
        (r#"{"$or":[{"a":1},{"a":2}]}"#, "a", Some(2), Some(2)),
        (r#"{"$or":[{"a":1},{"b":2}]}"#, "a", None, None),
        (r#"{"a":{"$elemMatch":{"b":1}}}"#, "a.b", Some(1), Some(1)),
        (r#"{"a":{"$elemMatch":{"$gt":5,"$lt":1}}}"#, "a", Some(0), Some(0)),
        (r#"{"a":{"$regex":"^ab"}}"#, "a", Some(2), Some(2)),
        (r#"{"a":{"$all":[]}}"#, "a", Some(0), Some(0)),
        (r#"{"a":{"$ne":1}}"#, "a", None, None),
        (r#"{"a":{"$not":{"$gt":1}}}"#, "a", None, None),
        (r#"{"$nor":[{"a":1}]}"#, "a", None, None),
        (r#"{"a":{"$gt":[1]}}"#, "a", None, None),
    ] {
        assert_eq!(count(json, path, Entries::One), one, "{json}");
        assert_eq!(count(json, path, Entries::Many), many, "{json}");
    }
}

/// `$or` of `lists` `$in`, with all multiples of `step` from `step` on.
fn multiples(step: usize, lists: usize) -> serde_json::Value {
    let list = |number: usize| -> Vec<usize> {
        let first = number * FILTER_LIST_MAX_ITEMS + 1;
        (first..first + FILTER_LIST_MAX_ITEMS).map(|each| each * step).collect()
    };
    let all: Vec<_> =
        (0..lists).map(|number| serde_json::json!({ "_id": { "$in": list(number) } })).collect();
    serde_json::json!({ "$or": all })
}

#[test]
fn filter_bounds_of_many_values_are_few_and_fast() {
    use super::{Entries, Interval};
    use crate::document::{ID_FIELD, Path, key, order::Direction};
    let id = Path::parse(ID_FIELD).unwrap();
    let both = |a: usize, b: usize| {
        filter(&serde_json::json!({ "$and": [multiples(2, a), multiples(3, b)] }).to_string())
    };
    let bounds = |filter: &Filter| {
        let start = std::time::Instant::now();
        let bounds = filter.bounds(&id, Entries::One).unwrap();
        // One by one, and each with each, it would be minutes.
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
        bounds
    };
    // The multiples of 6 up to 12,000: each is a point, found among the others.
    let few = bounds(&both(6, 4));
    assert_eq!(few.len(), 2000);
    assert!(few.is_sorted_by(|a, b| a.end() <= b.low));
    for number in 1..=12_006_i32 {
        let key = key::encode(&[(bson::RawBsonRef::Int32(number), Direction::Ascending)]);
        assert_eq!(Interval::any_contains(&few, &key), number % 6 == 0 && number <= 12_000, "{number}");
    }
    // Too many: one that has them all.
    let wide = bounds(&both(41, 42));
    assert!(wide.len() <= FILTER_MAX_INTERVALS);
    for number in [6_i32, 600, 81_996] {
        let key = key::encode(&[(bson::RawBsonRef::Int32(number), Direction::Ascending)]);
        assert!(Interval::any_contains(&wide, &key), "{number}");
    }
}

#[test]
fn filter_all_of_many_values_takes_one_pass() {
    let numbers: Vec<usize> = (0..50_000).collect();
    let array = document(&serde_json::json!({ "a": numbers }).to_string());
    let all = |list: Vec<usize>| filter(&serde_json::json!({ "a": { "$all": list } }).to_string());
    let start = std::time::Instant::now();
    assert!(all((49_000..50_000).collect()).matches(&array));
    assert!(!all((49_001..=50_000).collect()).matches(&array));
    // With a pass for each, it would be a hundred million comparisons.
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}
