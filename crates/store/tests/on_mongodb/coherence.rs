//! Records kept in memory beside other instances that write: how soon a change is seen, and how seldom what nobody
//! changes is read. On a standalone server, and on a replica set while that is done harm to.

use super::{Fixture, samples};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tenantry_domain::ErrorCode;
use tenantry_domain::account::Account;
use tenantry_domain::api_key::ApiKey;
use tenantry_domain::ids::{ApiKeyId, OrganizationId};
use tenantry_domain::limits::RECENT_READ_MAX_AGE;
use tenantry_domain::organization::Organization;
use tenantry_domain::permission::PermissionSet;
use tenantry_domain::store::{BoundedInsert, InsertOutcome, Store, UpdateOutcome};
use tenantry_store::StoreOptions;
use tenantry_test_mongod::ReplicaSet;

/// How long a busy machine may take for what has no deadline.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long the calls of these tests may take.
const DEADLINE: Duration = Duration::from_secs(2);
/// After how long a call counts as held: without its deadline it would wait for 30 s for a server.
const HELD: Duration = Duration::from_secs(15);
/// Longer than a record is good that no stream vouches for.
const LONG: Duration = Duration::from_millis(1_200);

impl Fixture {
    async fn open_cached(&self) -> Store {
        let options = StoreOptions { cache_bytes: 1 << 20, ..StoreOptions::default() };
        tenantry_store::open_mongodb(&self.options, &options).await.unwrap().store
    }

    /// Has the server write down what is asked of it.
    async fn count_from_now(&self) {
        self.database().run_command(doc! { "profile": 2 }).await.unwrap();
    }

    /// How often the record of that id was read since then.
    async fn reads(&self, id: OrganizationId) -> u64 {
        let of = doc! { "op": "query", "command.filter._id": ObjectId::from_bytes(*id.as_bytes()) };
        self.collection("system.profile").count_documents(of).await.unwrap()
    }
}

async fn insert(store: &Store, number: u8) -> Organization {
    let organization = samples::organization(number);
    assert_eq!(store.organizations.insert_organization(&organization).await.unwrap(), InsertOutcome::New);
    organization
}

async fn update(store: &Store, organization: &Organization) -> Organization {
    let next = organization.successor(samples::NOW);
    assert_eq!(store.organizations.update_organization(&next).await.unwrap(), UpdateOutcome::Done);
    next
}

/// A second key of the same owner.
fn other_api_key() -> ApiKey {
    ApiKey { id: ApiKeyId::from_bytes([9; 12]), ..samples::api_key() }
}

async fn recent_version(store: &Store, id: OrganizationId) -> u64 {
    store.organizations.get_recent_organization(id).await.unwrap().unwrap().version
}

/// Asks again and again until it is so; how long it took.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) -> Duration {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "{what}: never");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

/// Changes a record that the reader has just read; it as it is then.
async fn is_seen_in_time(writer: &Store, reader: &Store, organization: &Organization) -> Organization {
    assert_eq!(recent_version(reader, organization.id).await, organization.version);
    let changed = update(writer, organization).await;
    // A stream that begins now begins with the last write: that must not be the one.
    writer.installation.put_value("another", b"write").await.unwrap();
    let took =
        until("the change is seen", async || recent_version(reader, changed.id).await == changed.version)
            .await;
    assert!(took < RECENT_READ_MAX_AGE, "seen after {took:?}");
    changed
}

#[tokio::test]
async fn change_on_standalone_server_is_seen_within_a_second() {
    let fixture = Fixture::new().await;
    let (writer, reader) = (fixture.open_cached().await, fixture.open_cached().await);
    let organization = insert(&writer, 1).await;
    let account = samples::account();
    assert_eq!(writer.accounts.insert_account(&account).await.unwrap(), InsertOutcome::New);
    let session = samples::session();
    writer.sessions.insert_session(&session, None).await.unwrap();
    let keys = [samples::api_key(), other_api_key()];
    for key in &keys {
        assert_eq!(writer.api_keys.insert_api_key(key, 10, None).await.unwrap(), BoundedInsert::New);
    }
    fixture.count_from_now().await;
    for _ in 0..100 {
        assert_eq!(recent_version(&reader, organization.id).await, 1);
        for key in &keys {
            assert!(reader.api_keys.get_recent_api_key(key.id).await.unwrap().is_some());
        }
        assert!(reader.accounts.get_recent_account(account.id).await.unwrap().is_some());
        assert!(reader.sessions.get_recent_session(session.id).await.unwrap().is_some());
    }
    assert!(fixture.reads(organization.id).await < 50, "most come from memory");

    let renamed = Account { version: account.version + 1, credential_epoch: 9, ..account.clone() };
    assert_eq!(writer.accounts.update_account(&renamed, None).await.unwrap(), UpdateOutcome::Done);
    writer.sessions.delete_session(session.id, None).await.unwrap();
    assert!(writer.api_keys.delete_api_key(keys[0].id, None).await.unwrap());
    let limited = ApiKey { version: 2, permissions: PermissionSet::EMPTY, ..keys[1].clone() };
    assert_eq!(writer.api_keys.update_api_key(&limited, None).await.unwrap(), UpdateOutcome::Done);
    update(&writer, &organization).await;
    let took = until("the change is seen", async || {
        recent_version(&reader, organization.id).await == 2
            && *reader.accounts.get_recent_account(account.id).await.unwrap().unwrap() == renamed
            && reader.sessions.get_recent_session(session.id).await.unwrap().is_none()
            && reader.api_keys.get_recent_api_key(keys[0].id).await.unwrap().is_none()
            && *reader.api_keys.get_recent_api_key(keys[1].id).await.unwrap().unwrap() == limited
    });
    let took = took.await;
    assert!(took < RECENT_READ_MAX_AGE, "seen after {took:?}");
    fixture.remove().await;
}

