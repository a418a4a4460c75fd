//! Databases in the four layouts that `tenantry adopt` knows.

use crate::support::mongodb::{Database, run};
use mongodb::bson::{Binary, Bson, DateTime, Document, doc, oid::ObjectId, spec::BinarySubtype};
use std::collections::BTreeMap;

/// Hashes of the tests' password, as bcrypt 4.0, passlib 1.7 and argon2-cffi 25.1 made them.
pub const BCRYPT: [&str; 2] = [
    "$2b$04$DyRuQqfSZWDAXv1Wce7yqe2BDNdNX2h8xMssTOyvbUiMwfaCrip0q",
    "$2a$04$NzMzku6uhn4IUVD0ik3J.um2xyERhDXmwR31YhGT10XSCuiCAJzXS",
];

/// Which of the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classic {
    /// `organizations` with `admin_users`, collections `org_<slug>`, bcrypt.
    A,
    /// The same with a database for each organization, and hashes as bytes.
    B,
    /// `organizations` with `admins`, Argon2, soft-deleted ones; accounts name their organization by its name.
    C,
    /// `org_registry` with `admin_accounts`, collections `tenant_<slug>` that begin with a document of their own.
    D,
}

/// A database of another program. Its further databases go with it.
pub struct Source {
    pub database: Database,
    pub classic: Classic,
    pub organizations: Vec<ObjectId>,
    pub accounts: Vec<ObjectId>,
}

/// The address of the account of that organization.
pub fn address(number: usize) -> String {
    format!("Admin{number}@classic.example")
}

impl Source {
    /// Three organizations: `Acme Corp` with 700 documents and two indexes, `Tech Innovations Corp` with 3, and `Gone`,
    /// which service C has deleted, with none.
    pub fn seeded(classic: Classic) -> Self {
        Self::seeded_in(Database::new(), classic)
    }

    /// The same in that database.
    pub fn seeded_in(database: Database, classic: Classic) -> Self {
        let mut source = Self { database, classic, organizations: Vec::new(), accounts: Vec::new() };
        for (number, (name, slug)) in
            [("Acme Corp", "acme_corp"), ("Tech Innovations Corp", "tech_innovations_corp"), ("Gone", "gone")]
                .into_iter()
                .enumerate()
        {
            source.add(number, name, slug);
        }
        source.fill(0, (0..700).map(|number| doc! { "number": number, "text": "x".repeat(20) }).collect());
        source.fill(
            1,
            vec![
                doc! { "_id": "a", "price": Bson::Decimal128("1.50".parse().unwrap()) },
                doc! { "_id": 7_i64, "when": DateTime::from_millis(1) },
                doc! { "nested": { "list": [1, 2.5, Bson::Null] } },
            ],
        );
        let (db, name) = source.place(0);
        let acme = source.database.beside(&db, &name);
        run(async move {
            let indexes = doc! {
                "createIndexes": acme.name(),
                "indexes": [
                    { "key": { "number": 1 }, "name": "number_1", "unique": true },
                    { "key": { "text": "hashed" }, "name": "text_hashed" },
                ],
            };
            acme.client().database(&acme.namespace().db).run_command(indexes).await.unwrap();
        });
        source
    }

    /// The collections of the organizations and of the accounts.
    pub fn records(&self) -> (&'static str, &'static str) {
        match self.classic {
            Classic::A | Classic::B => ("organizations", "admin_users"),
            Classic::C => ("organizations", "admins"),
            Classic::D => ("org_registry", "admin_accounts"),
        }
    }

