//! Crashes during more than one operation: creates that compete for an address, a delete that goes on to
//! purge, and many changes under way, so that recovery has to be quick about each.

use super::{Case, NEIGHBOURS, RECOVERY_ON_MONGODB, SUBJECT, Scenario, id_of, recovered};
use crate::support::checker::Snapshot;
use crate::support::client::Answer;
use crate::support::fixtures::{email_for, new_organization};
use crate::support::mongodb::{Database, run};
use crate::support::process::{Launch, Server};
use crate::support::test_env::TestEnv;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, doc};
use reqwest::Method;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const COMPETITORS: usize = 6;
const CONTESTED: &str = "owner@competitors.example";

/// Several creates with one address begin before the first of them has it. The others are refused after their
/// intents, and the service is killed in the middle of that.
#[tokio::test]
async fn creates_with_one_email_stay_whole_when_killed() {
    let template = Scenario::before(Case::Create).await;
    let moments = ["before", "done", "saved"];
    let steps = ["insert_owner", "record"];
    for point in steps.iter().flat_map(|step| moments.map(|moment| format!("create.{step}.{moment}:1"))) {
        println!("creates with one address at {point}");
        let scenario = template.copy();
        let before = Snapshot::sound(&scenario.test_env);
        let server = Launch::on(&scenario.test_env).env("TENANTRY_CRASH_AT", &point).start();
        let competing: JoinSet<_> = (0..COMPETITORS).map(|number| compete(&server, number)).collect();
        let answers: Vec<Answer> = competing.join_all().await.into_iter().flatten().collect();
        server.crashed().await;

        let server = scenario.recover().await;
        let found = Snapshot::sound(&scenario.test_env);
        let made: Vec<&Value> =
            (0..COMPETITORS).filter_map(|number| found.named(&competitor(number))).collect();
        assert_eq!(made.len(), 1, "{point}: {made:?} have the address");
        assert!(
            answers
                .iter()
                .all(|answer| answer.status.as_u16() == 409 || answer.json()["id"] == made[0]["id"])
        );
        let refused = found.log().into_iter().filter(|entry| entry == "create failed").count();
        assert!((1..COMPETITORS).contains(&refused), "{point}: {:?}", found.log());
        for name in NEIGHBOURS {
            assert_eq!(
                before.belongings(&scenario.ids[name]),
                found.belongings(&scenario.ids[name]),
                "{name}"
            );
        }
        compete_again(&scenario, &server, made[0]).await;
        server.stop().await;
        Snapshot::sound(&scenario.test_env);
    }
}

fn competitor(number: usize) -> String {
    format!("Competitor {number}")
}

/// A create for the contested address, with an `Idempotency-Key` of its own.
fn compete(server: &Server, number: usize) -> impl Future<Output = Option<Answer>> + use<> {
    let client = server.client().with_header("idempotency-key", &format!("key-{number}"));
    let body = new_organization(&competitor(number), CONTESTED).to_string().into_bytes();
    async move { client.try_send(Method::POST, "/org/create", Some(("application/json", body))).await.ok() }
}

/// The same requests once more, when the address is free again: a refusal that was not answered is answered
/// now, and one of those that never began gets the address.
async fn compete_again(scenario: &Scenario, server: &Server, winner: &Value) {
    server.operator().delete(&format!("/v1/organizations/{}", id_of(winner))).await.ok();
    let mut owners = 0;
    for number in (0..COMPETITORS).filter(|number| competitor(*number) != winner["name"]) {
        let mut answer = compete(server, number).await.unwrap();
        if owners == 0 && answer.status.as_u16() == 409 {
            answer.refused("email_taken");
            answer = compete(server, number).await.unwrap();
        }
        if owners == 0 {
            answer.created();
        } else {
            answer.refused("email_taken");
        }
        owners = 1;
    }
    // No name was left behind.
    for name in (0..COMPETITORS).map(competitor) {
        let answer = server.client().post("/org/create", &new_organization(&name, &email_for(&name))).await;
        assert!([201, 409].contains(&answer.status.as_u16()), "{answer}");
    }
    assert_eq!(Snapshot::sound(&scenario.test_env).organizations(), NEIGHBOURS.len() + 1 + COMPETITORS);
}

