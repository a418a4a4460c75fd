//! Documents of an organization: one, or many that are inserted; those that match a filter are in [`queries`].
//!
//! A change of one document is a compare-and-set on its revision, retried when another change came first and
//! the caller named no revision. The organization comes from the [`TenantAccess`], never from an argument.

mod batch;
mod cursor;
mod document_locks;
mod line_ids;
mod queries;
mod schema_check;
mod schemas;
mod updates;

pub use batch::{BatchAction, BatchCheck, BatchEffect, BatchOperation, BatchResult, KeyedBatch};
pub use cursor::PageRequest;
pub use queries::DocumentPage;
pub use schema_check::{SchemaCheck, SchemaCheckPage, SchemaCheckTotals, ViolatingDocument};
pub use updates::{FirstMatch, KeyedUpdate, UpdateManyResult, UpdateOne, UpdateRequest, UpdateResult};

use super::auth::Auth;
use super::clock_and_entropy::ClockAndEntropy;
use super::policy::Policy;
use super::tenant::{Read, TenantAccess, Write};
use crate::collection::CollectionName;
use crate::error::{Error, ErrorCode, Result};
use crate::idempotency::IdempotencyKey;
use crate::ids::{DrawnEntropy, OperationId};
use crate::limits::OPERATION_WAIT;
use crate::mac_keys::MacKeys;
use crate::offload;
use crate::organization::Organization;
use crate::processor::Processor;
use crate::store::{self, Store, UpdateOutcome};
use bson::oid::ObjectId;
use bson::{RawDocument, RawDocumentBuf};
use document_locks::DocumentLocks;
use jiff::Timestamp;
use line_ids::derive_line_id;
use schemas::{SchemaCheckOutcome, Schemas, is_violation};
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::document::{DocumentId, MergePatch, NewDocument, Revision, StoredDocument};
use tokio::time::Instant;

/// The longest that a change without a revision backs off between tries. Each wait is random, so that two
/// changes that collide once do not collide again.
const BACKOFF_MAX: Duration = Duration::from_millis(20);

/// The revisions of a document that a change accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RevisionPrecondition {
    /// Any, and none: an upsert may insert the document.
    #[default]
    Unconditional,
    /// Any, of a document that exists.
    Exists,
    /// One of these.
    OneOf(Vec<Revision>),
}

impl RevisionPrecondition {
    fn allows(&self, revision: Revision) -> bool {
        match self {
            Self::Unconditional | Self::Exists => true,
            Self::OneOf(revisions) => revisions.contains(&revision),
        }
    }

    /// Whether every revision is accepted, so that a change which came too late may begin again.
    const fn allows_any(&self) -> bool {
        matches!(self, Self::Unconditional | Self::Exists)
    }

    /// Whether the change may insert a document that is missing.
    const fn allows_insert(&self) -> bool {
        matches!(self, Self::Unconditional)
    }
}

/// The outcome of one document of many.
#[derive(Debug, Clone)]
pub enum LineOutcome {
    /// It was inserted.
    Inserted(StoredDocument),
    /// An earlier try of the same request had inserted it.
    Repeated(StoredDocument),
    /// It was refused.
    Refused(Error),
}

/// Documents of organizations.
pub struct Documents {
    documents: Arc<dyn store::Documents>,
    /// For the indexes of a collection.
    collections: Arc<dyn store::Collections>,
    /// The schemas by which writes are checked.
    schemas: Schemas,
    auth: Arc<Auth>,
    /// Authenticate cursors, and make the ids of lines.
    mac_keys: MacKeys,
    /// The most bytes of a document as BSON.
    max_bytes: usize,
    /// How long a query may take.
    query_time: Duration,
    sources: ClockAndEntropy,
    /// The documents that are being updated.
    locks: DocumentLocks,
    /// For the ids of documents.
    drawn: DrawnEntropy,
    /// For checks of whole collections.
    processor: Arc<Processor>,
}

impl Documents {
    pub(super) fn new(
        store: &Store,
        auth: &Arc<Auth>,
        mac_keys: MacKeys,
        policy: &Policy,
        sources: &ClockAndEntropy,
    ) -> Self {
        let processor = Arc::default();
        Self {
            documents: store.documents.clone(),
            collections: store.collections.clone(),
            schemas: Schemas::new(&store.collections, policy.query_time, &processor),
            auth: auth.clone(),
            mac_keys,
            max_bytes: policy.document_max_bytes,
            query_time: policy.query_time,
            sources: sources.clone(),
            locks: DocumentLocks::default(),
            drawn: DrawnEntropy::new(sources.entropy.clone()),
            processor,
        }
    }

