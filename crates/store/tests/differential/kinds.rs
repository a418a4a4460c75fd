//! The kinds of query that other implementations of MongoDB's filters test, each of which the real server answers here:
//! numbers of all types, null and absence, arrays and what is in them, positions, comparisons across types.

use crate::judge::{Judge, ids, nested, raw};
use mongodb::bson::{Bson, Document, doc};
use tenantry_documents::filter::Filter;

/// Values of a field `v`, as Extended JSON; the place in the list is the `_id`.
const VALUES: [&str; 44] = [
    "0",
    "-0.0",
    "1",
    "1.0",
    "1.5",
    "{\"$numberLong\": \"1\"}",
    "{\"$numberDecimal\": \"1\"}",
    "{\"$numberDecimal\": \"1.50\"}",
    "{\"$numberLong\": \"9007199254740993\"}",
    "9007199254740992.0",
    "{\"$numberDouble\": \"NaN\"}",
    "{\"$numberDecimal\": \"NaN\"}",
    "{\"$numberDouble\": \"Infinity\"}",
    "{\"$numberDouble\": \"-Infinity\"}",
    "null",
    "true",
    "false",
    "\"\"",
    "\"a\"",
    "\"A\"",
    "\"1\"",
    "\"abc\"",
    "\"a\\nb\"",
    "{}",
    "{\"a\": 1}",
    "{\"a\": 1, \"b\": 2}",
    "{\"b\": 2, \"a\": 1}",
    "{\"a\": {\"b\": [1, 2]}}",
    "{\"0\": 1}",
    "[]",
    "[[]]",
    "[1]",
    "[1, 2, 3]",
    "[3, 2, 1]",
    "[null]",
    "[[1, 2], [3]]",
    "[\"a\", 1]",
    "[{\"a\": 1}, {\"a\": 2}]",
    "[{\"a\": 1, \"b\": 1}, {\"a\": 2, \"b\": 2}]",
    "[{\"a\": [1, 2]}]",
    "{\"$oid\": \"674f1c2e9b1d4a0c5e8f7a6b\"}",
    "{\"$date\": \"2026-11-29T00:00:00Z\"}",
    "{\"$binary\": {\"base64\": \"AAE=\", \"subType\": \"00\"}}",
    "{\"$minKey\": 1}",
];

