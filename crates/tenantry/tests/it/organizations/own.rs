//! A further organization of an account that is signed in.

use crate::support::app::{App, Setup};
use crate::support::checker::Snapshot;
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{PASSWORD, joined, new_organization, organization, sign_in, with_access};
use crate::support::keys::{exchange, organization_key, service_key, with_key};
use crate::support::records::edit_account;
use serde_json::{Value, json};

const PATH: &str = "/v1/organizations";

fn named(name: &str) -> Value {
    json!({ "organization_name": name })
}

async fn create(client: &Client, name: &str) -> Answer {
    client.post(PATH, &named(name)).await
}

#[tokio::test]
async fn account_creates_further_organization_of_its_own() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let answer = create(&acme.owner, "Second").await;
    let (location, operation) =
        (answer.header("location").to_owned(), answer.header("operation-location").to_owned());
    let second = answer.created();
    assert_eq!(location, format!("{PATH}/{}", second["id"].as_str().unwrap()));
    assert_eq!(
        [&second["admin_id"], &second["admin_email"], &second["status"]],
        [&acme.body["admin_id"], &acme.body["admin_email"], &json!("active")]
    );
    // The session is of the first, and goes on.
    acme.owner.get(&acme.path()).await.ok();
    acme.owner.get(&location).await.refused("organization_not_found");
    assert_eq!(sign_in(&app, acme.email()).await["org_id"], acme.id());
    let me = acme.owner.get("/v1/me").await.ok();
    let items = me["memberships"]["items"].as_array().unwrap();
    let shown: Vec<_> = items.iter().map(|item| [&item["organization_name"], &item["role"]]).collect();
    assert_eq!(shown, [[&json!("Acme"), &json!("owner")], [&json!("Second"), &json!("owner")]]);

    let tokens = acme.owner.post("/v1/auth/switch", &json!({ "organization": "second" })).await.ok();
    let there = with_access(&app, &tokens);
    there
        .post(&format!("{location}/collections/documents/documents"), &json!({ "_id": "one" }))
        .await
        .created();
    let logged = there.get(&operation).await.ok();
    assert_eq!((&logged["kind"], &logged["member"]), (&json!("create"), &Value::Null));
    assert_eq!(logged["actor"], json!({ "type": "account", "id": acme.owner_id() }));
    let found = Snapshot::sound(app.test_env());
    assert_eq!((found.accounts(), found.organizations()), (1, 2));

    // It is an organization like others: it goes, and the account stays.
    assert!(there.delete(&format!("{location}?purge=true")).await.status.is_success());
    acme.owner.get(&acme.path()).await.ok();
    assert_eq!(acme.owner.get("/v1/me").await.ok()["memberships"]["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn own_organization_takes_no_address_and_no_password() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let new = new_organization("Second", "somebody@else.example");
    acme.owner.post(PATH, &new).await.refused_fields(&["/email", "/password"]);
    let wrong = json!({ "organization_name": "S", "password": "short", "placement": "nowhere", "x": 1 });
    let fields = ["/organization_name", "/password", "/placement", "/x"];
    acme.owner.post(PATH, &wrong).await.refused_fields(&fields);
    create(&acme.owner, "ACME").await.refused("name_taken");
    acme.owner.post(PATH, &json!({ "organization_name": "Second", "email": null })).await.created();
    // Others go on as they did.
    app.operator().post(PATH, &named("Third")).await.refused_fields(&["/email", "/password"]);
    app.client().post(PATH, &named("Third")).await.refused("operator_key_required");
    app.client().post("/org/create", &new_organization("Third", acme.email())).await.refused("email_taken");
    acme.owner.post("/org/create", &new_organization("Third", acme.email())).await.refused("email_taken");
}

#[tokio::test]
async fn own_organization_is_for_people_alone_and_as_signup_says() {
    let app = Setup::unlimited().start().await;
    let acme = organization(&app, "Acme").await;
    let key = with_key(&app, &organization_key(&acme, &["organizations:write"]).await);
    let service = service_key(&app, &["tokens:issue", "documents:read", "organizations:write"]).await;
    let token = exchange(&with_key(&app, &service), &acme.path(), &["documents:read"]).await.ok();
    let token = app.client().with_token(token["access_token"].as_str().unwrap());
    for program in [&key, &token] {
        create(program, "Second").await.refused("operator_only");
    }
    with_key(&app, &service).post(PATH, &new_organization("Third", "owner@third.example")).await.created();

    // Whoever is signed in may, whatever the role in the organization they are signed in to.
    let guest = organization(&app, "Guest").await;
    let (app, viewer) = joined(app, &guest, &acme, "viewer").await;
    let made = create(&viewer, "Of A Viewer").await.created();
    assert_eq!(made["admin_id"], guest.body["admin_id"]);
    Snapshot::sound(app.test_env());

    let app = Setup::unlimited().with("--signup=operator").start().await;
    let new = new_organization("Acme", "owner@acme.example");
    app.operator().post(PATH, &new).await.created();
    let owner = with_access(&app, &sign_in(&app, "owner@acme.example").await);
    create(&owner, "Second").await.refused("operator_only");
}

#[tokio::test]
async fn own_organization_is_made_once_with_idempotency_key() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let other = organization(&app, "Other").await;
    let keyed = |owner: &Client| owner.with_header("idempotency-key", "key-1");
    let first = create(&keyed(&acme.owner), "Second").await;
    let id = first.json()["id"].clone();
    first.created();
    let again = create(&keyed(&acme.owner), "Second").await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.created()["id"], id);
    create(&keyed(&acme.owner), "Third").await.refused("idempotency_key_reused");
    // Another account's key is another key, and so is one of another session of this account not.
    create(&keyed(&other.owner), "Second").await.refused("name_taken");
    let elsewhere = with_access(&app, &sign_in(&app, acme.email()).await);
    assert_eq!(create(&keyed(&elsewhere), "Second").await.created()["id"], id);
    assert_eq!(Snapshot::sound(app.test_env()).organizations(), 3);
}

