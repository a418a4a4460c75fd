//! A new password for an owner who has forgotten theirs: the operator gives it, the sessions end, the log has it.

use crate::support::app::App;
use crate::support::checker::Snapshot;
use crate::support::fixtures::{PASSWORD, credentials, organization, sign_in, with_access};
use crate::support::records::tables_with;
use serde_json::json;

const NEW_PASSWORD: &str = "another horse battery";

#[tokio::test]
async fn set_password_ends_sessions_and_is_logged() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let other = organization(&app, "Other").await;
    let elsewhere = with_access(&app, &sign_in(&app, acme.email()).await);
    let path = format!("{}/set-password", acme.path());
    let answer = app.operator().post(&path, &json!({ "password": NEW_PASSWORD })).await;
    let operation = answer.header("operation-location").to_owned();
    assert_eq!(answer.ok()["id"], acme.body["id"]);

    for client in [&acme.owner, &elsewhere] {
        client.get(&acme.path()).await.refused("token_revoked");
    }
    let refresh = json!({ "refresh_token": acme.tokens["refresh_token"] });
    app.client().post("/v1/auth/refresh", &refresh).await.refused("refresh_token_invalid");
    let old = credentials(acme.email(), PASSWORD);
    app.client().post("/admin/login", &old).await.refused("invalid_credentials");
    let tokens = app.client().post("/admin/login", &credentials(acme.email(), NEW_PASSWORD)).await.ok();
    with_access(&app, &tokens).get(&acme.path()).await.ok();
    other.owner.get(&other.path()).await.ok();

    let logged = app.operator().get(&operation).await.ok();
    assert_eq!((&logged["kind"], &logged["state"]), (&json!("set_password"), &json!("succeeded")));
    assert_eq!(logged["actor"], json!({ "type": "operator", "id": null }));
    assert!(!logged.to_string().contains("argon2"), "{logged}");
    assert_eq!(tables_with(&app, NEW_PASSWORD), Vec::<String>::new());
    Snapshot::sound(app.test_env());
}

#[tokio::test]
async fn set_password_is_refused_for_each_reason() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let path = format!("{}/set-password", acme.path());
    let body = json!({ "password": NEW_PASSWORD });
    acme.owner.post(&path, &body).await.refused("operator_only");
    app.client().post(&path, &body).await.refused("operator_key_required");
    for wrong in
        [json!({}), json!({ "password": null }), json!({ "password": "short" }), json!({ "password": 7 })]
    {
        app.operator().post(&path, &wrong).await.refused_fields(&["/password"]);
    }
    let unknown = json!({ "password": NEW_PASSWORD, "email": "a@b.example" });
    app.operator().post(&path, &unknown).await.refused_fields(&["/email"]);
    acme.owner.get(&acme.path()).await.ok();

    // An owner who may not sign in gets one all the same; a deleted organization has nobody who could.
    app.operator().post_empty(&format!("{}/suspend", acme.path())).await.ok();
    app.operator().post(&path, &body).await.ok();
    app.operator().post_empty(&format!("{}/reactivate", acme.path())).await.ok();
    app.client().post("/admin/login", &credentials(acme.email(), NEW_PASSWORD)).await.ok();
    app.operator().delete(&acme.path()).await.ok();
    app.operator().post(&path, &body).await.refused("organization_not_active");
    Snapshot::sound(app.test_env());
}