#[tokio::test]
async fn delete_with_purge_ends_purged_when_killed_at_any_point() {
    let template = Scenario::before(Case::Delete).await;
    let subject = template.ids[SUBJECT].clone();
    let points = Case::Delete.points().into_iter().chain(Case::Purge.points()).skip(1);
    for point in points {
        println!("a delete that purges at {point}");
        let scenario = template.copy();
        let before = Snapshot::sound(&scenario.test_env);
        let server = Launch::on(&scenario.test_env).env("TENANTRY_CRASH_AT", &point).start();
        let path = format!("{}?purge=true", scenario.subject());
        assert!(server.operator().try_send(Method::DELETE, &path, None).await.is_err(), "{point}");
        server.crashed().await;

        let began = Instant::now();
        let server = scenario.recover().await;
        while Snapshot::read(&scenario.test_env).organization(&subject).is_some() {
            assert!(began.elapsed() < RECOVERY_ON_MONGODB, "{point}: not purged after {:?}", began.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server.stop().await;
        let found = Snapshot::sound(&scenario.test_env);
        assert_eq!(
            found.log_of(&subject),
            ["create succeeded", "delete succeeded", "purge succeeded"],
            "{point}"
        );
        for name in NEIGHBOURS {
            assert_eq!(
                before.belongings(&scenario.ids[name]),
                found.belongings(&scenario.ids[name]),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn recovery_finishes_a_thousand_operations_soon() {
    const CHANGES: usize = 1000;
    let test_env = TestEnv::new();
    let server = Launch::on(&test_env).start();
    let made =
        server.client().post("/org/create", &new_organization("Acme", &email_for("Acme"))).await.created();
    server.stop().await;
    leave_changes(&test_env, &id_of(&made), CHANGES);

    recovered(&test_env).await.stop().await;
    assert_eq!(Snapshot::read(&test_env).log().len(), 1 + CHANGES);
}

/// Makes copies of an organization's record, each with a change under way that a process which is gone has
/// begun. They have no accounts and no containers; this change needs neither.
fn leave_changes(test_env: &TestEnv, model: &str, count: usize) {
    match test_env.database() {
        None => leave_changes_in_files(&test_env.data_dir().join("control.db"), model, count),
        Some(database) => leave_changes_on_mongodb(database, count),
    }
}

fn leave_changes_on_mongodb(database: &Database, count: usize) {
    let mut record = database.in_order("organizations").remove(0);
    let mut copies = Vec::new();
    for number in 0..count {
        let id = ObjectId::parse_str(format!("{number:024x}")).unwrap();
        record.extend(doc! {
            "_id": id, "identifier": format!("copy-{number}"), "reserved": [],
            "lease_until": DateTime::from_millis(0),
            "operation": {
                "id": id, "actor": { "type": "operator" }, "arguments": { "kind": "suspend" }, "done": 0,
                "fence": 1, "owner": "gone", "started_at": record.get_datetime("created_at").unwrap(),
            },
        });
        copies.push(record.clone());
    }
    let organizations = database.collection("organizations");
    run(async move { organizations.insert_many(copies).await.unwrap() });
}

fn leave_changes_in_files(control: &Path, model: &str, count: usize) {
    let mut control = Connection::open(control).unwrap();
    let transaction = control.transaction().unwrap();
    let record: String = transaction
        .query_row("SELECT record FROM organizations WHERE lower(hex(id)) = ?1", [model], |row| row.get(0))
        .unwrap();
    let mut record: Value = serde_json::from_str(&record).unwrap();
    for number in 0..count {
        let (id, name) = (format!("{number:024x}"), format!("copy-{number}"));
        record["id"] = json!(id);
        record["identifier"] = json!(name);
        record["reserved"] = json!([]);
        record["operation"] = json!({
            "id": id, "actor": { "type": "operator" }, "arguments": { "kind": "suspend" }, "done": 0,
            "fence": 1, "owner": "gone", "refused": null, "started_at": record["created_at"],
        });
        let insert = "INSERT INTO organizations (id, version, identifier, status, hidden, operation_id, lease_owner, \
            lease_until, record) VALUES (unhex(?1), ?2, ?3, 'active', 0, unhex(?1), 'gone', 0, ?4)";
        let version = record["version"].as_i64().unwrap();
        transaction.execute(insert, params![id, version, name, record.to_string()]).unwrap();
    }
    transaction.commit().unwrap();
    control.close().unwrap();
}
