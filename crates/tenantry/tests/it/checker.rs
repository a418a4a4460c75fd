//! The checker itself: what it reads beside a running service is what was there at one moment, and what is wrong stays
//! wrong.

use crate::support::app::App;
use crate::support::checker::Snapshot;
use crate::support::fixtures::organization;
use crate::support::mongodb::run;
use crate::support::records::put_documents;
use crate::support::test_env::TestEnv;
use mongodb::bson::doc;
use serde_json::json;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

/// Reads while one of two organizations is purged, which begins with the `moment`th call in the middle of the reading.
async fn read_while_purged(moment: u32) {
    let app = App::start().await;
    let (acme, other) = (organization(&app, "Acme").await, organization(&app, "Other").await);
    put_documents(&app, acme.id(), 20);
    put_documents(&app, other.id(), 20);
    let purge = async || {
        app.operator().delete(&format!("{}?purge=true", acme.path())).await.ok();
        while !app.operator().get(&acme.path()).await.is_refused("organization_not_found") {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    let calls = AtomicU32::new(0);
    let found = Snapshot::read_while(app.test_env(), &|id| {
        if id == acme.id() && calls.fetch_add(1, Ordering::SeqCst) == moment {
            block_in_place(|| Handle::current().block_on(purge()));
        }
    });
    assert!(calls.into_inner() > moment, "nothing has happened meanwhile");
    assert_eq!(found.problems(), Vec::<String>::new());
    assert_eq!((found.organizations(), found.containers()), (1, 1));
    assert_eq!(found.documents(other.id()).len(), 20);
    // Nor has the reading left anything behind.
    Snapshot::sound(app.test_env());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshot_is_sound_when_purge_precedes_reading() {
    read_while_purged(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshot_is_sound_when_purge_overtakes_reading() {
    read_while_purged(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshot_is_sound_when_create_overtakes_reading() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    // What is read while the other one is created.
    put_documents(&app, acme.id(), 1);
    let readings = AtomicU32::new(0);
    let found = Snapshot::read_while(app.test_env(), &|id| {
        if id == acme.id() && readings.fetch_add(1, Ordering::SeqCst) == 0 {
            block_in_place(|| Handle::current().block_on(organization(&app, "Next")));
        }
    });
    assert_eq!(found.problems(), Vec::<String>::new());
    assert_eq!((found.organizations(), found.containers()), (2, 2));
}

/// Takes the container of that organization away, as nobody should.
fn remove_container(test_env: &TestEnv, id: &str) {
    match test_env.database() {
        None => {
            let (data_dir, id) = (test_env.data_dir(), id.parse().unwrap());
            tenantry_store::make_container_file(&data_dir, id);
            std::fs::remove_file(tenantry_store::container_file(&data_dir, id)).unwrap();
        }
        Some(database) => {
            let collection = database.collection("tenant_acme");
            run(async move { collection.drop().await.unwrap() });
        }
    }
}

#[tokio::test]
async fn snapshot_reports_missing_container() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let id = acme.id().to_owned();
    let test_env = app.stop().await;
    remove_container(&test_env, &id);
    let problems = Snapshot::read(&test_env).problems();
    assert_eq!(problems, [format!("organization {id}: its container is gone")]);
}

/// Takes the events of that action out of the trail, as nobody should.
fn remove_events(test_env: &TestEnv, action: &str) {
    match test_env.database() {
        None => {
            let control = rusqlite::Connection::open(test_env.data_dir().join("control.db")).unwrap();
            let unchained = "DELETE FROM audit_outbox WHERE event ->> 'action' = ?1";
            let chained = "DELETE FROM audit_entries WHERE action = ?1";
            let removed: usize =
                [unchained, chained].iter().map(|sql| control.execute(sql, [action]).unwrap()).sum();
            assert_eq!(removed, 1);
        }
        Some(database) => {
            let (action, name) = (action.to_owned(), action.split('.').next().unwrap());
            let records = database.collection(if name == "key" { "api_keys" } else { "invitations" });
            let entries = database.collection("audit_entries");
            run(async move {
                records.update_many(doc! {}, doc! { "$unset": { "events": "" } }).await.unwrap();
                entries.delete_many(doc! { "action": action }).await.unwrap();
            });
        }
    }
}

/// Takes all records of that kind away, as nobody should.
fn remove_records(test_env: &TestEnv, table: &str) {
    match test_env.database() {
        None => {
            let control = rusqlite::Connection::open(test_env.data_dir().join("control.db")).unwrap();
            assert_eq!(control.execute(&format!("DELETE FROM {table}"), []).unwrap(), 1);
        }
        Some(database) => {
            let records = database.collection(table);
            run(async move { records.delete_many(doc! {}).await.unwrap() });
        }
    }
}

#[tokio::test]
async fn snapshot_reports_record_without_event_and_reverse() {
    for (table, action, lost) in [
        ("api_keys", "key.created", "there is no key"),
        ("invitations", "invitation.created", "of the invitations"),
    ] {
        let app = App::start().await;
        let acme = organization(&app, "Acme").await;
        let key = json!({ "name": "report", "permissions": ["documents:read"] });
        acme.owner.post(&format!("{}/keys", acme.path()), &key).await.created();
        let guest = json!({ "email": "guest@acme.example", "role": "viewer" });
        acme.owner.post(&format!("{}/invitations", acme.path()), &guest).await.created();
        // By then, every event is in its chain.
        acme.owner.get(&format!("{}/audit", acme.path())).await.ok();
        let test_env = app.stop().await;
        Snapshot::sound(&test_env);
        let copy = test_env.copy();
        remove_events(&copy, action);
        let problems = Snapshot::read(&copy).problems();
        assert!(problems.len() == 1 && problems[0].contains("has 0 events"), "{action}: {problems:?}");
        remove_records(&test_env, table);
        let problems = Snapshot::read(&test_env).problems();
        assert!(problems.len() == 1 && problems[0].contains(lost), "{action}: {problems:?}");
    }
}

#[tokio::test]
async fn snapshot_reports_damaged_container() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    put_documents(&app, acme.id(), 200);
    let id = acme.id().to_owned();
    let test_env = app.stop().await;
    match test_env.database() {
        None => {
            let file = tenantry_store::container_file(&test_env.data_dir(), id.parse().unwrap());
            let mut bytes = std::fs::read(&file).unwrap();
            let half = bytes.len() / 2;
            bytes[half..].fill(0x5a);
            std::fs::write(file, bytes).unwrap();
        }
        Some(database) => {
            let collection = database.collection("tenant_acme");
            run(
                async move { collection.delete_one(doc! { "metadata": { "$exists": true } }).await.unwrap() },
            );
        }
    }
    // Whether SQLite can read on behind the damage or not, it is said.
    let read = catch_unwind(AssertUnwindSafe(|| Snapshot::read(&test_env).problems()));
    assert!(read.is_err() || !read.unwrap().is_empty());
}