#[tokio::test]
async fn uncached_read_sees_latest_change() {
    let fixture = Fixture::new().await;
    let (writer, reader) = (fixture.open_cached().await, fixture.open_cached().await);
    let mut organization = insert(&writer, 1).await;
    for _ in 0..20 {
        let identifier = &samples::organization(1).naming.identifier;
        recent_version(&reader, organization.id).await;
        reader.organizations.find_recent_organization(identifier).await.unwrap().unwrap();
        organization = update(&writer, &organization).await;
        let found = reader.organizations.find_organization(identifier).await.unwrap().unwrap();
        assert_eq!(found.version, organization.version);
        recent_version(&reader, organization.id).await;
        organization = update(&writer, &organization).await;
        let found = reader.organizations.get_organization(organization.id).await.unwrap().unwrap();
        assert_eq!(found.version, organization.version);
    }
    fixture.remove().await;
}

/// On a replica set an unchanged record is read once, and a change is seen at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn change_on_replica_set_is_seen_at_once() {
    let set = ReplicaSet::start();
    let fixture = Fixture::at(set.uri()).await;
    let (writer, reader) = (fixture.open_cached().await, fixture.open_cached().await);
    let mut organization = insert(&writer, 1).await;
    fixture.count_from_now().await;
    until("the stream of changes is followed", async || {
        let before = fixture.reads(organization.id).await;
        recent_version(&reader, organization.id).await;
        tokio::time::sleep(LONG).await;
        recent_version(&reader, organization.id).await;
        fixture.reads(organization.id).await <= before + 1
    })
    .await;

    for _ in 0..3 {
        let before = fixture.reads(organization.id).await;
        tokio::time::sleep(LONG).await;
        assert_eq!(recent_version(&reader, organization.id).await, organization.version);
        assert_eq!(fixture.reads(organization.id).await, before, "it is still in memory");
        organization = update(&writer, &organization).await;
        let took = until("the change is seen", async || {
            recent_version(&reader, organization.id).await == organization.version
        });
        let took = took.await;
        assert!(took < RECENT_READ_MAX_AGE / 2, "seen after {took:?}");
    }
    let key = samples::api_key();
    assert_eq!(writer.api_keys.insert_api_key(&key, 10, None).await.unwrap(), BoundedInsert::New);
    assert!(reader.api_keys.get_recent_api_key(key.id).await.unwrap().is_some());
    assert!(writer.api_keys.delete_api_key(key.id, None).await.unwrap());
    let took = until("the revoked key is gone", async || {
        reader.api_keys.get_recent_api_key(key.id).await.unwrap().is_none()
    });
    let took = took.await;
    assert!(took < RECENT_READ_MAX_AGE / 2, "seen after {took:?}");
    // Nobody tells of a change between two streams.
    for _ in 0..3 {
        admin(&fixture, doc! { "killAllSessions": [] }).await;
        organization = is_seen_in_time(&writer, &reader, &organization).await;
        tokio::time::sleep(LONG).await;
    }
    // A stream whose answers are late tells too late.
    let late = doc! { "failCommands": ["getMore"], "blockConnection": true, "blockTimeMS": 1_900 };
    admin(&fixture, doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": late }).await;
    for _ in 0..3 {
        organization = is_seen_in_time(&writer, &reader, &organization).await;
    }
    admin(&fixture, doc! { "configureFailPoint": "failCommand", "mode": "off" }).await;
    // The collection goes, and with it every record.
    fixture.collection("organizations").drop().await.unwrap();
    until("the drop is seen", async || {
        reader.organizations.get_recent_organization(organization.id).await.unwrap().is_none()
    })
    .await;
}

