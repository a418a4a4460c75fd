//! The rules of pipelines, by name.

use super::{Aggregation, AggregationRun, Pipeline};
use crate::error::{Error, Result};
use crate::fuel::{Fuel, Interruption};
use bson::raw::RawBson;
use bson::{Bson, Document, RawDocumentBuf, doc};
use std::sync::Arc;

fn parse(pipeline: &str) -> Pipeline {
    Pipeline::parse(pipeline, "/pipeline").unwrap_or_else(|error| panic!("{pipeline}: {error}"))
}

/// What a pipeline makes of documents, whose order is that of the source.
fn compute(pipeline: &str, documents: &[Document]) -> Result<Vec<Document>> {
    let mut run = AggregationRun::new(Arc::new(Aggregation::Pipeline(parse(pipeline))));
    let fuel = Fuel::unlimited();
    for document in documents {
        if run.add(&RawDocumentBuf::try_from(document).unwrap(), &fuel)?.is_break() {
            break;
        }
    }
    let item = |item: RawBson| match Bson::try_from(item).unwrap() {
        Bson::Document(document) => document,
        other => panic!("{other}"),
    };
    Ok(run.finish(&fuel)?.into_iter().map(item).collect())
}

/// The value of an accumulator over values of `v`.
fn accumulated(accumulator: &str, values: &[Bson]) -> Bson {
    let documents: Vec<Document> = values.iter().map(|value| doc! { "v": value }).collect();
    let pipeline = format!(r#"[{{"$group":{{"_id":null,"v":{{"{accumulator}":"$v"}}}}}}]"#);
    compute(&pipeline, &documents).unwrap().remove(0).remove("v").unwrap()
}

/// The value of an expression on a document.
fn evaluated(expression: &str, document: Document) -> Result<Option<Bson>> {
    let pipeline = format!(r#"[{{"$project":{{"v":{expression}}}}}]"#);
    Ok(compute(&pipeline, &[document])?.remove(0).remove("v"))
}

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse().unwrap())
}

/// `Bson` compares NaN as different from itself.
fn is_same(a: &Bson, b: &Bson) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

#[test]
fn sum_has_widest_type_and_widens_on_overflow() {
    for (values, sum) in [
        (vec![Bson::Null], Bson::Int32(0)),
        (vec![1.into(), 2.into()], Bson::Int32(3)),
        (vec![i32::MAX.into(), 1.into()], Bson::Int64(2_147_483_648)),
        (vec![1.into(), 2_i64.into()], Bson::Int64(3)),
        (vec![i64::MAX.into(), 1.into()], Bson::Double(9_223_372_036_854_775_808.0)),
        (vec![i64::MAX.into(), i64::MAX.into(), i64::MIN.into(), i64::MIN.into()], Bson::Int64(-2)),
        (vec![1.into(), 0.5.into()], Bson::Double(1.5)),
        (vec![0.1.into(), 0.2.into(), decimal("0.70")], decimal("1.000000000000000016653345369377348")),
        (vec![decimal("0.10"), 1.into()], decimal("1.10")),
        (vec!["x".into(), Bson::Null, 4.into(), vec![Bson::Int32(5)].into()], Bson::Int32(4)),
        (vec![f64::INFINITY.into(), 1.into()], Bson::Double(f64::INFINITY)),
        (vec![f64::INFINITY.into(), f64::NEG_INFINITY.into()], Bson::Double(f64::NAN)),
    ] {
        assert!(is_same(&accumulated("$sum", &values), &sum), "{values:?}");
    }
}

/// The plain sum of these is a little less than 1.
#[test]
fn sum_of_doubles_keeps_what_rounding_loses() {
    assert_eq!(accumulated("$sum", &vec![Bson::Double(0.1); 10]), Bson::Double(1.0));
}