const FILTERS: [&str; 84] = [
    "{}",
    "{\"v\": 1}",
    "{\"v\": 1.0}",
    "{\"v\": {\"$numberDecimal\": \"1.0\"}}",
    "{\"v\": {\"$eq\": {\"$numberDouble\": \"NaN\"}}}",
    "{\"v\": {\"$ne\": 1}}",
    "{\"v\": {\"$gt\": 1}}",
    "{\"v\": {\"$gte\": 1}}",
    "{\"v\": {\"$lt\": 1}}",
    "{\"v\": {\"$lte\": 1}}",
    "{\"v\": {\"$gt\": 9007199254740992}}",
    "{\"v\": {\"$lt\": {\"$numberDouble\": \"Infinity\"}}}",
    "{\"v\": {\"$gte\": {\"$numberDouble\": \"NaN\"}}}",
    "{\"v\": {\"$gt\": 0, \"$lt\": 2}}",
    "{\"v\": null}",
    "{\"v\": {\"$ne\": null}}",
    "{\"v\": {\"$gte\": null}}",
    "{\"w\": null}",
    "{\"w\": {\"$ne\": null}}",
    "{\"v\": {\"$exists\": true}}",
    "{\"v\": {\"$exists\": false}}",
    "{\"w\": {\"$exists\": false}}",
    "{\"v.a\": {\"$exists\": true}}",
    "{\"v.a\": {\"$exists\": false}}",
    "{\"v\": true}",
    "{\"v\": {\"$lt\": true}}",
    "{\"v\": \"a\"}",
    "{\"v\": {\"$gt\": \"a\"}}",
    "{\"v\": {\"$lte\": \"a\"}}",
    "{\"v\": {}}",
    "{\"v\": {\"a\": 1}}",
    "{\"v\": {\"$gt\": {}}}",
    "{\"v\": {\"$gte\": {\"a\": 1}}}",
    "{\"v\": {\"a\": 1, \"b\": 2}}",
    "{\"v\": []}",
    "{\"v\": [1]}",
    "{\"v\": [1, 2, 3]}",
    "{\"v\": [[]]}",
    "{\"v\": [1, 2]}",
    "{\"v\": {\"$gt\": []}}",
    "{\"v\": {\"$gte\": [1, 2]}}",
    "{\"v\": {\"$lt\": [2]}}",
    "{\"v\": {\"$ne\": []}}",
    "{\"v\": {\"$in\": [1, \"a\", null]}}",
    "{\"v\": {\"$in\": []}}",
    "{\"v\": {\"$in\": [[1], []]}}",
    "{\"v\": {\"$nin\": [1, \"a\", null]}}",
    "{\"v\": {\"$nin\": []}}",
    "{\"v\": {\"$all\": [1, 2]}}",
    "{\"v\": {\"$all\": []}}",
    "{\"v\": {\"$all\": [[1, 2]]}}",
    "{\"v\": {\"$all\": [null]}}",
    "{\"v\": {\"$all\": [{\"$elemMatch\": {\"a\": 1}}, {\"$elemMatch\": {\"a\": 2}}]}}",
    "{\"v\": {\"$size\": 0}}",
    "{\"v\": {\"$size\": 2}}",
    "{\"v\": {\"$elemMatch\": {\"$gt\": 1, \"$lt\": 3}}}",
    "{\"v\": {\"$elemMatch\": {\"a\": 1, \"b\": 1}}}",
    "{\"v\": {\"$elemMatch\": {\"a\": 1, \"b\": 2}}}",
    "{\"v\": {\"$elemMatch\": {\"$elemMatch\": {\"$gt\": 2}}}}",
    "{\"v\": {\"$elemMatch\": {\"$in\": [null]}}}",
    "{\"v\": {\"$not\": {\"$gt\": 1}}}",
    "{\"v\": {\"$not\": {\"$size\": 0}}}",
    "{\"v\": {\"$not\": {\"$elemMatch\": {\"$gt\": 1}}}}",
    "{\"v\": {\"$not\": {\"$eq\": null}}}",
    "{\"v\": {\"$regex\": \"^a\"}}",
    "{\"v\": {\"$regex\": \"A\", \"$options\": \"i\"}}",
    "{\"v\": {\"$regex\": \"^b\", \"$options\": \"m\"}}",
    "{\"v\": {\"$not\": {\"$regex\": \"a\"}}}",
    "{\"v.a\": 1}",
    "{\"v.a\": {\"$gt\": 1}}",
    "{\"v.a\": null}",
    "{\"v.a.b\": 2}",
    "{\"v.0\": 1}",
    "{\"v.0.a\": 1}",
    "{\"v.1\": {\"$exists\": true}}",
    "{\"v.0.0\": 1}",
    "{\"v.a.0\": 1}",
    "{\"v.a\": 1, \"v.b\": 2}",
    "{\"$and\": [{\"v\": {\"$gt\": 0}}, {\"v\": {\"$lt\": 2}}]}",
    "{\"$or\": [{\"v\": \"a\"}, {\"v\": null}, {\"v.a\": 1}]}",
    "{\"$nor\": [{\"v\": {\"$exists\": true}}]}",
    "{\"$nor\": [{\"v\": 1}, {\"v\": null}]}",
    "{\"v\": {\"$gt\": {\"$minKey\": 1}}}",
    "{\"v\": {\"$lte\": {\"$date\": \"2026-11-29T00:00:00Z\"}}}",
];

fn bson(json: &str) -> Bson {
    let value: serde_json::Value =
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
    Bson::try_from(value).unwrap_or_else(|error| panic!("{json}: {error}"))
}

#[tokio::test]
async fn filter_of_every_type_matches_what_mongodb_finds() {
    let judge = Judge::new().await;
    let mut documents: Vec<Document> =
        (0..).zip(VALUES).map(|(id, value): (i32, _)| doc! { "_id": id, "v": bson(value) }).collect();
    documents.push(doc! { "_id": i32::try_from(documents.len()).unwrap() });
    let plain = judge.fill("plain", &documents).await;
    let shared = judge.fill("shared", &nested(&documents)).await;
    for json in FILTERS {
        let Bson::Document(asked) = bson(json) else { panic!("{json} is no filter") };
        let filter = Filter::parse(json, "").unwrap_or_else(|error| panic!("{json}: {error}"));
        let matching = (0..).zip(raw(&documents)).filter(|(_, document)| filter.matches(document));
        let ours: Vec<i32> = matching.map(|(id, _)| id).collect();
        let by_id = || doc! { "_id": 1 };
        assert_eq!(ids(&plain, asked, by_id()).await, Ok(ours.clone()), "{json}");
        for rendered in [
            ids(&plain, filter.to_mongodb(""), by_id()).await,
            ids(&shared, filter.to_mongodb("doc."), by_id()).await,
        ] {
            let found = rendered.unwrap_or_else(|error| panic!("{json} as rendered: {error}"));
            // What MongoDB is not asked for exactly, it finds too much of.
            let is_right = found == ours || !filter.is_decided_by_mongodb();
            assert!(
                is_right && ours.iter().all(|id| found.contains(id)),
                "{json} as rendered: {found:?}, not {ours:?}"
            );
        }
    }
    judge.end().await;
}
