//! One organization out of a backup, while everything else stays.

use super::{Backups, start};
use crate::support::fixtures::{PASSWORD, credentials, email_for, new_organization};
use crate::support::process::Server;
use crate::support::test_env::TestEnv;
use serde_json::{Value, json};

async fn sign_in(server: &Server, email: &str) -> crate::support::client::Client {
    let tokens = server.client().post("/admin/login", &credentials(email, PASSWORD)).await.ok();
    server.client().with_token(tokens["access_token"].as_str().unwrap())
}

fn documents(id: &str) -> String {
    format!("/v1/organizations/{id}/collections/documents/documents")
}

/// An organization with the document `1`; its id.
async fn create(server: &Server, name: &str) -> String {
    let made = server.client().post("/org/create", &new_organization(name, &email_for(name))).await.created();
    let id = made["id"].as_str().unwrap().to_owned();
    let owner = sign_in(server, &email_for(name)).await;
    owner.post(&documents(&id), &json!({ "_id": 1, "of": name })).await.created();
    id
}

async fn found(server: &Server, email: &str, id: &str) -> Vec<Value> {
    let page = sign_in(server, email).await.get(&documents(id)).await.ok();
    page["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn organization_comes_back_into_a_running_installation() {
    let (backups, test_env) = (Backups::new(), TestEnv::new());
    let server = start(&test_env);
    let (acme, beta) = (create(&server, "Acme").await, create(&server, "Beta").await);
    let owner = sign_in(&server, &email_for("Acme")).await;
    let key = json!({ "name": "job", "permissions": ["documents:read"] });
    let key = owner.post(&format!("/v1/organizations/{acme}/keys"), &key).await.created();
    backups.back_up(&test_env).await;
    owner.delete(&format!("{}/~1", documents(&acme))).await.done();
    let of_beta = sign_in(&server, &email_for("Beta")).await;
    of_beta.post(&documents(&beta), &json!({ "_id": 2 })).await.created();

    let url = format!("--server-url=http://{}", server.address());
    let one = |more: &[&str]| {
        let base = ["restore", "DIR", "--organization", &acme, &url];
        base.iter().chain(more).map(|text| (*text).to_owned()).collect::<Vec<_>>()
    };
    let run = async |more: &[&str]| {
        let arguments = one(more);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        backups.run(&test_env, &arguments).await
    };
    let would = run(&["--rehearse"]).await.done();
    assert!(would.contains("A restore would bring Acme (") && would.contains("documents 1,"), "{would}");
    assert!(found(&server, &email_for("Acme"), &acme).await.is_empty());
    // It is still there.
    assert!(run(&[]).await.refused().contains("organization_exists"));
    let copy = ["--new-id", "--name=Acme before", "--owner-email=before@acme.example", "--json"];
    let made: Value = serde_json::from_str(&run(&copy).await.done()).unwrap();
    assert_eq!(
        (&made["organization_name"], &made["documents"]),
        (&"Acme before".into(), &1.into()),
        "{made}"
    );
    assert_eq!(
        found(&server, "before@acme.example", "acme-before").await,
        [json!({ "_id": 1, "of": "Acme" })]
    );

    server.operator().delete(&format!("/v1/organizations/{acme}?purge=true")).await.ok();
    let said = run(&[]).await.done();
    assert!(said.contains(&format!("Restored Acme ({acme} in backup 2")), "{said}");
    assert_eq!(found(&server, &email_for("Acme"), &acme).await, [json!({ "_id": 1, "of": "Acme" })]);
    // Nothing that ended since the backup works again by itself, and nobody else was touched.
    let revived = server.client().with_token(key["key"].as_str().unwrap());
    assert_eq!(revived.get(&documents(&acme)).await.status, 401);
    assert_eq!(found(&server, &email_for("Beta"), &beta).await.len(), 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn organization_comes_back_into_a_stopped_installation() {
    let (backups, test_env) = (Backups::new(), TestEnv::new());
    let server = start(&test_env);
    let acme = create(&server, "Acme").await;
    let empty = server.client().post("/org/create", &new_organization("Empty", &email_for("Empty"))).await;
    let empty = empty.created()["id"].as_str().unwrap().to_owned();
    backups.back_up(&test_env).await;
    let later = create(&server, "Later").await;
    for id in [&acme, &empty] {
        server.operator().delete(&format!("/v1/organizations/{id}?purge=true")).await.ok();
    }
    server.stop().await;

    let unknown = backups.run(&test_env, &["restore", "DIR", "--organization", &later]).await.refused();
    assert!(unknown.contains(&format!("has no organization {later}")), "{unknown}");
    for id in [&acme, &empty] {
        let said = backups.run(&test_env, &["restore", "DIR", "--organization", id]).await.done();
        assert!(said.contains(&format!("({id} in backup")), "{said}");
    }
    let server = start(&test_env);
    assert_eq!(found(&server, &email_for("Acme"), &acme).await, [json!({ "_id": 1, "of": "Acme" })]);
    assert!(found(&server, &email_for("Empty"), &empty).await.is_empty());
    assert_eq!(found(&server, &email_for("Later"), &later).await.len(), 1);
    server.stop().await;
    assert_eq!(backups.temporary(), Vec::<String>::new());
}
