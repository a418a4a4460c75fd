//! Tests of reading and writing documents, and of keys.

use super::order::{Direction, compare};
use super::{
    DocumentId, EntriesError, MergePatch, NewDocument, Path, index_entries, key, write_canonical_json,
    write_json,
};
use crate::error::Error;
use crate::filter::Filter;
use crate::fuel::Fuel;
use crate::limits::{DOCUMENT_DEFAULT_MAX_BYTES, DOCUMENT_MAX_LEVELS, JSON_MAX_LEVELS, PATH_MAX_PARTS};
use crate::projection::Projection;
use crate::sort::Sort;
use bson::oid::ObjectId;
use bson::raw::RawBson;
use bson::{Bson, DateTime, Decimal128, RawBsonRef, RawDocumentBuf, doc, rawdoc};
use proptest::prelude::*;

fn read(json: &str) -> RawDocumentBuf {
    let id = ObjectId::from_bytes([7; 12]);
    let document = NewDocument::parse(json, DOCUMENT_DEFAULT_MAX_BYTES);
    document.unwrap_or_else(|error| panic!("{json}: {error} {:?}", error.fields())).with_id(|| id.into())
}

/// The document after a round trip, without the `_id`.
fn round(json: &str) -> String {
    let mut written = Vec::new();
    write_json(&read(json), &mut written);
    let written = String::from_utf8(written).unwrap();
    written.replacen(r#""_id":{"$oid":"070707070707070707070707"},"#, "", 1)
}

fn refusals(json: &str) -> Vec<(String, String)> {
    let error = NewDocument::parse(json, DOCUMENT_DEFAULT_MAX_BYTES).expect_err(json);
    assert!(matches!(error, Error::Invalid(_)), "{json}");
    error.fields().iter().map(|field| (field.pointer.clone(), field.detail.clone())).collect()
}

/// The `_id` comes first, and is the one that was asked for in its type, too.
#[test]
fn document_under_id_begins_with_that_id() {
    for (json, id, expected) in [
        (r#"{"a":1,"b":[2]}"#, "5", r#"{"_id":5,"a":1,"b":[2]}"#),
        (r#"{"_id":5,"a":1}"#, "5", r#"{"_id":5,"a":1}"#),
        (r#"{"a":1,"_id":5,"b":2}"#, "5", r#"{"_id":5,"a":1,"b":2}"#),
        (r#"{"_id":5,"a":1}"#, "5.0", r#"{"_id":5.0,"a":1}"#),
        (r#"{"_id":-0.0,"a":1}"#, "0.0", r#"{"_id":0.0,"a":1}"#),
        ("{}", "5", r#"{"_id":5}"#),
    ] {
        let document = NewDocument::parse(json, DOCUMENT_DEFAULT_MAX_BYTES).unwrap();
        let mut written = Vec::new();
        write_json(&document.under_id(&DocumentId::parse(&format!("~{id}")).unwrap()), &mut written);
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }
}

#[test]
fn relaxed_extended_json_round_trips() {
    for json in [
        r#"{"z":1,"a":-2147483648,"m":2147483648,"l":9223372036854775807}"#,
        r#"{"a":1.5,"b":5.0,"c":-0.0,"d":1e+300,"e":5e-324}"#,
        r#"{"a":{"$numberDouble":"NaN"},"b":{"$numberDouble":"-Infinity"}}"#,
        r#"{"a":[],"b":{},"c":[[1,[null]],{"d":true}],"":false}"#,
        r#"{"a":"\"\\\u0000\n é😀"}"#,
        r#"{"a":{"$oid":"65f0a1b2c3d4e5f601234567"}}"#,
        r#"{"a":{"$date":"1970-01-01T00:00:00Z"},"b":{"$date":"9999-12-31T23:59:59.999Z"}}"#,
        r#"{"a":{"$date":{"$numberLong":"-1"}},"b":{"$date":{"$numberLong":"253402300800000"}}}"#,
        r#"{"a":{"$numberDecimal":"1.10"},"b":{"$numberDecimal":"-Infinity"},"c":{"$numberDecimal":"1E+3"}}"#,
        r#"{"a":{"$binary":{"base64":"AQI=","subType":"80"}}}"#,
        r#"{"a":{"$timestamp":{"t":4294967295,"i":1}},"b":{"c":{"$timestamp":{"t":0,"i":0}}}}"#,
        r#"{"a":{"$regularExpression":{"pattern":"^a\"","options":"im"}}}"#,
        r#"{"a":{"$minKey":1},"b":{"$maxKey":1},"c":{"$undefined":true}}"#,
        r#"{"a":{"$symbol":"s"},"b":{"$code":"x"},"c":{"$code":"x","$scope":{"y":{"$maxKey":1}}}}"#,
    ] {
        assert_eq!(round(json), json);
    }
}

#[test]
fn canonical_extended_json_is_read() {
    for (json, relaxed) in [
        (r#"{"a":{"$numberInt":"5"},"b":{"$numberLong":"5"}}"#, r#"{"a":5,"b":5}"#),
        (r#"{"a":{"$numberDouble":"5"},"b":{"$numberDouble":"-0.0"}}"#, r#"{"a":5.0,"b":-0.0}"#),
        (r#"{"a":{"$date":{"$numberLong":"0"}}}"#, r#"{"a":{"$date":"1970-01-01T00:00:00Z"}}"#),
        (r#"{"a":{"$date":"1970-01-01T01:00:00.5+01:00"}}"#, r#"{"a":{"$date":"1970-01-01T00:00:00.5Z"}}"#),
        (
            r#"{"a":{"$regularExpression":{"options":"xi","pattern":""}}}"#,
            r#"{"a":{"$regularExpression":{"pattern":"","options":"ix"}}}"#,
        ),
        (r#"{"a":-0}"#, r#"{"a":-0.0}"#),
        (r#"{ "a" : 1E2 }"#, r#"{"a":100.0}"#),
    ] {
        assert_eq!(round(json), relaxed);
    }
    let types = Bson::try_from(RawBson::from(read(r#"{"i":5,"l":{"$numberLong":"5"},"d":5e0}"#))).unwrap();
    let Bson::Document(types) = types else { panic!() };
    assert_eq!(types.get("i"), Some(&Bson::Int32(5)));
    assert_eq!(types.get("l"), Some(&Bson::Int64(5)));
    assert_eq!(types.get("d"), Some(&Bson::Double(5.0)));
}

/// A value of every type that the reader takes, and the edges of each.
const EVERY_TYPE: &str = r#"{"_id":{"$oid":"65f0a1b2c3d4e5f601234567"},
    "i":{"$numberInt":"-5"},"l":{"$numberLong":"5"},"ll":{"$numberLong":"-9223372036854775808"},
    "d":{"$numberDouble":"5"},"z":{"$numberDouble":"-0.0"},"s":{"$numberDouble":"5e-324"},
    "b":{"$numberDouble":"1.7976931348623157e308"},"t":{"$numberDouble":"0.1"},"n":{"$numberDouble":"NaN"},
    "p":{"$numberDouble":"Infinity"},"m":{"$numberDouble":"-Infinity"},
    "c":{"$numberDecimal":"1.10"},"e":{"$numberDecimal":"-0E+10"},"f":{"$numberDecimal":"NaN"},
    "D":{"$date":{"$numberLong":"0"}},"E":{"$date":{"$numberLong":"-9223372036854775808"}},
    "F":{"$date":"2026-11-21T01:02:03.004Z"},
    "x":{"$binary":{"base64":"AQI=","subType":"80"}},"u":{"$uuid":"00112233-4455-6677-8899-aabbccddeeff"},
    "T":{"$timestamp":{"t":4294967295,"i":0}},"r":{"$regularExpression":{"pattern":"^a\"","options":"xi"}},
    "lo":{"$minKey":1},"hi":{"$maxKey":1},"un":{"$undefined":true},"sy":{"$symbol":"s"},"co":{"$code":"x"},
    "cs":{"$code":"x","$scope":{"y":{"$numberLong":"1"}}},"nu":null,"tr":true,"fa":false,
    "te":"\"\\\u0000\n \u2028 é😀","":[[],{},[{"a":{"$numberInt":"1"}},1.5]]}"#;

#[test]
fn canonical_json_round_trips_every_type() {
    let document = read(EVERY_TYPE);
    let mut canonical = Vec::new();
    write_canonical_json(&document, &mut canonical);
    let canonical = String::from_utf8(canonical).unwrap();
    assert!(!canonical.contains('\n'), "it is one line");
    for part in [
        r#""l":{"$numberLong":"5"}"#,
        r#""d":{"$numberDouble":"5.0"}"#,
        r#""D":{"$date":{"$numberLong":"0"}}"#,
    ] {
        assert!(canonical.contains(part), "{part} is missing in {canonical}");
    }
    assert_eq!(read(&canonical).as_bytes(), document.as_bytes());
}

proptest! {
    #[test]
    fn canonical_json_round_trips_doubles_bit_for_bit(bits: u64) {
        let value = f64::from_bits(bits);
        let mut canonical = Vec::new();
        write_canonical_json(&rawdoc! { "_id": 1, "a": value }, &mut canonical);
        let back = read(&String::from_utf8(canonical).unwrap()).get_f64("a").unwrap();
        prop_assert!(back.to_bits() == bits || (back.is_nan() && value.is_nan()));
    }
}

/// The `_id` becomes the first field; a document without one is accepted, and gets one later.
#[test]
fn document_id_comes_first_and_may_be_absent() {
    assert_eq!(round(r#"{"a":1,"_id":"x"}"#), r#"{"_id":"x","a":1}"#);
    assert_eq!(DocumentId::of(&read(r#"{"a":1,"_id":"x"}"#)).unwrap().to_string(), "x");
    assert!(NewDocument::parse("{}", 100).unwrap().id().is_none());
    assert_eq!(NewDocument::parse(r#"{"_id":3}"#, 100).unwrap().id().unwrap().to_string(), "~3");
}

#[test]
fn document_parse_reports_every_bad_field_at_once() {
    let found = refusals(
        r#"{"$set":1,"a.b":{"c":1,"c":2},"d":[{"e\u0000":0}],"_id":null,"_tenantry":{},"~/":{"$oid":"x"}}"#,
    );
    let pointers: Vec<_> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers, ["/$set", "/a.b/c", "/a.b", "/d/0/e\0", "/~0~1", "/_id", "/_tenantry"]);

    assert_eq!(refusals(&format!("{{{}\"z\":1}}", "\"a.\":1,".repeat(1000))).len(), 50);
}

#[test]
fn document_parse_rejects_invalid_values() {
    for json in [
        r#"{"a":{"$foo":1}}"#,
        r#"{"a":{"$oid":"65f0a1b2c3d4e5f601234567","b":1}}"#,
        r#"{"a":{"b":1,"$oid":"65f0a1b2c3d4e5f601234567"}}"#,
        r#"{"a":{"$numberInt":"2147483648"}}"#,
        r#"{"a":{"$numberInt":5}}"#,
        r#"{"a":{"$numberDecimal":"x"}}"#,
        r#"{"a":{"$date":"yesterday"}}"#,
        r#"{"a":{"$binary":{"base64":"A","subType":"00"}}}"#,
        r#"{"a":{"$binary":{"base64":"AQI="}}}"#,
        r#"{"a":{"$uuid":"0011-2233"}}"#,
        r#"{"a":{"$timestamp":{"t":-1,"i":0}}}"#,
        r#"{"a":{"$regularExpression":{"pattern":"a\u0000","options":""}}}"#,
        r#"{"a":{"$minKey":2}}"#,
        r#"{"a":{"$undefined":false}}"#,
        r#"{"a":{"$dbPointer":1}}"#,
        r#"{"a":{"$scope":{}}}"#,
        r#"{"a":12345678901234567890}"#,
        r#"{"a":1e999}"#,
        r#"{"a":{"$timestamp":{"t":0,"i":0}}}"#,
        r#"{"_id":[1]}"#,
        r#"{"_id":{"$undefined":true}}"#,
    ] {
        assert_eq!(refusals(json).len(), 1, "{json}");
    }
}

#[test]
fn document_parse_bounds_depth_and_size() {
    let deep = |levels: usize| format!("{}{{}}{}", "{\"a\":".repeat(levels - 1), "}".repeat(levels - 1));
    read(&deep(DOCUMENT_MAX_LEVELS));
    assert_eq!(refusals(&deep(DOCUMENT_MAX_LEVELS + 1)).len(), 1);
    let too_deep = NewDocument::parse(&deep(JSON_MAX_LEVELS + 1), 1 << 20).unwrap_err();
    assert!(matches!(too_deep, Error::InvalidJson(_)));
    // Length, type, name, length of the text and its NUL, and the end.
    let json = format!("{{\"a\":\"{}\"}}", "x".repeat(100));
    assert!(NewDocument::parse(&json, 4 + 1 + 2 + 4 + 101 + 1).is_ok());
    assert!(NewDocument::parse(&json, 4 + 1 + 2 + 4 + 101).is_err());
}

/// A document of `levels` levels, as MongoDB may hold one.
fn nested(levels: usize) -> RawDocumentBuf {
    (1..levels).fold(rawdoc! {}, |inner, level| {
        if level % 2 == 0 {
            rawdoc! { "a": [inner] }
        } else {
            rawdoc! { "a": inner }
        }
    })
}

/// The threads of the service have 2 MiB each, and a stack overflow ends the process.
#[test]
fn document_of_maximum_depth_needs_little_stack() {
    let work = || {
        let json = format!(
            "{}{{}}{}",
            "{\"a\":".repeat(DOCUMENT_MAX_LEVELS - 1),
            "}".repeat(DOCUMENT_MAX_LEVELS - 1)
        );
        let ours = read(&json);
        MergePatch::parse(&json).unwrap().apply(&ours, DOCUMENT_DEFAULT_MAX_BYTES).unwrap();
        // MongoDB stores no more than 200 levels, however they came to be.
        let theirs = nested(200);
        write_json(&theirs, &mut Vec::new());
        assert!(!key::encode(&[(RawBsonRef::Document(&theirs), Direction::Ascending)]).is_empty());
        assert!(compare(RawBsonRef::Document(&theirs), RawBsonRef::Document(&theirs)).is_eq());
        let path = ["a"; PATH_MAX_PARTS].join(".");
        assert!(!Projection::parse(&path).unwrap().apply(&theirs).is_empty());
        assert!(Sort::parse(&path).unwrap().key(&theirs, &Fuel::unlimited()).is_ok());
        assert!(Filter::parse(&format!("{{\"{path}\":{{\"$exists\":true}}}}"), "").unwrap().matches(&theirs));
        assert!(MergePatch::parse("{}").unwrap().apply(&theirs, DOCUMENT_DEFAULT_MAX_BYTES).is_err());
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap().join().unwrap();
}

/// Values from the lowest to the highest, those on one line equal.
fn in_order() -> Vec<Vec<Bson>> {
    let decimal = |text: &str| Bson::Decimal128(text.parse::<Decimal128>().unwrap());
    let binary = |subtype: u8, bytes: &[u8]| {
        Bson::Binary(bson::Binary { subtype: subtype.into(), bytes: bytes.to_vec() })
    };
    vec![
        vec![Bson::MinKey],
        vec![Bson::Undefined],
        vec![Bson::Null],
        vec![f64::NAN.into(), decimal("NaN")],
        vec![f64::NEG_INFINITY.into(), decimal("-Infinity")],
        vec![decimal("-1E+400")],
        vec![f64::MIN.into()],
        vec![i64::MIN.into(), (-9_223_372_036_854_775_808.0).into(), decimal("-9223372036854775808")],
        vec![(i64::MIN + 1).into()],
        vec![(-1.5).into(), decimal("-1.50")],
        vec![(-1).into(), (-1_i64).into(), (-1.0).into(), decimal("-1")],
        vec![decimal("-1E-400")],
        vec![0.into(), 0_i64.into(), 0.0.into(), (-0.0).into(), decimal("0"), decimal("-0E+10")],
        vec![decimal("4.940656458412465441765687928682213E-324")],
        vec![5e-324.into()],
        vec![decimal("4.940656458412465441765687928682214E-324")],
        vec![decimal("0.1"), decimal("0.10")],
        // The double goes on with 021181583404541015625.
        vec![decimal("0.1000000000000000055511151231257827")],
        vec![0.1.into()],
        vec![decimal("0.1000000000000000055511151231257828")],
        vec![0.5.into(), decimal("0.5")],
        vec![1.into(), 1_i64.into(), 1.0.into(), decimal("1.000")],
        vec![10.into(), decimal("1E+1")],
        vec![(1_i64 << 53).into(), 9_007_199_254_740_992.0.into()],
        vec![((1_i64 << 53) + 1).into()],
        vec![(i64::MAX - 1).into()],
        vec![i64::MAX.into(), decimal("9223372036854775807")],
        vec![9_223_372_036_854_775_808.0.into()],
        vec![decimal("12345678901234567000000000000000000E+3")],
        vec![1.234_567_890_123_456_8e37.into()],
        vec![f64::MAX.into()],
        vec![decimal("1E+400")],
        vec![f64::INFINITY.into(), decimal("Infinity")],
        vec!["".into(), Bson::Symbol(String::new())],
        vec!["\0".into()],
        vec!["\0\0".into()],
        vec!["\0a".into()],
        vec!["a".into()],
        vec!["a\0".into()],
        vec!["a\u{1}".into()],
        vec!["aa".into()],
        vec!["\u{ffff}".into()],
        vec!["\u{10000}".into()],
        vec![doc! {}.into()],
        vec![doc! { "b": 1 }.into(), doc! { "b": 1.0 }.into()],
        vec![doc! { "b": 1, "a": 1 }.into()],
        vec![doc! { "a": "x" }.into()],
        vec![doc! { "a": "x", "a\u{1}": 1 }.into()],
        vec![doc! { "aa": "" }.into()],
        vec![doc! { "a": {} }.into()],
        vec![Vec::<Bson>::new().into()],
        vec![vec![Bson::Null].into()],
        vec![vec![1].into()],
        vec![vec![1, 1].into()],
        vec![vec![2].into()],
        vec![binary(0, &[])],
        vec![binary(0, &[9])],
        vec![binary(5, &[1])],
        vec![binary(0, &[0, 0])],
        vec![binary(2, &[])],
        vec![ObjectId::from_bytes([0; 12]).into()],
        vec![ObjectId::from_bytes([255; 12]).into()],
        vec![false.into()],
        vec![true.into()],
        vec![DateTime::from_millis(i64::MIN).into()],
        vec![DateTime::from_millis(-1).into()],
        vec![DateTime::from_millis(0).into()],
        vec![Bson::Timestamp(bson::Timestamp { time: 1, increment: u32::MAX })],
        vec![Bson::Timestamp(bson::Timestamp { time: 2, increment: 0 })],
        vec![Bson::JavaScriptCode("a".into())],
        vec![Bson::MaxKey],
    ]
}

fn raw(value: &Bson) -> RawBson {
    RawBson::try_from(value.clone()).unwrap()
}

#[test]
fn values_and_their_keys_follow_mongodb_order() {
    let values: Vec<(usize, RawBson)> = in_order()
        .iter()
        .enumerate()
        .flat_map(|(rank, equal)| equal.iter().map(move |value| (rank, raw(value))))
        .collect();
    for (rank_a, a) in &values {
        for (rank_b, b) in &values {
            let (a, b) = (a.as_raw_bson_ref(), b.as_raw_bson_ref());
            assert_eq!(compare(a, b), rank_a.cmp(rank_b), "{a:?} {b:?}");
            let key = |value, direction| key::encode(&[(value, direction)]);
            let up = key(a, Direction::Ascending).cmp(&key(b, Direction::Ascending));
            assert_eq!(up, rank_a.cmp(rank_b), "{a:?} {b:?}");
            let down = key(a, Direction::Descending).cmp(&key(b, Direction::Descending));
            assert_eq!(down, rank_b.cmp(rank_a), "{a:?} {b:?}");
        }
    }
}

proptest! {
    #[test]
    fn doubles_and_their_keys_have_one_order(a: f64, b: f64) {
        let key = |value: f64| key::encode(&[(Bson::Double(value), Direction::Ascending)].map(|(v, d)| (raw(&v), d)).each_ref().map(|(v, d)| (v.as_raw_bson_ref(), *d)));
        if let Some(order) = a.partial_cmp(&b) {
            prop_assert_eq!(key(a).cmp(&key(b)), order);
        }
    }

    #[test]
    fn integers_and_doubles_have_one_order(a: i64, offset in -2_i64..=2) {
        // The double nearest to it, or one close by, compared as integers.
        #[expect(clippy::cast_precision_loss, reason = "that is what is tested")]
        let double = a.saturating_add(offset) as f64;
        #[expect(clippy::cast_possible_truncation, reason = "it has at most 64 bits")]
        let exact = i128::from(a).cmp(&(double as i128));
        prop_assert_eq!(compare(raw(&a.into()).as_raw_bson_ref(), raw(&double.into()).as_raw_bson_ref()), exact);
    }
}

#[test]
fn index_entries_of_array_are_one_per_value() {
    let entries = |document: &RawDocumentBuf, paths: &[&str]| {
        let paths: Vec<_> = paths.iter().map(|path| Path::parse(path).unwrap()).collect();
        let entries = index_entries(document, &paths.iter().collect::<Vec<_>>(), &Fuel::unlimited())?;
        Ok::<_, EntriesError>(
            entries
                .iter()
                .map(|entry| entry.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>(),
        )
    };
    for (document, paths, expected) in [
        (rawdoc! { "a": 1 }, &["a"][..], vec!["Int32(1)"]),
        (rawdoc! {}, &["a", "b.c"], vec!["Null Null"]),
        (rawdoc! { "a": [] }, &["a"], vec!["Undefined"]),
        (rawdoc! { "a": [] }, &["a.b"], vec!["Null"]),
        (rawdoc! { "a": [2, 1, 2.0] }, &["a"], vec!["Int32(1)", "Int32(2)"]),
        (
            rawdoc! { "a": [{ "b": 1, "c": 9 }, { "b": 2 }, 3], "d": true },
            &["a.b", "a.c", "d"],
            vec!["Null Null Boolean(true)", "Int32(1) Int32(9) Boolean(true)", "Int32(2) Null Boolean(true)"],
        ),
        (rawdoc! { "a": [5, [6]] }, &["a.0"], vec!["Int32(5)"]),
        (rawdoc! { "a": [{ "b": [1, 2] }, { "b": 3 }] }, &["a.b"], vec!["Int32(1)", "Int32(2)", "Int32(3)"]),
    ] {
        assert_eq!(entries(&document, paths).unwrap(), expected, "{document:?} {paths:?}");
    }
    assert!(entries(&rawdoc! { "a": [1], "b": [1] }, &["a", "b"]).is_err());
    assert!(entries(&rawdoc! { "a": [{ "0": 1 }] }, &["a.0"]).is_err());
}

/// A malformed number is rejected, never read as another number.
#[test]
fn number_parse_rejects_malformed_numbers() {
    for text in [
        r#"{"a":{"$numberDecimal":""}}"#,
        r#"{"a":{"$numberDecimal":"."}}"#,
        r#"{"a":{"$numberDecimal":"-"}}"#,
        r#"{"a":{"$numberDecimal":"sNaN"}}"#,
        r#"{"a":{"$numberDecimal":"1e"}}"#,
        r#"{"a":{"$numberDouble":"1e400"}}"#,
        r#"{"a":{"$numberDouble":"."}}"#,
        r#"{"a":{"$numberInt":"+1"}}"#,
        r#"{"a":{"$numberLong":"1.0"}}"#,
    ] {
        assert!(NewDocument::parse(text, 1 << 20).is_err(), "{text}");
    }
    for text in [
        r#"{"a":{"$numberDecimal":"1.50E+3"}}"#,
        r#"{"a":{"$numberDecimal":"-.5"}}"#,
        r#"{"a":{"$numberDecimal":"-Infinity"}}"#,
        r#"{"a":{"$numberDouble":"-1.5e-3"}}"#,
        r#"{"a":{"$numberDouble":"NaN"}}"#,
        r#"{"a":{"$numberInt":"-0"}}"#,
    ] {
        NewDocument::parse(text, 1 << 20).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn extended_json_of_common_tools_is_read() {
    for (json, relaxed) in [
        // Python's json_util for a moment with a zone; libbson and JavaScript for years beyond 9999.
        (
            r#"{"a":{"$date":"2026-01-02T03:04:05.678+0530"}}"#,
            r#"{"a":{"$date":"2026-01-01T21:34:05.678Z"}}"#,
        ),
        (
            r#"{"a":{"$date":"10000-01-01T00:00:00Z"}}"#,
            r#"{"a":{"$date":{"$numberLong":"253402300800000"}}}"#,
        ),
        (
            r#"{"a":{"$date":"+010000-01-01T00:00:00Z"}}"#,
            r#"{"a":{"$date":{"$numberLong":"253402300800000"}}}"#,
        ),
        // Binaries and UUIDs where version 1 of the format was asked for.
        (r#"{"a":{"$binary":"YWJj","$type":"02"}}"#, r#"{"a":{"$binary":{"base64":"YWJj","subType":"02"}}}"#),
        (
            r#"{"a":{"$uuid":"00000000000000000000000000000005"}}"#,
            r#"{"a":{"$binary":{"base64":"AAAAAAAAAAAAAAAAAAAABQ==","subType":"04"}}}"#,
        ),
        // A timestamp as the driver for JavaScript gives it to `JSON.stringify`.
        (r#"{"a":{"$timestamp":"4294967298"}}"#, r#"{"a":{"$timestamp":{"t":1,"i":2}}}"#),
        // References to documents.
        (r#"{"a":{"$ref":"c","$id":5,"$db":"d","x":1}}"#, r#"{"a":{"$ref":"c","$id":5,"$db":"d","x":1}}"#),
        (r#"{"a":{"$db":"d","$id":5,"$ref":"c"}}"#, r#"{"a":{"$ref":"c","$id":5,"$db":"d"}}"#),
        (r#"{"a":[{"$ref":"c","$id":{"$numberInt":"5"}}]}"#, r#"{"a":[{"$ref":"c","$id":5}]}"#),
    ] {
        assert_eq!(round(json), relaxed);
    }
}

#[test]
fn extended_json_with_invalid_values_is_rejected() {
    for json in [
        r#"{"a":{"$date":42}}"#,
        r#"{"a":{"$date":-1}}"#,
        r#"{"a":{"$date":{"$numberLong":"+1"}}}"#,
        r#"{"a":{"$date":"2026-01-02T03:04:05"}}"#,
        r#"{"a":{"$binary":{"base64":"AQI=","subType":"+1"}}}"#,
        r#"{"a":{"$binary":"YWJj","$type":"x"}}"#,
        r#"{"a":{"$binary":"YWJj"}}"#,
        r#"{"a":{"$uuid":"0000000-00000000000000000000000005"}}"#,
        r#"{"a":{"$timestamp":"-1"}}"#,
        r#"{"a":{"$timestamp":"18446744073709551616"}}"#,
        r#"{"a":{"$ref":"c"}}"#,
        r#"{"a":{"$ref":1,"$id":1}}"#,
        r#"{"a":{"$ref":"c","$id":1,"$x":1}}"#,
        r#"{"a":{"$ref":"c","$id":1,"x.y":1}}"#,
        r#"{"$ref":"c","$id":1}"#,
        r#"{"_id":{"$ref":"c","$id":1}}"#,
    ] {
        assert!(!refusals(json).is_empty());
    }
}

#[test]
fn regex_options_are_written_sorted() {
    let regex = bson::Regex { pattern: "a".try_into().unwrap(), options: "xsmi".try_into().unwrap() };
    let document = rawdoc! { "_id": 1, "a": regex };
    let (mut relaxed, mut canonical) = (Vec::new(), Vec::new());
    write_json(&document, &mut relaxed);
    write_canonical_json(&document, &mut canonical);
    for written in [relaxed, canonical] {
        let written = String::from_utf8(written).unwrap();
        assert!(written.contains(r#"{"pattern":"a","options":"imsx"}"#), "{written}");
    }
}
