//! Containers that are removed late, or by several at once.

use super::{Fixture, samples};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use tenantry_domain::ErrorCode;
use tenantry_domain::operation::OperationArguments;
use tenantry_domain::organization::{Organization, Placement};
use tenantry_domain::store::CleanupReport;
use tenantry_domain::store::{InsertOutcome, NewContainer, Store, UpdateOutcome};

/// An organization that is being purged, with a container of that placement.
async fn purging(store: &Store, placement: Placement) -> Organization {
    let organization = Organization { placement, ..samples::busy(1, "me", OperationArguments::Purge) };
    assert_eq!(store.organizations.insert_organization(&organization).await.unwrap(), InsertOutcome::New);
    make_container(store, &organization).await;
    organization
}

async fn make_container(store: &Store, organization: &Organization) {
    let container = NewContainer {
        organization_id: organization.id,
        fence: 1,
        namespace: organization.naming.namespace.clone(),
        placement: organization.placement,
        created_at: samples::NOW,
    };
    store.containers.create_container(&container).await.unwrap();
}

#[tokio::test]
async fn shared_container_drop_survives_parallel_drop() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    let acme = purging(&store, Placement::Shared).await;
    let org_id = ObjectId::from_bytes(*acme.id.as_bytes());
    let documents = (0..5_000).map(|n| doc! { "_id": n, "org_id": org_id, "collection": "documents" });
    let shared = fixture.collection("shared_documents");
    shared.insert_many(documents).await.unwrap();
    let another = async {
        loop {
            shared.find_one_and_delete(doc! {}).await.unwrap();
        }
    };
    tokio::select! {
        dropped = store.containers.drop_container(&acme) => dropped.unwrap(),
        () = another => {}
    }
    assert_eq!(shared.count_documents(doc! {}).await.unwrap(), 0);
    assert_eq!(fixture.collection("shared_containers").count_documents(doc! {}).await.unwrap(), 0);
    fixture.remove().await;
}

/// A process that slept through a purge does not drop the database that came back under the id.
#[tokio::test]
async fn database_reimported_is_safe_from_late_purge() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    let asleep = purging(&store, Placement::Database).await;
    let database = fixture.client.database(&format!("{}{}", fixture.options.tenant_prefix, asleep.id));
    let notes = database.collection::<Document>("notes");
    notes.insert_one(doc! { "_id": 1 }).await.unwrap();
    // Renewing the lease does not end the ownership of its holder.
    let renewed = asleep.successor(samples::NOW);
    assert_eq!(store.organizations.update_organization(&renewed).await.unwrap(), UpdateOutcome::Done);
    store.containers.drop_container(&asleep).await.unwrap();
    let names = fixture.client.list_database_names().await.unwrap();
    assert!(!names.contains(&database.name().to_owned()), "{names:?}");
    store.containers.drop_container(&asleep).await.unwrap();

    let gone = store.organizations.delete_organization(asleep.id, renewed.version).await.unwrap();
    assert_eq!(gone, UpdateOutcome::Done);
    let imported = Organization { version: 1_000, operation: None, ..asleep.clone() };
    assert_eq!(store.organizations.insert_organization(&imported).await.unwrap(), InsertOutcome::New);
    make_container(&store, &imported).await;
    notes.insert_one(doc! { "_id": 2 }).await.unwrap();
    let late = store.containers.drop_container(&asleep).await.unwrap_err();
    assert_eq!(late.code(), ErrorCode::StoreUnavailable);
    assert_eq!(store.containers.count_documents(&imported).await.unwrap(), 1);
    fixture.remove().await;
}

#[tokio::test]
async fn database_with_views_is_dropped_and_leftover_cleaned_up() {
    let fixture = Fixture::new().await;
    let engine = fixture.open().await;
    let store = engine.store();
    let acme = purging(&store, Placement::Database).await;
    let database = fixture.client.database(&format!("{}{}", fixture.options.tenant_prefix, acme.id));
    let with_view = async || {
        let view = doc! { "create": "view", "viewOn": "documents", "pipeline": [] };
        database.run_command(view).await.unwrap();
        database.run_command(doc! { "create": "times", "timeseries": { "timeField": "at" } }).await.unwrap();
    };
    let is_there =
        async || fixture.client.list_database_names().await.unwrap().contains(&database.name().to_owned());
    with_view().await;
    store.containers.drop_container(&acme).await.unwrap();
    assert!(!is_there().await);

    // What is left over without documents, once nobody has the id any more.
    make_container(&store, &acme).await;
    assert_eq!(engine.tidy().await.unwrap(), CleanupReport::default());
    assert_eq!(
        store.organizations.delete_organization(acme.id, acme.version).await.unwrap(),
        UpdateOutcome::Done
    );
    assert_eq!(engine.tidy().await.unwrap(), CleanupReport { removed: 1, quarantined: 0 });
    assert!(!is_there().await);
    fixture.remove().await;
}
