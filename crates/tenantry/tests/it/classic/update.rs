//! `PUT /org/update`: its dialects, and when it is refused.

use super::OTHER_PASSWORD;
use crate::support::app::{App, Setup};
use crate::support::fixtures::{PASSWORD, credentials, find, organization, sign_in, with_access};
use crate::support::redaction::redact;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn update_with_new_name_beside_current_sets_credentials() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let body = json!({
        "organization_name": "ACME", "new_organization_name": "Acme Global",
        "email": "New@acme.example", "password": OTHER_PASSWORD,
    });
    let updated = acme.owner.put("/org/update", &body).await.ok();
    let shown = redact(
        &updated,
        &[
            ("/id", "[id]"),
            ("/admin_id", "[id]"),
            ("/tenant_database", "[database]"),
            ("/placement", "[placement]"),
        ],
    );
    insta::assert_json_snapshot!(shown, @r#"
    {
      "admin_email": "New@acme.example",
      "admin_id": "[id]",
      "created_at": "2027-01-15T08:00:00Z",
      "current_collection": "tenant_acme_global",
      "documents_migrated": 0,
      "id": "[id]",
      "message": "Organization updated successfully",
      "modified_at": "2027-01-15T08:00:00Z",
      "organization_identifier": "acme-global",
      "organization_name": "Acme Global",
      "placement": "[placement]",
      "previous_collection": "tenant_acme",
      "status": "active",
      "tenant_collection": "tenant_acme_global",
      "tenant_database": "[database]"
    }
    "#);
    assert_eq!((&updated["id"], &updated["admin_id"]), (&acme.body["id"], &acme.body["admin_id"]));
    find(&app, "Acme").await.refused("organization_not_found");
    assert_eq!(find(&app, "Acme Global").await.ok()["admin_email"], "New@acme.example");
    let client = app.client();
    client.post("/admin/login", &credentials("new@acme.example", OTHER_PASSWORD)).await.ok();
    client.post("/admin/login", &credentials(acme.email(), PASSWORD)).await.refused("invalid_credentials");
}

#[tokio::test]
async fn update_with_current_name_sets_spelling_and_credentials() {
    let app = App::start().await;
    let acme = organization(&app, "Acme Corp").await;
    let body = json!({ "organization_name": "ACME-CORP", "password": OTHER_PASSWORD });
    let updated = acme.owner.put("/org/update", &body).await.ok();
    assert_eq!(updated["organization_name"], "ACME-CORP");
    assert_eq!(updated["organization_identifier"], "acme-corp");
    assert_eq!(updated["previous_collection"], updated["current_collection"]);
    assert_eq!(updated["admin_email"], acme.body["admin_email"]);
    let client = app.client();
    client.post("/admin/login", &credentials(acme.email(), OTHER_PASSWORD)).await.ok();
    client.post("/admin/login", &credentials(acme.email(), PASSWORD)).await.refused("invalid_credentials");
}

/// With a new name alone, e-mail address and password must be the current ones; they stay.
#[tokio::test]
async fn update_with_new_name_alone_requires_current_credentials() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let bodies = [
        json!({ "organization_name": "Second" }),
        json!({ "organization_name": "Third", "email": "OWNER@acme.example" }),
        json!({ "organization_name": "Fourth", "password": PASSWORD }),
        json!({ "organization_name": "Fifth", "email": acme.email(), "password": PASSWORD }),
        json!({ "organization_name": "Sixth", "email": null, "password": null, "new_organization_name": null }),
    ];
    for body in bodies {
        let updated = acme.owner.put("/org/update", &body).await.ok();
        assert_eq!(updated["organization_name"], body["organization_name"]);
        assert_eq!(updated["admin_email"], acme.body["admin_email"]);
    }
    // A rename needs no recent sign-in.
    app.clock.advance(Duration::from_secs(3000));
    acme.owner.put("/org/update", &json!({ "organization_name": "Last" })).await.ok();
    sign_in(&app, acme.email()).await;
}

