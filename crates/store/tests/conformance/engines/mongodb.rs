//! A database of its own on a real server, in each placement.

use super::{Engine, Running};
use async_trait::async_trait;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Collection};
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::time::Duration;
use tenantry_domain::organization::{Organization, Placement};
use tenantry_domain::store::Store;
use tenantry_store::{MongoOptions, OpenStore, StoreOptions, open_mongodb};
use tenantry_test_mongod::{ReplicaSet, shared_uri};

pub fn engine() -> Box<dyn Engine> {
    Box::new(MongoDb { name: "mongodb", placement: Placement::Collection, uri: shared_uri })
}

pub fn placements() -> Vec<Box<dyn Engine>> {
    in_placements(shared_uri)
}

/// On a replica set, which has transactions.
pub fn replicated_placements() -> Vec<Box<dyn Engine>> {
    static SET: LazyLock<ReplicaSet> = LazyLock::new(ReplicaSet::start_single);
    in_placements(|| SET.uri())
}

fn in_placements(uri: fn() -> String) -> Vec<Box<dyn Engine>> {
    vec![
        Box::new(MongoDb { name: "mongodb, collection", placement: Placement::Collection, uri }),
        Box::new(MongoDb { name: "mongodb, database", placement: Placement::Database, uri }),
        Box::new(MongoDb { name: "mongodb, shared", placement: Placement::Shared, uri }),
    ]
}

struct MongoDb {
    name: &'static str,
    placement: Placement,
    /// Gives its server.
    uri: fn() -> String,
}

struct RunningMongoDb {
    opened: OpenStore,
    /// The test's own connection.
    client: Client,
    database: String,
}

#[async_trait]
impl Engine for MongoDb {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn start(&self) -> Box<dyn Running> {
        Box::new(RunningMongoDb::start((self.uri)(), self.placement).await)
    }
}

/// The collections of records. Containers have others.
const RECORDS: [&str; 11] = [
    "organizations",
    "accounts",
    "sessions",
    "api_keys",
    "invitations",
    "operations",
    "requests",
    "throttles",
    "installation",
    "shared_containers",
    "usage",
];
/// The documents of those that share: a caller may ask for an order that no index gives, but never goes through all.
const SHARED: &str = "shared_documents";
/// What the profiler writes down of one test, in bytes. Usually it is 1 MB, and then it forgets the oldest.
const PROFILE_BYTES: i64 = 64 << 20;
/// What the store calls itself to the server.
const STORE: &str = "tenantry";

impl RunningMongoDb {
    async fn start(uri: String, placement: Placement) -> Self {
        let client = Client::with_uri_str(&uri).await.unwrap();
        let database = format!("test_{:016x}", RandomState::new().hash_one(()));
        let options = MongoOptions {
            tenant_prefix: format!("{database}_"),
            placement,
            // A thousand calls at the same moment wait for one another.
            deadline: Duration::from_secs(30),
            ..MongoOptions::new(uri, &database)
        };
        let opened = open_mongodb(&options, &StoreOptions::default()).await.unwrap();
        let profile = doc! { "create": "system.profile", "capped": true, "size": PROFILE_BYTES };
        client.database(&database).run_command(profile).await.unwrap();
        client.database(&database).run_command(doc! { "profile": 2 }).await.unwrap();
        Self { opened, client, database }
    }

    fn collection(&self, name: &str) -> Collection<Document> {
        self.client.database(&self.database).collection(name)
    }

    /// Ends the store and removes all that it has made.
    async fn remove(self) {
        self.opened.close().await;
        self.client.database(&self.database).run_command(doc! { "profile": 0 }).await.unwrap();
        let names = doc! { "name": { "$regex": format!("^{}", self.database) } };
        for name in self.client.list_database_names().filter(names).await.unwrap() {
            self.client.database(&name).drop().await.unwrap();
        }
    }

    /// A query for records that scanned a collection or sorted in memory, which would be far too slow on a
    /// large installation. The server's profiler has recorded how it executed everything that the test did.
    async fn slow_search(&self) -> Option<Document> {
        let records = RECORDS.map(|name| format!("{}.{name}", self.database));
        let scan = doc! { "planSummary": { "$regex": "COLLSCAN" } };
        let slow = doc! { "ns": { "$in": &records[..] }, "$or": [&scan, { "hasSortStage": true }] };
        let slow_on_shares = doc! { "ns": format!("{}.{SHARED}", self.database), "$or": [scan] };
        let of_the_store = doc! { "appName": STORE, "op": { "$ne": "insert" } };
        let profile = self.collection("system.profile");
        let found = doc! { "$and": [of_the_store, { "$or": [slow, slow_on_shares] }] };
        profile.find_one(found).await.unwrap()
    }
}

#[async_trait]
impl Running for RunningMongoDb {
    fn store(&self) -> &Store {
        &self.opened.store
    }

    fn is_one_process(&self) -> bool {
        false
    }

    /// The server's clock goes on as it will; so the leases end earlier.
    async fn let_pass(&self, span: Duration) {
        let span = i64::try_from(span.as_millis()).unwrap();
        let earlier = doc! { "$set": { "lease_until": { "$subtract": ["$lease_until", span] } } };
        let leased = doc! { "lease_until": { "$exists": true } };
        self.collection("organizations").update_many(leased, vec![earlier]).await.unwrap();
    }

    async fn add_documents(&self, organization: &Organization, documents: u32) {
        let id = ObjectId::from_bytes(*organization.id.as_bytes());
        let collection = match organization.placement {
            Placement::Collection => self.collection(&organization.naming.namespace),
            Placement::Database => {
                let database = self.client.database(&format!("{}_{}", self.database, organization.id));
                database.collection(["notes", "letters"][documents as usize % 2])
            }
            Placement::Shared => self.collection("shared_documents"),
        };
        if documents > 0 {
            let document = |number| doc! { "org_id": id, "number": number };
            collection.insert_many((0..documents).map(document)).await.unwrap();
        }
    }

    async fn stop(self: Box<Self>) {
        assert_eq!(self.slow_search().await, None);
        self.remove().await;
    }
}

#[tokio::test]
async fn scan_check_detects_scan_and_sort() {
    for (filter, order) in
        [(doc! { "nothing": 1 }, doc! {}), (doc! { "hidden": true }, doc! { "version": 1 })]
    {
        let running = RunningMongoDb::start(shared_uri(), Placement::Shared).await;
        let mut options = ClientOptions::parse(shared_uri()).await.unwrap();
        options.app_name = Some(STORE.to_owned());
        let as_the_store = Client::with_options(options).unwrap().database(&running.database);
        let search = doc! { "find": "organizations", "filter": filter, "sort": order };
        as_the_store.run_command(search.clone()).await.unwrap();
        let noticed = running.slow_search().await.unwrap();
        assert_eq!(noticed.get_document("command").unwrap().get("filter"), search.get("filter"));
        running.remove().await;
    }
}
