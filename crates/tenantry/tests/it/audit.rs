//! The audit trail: what stands in it, who reads it, and that its chain holds.

use crate::support::app::{App, Setup};
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{
    Organization, PASSWORD, again, credentials, organization, sign_in, with_access, with_role,
};
use crate::support::keys::{exchange, organization_key, service_key, with_key};
use serde_json::{Value, json};
use std::time::Duration;
use tenantry_domain::audit::chain::{ChainFault, ChainVerifier};
use tenantry_domain::audit::checkpoint::verify_checkpoint;
use tenantry_domain::audit::{AuditChain, AuditEntry};

fn trail(organization: &Organization) -> String {
    format!("{}/audit", organization.path())
}

async fn events(client: &Client, path: &str) -> Vec<Value> {
    let page = client.get(path).await.ok();
    page["items"].as_array().unwrap().clone()
}

fn actions(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["action"].as_str().unwrap()).collect()
}

fn entries(answer: &Answer) -> Vec<AuditEntry> {
    answer.lines().into_iter().map(|line| serde_json::from_value(line).unwrap()).collect()
}

/// The chain at `path`, verified.
async fn verified(client: &Client, path: &str) -> (Vec<AuditEntry>, ChainVerifier) {
    let answer = client.get(&format!("{path}/chain")).await;
    assert_eq!(answer.status.as_u16(), 200, "{answer}");
    let entries = entries(&answer);
    let chain = entries.first().map_or(AuditChain::INSTALLATION, |entry| entry.chain);
    let mut verifier = ChainVerifier::new(chain);
    entries.iter().for_each(|entry| verifier.check(entry).unwrap());
    (entries, verifier)
}

#[tokio::test]
async fn audit_trail_tells_what_people_did() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let owner = with_access(&app, &sign_in(&app, acme.email()).await).with_header("x-request-id", "req-7");
    let key = organization_key(&acme, &["documents:read"]).await;
    let key_path = format!("{}/keys/{}", acme.path(), key["id"].as_str().unwrap());
    owner.post_empty(&format!("{key_path}/rotate")).await.ok();
    owner.delete(&key_path).await.done();
    let invitations = format!("{}/invitations", acme.path());
    let body = json!({ "email": "new@acme.example", "role": "viewer" });
    let invited = owner.post(&invitations, &body).await.created();
    let invited = format!("{invitations}/{}", invited["id"].as_str().unwrap());
    owner.post(&format!("{invited}/renew"), &json!({})).await.ok();
    owner.delete(&invited).await.done();
    let body = json!({ "current_password": PASSWORD, "new_password": "another secret 47" });
    owner.post("/v1/me/password", &body).await.done();
    owner.post_empty("/v1/auth/logout").await.done();

    let owner = with_access(
        &app,
        &app.client().post("/admin/login", &credentials(acme.email(), "another secret 47")).await.ok(),
    );
    let seen = events(&owner, &trail(&acme)).await;
    let expected = [
        "session.started",
        "session.ended",
        "password.changed",
        "invitation.revoked",
        "invitation.renewed",
        "invitation.created",
        "key.revoked",
        "key.rotated",
        "key.created",
        "session.started",
        "session.started",
        "organization.created",
    ];
    assert_eq!(actions(&seen), expected);
    let rotated = &seen[7];
    assert_eq!(rotated["actor"], json!({ "type": "account", "id": acme.owner_id() }));
    assert_eq!(rotated["target"], json!({ "type": "api_key", "id": key["id"] }));
    assert_eq!(rotated["address"], "127.0.0.1");
    assert_eq!(rotated["request_id"], "req-7");
    assert_eq!(rotated["outcome"], "succeeded");
    assert_eq!(rotated["organization_id"], acme.id());
    assert_eq!(rotated["details"]["permissions"], "documents:read");
    let text = serde_json::to_string(&seen).unwrap();
    for secret in [PASSWORD, "another secret 47", key["key"].as_str().unwrap(), "tnt_"] {
        assert!(!text.contains(secret), "{secret} is in the trail");
    }
}

