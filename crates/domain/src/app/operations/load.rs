//! Loading an archive into a container: the longest step.
//!
//! The lease is renewed throughout, during every wait, and a process that has lost it stops.
//!
//! # Pitfalls
//! Even then, wait for a store call that has begun. Its writes may arrive after others have removed
//! everything, and only once it has ended can they be undone (`try_compensate`).

mod people;
mod trails;

use super::lease::{Interrupted, Lease, LeaseTimer};
use crate::app::archives::source::ArchiveSource;
use crate::app::clock_and_entropy::ClockAndEntropy;
use crate::app::documents::first_revision;
use crate::app::mailboxes::Mailboxes;
use crate::archive::{ArchiveItem, ArchivedCollection, ArchivedMember, damaged};
use crate::audit::AuditEntry;
use crate::audit::carried::CarriedTrail;
use crate::collection::CollectionName;
use crate::error::{Error, ErrorCode, Result};
use crate::failpoints;
use crate::limits::{INSERT_MAX_BYTES, INSERT_MAX_DOCUMENTS};
use crate::operation::{
    ImportCounts, OperationArguments, OperationKind, OperationRefusal, OperationStep, StepResult,
};
use crate::organization::Organization;
use crate::store::{self, Store};
use std::sync::{Arc, OnceLock};
use tenantry_documents::document::{NewDocument, StoredDocument};
use tenantry_documents::index::Index;

/// An archive that is being loaded into a container.
pub(in crate::app) struct ImportStream {
    source: ArchiveSource,
    /// The whole error of a refusal; the record has only its code.
    refused: Arc<OnceLock<Error>>,
}

impl ImportStream {
    pub(super) fn new(source: ArchiveSource) -> (Self, Arc<OnceLock<Error>>) {
        let refused = Arc::new(OnceLock::new());
        (Self { source, refused: Arc::clone(&refused) }, refused)
    }
}

/// Loads archives into containers.
pub(in crate::app) struct ArchiveLoader {
    organizations: Arc<dyn store::Organizations>,
    collections: Arc<dyn store::Collections>,
    documents: Arc<dyn store::Documents>,
    expiries: Arc<dyn store::Expiries>,
    accounts: Arc<dyn store::Accounts>,
    api_keys: Arc<dyn store::ApiKeys>,
    invitations: Arc<dyn store::Invitations>,
    audit: Arc<dyn store::Audit>,
    mailboxes: Mailboxes,
    sources: ClockAndEntropy,
}

impl ArchiveLoader {
    pub(super) fn new(store: &Store, mailboxes: &Mailboxes, sources: &ClockAndEntropy) -> Self {
        Self {
            organizations: store.organizations.clone(),
            accounts: store.accounts.clone(),
            api_keys: store.api_keys.clone(),
            invitations: store.invitations.clone(),
            audit: store.audit.clone(),
            mailboxes: mailboxes.clone(),
            collections: store.collections.clone(),
            documents: store.documents.clone(),
            expiries: store.expiries.clone(),
            sources: sources.clone(),
        }
    }

    /// Loads the archive; `None` if the operation was lost. If there is no archive, another process began the
    /// import, and the archive was lost with that process.
    pub(super) async fn load(
        &self,
        organization: &mut Organization,
        load: Option<ImportStream>,
    ) -> Option<StepResult> {
        let Some(ImportStream { source, refused }) = load else {
            return Some(StepResult::Refused(OperationRefusal::Interrupted));
        };
        let loading = ImportProgress {
            loader: self,
            first_version: first_version(organization),
            organization,
            source,
            members: Vec::new(),
            trail: None,
            entries: Vec::new(),
            // The owner.
            counts: ImportCounts { members: 1, ..ImportCounts::default() },
            into: None,
            batch: Vec::new(),
            lines: Vec::new(),
            batch_bytes: 0,
            documents: 0,
            term: LeaseTimer::new(),
        };
        match loading.run().await {
            Ok((documents, counts)) => Some(StepResult::Loaded(documents, counts)),
            Err(Interrupted::Lost) => None,
            Err(Interrupted::Failed(error)) => {
                let refusal = refusal(&error);
                let _ = refused.set(error);
                Some(StepResult::Refused(refusal))
            }
        }
    }
}

