//! Checks the documents that a collection has by a schema: its own, or one that it might get.
//!
//! A page at a time, in the order of the ids, for a limited time; the cursor at the end says where the next check goes on.

use super::cursor::{self, position};
use super::{Documents, PageRequest};
use crate::app::tenant::{Read, TenantAccess};
use crate::clock;
use crate::collection::CollectionName;
use crate::error::{Error, ErrorCode, FieldError, Result};
use crate::limits::{ARCHIVE_PAGE_BYTES, SCHEMA_CHECK_PAGE_DOCUMENTS, SCHEMA_CHECK_TIME};
use crate::offload;
use crate::processor::Processor;
use bson::RawBson;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tenantry_documents::document::{ID_FIELD, StoredDocument};
use tenantry_documents::filter::Filter;
use tenantry_documents::fuel::{Fuel, Interruption};
use tenantry_documents::query::DocumentQuery;
use tenantry_documents::schema::{EvaluationError, Schema};
use tenantry_documents::sort::{Position, Sort};

/// A check of a collection, and how far it has come.
pub struct SchemaCheck {
    collection: CollectionName,
    schema: Arc<Schema>,
    /// What its cursors are bound to.
    scope: Vec<u8>,
    after: Option<Position>,
    began: Timestamp,
    ends: Instant,
    checked: u64,
    violating: u64,
    is_over: bool,
}

/// A document that violates the schema.
#[derive(Debug)]
pub struct ViolatingDocument {
    /// Its `_id`.
    pub id: RawBson,
    /// What is wrong with it, or why that cannot be said.
    pub errors: Vec<FieldError>,
    /// How many errors are not named.
    pub unnamed: u64,
}

/// The next documents of a check.
#[derive(Debug)]
pub struct SchemaCheckPage {
    /// Those that violate the schema.
    pub violating: Vec<ViolatingDocument>,
    /// After the last.
    pub totals: Option<SchemaCheckTotals>,
}

/// What a check has found.
#[derive(Debug)]
pub struct SchemaCheckTotals {
    /// How many documents were checked.
    pub checked: u64,
    /// How many of these violate the schema.
    pub violating: u64,
    /// Where the next check goes on, if there are more.
    pub next_cursor: Option<String>,
}

impl SchemaCheck {
    /// By the clock as well: the time of `Instant` stands still while a machine sleeps.
    fn is_time_over(&self, now: Timestamp) -> bool {
        Instant::now() >= self.ends || clock::between(self.began, now) >= SCHEMA_CHECK_TIME
    }
}