/// Events name the account whose credentials have changed, and the settings, without an address or a secret.
#[tokio::test]
async fn audit_trail_names_what_was_changed() {
    const OTHER: &str = "another secret 47";
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let operator = app.operator();
    let latest = async || events(&operator, &format!("{}?limit=1", trail(&acme))).await.remove(0);
    let account = json!({ "type": "account", "id": acme.owner_id() });
    let update = |email: &str, password: &str| json!({ "organization_name": "Acme", "email": email, "password": password });

    acme.owner.put("/org/update", &update("new@acme.example", OTHER)).await.ok();
    let event = latest().await;
    assert_eq!((&event["action"], &event["target"]), (&json!("organization.renamed"), &account));
    assert_eq!(event["details"], json!({ "name": "acme", "email": "changed", "password": "changed" }));
    // An address that is given again is no change.
    acme.owner.put("/org/update", &update("new@acme.example", PASSWORD)).await.ok();
    assert_eq!(latest().await["details"], json!({ "name": "acme", "password": "changed" }));
    acme.owner.put("/org/update", &json!({ "organization_name": "Acme Two" })).await.ok();
    let event = latest().await;
    assert_eq!((&event["target"], &event["details"]), (&Value::Null, &json!({ "name": "acme-two" })));

    operator.post(&format!("{}/set-password", acme.path()), &json!({ "password": OTHER })).await.ok();
    let event = latest().await;
    assert_eq!((&event["action"], &event["target"]), (&json!("password.reset"), &account));
    assert_eq!(event["details"], json!({ "password": "changed" }));

    let settings = json!({ "legal_hold": true, "delete_protection": false, "quota": { "documents": 10 } });
    for expected in [json!({ "legal_hold": "true", "quota": "changed" }), json!({})] {
        operator.patch(&acme.path(), &settings).await.ok();
        let event = latest().await;
        assert_eq!((&event["action"], &event["details"]), (&json!("organization.updated"), &expected));
    }
    let both = json!({ "organization_name": "Acme", "legal_hold": false, "delete_protection": true });
    operator.patch(&acme.path(), &both).await.ok();
    let expected = json!({ "name": "acme", "legal_hold": "false", "delete_protection": "true" });
    assert_eq!(latest().await["details"], expected);

    operator.patch(&acme.path(), &json!({ "delete_protection": false })).await.ok();
    for (email, target, details) in [
        ("back@acme.example", account.clone(), json!({ "name": "acme", "email": "changed" })),
        ("back@acme.example", Value::Null, json!({ "name": "acme" })),
    ] {
        operator.delete(&acme.path()).await.ok();
        let body = json!({ "admin_email": email });
        operator.post(&format!("{}/restore", acme.path()), &body).await.ok();
        let event = latest().await;
        assert_eq!(event["action"], "organization.restored");
        assert_eq!((&event["target"], &event["details"]), (&target, &details));
    }
    let text =
        serde_json::to_string(&events(&operator, &format!("{}?limit=200", trail(&acme))).await).unwrap();
    for hidden in ["@acme.example", PASSWORD, OTHER, "argon2"] {
        assert!(!text.contains(hidden), "{hidden} is in the trail");
    }
}

#[tokio::test]
async fn audit_trail_has_every_operation_once() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.owner.patch(&acme.path(), &json!({ "organization_name": "Acme Two" })).await.ok();
    let (app, member) = with_role(app, &acme, "viewer").await;
    member.get(&acme.path()).await.ok();
    app.operator().post_empty(&format!("{}/suspend", acme.path())).await.ok();
    app.operator().post_empty(&format!("{}/reactivate", acme.path())).await.ok();
    let log = app.operator().get(&format!("{}/operations", acme.path())).await.ok();
    let operations: Vec<&Value> =
        log["items"].as_array().unwrap().iter().map(|record| &record["id"]).collect();
    let seen = events(&app.operator(), &format!("{}?limit=200", trail(&acme))).await;
    let of_operations: Vec<&Value> =
        seen.iter().map(|event| &event["id"]).filter(|id| operations.contains(id)).collect();
    assert_eq!(of_operations, operations);
    let renamed = seen.iter().find(|event| event["action"] == "organization.renamed").unwrap();
    assert_eq!(renamed["details"]["name"], "acme-two");
    assert_eq!(renamed["address"], "127.0.0.1");
    assert_eq!(seen[0]["actor"]["type"], "operator");
}