impl ArchiveLoader {
    /// The lease of the import under way in `organization`, which has `documents` so far.
    fn lease<'a>(
        &'a self,
        organization: &'a mut Organization,
        term: &'a mut LeaseTimer,
        documents: Option<u64>,
    ) -> Lease<'a> {
        Lease { store: &*self.organizations, clock: &*self.sources.clock, organization, term, documents }
    }
}

/// A running load.
struct ImportProgress<'a> {
    loader: &'a ArchiveLoader,
    organization: &'a mut Organization,
    /// The version of the record that began the import: a step with an earlier one is too late for its members.
    first_version: u64,
    source: ArchiveSource,
    /// Members that are not written yet.
    members: Vec<ArchivedMember>,
    /// The audit trail of the next entries.
    trail: Option<CarriedTrail>,
    /// Entries that are not written yet.
    entries: Vec<AuditEntry>,
    counts: ImportCounts,
    /// The collection of the next documents.
    into: Option<ArchivedCollection>,
    batch: Vec<StoredDocument>,
    /// The line of each document of the batch.
    lines: Vec<u64>,
    batch_bytes: usize,
    /// Documents in the container so far.
    documents: u64,
    term: LeaseTimer,
}

impl ImportProgress<'_> {
    /// Runs the load; returns the number of documents and of all else.
    async fn run(mut self) -> Result<(u64, ImportCounts), Interrupted> {
        while let Some(item) = self.next_item().await? {
            if !matches!(item, ArchiveItem::Member(_)) {
                self.flush_members().await?;
            }
            match item {
                ArchiveItem::Role(role) => self.add_role(&role)?,
                ArchiveItem::Member(member) => self.add_member(member).await?,
                ArchiveItem::ApiKey(key) => self.add_api_key(key).await?,
                ArchiveItem::AuditTrail(trail) => self.begin_trail(trail)?,
                ArchiveItem::AuditEntry(entry) => self.add_entry(*entry).await?,
                ArchiveItem::AuditTrailEnd(end) => self.end_trail(&end).await?,
                ArchiveItem::Collection(collection) => self.begin_collection(collection).await?,
                ArchiveItem::Document(document) => self.add(document).await?,
                ArchiveItem::CollectionEnd(_) => self.end_collection().await?,
                ArchiveItem::End(end) => {
                    self.expect(end.documents).await?;
                    self.expect_members().await?;
                }
                ArchiveItem::Manifest(_) | ArchiveItem::Organization(_) => {}
            }
        }
        self.lease().settle().await?;
        Ok((self.documents, self.counts))
    }

    /// Whether the organization has the id of the archive.
    fn keeps_ids(&self) -> bool {
        self.source.organization_id() == Some(self.organization.id)
    }

    async fn next_item(&mut self) -> Result<Option<ArchiveItem>, Interrupted> {
        // Read everything that has already arrived at once.
        let Self { loader, organization, source, documents, term, .. } = self;
        let mut lease = loader.lease(organization, term, Some(*documents));
        Ok(lease.hold(source.next()).await??)
    }

    async fn begin_collection(&mut self, collection: ArchivedCollection) -> Result<(), Interrupted> {
        let name = collection.name.clone();
        self.into = Some(collection);
        if name.is_default() {
            return Ok(());
        }
        let (loader, organization) = (self.loader, self.organization.clone());
        let made = async { loader.collections.insert_collection(&organization, &name).await };
        let _ = self.hold(made).await??;
        Ok(())
    }

    async fn add(&mut self, document: NewDocument) -> Result<(), Interrupted> {
        let id = document.id().cloned().ok_or_else(|| Error::internal("a document without an id"))?;
        let document = StoredDocument {
            body: document.under_id(&id),
            revision: first_revision(self.loader.sources.now()),
        };
        self.batch_bytes += document.body.as_bytes().len();
        self.batch.push(document);
        self.lines.push(self.source.line());
        if self.batch.len() == INSERT_MAX_DOCUMENTS || self.batch_bytes >= INSERT_MAX_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes the documents read so far.
    async fn flush(&mut self) -> Result<(), Interrupted> {
        let (batch, lines) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.lines));
        self.batch_bytes = 0;
        if batch.is_empty() {
            return Ok(());
        }
        let name = self.collection_name()?;
        let (loader, organization) = (self.loader, self.organization.clone());
        let written =
            self.hold(async { loader.documents.insert_documents(&organization, &name, batch).await });
        for (outcome, line) in written.await??.into_iter().zip(lines) {
            match outcome {
                Ok(()) => self.documents += 1,
                Err(error) => return Err(of_document(error, line).into()),
            }
        }
        part("part");
        Ok(())
    }

    async fn end_collection(&mut self) -> Result<(), Interrupted> {
        self.flush().await?;
        let name = self.collection_name()?;
        let Some(ArchivedCollection { indexes, schema, .. }) = self.into.take() else { return Ok(()) };
        // After the documents: they are restored as they were, also those that were there before the schema.
        if let Some(schema) = schema {
            let (loader, organization) = (self.loader, self.organization.clone());
            let set =
                async { loader.collections.set_schema(&organization, &name, Some(&schema), None).await };
            let _ = self.hold(set).await??;
        }
        for index in indexes {
            let (loader, organization) = (self.loader, self.organization.clone());
            let made = async {
                if index.expire_after_seconds.is_some() {
                    loader.expiries.insert_expiry(organization.id, &name, loader.sources.now()).await?;
                }
                loader.collections.restore_index(&organization, &name, &index).await
            };
            let made = self.hold(made).await?;
            let _ = made.map_err(|error| of_index(error, &index, self.source.line()))?;
        }
        Ok(())
    }

    fn collection_name(&self) -> Result<CollectionName> {
        let into = self.into.as_ref().map(|collection| collection.name.clone());
        into.ok_or_else(|| Error::internal("a document without a collection"))
    }

    /// Checks that only these documents are in the container: a process that was paused for long may have
    /// written others.
    async fn expect(&mut self, documents: u64) -> Result<(), Interrupted> {
        let (loader, organization) = (self.loader, self.organization.clone());
        let usage = self.hold(async { loader.collections.get_usage(&organization).await }).await??;
        if usage.documents == documents && self.documents == documents {
            return Ok(());
        }
        let cause = format!("{} documents are there, {documents} should be", usage.documents);
        Err(Error::unavailable(cause).into())
    }

    async fn hold<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Interrupted> {
        self.lease().hold(work).await
    }

    fn lease(&mut self) -> Lease<'_> {
        self.loader.lease(self.organization, &mut self.term, Some(self.documents))
    }
}