    /// Inserts a document: with its own `_id`, else with `id`, else with a new ObjectId. If `id` is given and
    /// the same document exists, an earlier try has inserted it.
    ///
    /// # Errors
    /// `collection_not_found`, `document_exists`, `schema_violation`, `query_too_slow`, `unique_violation`,
    /// `quota_exceeded`, `invalid_input`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn insert_document(
        &self,
        tenant: &TenantAccess<Write>,
        collection: &CollectionName,
        document: NewDocument,
        id: Option<DocumentId>,
    ) -> Result<StoredDocument> {
        // Its body may have arrived long after the right was proven.
        let tenant = &self.auth.renew(tenant).await?;
        let again = id.is_some();
        let document = self.first_version(document, id);
        match self.insert_one(tenant.organization(), collection, &document).await {
            Ok(()) => Ok(document),
            Err(error) if again && may_be_there(&error) => {
                self.existing_duplicate(tenant, collection, &document).await?.ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Inserts documents independently, each with the number of its line; returns their outcomes in order.
    /// With `request`, a document without an `_id` gets one derived from the request and its line: so a
    /// repeated request finds it and does not insert it twice.
    ///
    /// # Errors
    /// `collection_not_found`, `store_unavailable`: then some of them may have been inserted.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn insert_documents(
        &self,
        tenant: &TenantAccess<Write>,
        collection: &CollectionName,
        documents: Vec<(u64, NewDocument)>,
        request: Option<&IdempotencyKey>,
    ) -> Result<Vec<LineOutcome>> {
        let mut lines = Vec::with_capacity(documents.len());
        for (line, document) in documents {
            let id = match request {
                Some(key) if document.id().is_none() => {
                    Some(self.line_id(tenant, collection, key, line).await?)
                }
                _ => None,
            };
            lines.push(self.first_version(document, id));
        }
        let (lines, checked) = self.schemas.check_new(tenant.organization(), collection, lines).await?;
        let valid = lines.iter().zip(&checked).filter(|(_, checked)| checked.is_ok());
        let valid: Vec<StoredDocument> = valid.map(|(document, _)| document.clone()).collect();
        let written = match valid.is_empty() {
            true => Vec::new(),
            false => self.documents.insert_documents(tenant.organization(), collection, valid).await?,
        };
        let mut written = written.into_iter();
        let missing = || Err(Error::internal("an insert without an outcome"));
        let (mut outcomes, mut warnings) = (Vec::with_capacity(lines.len()), 0);
        for (document, checked) in lines.into_iter().zip(checked) {
            let insert =
                |checked: SchemaCheckOutcome| written.next().unwrap_or_else(missing).map(|()| checked);
            outcomes.push(match checked.and_then(insert) {
                Ok(checked) => {
                    warnings += checked.warnings();
                    LineOutcome::Inserted(document)
                }
                Err(error) if request.is_some() && may_be_there(&error) => {
                    match self.existing_duplicate(tenant, collection, &document).await? {
                        Some(there) => LineOutcome::Repeated(there),
                        None => LineOutcome::Refused(error),
                    }
                }
                Err(error) => LineOutcome::Refused(error),
            });
        }
        self.schemas.warn(tenant.organization(), warnings);
        Ok(outcomes)
    }

    /// Inserts a document that its collection's schema allows.
    async fn insert_one(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        document: &StoredDocument,
    ) -> Result<()> {
        let checked = self.schemas.check(organization, collection, None, &document.body).await?;
        let one = vec![document.clone()];
        let outcomes = self.documents.insert_documents(organization, collection, one).await?;
        outcomes.into_iter().next().ok_or_else(|| Error::internal("an insert without an outcome"))??;
        self.schemas.warn(organization, checked.warnings());
        Ok(())
    }

    /// The stored document with the id of this one, if it is equal, because an earlier try inserted it.
    async fn existing_duplicate(
        &self,
        tenant: &TenantAccess<Write>,
        collection: &CollectionName,
        document: &StoredDocument,
    ) -> Result<Option<StoredDocument>> {
        let Some(id) = document.id() else { return Ok(None) };
        let there = self.documents.get_document(tenant.organization(), collection, &id).await?;
        Ok(there.filter(|there| there.body == document.body))
    }

    /// The document of that id.
    ///
    /// # Errors
    /// `collection_not_found`, `document_not_found`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn get_document(
        &self,
        tenant: &TenantAccess<Read>,
        collection: &CollectionName,
        id: &DocumentId,
    ) -> Result<StoredDocument> {
        let organization = tenant.organization();
        match self.documents.get_document(organization, collection, id).await? {
            Some(document) => Ok(document),
            None => Err(self.not_found(organization, collection, id).await),
        }
    }

    /// The refusal of an id that no document has. It names the document that may be meant.
    async fn not_found(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
    ) -> Error {
        let refusal = Error::new(ErrorCode::DocumentNotFound);
        match self.find_lookalike(organization, collection, id).await {
            Some(other) => refusal.detail(format!(
                "There is no document of this `_id`, but one whose `_id` is {}. In a path it is written `{other}`.",
                other.kind()
            )),
            None => refusal,
        }
    }

    /// The `_id` of a document that people may mean by `id`. None also where the search fails: a refusal is right without
    /// its result.
    async fn find_lookalike(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
    ) -> Option<DocumentId> {
        for other in id.lookalikes() {
            if let Ok(Some(_)) = self.documents.get_document(organization, collection, &other).await {
                return Some(other);
            }
        }
        None
    }

    /// Replaces the document of that id.
    ///
    /// # Errors
    /// `document_not_found`, `version_mismatch`, `schema_violation`, `query_too_slow`, `unique_violation`,
    /// `quota_exceeded`, `invalid_input`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn replace_document(
        &self,
        tenant: &TenantAccess<Write>,
        collection: &CollectionName,
        id: &DocumentId,
        expected: &RevisionPrecondition,
        document: NewDocument,
    ) -> Result<StoredDocument> {
        if document.id().is_some_and(|own| own != id) {
            return Err(Error::invalid_field("/_id", "Must be the `_id` in the path, or be left out."));
        }
        let (bytes, asked) = (document.bytes(), id.clone());
        let change = move |current: &RawDocument| {
            // The stored document's own id: equal ids may be written differently (5 and 5.0), and it stays.
            let own = DocumentId::of(current).unwrap_or_else(|| asked.clone());
            Ok(document.clone().under_id(&own))
        };
        self.edit(tenant, collection, id, expected, bytes, change).await
    }

    /// Inserts a document with that id, if there is none.
    ///
    /// # Errors
    /// `version_mismatch` if there is one; as [`Self::insert_document`].
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn create_document(
        &self,
        tenant: &TenantAccess<Write>,
        collection: &CollectionName,
        id: &DocumentId,
        document: NewDocument,
    ) -> Result<StoredDocument> {
        if document.id().is_some_and(|own| own != id) {
            return Err(Error::invalid_field("/_id", "Must be the `_id` in the path, or be left out."));
        }
        // As for an insert.
        let tenant = &self.auth.renew(tenant).await?;
        let revision = first_revision(self.sources.now());
        let document = StoredDocument { body: document.with_id(|| id.clone()), revision };
        match self.insert_one(tenant.organization(), collection, &document).await {
            Ok(()) => Ok(document),
            Err(error) if error.code() == ErrorCode::DocumentExists => {
                let detail = "There is a document of this `_id`, and `If-None-Match: *` only creates one.";
                Err(Error::new(ErrorCode::VersionMismatch).detail(detail))
            }
            Err(error) => Err(error),
        }
    }

    /// Changes a document by a merge patch.
    ///
    /// # Errors
    /// As [`Self::replace_document`].
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn patch_document(
        &self,
        tenant: &TenantAccess<Write>,
        collection: &CollectionName,
        id: &DocumentId,
        expected: &RevisionPrecondition,
        patch: MergePatch,
    ) -> Result<StoredDocument> {
        let (max_bytes, bytes) = (self.max_bytes, patch.bytes());
        let change = move |current: &RawDocument| Ok(patch.apply(current, max_bytes)?);
        self.edit(tenant, collection, id, expected, bytes, change).await
    }

    /// Removes the document of that id.
    ///
    /// # Errors
    /// `document_not_found`, `version_mismatch`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn delete_document(
        &self,
        tenant: &TenantAccess<Write>,
        collection: &CollectionName,
        id: &DocumentId,
        expected: &RevisionPrecondition,
    ) -> Result<()> {
        let (documents, organization) = (&self.documents, tenant.organization());
        if expected.allows_any() {
            return match documents.delete_document(organization, collection, id, None).await? {
                UpdateOutcome::Done => Ok(()),
                UpdateOutcome::Stale => Err(self.not_found(organization, collection, id).await),
            };
        }
        let Some(current) = documents.get_document(organization, collection, id).await? else {
            return Err(self.not_found(organization, collection, id).await);
        };
        let revision = current.revision;
        if !expected.allows(revision) {
            return Err(ErrorCode::VersionMismatch.into());
        }
        match documents.delete_document(organization, collection, id, Some(revision)).await? {
            UpdateOutcome::Done => Ok(()),
            UpdateOutcome::Stale => Err(ErrorCode::VersionMismatch.into()),
        }
    }

    /// Changes the document of that id: `change`, whose input has `bytes` bytes, turns the current document
    /// into the next one.
    async fn edit(
        &self,
        tenant: &TenantAccess<Write>,
        collection: &CollectionName,
        id: &DocumentId,
        expected: &RevisionPrecondition,
        bytes: usize,
        change: impl Fn(&RawDocument) -> Result<RawDocumentBuf> + Send + Sync + 'static,
    ) -> Result<StoredDocument> {
        // As for an insert.
        let tenant = &self.auth.renew(tenant).await?;
        let (documents, organization) = (&self.documents, tenant.organization());
        let (began, change) = (Instant::now(), Arc::new(change));
        while began.elapsed() < OPERATION_WAIT {
            let Some(current) = documents.get_document(organization, collection, id).await? else {
                return Err(self.not_found(organization, collection, id).await);
            };
            if !expected.allows(current.revision) {
                return Err(ErrorCode::VersionMismatch.into());
            }
            let revision = current.revision.next().max(first_revision(self.sources.now()));
            let (bytes, change, body) =
                (bytes + current.body.as_bytes().len(), change.clone(), current.body.clone());
            let body = offload::by_size(bytes, move || change(&body)).await??;
            let checked = self.schemas.check(organization, collection, Some(&current.body), &body).await?;
            let next = StoredDocument { body, revision };
            let written =
                documents.update_document(organization, collection, next.clone(), current.revision).await?;
            match written {
                UpdateOutcome::Done => {
                    self.schemas.warn(organization, checked.warnings());
                    return Ok(next);
                }
                UpdateOutcome::Stale if expected.allows_any() => {
                    let [share] = self.sources.random();
                    tokio::time::sleep(BACKOFF_MAX * u32::from(share) / u32::from(u8::MAX)).await;
                }
                UpdateOutcome::Stale => return Err(ErrorCode::VersionMismatch.into()),
            }
        }
        Err(ErrorCode::DocumentBusy.into())
    }

    fn first_version(&self, document: NewDocument, id: Option<DocumentId>) -> StoredDocument {
        let new_id = || id.unwrap_or_else(|| ObjectId::from_bytes(self.new_object_id()).into());
        StoredDocument { body: document.with_id(new_id), revision: first_revision(self.sources.now()) }
    }

    fn new_object_id(&self) -> [u8; 12] {
        *OperationId::new(self.sources.now(), &self.drawn).as_bytes()
    }

    /// The `_id` of a line of a request: no other line has it, and the same line always gets it. While the secret is
    /// rotated, a line that is there by the other key keeps the id it has.
    async fn line_id(
        &self,
        tenant: &TenantAccess<Write>,
        collection: &CollectionName,
        request: &IdempotencyKey,
        line: u64,
    ) -> Result<DocumentId> {
        let organization = tenant.organization();
        let id = |key| derive_line_id(key, organization.id, collection, request, line);
        if let Some(previous) = self.mac_keys.previous().map(id)
            && self.documents.get_document(organization, collection, &previous).await?.is_some()
        {
            return Ok(previous);
        }
        Ok(id(self.mac_keys.current()))
    }
}

/// Whether an insert was refused for a reason that does not exclude that an earlier try of it has succeeded.
fn may_be_there(error: &Error) -> bool {
    error.code() == ErrorCode::DocumentExists || is_violation(error)
}

/// The first revision of a new document.
pub(super) fn first_revision(now: Timestamp) -> Revision {
    Revision(u64::try_from(now.as_millisecond()).unwrap_or(1))
}