#[tokio::test]
async fn audit_trail_has_each_exchange_for_its_owner() {
    let app = App::start().await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    let key = service_key(&app, &["tokens:issue", "documents:read", "documents:write"]).await;
    let body = json!({ "permissions": ["documents:read"], "subject": "user-4711", "expires_in": 60 });
    with_key(&app, &key).post(&format!("{}/tokens", acme.path()), &body).await.ok();
    let seen = events(&acme.owner, &format!("{}?action=token.issued", trail(&acme))).await;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0]["actor"], json!({ "type": "api_key", "id": key["id"] }));
    assert_eq!(seen[0]["subject"], "user-4711");
    assert_eq!(seen[0]["details"], json!({ "permissions": "documents:read", "expires_in": "60" }));
    assert!(events(&globex.owner, &format!("{}?action=token.issued", trail(&globex))).await.is_empty());
    let made = events(&app.operator(), "/v1/audit?action=key.created").await;
    assert_eq!(made[0]["target"]["id"], key["id"]);
    assert_eq!(made[0]["organization_id"], Value::Null);
}

#[tokio::test]
async fn audit_trail_is_read_by_admins_of_its_organization() {
    let app = App::start().await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    for path in [trail(&acme), format!("{}/chain", trail(&acme)), format!("{}/checkpoint", trail(&acme))] {
        globex.owner.get(&path).await.refused("organization_not_found");
        with_key(&app, &organization_key(&globex, &["audit:read"]).await)
            .get(&path)
            .await
            .refused("organization_not_found");
        with_key(&app, &organization_key(&acme, &["documents:read"]).await)
            .get(&path)
            .await
            .refused("permission_missing");
        let allowed = [
            acme.owner.clone(),
            app.operator(),
            with_key(&app, &organization_key(&acme, &["audit:read"]).await),
            with_key(&app, &service_key(&app, &["audit:read"]).await),
        ];
        for client in allowed {
            assert_eq!(client.get(&path).await.status.as_u16(), 200);
        }
    }
    let limited = json!({ "name": "x", "permissions": ["audit:read"], "organizations": [globex.id()] });
    let limited = with_key(&app, &app.operator().post("/v1/keys", &limited).await.created());
    limited.get(&trail(&acme)).await.refused("organization_not_found");
    for path in ["/v1/audit", "/v1/audit/chain", "/v1/audit/checkpoint"] {
        limited.get(path).await.refused("permission_missing");
        acme.owner.get(path).await.refused("operator_only");
        assert_eq!(app.operator().get(path).await.status.as_u16(), 200);
    }
    let (app, member) = with_role(app, &acme, "member").await;
    member.get(&trail(&acme)).await.refused("role_insufficient");
    drop(app);
}

#[tokio::test]
async fn audit_list_takes_filters_and_pages() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for _ in 0..3 {
        app.clock.advance(Duration::from_secs(10));
        organization_key(&acme, &["documents:read"]).await;
    }
    let path = trail(&acme);
    let all = events(&acme.owner, &path).await;
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = acme.owner.get(&format!("{path}?limit=2{cursor}")).await.ok();
        paged.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, all);
    let made: Vec<Value> = all.iter().filter(|event| event["action"] == "key.created").cloned().collect();
    assert_eq!(made.len(), 3);
    assert_eq!(events(&acme.owner, &format!("{path}?action=key.created")).await, made);
    let actor = format!("account:{}", acme.owner_id());
    assert_eq!(events(&acme.owner, &format!("{path}?actor={actor}&action=key.created")).await, made);
    assert!(events(&acme.owner, &format!("{path}?actor=system")).await.is_empty());
    let (newest, oldest) = (made[0]["at"].as_str().unwrap(), made[2]["at"].as_str().unwrap());
    let between = format!("{path}?since={oldest}&until={newest}&action=key.created");
    assert_eq!(events(&acme.owner, &between).await, made[1..]);
    for (query, pointer) in [
        ("action=key.stolen", "?action"),
        ("actor=somebody", "?actor"),
        ("since=yesterday", "?since"),
        ("until=1", "?until"),
        ("limit=201", "?limit"),
        ("cursor=zz", "?cursor"),
        ("after=1", "?after"),
    ] {
        acme.owner.get(&format!("{path}?{query}")).await.refused_fields(&[pointer]);
    }
}

