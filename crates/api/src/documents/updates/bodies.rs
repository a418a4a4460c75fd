//! The bodies of updates: how they are described, and how they are read.
//!
//! # Pitfalls
//! The filter, the operators and the filters of arrays are read as text: they may hold any value of a document.

use crate::fields::Fields;
use std::sync::Arc;
use tenantry_documents::filter::Filter;
use tenantry_documents::sort::Sort;
use tenantry_documents::update::{Update, UpdatePointers};
use utoipa::ToSchema;

const POINTERS: UpdatePointers<'_> = UpdatePointers { update: "/update", array_filters: "/arrayFilters" };

/// Which state of the document a response has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReturnedDocument {
    Before,
    After,
    #[default]
    None,
}

impl ReturnedDocument {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "before" => Ok(Self::Before),
            "after" => Ok(Self::After),
            "none" => Ok(Self::None),
            _ => Err("Must be `before`, `after` or `none`."),
        }
    }
}

/// The update of one document.
#[derive(Debug, ToSchema)]
#[schema(as = UpdateDocumentBody)]
#[expect(dead_code, reason = "it describes a body; `SentUpdate` reads it")]
pub struct UpdateDocumentRequest {
    /// Operators of MongoDB, each with the paths it changes.
    #[schema(value_type = Object, example = json!({ "$inc": { "stock": -1 }, "$push": { "log": { "$each": ["sold"], "$slice": -10 } } }))]
    update: (),
    /// The filters of `$[name]` in paths: each has conditions on one name.
    #[schema(rename = "arrayFilters", required = false, value_type = Option<Vec<Object>>, example = json!([{ "item.price": { "$gt": 100 } }]))]
    array_filters: (),
    /// Whether to insert the document if there is none.
    #[schema(required = false, value_type = Option<bool>)]
    upsert: (),
    /// `before`, `after` or `none`: which state of the document to return; none by default.
    #[schema(rename = "return", required = false, value_type = Option<String>)]
    returned: (),
}

/// The update of the documents that match a filter.
#[derive(Debug, ToSchema)]
#[schema(as = UpdateBody)]
#[expect(dead_code, reason = "as for `UpdateDocumentRequest`")]
pub struct UpdateDocumentsRequest {
    /// Which documents, in MongoDB's filter language; `{}` is all.
    #[schema(value_type = Object, example = json!({ "status": "open" }))]
    filter: (),
    /// Operators of MongoDB, each with the paths it changes.
    #[schema(value_type = Object, example = json!({ "$set": { "status": "taken" }, "$currentDate": { "taken_at": true } }))]
    update: (),
    /// The filters of `$[name]` in paths: each has conditions on one name.
    #[schema(rename = "arrayFilters", required = false, value_type = Option<Vec<Object>>, example = json!([{ "item.price": { "$gt": 100 } }]))]
    array_filters: (),
    /// Whether to update all documents that match, instead of the first one.
    #[schema(required = false, value_type = Option<bool>)]
    multi: (),
    /// Which document is the first: up to 3 paths joined by commas, with `-` before a descending one.
    #[schema(required = false, value_type = Option<String>, example = "-priority")]
    sort: (),
    /// Whether to insert a document if none matches.
    #[schema(required = false, value_type = Option<bool>)]
    upsert: (),
    /// `before`, `after` or `none`: which state of the one document to return; none by default.
    #[schema(rename = "return", required = false, value_type = Option<String>)]
    returned: (),
}

/// The document to delete.
#[derive(Debug, ToSchema)]
#[schema(as = FindOneAndDeleteBody)]
#[expect(dead_code, reason = "as for `UpdateDocumentRequest`")]
pub struct FindOneAndDeleteRequest {
    /// Which documents, in MongoDB's filter language; `{}` is all.
    #[schema(value_type = Object, example = json!({ "queue": "mail" }))]
    filter: (),
    /// Which of them is the first: up to 3 paths joined by commas, with `-` before a descending one.
    #[schema(required = false, value_type = Option<String>, example = "due")]
    sort: (),
}

/// The members of a body that describe an update.
pub struct SentUpdate {
    pub update: Arc<Update>,
    pub upsert: bool,
    pub returned: ReturnedDocument,
}

impl SentUpdate {
    pub fn from_fields(fields: &mut Fields) -> Option<Self> {
        let earlier = fields.error_count();
        let update: Option<String> = fields.required("update", str::parse);
        let filters: Option<String> = fields.optional("arrayFilters", str::parse);
        let update = update.and_then(|update| {
            let parsed = Update::parse(&update, filters.as_deref(), POINTERS);
            fields.take(parsed)
        });
        let upsert = fields.flag("upsert").unwrap_or_default();
        let returned = fields.optional("return", ReturnedDocument::parse).unwrap_or_default();
        fields.sort_errors(earlier, &["update", "arrayFilters", "return", "upsert"]);
        Some(Self { update: Arc::new(update?), upsert, returned })
    }
}

/// The members of a body that update documents by a filter.
pub struct SentUpdates {
    pub filter: Arc<Filter>,
    pub sent: SentUpdate,
    pub multi: bool,
    pub sort: Sort,
}

impl SentUpdates {
    pub fn from_fields(fields: &mut Fields) -> Option<Self> {
        let earlier = fields.error_count();
        let filter = fields.required_filter("filter");
        let sent = SentUpdate::from_fields(fields);
        let multi = fields.flag("multi").unwrap_or_default();
        let has_sort = fields.has("sort");
        let sort = fields.optional("sort", Sort::parse).unwrap_or_default();
        if multi && has_sort {
            fields.refuse("sort", "Is for the update of one document; with `multi`, leave it out.");
        }
        if multi && sent.as_ref().is_some_and(|sent| sent.returned != ReturnedDocument::None) {
            fields.refuse("return", "Is for the update of one document; with `multi`, leave it out.");
        }
        fields
            .sort_errors(earlier, &["filter", "update", "arrayFilters", "sort", "return", "multi", "upsert"]);
        Some(Self { filter: Arc::new(filter?), sent: sent?, multi, sort })
    }
}
