//! How many members, owners and invitations an organization may have. What is there already is put there behind the
//! service's back: to make it by requests would take hours.

use crate::support::app::App;
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{Organization, PASSWORD, again, invited, organization, sign_in, with_access};
use crate::support::store::{invitation, with_store};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use tenantry_domain::clock::after;
use tenantry_domain::email::EmailAddress;
use tenantry_domain::ids::{AccountId, InvitationId, OrganizationId};
use tenantry_domain::invitation::Invitation;
use tenantry_domain::limits::{INVITATIONS_MAX, MEMBERS_MAX, OWNERS_MAX};
use tenantry_domain::organization::Organization as Record;
use tenantry_domain::store::{BoundedInsert, UpdateOutcome};

/// The service once more, with the record of `organization` changed by `change`.
async fn with_record(app: App, organization: &Organization, change: impl FnOnce(&mut Record)) -> App {
    let id: OrganizationId = organization.id().parse().unwrap();
    let now = Timestamp::from_millisecond(app.clock.milliseconds()).unwrap();
    let test_env = app.stop().await;
    with_store(&test_env, async |store| {
        let found = store.organizations.get_organization(id).await.unwrap().unwrap();
        let mut next = found.successor(now);
        change(&mut next);
        assert_eq!(store.organizations.update_organization(&next).await.unwrap(), UpdateOutcome::Done);
    })
    .await;
    App::at(test_env).await
}

async fn invite(client: &Client, host: &Organization, email: &str, role: &str) -> Answer {
    client.post(&format!("{}/invitations", host.path()), &json!({ "email": email, "role": role })).await
}

async fn accept(app: &App, invitation: &Value) -> Answer {
    let body = json!({ "token": invitation["token"], "password": PASSWORD });
    app.client().post("/v1/invitations/accept", &body).await
}

#[tokio::test]
async fn member_beyond_the_bound_is_refused() {
    let app = App::start().await;
    let host = organization(&app, "Host").await;
    let first = invite(&host.owner, &host, "first@new.example", "viewer").await.created();
    let second = invite(&host.owner, &host, "second@new.example", "viewer").await.created();
    let app = with_record(app, &host, |record| record.members = MEMBERS_MAX - 1).await;
    let owner = again(&app, &host.owner);
    let joined = accept(&app, &first).await.created();
    let refused = accept(&app, &second).await;
    assert_eq!(refused.status.as_u16(), 409, "{refused}");
    refused.refused("too_many_members");
    let listed = owner.get(&format!("{}/members", host.path())).await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{listed}");
    // The invitation is good once somebody has left.
    owner.delete(&host.member(joined["admin_id"].as_str().unwrap())).await.done();
    accept(&app, &second).await.created();
}

#[tokio::test]
async fn owner_beyond_the_bound_is_refused() {
    let app = App::start().await;
    let (host, guest) = (organization(&app, "Host").await, organization(&app, "Guest").await);
    invited(&app, &guest, &host, "admin").await;
    let invitation = invite(&host.owner, &host, "late@new.example", "owner").await.created();
    let others = (1..OWNERS_MAX).map(|number| AccountId::from_bytes([u8::try_from(number).unwrap(); 12]));
    let app = with_record(app, &host, |record| {
        record.owners = record.owners().iter().copied().chain(others).collect();
    })
    .await;
    let owner = again(&app, &host.owner);
    let path = host.member(guest.owner_id());
    let problem = owner.patch(&path, &json!({ "role": "owner" })).await.refused("too_many_members");
    assert!(problem["detail"].as_str().unwrap().contains(&format!("{OWNERS_MAX} owners")), "{problem}");
    accept(&app, &invitation).await.refused("too_many_members");
    assert_eq!(owner.get(&path).await.ok()["role"], "admin");
    owner.patch(&path, &json!({ "role": "member" })).await.ok();
}

#[tokio::test]
async fn invitation_beyond_the_bound_is_refused() {
    let app = App::start().await;
    let (host, other) = (organization(&app, "Host").await, organization(&app, "Other").await);
    let id: OrganizationId = host.id().parse().unwrap();
    let end =
        after(Timestamp::from_millisecond(app.clock.milliseconds()).unwrap(), Duration::from_secs(3600));
    let test_env = app.stop().await;
    with_store(&test_env, async |store| {
        for number in 0..INVITATIONS_MAX - 1 {
            let mut bytes = [7; 12];
            bytes[8..].copy_from_slice(&number.to_be_bytes());
            let invitation = Invitation {
                id: InvitationId::from_bytes(bytes),
                email: EmailAddress::parse(&format!("{number}@bound.example")).unwrap(),
                ..invitation(1, id, end)
            };
            let inserted = store.invitations.insert_invitation(&invitation, INVITATIONS_MAX, None).await;
            assert_eq!(inserted.unwrap(), BoundedInsert::New);
        }
    })
    .await;
    let app = App::at(test_env).await;
    let owner = again(&app, &host.owner);
    let last = invite(&owner, &host, "last@new.example", "viewer").await.created();
    for email in ["late@new.example", "later@new.example"] {
        invite(&owner, &host, email, "viewer").await.refused("too_many_invitations");
    }
    invite(&again(&app, &other.owner), &other, "late@new.example", "viewer").await.created();
    // One that is revoked makes room, and so does one that has expired.
    let path = format!("{}/invitations/{}", host.path(), last["id"].as_str().unwrap());
    owner.delete(&path).await.done();
    invite(&owner, &host, "late@new.example", "viewer").await.created();
    app.clock.advance(Duration::from_secs(3601));
    app.maintain().await;
    let owner = with_access(&app, &sign_in(&app, host.email()).await);
    invite(&owner, &host, "later@new.example", "viewer").await.created();
}
