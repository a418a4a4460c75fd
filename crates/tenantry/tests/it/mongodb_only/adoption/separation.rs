//! What must not come from one organization to another, and who must not come in.

use super::in_place::both;
use super::source::{BCRYPT, Classic, Source, address};
use super::{canonical, refused, rehearsal, run, said, signed_in};
use crate::support::app::App;
use crate::support::fixtures::{PASSWORD, credentials};
use crate::support::test_env::{Engine, TestEnv};
use mongodb::bson::{Binary, Document, doc, oid::ObjectId, spec::BinarySubtype};
use serde_json::json;

async fn refused_sign_in(app: &App, email: &str) {
    app.client().post("/admin/login", &credentials(email, PASSWORD)).await.refused("invalid_credentials");
}

/// The name of one organization continues that of another, and so do the names of their collections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collection_of_one_organization_goes_to_no_other() {
    for in_place in [false, true] {
        let (mut source, target) = both(Classic::A);
        let target = if in_place { target } else { TestEnv::on(Engine::Embedded) };
        source.add(3, "Acme Corp.inc", "acme_corp.inc");
        source.insert("org_acme_corp.inc", vec![doc! { "_id": "of inc" }]);
        source.insert("org_acme_corp.orders", vec![doc! { "_id": "of acme" }]);
        let before = source.everything();
        let expected: Vec<_> = (0..1).map(|number| canonical(source.documents(number))).collect();
        let way: &[&str] = if in_place { &["--in-place"] } else { &[] };
        let report = rehearsal(&source, &target, way);
        assert_eq!(report["conflicts"], json!([]), "{report}");
        said(&run(&source, &target, &[way, &["--apply"]].concat()));
        if in_place {
            said(&run(&source, &target, &["--in-place", "--undo"]));
            assert_eq!(source.everything(), before);
            said(&run(&source, &target, &["--in-place", "--apply"]));
        }
        said(&run(&source, &target, &[way, &["--confirm"]].concat()));
        let app = App::at(target).await;
        for (number, names, own) in [
            (0, json!(["documents", "orders"]), "orders/documents/of%20acme"),
            (3, json!(["documents"]), "documents/documents/of%20inc"),
        ] {
            let path = format!("/v1/organizations/{}/collections", source.organizations[number]);
            let client = signed_in(&app, number).await;
            let listed = client.get(&path).await.ok();
            let found: Vec<_> =
                listed["items"].as_array().unwrap().iter().map(|each| &each["name"]).collect();
            assert_eq!(json!(found), names, "{listed}");
            client.get(&format!("{path}/{own}")).await.ok();
        }
        let usage = format!("/v1/organizations/{}/usage", source.organizations[0]);
        assert_eq!(signed_in(&app, 0).await.get(&usage).await.ok()["documents"], expected[0].len() + 1);
    }
}

