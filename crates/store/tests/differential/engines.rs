//! Whole engines against a MongoDB that is asked directly: the embedded one, and MongoDB in each placement.
//!
//! Every round makes a collection, perhaps indexes, and then writes and asks at random. What the judge refuses, the
//! engines refuse for the same reason; what it finds, they find, in its order, page by page.

use crate::chance::Chance;
use crate::generate;
use crate::judge::{Judge, full_scan, ids, json};
use jiff::Timestamp;
use mongodb::Collection;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::error::{Error as DriverError, ErrorKind, WriteFailure};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_documents::filter::Filter;
use tenantry_documents::fuel::Fuel;
use tenantry_documents::index::{Coverage, Index, IndexName, IndexOptions, PartialFilter};
use tenantry_documents::query::DocumentQuery;
use tenantry_documents::sort::Sort;
use tenantry_domain::clock::Clock;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::{ErrorCode, Result};
use tenantry_domain::ids::{AccountId, OrganizationId};
use tenantry_domain::name::OrganizationName;
use tenantry_domain::organization::{Naming, Organization, Placement, Quota, QuotaLimit, State};
use tenantry_domain::store::{InsertOutcome, NewContainer, Store, UpdateOutcome};
use tenantry_store::{EmbeddedOptions, MongoOptions, OpenStore, StoreOptions, open, open_mongodb};

const ROUNDS: usize = 12;
const DOCUMENTS: i32 = 40;
const STEPS: usize = 60;
/// Indexes at the same time: an organization that shares its collections with others has no more in all.
const INDEXES: usize = 8;
pub const LONG: Duration = Duration::from_secs(60);
/// What indexes and orders are made of.
pub const KEYS: [&str; 10] = ["a", "-a", "b", "a.b", "-b.a", "a,b", "a.b,-a.a", "b,-_id", "-a,b.a", "a.b.a"];

/// A clock that never moves: nothing here waits for a lease to end.
struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::constant(1_750_000_000, 0)
    }
}

/// An engine with an organization in it.
pub struct Subject {
    pub name: &'static str,
    pub opened: OpenStore,
    pub organization: Organization,
    /// Of the embedded engine.
    _directory: Option<TempDir>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engines_do_what_mongodb_does() {
    let mut chance = Chance::of_this_run();
    let judge = Judge::new().await;
    let database = format!("engines_{:016x}", RandomState::new().hash_one(0));
    let subjects = subjects(&database).await;
    for round in 0..ROUNDS {
        let name = CollectionName::parse(&format!("c{round}")).unwrap();
        let mut trial = Trial {
            judge: judge.fill("engines", &[doc! { "_id": -1 }]).await,
            subjects: &subjects,
            name,
            next_id: 0,
        };
        trial.begin().await;
        for _ in 0..STEPS {
            trial.step(&mut chance).await;
        }
        trial.check_usage().await;
        trial.end().await;
    }
    for subject in subjects {
        subject.opened.close().await;
    }
    judge.end_with(&database).await;
}

pub async fn subjects(database: &str) -> Vec<Subject> {
    let directory = TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap());
    let clock = Arc::new(Standing);
    let embedded =
        open(&EmbeddedOptions::new(directory.path(), clock), &StoreOptions::default()).await.unwrap();
    let mut subjects = vec![Subject {
        name: "embedded",
        organization: home(&embedded.store, Placement::Database).await,
        opened: embedded,
        _directory: Some(directory),
    }];
    for (name, placement) in [
        ("collection", Placement::Collection),
        ("database", Placement::Database),
        ("shared", Placement::Shared),
    ] {
        let master = format!("{database}_{name}");
        let options = MongoOptions {
            tenant_prefix: format!("{master}_"),
            deadline: Duration::from_secs(30),
            ..MongoOptions::new(tenantry_test_mongod::shared_uri(), &master)
        };
        let opened = open_mongodb(&options, &StoreOptions::default()).await.unwrap();
        let organization = home(&opened.store, placement).await;
        subjects.push(Subject { name, opened, organization, _directory: None });
    }
    subjects
}

