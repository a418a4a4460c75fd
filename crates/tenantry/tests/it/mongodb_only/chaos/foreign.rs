//! A collection of somebody else under the name that an organization's container would have: it is never adopted,
//! merged with or removed, and nobody is left waiting for it but who was overtaken by it.

use super::{StoppedInstance, sound_at_last};
use crate::crash::{Case, Scenario};
use crate::support::app::App;
use crate::support::checker::Snapshot;
use crate::support::fixtures::{email_for, new_organization, organization};
use crate::support::mongodb::{Database, run};
use crate::support::process::Launch;
use crate::support::test_env::TestEnv;
use mongodb::bson::{Document, doc};
use serde_json::json;

/// What somebody else keeps.
struct Foreign<'a> {
    database: &'a Database,
    name: &'static str,
    documents: Vec<Document>,
}

impl<'a> Foreign<'a> {
    fn put(test_env: &'a TestEnv, name: &'static str) -> Self {
        let (database, documents) =
            (test_env.database().unwrap(), vec![doc! { "_id": 1, "somebody": "else" }, doc! { "_id": 2 }]);
        let (collection, inserted) = (database.collection(name), documents.clone());
        run(async move { collection.insert_many(inserted).await.unwrap() });
        Self { database, name, documents }
    }

    #[track_caller]
    fn assert_untouched(&self) {
        assert_eq!(self.database.find(self.name, doc! {}), self.documents, "{}", self.name);
    }

    fn remove(self) {
        let collection = self.database.collection(self.name);
        run(async move { collection.drop().await.unwrap() });
    }
}

#[tokio::test]
async fn name_of_foreign_collection_is_taken() {
    let app = App::start().await;
    let foreign = Foreign::put(app.test_env(), "tenant_acme");
    let acme = new_organization("Acme", &email_for("Acme"));
    app.client().post("/org/create", &acme).await.refused("name_taken");
    let other = organization(&app, "Other").await;
    app.operator().patch(&other.path(), &json!({ "organization_name": "ACME" })).await.refused("name_taken");
    app.operator().delete(&other.path()).await.ok();
    let restore = format!("{}/restore", other.path());
    app.operator().post(&restore, &json!({ "organization_name": "Acme!" })).await.refused("name_taken");
    foreign.assert_untouched();
    foreign.remove();

    // Nothing was kept of what was refused: neither name nor address.
    app.client().post("/org/create", &acme).await.created();
    app.operator().post_empty(&restore).await.ok();
    Snapshot::sound(app.test_env());
}

/// Somebody else puts a collection there after the intent, so the operation cannot refuse any more, or would
/// have to undo too much: it waits, others are told to come back, and it ends when the name is free.
async fn comes_while_it_is_under_way(case: Case, point: &str, name: &'static str) {
    let scenario = Scenario::before(case).await;
    let before = Snapshot::sound(&scenario.test_env);
    let asleep = StoppedInstance::at(&scenario, case, point, &Launch::on(&scenario.test_env)).await;
    let foreign = Foreign::put(&scenario.test_env, name);
    let answer = asleep.wake().await;
    answer.refused("store_unavailable");
    foreign.assert_untouched();

    // Nor is it taken by who starts, tidies and goes on.
    scenario.test_env.end_leases();
    let server = Launch::on(&scenario.test_env).start();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    foreign.assert_untouched();
    server.stop().await;
    foreign.remove();

    let server = scenario.recover().await;
    sound_at_last(&scenario.test_env).await;
    scenario.expect(case, case.after(point), &before, &server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_overtaken_by_foreign_collection_waits_for_name() {
    comes_while_it_is_under_way(Case::Create, "create.create_container.before", "tenant_subject_org").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rename_overtaken_by_foreign_collection_waits_for_name() {
    comes_while_it_is_under_way(Case::Rename, "rename.move_container.before", "tenant_renamed_org").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_overtaken_by_foreign_collection_waits_for_name() {
    comes_while_it_is_under_way(Case::Restore, "restore.show_container.before", "tenant_subject_org").await;
}
