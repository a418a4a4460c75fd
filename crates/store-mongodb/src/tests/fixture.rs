//! A database for one test, and what is put into it.

use super::samples;
use super::{MongoDb, MongoOptions};
use mongodb::bson::{Document, doc, rawdoc};
use mongodb::{Client, Collection, Database};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::Result;
use tenantry_domain::name::OrganizationName;
use tenantry_domain::organization::{Naming, Organization, Placement};
use tenantry_domain::store::{InsertOutcome, NewContainer, Store};

pub const LONG: Duration = Duration::from_secs(60);

pub fn name(text: &str) -> CollectionName {
    CollectionName::parse(text).unwrap()
}

pub fn document(id: i32) -> StoredDocument {
    StoredDocument { body: rawdoc! { "_id": id, "n": id }, revision: Revision(7) }
}

pub fn id(number: i32) -> DocumentId {
    DocumentId::new(&number.into()).unwrap()
}

/// A database for one test.
pub struct Fixture {
    pub options: MongoOptions,
    /// The test's own connection.
    pub client: Client,
}

impl Fixture {
    pub async fn new() -> Self {
        Self::at(tenantry_test_mongod::shared_uri()).await
    }

    /// One on another server than the usual.
    pub async fn at(uri: String) -> Self {
        let name = format!("test_{:016x}", RandomState::new().hash_one(()));
        let client = Client::with_uri_str(&uri).await.unwrap();
        let options = MongoOptions { tenant_prefix: format!("{name}_"), ..MongoOptions::new(uri, name) };
        Self { options, client }
    }

    /// Another instance of the engine.
    pub async fn open(&self) -> Arc<MongoDb> {
        MongoDb::open(&self.options).await.unwrap()
    }

    pub async fn open_store(&self) -> Store {
        self.open().await.store()
    }

    pub fn database(&self) -> Database {
        self.client.database(&self.options.database)
    }

    pub fn collection(&self, name: &str) -> Collection<Document> {
        self.database().collection(name)
    }

    /// Removes the database and those of its organizations.
    pub async fn remove(self) {
        let names = doc! { "name": { "$regex": format!("^{}", self.options.database) } };
        for name in self.client.list_database_names().filter(names).await.unwrap() {
            self.client.database(&name).drop().await.unwrap();
        }
    }
}

impl Fixture {
    /// An organization with its record and an empty container.
    pub async fn home(&self, store: &Store, number: u8, called: &str, placement: Placement) -> Organization {
        let naming = Naming::new(OrganizationName::parse(called).unwrap(), &self.options.tenant_prefix);
        let organization =
            Organization { reserved: naming.reserved(), naming, placement, ..samples::organization(number) };
        let container = NewContainer {
            organization_id: organization.id,
            fence: 1,
            namespace: organization.naming.namespace.clone(),
            placement,
            created_at: samples::NOW,
        };
        let container = store.containers.create_container(&container).await.unwrap();
        let organization = Organization { container, ..organization };
        let inserted = store.organizations.insert_organization(&organization).await.unwrap();
        assert_eq!(inserted, InsertOutcome::New);
        organization
    }
}

pub async fn put(
    store: &Store,
    organization: &Organization,
    collection: &str,
    ids: &[i32],
) -> Vec<Result<()>> {
    let documents = ids.iter().copied().map(document).collect();
    store.documents.insert_documents(organization, &name(collection), documents).await.unwrap()
}

pub async fn add(store: &Store, organization: &Organization, collection: &str) {
    let made = store.collections.insert_collection(organization, &name(collection)).await.unwrap();
    assert_eq!(made, InsertOutcome::New);
}