async fn home(store: &Store, placement: Placement) -> Organization {
    let naming = Naming::new(OrganizationName::parse("Acme").unwrap(), "tenant_");
    let now = Standing.now();
    let mut organization = Organization {
        id: OrganizationId::from_bytes([7; 12]),
        reserved: naming.reserved(),
        naming,
        state: State::Active,
        suspended: false,
        placement,
        container: None,
        owner_id: AccountId::from_bytes([8; 12]),
        owners: Vec::new(),
        members: 1,
        roles: tenantry_domain::role::OwnRoles::default(),
        trails: Vec::new(),
        token_epoch: 0,
        token_epoch_since: None,
        delete_protection: false,
        legal_hold: false,
        // Far away, so that it is counted and never in the way.
        quota: Quota { documents: QuotaLimit::new(1_000_000).ok(), ..Quota::default() },
        created_at: now,
        modified_at: now,
        deleted_at: None,
        purge_at: None,
        version: 1,
        operation: None,
    };
    let container = NewContainer {
        organization_id: organization.id,
        fence: 0,
        namespace: organization.naming.namespace.clone(),
        placement,
        created_at: now,
    };
    organization.container = store.containers.create_container(&container).await.unwrap();
    assert_eq!(store.organizations.insert_organization(&organization).await.unwrap(), InsertOutcome::New);
    organization
}

/// One collection, on all engines and with the judge.
struct Trial<'a> {
    judge: Collection<Document>,
    subjects: &'a [Subject],
    name: CollectionName,
    next_id: i32,
}

