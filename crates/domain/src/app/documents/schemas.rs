//! Checks what is written by the schema of its collection.
//!
//! The schema is a recent one. Nothing is refused before it has been read again, and a change of it returns only once every
//! instance goes by it: so a write that begins after that is checked by it.
//!
//! # Pitfalls
//! A check of a small document by a small schema may take long all the same. What is not known to be short runs on a
//! blocking thread.

use crate::collection::CollectionName;
use crate::error::{Error, ErrorCode, Result};
use crate::limits::{INLINE_MAX_BYTES, INLINE_MAX_STEPS, SCHEMA_CACHE_BYTES, SCHEMA_WARNING_INTERVAL};
use crate::metrics::SCHEMA_WARNINGS;
use crate::offload;
use crate::organization::Organization;
use crate::processor::Processor;
use crate::store;
use bson::{RawDocument, RawDocumentBuf};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tenantry_documents::document::StoredDocument;
use tenantry_documents::fuel::{Fuel, Interruption};
use tenantry_documents::schema::{EvaluationError, Schema, SchemaAction, SchemaDefinition, SchemaLevel};

/// About how many schemas find room in the cache.
const CACHED_SCHEMAS: usize = 1000;

/// Ready schemas by their text, so that equal ones are there once.
type CachedSchemas = Cache<Arc<str>, Arc<Schema>, SchemaWeighter>;

#[derive(Clone)]
struct SchemaWeighter;

impl Weighter<Arc<str>, Arc<Schema>> for SchemaWeighter {
    fn weight(&self, _: &Arc<str>, schema: &Arc<Schema>) -> u64 {
        schema.memory() as u64
    }
}

/// The schemas of collections, ready for checks.
pub(super) struct Schemas {
    collections: Arc<dyn store::Collections>,
    ready: CachedSchemas,
    /// How the check of what one call writes is bounded.
    bounds: CheckBounds,
    /// When it was last logged that documents violate schemas that only warn.
    warned: Mutex<Option<Instant>>,
}

impl Schemas {
    /// The check of what one call writes may take `time`, and no more of `processor` than queries.
    pub(super) fn new(
        collections: &Arc<dyn store::Collections>,
        time: Duration,
        processor: &Arc<Processor>,
    ) -> Self {
        Self {
            collections: collections.clone(),
            bounds: CheckBounds { time, processor: processor.clone() },
            ready: Cache::with_weighter(CACHED_SCHEMAS, SCHEMA_CACHE_BYTES as u64, SchemaWeighter),
            warned: Mutex::default(),
        }
    }

    /// The schema that writes to a collection are checked by.
    ///
    /// # Errors
    /// `collection_not_found`.
    pub(super) async fn get(
        &self,
        organization: &Organization,
        collection: &CollectionName,
    ) -> Result<Option<ActiveSchema>> {
        match self.collections.get_recent_schema(organization, collection).await? {
            Some(definition) => self.prepare(definition).await.map(Some),
            None => Ok(None),
        }
    }

    /// The schema that a collection has now.
    ///
    /// # Errors
    /// `collection_not_found`.
    pub(super) async fn get_current(
        &self,
        organization: &Organization,
        collection: &CollectionName,
    ) -> Result<Option<Arc<Schema>>> {
        match self.collections.get_schema(organization, collection).await? {
            Some(definition) => Ok(Some(self.prepare(definition).await?.schema)),
            None => Ok(None),
        }
    }

    async fn prepare(&self, definition: Arc<SchemaDefinition>) -> Result<ActiveSchema> {
        if let Some(schema) = self.ready.get(&definition.schema) {
            return Ok(ActiveSchema { definition, schema });
        }
        let parsed = definition.clone();
        // Patterns take several times as long to read as values.
        let parsed = offload::by_size(8 * definition.schema.len(), move || parsed.parse()).await?;
        // It was accepted, so it is a defect if it is not any more.
        let schema = Arc::new(parsed.map_err(Error::internal)?);
        self.ready.insert(definition.schema.clone(), schema.clone());
        Ok(ActiveSchema { definition, schema })
    }

