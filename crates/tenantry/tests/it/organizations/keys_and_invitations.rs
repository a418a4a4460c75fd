//! API keys and invitations end with their organization, invitations also with their time.

use crate::support::app::App;
use crate::support::checker::Snapshot;
use crate::support::fixtures::organization;
use crate::support::records::{tables_but_trail_with, tables_with};
use crate::support::store::{api_key, insert, invitation, with_store};
use jiff::Timestamp;
use std::time::Duration;
use tenantry_domain::api_key::ApiKeyOwner;
use tenantry_domain::clock::after;
use tenantry_domain::ids::OrganizationId;

#[tokio::test]
async fn purge_removes_keys_and_invitations_of_one_organization() {
    let app = App::start().await;
    let (acme, beta) = (organization(&app, "Acme").await, organization(&app, "Beta").await);
    let ids: [OrganizationId; 2] = [acme.id().parse().unwrap(), beta.id().parse().unwrap()];
    let owners = ids.map(ApiKeyOwner::Organization);
    let [key, kept_key] = [api_key(1, owners[0]), api_key(2, owners[1])];
    let service_key = api_key(3, ApiKeyOwner::Installation);
    let later = after(Timestamp::from_millisecond(app.clock.milliseconds()).unwrap(), Duration::from_secs(9));
    let [invited, kept_invited] = [invitation(1, ids[0], later), invitation(2, ids[1], later)];
    let test_env = app.stop().await;
    let keys = [key.clone(), kept_key.clone(), service_key.clone()];
    let invitations = [invited.clone(), kept_invited.clone()];
    with_store(&test_env, async |store| insert(&store, &keys, &invitations).await).await;

    let app = App::at(test_env).await;
    assert_eq!(tables_with(&app, "guest-1@example.com"), ["invitations"]);
    app.operator().delete(&format!("{}?purge=true", acme.path())).await.ok();
    // The log of operations stays, and the audit trail, which says no more than what was done and when.
    assert_eq!(tables_but_trail_with(&app, acme.id()), ["operations"]);
    assert_eq!(tables_but_trail_with(&app, acme.owner_id()), Vec::<String>::new());
    assert_eq!(tables_with(&app, "guest-1@example.com"), Vec::<String>::new());
    let test_env = app.stop().await;
    Snapshot::sound(&test_env);
    with_store(&test_env, async |store| {
        for kept in [kept_key, service_key] {
            assert_eq!(*store.api_keys.get_api_key(kept.id).await.unwrap().unwrap(), kept);
        }
        assert_eq!(store.api_keys.get_api_key(key.id).await.unwrap(), None);
        let found = store.invitations.get_invitation(kept_invited.id).await.unwrap().unwrap();
        assert_eq!(*found, kept_invited);
    })
    .await;
}

#[tokio::test]
async fn maintenance_removes_expired_invitations() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let id: OrganizationId = acme.id().parse().unwrap();
    let now = Timestamp::from_millisecond(app.clock.milliseconds()).unwrap();
    let test_env = app.stop().await;
    let invitations = [
        invitation(1, id, after(now, Duration::from_secs(5))),
        invitation(2, id, after(now, Duration::from_secs(60))),
    ];
    with_store(&test_env, async |store| insert(&store, &[], &invitations).await).await;
    let app = App::at(test_env).await;
    app.maintain().await;
    assert_eq!(tables_with(&app, "guest-1@example.com"), ["invitations"]);
    app.clock.advance(Duration::from_secs(6));
    app.maintain().await;
    assert_eq!(tables_with(&app, "guest-1@example.com"), Vec::<String>::new());
    assert_eq!(tables_with(&app, "guest-2@example.com"), ["invitations"]);
}