impl Trial<'_> {
    async fn begin(&mut self) {
        self.judge.delete_many(doc! {}).await.unwrap();
        for subject in self.subjects {
            let made = subject.store().collections.insert_collection(&subject.organization, &self.name);
            assert_eq!(made.await.unwrap(), InsertOutcome::New);
        }
    }

    /// Makes room for the indexes of the next one.
    async fn end(self) {
        for subject in self.subjects {
            let collections = &subject.store().collections;
            assert!(collections.delete_collection(&subject.organization, &self.name).await.unwrap());
        }
    }

    async fn step(&mut self, chance: &mut Chance) {
        match chance.below(20) {
            0..=2 => self.insert(chance).await,
            3 => self.make_index(chance).await,
            4 => self.drop_indexes(chance).await,
            5 | 6 => self.replace(chance).await,
            7 => self.delete(chance).await,
            8 if chance.once_in(4) => self.delete_matching(chance).await,
            _ => self.ask(chance).await,
        }
    }

    async fn insert(&mut self, chance: &mut Chance) {
        let mut documents = generate::documents(chance, DOCUMENTS / 4);
        for document in &mut documents {
            // Now and then an id that is there already.
            let id = if chance.once_in(10) { self.next_id / 2 } else { self.next_id };
            self.next_id += 1;
            document.insert("_id", id);
        }
        let mut expected = Vec::new();
        for document in &documents {
            expected.push(of_driver(self.judge.insert_one(document).await));
        }
        for subject in self.subjects {
            let stored = documents.iter().map(|document| stored(document, 1)).collect();
            let inserted =
                subject.store().documents.insert_documents(&subject.organization, &self.name, stored);
            let outcomes: Vec<_> = inserted.await.unwrap().into_iter().map(of_engine).collect();
            let all: Vec<String> = documents.iter().map(json).collect();
            assert_eq!(outcomes, expected, "{}: {all:#?}", subject.name);
        }
    }

    async fn make_index(&mut self, chance: &mut Chance) {
        let index = random_index(chance);
        let there = self.indexes().await;
        if there.len() == INDEXES || there.iter().any(|other| other.is_in_the_way_of(&index)) {
            return;
        }
        let mut model = mongodb::IndexModel::default();
        model.keys = index
            .keys
            .iter()
            .map(|key| {
                (key.path.to_string(), Bson::Int32(if key.to_string().starts_with('-') { -1 } else { 1 }))
            })
            .collect();
        let mut options = mongodb::options::IndexOptions::default();
        options.name = Some(index.name.to_string());
        options.unique = Some(index.unique);
        match &index.coverage {
            Coverage::All => {}
            // A unique one differs where an array has items with the field and others without it.
            Coverage::Sparse(_) if !index.unique => options.sparse = Some(true),
            Coverage::Sparse(filter) | Coverage::Partial(filter) => {
                options.partial_filter_expression = Some(filter.to_mongodb(""));
            }
        }
        model.options = Some(options);
        let expected = of_driver(self.judge.create_index(model).await);
        for subject in self.subjects {
            let made =
                subject.store().collections.insert_index(&subject.organization, &self.name, &index).await;
            assert_eq!(of_engine(made.map(|_| ())), expected, "{}: {index:?}", subject.name);
            let listed = subject.store().collections.list_indexes(&subject.organization, &self.name).await;
            assert_eq!(listed.unwrap().contains(&index), expected.is_none(), "{}: {index:?}", subject.name);
        }
    }

    async fn indexes(&self) -> Vec<Index> {
        let subject = &self.subjects[0];
        subject.store().collections.list_indexes(&subject.organization, &self.name).await.unwrap()
    }

    async fn drop_indexes(&mut self, chance: &mut Chance) {
        for index in self.indexes().await.into_iter().filter(|_| chance.once_in(3)) {
            self.judge.drop_index(index.name.as_str()).await.unwrap();
            for subject in self.subjects {
                let collections = &subject.store().collections;
                let dropped = collections.delete_index(&subject.organization, &self.name, &index.name).await;
                assert!(dropped.unwrap(), "{}", subject.name);
            }
        }
    }

    async fn replace(&mut self, chance: &mut Chance) {
        let Some(id) = self.some_id(chance) else { return };
        let mut document = generate::documents(chance, 1).remove(0);
        document.insert("_id", id);
        let replaced = self.judge.replace_one(doc! { "_id": id }, &document).await;
        let expected = of_driver(replaced.as_ref().map(|_| ()).map_err(Clone::clone));
        let met = replaced.is_ok_and(|replaced| replaced.matched_count == 1);
        for subject in self.subjects {
            let documents = &subject.store().documents;
            let current =
                documents.get_document(&subject.organization, &self.name, &document_id(id)).await.unwrap();
            let Some(current) = current else {
                assert!(!met, "{}: {id}", subject.name);
                continue;
            };
            let next = StoredDocument { revision: current.revision.next(), ..stored(&document, 0) };
            let written =
                documents.update_document(&subject.organization, &self.name, next, current.revision).await;
            assert_eq!(of_engine(written.map(|_| ())), expected, "{}: {}", subject.name, json(&document));
        }
    }

    async fn delete(&mut self, chance: &mut Chance) {
        let Some(id) = self.some_id(chance) else { return };
        let met = self.judge.delete_one(doc! { "_id": id }).await.unwrap().deleted_count == 1;
        for subject in self.subjects {
            let documents = &subject.store().documents;
            let id = document_id(id);
            let deleted = documents.delete_document(&subject.organization, &self.name, &id, None).await;
            assert_eq!(deleted.unwrap() == UpdateOutcome::Done, met, "{}", subject.name);
        }
    }

    async fn delete_matching(&mut self, chance: &mut Chance) {
        let asked = generate::filter(chance, 2);
        let deleted = self.judge.delete_many(asked.clone()).hint(full_scan()).await;
        let expected = deleted.unwrap().deleted_count;
        let filter = Filter::parse(&json(&asked), "").unwrap();
        for subject in self.subjects {
            let documents = &subject.store().documents;
            let deleted = documents.delete_matching(&subject.organization, &self.name, &filter, LONG).await;
            assert_eq!(deleted.unwrap().documents, expected, "{}: {}", subject.name, json(&asked));
        }
    }

    async fn ask(&mut self, chance: &mut Chance) {
        let asked = if chance.once_in(5) { Document::new() } else { generate::filter(chance, 2) };
        let sort =
            if chance.once_in(2) { Sort::default() } else { Sort::parse(chance.one_of(&KEYS)).unwrap() };
        let query = DocumentQuery {
            filter: Filter::parse(&json(&asked), "").unwrap(),
            sort: sort.clone(),
            after: None,
            limit: u32::try_from(1 + chance.below(20)).unwrap(),
            max_bytes: 1 << 20,
            time: LONG,
        };
        let expected = ids(&self.judge, asked.clone(), sort.to_mongodb("")).await;
        for subject in self.subjects {
            let found = subject.pages(&self.name, &query).await;
            let what = || format!("{}: {} {:?} {}", subject.name, json(&asked), sort, query.limit);
            match (&expected, found) {
                (Ok(expected), found) => {
                    assert_eq!(
                        &found.unwrap_or_else(|error| panic!("{}: {error}", what())),
                        expected,
                        "{}",
                        what()
                    );
                    self.check_count(subject, &query.filter, expected.len(), &asked).await;
                }
                (Err(_), found) => {
                    assert_eq!(
                        found.map_err(|error| error.code()),
                        Err(ErrorCode::InvalidInput),
                        "{}",
                        what()
                    );
                }
            }
        }
    }

    async fn check_count(&self, subject: &Subject, filter: &Filter, expected: usize, asked: &Document) {
        let counted =
            subject.store().documents.count_matching(&subject.organization, &self.name, filter, LONG).await;
        assert_eq!(counted.unwrap().documents, expected as u64, "{}: {}", subject.name, json(asked));
    }

    /// All engines keep the same documents, and count the same.
    async fn check_usage(&self) {
        let mut usages = Vec::new();
        for subject in self.subjects {
            let collections = &subject.store().collections;
            usages.push(collections.get_usage(&subject.organization).await.unwrap());
        }
        assert!(usages.windows(2).all(|two| two[0] == two[1]), "{usages:?}");
    }

    fn some_id(&self, chance: &mut Chance) -> Option<i32> {
        let end = usize::try_from(self.next_id).unwrap();
        (end > 0).then(|| i32::try_from(chance.below(end)).unwrap())
    }
}