/// What one instance was acknowledged and another one reads, both all the time.
struct Watched {
    id: OrganizationId,
    /// Versions and when each was acknowledged.
    acknowledged: Mutex<Vec<(u64, Instant)>>,
    is_over: AtomicBool,
}

impl Watched {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst)
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    async fn more_is_written(&self) {
        let before = self.count();
        until("writes go through again", async || self.count() > before + 20).await;
    }

    async fn write(&self, store: &Store) {
        while self.goes_on() {
            if let Some(version) = self.write_once(store).await {
                let mut acknowledged = self.acknowledged.lock().unwrap();
                let last = acknowledged.last().map_or(0, |(version, _)| *version);
                assert!(version > last, "{version} was written after {last} was acknowledged");
                acknowledged.push((version, Instant::now()));
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }

    /// The version that was written, if that was acknowledged.
    async fn write_once(&self, store: &Store) -> Option<u64> {
        let current = answered(store.organizations.get_organization(self.id)).await?.unwrap();
        let next = current.successor(samples::NOW);
        let written = answered(store.organizations.update_organization(&next)).await?;
        (written == UpdateOutcome::Done).then_some(next.version)
    }

    async fn read(&self, store: &Store) {
        while self.goes_on() {
            let begun = Instant::now();
            let floor = {
                let acknowledged = self.acknowledged.lock().unwrap();
                let old = acknowledged.iter().rev().find(|(_, at)| *at + RECENT_READ_MAX_AGE <= begun);
                old.map_or(0, |(version, _)| *version)
            };
            if let Some(found) = answered(store.organizations.get_recent_organization(self.id)).await {
                let version = found.unwrap().version;
                assert!(
                    version >= floor,
                    "read {version}, and {floor} was acknowledged {RECENT_READ_MAX_AGE:?} before"
                );
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// What a call came to, unless the store was not available; in time in any case.
async fn answered<T>(call: impl Future<Output = tenantry_domain::Result<T>>) -> Option<T> {
    let start = Instant::now();
    let outcome = call.await;
    assert!(start.elapsed() < HELD, "answered after {:?}", start.elapsed());
    outcome.inspect_err(|error| assert_eq!(error.code(), ErrorCode::StoreUnavailable, "{error}")).ok()
}

/// The organization as it is now, from a store that may have to find its primary first.
async fn once_available(store: &Store, id: OrganizationId) -> Arc<Organization> {
    let start = Instant::now();
    loop {
        if let Some(found) = answered(store.organizations.get_organization(id)).await {
            return found.unwrap();
        }
        assert!(start.elapsed() < PATIENCE, "the store does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn admin(fixture: &Fixture, command: Document) {
    // One that steps down, or ends the session in which it is told to, may not answer.
    let _ = fixture.client.database("admin").run_command(command).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cache_loses_nothing_while_streams_break_and_primaries_change() {
    let mut set = ReplicaSet::start();
    let mut fixture = Fixture::at(set.uri()).await;
    fixture.options.deadline = DEADLINE;
    let (writer, reader) = (fixture.open_cached().await, fixture.open_cached().await);
    let id = insert(&writer, 1).await.id;
    let acknowledged = Mutex::new(Vec::new());
    let watched = Arc::new(Watched { id, acknowledged, is_over: AtomicBool::new(false) });
    let tasks = [
        tokio::spawn({
            let (watched, writer) = (watched.clone(), writer.clone());
            async move { watched.write(&writer).await }
        }),
        tokio::spawn({
            let (watched, reader) = (watched.clone(), reader.clone());
            async move { watched.read(&reader).await }
        }),
    ];

    for _ in 0..5 {
        watched.more_is_written().await;
        // Among all others, the sessions that the streams belong to.
        admin(&fixture, doc! { "killAllSessions": [] }).await;
    }
    watched.more_is_written().await;
    admin(&fixture, doc! { "replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 5 }).await;
    watched.more_is_written().await;
    let killed = set.primary();
    set.node(killed).kill();
    watched.more_is_written().await;
    set.node(killed).restart();
    let frozen = set.primary();
    set.node(frozen).pause();
    watched.more_is_written().await;
    set.node(frozen).resume();
    tokio::time::sleep(LONG).await;
    watched.more_is_written().await;

    watched.is_over.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    let (last, _) = *watched.acknowledged.lock().unwrap().last().unwrap();
    let found = once_available(&reader, id).await;
    assert!(found.version >= last, "version {last} was acknowledged, and {} is there", found.version);
}