    /// Checks the next state of a document; `before` is the one that it replaces. [`Self::warn`] once it is written.
    ///
    /// # Errors
    /// `schema_violation`, `query_too_slow`, `collection_not_found`.
    pub(super) async fn check(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        before: Option<&RawDocument>,
        after: &RawDocument,
    ) -> Result<SchemaCheckOutcome> {
        let Some(active) = self.get(organization, collection).await? else {
            return Ok(SchemaCheckOutcome::Valid);
        };
        match active.check_one(before, after, &self.bounds).await? {
            Err(error) => match self.changed(organization, collection, &active).await? {
                Reread::Same => Err(error),
                Reread::None => Ok(SchemaCheckOutcome::Valid),
                Reread::Other(current) => current.check_one(before, after, &self.bounds).await?,
            },
            checked => checked,
        }
    }

    /// Checks new documents, each on its own. [`Self::warn`] once they are written.
    ///
    /// # Errors
    /// As of [`Self::check`], for all of them.
    pub(super) async fn check_new(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        documents: Vec<StoredDocument>,
    ) -> Result<(Vec<StoredDocument>, Vec<Result<SchemaCheckOutcome>>)> {
        let Some(active) = self.get(organization, collection).await? else {
            let all = documents.iter().map(|_| Ok(SchemaCheckOutcome::Valid)).collect();
            return Ok((documents, all));
        };
        let (mut documents, mut checked) = active.check_all(documents, &self.bounds).await?;
        if checked.iter().any(Result::is_err) {
            match self.changed(organization, collection, &active).await? {
                Reread::Same => {}
                Reread::None => checked = documents.iter().map(|_| Ok(SchemaCheckOutcome::Valid)).collect(),
                Reread::Other(current) => {
                    (documents, checked) = current.check_all(documents, &self.bounds).await?;
                }
            }
        }
        Ok((documents, checked))
    }

    /// Whether the schema, by which something is about to be refused, is still that of the collection.
    pub(super) async fn changed(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        active: &ActiveSchema,
    ) -> Result<Reread> {
        match self.collections.get_schema(organization, collection).await? {
            None => Ok(Reread::None),
            Some(current) if *current == *active.definition => Ok(Reread::Same),
            Some(current) => Ok(Reread::Other(self.prepare(current).await?)),
        }
    }

    /// Counts documents that were written although they violate their schema, and logs that now and then.
    pub(super) fn warn(&self, organization: &Organization, violating: usize) {
        if violating == 0 {
            return;
        }
        metrics::counter!(SCHEMA_WARNINGS).increment(violating as u64);
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|at| at.elapsed() >= SCHEMA_WARNING_INTERVAL) {
            *warned = Some(Instant::now());
            drop(warned);
            tracing::warn!(organization = %organization.id, "documents are written that violate a schema which only warns");
        }
    }
}

/// What the schema of a collection is now.
pub(super) enum Reread {
    /// The one that was gone by.
    Same,
    /// There is none any more.
    None,
    /// Another one.
    Other(ActiveSchema),
}

/// The result of the check of a document that may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SchemaCheckOutcome {
    /// It is valid, or need not be.
    Valid,
    /// It is not, and the schema only warns.
    Warned,
}

impl SchemaCheckOutcome {
    /// How many documents to [warn](Schemas::warn) of once this one is written.
    pub(super) fn warnings(self) -> usize {
        usize::from(self == Self::Warned)
    }
}

/// The schema of a collection, ready for checks. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct ActiveSchema {
    definition: Arc<SchemaDefinition>,
    schema: Arc<Schema>,
}

impl ActiveSchema {
    /// Checks the next state of a document; on this thread. The fuel is for all of the work.
    pub(super) fn evaluate(
        &self,
        before: Option<&RawDocument>,
        after: &RawDocument,
        fuel: &Fuel<'_>,
    ) -> Result<Result<SchemaCheckOutcome>, Interruption> {
        let violations = match self.violations(after, fuel)? {
            Ok(violations) if violations.is_empty() => return Ok(Ok(SchemaCheckOutcome::Valid)),
            violations => violations,
        };
        if self.definition.level == SchemaLevel::Moderate
            && let Some(before) = before
            && let Ok(violations) = self.violations(before, fuel)?
            && !violations.is_empty()
        {
            return Ok(Ok(SchemaCheckOutcome::Valid));
        }
        if self.definition.action == SchemaAction::Warn {
            return Ok(Ok(SchemaCheckOutcome::Warned));
        }
        Ok(Err(match violations {
            Ok(violations) => Error::schema_violation(violations),
            Err(error) => error,
        }))
    }

