//! A database of its own on a real server, in each placement.

use super::{Engine, Running};
use async_trait::async_trait;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use mongodb::{Client, Collection};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use tenantry_domain::organization::{Organization, Placement};
use tenantry_domain::store::Store;
use tenantry_store::{MongoOptions, Opened, open_mongodb};

pub fn engine() -> Box<dyn Engine> {
    Box::new(MongoDb { name: "mongodb", placement: Placement::Collection })
}

pub fn placements() -> Vec<Box<dyn Engine>> {
    vec![
        Box::new(MongoDb { name: "mongodb, collection", placement: Placement::Collection }),
        Box::new(MongoDb { name: "mongodb, database", placement: Placement::Database }),
        Box::new(MongoDb { name: "mongodb, shared", placement: Placement::Shared }),
    ]
}

struct MongoDb {
    name: &'static str,
    placement: Placement,
}

struct RunningMongoDb {
    opened: Opened,
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
        let uri = tenantry_mongod::shared_uri();
        let client = Client::with_uri_str(&uri).await.unwrap();
        let database = format!("test_{:016x}", RandomState::new().hash_one(self.name));
        let options = MongoOptions {
            tenant_prefix: format!("{database}_"),
            placement: self.placement,
            // A thousand calls at the same moment wait for one another.
            deadline: Duration::from_secs(30),
            ..MongoOptions::new(uri, &database)
        };
        let opened = open_mongodb(&options).await.unwrap();
        Box::new(RunningMongoDb { opened, client, database })
    }
}

impl RunningMongoDb {
    fn collection(&self, name: &str) -> Collection<Document> {
        self.client.database(&self.database).collection(name)
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
        self.opened.close().await;
        let names = doc! { "name": { "$regex": format!("^{}", self.database) } };
        for name in self.client.list_database_names().filter(names).await.unwrap() {
            self.client.database(&name).drop().await.unwrap();
        }
    }
}
