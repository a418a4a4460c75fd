//! Where the data of an organization goes, and what happens when there is no more room.

use crate::support::app::{App, Setup};
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{PASSWORD, credentials, email_for};
use mongodb::bson::doc;
use mongodb::bson::oid::ObjectId;
use serde_json::{Value, json};
use tenantry_domain::organization::Placement;

fn new_organization(name: &str, placement: Option<Placement>) -> Value {
    let mut body = json!({ "organization_name": name, "email": email_for(name), "password": PASSWORD });
    if let Some(placement) = placement {
        body["placement"] = json!(placement.as_str());
    }
    body
}

async fn create(app: &App, name: &str, placement: Placement) -> Answer {
    app.operator().post("/v1/organizations", &new_organization(name, Some(placement))).await
}

async fn owner(app: &App, name: &str) -> Client {
    let tokens = app.client().post("/admin/login", &credentials(&email_for(name), PASSWORD)).await.ok();
    app.client().with_token(tokens["access_token"].as_str().unwrap())
}

fn text<'a>(body: &'a Value, field: &str) -> &'a str {
    body[field].as_str().unwrap()
}

/// Writes as an application does that reads from the answer where its data is.
fn write_where_it_says(app: &App, body: &Value, count: i64) {
    let id = ObjectId::parse_str(text(body, "id")).unwrap();
    let collection = app
        .test_env()
        .database()
        .unwrap()
        .beside(text(body, "tenant_database"), text(body, "tenant_collection"));
    let documents = (0..count).map(move |number| doc! { "org_id": id, "number": number });
    crate::support::mongodb::run(async move { collection.insert_many(documents).await.unwrap() });
}

#[tokio::test]
async fn response_names_data_location_before_and_after_rename() {
    let app = App::start().await;
    let master = app.test_env().database().unwrap().name();
    for placement in Placement::ALL {
        let name = format!("In {}", placement.as_str());
        let made = create(&app, &name, placement).await.created();
        let own_database = format!("tenant_{}", text(&made, "id"));
        let wanted = match placement {
            Placement::Collection => (master, format!("tenant_in_{}", placement.as_str())),
            Placement::Database => (own_database.as_str(), "documents".to_owned()),
            Placement::Shared => (master, "shared_documents".to_owned()),
        };
        assert_eq!(made["placement"], placement.as_str());
        assert_eq!(
            (text(&made, "tenant_database"), text(&made, "tenant_collection")),
            (wanted.0, &*wanted.1)
        );
        write_where_it_says(&app, &made, 7);

        let rename = json!({ "organization_name": format!("{name} again") });
        let renamed = owner(&app, &name).await.put("/org/update", &rename).await.ok();
        assert_eq!(renamed["documents_migrated"], 7, "{renamed}");
        assert_eq!(renamed["previous_collection"], made["tenant_collection"]);
        assert_eq!(renamed["current_collection"], renamed["tenant_collection"]);
        let moves = placement == Placement::Collection;
        assert_eq!(renamed["tenant_collection"] != made["tenant_collection"], moves, "{renamed}");
        write_where_it_says(&app, &renamed, 3);
        let back = json!({ "organization_name": name });
        let renamed = owner(&app, &name).await.put("/org/update", &back).await.ok();
        assert_eq!(renamed["documents_migrated"], 10, "{renamed}");
    }
}

#[tokio::test]
async fn placement_setting_applies_to_new_organizations() {
    for placement in Placement::ALL {
        let app = Setup::unlimited().with(&format!("--placement={}", placement.as_str())).start().await;
        let made = app.client().post("/org/create", &new_organization("Acme", None)).await.created();
        assert_eq!(made["placement"], placement.as_str());
    }
}

#[tokio::test]
async fn placement_that_does_not_exist_is_refused() {
    let app = App::start().await;
    for wrong in [json!("moon"), json!("Shared"), json!(""), json!(1)] {
        let mut body = new_organization("Acme", None);
        body["placement"] = wrong;
        app.operator().post("/v1/organizations", &body).await.refused_fields(&["/placement"]);
    }
    // The classic API takes none: it ignores what it does not know.
    let made =
        app.client().post("/org/create", &new_organization("Acme", Some(Placement::Shared))).await.created();
    assert_eq!(made["placement"], "collection");
}

#[tokio::test]
async fn create_at_server_capacity_works_only_in_shared_placement() {
    // The server has more than that before the test begins.
    let full = || Setup::unlimited().with("--max-namespaces=5");
    let app = full().start().await;
    app.client().post("/org/create", &new_organization("Acme", None)).await.refused("capacity_reached");
    for placement in [Placement::Collection, Placement::Database] {
        create(&app, "Acme", placement).await.refused("capacity_reached");
    }
    create(&app, "Acme", Placement::Shared).await.created();
    // Nothing is left of those that were refused.
    assert_eq!(app.operator().get("/v1/organizations").await.ok()["items"].as_array().unwrap().len(), 1);

    let app = full().with("--at-capacity=shared").start().await;
    let made = app.client().post("/org/create", &new_organization("Acme", None)).await.created();
    assert_eq!(made["placement"], "shared");
    create(&app, "Other", Placement::Collection).await.refused("capacity_reached");
}
