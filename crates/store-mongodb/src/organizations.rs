//! Organizations, their reserved keys, and the leases of their operations.
//!
//! Beside the record a document has `status` (the wire name), `hidden` (for what lists show only when asked),
//! `purge_due` (while it may be purged) and `lease_until` (while an operation is running). Leases begin and end by
//! the server's clock, which all instances share: the server gets durations, never points in time.

use crate::engine_error::{EngineError, EngineResult};
use crate::names::ORGANIZATIONS_BY_STATUS;
use crate::organization_records::OrganizationRecords;
use crate::quota::limits::is_limited;
use crate::quota::usage::UsageRecords;
use crate::record_codec::{decode, encode, integer, moment, object_id};
use crate::records::{Records, update_outcome};
use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use mongodb::options::{Hint, ReturnDocument};
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::ids::{OperationId, OrganizationId};
use tenantry_domain::limits::OPERATION_LEASE;
use tenantry_domain::name::Identifier;
use tenantry_domain::organization::{Organization, State, Status};
use tenantry_domain::store::{self, InsertOutcome, OrganizationQuery, UpdateOutcome};

/// Sorts after every identifier, which is ASCII.
const ABOVE_IDENTIFIERS: &str = "\u{10ffff}";
/// No record has this version.
const NO_VERSION: i64 = -1;

/// See [`store::Organizations`].
pub(crate) struct Organizations {
    records: OrganizationRecords,
    /// The usage of an organization is reset when its quota begins.
    usage: UsageRecords,
}

impl Organizations {
    pub(crate) const fn new(records: OrganizationRecords, usage: UsageRecords) -> Self {
        Self { records, usage }
    }

    const fn records(&self) -> &Records {
        self.records.records()
    }

    const fn collection(&self) -> &Collection<Document> {
        self.records.records().collection()
    }
}

