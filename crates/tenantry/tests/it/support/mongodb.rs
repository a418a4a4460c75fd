//! The tests' own way into MongoDB, for tests that are not asynchronous and those that are.

use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::{Client, Collection};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::mpsc::channel;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// The collections of the service's own records.
pub const RECORDS: [&str; 16] = [
    "organizations",
    "accounts",
    "sessions",
    "api_keys",
    "identities",
    "invitations",
    "mails",
    "expiries",
    "collection_schemas",
    "operations",
    "audit_outbox",
    "audit_entries",
    "requests",
    "throttles",
    "installation",
    "usage",
];

/// A runtime apart from those of the tests, which end with them.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());
static CLIENT: LazyLock<Client> = LazyLock::new(|| connect(&uri()));

/// The server that all tests share.
pub fn uri() -> String {
    tenantry_test_mongod::shared_uri()
}

fn connect(uri: &str) -> Client {
    let uri = uri.to_owned();
    run(async move { Client::with_uri_str(uri).await.unwrap() })
}

/// Carries out `work` and waits for it, also where nothing may be awaited.
pub fn run<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let (sender, receiver) = channel();
    RUNTIME.spawn(async move {
        let _ = sender.send(work.await);
    });
    receiver.recv().expect("the work has panicked")
}

/// Carries out `work` beside the test.
pub fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    RUNTIME.spawn(work)
}

/// A database of its own, gone with this value (or, if the test has a server of its own, with that).
pub struct Database {
    client: Client,
    uri: String,
    name: String,
    /// Whether its server outlives the test.
    is_shared: bool,
}

impl Database {
    /// One that is not there yet, on the server that all tests share.
    pub fn new() -> Self {
        Self { client: CLIENT.clone(), uri: uri(), name: new_name(), is_shared: true }
    }

    /// One that is not there yet, on a server of the test's own. What the test writes there survives a kill of
    /// the server, too.
    pub fn at(uri: &str) -> Self {
        Self::named(uri, &new_name())
    }

    /// The one of that name on a server of the test's own.
    pub fn named(uri: &str, name: &str) -> Self {
        let begin = if uri.contains('?') { "&" } else { "/?" };
        let client = connect(&format!("{uri}{begin}w=majority&journal=true"));
        Self { client, uri: uri.to_owned(), name: name.to_owned(), is_shared: false }
    }

    /// The same one, which goes with the other value.
    pub fn of(other: &Self) -> Self {
        let (client, uri, name) = (other.client.clone(), other.uri.clone(), other.name.clone());
        Self { client, uri, name, is_shared: false }
    }

    /// Another one with the same in it, on the same server.
    ///
    /// Its containers have UUIDs of their own, and the records in it name those. That is sound: a UUID is
    /// compared with others and nothing is made from it, so the service finds the same world. What cannot
    /// be had twice is a container that is a database, which is called by its organization's id alone.
    pub fn copy(&self) -> Self {
        let (client, uri) = (self.client.clone(), self.uri.clone());
        let copy = Self { client, uri, name: new_name(), is_shared: self.is_shared };
        let (from, to) = (self.client.database(&self.name), self.client.database(&copy.name));
        run(async move {
            let mut before = BTreeMap::new();
            let mut collections = from.list_collections().await.unwrap();
            while collections.advance().await.unwrap() {
                let collection = collections.deserialize_current().unwrap();
                copy_collection(&from.collection(&collection.name), &to.collection(&collection.name)).await;
                before.insert(collection.name, collection.info.uuid.unwrap());
            }
            let organizations: Collection<Document> = to.collection("organizations");
            let mut collections = to.list_collections().await.unwrap();
            while collections.advance().await.unwrap() {
                let collection = collections.deserialize_current().unwrap();
                let former = doc! { "container": before[&collection.name].clone() };
                let now = doc! { "$set": { "container": collection.info.uuid.unwrap() } };
                organizations.update_many(former, now).await.unwrap();
            }
        });
        copy
    }