/// Passes the crash point at which a part of the archive is loaded.
fn part(moment: &str) {
    failpoints::point(OperationKind::Import.as_str(), OperationStep::LoadArchive.as_str(), moment);
}

/// The version of the record with which the import of `organization` began: that of its owner's membership.
fn first_version(organization: &Organization) -> u64 {
    let arguments = organization.operation.as_deref().map(|operation| &operation.arguments);
    let Some(OperationArguments::Import { owner, .. }) = arguments else { return organization.version };
    owner.membership(organization.id).map_or(organization.version, |membership| membership.changed_at_version)
}

/// The error of a refused document, as an error of the archive if it is one.
fn of_document(error: Error, line: u64) -> Error {
    match error.code() {
        ErrorCode::DocumentExists => damaged(line, "An earlier document has the same `_id`."),
        ErrorCode::InvalidInput => damaged(line, error.sentence()),
        _ => error,
    }
}

/// The error of a refused index, as an error of the archive if it is one.
fn of_index(error: Error, index: &Index, line: u64) -> Error {
    match error.code() {
        ErrorCode::InvalidInput | ErrorCode::IndexExists | ErrorCode::TooManyIndexes => {
            let detail =
                error.fields().first().map_or_else(|| error.sentence(), |field| field.detail.clone());
            damaged(line, format!("The index {} cannot be made: {detail}", index.name))
        }
        _ => error,
    }
}

/// The refusal that the record and the log get.
fn refusal(error: &Error) -> OperationRefusal {
    match error.code() {
        ErrorCode::ArchiveInvalid => OperationRefusal::ArchiveInvalid,
        ErrorCode::UniqueViolation => OperationRefusal::UniqueViolation,
        ErrorCode::CapacityReached => OperationRefusal::CapacityReached,
        _ => OperationRefusal::Interrupted,
    }
}
