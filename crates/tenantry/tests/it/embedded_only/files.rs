//! What only the embedded engine says: each organization is a file.

use crate::support::app::App;
use crate::support::fixtures::{new_organization, sign_in, with_access};
use serde_json::json;

#[tokio::test]
async fn embedded_organization_is_a_file_in_database_placement() {
    let app = App::start().await;
    for placement in ["collection", "shared"] {
        let mut body = new_organization("Acme", "owner@acme.example");
        body["placement"] = json!(placement);
        app.operator().post("/v1/organizations", &body).await.refused_fields(&["/placement"]);
    }
    let mut body = new_organization("Acme", "owner@acme.example");
    body["placement"] = json!("database");
    let made = app.operator().post("/v1/organizations", &body).await.created();
    let id = made["id"].as_str().unwrap();
    assert_eq!(made["tenant_database"], format!("containers/{}/{id}.db", &id[22..]));
    let file = app.data_dir().join(made["tenant_database"].as_str().unwrap());
    assert!(!file.exists(), "an organization that has written nothing needs none");
    let owner = with_access(&app, &sign_in(&app, "owner@acme.example").await);
    let usage = format!("/v1/organizations/{id}/usage");
    assert_eq!(owner.get(&usage).await.ok()["disk_bytes"], 0);
    let documents = format!("/v1/organizations/{id}/collections/documents/documents");
    owner.post(&documents, &json!({ "_id": 1 })).await.created();
    assert!(file.exists());
    assert_ne!(owner.get(&usage).await.ok()["disk_bytes"], 0);
}
