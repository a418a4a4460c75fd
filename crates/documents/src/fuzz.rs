//! Fuzz targets of everything that reads a caller's text or a program's BSON. None may panic, take long, or accept what it
//! does not then keep.

use crate::aggregate::Pipeline;
use crate::document::{
    DocumentId, MergePatch, NewDocument, is_exact_in_json, write_canonical_json, write_json,
};
use crate::filter::{Filter, MatchedPosition};
use crate::fuel::Fuel;
use crate::projection::Projection;
use crate::sort::Sort;
use crate::update::{Update, UpdateContext, UpdatePointers};
use bson::RawDocumentBuf;
use tenantry_test_fuzz::fuzz;

const MAX_BYTES: usize = 1 << 20;
/// Far more than any input of these needs.
const FUEL: u64 = 50_000_000;

const DOCUMENTS: [&str; 6] = [
    r#"{"_id":1,"a":{"b":[1,2.5,"x",null,true]},"c":-0.0}"#,
    r#"{"_id":{"$oid":"65a0c0ffee0123456789abcd"},"t":{"$date":"2026-01-02T03:04:05.678+0530"},"n":{"$numberLong":"5"}}"#,
    r#"{"b":{"$binary":{"base64":"AQI=","subType":"00"}},"u":{"$uuid":"00112233-4455-6677-8899-aabbccddeeff"}}"#,
    r#"{"d":{"$numberDecimal":"1.50E+3"},"f":{"$numberDouble":"NaN"},"i":{"$numberInt":"-1"},"s":{"$symbol":"s"}}"#,
    r#"{"r":{"$ref":"c","$id":5,"$db":"d"},"x":{"$regularExpression":{"pattern":"^a","options":"i"}},"m":{"$minKey":1}}"#,
    r#"{"c":{"$code":"f()","$scope":{"a":[{"b":1}]}},"ts":{"$timestamp":{"t":1,"i":2}},"z":{"$undefined":true}}"#,
];

const FILTERS: [&str; 6] = [
    r#"{"a":5,"b.c":{"$gte":1,"$lt":{"$date":"2026-01-01T00:00:00Z"}}}"#,
    r#"{"$or":[{"a":{"$in":[1,"x",null]}},{"$nor":[{"b":{"$exists":true}}]}]}"#,
    r#"{"a":{"$regex":"^(ab|c)+d{2,3}$","$options":"i"},"b":{"$not":{"$size":2}}}"#,
    r#"{"a":{"$elemMatch":{"b":{"$all":[1,2]},"c":{"$type":["string","null"]}}}}"#,
    r#"{"a":{"$mod":[4,0]},"b":{"$ne":{"x":1}},"c":{"$nin":[[1],{}]}}"#,
    r#"{"_id":{"$gt":{"$oid":"65a0c0ffee0123456789abcd"}},"a.0.b":{"$eq":null}}"#,
];

const UPDATES: [&str; 6] = [
    r#"{"$set":{"a.b":1,"c.0.d":"x"},"$unset":{"e":""},"$inc":{"n":2}}"#,
    r#"{"$push":{"a":{"$each":[3,1,2],"$sort":-1,"$slice":2,"$position":0}},"$currentDate":{"t":true}}"#,
    r#"{"$addToSet":{"a":{"$each":[1,1]}},"$pop":{"b":-1},"$rename":{"c":"d.e"}}"#,
    r#"{"$pull":{"a":{"b":{"$gte":2}}},"$pullAll":{"c":[1,2]},"$bit":{"f":{"xor":5}}}"#,
    r#"{"$mul":{"a.$[].x":{"$numberDecimal":"2"}},"$min":{"b":0},"$max":{"c":9}}"#,
    r#"{"$setOnInsert":{"a":1},"$set":{"b":{"c":[{"d":null}]}}}"#,
];

const PIPELINES: [&str; 4] = [
    r#"[{"$match":{"a":{"$gt":1}}},{"$group":{"_id":"$b","n":{"$sum":1},"m":{"$avg":"$c"}}},{"$sort":{"n":-1}},{"$limit":5}]"#,
    r#"[{"$unwind":{"path":"$a","preserveNullAndEmptyArrays":true}},{"$project":{"x":{"$add":["$b",1]},"_id":0}}]"#,
    r#"[{"$addFields":{"d":{"$dateTrunc":{"date":"$t","unit":"week","timezone":"Europe/Berlin"}}}},{"$count":"n"}]"#,
    r#"[{"$skip":2},{"$group":{"_id":null,"all":{"$push":{"a":"$a"}},"some":{"$addToSet":"$b"}}}]"#,
];

fn text(input: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(input)
}

fn id() -> DocumentId {
    DocumentId::of_object_id([7; 12])
}

/// The documents that updates and filters meet.
fn stored() -> Vec<RawDocumentBuf> {
    DOCUMENTS.iter().map(|json| NewDocument::parse(json, MAX_BYTES).unwrap().with_id(id)).collect()
}

