//! Every kind of conflict, and the way out that it names.

use super::source::{BCRYPT, Classic, Source, address};
use super::{command, refused, rehearsal, run, said};
use crate::support::app::App;
use crate::support::fixtures::{PASSWORD, credentials};
use crate::support::test_env::{Engine, TestEnv};
use mongodb::bson::{doc, oid::ObjectId};
use serde_json::Value;

/// The kinds of the conflicts, with the records of each.
fn kinds(report: &Value) -> Vec<(String, Vec<String>)> {
    let conflicts = report["conflicts"].as_array().unwrap().iter();
    conflicts
        .map(|conflict| {
            assert!(conflict["advice"].as_str().unwrap().ends_with('.'), "{conflict}");
            let records = conflict["records"].as_array().unwrap().iter();
            let records = records.map(|record| record.as_str().unwrap().to_owned()).collect();
            (conflict["kind"].as_str().unwrap().to_owned(), records)
        })
        .collect()
}

fn hex(id: ObjectId) -> String {
    id.to_hex()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_conflict_is_named_with_a_way_out() {
    let mut source = Source::seeded(Classic::A);
    source.add(3, "acme-corp", "acme_corp");
    source.add(4, "x", "short");
    source.add(5, "No Password", "no_password");
    let ids: Vec<String> = source.organizations.iter().copied().map(hex).collect();
    let people: Vec<String> = source.accounts.iter().copied().map(hex).collect();
    let (registry, accounts) = source.records();
    source.set(accounts, source.accounts[3], doc! { "email": address(1).to_uppercase() });
    source.set(accounts, source.accounts[4], doc! { "email": "no address" });
    source.set(accounts, source.accounts[5], doc! { "hashed_password": "5f4dcc3b5aa765d61d8327deb882cf99" });
    let [lonely, nobody] = [ObjectId::new(), ObjectId::new()];
    source.insert(
        registry,
        vec![doc! { "_id": lonely, "organization_name": "Lonely", "collection_name": "org_lonely" }],
    );
    source.insert(
        accounts,
        vec![doc! { "_id": nobody, "email": "nobody@x.example", "hashed_password": BCRYPT[0] }],
    );
    source.insert(
        registry,
        vec![doc! { "_id": "not an id", "organization_name": "Other", "admin_id": people[0].clone() }],
    );
    source.insert("org_orphan", vec![doc! { "n": 1 }]);
    source.insert("org_no_password.bad name", vec![doc! { "n": 1 }]);
    source.insert(
        "org_no_password",
        vec![doc! { "_id": "mine", "_tenantry": 1 }, doc! { "_id": "big", "text": "x".repeat(2 << 20) }],
    );
    let target = TestEnv::on(Engine::Embedded);

    let report = rehearsal(&source, &target, &[]);
    let expected: Vec<(&str, Vec<String>)> = vec![
        ("shared_collection", vec![ids[0].clone(), ids[3].clone()]),
        ("duplicate_name", vec![ids[0].clone(), ids[3].clone()]),
        ("duplicate_address", vec![people[1].clone(), people[3].clone()]),
        ("organization_without_account", vec![hex(lonely)]),
        ("account_without_organization", vec![hex(nobody)]),
        ("collection_without_organization", vec!["org_orphan".to_owned()]),
        ("id_refused", vec!["not an id".to_owned()]),
        ("name_refused", vec![ids[4].clone()]),
        ("address_refused", vec![people[4].clone()]),
        ("hash_unknown", vec![people[5].clone()]),
        ("collection_refused", vec![format!("{}.org_no_password.bad name", source.database.name())]),
        (
            "document_refused",
            ["big", "mine"].map(|id| format!("{}.org_no_password {id}", source.database.name())).to_vec(),
        ),
    ];
    let expected: Vec<_> = expected.into_iter().map(|(kind, records)| (kind.to_owned(), records)).collect();
    assert_eq!(kinds(&report), expected, "{report:#}");
    let before = source.everything();
    assert_eq!(command(&source, &target, &[]).output().unwrap().status.code(), Some(1));
    assert!(
        refused(&run(&source, &target, &["--apply"])).contains("Nothing was changed: there are conflicts")
    );
    assert_eq!(source.everything(), before);
    assert!(!target.data_dir().exists());

    // The ways out; documents are corrected in the source.
    source.set("org_no_password", source.organizations[5], doc! {});
    let documents = source.database.collection("org_no_password");
    crate::support::mongodb::run(async move { documents.delete_many(doc! {}).await.unwrap() });
    let out = [
        format!("--skip={}", ids[3]),
        format!("--rename={}=Ex", ids[4]),
        format!("--address={}=ex@x.example", people[4]),
        format!("--without-password={}", people[5]),
        format!("--skip={}", hex(lonely)),
        format!("--skip={}", hex(nobody)),
        "--skip=not an id".to_owned(),
        "--leave=org_orphan".to_owned(),
        "--leave=org_no_password.bad name".to_owned(),
    ];
    let out: Vec<&str> = out.iter().map(String::as_str).collect();
    let report = rehearsal(&source, &target, &out);
    assert_eq!(kinds(&report), vec![], "{report:#}");
    said(&run(&source, &target, &[&out[..], &["--apply"]].concat()));
    let app = App::at(target).await;
    let renamed = app.operator().get(&format!("/v1/organizations/{}", ids[4])).await.ok();
    assert_eq!(
        (&renamed["organization_name"], &renamed["admin_email"]),
        (&"Ex".into(), &"ex@x.example".into())
    );
    app.client()
        .post("/admin/login", &credentials(&address(5), PASSWORD))
        .await
        .refused("invalid_credentials");
    app.operator().get(&format!("/v1/organizations/{}", ids[3])).await.refused("organization_not_found");
}

/// Deleted organizations have neither names nor addresses that others may not have.
#[test]
fn deleted_twins_are_no_conflict() {
    let mut source = Source::seeded(Classic::C);
    source.add(3, "Gone", "gone_again");
    source.add(4, "Gone", "gone_now");
    let (registry, accounts) = source.records();
    source.set(registry, source.organizations[4], doc! { "is_deleted": false, "deleted_at": null });
    // Its account names the organization, and so do those of the deleted ones.
    for number in 2..5 {
        source.set(registry, source.organizations[number], doc! { "admin_id": source.accounts[number] });
        source.set(accounts, source.accounts[number], doc! { "organization": null });
    }
    source.set(accounts, source.accounts[4], doc! { "email": address(3) });
    let report = rehearsal(&source, &TestEnv::on(Engine::Embedded), &[]);
    assert_eq!(kinds(&report), vec![], "{report:#}");
    let statuses: Vec<&str> = report["organizations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| each["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["active", "active", "deleted", "deleted", "active"]);
}