impl Documents {
    /// Begins a check of a collection by `schema`, or else by its own.
    ///
    /// # Errors
    /// `collection_not_found`, `schema_not_found`; `invalid_input` for a bad cursor.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn begin_schema_check(
        &self,
        tenant: &TenantAccess<Read>,
        collection: &CollectionName,
        schema: Option<Schema>,
        cursor: Option<String>,
    ) -> Result<SchemaCheck> {
        // As for a page of documents.
        let tenant = &self.auth.renew(tenant).await?;
        let organization = tenant.organization();
        let own = self.schemas.get_current(organization, collection).await?;
        let schema = match schema {
            Some(schema) => Arc::new(schema),
            None => own.ok_or(ErrorCode::SchemaNotFound)?,
        };
        let request = PageRequest { cursor, cursor_at: "?cursor", ..PageRequest::default() };
        let scope = request.scope(organization.id, collection)?;
        let after = request.position(&self.mac_keys, &scope)?;
        Ok(SchemaCheck {
            collection: collection.clone(),
            schema,
            scope,
            after,
            began: self.sources.now(),
            ends: Instant::now() + SCHEMA_CHECK_TIME,
            checked: 0,
            violating: 0,
            is_over: false,
        })
    }

    /// Checks the next documents; `None` after the totals.
    ///
    /// # Errors
    /// `collection_not_found`, `query_too_slow`, and those of a right that has ended.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn continue_schema_check(
        &self,
        tenant: &TenantAccess<Read>,
        check: &mut SchemaCheck,
    ) -> Result<Option<SchemaCheckPage>> {
        if check.is_over {
            return Ok(None);
        }
        // The whole may take a minute.
        let tenant = &self.auth.renew(tenant).await?;
        let query = DocumentQuery {
            after: check.after.take(),
            limit: SCHEMA_CHECK_PAGE_DOCUMENTS,
            max_bytes: ARCHIVE_PAGE_BYTES,
            time: self.query_time,
            filter: Filter::default(),
            sort: Sort::default(),
        };
        let page = self.documents.find_documents(tenant.organization(), &check.collection, &query).await?;
        let (schema, processor, time) = (check.schema.clone(), self.processor.clone(), self.query_time);
        let documents = page.documents;
        let work = move || {
            let checked = check_documents(&schema, &documents, &processor, time);
            checked.map(|(count, violating)| (documents, count, violating))
        };
        let (documents, count, violating) = offload::elsewhere(work).await??;
        check.checked += count as u64;
        check.violating += violating.len() as u64;
        let has_more = page.more || count < documents.len();
        let last = count.checked_sub(1).and_then(|last| documents.get(last)).filter(|_| has_more);
        if let Some(last) = last {
            let position = position(Sort::default(), &last.body).await?;
            if !check.is_time_over(self.sources.now()) {
                check.after = Some(position);
                return Ok(Some(SchemaCheckPage { violating, totals: None }));
            }
            return Ok(Some(self.end_schema_check(check, violating, Some(&position))));
        }
        Ok(Some(self.end_schema_check(check, violating, None)))
    }

    fn end_schema_check(
        &self,
        check: &mut SchemaCheck,
        violating: Vec<ViolatingDocument>,
        position: Option<&Position>,
    ) -> SchemaCheckPage {
        check.is_over = true;
        let next_cursor = position.map(|at| cursor::seal(self.mac_keys.current(), &check.scope, at));
        let totals = SchemaCheckTotals { checked: check.checked, violating: check.violating, next_cursor };
        SchemaCheckPage { violating, totals: Some(totals) }
    }
}

/// Checks documents one after the other: as many as can be in `time`, and at least one. Blocks.
fn check_documents(
    schema: &Schema,
    documents: &[StoredDocument],
    processor: &Processor,
    time: Duration,
) -> Result<(usize, Vec<ViolatingDocument>)> {
    let end = Instant::now() + time;
    let is_over = || if Instant::now() < end { Ok(()) } else { Err(Interruption::TimeOver) };
    let slot = processor.enter(&is_over)?;
    let must_stop = || slot.give_way(&is_over).and_then(|()| is_over());
    let fuel = Fuel::new(&must_stop);
    let mut violating = Vec::new();
    for (count, document) in documents.iter().enumerate() {
        let checked = fuel
            .begin_document(0)
            .map_err(EvaluationError::from)
            .and_then(|()| schema.check(&document.body, &fuel));
        match checked {
            Ok(violations) if violations.is_empty() => {}
            Ok(violations) => {
                let unnamed = violations.unnamed();
                violating.push(ViolatingDocument { id: id_of(document), errors: violations.named, unnamed });
            }
            Err(
                stop @ (EvaluationError::TooDeep
                | EvaluationError::Interrupted(Interruption::DocumentTooDear)),
            ) => {
                let detail = Error::from(tenantry_documents::Error::from(stop)).sentence();
                let errors = vec![FieldError { pointer: String::new(), detail }];
                violating.push(ViolatingDocument { id: id_of(document), errors, unnamed: 0 });
            }
            // The rest is for the next page.
            Err(EvaluationError::Interrupted(Interruption::TimeOver)) if count > 0 => {
                return Ok((count, violating));
            }
            Err(EvaluationError::Interrupted(stopped)) => return Err(stopped.into()),
        }
    }
    Ok((documents.len(), violating))
}

fn id_of(document: &StoredDocument) -> RawBson {
    document.body.get(ID_FIELD).ok().flatten().map_or(RawBson::Null, RawBson::from)
}