#[tokio::test]
async fn update_is_refused_for_each_reason_and_changes_nothing() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    organization(&app, "Other").await;
    let cases = [
        (json!({}), "/organization_name"),
        (
            json!({ "organization_name": "A", "email": "x", "password": "short" }),
            "/organization_name /email /password",
        ),
        (json!({ "organization_name": "Acme", "email": 1, "password": [] }), "/email /password"),
        // A new name beside the current one: the rest is new, and has to be fit for it.
        (
            json!({ "organization_name": "Acme", "new_organization_name": "A", "email": "x", "password": "short" }),
            "/new_organization_name /email /password",
        ),
        (
            json!({ "organization_name": "Other", "new_organization_name": "A", "email": "x", "password": "short" }),
            "/new_organization_name /email /password",
        ),
        (json!({ "organization_name": "Other", "new_organization_name": "New" }), "not_your_organization"),
        (json!({ "organization_name": "Nobody", "new_organization_name": "New" }), "not_your_organization"),
        (json!({ "organization_name": "Acme", "new_organization_name": "OTHER" }), "name_taken"),
        (
            json!({ "organization_name": "Acme", "new_organization_name": "New", "email": "owner@other.example" }),
            "email_taken",
        ),
        (json!({ "organization_name": "Acme", "email": "Owner@Other.example" }), "email_taken"),
        // Another name alone: the rest is current, and has to be right.
        (json!({ "organization_name": "Other" }), "name_taken"),
        (json!({ "organization_name": "Other", "password": PASSWORD }), "name_taken"),
        (json!({ "organization_name": "New", "email": "owner@other.example" }), "invalid_credentials"),
        (json!({ "organization_name": "New", "email": "nonsense" }), "invalid_credentials"),
        (json!({ "organization_name": "New", "password": OTHER_PASSWORD }), "invalid_credentials"),
        (
            json!({ "organization_name": "New", "email": "a@b.example", "password": PASSWORD }),
            "invalid_credentials",
        ),
        (json!({ "organization_name": "New", "email": [], "password": 1 }), "/email /password"),
    ];
    for (body, outcome) in cases {
        app.clock.advance(Duration::from_secs(1));
        let answer = acme.owner.put("/org/update", &body).await;
        assert_eq!(answer.outcome(), outcome, "{body} {answer}");
        assert_eq!(find(&app, "Acme").await.ok(), acme.body, "{body}");
    }
    find(&app, "New").await.refused("organization_not_found");
    acme.owner.put("/org/update", &json!({ "organization_name": "New" })).await.ok();
    sign_in(&app, acme.email()).await;
}

#[tokio::test]
async fn update_of_credentials_requires_recent_sign_in() {
    let app = Setup::unlimited().with("--reauth-max-age=60").start().await;
    let acme = organization(&app, "Acme").await;
    let bodies = [
        json!({ "organization_name": "Acme", "email": "new@acme.example" }),
        json!({ "organization_name": "Acme", "password": OTHER_PASSWORD }),
        json!({ "organization_name": "Acme", "new_organization_name": "Other", "password": OTHER_PASSWORD }),
    ];
    app.clock.advance(Duration::from_secs(61));
    // New tokens of the old sign-in do not make it a recent one.
    let refresh = json!({ "refresh_token": acme.tokens["refresh_token"] });
    let refreshed = with_access(&app, &app.client().post("/v1/auth/refresh", &refresh).await.ok());
    for client in [&acme.owner, &refreshed] {
        for body in &bodies {
            let answer = client.put("/org/update", body).await;
            let challenge = answer.header("www-authenticate").to_owned();
            answer.refused("reauthentication_required");
            assert_eq!(
                challenge,
                "Bearer realm=\"tenantry\", error=\"insufficient_user_authentication\", max_age=60"
            );
        }
    }
    assert_eq!(find(&app, "Acme").await.ok(), acme.body);
    let again = with_access(&app, &sign_in(&app, acme.email()).await);
    app.clock.advance(Duration::from_secs(60));
    again.put("/org/update", &bodies[1]).await.ok();
}

#[tokio::test]
async fn update_of_credentials_ends_all_other_sessions() {
    let app = App::start().await;
    for credentials in [json!({ "email": "new@acme.example" }), json!({ "password": OTHER_PASSWORD })] {
        let acme = organization(&app, "Acme").await;
        let elsewhere = sign_in(&app, acme.email()).await;
        let mut body = json!({ "organization_name": "Acme" });
        body.as_object_mut().unwrap().extend(credentials.as_object().unwrap().clone());
        acme.owner.put("/org/update", &body).await.ok();

        with_access(&app, &elsewhere).get(&acme.path()).await.refused("token_revoked");
        let refresh = json!({ "refresh_token": elsewhere["refresh_token"] });
        app.client().post("/v1/auth/refresh", &refresh).await.refused("refresh_token_invalid");
        acme.owner.get(&acme.path()).await.ok();
        let refresh = json!({ "refresh_token": acme.tokens["refresh_token"] });
        let tokens = app.client().post("/v1/auth/refresh", &refresh).await.ok();
        with_access(&app, &tokens).delete("/org/delete?organization_name=Acme&purge=true").await.ok();
    }
}
