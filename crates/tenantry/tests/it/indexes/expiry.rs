//! Documents that expire.

use crate::support::app::App;
use crate::support::fixtures::{Organization, organization, sign_in, with_access};
use serde_json::{Value, json};

/// The clock of the tests begins in 2026; long before and long after that.
const PAST: &str = "2020-01-01T00:00:00Z";
const FUTURE: &str = "2090-01-01T00:00:00Z";

fn date(text: &str) -> Value {
    json!({ "$date": text })
}

async fn ids(acme: &Organization) -> Vec<i64> {
    let page = acme.owner.get(&acme.documents()).await.ok();
    page["items"].as_array().unwrap().iter().map(|document| document["_id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn documents_expire_by_their_date_and_nothing_else() {
    let app = App::start().await;
    let (acme, other) = (organization(&app, "Acme").await, organization(&app, "Other").await);
    let index = json!({ "keys": "until", "unique": false, "expire_after_seconds": 3600 });
    assert_eq!(acme.owner.post(&acme.about("indexes"), &index).await.created()["expire_after_seconds"], 3600);
    let partial = json!({ "name": "drafts", "keys": "at", "expire_after_seconds": 0, "partial_filter": { "draft": true } });
    acme.owner.post(&acme.about("indexes"), &partial).await.created();
    let documents = [
        json!({ "_id": 1, "until": date(PAST) }),
        json!({ "_id": 2, "until": date(FUTURE) }),
        json!({ "_id": 3, "until": [date(FUTURE), date(PAST)] }),
        json!({ "_id": 4, "until": PAST }),
        json!({ "_id": 5 }),
        json!({ "_id": 6, "at": date(PAST), "draft": true }),
        json!({ "_id": 7, "at": date(PAST), "draft": false }),
    ];
    acme.store(&documents).await;
    other.store(&documents).await;
    app.advance_seconds(61);
    app.expire().await;
    assert_eq!(ids(&acme).await, [2, 4, 5, 7]);
    assert_eq!(ids(&other).await.len(), 7, "it has no such index");
    assert_eq!(acme.owner.get(&format!("{}/usage", acme.path())).await.ok()["documents"], 4);

    // A collection has its turn once a minute, also if the service itself looks in between.
    acme.store(&[json!({ "_id": 8, "until": date(PAST) })]).await;
    app.expire().await;
    assert_eq!(ids(&acme).await, [2, 4, 5, 7, 8]);
    app.advance_seconds(61);
    app.expire().await;
    assert_eq!(ids(&acme).await, [2, 4, 5, 7]);
    // Without the index, nothing expires.
    acme.owner.delete(&format!("{}/until_1", acme.about("indexes"))).await.done();
    acme.store(&[json!({ "_id": 8, "until": date(PAST) })]).await;
    app.advance_seconds(61);
    app.expire().await;
    assert_eq!(ids(&acme).await, [2, 4, 5, 7, 8]);
}

#[tokio::test]
async fn expiry_waits_under_legal_hold_and_while_deleted() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.owner
        .post(&acme.about("indexes"), &json!({ "keys": "until", "expire_after_seconds": 0 }))
        .await
        .created();
    acme.store(&[json!({ "_id": 1, "until": date(PAST) })]).await;
    let hold = |hold: bool| {
        let (operator, path) = (app.operator(), acme.path());
        async move { operator.patch(&path, &json!({ "legal_hold": hold })).await.ok() }
    };
    hold(true).await;
    app.advance_seconds(61);
    app.expire().await;
    assert_eq!(ids(&acme).await, [1]);
    hold(false).await;
    app.operator().delete(&acme.path()).await.ok();
    app.advance_seconds(61);
    app.expire().await;
    app.operator().post_empty(&format!("{}/restore", acme.path())).await.ok();
    let owner = with_access(&app, &sign_in(&app, acme.email()).await);
    assert_eq!(owner.get(&acme.documents()).await.ok()["items"].as_array().unwrap().len(), 1);
    app.advance_seconds(61);
    app.expire().await;
    let owner = with_access(&app, &sign_in(&app, acme.email()).await);
    assert_eq!(owner.get(&acme.documents()).await.ok()["items"], json!([]));
}

/// After a restart, in a copy from an archive, and more than one portion takes.
#[tokio::test]
async fn documents_expire_after_restart_and_import() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.owner
        .post(&acme.about("indexes"), &json!({ "keys": "until", "expire_after_seconds": 5 }))
        .await
        .created();
    let documents: Vec<_> = (0..3_000).map(|n| json!({ "_id": n, "until": date(PAST) })).collect();
    acme.store(&documents).await;
    let archive = app.operator().get(&format!("{}/export", acme.path())).await.text;
    let path = "/v1/organizations/import?id=new&organization_name=Copy&owner_email=copy%40acme.example";
    let body = Some(("application/x-ndjson", archive.into_bytes()));
    let copy = app.operator().send(reqwest::Method::POST, path, body).await.created();
    let app = app.restart().await;
    app.advance_seconds(61);
    app.expire().await;
    for id in [acme.id(), copy["id"].as_str().unwrap()] {
        let archive = app.operator().get(&format!("/v1/organizations/{id}/export")).await.text;
        let end: Value = serde_json::from_str(archive.lines().last().unwrap()).unwrap();
        assert_eq!(end["end"]["documents"], 0, "{end}");
        assert!(archive.contains(r#""expire_after_seconds":5"#), "{archive}");
    }
}

#[tokio::test]
async fn expiry_is_refused_for_wrong_numbers_and_keys() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for (keys, seconds) in [
        ("a", json!(-1)),
        ("a", json!(1.5)),
        ("a", json!(2_147_483_648_u32)),
        ("a", json!("5")),
        ("a", json!(true)),
        ("a,b", json!(5)),
    ] {
        let index = json!({ "keys": keys, "expire_after_seconds": seconds });
        acme.owner.post(&acme.about("indexes"), &index).await.refused_fields(&["/expire_after_seconds"]);
    }
}
