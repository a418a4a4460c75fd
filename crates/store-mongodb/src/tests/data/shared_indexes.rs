//! Indexes of organizations that share their collections with others.

use super::{Fixture, add, name, put};
use mongodb::bson::rawdoc;
use tenantry_documents::document::{Revision, StoredDocument};
use tenantry_documents::index::Index;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::ErrorCode;
use tenantry_domain::organization::Placement;
use tenantry_domain::store::InsertOutcome;

#[tokio::test]
async fn shared_index_of_one_organization_does_not_affect_others() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    let acme = fixture.home(&store, 1, "Acme", Placement::Shared).await;
    let other = fixture.home(&store, 2, "Other", Placement::Shared).await;
    let collection = CollectionName::default();
    for (keys, unique) in [("n", true), ("a,b", false)] {
        let index = Index::parse(None, keys, unique).unwrap();
        for organization in [&acme, &other] {
            let made = store.collections.insert_index(organization, &collection, &index).await.unwrap();
            assert_eq!(made, InsertOutcome::New);
        }
        assert!(store.collections.delete_index(&other, &collection, &index.name).await.unwrap());
    }
    let body = |id: i32| rawdoc! { "_id": id, "n": 1, "a": [1, 2], "b": [3, 4] };
    let two = |first: i32| {
        (first..first + 2)
            .map(|id| StoredDocument { body: body(id), revision: Revision(1) })
            .collect::<Vec<_>>()
    };
    let outcomes = store.documents.insert_documents(&other, &collection, two(1)).await.unwrap();
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let outcomes = store.documents.insert_documents(&acme, &collection, two(1)).await.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap_err().code() == ErrorCode::InvalidInput));
    fixture.remove().await;
}

/// A common index goes with the last organization that uses it, and comes back where it is missing.
#[tokio::test]
async fn shared_index_is_dropped_with_last_user_and_recreated() {
    let fixture = Fixture::new().await;
    let engine = fixture.open().await;
    let store = engine.store();
    let acme = fixture.home(&store, 1, "Acme", Placement::Shared).await;
    let other = fixture.home(&store, 2, "Other", Placement::Shared).await;
    let (collections, collection) = (&store.collections, CollectionName::default());
    put(&store, &acme, "documents", &[1]).await;
    let shared = fixture.collection("shared_documents");
    let common = async || {
        let names = shared.list_index_names().await.unwrap();
        names.into_iter().filter(|name| name.starts_with("common_")).collect::<Vec<_>>()
    };
    let index = Index::parse(None, "n", false).unwrap();
    for organization in [&acme, &other] {
        assert_eq!(
            collections.insert_index(organization, &collection, &index).await.unwrap(),
            InsertOutcome::New
        );
    }
    assert!(collections.delete_index(&acme, &collection, &index.name).await.unwrap());
    let kept = common().await;
    assert_eq!(kept.len(), 1);

    // As one leaves it who is overtaken while it drops.
    shared.drop_index(&kept[0]).await.unwrap();
    engine.tidy().await.unwrap();
    assert_eq!(common().await, kept);
    shared.drop_index(&kept[0]).await.unwrap();
    assert_eq!(collections.insert_index(&other, &collection, &index).await.unwrap(), InsertOutcome::Exists);
    assert_eq!(common().await, kept);

    assert!(collections.delete_index(&other, &collection, &index.name).await.unwrap());
    assert_eq!(common().await, [""; 0]);
    fixture.remove().await;
}

#[tokio::test]
async fn shared_indexes_are_bounded_per_organization() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    let acme = fixture.home(&store, 1, "Acme", Placement::Shared).await;
    add(&store, &acme, "notes").await;
    let collections = &store.collections;
    let make = async |collection: &str, keys: &str| {
        let index = Index::parse(None, keys, false).unwrap();
        collections.insert_index(&acme, &name(collection), &index).await
    };
    let asked = ["a", "b", "c", "d,e", "f", "g", "h", "i", "j", "k"];
    let made = asked.map(|keys| make(if keys < "e" { "documents" } else { "notes" }, keys));
    let outcomes = futures_util::future::join_all(made).await;
    let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused.iter().all(|error| error.code() == ErrorCode::TooManyIndexes), "{refused:?}");

    assert!(collections.delete_collection(&acme, &name("notes")).await.unwrap());
    assert_eq!(make("documents", "z").await.unwrap(), InsertOutcome::New);
    let names = fixture.collection("shared_documents").list_index_names().await.unwrap();
    let left = names.iter().filter(|name| name.starts_with("common_") || name.starts_with("own_")).count();
    let listed = collections.list_indexes(&acme, &CollectionName::default()).await.unwrap().len();
    assert_eq!(left, listed);
    fixture.remove().await;
}