    /// Waits until its server answers again.
    pub fn wait_until_there(&self) {
        let database = self.client.database(&self.name);
        run(async move {
            for _ in 0..200 {
                if database.run_command(doc! { "ping": 1 }).await.is_ok() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            panic!("the server does not come back");
        });
    }

    /// The connection string of its server.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A collection of it.
    pub fn collection(&self, name: &str) -> Collection<Document> {
        self.beside(&self.name, name)
    }

    /// A collection of another one on the same server.
    pub fn beside(&self, database: &str, name: &str) -> Collection<Document> {
        self.client.database(database).collection(name)
    }

    /// Its collections.
    pub fn collections(&self) -> Vec<String> {
        self.identities().into_keys().collect()
    }

    /// Its collections, each with its UUID.
    pub fn identities(&self) -> BTreeMap<String, Bson> {
        let database = self.client.database(&self.name);
        run(async move {
            let mut identities = BTreeMap::new();
            let mut collections = database.list_collections().await.unwrap();
            while collections.advance().await.unwrap() {
                let collection = collections.deserialize_current().unwrap();
                identities.insert(collection.name, Bson::from(collection.info.uuid.unwrap()));
            }
            identities
        })
    }

    /// The database itself.
    pub fn handle(&self) -> mongodb::Database {
        self.client.database(&self.name)
    }

    /// Carries out a command on it; the code of the server's refusal, if it refuses.
    pub fn command(&self, command: Document) -> Result<Document, i32> {
        let database = self.client.database(&self.name);
        run(async move { database.run_command(command).await.map_err(|error| code(&error)) })
    }

    /// All documents of a collection that `filter` finds, in the order of their ids.
    pub fn find(&self, collection: &str, filter: Document) -> Vec<Document> {
        self.try_find(collection, filter).unwrap()
    }

    /// Like [`Self::find`], for a collection that may be removed meanwhile.
    pub fn try_find(&self, collection: &str, filter: Document) -> Result<Vec<Document>, Error> {
        let collection = self.collection(collection);
        run(async move { find(&collection, filter, doc! { "_id": 1 }).await })
    }

    /// All documents of a collection, as they came in where the server has always been the primary.
    pub fn in_order(&self, collection: &str) -> Vec<Document> {
        let collection = self.collection(collection);
        run(async move { find(&collection, doc! {}, doc! { "$natural": 1 }).await.unwrap() })
    }

    /// The documents of each collection of another database on the same server, if that is there. It may be removed
    /// meanwhile.
    pub fn other_database(&self, name: &str) -> Result<BTreeMap<String, Vec<Document>>, Error> {
        let database = self.client.database(name);
        run(async move {
            let mut found = BTreeMap::new();
            for name in database.list_collection_names().await? {
                let documents = find(&database.collection(&name), doc! {}, doc! { "_id": 1 }).await?;
                found.insert(name, documents);
            }
            Ok(found)
        })
    }
}

fn new_name() -> String {
    format!("test_{:016x}", RandomState::new().hash_one(()))
}

async fn find(
    collection: &Collection<Document>,
    filter: Document,
    order: Document,
) -> Result<Vec<Document>, Error> {
    let mut cursor = collection.find(filter).sort(order).await?;
    let mut found = Vec::new();
    while cursor.advance().await? {
        found.push(cursor.deserialize_current()?);
    }
    Ok(found)
}

/// Makes a collection with the indexes and the documents of another.
async fn copy_collection(from: &Collection<Document>, to: &Collection<Document>) {
    let database = to.client().database(&to.namespace().db);
    database.create_collection(to.name()).await.unwrap();
    let mut indexes = Vec::new();
    let mut listed = from.list_indexes().await.unwrap();
    while listed.advance().await.unwrap() {
        indexes.push(listed.deserialize_current().unwrap());
    }
    indexes.retain(|index| index.keys != doc! { "_id": 1 });
    if !indexes.is_empty() {
        to.create_indexes(indexes).await.unwrap();
    }
    let documents = find(from, doc! {}, doc! { "$natural": 1 }).await.unwrap();
    if !documents.is_empty() {
        to.insert_many(documents).await.unwrap();
    }
}

/// The code of the server's refusal.
fn code(error: &Error) -> i32 {
    match &*error.kind {
        ErrorKind::Command(refusal) => refusal.code,
        _ => panic!("the server did not answer: {error}"),
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !self.is_shared {
            return;
        }
        let database = self.client.database(&self.name);
        run(async move {
            // If the server is gone, so are the databases.
            let organizations = database.collection::<Document>("organizations");
            if let Ok(mut cursor) = organizations.find(doc! { "placement": "database" }).await {
                while cursor.advance().await.unwrap_or(false) {
                    let id = cursor.deserialize_current().unwrap().get_object_id("_id").unwrap();
                    let _ = database.client().database(&format!("tenant_{id}")).drop().await;
                }
            }
            let _ = database.drop().await;
        });
    }
}
