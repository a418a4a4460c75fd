//! What only the embedded engine says: each organization is a file.

use crate::support::app::App;
use crate::support::fixtures::new_organization;
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
    assert!(app.data_dir().join(made["tenant_database"].as_str().unwrap()).exists());
}
