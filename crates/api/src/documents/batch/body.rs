//! The body of a batch: how it is described, and how it is read, with every bad field of every operation at once.
//!
//! # Pitfalls
//! Documents, patches and updates are read as text, as in requests of their own.

use crate::extract::DocumentBody;
use crate::fields::Fields;
use std::sync::Arc;
use tenantry_documents::document::{DocumentId, MergePatch, NewDocument, Revision};
use tenantry_documents::filter::FilterPrice;
use tenantry_documents::limits::FILTER_MAX_STATES;
use tenantry_documents::update::{Update, UpdatePointers};
use tenantry_domain::Result;
use tenantry_domain::app::documents::{BatchAction, BatchCheck, BatchOperation};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::limits::{BATCH_MAX_CONDITIONS, BATCH_MAX_OPERATIONS};
use utoipa::ToSchema;

/// Where the parts of an update are in its operation.
const POINTERS: UpdatePointers<'_> = UpdatePointers { update: "/update", array_filters: "/arrayFilters" };

/// Operations on documents.
#[derive(Debug, ToSchema)]
#[schema(as = BatchBody)]
#[expect(dead_code, reason = "it describes a body; `read` reads it")]
pub struct BatchRequest {
    /// 1 to 1,000 of them, in the order in which they are carried out.
    operations: Vec<OperationRequest>,
}

/// An operation of a batch.
#[derive(Debug, ToSchema)]
#[schema(as = BatchOperation)]
#[expect(dead_code, reason = "as for `BatchRequest`")]
pub struct OperationRequest {
    /// `insert`, `replace`, `patch`, `update`, `delete` or `check`.
    #[schema(value_type = String, example = "update")]
    op: (),
    /// The name of the collection.
    #[schema(value_type = String, example = "orders")]
    collection: (),
    /// The `_id` of the document, as in a URL: 24 hexadecimal digits are an ObjectId, text after `~` is JSON, anything else
    /// is a string. Required, except for `insert`.
    #[schema(required = false, value_type = Option<String>, example = "order-1")]
    id: (),
    /// For all but `insert`: the revision that the document must have, its `ETag` without the quotes.
    #[schema(required = false, value_type = Option<String>)]
    revision: (),
    /// For `insert` and `replace`: the document.
    #[schema(required = false, value_type = Option<Object>)]
    document: (),
    /// For `patch`: a JSON merge patch.
    #[schema(required = false, value_type = Option<Object>)]
    patch: (),
    /// For `update`: operators of MongoDB, each with the paths it changes.
    #[schema(required = false, value_type = Option<Object>, example = json!({ "$inc": { "stock": -1 } }))]
    update: (),
    /// For `update`: the filters of `$[name]` in paths.
    #[schema(rename = "arrayFilters", required = false, value_type = Option<Vec<Object>>)]
    array_filters: (),
    /// For `update`: whether to insert the document if there is none.
    #[schema(required = false, value_type = Option<bool>)]
    upsert: (),
    /// For `check`: whether the document must exist. A check has this or a `revision`.
    #[schema(required = false, value_type = Option<bool>)]
    exists: (),
}

/// The members of operations, in the order in which errors name them.
const MEMBERS: [&str; 10] =
    ["op", "collection", "id", "revision", "document", "patch", "update", "arrayFilters", "upsert", "exists"];

/// Reads the operations of a batch.
///
/// # Errors
/// `invalid_json`; `invalid_input` with every bad field.
pub fn read(body: &DocumentBody, max_bytes: usize) -> Result<Vec<BatchOperation>> {
    let mut cost = FilterPrice::default();
    body.fields()?.parse(|fields| {
        fields
            .objects("operations", BATCH_MAX_OPERATIONS, |fields, _| operation(fields, max_bytes, &mut cost))
    })
}