fn round(document: &RawDocumentBuf) -> RawDocumentBuf {
    let mut json = Vec::new();
    write_canonical_json(document, &mut json);
    let json = String::from_utf8(json).unwrap();
    NewDocument::parse(&json, MAX_BYTES << 4).unwrap_or_else(|error| panic!("{json}: {error}")).with_id(id)
}

/// NaNs have many forms, and the text has one.
fn has_nan(document: &RawDocumentBuf) -> bool {
    format!("{document:?}").contains("NaN")
}

#[test]
fn fuzz_extended_json() {
    fuzz(&DOCUMENTS, |input| {
        let Ok(read) = NewDocument::parse(&text(input), MAX_BYTES) else { return };
        let document = read.with_id(id);
        assert!(is_exact_in_json(&document), "{document:?}");
        assert_eq!(round(&document).as_bytes(), document.as_bytes(), "{document:?}");
        let mut relaxed = Vec::new();
        write_json(&document, &mut relaxed);
        NewDocument::parse(std::str::from_utf8(&relaxed).unwrap(), MAX_BYTES << 4).unwrap();
    });
}

#[test]
fn fuzz_bson() {
    let seeds: Vec<Vec<u8>> = stored().into_iter().map(RawDocumentBuf::into_bytes).collect();
    // The changes choose among texts; these are bytes.
    fuzz(&["0", "1", "2", "3", "4", "5"], |input| {
        let Some((first, changes)) = input.split_first() else { return };
        let mut bytes = seeds[usize::from(*first) % seeds.len()].clone();
        for change in changes.chunks_exact(3) {
            let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % bytes.len();
            bytes[at] = change[2];
        }
        let Ok(read) = NewDocument::from_bson(bytes.clone(), MAX_BYTES) else { return };
        let document = read.with_id(id);
        let mut json = Vec::new();
        write_json(&document, &mut json);
        if is_exact_in_json(&document) && !has_nan(&document) {
            let again = round(&document);
            assert_eq!(round(&again).as_bytes(), again.as_bytes(), "{document:?}");
        }
    });
}

#[test]
fn fuzz_filter() {
    let documents = stored();
    fuzz(&FILTERS, |input| {
        let Ok(filter) = Filter::parse(&text(input), "/filter") else { return };
        drop(filter.to_mongodb(""));
        for document in &documents {
            let go_on = || Ok(());
            let fuel = Fuel::new(&go_on).up_to(FUEL);
            assert!(filter.evaluate(document, &fuel).is_ok(), "{}", text(input));
        }
    });
}

#[test]
fn fuzz_update() {
    let documents = stored();
    fuzz(&UPDATES, |input| {
        let Ok(update) = Update::parse(
            &text(input),
            None,
            UpdatePointers { update: "/update", array_filters: "/arrayFilters" },
        ) else {
            return;
        };
        for document in &documents {
            let go_on = || Ok(());
            let fuel = Fuel::new(&go_on).up_to(FUEL);
            let context = UpdateContext {
                now: 0,
                position: MatchedPosition::Unknown,
                max_bytes: MAX_BYTES,
                fuel: &fuel,
            };
            let Ok(Some(changed)) = update.apply(document, context) else { continue };
            assert_eq!(DocumentId::of(&changed), DocumentId::of(document));
            assert!(NewDocument::from_bson(changed.into_bytes(), MAX_BYTES).is_ok(), "{}", text(input));
        }
    });
}

#[test]
fn fuzz_pipeline() {
    fuzz(&PIPELINES, |input| drop(Pipeline::parse(&text(input), "/pipeline")));
}

#[test]
fn fuzz_merge_patch() {
    let document = NewDocument::parse(DOCUMENTS[0], MAX_BYTES).unwrap().with_id(id);
    fuzz(&["{\"a\":{\"b\":null},\"c\":[1]}", "{\"a\":1}", "{\"x\":{\"$numberLong\":\"5\"}}"], |input| {
        let Ok(patch) = MergePatch::parse(&text(input)) else { return };
        let Ok(patched) = patch.apply(&document, MAX_BYTES) else { return };
        assert_eq!(DocumentId::of(&patched), DocumentId::of(&document));
    });
}

#[test]
fn fuzz_document_id() {
    fuzz(&["65a0c0ffee0123456789abcd", "~5", "~\"a\"", "~{\"$numberLong\":\"5\"}", "order-7"], |input| {
        let Ok(id) = DocumentId::parse(&text(input)) else { return };
        assert_eq!(DocumentId::parse(&id.to_string()).unwrap(), id);
    });
}

#[test]
fn fuzz_sort_and_projection() {
    fuzz(&["a,-b.c,d.0", "-a", "a,b,c", "-a,-b"], |input| {
        drop(Sort::parse(&text(input)));
        let Ok(projection) = Projection::parse(&text(input)) else { return };
        for document in stored() {
            drop(projection.apply(&document));
        }
    });
}
