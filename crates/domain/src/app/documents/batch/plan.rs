//! The operations of a batch, carried out on the documents that were read: the steps that the engine writes, and the
//! results.

use super::apply::{NextState, apply};
use super::moment::Moment;
use super::request::{BatchAction, BatchEffect, BatchOperation, BatchResult, DocumentKey, KeyedBatch};
use crate::app::documents::schemas::{ActiveSchema, SchemaCheckOutcome};
use crate::collection::CollectionName;
use crate::error::{Error, ErrorCode, Result};
use crate::store::{BatchChange, BatchStep, operation_pointer};
use bson::RawDocument;
use std::collections::HashMap;
use std::time::Instant;
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_documents::fuel::{Fuel, Interruption};

/// The documents that were read: `None` for those that do not exist.
#[derive(Default)]
pub(super) struct ReadDocuments(HashMap<(CollectionName, Vec<u8>), Option<StoredDocument>>);

impl ReadDocuments {
    pub(super) fn insert(&mut self, key: &DocumentKey, document: Option<StoredDocument>) {
        self.0.insert((key.collection.clone(), key.key.clone()), document);
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.values().flatten().map(|document| document.body.as_bytes().len()).sum()
    }

    /// A revision that none of them has had.
    pub(super) fn next_revision(&self) -> Revision {
        let last = self.0.values().flatten().map(|document| document.revision).max();
        last.unwrap_or(Revision::UNKNOWN).next()
    }
}

/// The schemas of collections; `None` for those that have none.
pub(super) type BatchSchemas = HashMap<CollectionName, Option<ActiveSchema>>;

/// What a batch writes and answers.
pub(super) struct BatchPlan {
    pub(super) steps: Vec<BatchStep>,
    pub(super) results: Vec<BatchResult>,
    /// How many documents violate schemas that only warn.
    pub(super) warned: usize,
    /// Whether an earlier try has written it.
    pub(super) is_done: bool,
}

/// A document while operations change it.
struct DocumentState {
    /// The place of the first operation that is about it, and its `_id` there.
    operation: usize,
    id: DocumentId,
    /// Its revision as it was read; `None` if it did not exist.
    read: Option<Revision>,
    /// Whether it was read at all.
    was_read: bool,
    current: Option<StoredDocument>,
    is_written: bool,
}

impl BatchPlan {
    /// Carries out the operations, in their order.
    ///
    /// # Errors
    /// As of single changes, with the pointer of the operation; `idempotency_outcome_unknown`.
    pub(super) fn new(
        operations: &[BatchOperation],
        read: ReadDocuments,
        schemas: &BatchSchemas,
        moment: Moment,
        keyed: Option<KeyedBatch>,
    ) -> Result<Self> {
        let again = keyed.filter(|keyed| keyed.is_again);
        if again.is_some()
            && let Some(results) = inserted_before(operations, &read)
        {
            return Ok(Self { steps: Vec::new(), results, warned: 0, is_done: true });
        }
        let mut planner = Planner {
            bytes: read.bytes(),
            read,
            schemas,
            moment,
            states: HashMap::new(),
            steps: Vec::new(),
            warned: 0,
        };
        let mut results = Vec::with_capacity(operations.len());
        let mut refused = None;
        for (place, operation) in operations.iter().enumerate() {
            match planner.carry_out(place, operation) {
                Ok(result) => results.push(result),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        if let Some(again) = again
            && !planner.is_untouched_since(again.earliest(), operations, refused.is_some())
        {
            return Err(ErrorCode::IdempotencyOutcomeUnknown.into());
        }
        match refused {
            Some(error) => Err(error),
            None => {
                let warned = planner.warned;
                Ok(Self { steps: planner.finish(), results, warned, is_done: false })
            }
        }
    }
}

/// The results of a batch of inserts alone that are all there: an earlier try has inserted them.
fn inserted_before(operations: &[BatchOperation], read: &ReadDocuments) -> Option<Vec<BatchResult>> {
    let result = |operation: &BatchOperation| {
        let BatchAction::Insert { id: Some(id), document } = &operation.action else { return None };
        let stored = read.0.get(&(operation.collection.clone(), id.key()))?.as_ref()?;
        let is_same = stored.body == document.clone().with_id(|| id.clone());
        let effect = BatchEffect::Inserted(stored.revision);
        is_same.then(|| BatchResult { id: id.clone(), effect })
    };
    operations.iter().map(result).collect()
}

struct Planner<'a> {
    read: ReadDocuments,
    schemas: &'a BatchSchemas,
    moment: Moment,
    states: HashMap<(CollectionName, Vec<u8>), DocumentState>,
    steps: Vec<BatchStep>,
    /// Of the documents that were read and those that are written.
    bytes: usize,
    warned: usize,
}

impl Planner<'_> {
    fn carry_out(&mut self, place: usize, operation: &BatchOperation) -> Result<BatchResult> {
        let pointer = operation_pointer(place);
        if Instant::now() >= self.moment.ends {
            return Err(Error::query_timed_out().below(&pointer));
        }
        let id = operation.id().ok_or_else(|| Error::internal("an operation without an _id"))?;
        let state = state_of(&mut self.states, &mut self.read, place, operation, id);
        let (next, effect) = apply(&operation.action, state.current.as_ref(), self.moment)
            .map_err(|error| operation.name_absent(error).below(&pointer))?;
        let change = match next {
            NextState::Same => None,
            NextState::Gone => state.current.take().map(|before| BatchChange::Delete { before }),
            NextState::Stored(body) => {
                self.bytes += body.as_bytes().len();
                if self.bytes > self.moment.max_batch_bytes {
                    return Err(self.moment.too_large(place));
                }
                if let Some(Some(schema)) = self.schemas.get(&operation.collection) {
                    let before = state.current.as_ref().map(|before| &*before.body);
                    let checked = check(schema, before, &body, self.moment);
                    // Of a document that is not in the request, the pointers are those of the document.
                    let at = if operation.has_document() { "/document" } else { "" };
                    let checked = checked.map_err(|error| error.below(at).below(&pointer))?;
                    self.warned += usize::from(checked == SchemaCheckOutcome::Warned);
                }
                let after = StoredDocument { body, revision: self.moment.revision };
                Some(match state.current.replace(after.clone()) {
                    Some(before) => BatchChange::Replace { before, after },
                    None => BatchChange::Insert {
                        document: after,
                        was_missing: state.was_read && !state.is_written,
                    },
                })
            }
        };
        if let Some(change) = change {
            state.is_written = true;
            let collection = operation.collection.clone();
            self.steps.push(BatchStep { operation: place, collection, change });
        }
        Ok(BatchResult { id: id.clone(), effect })
    }