impl Subject {
    pub const fn store(&self) -> &Store {
        &self.opened.store
    }

    pub async fn pages(&self, name: &CollectionName, query: &DocumentQuery) -> Result<Vec<i32>> {
        let (mut query, mut all) = (query.clone(), Vec::new());
        loop {
            let found = self.store().documents.find_documents(&self.organization, name, &query).await?;
            all.extend(found.documents.iter().map(|document| document.body.get_i32("_id").unwrap()));
            let Some(last) = found.documents.last().filter(|_| found.more) else { return Ok(all) };
            query.after = Some(query.sort.position(&last.body, &Fuel::unlimited()).unwrap());
        }
    }
}

/// An index of any kind.
fn random_index(chance: &mut Chance) -> Index {
    let keys = chance.one_of(&KEYS);
    let mut options = IndexOptions::of_all(chance.once_in(4));
    let kind = chance.below(4);
    if kind == 0 {
        options.sparse = true;
    } else if kind < 3 {
        let filter = json(&generate::partial_filter(chance, 1));
        options.partial_filter =
            Some(PartialFilter::parse(&filter, "").unwrap_or_else(|error| panic!("{filter}: {error}")));
    }
    let name = IndexName::parse(&format!("{}_{}", chance.below(1000), options.unique)).unwrap();
    Index::parse_with(Some(name), keys, options).unwrap()
}

fn document_id(id: i32) -> DocumentId {
    DocumentId::new(&id.into()).unwrap()
}

pub fn stored(document: &Document, revision: u64) -> StoredDocument {
    StoredDocument { body: RawDocumentBuf::try_from(document).unwrap(), revision: Revision(revision) }
}

/// Why the judge refused, in our words.
fn of_driver<T>(result: mongodb::error::Result<T>) -> Option<ErrorCode> {
    let error: DriverError = result.err()?;
    let (code, message) = match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(error)) => (error.code, error.message.clone()),
        ErrorKind::Command(error) => (error.code, error.message.clone()),
        other => panic!("{other}"),
    };
    Some(match code {
        11000 if message.contains("index: _id_ ") => ErrorCode::DocumentExists,
        11000 => ErrorCode::UniqueViolation,
        // CannotIndexParallelArrays; "Ambiguous field name found in array".
        171 | 16746 => ErrorCode::InvalidInput,
        _ => panic!("{code}: {message}"),
    })
}

fn of_engine(result: Result<()>) -> Option<ErrorCode> {
    result.err().map(|error| error.code())
}
