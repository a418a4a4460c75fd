//! How often the server is asked for what a reader of usage wants to know.

use super::super::Fixture;
use super::super::fixture::{name, put};
use super::{start, text};
use mongodb::bson::{Document, doc};
use std::sync::Arc;
use tenantry_documents::index::Index;
use tenantry_domain::organization::{Organization, Placement};
use tenantry_domain::store::Store;
use tokio::task::JoinSet;

impl Fixture {
    /// How often the indexes of a collection were listed, as each count of entries begins.
    async fn counts(&self) -> i64 {
        let status = self.admin(doc! { "serverStatus": 1 }).await;
        let field = |document: &Document, name: &str| document.get_document(name).unwrap().clone();
        let commands = field(&field(&status, "metrics"), "commands");
        field(&commands, "listIndexes").get_i64("total").unwrap()
    }

    /// Makes each count of entries take a while.
    async fn slow_counts(&self) {
        let data = doc! { "failCommands": ["listIndexes"], "blockConnection": true, "blockTimeMS": 400,
        "appName": "tenantry" };
        let slow = doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data };
        self.admin(slow).await;
    }

    /// An organization with a document, and with an index that has its entry.
    async fn indexed(&self, store: &Store) -> Organization {
        let acme = self.home(store, 1, "Acme", Placement::Collection).await;
        super::insert(store, &acme, vec![text(1, 1000)]).await;
        add_index(store, &acme, "text").await;
        acme
    }
}

async fn add_index(store: &Store, organization: &Organization, keys: &str) {
    let index = Index::parse(None, keys, false).unwrap();
    let made = store.collections.insert_index(organization, &name("documents"), &index).await;
    assert!(made.is_ok(), "{made:?}");
}

async fn index_bytes(store: &Store, organization: &Organization) -> u64 {
    store.collections.get_usage(organization).await.unwrap().index_bytes.unwrap()
}

#[tokio::test]
async fn usage_read_in_parallel_counts_entries_once() {
    let (_mongod, fixture, store, _opened) = start().await;
    let acme = Arc::new(fixture.indexed(&store).await);
    fixture.slow_counts().await;
    let before = fixture.counts().await;
    let mut readers = JoinSet::new();
    for _ in 0..8 {
        let (store, acme) = (store.clone(), acme.clone());
        readers.spawn(async move { index_bytes(&store, &acme).await });
    }
    let mut found = readers.join_all().await;
    found.dedup();
    assert!(found.len() == 1 && found[0] > 1000, "{found:?}");
    assert_eq!(fixture.counts().await - before, 1);
    // What is written meanwhile is counted later.
    assert!(put(&store, &acme, "documents", &[2]).await[0].is_ok());
    let since = fixture.counts().await;
    assert_eq!(index_bytes(&store, &acme).await, found[0]);
    assert_eq!(fixture.counts().await, since);
    // What this instance does about indexes is seen at once.
    add_index(&store, &acme, "n").await;
    assert!(index_bytes(&store, &acme).await > found[0]);
    fixture.remove().await;
}

#[tokio::test]
async fn usage_count_goes_on_after_reader_cancels() {
    let (_mongod, fixture, store, _opened) = start().await;
    let acme = fixture.indexed(&store).await;
    let before = fixture.counts().await;
    let (asked, of) = (store.clone(), acme.clone());
    fixture
        .hang_up_at("listIndexes", async move {
            let _ = index_bytes(&asked, &of).await;
        })
        .await;
    assert!(index_bytes(&store, &acme).await > 1000);
    assert_eq!(fixture.counts().await - before, 1);
    fixture.remove().await;
}
