//! What is just allowed, MongoDB takes, also under the prefix of the shared placement.

use crate::judge::{Judge, find, ids, nested};
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::FindOptions;
use tenantry_documents::document::NewDocument;
use tenantry_documents::filter::Filter;
use tenantry_documents::projection::Projection;
use tenantry_documents::sort::Sort;
use tenantry_domain::limits::{
    DOCUMENT_MAX_LEVELS, FILTER_LIST_MAX_ITEMS, FILTER_MAX_LEVELS, FILTER_MAX_NODES, PATH_MAX_PARTS,
    PROJECTION_MAX_PATHS, REGEX_MAX_BYTES,
};

fn deep(levels: usize, begin: &str, inner: &str, end: &str) -> String {
    format!("{}{inner}{}", begin.repeat(levels), end.repeat(levels))
}

fn parsed(json: &str) -> Document {
    let document = NewDocument::parse(json, 1 << 20).unwrap_or_else(|error| panic!("{:?}", error.fields()));
    let raw: RawDocumentBuf = document.with_id(|| unreachable!("it has one"));
    Document::try_from(&*raw).unwrap()
}

#[tokio::test]
async fn document_at_limits_is_accepted_by_mongodb() {
    let judge = Judge::new().await;
    let levels = DOCUMENT_MAX_LEVELS - 1;
    let documents = [
        parsed(&format!("{{\"_id\":0,\"a\":{}}}", deep(levels, "{\"a\":", "1", "}"))),
        parsed(&format!("{{\"_id\":1,\"a\":{}}}", deep(levels, "[", "", "]"))),
        parsed(&format!(
            "{{\"_id\":2,\"\":1,\" \":2,\"a b\":\"\\u0000\",\"x$\":3,\"a\":\"{}\"}}",
            "x".repeat(1000)
        )),
    ];
    let plain = judge.fill("plain", &documents).await;
    let shared = judge.fill("shared", &nested(&documents)).await;
    let path = ["a"; PATH_MAX_PARTS].join(".");
    let field = |number| format!("\"f{number}\":1");
    let fields: Vec<_> = (0..FILTER_MAX_NODES).map(field).collect();
    for json in [
        format!("{{{}}}", fields.join(",")),
        format!(
            "{{\"a\":{{\"$in\":[{}]}}}}",
            (0..FILTER_LIST_MAX_ITEMS).map(|n| n.to_string()).collect::<Vec<_>>().join(",")
        ),
        deep(FILTER_MAX_LEVELS, "{\"$and\":[", "{\"a\":1}", "]}"),
        format!("{{\"a\":{}}}", deep(FILTER_MAX_LEVELS, "{\"$elemMatch\":{\"a\":", "1", "}}")),
        format!("{{\"a\":{}}}", deep(FILTER_MAX_LEVELS, "{\"$not\":", "{\"$gt\":1}", "}")),
        format!("{{\"a\":{{\"$regex\":\"{}\"}}}}", "x".repeat(REGEX_MAX_BYTES)),
        format!("{{\"a\":{}}}", deep(levels, "{\"a\":", "1", "}")),
        format!("{{\"{path}\":1}}"),
    ] {
        let filter = Filter::parse(&json, "").unwrap_or_else(|error| panic!("{json}: {:?}", error.fields()));
        for (collection, prefix) in [(&plain, ""), (&shared, "doc.")] {
            let theirs = ids(collection, filter.to_mongodb(prefix), doc! { "_id": 1 }).await;
            let ours =
                (0..).zip(crate::judge::raw(&documents)).filter(|(_, document)| filter.matches(document));
            assert_eq!(theirs, Ok(ours.map(|(id, _)| id).collect()), "{json}");
        }
    }
    let sort = Sort::parse(&format!("{path},-b.a,b")).unwrap();
    let paths: Vec<_> = (0..PROJECTION_MAX_PATHS).map(|number| format!("f{number}")).collect();
    for projection in [path, paths.join(",")] {
        let projection = Projection::parse(&projection).unwrap().to_mongodb("doc.");
        let options = FindOptions::builder().sort(sort.to_mongodb("doc.")).projection(projection).build();
        assert_eq!(find(&shared, doc! {}, options).await.map(|found| found.len()), Ok(documents.len()));
    }
    judge.end().await;
}
