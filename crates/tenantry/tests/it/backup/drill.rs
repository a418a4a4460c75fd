//! The drill: backups while writers are at work, organizations come and go, and the backup itself is killed.

use super::{Backups, failed_checks, start};
use crate::support::checker::{Snapshot, running_operations};
use crate::support::client::Client;
use crate::support::fixtures::{PASSWORD, credentials, email_for, new_organization};
use crate::support::process::Server;
use crate::support::test_env::TestEnv;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

const WRITERS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(30);

/// An organization with somebody who writes documents 1, 2, 3 .. to it.
struct Written {
    id: String,
    name: String,
    /// The last number that was sent.
    sent: Arc<AtomicU64>,
    /// The last number that was acknowledged.
    acknowledged: Arc<AtomicU64>,
}

async fn sign_in(server: &Server, name: &str) -> Client {
    let tokens = server.client().post("/admin/login", &credentials(&email_for(name), PASSWORD)).await.ok();
    server.client().with_token(tokens["access_token"].as_str().unwrap())
}

async fn create(client: &Client, name: &str) -> String {
    let made = client.post("/org/create", &new_organization(name, &email_for(name))).await.created();
    made["id"].as_str().unwrap().to_owned()
}

/// Writes until it is told to stop.
fn write(owner: Client, written: &Written, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let path = format!("/v1/organizations/{}/collections/documents/documents", written.id);
    let (sent, acknowledged, stop) = (written.sent.clone(), written.acknowledged.clone(), stop.clone());
    tokio::spawn(async move {
        for number in 1.. {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            sent.store(number, Ordering::SeqCst);
            owner.post(&path, &json!({ "_id": number })).await.created();
            acknowledged.store(number, Ordering::SeqCst);
        }
    })
}

/// Creates, renames and purges organizations until it is told to stop; returns those that were purged.
fn churn(
    client: Client,
    operator: Client,
    renamed: Client,
    stop: &Arc<AtomicBool>,
) -> JoinHandle<Vec<String>> {
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut purged = Vec::new();
        for number in 0.. {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            let id = create(&client, &format!("Churn {number}")).await;
            let body = json!({ "organization_name": format!("Renamed {number}") });
            renamed.put("/org/update", &body).await.ok();
            operator.delete(&format!("/v1/organizations/{id}?purge=true")).await.ok();
            purged.push(id);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        purged
    })
}

/// The numbers of the documents that an organization has.
async fn numbers(owner: &Client, path: &str) -> BTreeSet<u64> {
    let (mut numbers, mut query) = (BTreeSet::new(), "?limit=100".to_owned());
    loop {
        let page = owner.get(&format!("{path}{query}")).await.ok();
        numbers.extend(page["items"].as_array().unwrap().iter().map(|item| item["_id"].as_u64().unwrap()));
        let Some(cursor) = page["next_cursor"].as_str() else { return numbers };
        query = format!("?limit=100&cursor={cursor}");
    }
}

/// On MongoDB the records are not of one moment: what came and went meanwhile may have left something of itself.
fn assert_sound(target: &TestEnv, ids: &[&str]) -> Snapshot {
    if target.database().is_none() {
        return Snapshot::sound(target);
    }
    let snapshot = Snapshot::read(target);
    let problems = snapshot.problems();
    let theirs: Vec<_> =
        problems.iter().filter(|problem| ids.iter().any(|id| problem.contains(id))).collect();
    assert!(theirs.is_empty(), "{theirs:?}");
    snapshot
}

/// A service that was restored has finished what was under way in its records.
async fn settle(target: &TestEnv) {
    let deadline = Instant::now() + PATIENCE;
    while running_operations(target) > 0 {
        assert!(Instant::now() < deadline, "operations do not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What was acknowledged before the backup is in it, nothing that was sent after it, and what was restored is sound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_under_writers_has_what_was_acknowledged() {
    let (backups, test_env) = (Backups::new(), TestEnv::new());
    let server = start(&test_env);
    let (stop, mut tasks, mut all) = (Arc::new(AtomicBool::new(false)), Vec::new(), Vec::new());
    for number in 0..WRITERS {
        let name = format!("Writer {number}");
        let id = create(&server.client(), &name).await;
        let written = Written { id, name, sent: Arc::default(), acknowledged: Arc::default() };
        tasks.push(write(sign_in(&server, &written.name).await, &written, &stop));
        all.push(written);
    }
    let kept = create(&server.client(), "Kept").await;
    create(&server.client(), "Renamed").await;
    let gone = create(&server.client(), "Gone").await;
    server.operator().delete(&format!("/v1/organizations/{gone}?purge=true")).await.ok();
    let churning = churn(server.client(), server.operator(), sign_in(&server, "Renamed").await, &stop);
    tokio::time::sleep(Duration::from_millis(200)).await;

    // Killed in the middle, wherever that is; the next one goes on with it.
    for milliseconds in [40, 90] {
        let mut child = backups.spawn(&test_env, &["backup", "DIR", "--unencrypted"]);
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let acknowledged: Vec<u64> = all.iter().map(|w| w.acknowledged.load(Ordering::SeqCst)).collect();
    backups.back_up(&test_env).await;
    assert_eq!(backups.temporary(), Vec::<String>::new(), "a killed backup has left something");
    let sent: Vec<u64> = all.iter().map(|w| w.sent.load(Ordering::SeqCst)).collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    assert!(!churning.await.unwrap().is_empty());
    server.stop().await;
    assert!(backups.verify().is_success);

    let target = backups.restore().await;
    assert_eq!(failed_checks(&backups, &target).await, Vec::<String>::new());
    let restored = start(&target);
    settle(&target).await;
    let ids: Vec<&str> = all.iter().map(|written| &*written.id).chain([&*kept]).collect();
    let snapshot = assert_sound(&target, &ids);
    for ((written, acknowledged), sent) in all.iter().zip(acknowledged).zip(sent) {
        let owner = sign_in(&restored, &written.name).await;
        let path = format!("/v1/organizations/{}/collections/documents/documents", written.id);
        let found = numbers(&owner, &path).await;
        let last = found.last().copied().unwrap_or(0);
        assert_eq!(found, (1..=last).collect(), "{}: there is a gap", written.name);
        assert!((acknowledged..=sent).contains(&last), "{acknowledged} <= {last} <= {sent}");
        let made: Value = owner.post(&path, &json!({ "_id": "new" })).await.created();
        assert_eq!(made["_id"], "new");
    }
    assert!(snapshot.organization(&kept).is_some());
    assert!(snapshot.organization(&gone).is_none());
    restored.stop().await;
}
