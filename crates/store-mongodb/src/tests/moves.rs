//! Reads of a collection that is renamed in their middle.

use super::fixture::{Fixture, LONG, name, put};
use mongodb::bson::doc;
use tenantry_documents::filter::Filter;
use tenantry_documents::query::DocumentQuery;
use tenantry_documents::sort::Sort;
use tenantry_domain::organization::Placement;
use tenantry_test_mongod::Mongod;

/// "NamespaceNotFound": what `$collStats` answers if its collection has got another name since the command began.
const NAMESPACE_NOT_FOUND: i32 = 26;

#[tokio::test]
async fn collection_statistics_are_retried_while_it_moves() {
    let mongod = Mongod::start_with(&["--setParameter=enableTestCommands=1"]);
    let fixture = Fixture::at(mongod.uri()).await;
    let store = fixture.open_store().await;
    let acme = fixture.home(&store, 1, "Acme", Placement::Collection).await;
    put(&store, &acme, "documents", &[1, 2, 3]).await;
    // The question for what a scan looks at is an aggregate; the page is not.
    let data =
        doc! { "failCommands": ["aggregate"], "errorCode": NAMESPACE_NOT_FOUND, "appName": "tenantry" };
    let fail = doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data };
    fixture.client.database("admin").run_command(fail).await.unwrap();
    let query = DocumentQuery {
        filter: Filter::parse(r#"{"n": {"$gt": 1}}"#, "").unwrap(),
        sort: Sort::parse("_id").unwrap(),
        after: None,
        limit: 10,
        max_bytes: 1 << 20,
        time: LONG,
    };
    let found = store.documents.find_documents(&acme, &name("documents"), &query).await.unwrap();
    assert_eq!((found.documents.len(), found.scanned), (2, Some(3)));
}
