//! Invitations: who makes, renews and revokes them, who can use one, and that each is good for one use.

use crate::support::app::{App, Setup};
use crate::support::checker::Snapshot;
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{
    Organization, PASSWORD, joined, organization, prove_address, sign_in, with_access,
};
use crate::support::records::tables_with;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

const NEW: &str = "new@host.example";

fn invitations(host: &Organization) -> String {
    format!("{}/invitations", host.path())
}

fn invited(email: &str, role: &str) -> Value {
    json!({ "email": email, "role": role })
}

async fn invite(client: &Client, host: &Organization, email: &str, role: &str) -> Value {
    client.post(&invitations(host), &invited(email, role)).await.created()
}

async fn accept(client: &Client, invitation: &Value, password: Option<&str>) -> Answer {
    let mut body = json!({ "token": invitation["token"] });
    if let Some(password) = password {
        body["password"] = password.into();
    }
    client.post("/v1/invitations/accept", &body).await
}

#[tokio::test]
async fn invitation_makes_an_account_that_is_signed_in() {
    let app = App::start().await;
    let host = organization(&app, "Host").await;
    let answer = host.owner.post(&invitations(&host), &invited("New@Host.example", "member")).await;
    let location = answer.header("location").to_owned();
    let invitation = answer.created();
    assert_eq!(location, format!("{}/{}", invitations(&host), invitation["id"].as_str().unwrap()));
    assert_eq!((&invitation["role"], &invitation["url"]), (&json!("member"), &Value::Null));
    assert_eq!(invitation["inviter"], host.body["admin_id"]);
    let token = invitation["token"].as_str().unwrap();
    assert!(token.starts_with("tnt_invitation_"), "{token}");
    assert_eq!(tables_with(&app, token), Vec::<String>::new());

    accept(&app.client(), &invitation, None).await.refused_fields(&["/password"]);
    accept(&app.client(), &invitation, Some("short")).await.refused_fields(&["/password"]);
    let tokens = accept(&app.client(), &invitation, Some(PASSWORD)).await.created();
    assert_eq!(tokens["org_id"], host.id());
    let joined = with_access(&app, &tokens);
    joined.post(&host.documents(), &json!({ "_id": "one" })).await.created();
    let member = host.owner.get(&host.member(tokens["admin_id"].as_str().unwrap())).await.ok();
    assert_eq!([&member["email"], &member["role"]], [&json!("New@Host.example"), &json!("member")]);

    accept(&app.client(), &invitation, Some(PASSWORD)).await.refused("invitation_invalid");
    assert_eq!(host.owner.get(&invitations(&host)).await.ok()["items"], json!([]));
    assert_eq!(sign_in(&app, NEW).await["org_id"], host.id());
    let found = Snapshot::sound(app.test_env());
    assert_eq!(found.log_of(host.id()), ["create succeeded", "add_member succeeded"]);
}

#[tokio::test]
async fn invitation_is_accepted_by_account_of_its_address_alone() {
    let app = App::start().await;
    let host = organization(&app, "Host").await;
    let guest = organization(&app, "Guest").await;
    let other = organization(&app, "Other").await;
    let invitation = invite(&host.owner, &host, guest.email(), "viewer").await;
    accept(&other.owner, &invitation, None).await.refused("invitation_for_another");
    accept(&app.operator(), &invitation, None).await.refused("token_invalid");
    accept(&guest.owner, &invitation, Some(PASSWORD)).await.refused_fields(&["/password"]);
    accept(&guest.owner, &invitation, None).await.refused("email_not_verified");
    prove_address(&app, &guest).await;
    let joined = accept(&guest.owner, &invitation, None).await.ok();
    assert_eq!(
        [&joined["organization_id"], &joined["organization_name"]],
        [&host.body["id"], &json!("Host")]
    );
    assert_eq!(joined["member"]["role"], "viewer");
    // The session is of the other organization, and stays so.
    guest.owner.get(&guest.path()).await.ok();
    guest.owner.get(&host.path()).await.refused("organization_not_found");
    accept(&guest.owner, &invitation, None).await.refused("invitation_invalid");
    host.owner.post(&invitations(&host), &invited(guest.email(), "admin")).await.refused("already_member");
    Snapshot::sound(app.test_env());
}

