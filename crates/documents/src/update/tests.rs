//! Rules of updates that are easy to get wrong. The differential test finds others.

use super::*;
use crate::document::{NewDocument, write_canonical_json, write_json};
use crate::filter::{Filter, MatchedPosition};
use crate::fuel::Fuel;
use bson::rawdoc;

const POINTERS: UpdatePointers<'_> = UpdatePointers { update: "/update", array_filters: "/arrayFilters" };
const MAX_BYTES: usize = 1 << 20;

fn parse(update: &str, array_filters: Option<&str>) -> Result<Update> {
    Update::parse(update, array_filters, POINTERS)
}

fn document(json: &str) -> RawDocumentBuf {
    let document = NewDocument::parse(json, MAX_BYTES).unwrap();
    document.with_id(|| DocumentId::of_object_id([0; 12]))
}

fn context<'a>(fuel: &'a Fuel<'a>, position: MatchedPosition) -> UpdateContext<'a> {
    UpdateContext { now: 1_800_000_000_000, position, max_bytes: MAX_BYTES, fuel }
}

/// What `update` makes of the document `{"_id": 1, ..}`, without the `_id`.
fn updated_by(fields: &str, update: &str, array_filters: Option<&str>) -> Result<String> {
    let before = document(&format!("{{\"_id\":1{}{fields}}}", if fields.is_empty() { "" } else { "," }));
    let fuel = Fuel::for_document();
    let after = parse(update, array_filters)?.apply(&before, context(&fuel, MatchedPosition::Unknown))?;
    let mut json = Vec::new();
    write_json(&after.unwrap_or(before), &mut json);
    let json = String::from_utf8(json).unwrap();
    Ok(json.trim_start_matches("{\"_id\":1").trim_start_matches(',').trim_end_matches('}').to_owned())
}

fn updated(fields: &str, update: &str) -> Result<String> {
    updated_by(fields, update, None)
}

#[track_caller]
fn assert_updated(cases: &[(&str, &str, &str)]) {
    for (fields, update, expected) in cases {
        let after = updated(fields, update).unwrap_or_else(|error| panic!("{fields} {update}: {error}"));
        assert_eq!(after, expected.trim_end_matches('}'), "{fields} {update}");
    }
}

/// The pointers of what is refused.
fn pointers(fields: &str, update: &str, array_filters: Option<&str>) -> Vec<String> {
    let refused = updated_by(fields, update, array_filters).expect_err(update);
    refused.fields().iter().map(|field| field.pointer.clone()).collect()
}