    /// All violations of a document, or why it cannot be checked.
    fn violations(
        &self,
        document: &RawDocument,
        fuel: &Fuel<'_>,
    ) -> Result<Result<tenantry_documents::schema::Violations>, Interruption> {
        let checked = fuel
            .begin_document(0)
            .map_err(EvaluationError::from)
            .and_then(|()| self.schema.check(document, fuel));
        match checked {
            Ok(violations) => Ok(Ok(violations)),
            Err(
                stop @ (EvaluationError::TooDeep
                | EvaluationError::Interrupted(Interruption::DocumentTooDear)),
            ) => Ok(Err(tenantry_documents::Error::from(stop).into())),
            Err(EvaluationError::Interrupted(Interruption::TimeOver)) => {
                let detail = "The check by the collection's schema did not end within QUERY_TIMEOUT: use fewer branches \
                              of `anyOf`, `oneOf` and `$ref` in it, and simpler patterns, or write less at once.";
                Ok(Err(Error::new(ErrorCode::QueryTooSlow).detail(detail)))
            }
            Err(EvaluationError::Interrupted(stopped)) => Err(stopped),
        }
    }

    /// Whether a document of that size may be checked on an async thread, within a small budget.
    pub(super) fn is_short(&self, bytes: usize) -> bool {
        self.schema.is_short() && bytes <= INLINE_MAX_BYTES
    }

    async fn check_one(
        &self,
        before: Option<&RawDocument>,
        after: &RawDocument,
        bounds: &CheckBounds,
    ) -> Result<Result<SchemaCheckOutcome>> {
        let bytes = after.as_bytes().len() + before.map_or(0, |before| before.as_bytes().len());
        if self.is_short(bytes) {
            match self.evaluate(before, after, &short()) {
                Err(Interruption::BudgetSpent) => {}
                checked => return Ok(checked?),
            }
        }
        let (active, bounds, after) = (self.clone(), bounds.clone(), after.to_owned());
        let before: Option<RawDocumentBuf> = before.map(ToOwned::to_owned);
        let work = move || bounds.run(|fuel| active.evaluate(before.as_deref(), &after, fuel));
        Ok(offload::elsewhere(work).await???)
    }

    /// Checks new documents, each on its own. What is not reached in time is refused.
    async fn check_all(
        &self,
        documents: Vec<StoredDocument>,
        bounds: &CheckBounds,
    ) -> Result<(Vec<StoredDocument>, Vec<Result<SchemaCheckOutcome>>)> {
        let bytes = documents.iter().map(|document| document.body.as_bytes().len()).sum();
        if self.is_short(bytes) {
            let fuel = short();
            let checked: Result<Vec<_>, Interruption> =
                documents.iter().map(|document| self.evaluate(None, &document.body, &fuel)).collect();
            match checked {
                Err(Interruption::BudgetSpent) => {}
                checked => return Ok((documents, checked?)),
            }
        }
        let (active, bounds) = (self.clone(), bounds.clone());
        let work = move || {
            let checked = bounds.run(|fuel| {
                let check = |document: &StoredDocument| {
                    let checked = active.evaluate(None, &document.body, fuel);
                    checked.unwrap_or_else(|stopped| Err(stopped.into()))
                };
                documents.iter().map(check).collect::<Vec<_>>()
            });
            checked.map(|checked| (documents, checked))
        };
        offload::elsewhere(work).await?
    }
}

/// How checks on blocking threads are bounded.
#[derive(Clone)]
struct CheckBounds {
    /// How long the check of what one call writes may take.
    time: Duration,
    processor: Arc<Processor>,
}

impl CheckBounds {
    /// Runs `work` within the bounds. Blocks.
    fn run<T>(&self, work: impl FnOnce(&Fuel<'_>) -> T) -> Result<T> {
        let end = Instant::now() + self.time;
        let is_over = || if Instant::now() < end { Ok(()) } else { Err(Interruption::TimeOver) };
        let slot = self.processor.enter(&is_over)?;
        let must_stop = || slot.give_way(&is_over).and_then(|()| is_over());
        Ok(work(&Fuel::new(&must_stop)))
    }
}

/// Fuel for work on an async thread.
fn short() -> Fuel<'static> {
    Fuel::for_document().up_to(INLINE_MAX_STEPS)
}

/// Whether a write was refused by a schema.
pub(super) fn is_violation(error: &Error) -> bool {
    error.code() == ErrorCode::SchemaViolation
}