    /// Adds an organization with its account.
    pub fn add(&mut self, number: usize, name: &str, slug: &str) {
        let (organization, account) = (ObjectId::new(), ObjectId::new());
        self.organizations.push(organization);
        self.accounts.push(account);
        let (prefix, database) = (self.prefix(), self.database.name().to_owned());
        let at = DateTime::from_millis(1_700_000_000_000);
        let hash = BCRYPT[number % 2];
        let email = address(number);
        let (record, person) = match self.classic {
            Classic::A => (
                doc! {
                    "_id": organization, "organization_name": name, "collection_name": format!("{prefix}{slug}"),
                    "admin_id": account.to_hex(), "created_at": at,
                },
                doc! { "_id": account, "email": email, "hashed_password": hash, "organization_id": organization.to_hex() },
            ),
            Classic::B => (
                doc! { "_id": organization, "name": name, "db_name": format!("{database}_{slug}"), "admin_id": account },
                doc! {
                    "_id": account, "email": email,
                    "password": Binary { subtype: BinarySubtype::Generic, bytes: hash.as_bytes().to_vec() },
                },
            ),
            Classic::C => {
                let mut record = doc! {
                    "_id": organization, "name": name, "collection_name": format!("{prefix}{slug}"),
                    "created_at": "2023-11-14T22:13:20", "is_deleted": name == "Gone",
                };
                if name == "Gone" {
                    record.insert("deleted_at", at);
                }
                let person =
                    doc! { "_id": account, "email": email, "password_hash": ARGON2, "organization": name };
                (record, person)
            }
            Classic::D => (
                doc! {
                    "_id": organization, "name": name, "identifier": slug.replace('_', "-"),
                    "tenant_collection": format!("{prefix}{slug}"), "admin_id": account, "created_at": at, "modified_at": at,
                },
                doc! {
                    "_id": account, "email": email, "password_hash": hash, "organization_id": organization,
                    "created_at": at,
                },
            ),
        };
        let (registry, accounts) = self.records();
        self.insert(registry, vec![record]);
        self.insert(accounts, vec![person]);
        if self.classic == Classic::D {
            let marker = doc! { "metadata": { "created_at": at, "schema_version": "1.0" } };
            self.insert(&format!("{prefix}{slug}"), vec![marker]);
        }
    }

    const fn prefix(&self) -> &'static str {
        if matches!(self.classic, Classic::D) { "tenant_" } else { "org_" }
    }

    /// Database and collection of the documents of an organization.
    pub fn place(&self, number: usize) -> (String, String) {
        let slug = ["acme_corp", "tech_innovations_corp", "gone"][number];
        let database = self.database.name();
        match self.classic {
            Classic::B => (format!("{database}_{slug}"), "documents".to_owned()),
            _ => (database.to_owned(), format!("{}{slug}", self.prefix())),
        }
    }

    fn fill(&self, number: usize, documents: Vec<Document>) {
        let (database, name) = self.place(number);
        let collection = self.database.beside(&database, &name);
        run(async move { collection.insert_many(documents).await.unwrap() });
    }

    /// Adds records.
    pub fn insert(&self, collection: &str, documents: Vec<Document>) {
        let collection = self.database.collection(collection);
        run(async move { collection.insert_many(documents).await.unwrap() });
    }

    /// Changes the record of that id.
    pub fn set(&self, collection: &str, id: ObjectId, set: Document) {
        let collection = self.database.collection(collection);
        run(async move { collection.update_one(doc! { "_id": id }, doc! { "$set": set }).await.unwrap() });
    }

    /// The documents of an organization, without that with which service D begins.
    pub fn documents(&self, number: usize) -> Vec<Document> {
        let (database, name) = self.place(number);
        let mut found = self.database.other_database(&database).unwrap();
        let mut documents = found.remove(&name).unwrap_or_default();
        documents.retain(|document| !document.contains_key("metadata"));
        documents
    }

    /// Every collection with its UUID and its documents: what must be the same afterwards.
    pub fn everything(&self) -> BTreeMap<String, (Bson, Vec<Document>)> {
        let identities = self.database.identities().into_iter();
        identities.map(|(name, id)| (name.clone(), (id, self.database.find(&name, doc! {})))).collect()
    }
}

/// A hash of the tests' password.
pub const ARGON2: &str =
    "$argon2i$v=19$m=512,t=2,p=1$GO/UtSzM8/PAbNfV6RLmcQ$fpBTkvBeHRrkcpavw8XaSIMJ702lUmTBRb2ZXwU0ECI";

impl Drop for Source {
    fn drop(&mut self) {
        if self.classic != Classic::B {
            return;
        }
        let client = self.database.handle().client().clone();
        let names: Vec<String> = (0..3).map(|number| self.place(number).0).collect();
        run(async move {
            for name in names {
                let _ = client.database(&name).drop().await;
            }
        });
    }
}
