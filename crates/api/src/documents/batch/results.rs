//! The results of a batch as JSON, and the short form in which those of many operations are kept for an
//! `Idempotency-Key`: the one revision that all have, and a letter for each operation. The repeated request has the rest.

use super::body;
use crate::extract::DocumentBody;
use serde::{Deserialize, Serialize};
use tenantry_documents::document::{DocumentId, Revision};
use tenantry_domain::app::documents::{BatchAction, BatchEffect, BatchOperation, BatchResult, KeyedBatch};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::{Error, Result};
use utoipa::ToSchema;

/// What a batch did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchResults)]
pub struct BatchResponse {
    /// A result for each operation, in their order.
    pub results: Vec<OperationResponse>,
}

/// What an operation of a batch did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchResult)]
pub struct OperationResponse {
    /// As of a single request: 201 if the document was inserted, 204 if it was deleted, else 200.
    pub status: u16,
    /// The `_id` of the document, as in a URL.
    pub id: String,
    /// Its new revision, if it was written: its `ETag` without the quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub revision: Option<String>,
    /// Of an update, patch or replacement: whether the document has changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub modified: Option<bool>,
}

impl OperationResponse {
    fn new(id: &DocumentId, effect: BatchEffect) -> Self {
        let (status, revision, modified) = match effect {
            BatchEffect::Inserted(revision) => (201, Some(revision), None),
            BatchEffect::Changed(revision) => (200, Some(revision), Some(true)),
            BatchEffect::Unchanged => (200, None, Some(false)),
            BatchEffect::Deleted => (204, None, None),
            BatchEffect::Held => (200, None, None),
        };
        Self { status, id: id.to_string(), revision: revision.map(|revision| revision.to_string()), modified }
    }
}

/// The whole response.
pub fn whole(results: &[BatchResult]) -> Vec<u8> {
    let results = results.iter().map(|result| OperationResponse::new(&result.id, result.effect)).collect();
    serde_json::to_vec(&BatchResponse { results }).unwrap_or_default()
}

/// The short form of a response.
#[derive(Serialize, Deserialize)]
struct ShortResults {
    revision: u64,
    /// A letter for each operation.
    effects: String,
}

/// The short form of these results; `None` if their revisions differ.
pub fn short(results: &[BatchResult]) -> Option<Vec<u8>> {
    let mut short = ShortResults { revision: 0, effects: String::with_capacity(results.len()) };
    for result in results {
        let (letter, revision) = match result.effect {
            BatchEffect::Inserted(revision) => ('i', Some(revision)),
            BatchEffect::Changed(revision) => ('c', Some(revision)),
            BatchEffect::Unchanged => ('u', None),
            BatchEffect::Deleted => ('d', None),
            BatchEffect::Held => ('h', None),
        };
        short.effects.push(letter);
        if let Some(Revision(revision)) = revision {
            if short.revision != 0 && short.revision != revision {
                return None;
            }
            short.revision = revision;
        }
    }
    serde_json::to_vec(&short).ok()
}

/// The whole response of which `stored` is the short form; `None` if `stored` is whole.
///
/// # Errors
/// `internal` if it is the response to another request.
pub fn expanded(
    body: &DocumentBody,
    max_bytes: usize,
    made: OrganizationId,
    stored: &[u8],
) -> Result<Option<Vec<u8>>> {
    let Ok(short) = serde_json::from_slice::<ShortResults>(stored) else { return Ok(None) };
    let operations = body::read(body, max_bytes)?;
    if operations.len() != short.effects.len() {
        return Err(Error::internal("the kept results are those of another batch"));
    }
    let (keyed, revision) = (KeyedBatch { made, is_again: true }, Revision(short.revision));
    let mut results = Vec::with_capacity(operations.len());
    for ((place, operation), letter) in operations.iter().enumerate().zip(short.effects.chars()) {
        let effect = match letter {
            'i' => BatchEffect::Inserted(revision),
            'c' => BatchEffect::Changed(revision),
            'u' => BatchEffect::Unchanged,
            'd' => BatchEffect::Deleted,
            _ => BatchEffect::Held,
        };
        results.push(BatchResult { id: id_of(operation, place, &keyed), effect });
    }
    Ok(Some(whole(&results)))
}

/// The `_id` of the document of an operation.
fn id_of(operation: &BatchOperation, place: usize, keyed: &KeyedBatch) -> DocumentId {
    match &operation.action {
        BatchAction::Insert { document, .. } => document.id().cloned().unwrap_or_else(|| keyed.id_of(place)),
        BatchAction::Replace { id, .. }
        | BatchAction::Patch { id, .. }
        | BatchAction::Update { id, .. }
        | BatchAction::Delete { id, .. }
        | BatchAction::Check { id, .. } => id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;
    use serde_json::json;

    #[test]
    fn batch_results_come_back_from_their_short_form() {
        let operations = json!({ "operations": [
            { "op": "insert", "collection": "a", "document": { "_id": 5 } },
            { "op": "insert", "collection": "a", "document": {} },
            { "op": "update", "collection": "b", "id": "x", "update": { "$set": { "n": 1 } } },
            { "op": "patch", "collection": "b", "id": "y", "patch": { "n": 1 } },
            { "op": "delete", "collection": "b", "id": "~5" },
            { "op": "check", "collection": "b", "id": "z", "exists": false },
        ] });
        let body = DocumentBody(Bytes::from(operations.to_string()));
        let made = OrganizationId::from_bytes([7; 12]);
        let keyed = KeyedBatch { made, is_again: false };
        let effects = [
            BatchEffect::Inserted(Revision(9)),
            BatchEffect::Inserted(Revision(9)),
            BatchEffect::Unchanged,
            BatchEffect::Changed(Revision(9)),
            BatchEffect::Deleted,
            BatchEffect::Held,
        ];
        let operations = body::read(&body, 1 << 20).unwrap();
        let results: Vec<BatchResult> = (operations.iter().enumerate().zip(effects))
            .map(|((place, operation), effect)| BatchResult { id: id_of(operation, place, &keyed), effect })
            .collect();
        let stored = short(&results).unwrap();
        assert_eq!(expanded(&body, 1 << 20, made, &stored).unwrap(), Some(whole(&results)));
        assert_eq!(expanded(&body, 1 << 20, made, &whole(&results)).unwrap(), None);
        assert_eq!(results[1].id.to_string(), "070707070707070707070706");
    }
}
