//! Forbidden MongoDB operators, in every place where one could be sent: refused and without effect. SQL is
//! ordinary text.

use crate::support::app::App;
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{encoded, organization};
use reqwest::Method;
use serde_json::{Value, json};

/// Operators of queries, projections, updates and aggregations, and some names that are not operators.
const OPERATORS: &[&str] = &[
    // Queries.
    "$where",
    "$expr",
    "$text",
    "$search",
    "$jsonSchema",
    "$mod",
    "$type",
    "$comment",
    "$bitsAllSet",
    "$bitsAnySet",
    "$bitsAllClear",
    "$bitsAnyClear",
    "$geoWithin",
    "$geoIntersects",
    "$near",
    "$nearSphere",
    "$geometry",
    "$maxDistance",
    "$minDistance",
    "$within",
    "$box",
    "$center",
    "$centerSphere",
    "$polygon",
    "$uniqueDocs",
    "$rand",
    "$natural",
    "$query",
    "$orderby",
    "$hint",
    "$explain",
    "$snapshot",
    "$returnKey",
    "$showDiskLoc",
    "$maxScan",
    "$maxTimeMS",
    "$sampleRate",
    "$alwaysTrue",
    "$alwaysFalse",
    "$encStrContains",
    // Projections.
    "$slice",
    "$meta",
    // Updates.
    "$set",
    "$unset",
    "$inc",
    "$mul",
    "$rename",
    "$min",
    "$max",
    "$currentDate",
    "$setOnInsert",
    "$push",
    "$pull",
    "$pullAll",
    "$addToSet",
    "$pop",
    "$each",
    "$position",
    "$sort",
    "$bit",
    "$isolated",
    // Aggregations.
    "$match",
    "$project",
    "$group",
    "$lookup",
    "$out",
    "$merge",
    "$unionWith",
    "$graphLookup",
    "$facet",
    "$function",
    "$accumulator",
    "$addFields",
    "$replaceRoot",
    "$replaceWith",
    "$unwind",
    "$limit",
    "$skip",
    "$count",
    "$sample",
    "$indexStats",
    "$collStats",
    "$currentOp",
    "$listSessions",
    "$planCacheStats",
    "$changeStream",
    "$redact",
    "$geoNear",
    "$setWindowFields",
    "$densify",
    "$fill",
    "$documents",
    "$bucket",
    "$bucketAuto",
    "$sortByCount",
    "$cond",
    "$ifNull",
    "$switch",
    "$literal",
    "$let",
    "$map",
    "$reduce",
    "$filter",
    "$getField",
    "$setField",
    "$concat",
    "$substr",
    "$toString",
    "$convert",
    "$dateToString",
    "$regexMatch",
    "$regexFind",
    "$add",
    "$subtract",
    "$multiply",
    "$divide",
    "$cmp",
    "$objectToArray",
    "$arrayElemAt",
    "$mergeObjects",
    "$sum",
    "$avg",
    "$first",
    "$last",
    "$top",
    "$bottom",
    "$$ROOT",
    "$$CURRENT",
    "$$NOW",
    "$$REMOVE",
    // Names that are not operators.
    "$",
    "$nothing",
    "$AND",
    "$Eq",
    "$eq ",
    "$gt.x",
    "$db",
    "$ref",
    "$id",
];

/// Operands.
const OPERANDS: [&str; 5] = ["1", "\"this.secret\"", "{}", "[]", "[[\"$secret\", 1]]"];

/// Filters with an operator `OP` and its operand `X`.
const FILTERS: [&str; 18] = [
    r#"{"OP": X}"#,
    r#"{"a": {"OP": X}}"#,
    r#"{"a": 1, "OP": X}"#,
    r#"{"a": {"$gt": 1, "OP": X}}"#,
    r#"{"$and": [{"OP": X}]}"#,
    r#"{"$or": [{"a": 1}, {"a": {"OP": X}}]}"#,
    r#"{"$nor": [{"OP": X}]}"#,
    r#"{"a": {"$not": {"OP": X}}}"#,
    r#"{"a": {"$elemMatch": {"OP": X}}}"#,
    r#"{"a": {"$elemMatch": {"b": {"OP": X}}}}"#,
    r#"{"a": {"$all": [{"$elemMatch": {"OP": X}}]}}"#,
    r#"{"a": {"$eq": {"OP": X}}}"#,
    r#"{"a": {"$in": [1, {"OP": X}]}}"#,
    r#"{"a": {"$ne": {"b": [{"OP": X}]}}}"#,
    r#"{"a": {"b": {"OP": X}}}"#,
    r#"{"$and": [{"$or": [{"$nor": [{"$and": [{"a": {"$not": {"$not": {"OP": X}}}}]}]}]}]}"#,
    r#"{"OP.a": X}"#,
    r#"{"a.OP": X}"#,
];

/// Documents, too.
const DOCUMENTS: [&str; 5] = [
    r#"{"OP": X}"#,
    r#"{"a": {"OP": X}}"#,
    r#"{"a": [1, {"OP": X}]}"#,
    r#"{"a": {"b": {"c": {"OP": X}}}}"#,
    r#"{"_id": {"OP": X}}"#,
];

struct Scene {
    app: App,
    owner: Client,
    collection: String,
}

impl Scene {
    async fn start() -> Self {
        let app = App::start().await;
        let acme = organization(&app, "Acme").await;
        let collection = format!("{}/collections/things", acme.path());
        acme.owner
            .post(&format!("{}/collections", acme.path()), &json!({ "name": "things" }))
            .await
            .created();
        for number in 0..3 {
            let document = json!({ "_id": format!("d{number}"), "a": number, "secret": "s" });
            acme.owner.post(&format!("{collection}/documents"), &document).await.created();
        }
        Self { app, owner: acme.owner, collection }
    }