#[test]
fn average_of_integers_is_a_double() {
    for (values, average) in [
        (vec![1.into(), 2.into()], Bson::Double(1.5)),
        (vec![i64::MAX.into(), i64::MAX.into()], Bson::Double(9_223_372_036_854_775_807.0)),
        (vec![decimal("1"), 2.into()], decimal("1.5")),
        (vec!["x".into()], Bson::Null),
        (vec![f64::NAN.into(), 1.into()], Bson::Double(f64::NAN)),
    ] {
        assert!(is_same(&accumulated("$avg", &values), &average), "{values:?}");
    }
}

#[test]
fn extremes_ignore_null_and_keep_the_first_of_equals() {
    let values = [Bson::Null, Bson::Double(2.0), Bson::Int32(2), "a".into()];
    assert_eq!(accumulated("$min", &values), Bson::Double(2.0));
    assert_eq!(accumulated("$max", &values), Bson::from("a"));
    assert_eq!(accumulated("$max", &[Bson::Null]), Bson::Null);
    assert!(is_same(&accumulated("$min", &[1.into(), f64::NAN.into()]), &Bson::Double(f64::NAN)));
}

#[test]
fn first_computes_nothing_of_later_documents() {
    let documents = [doc! { "n": 2 }, doc! { "n": 0 }];
    let group = |accumulator: &str| {
        format!(r#"[{{"$group":{{"_id":null,"v":{{"{accumulator}":{{"$divide":[1,"$n"]}}}}}}}}]"#)
    };
    assert_eq!(compute(&group("$first"), &documents).unwrap(), [doc! { "_id": null, "v": 0.5 }]);
    compute(&group("$last"), &documents).unwrap_err();
}

#[test]
fn groups_of_equal_keys_are_one_in_order_of_keys() {
    let documents = [
        doc! { "k": "b", "n": 1 },
        doc! { "k": 1, "n": 2 },
        doc! { "n": 3 },
        doc! { "k": 1.0, "n": 4 },
        doc! { "k": null, "n": 5 },
        doc! { "k": decimal("1"), "n": 6 },
    ];
    let pipeline = r#"[{"$group":{"_id":"$k","ns":{"$push":"$n"},"last":{"$last":"$x"}}}]"#;
    assert_eq!(
        compute(pipeline, &documents).unwrap(),
        [
            doc! { "_id": null, "ns": [3, 5], "last": null },
            doc! { "_id": 1, "ns": [2, 4, 6], "last": null },
            doc! { "_id": "b", "ns": [1], "last": null },
        ]
    );
    // A missing field is left out of a key of several fields, and equals undefined there, but not null.
    let keys = compute(r#"[{"$group":{"_id":{"x":"$k","y":"$z"}}}]"#, &documents[..3]).unwrap();
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[0], doc! { "_id": {} });
}

#[test]
fn arithmetic_widens_as_mongodb_does() {
    let document = doc! { "i": 7, "l": i64::MAX, "d": 0.1, "x": decimal("0.10"), "t": bson::DateTime::from_millis(1_000) };
    for (expression, value) in [
        (r#"{"$add":["$i",1]}"#, Bson::Int32(8)),
        (r#"{"$add":["$i",2147483647]}"#, Bson::Int64(2_147_483_654)),
        (r#"{"$add":["$l",1]}"#, Bson::Double(9_223_372_036_854_775_808.0)),
        (r#"{"$add":["$x","$i"]}"#, decimal("7.10")),
        (r#"{"$add":["$t",500]}"#, bson::DateTime::from_millis(1_500).into()),
        (r#"{"$add":["$i","$nothing"]}"#, Bson::Null),
        (r#"{"$add":[]}"#, Bson::Int32(0)),
        (r#"{"$subtract":["$t",1.6]}"#, bson::DateTime::from_millis(998).into()),
        (r#"{"$subtract":["$t","$t"]}"#, Bson::Int64(0)),
        (r#"{"$subtract":["$d","$x"]}"#, decimal("0E-15")),
        (r#"{"$multiply":["$l",2]}"#, Bson::Double(18_446_744_073_709_551_616.0)),
        (r#"{"$multiply":["$i","$i"]}"#, Bson::Int32(49)),
        (r#"{"$divide":["$i",2]}"#, Bson::Double(3.5)),
        (r#"{"$divide":["$x",4]}"#, decimal("0.025")),
        (r#"{"$mod":["$i",-4]}"#, Bson::Int32(3)),
        (r#"{"$mod":[-7,2.5]}"#, Bson::Double(-2.0)),
        (r#"{"$mod":[-7,2.0]}"#, Bson::Int32(-1)),
        (r#"{"$mod":[{"$numberLong":"-7"},2.0]}"#, Bson::Int64(-1)),
        (r#"{"$mod":[-7.0,2]}"#, Bson::Double(-1.0)),
        (r#"{"$mod":[7,3e9]}"#, Bson::Double(7.0)),
        (r#"{"$abs":-2147483648}"#, Bson::Int64(2_147_483_648)),
        (r#"{"$cond":{"if":"$nothing","then":1,"else":"$i"}}"#, Bson::Int32(7)),
        (r#"{"$ifNull":["$nothing",null,"x"]}"#, Bson::from("x")),
        (r#"{"$and":["$i",{"$lt":["$nothing",null]}]}"#, Bson::Boolean(true)),
    ] {
        let found =
            evaluated(expression, document.clone()).unwrap_or_else(|error| panic!("{expression}: {error}"));
        assert!(found.as_ref().is_some_and(|found| is_same(found, &value)), "{expression}: {found:?}");
    }
}

#[test]
fn arithmetic_with_other_values_is_refused_at_its_operator() {
    for (expression, pointer) in [
        (r#"{"$add":["$s",1]}"#, "/v/$add"),
        (r#"{"$add":[1,{"$multiply":["$s",1]}]}"#, "/v/$add/1/$multiply"),
        (r#"{"$add":["$t","$t"]}"#, "/v/$add"),
        (r#"{"$divide":[1,"$zero"]}"#, "/v/$divide"),
        (r#"{"$mod":[1,"$zero"]}"#, "/v/$mod"),
        (r#"{"$abs":"$s"}"#, "/v/$abs"),
        (r#"{"$dateTrunc":{"date":"$s","unit":"day"}}"#, "/v/$dateTrunc"),
    ] {
        let document = doc! { "s": "x", "zero": 0, "t": bson::DateTime::from_millis(0) };
        let error = evaluated(expression, document).unwrap_err();
        assert_eq!(error.fields()[0].pointer, format!("/pipeline/0/$project{pointer}"), "{expression}");
    }
}

#[test]
fn date_trunc_counts_bins_in_the_time_zone() {
    let text = |millis: i64| bson::DateTime::from_millis(millis).try_to_rfc3339_string().unwrap();
    for (moment, arguments, begin) in [
        ("2026-03-29T12:34:56.789Z", r#""unit":"day","timezone":"Europe/Berlin""#, "2026-03-28T23:00:00Z"),
        ("2026-03-30T12:34:56.789Z", r#""unit":"day","timezone":"Europe/Berlin""#, "2026-03-29T22:00:00Z"),
        ("2026-03-29T12:34:56.789Z", r#""unit":"week""#, "2026-03-29T00:00:00Z"),
        ("2026-03-29T12:34:56.789Z", r#""unit":"week","startOfWeek":"mon""#, "2026-03-23T00:00:00Z"),
        ("2026-05-29T12:34:56.789Z", r#""unit":"quarter""#, "2026-04-01T00:00:00Z"),
        ("1969-05-29T12:34:56.789Z", r#""unit":"year","binSize":5"#, "1965-01-01T00:00:00Z"),
        (
            "2026-05-29T12:34:56.789Z",
            r#""unit":"minute","binSize":15,"timezone":"+05:45""#,
            "2026-05-29T12:30:00Z",
        ),
        ("2026-05-29T12:34:56.789Z", r#""unit":"hour","timezone":"+0530""#, "2026-05-29T12:30:00Z"),
    ] {
        let document = doc! { "t": bson::DateTime::parse_rfc3339_str(moment).unwrap() };
        let found = evaluated(&format!(r#"{{"$dateTrunc":{{"date":"$t",{arguments}}}}}"#), document).unwrap();
        let Some(Bson::DateTime(found)) = found else { panic!("{arguments}: {found:?}") };
        assert_eq!(text(found.timestamp_millis()), begin, "{arguments}");
    }
}

#[test]
fn unwind_makes_a_document_of_each_value() {
    let documents = [
        doc! { "_id": 1, "a": { "b": [5, 6] }, "z": 0 },
        doc! { "_id": 2, "a": { "b": [] } },
        doc! { "_id": 3, "a": { "b": 7 } },
        doc! { "_id": 4, "a": [{ "b": [8] }] },
    ];
    assert_eq!(
        compute(r#"[{"$unwind":"$a.b"}]"#, &documents).unwrap(),
        [
            doc! { "_id": 1, "a": { "b": 5 }, "z": 0 },
            doc! { "_id": 1, "a": { "b": 6 }, "z": 0 },
            doc! { "_id": 3, "a": { "b": 7 } },
        ]
    );
    let all = r#"[{"$unwind":{"path":"$a.b","includeArrayIndex":"z","preserveNullAndEmptyArrays":true}}]"#;
    assert_eq!(
        compute(all, &documents).unwrap(),
        [
            doc! { "_id": 1, "a": { "b": 5 }, "z": 0_i64 },
            doc! { "_id": 1, "a": { "b": 6 }, "z": 1_i64 },
            doc! { "_id": 2, "a": {}, "z": null },
            doc! { "_id": 3, "a": { "b": 7 }, "z": null },
            doc! { "_id": 4, "a": [{ "b": [8] }], "z": null },
        ]
    );
}

#[test]
fn projection_computes_below_arrays_and_plain_values() {
    let document = doc! { "_id": 1, "a": [{ "x": 1, "y": 2 }, 3, [{ "x": 4 }]], "b": 5, "c": 6 };
    for (stage, made) in [
        (r#"{"$project":{"a.x":1,"c":"$b"}}"#, doc! { "_id": 1, "a": [{ "x": 1 }, [{ "x": 4 }]], "c": 5 }),
        (r#"{"$project":{"a":0,"_id":0}}"#, doc! { "b": 5, "c": 6 }),
        (r#"{"$project":{"_id":0,"b":{"$literal":1}}}"#, doc! { "b": 1 }),
        (r#"{"$project":{"b.n":"$c"}}"#, doc! { "_id": 1, "b": { "n": 6 } }),
        (
            r#"{"$addFields":{"b":"$$REMOVE","d":{"e":"$c"}}}"#,
            doc! { "_id": 1, "a": document.get("a").unwrap(), "c": 6, "d": { "e": 6 } },
        ),
        (
            r#"{"$set":{"a.x":0,"b":"$a.x"}}"#,
            doc! {
                "_id": 1, "a": [{ "x": 0, "y": 2 }, { "x": 0 }, [{ "x": 0 }]], "b": [1], "c": 6
            },
        ),
    ] {
        assert_eq!(
            compute(&format!("[{stage}]"), std::slice::from_ref(&document)).unwrap(),
            [made],
            "{stage}"
        );
    }
}

#[test]
fn source_takes_what_an_engine_can_do() {
    let heads = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    for (pipeline, sort, limit, used) in [
        (
            r#"[{"$match":{"a":1}},{"$group":{"_id":"$b.c","n":{"$sum":"$d"}}}]"#,
            None,
            None,
            heads(&["b", "d"]),
        ),
        (
            r#"[{"$group":{"_id":"$b","n":{"$first":"$d"}}}]"#,
            Some(r#"{ "_id": 1 }"#),
            None,
            heads(&["b", "d"]),
        ),
        (r#"[{"$sort":{"a":-1}},{"$skip":2},{"$limit":3}]"#, Some(r#"{ "a": -1, "_id": 1 }"#), Some(5), None),
        (r#"[{"$limit":3},{"$count":"n"}]"#, Some(r#"{ "_id": 1 }"#), Some(3), heads(&[])),
        (
            r#"[{"$unwind":"$a"},{"$limit":3},{"$project":{"b":1}}]"#,
            Some(r#"{ "_id": 1 }"#),
            None,
            heads(&["_id", "a", "b"]),
        ),
        (r#"[{"$project":{"b":0}},{"$count":"n"}]"#, None, None, heads(&[])),
        (r#"[{"$group":{"_id":null,"all":{"$push":"$$ROOT"}}}]"#, Some(r#"{ "_id": 1 }"#), None, None),
    ] {
        let source = parse(pipeline).source;
        let found = source.sort.map(|sort| sort.to_mongodb("").to_string());
        assert_eq!(found.as_deref(), sort, "{pipeline}");
        assert_eq!((source.limit, source.heads), (limit, used), "{pipeline}");
    }
    let aggregation = Aggregation::Pipeline(parse(r#"[{"$match":{"a":1}},{"$count":"n"}]"#));
    assert_eq!(aggregation.as_count().map(|(_, name)| name), Some("n"));
}

/// 1,000,000 documents in 1,000 groups take little memory: what is held does not grow with the documents.
#[test]
fn groups_hold_nothing_of_documents_they_only_sum() {
    let mut run = AggregationRun::new(Arc::new(Aggregation::Pipeline(parse(
        r#"[{"$group":{"_id":"$k","n":{"$sum":"$n"},"m":{"$avg":"$n"},"x":{"$max":"$n"}}}]"#,
    ))));
    let fuel = Fuel::unlimited();
    let mut held = 0;
    for number in 0..50_000 {
        let document = bson::rawdoc! { "k": number % 1_000, "n": number };
        let _ = run.add(&document, &fuel).unwrap();
        if number == 999 {
            held = run.held_bytes();
        }
    }
    assert!(held > 0 && run.held_bytes() == held && held < 1 << 20, "{held} {}", run.held_bytes());
}

#[test]
fn aggregate_spends_fuel_also_within_one_document() {
    let pipeline = r#"[{"$unwind":"$a"},{"$unwind":"$b"},{"$group":{"_id":null,"n":{"$sum":1}}}]"#;
    let mut run = AggregationRun::new(Arc::new(Aggregation::Pipeline(parse(pipeline))));
    let list: Vec<i32> = (0..20_000).collect();
    let document = RawDocumentBuf::try_from(&doc! { "a": &list, "b": &list }).unwrap();
    let fuel = Fuel::for_document();
    fuel.begin_document(0).unwrap();
    assert!(matches!(run.add(&document, &fuel), Err(Error::TooCostly(_))));
    let is_over = || Err(Interruption::TimeOver);
    let mut run = AggregationRun::new(Arc::new(Aggregation::Pipeline(parse(pipeline))));
    assert_eq!(run.add(&document, &Fuel::new(&is_over)).unwrap_err(), Error::TimedOut);
}

#[test]
fn pipeline_beyond_its_bounds_is_refused_once() {
    let nested = |levels: usize| format!("{}1{}", r#"{"$add":[1,"#.repeat(levels), "]}".repeat(levels));
    let deep = format!(r#"[{{"$addFields":{{"a":{}}}}}]"#, nested(20));
    let fields: Vec<String> = (0..600).map(|number| format!(r#""f{number}":"$a""#)).collect();
    let wide = format!(r#"[{{"$addFields":{{{}}}}}]"#, fields.join(","));
    let tall = format!("[{}]", [r#"{"$addFields":{"a.b.c.d.e.f.g.h.i.j":"$a"}}"#; 8].join(","));
    for (pipeline, bound) in [(deep, "16 levels"), (wide, "512 operators"), (tall, "64 levels")] {
        let error = Pipeline::parse(&pipeline, "/pipeline").unwrap_err();
        assert_eq!(error.fields().len(), 1, "{error}");
        assert!(error.to_string().contains(bound), "{error}");
    }
}