/// Who has the password of the account needs no session: without an organization, nobody gets one.
#[tokio::test]
async fn invitation_is_accepted_with_password_of_existing_account() {
    let app = App::start().await;
    let host = organization(&app, "Host").await;
    let guest = organization(&app, "Guest").await;
    let invitation = invite(&host.owner, &host, guest.email(), "member").await;
    accept(&app.client(), &invitation, None).await.refused_fields(&["/password"]);
    accept(&app.client(), &invitation, Some("another horse battery")).await.refused("account_exists");
    accept(&app.client(), &invitation, Some(PASSWORD)).await.refused("email_not_verified");
    prove_address(&app, &guest).await;
    let tokens = accept(&app.client(), &invitation, Some(PASSWORD)).await.created();
    assert_eq!([&tokens["admin_id"], &tokens["org_id"]], [&guest.body["admin_id"], &host.body["id"]]);
    let found = Snapshot::sound(app.test_env());
    assert_eq!(found.accounts(), 2);
}

/// A membership that comes again gives nothing back that ended with the former one.
#[tokio::test]
async fn session_of_former_membership_is_dead_after_joining_again() {
    let app = App::start().await;
    let host = organization(&app, "Host").await;
    let first = accept(&app.client(), &invite(&host.owner, &host, NEW, "admin").await, Some(PASSWORD)).await;
    let first = first.created();
    let path = host.member(first["admin_id"].as_str().unwrap());
    host.owner.delete(&path).await.done();
    let again = invite(&host.owner, &host, NEW, "viewer").await;
    let second = accept(&app.client(), &again, Some(PASSWORD)).await.created();
    assert_eq!(second["admin_id"], first["admin_id"]);
    with_access(&app, &second).get(&host.path()).await.ok();
    with_access(&app, &first).get(&host.path()).await.refused("token_revoked");
    let refresh = json!({ "refresh_token": first["refresh_token"] });
    app.client().post("/v1/auth/refresh", &refresh).await.refused("refresh_token_invalid");
    Snapshot::sound(app.test_env());
}

#[tokio::test]
async fn invitations_offer_no_more_than_the_inviter_may() {
    for (name, allowed) in [("owner", 4), ("admin", 3), ("member", 0), ("viewer", 0)] {
        let app = App::start().await;
        let host = organization(&app, "Host").await;
        let guest = organization(&app, "Guest").await;
        let (app, client) = joined(app, &guest, &host, name).await;
        for (number, role) in ["viewer", "member", "admin", "owner"].into_iter().enumerate() {
            let email = format!("{role}@new.example");
            let answer = client.post(&invitations(&host), &invited(&email, role)).await;
            if number < allowed {
                assert_eq!(answer.created()["inviter"], guest.owner_id());
            } else {
                answer.refused("role_insufficient");
                // Nor is anything changed about what others offer.
                let theirs = invite(&app.operator(), &host, &email, role).await;
                assert_eq!(theirs["inviter"], Value::Null);
                let path = format!("{}/{}", invitations(&host), theirs["id"].as_str().unwrap());
                client.delete(&path).await.refused("role_insufficient");
                client.post_empty(&format!("{path}/renew")).await.refused("role_insufficient");
            }
        }
        if allowed == 0 {
            client.get(&invitations(&host)).await.refused("role_insufficient");
        }
    }
}

#[tokio::test]
async fn invited_owner_is_an_owner() {
    let app = App::start().await;
    let host = organization(&app, "Host").await;
    let invitation = invite(&app.operator(), &host, NEW, "owner").await;
    let tokens = accept(&app.client(), &invitation, Some(PASSWORD)).await.created();
    Snapshot::sound(app.test_env());
    let owner = with_access(&app, &tokens);
    owner.delete(&host.member(host.owner_id())).await.done();
    assert_eq!(app.operator().get(&host.path()).await.ok()["admin_email"], NEW);
    Snapshot::sound(app.test_env());
}