#[tokio::test]
async fn own_organizations_are_counted_like_sign_ups() {
    let app = Setup::default().start().await;
    let acme = organization(&app, "Acme").await;
    let mut made = 0;
    let refused = loop {
        let answer = create(&acme.owner, &format!("Number {made}")).await;
        if answer.status != 201 {
            break answer;
        }
        made += 1;
    };
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    refused.refused("too_many_attempts");
    assert!((1..20).contains(&made), "{made}");
    let new = new_organization("Of The Operator", "owner@operator.example");
    app.operator().post(PATH, &new).await.created();
}

/// As many as it may have but one: of two at the same moment, one is made, and nothing is left of the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn account_has_a_bounded_number_of_organizations() {
    let app = Setup::unlimited().start().await;
    let acme = organization(&app, "Acme").await;
    let app = app.restart_after(|place| {
        edit_account(place, acme.email(), |account| {
            let memberships = account["memberships"].as_array_mut().unwrap();
            for number in memberships.len()..999 {
                let mut another = memberships[0].clone();
                another["organization_id"] = format!("{number:024x}").into();
                memberships.push(another);
            }
        });
    });
    let app = app.await;
    let owner = with_access(&app, &acme.tokens);
    let (one, two) = tokio::join!(create(&owner, "One"), create(&owner, "Two"));
    let (made, refused) = if one.status == 201 { (one, two) } else { (two, one) };
    made.created();
    refused.refused("too_many_organizations");
    create(&owner, "Three").await.refused("too_many_organizations");
    let all = app.operator().get(&format!("{PATH}?limit=200&show_deleted=true")).await.ok();
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    assert_eq!(owner.get("/v1/me").await.ok()["account_id"], acme.owner_id());
}

/// What the account does in its new organization ends with the account's sessions, as everywhere.
#[tokio::test]
async fn own_organization_is_not_made_with_a_dead_session() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let change = json!({ "current_password": PASSWORD, "new_password": "another horse battery" });
    with_access(&app, &sign_in(&app, acme.email()).await).post("/v1/me/password", &change).await.done();
    create(&acme.owner, "Second").await.refused("token_revoked");
    assert_eq!(Snapshot::sound(app.test_env()).organizations(), 1);
}