    async fn all(&self) -> Value {
        self.owner.get(&format!("{}/documents", self.collection)).await.ok()["items"].clone()
    }

    /// Asks with that filter, by one of the ways there are.
    async fn ask(&self, way: usize, filter: &str) -> Answer {
        let Self { owner, collection, .. } = self;
        let query = encoded(filter);
        match way % 6 {
            0 => owner.get(&format!("{collection}/documents?filter={query}")).await,
            1 => owner.get(&format!("{collection}/count?filter={query}")).await,
            2 => owner.delete(&format!("{collection}/documents?filter={query}")).await,
            way => {
                let body = format!(r#"{{"filter": {filter}}}"#).into_bytes();
                let path = format!("{collection}/{}", ["query", "count", "delete"][way - 3]);
                owner.send(Method::POST, &path, Some(("application/json", body))).await
            }
        }
    }

    /// Writes that document or patch, by one of the ways there are.
    async fn write(&self, way: usize, document: &str) -> Answer {
        let body = Some(("application/json", document.as_bytes().to_vec()));
        let (method, path) = match way % 3 {
            0 => (Method::POST, "documents"),
            1 => (Method::PUT, "documents/d1"),
            _ => (Method::PATCH, "documents/d1"),
        };
        self.owner.send(method, &format!("{}/{path}", self.collection), body).await
    }
}

#[track_caller]
fn assert_refused(answer: &Answer, what: &str) {
    assert!(answer.is_refused("invalid_input"), "{what}: {answer}");
}

#[tokio::test]
async fn query_operators_off_the_list_are_refused_everywhere() {
    let scene = Scene::start().await;
    let before = scene.all().await;
    let mut way = 0;
    for operator in OPERATORS {
        let name = operator.replace('"', "\\\"");
        for template in FILTERS {
            way += 1;
            let filter = template.replace("OP", &name).replace('X', OPERANDS[way % OPERANDS.len()]);
            // Every operator by every way in the first place, by one of them in the others.
            for turn in 0..if template == FILTERS[0] { 4 } else { 1 } {
                assert_refused(&scene.ask(way + turn, &filter).await, &filter);
            }
        }
        for template in DOCUMENTS {
            way += 1;
            let document = template.replace("OP", &name).replace('X', OPERANDS[way % OPERANDS.len()]);
            if operator.starts_with('$') {
                assert_refused(&scene.write(way, &document).await, &document);
            }
        }
    }
    assert_eq!(scene.all().await, before);
}

#[tokio::test]
async fn query_operators_are_never_paths() {
    let scene = Scene::start().await;
    let before = scene.all().await;
    let documents = format!("{}/documents", scene.collection);
    let indexes = format!("{}/indexes", scene.collection);
    for operator in OPERATORS.iter().filter(|operator| operator.starts_with('$')) {
        for path in
            [(*operator).to_owned(), format!("a.{operator}"), format!("{operator}.a"), format!("-{operator}")]
        {
            for query in ["sort", "fields"] {
                let answer = scene.owner.get(&format!("{documents}?{query}={}", encoded(&path))).await;
                assert_refused(&answer, &path);
            }
            assert_refused(&scene.owner.post(&indexes, &json!({ "keys": path })).await, &path);
        }
    }
    assert_eq!(scene.all().await, before);
    assert_eq!(scene.owner.get(&indexes).await.ok()["items"], json!([]));
}

/// Texts that SQL could read as the end of a string and a command after it.
const SQL: [&str; 8] = [
    "'; DROP TABLE documents; --",
    "\" OR \"\"=\"",
    "x' OR '1'='1",
    "1; DELETE FROM documents WHERE 1=1",
    "%' UNION SELECT body FROM documents --",
    "\\'; PRAGMA writable_schema=1; --",
    "`collections`",
    "?1",
];

#[tokio::test]
async fn sql_in_texts_is_stored_as_text() {
    let scene = Scene::start().await;
    let Scene { owner, collection, app: _app } = &scene;
    for text in SQL {
        let document = json!({ "_id": text, "a": text, "b": { "c": [text] } });
        let made = owner.post(&format!("{collection}/documents"), &document).await.created();
        assert_eq!(made, document);
        let path = format!("{collection}/documents/{}", encoded(text));
        assert_eq!(owner.get(&path).await.ok(), document);
        for filter in [json!({ "a": text }), json!({ "b.c": { "$in": [text] } }), json!({ "_id": text })] {
            let found =
                owner.get(&format!("{collection}/documents?filter={}", encoded(&filter.to_string()))).await;
            assert_eq!(found.ok()["items"], json!([document]), "{filter}");
        }
        // A name of a field may be anything without `$` in front, `.` and NUL.
        let named = json!({ text.replace('.', " "): 1 });
        owner.patch(&path, &named).await.ok();
        let by_name = encoded(&json!({ text.replace('.', " "): 1 }).to_string());
        assert_eq!(owner.get(&format!("{collection}/count?filter={by_name}")).await.ok()["count"], 1);
        owner
            .post(&format!("{collection}/indexes"), &json!({ "keys": "a", "name": text }))
            .await
            .refused_fields(&["/name"]);
        let none = format!("{}{}", collection.trim_end_matches("things"), encoded(text));
        owner.get(&none).await.refused("collection_not_found");
        owner.get(&format!("{none}/documents")).await.refused("collection_not_found");
        for query in ["sort", "fields"] {
            let asked = format!("{collection}/documents?{query}={}", encoded(&text.replace(',', " ")));
            assert!(owner.get(&asked).await.status.as_u16() <= 400, "{text}");
        }
        owner.delete(&path).await.done();
    }
    let all = scene.all().await;
    assert_eq!(all.as_array().unwrap().len(), 3, "{all}");
}