#[test]
fn update_widens_integers_and_refuses_what_fits_none() {
    assert_updated(&[
        (r#""a":2147483647"#, r#"{"$inc":{"a":1}}"#, r#""a":2147483648"#),
        (r#""a":2147483647"#, r#"{"$mul":{"a":2}}"#, r#""a":4294967294"#),
        (r#""a":9223372036854775807"#, r#"{"$inc":{"a":1.0}}"#, r#""a":9.223372036854776e+18"#),
        ("", r#"{"$inc":{"a":5},"$mul":{"b":-2.0}}"#, r#""a":5,"b":-0.0"#),
        (
            r#""a":{"$numberDecimal":"1"}"#,
            r#"{"$inc":{"a":0.1}}"#,
            r#""a":{"$numberDecimal":"1.100000000000000"}"#,
        ),
        (
            r#""a":{"$numberDecimal":"5"}"#,
            r#"{"$inc":{"a":{"$numberDecimal":"0.00"}}}"#,
            r#""a":{"$numberDecimal":"5"}"#,
        ),
        (r#""a":-0.0"#, r#"{"$inc":{"a":0.0}}"#, r#""a":-0.0"#),
    ]);
    for (field, update) in [
        (r#""a":9223372036854775807"#, r#"{"$inc":{"a":1}}"#),
        (r#""a":4611686018427387904"#, r#"{"$mul":{"a":2}}"#),
        (r#""a":"x""#, r#"{"$inc":{"a":1}}"#),
        (r#""a":null"#, r#"{"$mul":{"a":1}}"#),
        (r#""a":1.0"#, r#"{"$bit":{"a":{"or":1}}}"#),
    ] {
        assert_eq!(pointers(field, update, None).len(), 1, "{field} {update}");
    }
}

#[test]
fn update_adds_fields_in_the_order_of_their_paths() {
    assert_updated(&[
        ("", r#"{"$set":{"b":1,"a":2,"10":3,"9":4},"$inc":{"8":5}}"#, r#""8":5,"9":4,"10":3,"a":2,"b":1"#),
        (r#""z":1"#, r#"{"$set":{"c.b":1,"c.a":2},"$min":{"a":3}}"#, r#""z":1,"a":3,"c":{"a":2,"b":1}}"#),
    ]);
}

#[test]
fn update_pads_arrays_and_unset_leaves_null() {
    assert_updated(&[
        (r#""a":[1]"#, r#"{"$set":{"a.3":2}}"#, r#""a":[1,null,null,2]"#),
        (r#""a":{}"#, r#"{"$set":{"a.01":2}}"#, r#""a":{"01":2}}"#),
        (r#""a":[1,2]"#, r#"{"$unset":{"a.0":"","b":"","a.x":""}}"#, r#""a":[null,2]"#),
        ("", r#"{"$set":{"a.0":2}}"#, r#""a":{"0":2}}"#),
    ]);
    let huge = format!(r#"{{"$set":{{"a.{}":1}}}}"#, u32::MAX);
    for update in [
        r#"{"$set":{"a.1500001":1}}"#,
        r#"{"$set":{"a.400000":1}}"#,
        &huge,
        r#"{"$set":{"a.-1":1}}"#,
        r#"{"$unset":{"a.00":1}}"#,
    ] {
        assert_eq!(pointers(r#""a":[1]"#, update, None).len(), 1, "{update}");
    }
}

#[test]
fn update_changes_arrays_as_mongodb_does() {
    assert_updated(&[
        (
            r#""a":[3,{"b":1},2]"#,
            r#"{"$push":{"a":{"$each":[1],"$sort":1,"$slice":-3}}}"#,
            r#""a":[2,3,{"b":1}]"#,
        ),
        (r#""a":[3,2]"#, r#"{"$push":{"a":{"$each":[1,9],"$position":-1}}}"#, r#""a":[3,1,9,2]"#),
        ("", r#"{"$push":{"a":[1,2]}}"#, r#""a":[[1,2]]"#),
        (
            r#""a":[{"x":2},5,{"x":1}]"#,
            r#"{"$push":{"a":{"$each":[],"$sort":{"x":-1}}}}"#,
            r#""a":[{"x":2},{"x":1},5]"#,
        ),
        (
            r#""a":[2,{"b":1.0}]"#,
            r#"{"$addToSet":{"a":{"$each":[1,1.0,2,{"b":1}]}}}"#,
            r#""a":[2,{"b":1.0},1]"#,
        ),
        (r#""a":[1,2,{"b":1},[5,1]]"#, r#"{"$pull":{"a":{"$gt":1}}}"#, r#""a":[1,{"b":1}]"#),
        (r#""a":[1,{"b":1,"c":2},[5]]"#, r#"{"$pull":{"a":{"b":1}}}"#, r#""a":[1,[5]]"#),
        (r#""a":[1,{"b":1},[5]]"#, r#"{"$pull":{"a":{}}}"#, r#""a":[1,[5]]"#),
        (r#""a":[1,1.0,2]"#, r#"{"$pull":{"a":1}}"#, r#""a":[2]"#),
        (r#""a":[1,2,3]"#, r#"{"$pop":{"a":-1}}"#, r#""a":[2,3]"#),
        (r#""a":6"#, r#"{"$bit":{"a":{"xor":3,"and":1}}}"#, r#""a":1"#),
    ]);
    for operator in ["$push", "$addToSet", "$pull", "$pop"] {
        assert_eq!(
            pointers(r#""a":1"#, &format!(r#"{{"{operator}":{{"a":1}}}}"#), None),
            [format!("/update/{operator}/a")]
        );
    }
}

#[test]
fn update_of_array_items_meets_their_filters() {
    let fields = r#""a":[{"b":1},{"b":2}]"#;
    let both = r#"{"$set":{"a.$[x].c":1,"a.$[].d":2}}"#;
    let after = updated_by(fields, both, Some(r#"[{"x.b":{"$gt":1}}]"#)).unwrap();
    assert_eq!(after, r#""a":[{"b":1,"d":2},{"b":2,"c":1,"d":2}]"#);
    for (update, filters, at) in [
        (r#"{"$set":{"a.$[x].c":1}}"#, None, "/update/$set/a.$[x].c"),
        (r#"{"$set":{"a.$[x].c":1}}"#, Some(r#"[{"x":1},{"y":1}]"#), "/arrayFilters/1"),
        (r#"{"$set":{"a.$[x].c":1}}"#, Some(r#"[{"x":1},{"x.b":1}]"#), "/arrayFilters/1"),
        (r#"{"$set":{"a.$[].b":1,"a.0.b":2}}"#, None, "/update/$set/a.0.b"),
        (r#"{"$set":{"b.$[]":1}}"#, None, "/update/$set/b.$[]"),
        (r#"{"$set":{"a.$.b":1}}"#, None, "/update/$set/a.$.b"),
        (
            r#"{"$set":{"a.$[x].c":1,"a.$[y].c":2}}"#,
            Some(r#"[{"x.b":1},{"y.b":1}]"#),
            "/update/$set/a.$[y].c",
        ),
    ] {
        assert_eq!(pointers(fields, update, filters), [at], "{update}");
    }
}

#[test]
fn update_sets_the_position_that_the_filter_matched() {
    let document = rawdoc! { "_id": 1, "a": [{ "b": 1 }, { "b": 5 }, { "b": 5 }], "c": [5, 7] };
    let (update, fuel) = (parse(r#"{"$set":{"a.$.b":9}}"#, None).unwrap(), Fuel::for_document());
    for (filter, expected) in [
        (r#"{"a.b":5}"#, MatchedPosition::At(1)),
        (r#"{"a":{"$elemMatch":{"b":{"$gt":1}}}}"#, MatchedPosition::At(1)),
        (r#"{"c":7,"a.b":5}"#, MatchedPosition::At(1)),
        (r#"{"c":5,"a.b":5}"#, MatchedPosition::Several),
        (r#"{"$or":[{"a.b":5},{"_id":1}]}"#, MatchedPosition::Several),
        (r#"{"a.1.b":5}"#, MatchedPosition::Several),
        (r#"{"a.b":{"$ne":7}}"#, MatchedPosition::Unknown),
        ("{}", MatchedPosition::Unknown),
    ] {
        let position = Filter::parse(filter, "").unwrap().matched_position(&document, &fuel).unwrap();
        assert_eq!(position, expected, "{filter}");
        let changed = update.apply(&document, context(&fuel, position));
        assert_eq!(changed.is_ok(), matches!(expected, MatchedPosition::At(_)), "{filter}");
    }
}

#[test]
fn update_renames_fields_outside_of_arrays() {
    assert_updated(&[
        (r#""x":{"b":1,"c":2}"#, r#"{"$rename":{"x.b":"y.z"}}"#, r#""x":{"c":2},"y":{"z":1}}"#),
        (r#""a":1,"b":2"#, r#"{"$rename":{"b":"a"}}"#, r#""a":2"#),
        (r#""a":[1]"#, r#"{"$rename":{"c":"a.5","a.3":"d"}}"#, r#""a":[1]"#),
        (r#""a":1"#, r#"{"$rename":{"b":"_id"}}"#, r#""a":1"#),
    ]);
    // Also if it is the value that the `_id` has.
    assert_eq!(pointers(r#""b":1"#, r#"{"$rename":{"b":"_id"}}"#, None), ["/update/$rename/b"]);
    for update in [r#"{"$rename":{"a.0":"b"}}"#, r#"{"$rename":{"b":"a.0"}}"#, r#"{"$rename":{"b":"_id"}}"#] {
        assert_eq!(pointers(r#""a":[1],"b":2"#, update, None).len(), 1, "{update}");
    }
}

/// The sentences of a refusal.
fn sentences(update: &str, array_filters: Option<&str>) -> Vec<String> {
    let refused = parse(update, array_filters).expect_err(update);
    refused.fields().iter().map(|field| field.detail.clone()).collect()
}

#[test]
fn update_refusal_says_the_way_out_and_nothing_false() {
    let set = r#"{"$set":{"a.$[x]":1}}"#;
    for filters in [r#"[{"x":{"$in":[]}}]"#, r#"[{}]"#, r#"[{"X":1}]"#, r#"[{"x":1,"y":1}]"#, r#"{"x":1}"#] {
        let found = sentences(set, Some(filters));
        assert_eq!(found.len(), 1, "{filters}: {found:?}");
        assert!(!found[0].contains("MongoDB"), "{found:?}");
    }
    let half = sentences("{\"$set\":{\"a\":\"\\ud800\"}}", None);
    assert!(half[0].ends_with("at byte 20 of this value."), "{half:?}");
    for (update, way_out) in [
        (r#"{"$push":{"a":{"$slice":1}}}"#, "need `$each`"),
        (r#"{"$push":{"a":{"$sort":1,"$position":0}}}"#, "need `$each`"),
        (r#"{"$set":{"a":{"$literal":1}}}"#, "no `$literal`"),
        (r#"{"$set":{"a":{"$inc":1}}}"#, "POST …/documents/{id}/update"),
    ] {
        let found = sentences(update, None);
        assert!(found.len() == 1 && found[0].contains(way_out), "{update}: {found:?}");
    }
}

#[test]
fn update_refuses_all_that_is_wrong_at_once() {
    let update = r#"{"$set":{"a":1,"a.b":2,"_tenantry":3,"x..y":4,"c":{"$d":5}},"$inc":{"n":"x"},"$where":{},
        "$push":{"p":{"$each":1,"$slice":"y"}},"$rename":{"q":"_tenantry.rev"},"$pop":{"z":2}}"#;
    let mut found = pointers("", update, Some(r#"[{"X":1}]"#));
    found.sort();
    assert_eq!(
        found,
        [
            "/arrayFilters/0",
            "/update/$inc/n",
            "/update/$pop/z",
            "/update/$push/p/$each",
            "/update/$push/p/$slice",
            "/update/$rename/q",
            "/update/$set/_tenantry",
            "/update/$set/a.b",
            "/update/$set/c/$d",
            "/update/$set/x..y",
            "/update/$where",
        ]
    );
    for update in ["{}", "[]", "1", r#"{"a":1}"#, r#"{"$set":1}"#, r#"{"$set":{"a":1},"$set":{"b":1}}"#, "{"]
    {
        assert_eq!(pointers("", update, None).len(), 1, "{update}");
    }
}

#[test]
fn update_keeps_the_id_and_knows_when_nothing_changes() {
    let (before, fuel) = (document(r#"{"_id":5,"a":1}"#), Fuel::for_document());
    for (update, expected) in [
        (r#"{"$set":{"_id":5,"a":1}}"#, Some(false)),
        (r#"{"$set":{"a":1.0}}"#, Some(true)),
        (r#"{"$set":{}}"#, Some(false)),
        (r#"{"$setOnInsert":{"b":1}}"#, Some(false)),
        (r#"{"$set":{"_id":5.0}}"#, None),
        (r#"{"$unset":{"_id":1}}"#, None),
        (r#"{"$set":{"t":{"$timestamp":{"t":0,"i":0}}}}"#, None),
    ] {
        let changed = parse(update, None).unwrap().apply(&before, context(&fuel, MatchedPosition::Unknown));
        assert_eq!(changed.map(|changed| changed.is_some()).ok(), expected, "{update}");
    }
}

#[test]
fn update_makes_dates_and_timestamps_of_one_time() {
    let (before, fuel) = (document(r#"{"_id":5}"#), Fuel::for_document());
    let update = r#"{"$currentDate":{"a":true,"b":{"$type":"date"},"c":{"$type":"timestamp"},"d":{"$type":"timestamp"}}}"#;
    let changed = parse(update, None).unwrap().apply(&before, context(&fuel, MatchedPosition::Unknown));
    let mut json = Vec::new();
    write_canonical_json(&changed.unwrap().unwrap(), &mut json);
    let date = r#"{"$date":{"$numberLong":"1800000000000"}}"#;
    let time = |number: u32| format!(r#"{{"$timestamp":{{"t":1800000000,"i":{number}}}}}"#);
    let expected =
        format!(r#"{{"_id":{{"$numberInt":"5"}},"a":{date},"b":{date},"c":{},"d":{}}}"#, time(1), time(2));
    assert_eq!(String::from_utf8(json).unwrap(), expected);
}

#[test]
fn upsert_takes_equalities_and_the_id_of_the_filter() {
    let insert = |filter: &str, update: &str| {
        let fuel = Fuel::for_document();
        let fields = UpsertFields::of_filter(&Filter::parse(filter, "/filter")?, "/filter")?;
        let id = || DocumentId::parse("new").unwrap();
        let made = parse(update, None)?.insert(fields, id, context(&fuel, MatchedPosition::Unknown))?;
        let mut json = Vec::new();
        write_json(&made, &mut json);
        Ok::<_, Error>(String::from_utf8(json).unwrap())
    };
    for (filter, update, expected) in [
        (r#"{"b":1,"a":{"$gt":5}}"#, r#"{"$inc":{"n":1}}"#, r#"{"_id":"new","b":1,"n":1}"#),
        (r#"{"b":1,"_id":7,"a.c":2}"#, r#"{"$setOnInsert":{"d":1}}"#, r#"{"_id":7,"a":{"c":2},"b":1,"d":1}"#),
        (r#"{"$or":[{"a":{"$in":[3]}}]}"#, r#"{"$set":{"_id":8}}"#, r#"{"_id":8,"a":3}"#),
        (r#"{"a":{"$in":[3,3]},"b":{"$all":[4]}}"#, r#"{"$set":{"_id":8}}"#, r#"{"_id":8,"a":3,"b":4}"#),
    ] {
        assert_eq!(insert(filter, update).unwrap(), expected, "{filter}");
    }
    for (filter, update) in [
        (r#"{"_id":7}"#, r#"{"$set":{"_id":8}}"#),
        (r#"{"a":1,"a.b":2}"#, r#"{"$set":{"c":1}}"#),
        (r#"{"a":{"$all":[1,2]}}"#, r#"{"$set":{"c":1}}"#),
        (r#"{"a":{"$all":[{},{}]}}"#, r#"{"$set":{"c":1}}"#),
        (r#"{"a":{"$all":[1,1.0]}}"#, r#"{"$set":{"c":1}}"#),
        (r#"{"_id":7,"a":{"$in":[]}}"#, r#"{"$set":{"c":1}}"#),
        (r#"{"_id":null}"#, r#"{"$set":{"c":1}}"#),
        (r#"{"a":5}"#, r#"{"$set":{"a.$":1}}"#),
    ] {
        assert_eq!(insert(filter, update).unwrap_err().fields().len(), 1, "{filter}");
    }
}

/// A short update can write a long value to each item of a long array, and sort a long array many times.
#[test]
fn update_stops_before_its_result_is_too_large() {
    let items = vec!["[]"; 20_000].join(",");
    let fields = format!(r#""a":[{items}]"#);
    let long = "x".repeat(100_000);
    for update in [
        format!(r#"{{"$set":{{"a.$[]":"{long}"}}}}"#),
        format!(r#"{{"$push":{{"a.$[]":"{long}"}}}}"#),
        format!(r#"{{"$push":{{"a.$[]":{{"$each":["{long}"],"$slice":0}}}}}}"#),
    ] {
        let before = document(&format!(r#"{{"_id":1,{fields}}}"#));
        let fuel = Fuel::for_document();
        let refused = parse(&update, None).unwrap().apply(&before, context(&fuel, MatchedPosition::Unknown));
        assert!(matches!(refused, Err(Error::Invalid(_) | Error::TooCostly(_))), "{refused:?}");
    }
    let many: Vec<String> =
        (0..=crate::limits::UPDATE_MAX_PATHS).map(|number| format!("\"f{number}\":1")).collect();
    assert_eq!(pointers("", &format!(r#"{{"$set":{{{}}}}}"#, many.join(",")), None).len(), 1);
}