/// An empty page would look like the end of the list.
#[tokio::test]
async fn audit_cursor_of_another_list_is_refused() {
    let app = App::start().await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    for _ in 0..2 {
        organization_key(&acme, &["documents:read"]).await;
    }
    let path = format!("{}?action=key.created&limit=1", trail(&acme));
    let page = acme.owner.get(&path).await.ok();
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = acme.owner.get(&format!("{path}&cursor={cursor}")).await.ok();
    assert_eq!(rest["items"].as_array().unwrap().len(), 1, "{rest}");
    for other in [
        format!("{}?cursor={cursor}", trail(&acme)),
        format!("{}?action=key.revoked&cursor={cursor}", trail(&acme)),
        format!("{}?action=key.created&cursor={cursor}", trail(&globex)),
        format!("/v1/audit?action=key.created&cursor={cursor}"),
    ] {
        app.operator().get(&other).await.refused_fields(&["?cursor"]);
    }
}

#[tokio::test]
async fn audit_route_without_parameters_refuses_any() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for path in [
        format!("{}/checkpoint", trail(&acme)),
        "/v1/audit/checkpoint".to_owned(),
        "/v1/audit/chain".to_owned(),
    ] {
        app.operator().get(&format!("{path}?x=1")).await.refused_fields(&["?x"]);
        app.operator().get(&path).await;
    }
}

#[tokio::test]
async fn audit_failures_are_counted_per_minute() {
    let app = Setup::unlimited().start().await;
    let acme = organization(&app, "Acme").await;
    for _ in 0..3 {
        let wrong = credentials(acme.email(), "not the password");
        app.client().post("/admin/login", &wrong).await.refused("invalid_credentials");
        let unknown = credentials("nobody@nowhere.example", "not the password");
        app.client().post("/admin/login", &unknown).await.refused("invalid_credentials");
    }
    let program = with_key(&app, &organization_key(&acme, &["documents:read"]).await);
    for _ in 0..4 {
        program.get(&acme.path()).await.refused("permission_missing");
    }
    let counted = format!("{}?action=sign_in.failed", trail(&acme));
    assert!(events(&acme.owner, &counted).await.is_empty(), "the minute goes on");
    app.clock.advance(Duration::from_secs(60));
    let owner = again(&app, &acme.owner);
    let failed = events(&owner, &counted).await;
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!((&failed[0]["count"], &failed[0]["code"]), (&json!(3), &json!("invalid_credentials")));
    assert_eq!((&failed[0]["outcome"], &failed[0]["address"]), (&json!("denied"), &json!("127.0.0.1")));
    let denied = events(&owner, &format!("{}?action=access.denied", trail(&acme))).await;
    assert_eq!(denied.len(), 1, "{denied:?}");
    assert_eq!((&denied[0]["count"], &denied[0]["code"]), (&json!(4), &json!("permission_missing")));
    assert_eq!(denied[0]["actor"]["type"], "api_key");
    let unknown = events(&app.operator(), "/v1/audit?action=sign_in.failed").await;
    assert_eq!(unknown[0]["count"], 3);
}

#[tokio::test]
async fn audit_chain_survives_restart_and_shows_changes() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    organization_key(&acme, &["documents:read"]).await;
    let (before, _) = verified(&app.operator(), &trail(&acme)).await;
    let app = app.restart().await;
    let owner = with_access(&app, &sign_in(&app, acme.email()).await);
    let (entries, verifier) = verified(&owner, &trail(&acme)).await;
    assert_eq!(entries[..before.len()], before);
    assert!(verifier.entries() > before.len() as u64);
    let mut changed = ChainVerifier::new(entries[0].chain);
    let text = entries[0].text.clone().unwrap().replace("succeeded", "succeedeD");
    let forged = AuditEntry { text: Some(text), ..entries[0].clone() };
    assert_eq!(changed.check(&forged), Err(ChainFault::Text));
}

