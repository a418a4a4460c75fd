//! Who may do what with an organization's data: viewers read, members write, admins make and drop collections.

use crate::support::app::App;
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{Organization, organization, with_role};
use serde_json::json;

async fn reads(client: &Client, acme: &Organization) -> Vec<Answer> {
    vec![
        client.get(&acme.documents()).await,
        client.get(&format!("{}/d", acme.documents())).await,
        client.post(&acme.about("query"), &json!({})).await,
        client.get(&acme.about("count")).await,
        client.post(&acme.about("count"), &json!({})).await,
        client.get(&acme.about("indexes")).await,
        client.get(&acme.collections()).await,
        client.get(&format!("{}/documents", acme.collections())).await,
        client.get(&format!("{}/usage", acme.path())).await,
    ]
}

async fn writes(client: &Client, acme: &Organization) -> Vec<Answer> {
    let document = format!("{}/d", acme.documents());
    let lines = Some(("application/x-ndjson", b"{}\n".to_vec()));
    vec![
        client.post(&acme.documents(), &json!({ "a": 1 })).await,
        client.send(reqwest::Method::POST, &acme.documents(), lines.clone()).await,
        client.send(reqwest::Method::POST, &acme.about("bulk"), lines).await,
        client.put(&document, &json!({ "a": 1 })).await,
        client.patch(&document, &json!({ "a": 2 })).await,
        client.delete(&format!("{}?filter=%7B%22a%22%3A1%7D", acme.documents())).await,
        client.post(&acme.about("delete"), &json!({ "filter": { "a": 1 } })).await,
        client.delete(&document).await,
    ]
}

async fn shapes(client: &Client, acme: &Organization) -> Vec<Answer> {
    vec![
        client.post(&acme.collections(), &json!({ "name": "more" })).await,
        client.delete(&format!("{}/more", acme.collections())).await,
        client.post(&acme.about("indexes"), &json!({ "keys": "a" })).await,
        client.delete(&acme.about("indexes/a_1")).await,
    ]
}

/// Viewers read, members write, admins and owners shape.
#[tokio::test]
async fn roles_grant_their_rights_and_no_more() {
    let mut app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let mut owner = acme.owner.clone();
    for (role, may) in [
        ("viewer", [true, false, false]),
        ("member", [true, true, false]),
        ("admin", [true, true, true]),
        ("owner", [true, true, true]),
    ] {
        owner.post(&acme.documents(), &json!({ "_id": "d" })).await.created();
        let (restarted, client) = with_role(app, &acme, role).await;
        app = restarted;
        let answers =
            [reads(&client, &acme).await, writes(&client, &acme).await, shapes(&client, &acme).await];
        for (answers, may) in answers.into_iter().zip(may) {
            for answer in answers {
                if may {
                    assert!(answer.status.is_success(), "{role}: {answer}");
                } else {
                    answer.refused("role_insufficient");
                }
            }
        }
        let (restarted, client) = with_role(app, &acme, "owner").await;
        (app, owner) = (restarted, client);
        owner.delete(&format!("{}?filter=%7B%7D", acme.documents())).await.ok();
    }
}

#[tokio::test]
async fn operator_key_opens_no_organization() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let operator = app.operator();
    for answers in
        [reads(&operator, &acme).await, writes(&operator, &acme).await, shapes(&operator, &acme).await]
    {
        for answer in answers {
            answer.refused("members_only");
        }
    }
}
