//! After a restore, credentials from before are refused until somebody confirms it.

use super::{Backups, start};
use crate::support::fixtures::{PASSWORD, credentials, email_for, new_organization};
use crate::support::test_env::TestEnv;
use serde_json::{Value, json};

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_credentials_are_refused_until_confirmed() {
    let (backups, test_env) = (Backups::new(), TestEnv::new());
    let server = start(&test_env);
    let client = server.client();
    let acme = client.post("/org/create", &new_organization("Acme", &email_for("Acme"))).await.created();
    let path = format!("/v1/organizations/{}", text(&acme, "id"));
    let sign_in = credentials(&email_for("Acme"), PASSWORD);
    let tokens = client.post("/admin/login", &sign_in).await.ok();
    let owner = client.with_token(&text(&tokens, "access_token"));
    let service = json!({ "name": "backend", "permissions": ["organizations:read"] });
    let service = text(&server.operator().post("/v1/keys", &service).await.created(), "key");
    let own = json!({ "name": "job", "permissions": ["documents:read"] });
    let own = text(&owner.post(&format!("{path}/keys"), &own).await.created(), "key");
    let invite = json!({ "email": "guest@else.example", "role": "member" });
    let invitation = text(&owner.post(&format!("{path}/invitations"), &invite).await.created(), "token");
    let reset = format!("{path}/members/{}/password-reset", text(&acme, "admin_id"));
    let reset = text(&server.operator().post_empty(&reset).await.created(), "token");
    let operator_key = std::fs::read_to_string(test_env.data_dir().join("operator.key")).unwrap();
    backups.back_up(&test_env).await;
    server.stop().await;

    let target = backups.restore().await;
    let server = start(&target);
    let client = server.client();
    let refused = "credential_unconfirmed";
    for credential in [operator_key.trim(), &service, &own, &text(&tokens, "access_token")] {
        client.with_token(credential).get(&path).await.refused(refused);
    }
    let refresh = json!({ "refresh_token": text(&tokens, "refresh_token") });
    client.post("/v1/auth/refresh", &refresh).await.refused(refused);
    let accept = json!({ "token": invitation, "password": PASSWORD });
    client.post("/v1/invitations/accept", &accept).await.refused(refused);
    let new_password = json!({ "token": reset, "new_password": "another horse battery" });
    client.post("/v1/auth/reset-password", &new_password).await.refused(refused);

    // Passwords work, and what is made now does, too.
    let new = client.post("/admin/login", &sign_in).await.ok();
    let new_owner = client.with_token(&text(&new, "access_token"));
    new_owner.get(&path).await.ok();
    client.post("/v1/auth/refresh", &json!({ "refresh_token": text(&new, "refresh_token") })).await.ok();
    let again = json!({ "name": "job 2", "permissions": ["documents:read"] });
    let key = text(&new_owner.post(&format!("{path}/keys"), &again).await.created(), "key");
    client.with_token(&key).get(&format!("{path}/collections/documents/documents")).await.ok();
    let is_embedded = target.database().is_none();
    if is_embedded {
        let busy = backups.run(&target, &["restore", "confirm"]).await.refused();
        assert!(busy.contains("in use by another process"), "{busy}");
        server.stop().await;
        confirm(&backups, &target).await;
        assert_revived(&start(&target).client(), &path, [operator_key.trim(), &service], &refresh).await;
    } else {
        // In force at once, on instances that run.
        confirm(&backups, &target).await;
        assert_revived(&client, &path, [operator_key.trim(), &service], &refresh).await;
    }
    let again = TestEnv::new();
    start(&again).stop().await;
    let nothing = backups.run(&again, &["restore", "confirm"]).await.done();
    assert!(nothing.contains("no restore to confirm"), "{nothing}");
}

/// A mistyped path or name must not be taken for an installation that is safe now.
#[tokio::test(flavor = "multi_thread")]
async fn commands_on_credentials_begin_no_installation() {
    let (backups, nothing) = (Backups::new(), TestEnv::new());
    for command in [&["restore", "mark"][..], &["restore", "confirm"], &["operator-key"]] {
        let said = backups.run(&nothing, command).await.refused();
        assert!(said.contains("has no data") && said.contains("start the service once"), "{said}");
        assert!(!nothing.data_dir().exists(), "{command:?}");
    }
}

async fn confirm(backups: &Backups, target: &TestEnv) {
    let said = backups.run(target, &["restore", "confirm"]).await.done();
    assert!(said.contains("is confirmed") && said.contains("work again"), "{said}");
}

async fn assert_revived(
    client: &crate::support::client::Client,
    path: &str,
    keys: [&str; 2],
    refresh: &Value,
) {
    for key in keys {
        client.with_token(key).get(path).await.ok();
    }
    client.post("/v1/auth/refresh", refresh).await.ok();
    let trail = client.with_token(keys[0]).get("/v1/audit?limit=50").await.ok();
    let actions = trail["items"].to_string();
    assert!(actions.contains("installation.restored"), "{actions}");
    assert!(actions.contains("installation.restore_confirmed"), "{actions}");
}