/// A deleted organization and a live one have one name, by which accounts refer to them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn account_of_deleted_twin_does_not_sign_in() {
    let (mut source, target) = (Source::seeded(Classic::C), TestEnv::on(Engine::Embedded));
    source.add(3, "Gone", "gone_now");
    let (registry, _) = source.records();
    source.set(registry, source.organizations[3], doc! { "is_deleted": false, "deleted_at": null });
    let report = rehearsal(&source, &target, &[]);
    assert_eq!(report["conflicts"][0]["kind"], "organization_ambiguous", "{report}");
    assert_eq!(report["conflicts"].as_array().unwrap().len(), 1, "{report}");
    for number in [2, 3] {
        source.set(registry, source.organizations[number], doc! { "admin_id": source.accounts[number] });
    }
    said(&run(&source, &target, &["--apply"]));
    let app = App::at(target).await;
    refused_sign_in(&app, &address(2)).await;
    let path = format!("/v1/organizations/{}", source.organizations[3]);
    let members = signed_in(&app, 3).await.get(&format!("{path}/members")).await.ok();
    let emails = members["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| each["email"].as_str().unwrap().to_lowercase());
    assert_eq!(emails.collect::<Vec<_>>(), [address(3).to_lowercase()], "{members}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_get_in_with_no_more_than_before() {
    let (source, target) = (Source::seeded(Classic::A), TestEnv::on(Engine::Embedded));
    let (registry, accounts) = source.records();
    let account = |email: &str, also: Document| {
        let mut record = doc! {
            "_id": ObjectId::new(), "email": email, "hashed_password": BCRYPT[0],
            "organization_id": source.organizations[0],
        };
        record.extend(also);
        source.insert(accounts, vec![record]);
    };
    account("inactive@x.example", doc! { "is_active": false });
    account("deleted@x.example", doc! { "deleted_at": 1_700_000_000 });
    account("disabled@x.example", doc! { "status": "disabled" });
    account("user@x.example", doc! { "role": "user" });
    account("super@x.example", doc! { "role": "superadmin" });
    source.set(registry, source.organizations[1], doc! { "disabled": true });
    source.set(registry, source.organizations[2], doc! { "status": "cancelled" });
    let found = rehearsal(&source, &target, &[]);
    let conflict = &found["conflicts"][0];
    assert_eq!(conflict["kind"], "status_unknown", "{found}");
    assert_eq!(conflict["records"], json!([source.organizations[2].to_hex()]));
    let refusal = run(&source, &target, &["--status=cancelled=gone"]);
    let sentence = String::from_utf8_lossy(&refusal.stderr);
    assert!(
        !refusal.status.success() && sentence.contains("one of active, suspended, deleted"),
        "{sentence}"
    );

    let out = ["--status=cancelled=deleted", "--role=superadmin=admin"];
    let report = rehearsal(&source, &target, &out);
    assert_eq!((&report["conflicts"], &report["accounts"]), (&json!([]), &json!(5)), "{report}");
    let statuses = report["organizations"].as_array().unwrap().iter().map(|each| &each["status"]);
    assert_eq!(statuses.collect::<Vec<_>>(), ["active", "suspended", "deleted"]);
    said(&run(&source, &target, &[&out[..], &["--apply"]].concat()));
    let app = App::at(target).await;
    for email in ["inactive@x.example", "deleted@x.example", "disabled@x.example"] {
        refused_sign_in(&app, email).await;
    }
    let path = format!("/v1/organizations/{}", source.organizations[0]);
    let members = app.operator().get(&format!("{path}/members")).await.ok();
    let mut roles: Vec<_> = members["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| (each["email"].as_str().unwrap().to_lowercase(), each["role"].as_str().unwrap()))
        .collect();
    roles.sort();
    let expected = [
        (address(0).to_lowercase(), "owner"),
        ("super@x.example".into(), "admin"),
        ("user@x.example".into(), "viewer"),
    ];
    assert_eq!(roles, expected, "{members}");
}

/// An adoption that was killed while it wrote its journal.
#[test]
fn undo_removes_unfinished_journal() {
    let (source, target) = both(Classic::A);
    let before = source.everything();
    let id = Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] };
    source.insert("tenantry_adoption", vec![doc! { "_id": id, "from": "org_a", "to": "tenant_a" }]);
    said(&run(&source, &target, &["--in-place", "--undo"]));
    assert_eq!(source.everything(), before);
    assert!(refused(&run(&source, &target, &["--in-place", "--undo"])).contains("no adoption to take back"));
    // What is not a journal stays.
    source.insert("tenantry_adoption", vec![doc! { "_id": "somebody else's" }]);
    assert!(refused(&run(&source, &target, &["--in-place", "--undo"])).contains("no adoption to take back"));
    assert_eq!(source.database.find("tenantry_adoption", doc! {}).len(), 1);
}

#[test]
fn rehearsal_lists_options_of_collections() {
    let (mut source, target) = (Source::seeded(Classic::A), TestEnv::on(Engine::Embedded));
    let create = doc! {
        "create": "org_french", "collation": { "locale": "fr" }, "validator": { "n": { "$exists": true } },
        "capped": true, "size": 4096,
    };
    source.database.command(create).unwrap();
    source.add(3, "French", "french");
    let report = rehearsal(&source, &target, &[]);
    let notes = report["notes"].to_string();
    let expected =
        format!("{}.org_french: the options of the collection are not copied", source.database.name());
    assert!(notes.contains(&expected), "{notes}");
    for option in ["collation", "validator", "capped"] {
        assert!(notes.contains(option), "{notes}");
    }
}