#[tokio::test]
async fn invitation_that_is_renewed_or_revoked_has_no_earlier_token() {
    let app = Setup::unlimited().with("--public-url=https://api.example/tenants").start().await;
    let host = organization(&app, "Host").await;
    let first = invite(&host.owner, &host, NEW, "member").await;
    let url = first["url"].as_str().unwrap();
    assert_eq!(
        url,
        format!("https://api.example/tenants/invitations/accept#{}", first["token"].as_str().unwrap())
    );
    let path = format!("{}/{}", invitations(&host), first["id"].as_str().unwrap());
    let second = host.owner.post(&format!("{path}/renew"), &json!({ "expires_in": 60 })).await.ok();
    assert_eq!([&second["id"], &second["email"]], [&first["id"], &first["email"]]);
    accept(&app.client(), &first, Some(PASSWORD)).await.refused("invitation_invalid");
    host.owner.post(&invitations(&host), &invited(NEW, "admin")).await.refused("invitation_exists");

    let listed = host.owner.get(&invitations(&host)).await;
    assert!(!listed.text.contains("tnt_invitation"), "{listed}");
    assert_eq!(listed.ok()["items"][0]["expires_at"], second["expires_at"]);
    host.owner.delete(&path).await.done();
    host.owner.delete(&path).await.refused("invitation_not_found");
    host.owner.post_empty(&format!("{path}/renew")).await.refused("invitation_not_found");
    accept(&app.client(), &second, Some(PASSWORD)).await.refused("invitation_invalid");
    assert_eq!(Snapshot::sound(app.test_env()).accounts(), 1);
}

#[tokio::test]
async fn invitation_expires_and_gives_way_to_the_next() {
    let app = App::start().await;
    let host = organization(&app, "Host").await;
    let body = json!({ "email": NEW, "role": "member", "expires_in": 60 });
    let short = host.owner.post(&invitations(&host), &body).await.created();
    app.clock.advance(Duration::from_secs(60));
    accept(&app.client(), &short, Some(PASSWORD)).await.refused("invitation_invalid");
    let next = invite(&host.owner, &host, NEW, "member").await;
    app.advance_days(6);
    let tokens = accept(&app.client(), &next, Some(PASSWORD)).await.created();
    assert_eq!(tokens["org_id"], host.id());
    invite(&app.operator(), &host, "other@host.example", "member").await;
    app.advance_days(8);
    app.maintain().await;
    assert_eq!(app.operator().get(&invitations(&host)).await.ok()["items"], json!([]));
}

