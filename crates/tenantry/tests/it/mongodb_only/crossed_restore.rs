//! A backup of one engine, restored into the other.

use crate::backup::{Backups, failed_checks, start};
use crate::support::checker::Snapshot;
use crate::support::fixtures::{PASSWORD, credentials, email_for, new_organization};
use crate::support::test_env::{Engine, TestEnv};
use serde_json::{Value, json};

fn documents(id: &str) -> String {
    format!("/v1/organizations/{id}/collections/documents/documents")
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_of_each_engine_is_restored_into_the_other() {
    for (from, to) in [(Engine::Embedded, Engine::MongoDb), (Engine::MongoDb, Engine::Embedded)] {
        let (backups, source) = (Backups::new(), TestEnv::on(from));
        let server = start(&source);
        let acme = new_organization("Acme", &email_for("Acme"));
        let made = server.client().post("/org/create", &acme).await.created();
        let id = made["id"].as_str().unwrap().to_owned();
        // One that has written nothing.
        server.client().post("/org/create", &new_organization("Empty", &email_for("Empty"))).await.created();
        let sign_in = credentials(&email_for("Acme"), PASSWORD);
        let owner = async |server: &crate::support::process::Server| {
            let tokens = server.client().post("/admin/login", &sign_in).await.ok();
            server.client().with_token(tokens["access_token"].as_str().unwrap())
        };
        let of_source = owner(&server).await;
        let index = json!({ "keys": "n", "unique": true });
        let indexes = format!("/v1/organizations/{id}/collections/documents/indexes");
        of_source.post(&indexes, &index).await.created();
        let typed = json!({ "_id": "typed", "n": -1, "total": { "$numberDecimal": "9.90" }, "at": { "$date": "2026-11-20T10:00:00Z" } });
        of_source.post(&documents(&id), &typed).await.created();
        backups.back_up(&source).await;
        server.stop().await;

        let target = TestEnv::on(to);
        let said = backups.run(&target, &["restore", "DIR"]).await.done();
        assert!(said.contains("2 organizations"), "{from:?}: {said}");
        assert_eq!(failed_checks(&backups, &target).await, Vec::<String>::new(), "{from:?}");
        let server = start(&target);
        let of_target = owner(&server).await;
        let found = of_target.get(&format!("{}/typed?values=canonical", documents(&id))).await.ok();
        assert_eq!(found["total"], json!({ "$numberDecimal": "9.90" }), "{from:?}: {found}");
        let twin = json!({ "_id": "twin", "n": -1 });
        of_target.post(&documents(&id), &twin).await.refused("unique_violation");
        let listed: Value = of_target.get(&indexes).await.ok();
        assert_eq!(listed["items"][0]["unique"], true, "{from:?}: {listed}");
        server.stop().await;
        Snapshot::sound(&target);
    }
}
