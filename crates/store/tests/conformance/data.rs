//! What a store owes an organization's own data: collections, documents, indexes, quotas.

mod aggregates;
mod batches;
mod collection_schemas;
mod collections;
mod documents;
mod explanations;
mod indexes;
mod partial_indexes;
mod queries;
mod quotas;

use crate::engines::Subject;
use crate::given;
use bson::{RawDocumentBuf, rawdoc};
use std::time::Duration;
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_documents::filter::Filter;
use tenantry_documents::fuel::Fuel;
use tenantry_documents::index::{Index, IndexName, IndexOptions, PartialFilter};
use tenantry_documents::query::{DocumentQuery, QueryPage};
use tenantry_documents::sort::Sort;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::{ErrorCode, Result};
use tenantry_domain::organization::{Organization, Quota};
use tenantry_domain::store::{InsertOutcome, NewContainer};

/// Time that no query of a test needs.
const LONG: Duration = Duration::from_secs(60);

fn name(text: &str) -> CollectionName {
    CollectionName::parse(text).unwrap()
}

fn stored(body: RawDocumentBuf) -> StoredDocument {
    StoredDocument { body, revision: Revision(1) }
}

/// Documents with the ids from `first` on and a field `n` of the same number.
fn numbered(first: i32, count: i32) -> Vec<StoredDocument> {
    (first..first + count).map(|n| stored(rawdoc! { "_id": n, "n": n })).collect()
}

fn id(number: i32) -> DocumentId {
    DocumentId::new(&number.into()).unwrap()
}

fn filter(json: &str) -> Filter {
    Filter::parse(json, "").unwrap()
}

fn index(keys: &str, unique: bool) -> Index {
    Index::parse(None, keys, unique).unwrap()
}

/// An index of the documents that match `json`, or a sparse one.
fn partial(keys: &str, unique: bool, json: Option<&str>) -> Index {
    let partial_filter = json.map(|json| PartialFilter::parse(json, "").unwrap());
    let options = IndexOptions { unique, sparse: json.is_none(), partial_filter, expire_after_seconds: None };
    let kind = if json.is_none() { "sparse" } else { "partial" };
    Index::parse_with(IndexName::parse(&format!("{kind}_{keys}")).ok(), keys, options).unwrap()
}

fn query(json: &str, sort: &str, limit: u32) -> DocumentQuery {
    DocumentQuery {
        filter: filter(json),
        sort: if sort.is_empty() { Sort::default() } else { Sort::parse(sort).unwrap() },
        after: None,
        limit,
        max_bytes: 1 << 20,
        time: LONG,
    }
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
    result.unwrap_err().code()
}

/// The outcomes as codes, `""` for those that went well.
fn codes(outcomes: &[Result<()>]) -> Vec<&'static str> {
    outcomes.iter().map(|outcome| outcome.as_ref().err().map_or("", |error| error.code().code())).collect()
}

/// The ids of what was found, which are numbers.
fn ids(found: &QueryPage) -> Vec<i32> {
    found.documents.iter().map(|document| document.body.get_i32("_id").unwrap()).collect()
}

impl Subject {
    /// An organization with its record and an empty container, in the engine's placement.
    async fn home(&self, name: &str) -> Organization {
        let placement = self.store.containers.choose_placement(None).await.unwrap();
        let mut organization = Organization { placement, ..given::organization(name) };
        let container = NewContainer {
            organization_id: organization.id,
            fence: 0,
            namespace: organization.naming.namespace.clone(),
            placement,
            created_at: given::START,
        };
        organization.container = self.store.containers.create_container(&container).await.unwrap();
        let inserted = self.store.organizations.insert_organization(&organization).await.unwrap();
        assert_eq!(inserted, InsertOutcome::New);
        organization
    }

    async fn home_with(&self, name: &str, quota: Quota) -> Organization {
        Organization { quota, ..self.home(name).await }
    }

    async fn insert_into(
        &self,
        organization: &Organization,
        collection: &str,
        documents: Vec<StoredDocument>,
    ) -> Vec<&'static str> {
        let collection = name(collection);
        codes(&self.store.documents.insert_documents(organization, &collection, documents).await.unwrap())
    }

    /// Adds documents, all of which are to be had.
    async fn fill(&self, organization: &Organization, collection: &str, documents: Vec<StoredDocument>) {
        for chunk in documents.chunks(500) {
            let outcomes = self.insert_into(organization, collection, chunk.to_vec()).await;
            assert!(outcomes.iter().all(|outcome| outcome.is_empty()), "{outcomes:?}");
        }
    }

    /// The document of that id.
    async fn document(
        &self,
        organization: &Organization,
        collection: &str,
        id: &DocumentId,
    ) -> Option<StoredDocument> {
        self.store.documents.get_document(organization, &name(collection), id).await.unwrap()
    }

    async fn found(&self, organization: &Organization, collection: &str, query: &DocumentQuery) -> QueryPage {
        self.store.documents.find_documents(organization, &name(collection), query).await.unwrap()
    }

    async fn count_of(&self, organization: &Organization, collection: &str, json: &str) -> u64 {
        let (collection, filter) = (name(collection), filter(json));
        let counted = self.store.documents.count_matching(organization, &collection, &filter, LONG).await;
        counted.unwrap().documents
    }

    /// All that match, page by page.
    async fn pages(
        &self,
        organization: &Organization,
        collection: &str,
        query: &DocumentQuery,
    ) -> Vec<Vec<i32>> {
        let (mut query, mut pages) = (query.clone(), Vec::new());
        loop {
            let found = self.found(organization, collection, &query).await;
            pages.push(ids(&found));
            let Some(last) = found.documents.last().filter(|_| found.more) else { return pages };
            query.after = Some(query.sort.position(&last.body, &Fuel::unlimited()).unwrap());
        }
    }

    async fn try_index(
        &self,
        organization: &Organization,
        collection: &str,
        index: &Index,
    ) -> Result<InsertOutcome> {
        self.store.collections.insert_index(organization, &name(collection), index).await
    }

    async fn add_index(&self, organization: &Organization, collection: &str, index: &Index) {
        assert_eq!(self.try_index(organization, collection, index).await.unwrap(), InsertOutcome::New);
    }

    async fn add_collection(&self, organization: &Organization, collection: &str) {
        let inserted = self.store.collections.insert_collection(organization, &name(collection)).await;
        assert_eq!(inserted.unwrap(), InsertOutcome::New);
    }
}