#[tokio::test]
async fn invitations_are_listed_in_pages() {
    let app = App::start().await;
    let host = organization(&app, "Host").await;
    for number in 0..5 {
        invite(&host.owner, &host, &format!("new-{number}@host.example"), "viewer").await;
    }
    let (mut path, mut seen) = (format!("{}?limit=2", invitations(&host)), Vec::new());
    loop {
        let page = host.owner.get(&path).await.ok();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["email"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{}?limit=2&cursor={cursor}", invitations(&host));
    }
    let expected: Vec<Value> = (0..5).map(|number| json!(format!("new-{number}@host.example"))).collect();
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invitation_accepted_in_parallel_has_one_winner() {
    let app = App::start().await;
    let host = organization(&app, "Host").await;
    let invitation = invite(&host.owner, &host, NEW, "member").await;
    let mut accepting = JoinSet::new();
    for _ in 0..50 {
        let (client, invitation) = (app.client(), invitation.clone());
        accepting.spawn(async move { accept(&client, &invitation, Some(PASSWORD)).await });
    }
    let mut winners = 0;
    while let Some(answer) = accepting.join_next().await {
        let answer = answer.unwrap();
        match answer.status.as_u16() {
            201 => winners += 1,
            // One that waited too long for its turn, or for a thread to hash with, has changed nothing.
            _ => assert!(
                [
                    "invitation_invalid",
                    "account_exists",
                    "already_member",
                    "operation_in_progress",
                    "sign_in_busy"
                ]
                .iter()
                .any(|code| answer.is_refused(code)),
                "{answer}"
            ),
        }
    }
    assert_eq!(winners, 1);
    let found = Snapshot::sound(app.test_env());
    assert_eq!((found.accounts(), found.log_of(host.id()).len()), (2, 2));
}

/// The answer is the same whether the address has an account.
#[tokio::test]
async fn invitation_does_not_tell_whether_address_has_an_account() {
    let app = App::start().await;
    let host = organization(&app, "Host").await;
    let guest = organization(&app, "Guest").await;
    let shape = |mut invitation: Value| {
        for member in ["id", "email", "token", "created_at", "expires_at"] {
            invitation[member] = Value::Null;
        }
        invitation
    };
    let known = shape(invite(&host.owner, &host, guest.email(), "member").await);
    assert_eq!(known, shape(invite(&host.owner, &host, NEW, "member").await));
}

/// The answers to an acceptance that makes no account, without what is different in every answer.
async fn refusals(app: &App, invitation: &Value, passwords: &[Option<&str>]) -> Vec<String> {
    let mut answers = Vec::new();
    for password in passwords {
        let answer = accept(&app.client(), invitation, *password).await;
        assert!(!answer.status.is_success(), "{answer}");
        answers.push(answer.text.replace(answer.header("x-request-id"), "[request]"));
    }
    answers
}

/// Who invites an address and holds the link learns nothing of it by a password that makes no account.
#[tokio::test]
async fn missing_or_weak_password_is_refused_alike_for_any_address() {
    let app = App::start().await;
    let (host, guest) = (organization(&app, "Host").await, organization(&app, "Guest").await);
    let known = invite(&host.owner, &host, guest.email(), "member").await;
    let unknown = invite(&host.owner, &host, NEW, "member").await;
    let long = "x".repeat(5000);
    let passwords = [None, Some(""), Some("x"), Some("short"), Some("password1"), Some(long.as_str())];
    let seen = refusals(&app, &known, &passwords).await;
    assert_eq!(seen, refusals(&app, &unknown, &passwords).await);
    assert!(seen.iter().all(|answer| answer.contains("/password")), "{seen:?}");
    accept(&app.client(), &unknown, Some(PASSWORD)).await.created();
}

/// The attempts are counted alike, too: each is hashed, because it may be the password of an account.
#[tokio::test]
async fn weak_passwords_are_counted_alike_for_any_address() {
    let app = Setup::default().start().await;
    let (host, guest) = (organization(&app, "Host").await, organization(&app, "Guest").await);
    let known = invite(&host.owner, &host, guest.email(), "member").await;
    let unknown = invite(&host.owner, &host, NEW, "member").await;
    for invitation in [known, unknown] {
        for _ in 0..10 {
            accept(&app.client(), &invitation, Some("x")).await.refused_fields(&["/password"]);
        }
        accept(&app.client(), &invitation, Some("x")).await.refused("too_many_attempts");
    }
}

/// A password that was chosen under another rule is still the account's.
#[tokio::test]
async fn earlier_password_that_breaks_the_rule_still_joins() {
    let app = App::start().await;
    let (host, guest) = (organization(&app, "Host").await, organization(&app, "Guest").await);
    prove_address(&app, &guest).await;
    let known = invite(&host.owner, &host, guest.email(), "member").await;
    let unknown = invite(&host.owner, &host, NEW, "member").await;
    let test_env = app.stop().await;
    let app = Setup::unlimited().with("--password-min-length=40").start_on(test_env).await;
    let wrong = [Some("another horse battery")];
    let seen = refusals(&app, &known, &wrong).await;
    assert_eq!(seen, refusals(&app, &unknown, &wrong).await);
    assert!(seen[0].contains("40 to 256 characters"), "{seen:?}");
    let tokens = accept(&app.client(), &known, Some(PASSWORD)).await.created();
    assert_eq!(tokens["admin_id"], guest.body["admin_id"]);
    accept(&app.client(), &unknown, Some(PASSWORD)).await.refused_fields(&["/password"]);
}

/// An invitation by which nobody can join makes no account, so it must not tell of one.
#[tokio::test]
async fn unusable_invitation_is_refused_alike_for_any_address() {
    let app = App::start().await;
    let (host, guest) = (organization(&app, "Host").await, organization(&app, "Guest").await);
    let role = json!({ "name": "special", "permissions": ["documents:read"] });
    host.owner.post(&format!("{}/roles", host.path()), &role).await.created();
    let known = invite(&host.owner, &host, guest.email(), "special").await;
    let unknown = invite(&host.owner, &host, NEW, "special").await;
    let operator = app.operator();
    let refused = async |code: &str| {
        for invitation in [&known, &unknown] {
            accept(&app.client(), invitation, Some("another horse battery")).await.refused(code);
        }
    };
    operator.post_empty(&format!("{}/suspend", host.path())).await.ok();
    refused("organization_suspended").await;
    operator.post_empty(&format!("{}/reactivate", host.path())).await.ok();
    operator.delete(&format!("{}/roles/special", host.path())).await.done();
    refused("invitation_invalid").await;
    assert_eq!(Snapshot::sound(app.test_env()).accounts(), 2);
}

#[tokio::test]
async fn invitation_requests_refuse_every_bad_field_by_name() {
    let app = App::start().await;
    let host = organization(&app, "Host").await;
    let wrong = json!({ "email": "nobody", "role": "Root", "expires_in": 2_592_001 });
    host.owner.post(&invitations(&host), &wrong).await.refused_fields(&["/email", "/role", "/expires_in"]);
    let unknown = json!({ "email": NEW, "role": "root" });
    host.owner.post(&invitations(&host), &unknown).await.refused_fields(&["/role"]);
    for field in
        ["org_id", "_id", "permissions", "verified", "token_epoch", "inviter", "inviter_key", "token"]
    {
        let body = json!({ "email": NEW, "role": "member", field: 1 });
        host.owner.post(&invitations(&host), &body).await.refused_fields(&[&format!("/{field}")]);
    }
    let invitation = invite(&host.owner, &host, NEW, "viewer").await;
    for field in ["role", "org_id", "_id", "permissions", "email"] {
        let body = json!({ "token": invitation["token"], "password": PASSWORD, field: "owner" });
        app.client().post("/v1/invitations/accept", &body).await.refused_fields(&[&format!("/{field}")]);
    }
    let mut token = invitation["token"].as_str().unwrap().to_owned();
    token.pop();
    app.client().post("/v1/invitations/accept", &json!({ "token": token })).await.refused_fields(&["/token"]);
}

#[tokio::test]
async fn invitation_of_organization_that_is_gone_is_invalid() {
    let app = App::start().await;
    let host = organization(&app, "Host").await;
    let invitation = invite(&host.owner, &host, NEW, "member").await;
    let operator = app.operator();
    operator.post_empty(&format!("{}/suspend", host.path())).await.ok();
    accept(&app.client(), &invitation, Some(PASSWORD)).await.refused("organization_suspended");
    operator.post_empty(&format!("{}/reactivate", host.path())).await.ok();
    operator.delete(&host.path()).await.ok();
    accept(&app.client(), &invitation, Some(PASSWORD)).await.refused("invitation_invalid");
    assert_eq!(tables_with(&app, NEW), Vec::<String>::new());
    operator.post_empty(&format!("{}/purge", host.path())).await.accepted();
    while app.operator().get(&host.path()).await.status.is_success() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    accept(&app.client(), &invitation, Some(PASSWORD)).await.refused("invitation_invalid");
    assert_eq!(Snapshot::sound(app.test_env()).accounts(), 0);
    assert_eq!(tables_with(&app, NEW), Vec::<String>::new());
}