#[tokio::test]
async fn audit_checkpoint_names_the_end_of_the_chain() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let kept = acme.owner.get(&format!("{}/checkpoint", trail(&acme))).await.ok();
    let checkpoint =
        verify_checkpoint(kept["checkpoint"].as_str().unwrap(), kept["key"]["x"].as_str().unwrap()).unwrap();
    assert_eq!(checkpoint.chain, acme.id());
    organization_key(&acme, &["documents:read"]).await;
    let (entries, _) = verified(&acme.owner, &trail(&acme)).await;
    let named = entries.iter().find(|entry| entry.sequence == checkpoint.sequence).unwrap();
    assert_eq!(named.head(), checkpoint.head().unwrap());
    assert!(entries.last().unwrap().sequence > checkpoint.sequence);
    // The key outlives the process, so that a checkpoint of before can be told from a forged one.
    let app = app.restart().await;
    let later = app.operator().get(&format!("{}/checkpoint", trail(&acme))).await.ok();
    assert_eq!(later["key"], kept["key"]);
}

#[tokio::test]
async fn audit_trail_is_redacted_by_a_purge_and_stays_whole() {
    let app = Setup::default().with("--retention-days=0").start().await;
    let acme = organization(&app, "Acme").await;
    organization_key(&acme, &["documents:read"]).await;
    let before = events(&acme.owner, &trail(&acme)).await;
    app.operator().delete(&acme.path()).await;
    app.maintain().await;
    acme.owner.get(&trail(&acme)).await.refused("token_revoked");
    let (entries, verifier) = verified(&app.operator(), &trail(&acme)).await;
    assert!(verifier.redacted() >= before.len() as u64, "{entries:?}");
    let seen = events(&app.operator(), &trail(&acme)).await;
    assert_eq!(seen[0]["action"], "organization.purged");
    let old = seen.iter().find(|event| event["action"] == "key.created").unwrap();
    assert_eq!(
        (&old["redacted"], &old["actor"], &old["outcome"]),
        (&json!(true), &Value::Null, &Value::Null)
    );
    assert!(old.get("address").is_none());
    app.operator()
        .get("/v1/organizations/0123456789abcdef01234567/audit")
        .await
        .refused("organization_not_found");
}

#[tokio::test]
async fn audit_entries_end_with_their_retention() {
    let app = Setup::default().with("--audit-retention-days=10").start().await;
    let acme = organization(&app, "Acme").await;
    organization_key(&acme, &["documents:read"]).await;
    let (before, _) = verified(&app.operator(), &trail(&acme)).await;
    app.advance_days(9);
    let owner = with_access(&app, &sign_in(&app, acme.email()).await);
    let body = json!({ "name": "report", "permissions": ["documents:read"] });
    owner.post(&format!("{}/keys", acme.path()), &body).await.created();
    app.maintain().await;
    let (kept, _) = verified(&app.operator(), &trail(&acme)).await;
    assert_eq!(kept[..before.len()], before);
    app.advance_days(2);
    app.maintain().await;
    let (kept, verifier) = verified(&app.operator(), &trail(&acme)).await;
    assert_eq!(verifier.first(), Some(before.len() as u64 + 1));
    assert!(kept.iter().all(|entry| entry.sequence > before.len() as u64));
    app.advance_days(30);
    app.maintain().await;
    let (kept, _) = verified(&app.operator(), &trail(&acme)).await;
    assert_eq!(kept.len(), 1, "the last entry stays, because the next one names it");
}

#[tokio::test]
async fn audit_trail_of_many_exchanges_is_whole() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let key = with_key(&app, &service_key(&app, &["tokens:issue", "documents:read"]).await);
    let path = acme.path();
    let exchanges = (0..60).map(|_| exchange(&key, &path, &["documents:read"]));
    for answer in futures_util::future::join_all(exchanges).await {
        answer.ok();
    }
    let (entries, _) = verified(&app.operator(), &trail(&acme)).await;
    let issued = entries.iter().filter(|entry| entry.action.as_str() == "token.issued").count();
    assert_eq!(issued, 60);
}