fn operation(fields: &mut Fields, max_bytes: usize, cost: &mut FilterPrice) -> Option<BatchOperation> {
    let earlier = fields.error_count();
    let kind = fields.required("op", ActionKind::parse);
    let collection = fields.required("collection", CollectionName::parse);
    let action = kind.and_then(|kind| action(fields, kind, max_bytes, cost));
    if kind.is_none() {
        // Some operation takes each of these; what none takes is refused along with the missing `op`.
        fields.ignore(&MEMBERS);
    }
    fields.sort_errors(earlier, &MEMBERS);
    Some(BatchOperation { collection: collection?, action: action? })
}

fn action(
    fields: &mut Fields,
    kind: ActionKind,
    max_bytes: usize,
    cost: &mut FilterPrice,
) -> Option<BatchAction> {
    if kind == ActionKind::Insert {
        return Some(BatchAction::Insert { id: None, document: document(fields, max_bytes)? });
    }
    let id = fields.required("id", DocumentId::parse);
    let has_revision = fields.has("revision");
    let revision = fields.optional("revision", parse_revision);
    match kind {
        ActionKind::Insert => None,
        ActionKind::Replace => {
            let document = document(fields, max_bytes);
            Some(BatchAction::Replace { id: id?, revision, document: document? })
        }
        ActionKind::Patch => {
            let text: Option<String> = fields.required("patch", str::parse);
            let patch = text.and_then(|text| fields.take_below("patch", MergePatch::parse(&text)));
            Some(BatchAction::Patch { id: id?, revision, patch: patch? })
        }
        ActionKind::Update => {
            let update = update(fields, cost);
            let upsert = fields.flag("upsert").unwrap_or_default();
            Some(BatchAction::Update { id: id?, revision, update: Arc::new(update?), upsert })
        }
        ActionKind::Delete => Some(BatchAction::Delete { id: id?, revision }),
        ActionKind::Check => {
            let has_exists = fields.has("exists");
            let exists = fields.flag("exists");
            if has_exists == has_revision {
                fields.refuse("exists", "A check has either `exists` or a `revision`.");
            }
            let check = match (exists, revision) {
                (Some(true), _) => BatchCheck::Exists,
                (Some(false), _) => BatchCheck::Missing,
                (None, revision) => BatchCheck::Revision(revision?),
            };
            Some(BatchAction::Check { id: id?, check })
        }
    }
}

fn document(fields: &mut Fields, max_bytes: usize) -> Option<NewDocument> {
    let text: String = fields.required("document", str::parse)?;
    fields.take_below("document", NewDocument::parse(&text, max_bytes))
}

fn update(fields: &mut Fields, cost: &mut FilterPrice) -> Option<Update> {
    let update: Option<String> = fields.required("update", str::parse);
    let filters: Option<String> = fields.optional("arrayFilters", str::parse);
    let update = update?;
    if cost.states > FILTER_MAX_STATES || cost.nodes > BATCH_MAX_CONDITIONS {
        let detail = format!(
            "The filters of all updates of a batch may have at most {BATCH_MAX_CONDITIONS} conditions, and \
             {FILTER_MAX_STATES} states in all of their patterns when compiled."
        );
        fields.refuse("update", detail);
        return None;
    }
    let update = fields.take_within(Update::parse(&update, filters.as_deref(), POINTERS))?;
    cost.states += update.price().states;
    cost.nodes += update.price().nodes;
    Some(update)
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ActionKind {
    Insert,
    Replace,
    Patch,
    Update,
    Delete,
    Check,
}

impl ActionKind {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "insert" => Ok(Self::Insert),
            "replace" => Ok(Self::Replace),
            "patch" => Ok(Self::Patch),
            "update" => Ok(Self::Update),
            "delete" => Ok(Self::Delete),
            "check" => Ok(Self::Check),
            _ => Err("Must be `insert`, `replace`, `patch`, `update`, `delete` or `check`."),
        }
    }
}

/// A revision as responses have it. No document is known to have another.
fn parse_revision(text: &str) -> Result<Revision, &'static str> {
    let plain = text.trim_matches('"');
    let revision = plain.parse().ok().map(Revision).filter(|revision| *revision != Revision::UNKNOWN);
    revision.ok_or("Must be a revision, as results of batches, `ETag` and `revisions` of a query have it.")
}