#[async_trait]
impl store::Organizations for Organizations {
    /// An update that matches nothing and so inserts: an insert proper could not use the server's clock.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn insert_organization(&self, organization: &Organization) -> Result<InsertOutcome> {
        let filter = doc! { "_id": object_id(organization.id.as_bytes()), "version": NO_VERSION };
        let insert = self.collection().update_one(filter, replacement(organization)?).upsert(true);
        match self.records().call(insert).await {
            Ok(_) => Ok(InsertOutcome::New),
            Err(EngineError::Duplicate { .. }) if self.records.exists(organization.id).await? => {
                Ok(InsertOutcome::Exists)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %id))]
    async fn get_organization(&self, id: OrganizationId) -> Result<Option<Arc<Organization>>> {
        let filter = doc! { "_id": object_id(id.as_bytes()) };
        Ok(self.records().find_one(filter).await?)
    }

    /// At most one organization that is not hidden has the identifier reserved.
    #[tracing::instrument(level = "debug", skip_all)]
    async fn find_organization(&self, identifier: &Identifier) -> Result<Option<Arc<Organization>>> {
        let filter = doc! {
            "hidden": false,
            "identifier": identifier.as_str(),
            "status": { "$ne": Status::Provisioning.as_str() },
        };
        Ok(self.records().find_one(filter).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn find_organization_of_operation(&self, id: OperationId) -> Result<Option<Arc<Organization>>> {
        let filter = doc! { "operation.id": object_id(id.as_bytes()) };
        Ok(self.records().find_one(filter).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_organizations(
        &self,
        query: &OrganizationQuery,
        limit: u32,
    ) -> Result<Vec<Arc<Organization>>> {
        let (index, filter) = selection(query);
        let find = self.collection().find(filter);
        let find = find.sort(doc! { "identifier": 1, "_id": 1 }).hint(Hint::Name(index.to_owned()));
        Ok(self.records().list(find, limit).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn count_organizations(&self, status: Status) -> Result<u64> {
        let count = self.collection().count_documents(doc! { "status": status.as_str() });
        let count = count.hint(Hint::Name(ORGANIZATIONS_BY_STATUS.to_owned()));
        Ok(self.records().call(count).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_organizations_to_purge(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Arc<Organization>>> {
        let find = self.collection().find(doc! { "purge_due": { "$lte": moment(now) } });
        Ok(self.records().list(find.sort(doc! { "purge_due": 1 }), limit).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn update_organization(&self, organization: &Organization) -> Result<UpdateOutcome> {
        let expected = integer(organization.version) - 1;
        let filter = doc! { "_id": object_id(organization.id.as_bytes()), "version": expected };
        if is_limited(organization) {
            let before: Option<Organization> = self.records().find_one(filter.clone()).await?;
            // Usage without a quota was not counted.
            let is_newly_limited = |before: Organization| {
                let has_no_index_quota = before.quota.index_bytes.is_none();
                !is_limited(&before) || (has_no_index_quota && organization.quota.index_bytes.is_some())
            };
            if before.is_some_and(is_newly_limited) {
                self.usage.forget_count(organization.id).await?;
            }
        }
        let update = self.collection().update_one(filter, replacement(organization)?);
        Ok(update_outcome(self.records().call(update).await?.matched_count))
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %id))]
    async fn delete_organization(&self, id: OrganizationId, version: u64) -> Result<UpdateOutcome> {
        Ok(self.records().delete(object_id(id.as_bytes()), version).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn claim_operations(&self, owner: &str, limit: u32) -> Result<Vec<Arc<Organization>>> {
        let mut claimed = Vec::new();
        while claimed.len() < limit as usize {
            match self.claim_one(owner).await? {
                Some(organization) => claimed.push(organization),
                None => break,
            }
        }
        Ok(claimed)
    }
}

impl Organizations {
    /// Takes over the operation whose lease expired first, if any has expired.
    async fn claim_one(&self, owner: &str) -> EngineResult<Option<Arc<Organization>>> {
        let has_run_out = doc! {
            "lease_until": { "$exists": true },
            "$expr": { "$lte": ["$lease_until", "$$NOW"] },
        };
        let taken = doc! { "$set": {
            "version": { "$add": ["$version", 1] },
            "lease_until": lease_end(),
            "operation.owner": { "$literal": owner },
            "operation.fence": { "$add": ["$operation.fence", 1] },
        } };
        let claim = self.collection().find_one_and_update(has_run_out, vec![taken]);
        let claim = claim.sort(doc! { "lease_until": 1 }).return_document(ReturnDocument::After);
        self.records().call(claim).await?.map(decode).transpose()
    }
}

/// The update that replaces a document by the record and the fields that depend on it; a lease begins now.
fn replacement(organization: &Organization) -> EngineResult<Vec<Document>> {
    let status = organization.status();
    let mut document = encode(organization)?;
    document.insert("status", status.as_str());
    document.insert("hidden", matches!(status, Status::Deleted | Status::Purging));
    if let Some(purge_due) = purge_due(organization) {
        document.insert("purge_due", moment(purge_due));
    }
    // As a literal: a name may begin with a dollar sign.
    let mut parts = vec![doc! { "$literal": document }];
    if organization.operation.is_some() {
        parts.push(doc! { "lease_until": lease_end() });
    }
    Ok(vec![doc! { "$replaceWith": { "$mergeObjects": parts } }])
}

/// When a lease ends that begins now, by the server's clock.
fn lease_end() -> Document {
    let milliseconds = i64::try_from(OPERATION_LEASE.as_millis()).unwrap_or(i64::MAX);
    doc! { "$add": ["$$NOW", milliseconds] }
}

/// When the organization may be purged, if nothing prevents that.
fn purge_due(organization: &Organization) -> Option<Timestamp> {
    let free =
        organization.state == State::Deleted && !organization.legal_hold && organization.operation.is_none();
    organization.purge_at.filter(|_| free)
}

/// The index to use, and the filter for it.
fn selection(query: &OrganizationQuery) -> (&'static str, Document) {
    let prefix = query.identifier_prefix.as_deref().unwrap_or_default();
    let after = query.after.as_ref();
    let first = after.map_or(prefix, |after| after.identifier.as_str().max(prefix));
    let (index, mut filter) = match query.status {
        Some(status) => (ORGANIZATIONS_BY_STATUS, doc! { "status": status.as_str() }),
        None if query.show_deleted => ("organizations_by_name", doc! {}),
        None => ("organizations_shown", doc! { "hidden": false }),
    };
    filter.insert("identifier", doc! { "$gte": first, "$lt": format!("{prefix}{ABOVE_IDENTIFIERS}") });
    if let Some(after) = after {
        let others = doc! { "identifier": { "$ne": after.identifier.as_str() } };
        let later = doc! { "_id": { "$gt": object_id(after.id.as_bytes()) } };
        filter.insert("$or", vec![others, later]);
    }
    (index, filter)
}