    /// Whether the batch may be carried out although an earlier try may have been: nobody has written any of the documents
    /// that it changes since, so that try has not; or there is nothing to write; or there are only inserts, and not all are
    /// there.
    fn is_untouched_since(
        &self,
        earliest: Revision,
        operations: &[BatchOperation],
        is_refused: bool,
    ) -> bool {
        let changed = self.states.values().filter(|state| state.is_written);
        let revisions: Vec<Revision> = changed.filter_map(|state| state.read).collect();
        let writes_nothing = self.steps.is_empty() && !is_refused;
        writes_nothing
            || operations.iter().all(BatchOperation::is_insert)
            || (!revisions.is_empty() && revisions.iter().all(|revision| *revision < earliest))
    }

    /// The steps; the documents that were read and are not written are checked.
    fn finish(self) -> Vec<BatchStep> {
        let mut steps = self.steps;
        let mut unwritten: Vec<_> =
            self.states.into_iter().filter(|(_, state)| !state.is_written && state.was_read).collect();
        unwritten.sort_by_key(|(_, state)| state.operation);
        // With one document there is nothing that the check has to agree with.
        if steps.is_empty() && unwritten.len() == 1 {
            return steps;
        }
        steps.extend(unwritten.into_iter().map(|((collection, _), state)| BatchStep {
            operation: state.operation,
            collection,
            change: BatchChange::Check { id: state.id, revision: state.read },
        }));
        steps
    }
}

/// Checks the next state of a document, within the time of the batch.
fn check(
    schema: &ActiveSchema,
    before: Option<&RawDocument>,
    after: &RawDocument,
    moment: Moment,
) -> Result<SchemaCheckOutcome> {
    let is_over = || if Instant::now() < moment.ends { Ok(()) } else { Err(Interruption::TimeOver) };
    schema.evaluate(before, after, &Fuel::new(&is_over))?
}

fn state_of<'a>(
    states: &'a mut HashMap<(CollectionName, Vec<u8>), DocumentState>,
    read: &mut ReadDocuments,
    place: usize,
    operation: &BatchOperation,
    id: &DocumentId,
) -> &'a mut DocumentState {
    let key = (operation.collection.clone(), id.key());
    let found = read.0.remove(&key);
    states.entry(key).or_insert_with(|| {
        let was_read = found.is_some();
        let current = found.flatten();
        DocumentState {
            operation: place,
            id: current.as_ref().and_then(StoredDocument::id).unwrap_or_else(|| id.clone()),
            read: current.as_ref().map(|document| document.revision),
            was_read,
            current,
            is_written: false,
        }
    })
}
