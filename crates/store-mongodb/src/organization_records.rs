//! The records of organizations, for code that handles an organization's own data: whether a record exists, and
//! whether it is unchanged since it was read.
//!
//! # Pitfalls
//! A process may have been asleep for an hour since it read a record. A thing that was found or removed by name alone
//! belongs to the organization only if its record is unchanged afterwards, or was just before.

use crate::connection::Connection;
use crate::engine_error::EngineResult;
use crate::names::ORGANIZATIONS;
use crate::record_codec::{integer, object_id};
use crate::records::Records;
use mongodb::bson::{Bson, doc};
use tenantry_domain::Error;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{Organization, ReservedKey};

/// The records of organizations. Cheap to clone.
#[derive(Clone)]
pub(crate) struct OrganizationRecords {
    records: Records,
}

impl OrganizationRecords {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self { records: Records::new(connection, ORGANIZATIONS) }
    }

    pub(crate) const fn records(&self) -> &Records {
        &self.records
    }

    /// Whether the organization has a record, in any state.
    pub(crate) async fn exists(&self, id: OrganizationId) -> EngineResult<bool> {
        self.records.exists(doc! { "_id": object_id(id.as_bytes()) }).await
    }

    pub(crate) async fn find(&self, id: OrganizationId) -> EngineResult<Option<Organization>> {
        self.records.find_one(doc! { "_id": object_id(id.as_bytes()) }).await
    }

    /// The record of an organization, which must exist.
    pub(crate) async fn get(&self, id: OrganizationId) -> EngineResult<Organization> {
        let record = self.find(id).await?;
        record.ok_or_else(|| Error::unavailable("the organization does not exist any more").into())
    }

    /// Whether an organization's container has that UUID.
    pub(crate) async fn has_container(&self, uuid: Bson) -> EngineResult<bool> {
        self.records.exists(doc! { "container": uuid }).await
    }

    /// The organization whose container has that UUID.
    pub(crate) async fn find_by_container(&self, uuid: Bson) -> EngineResult<Option<Organization>> {
        self.records.find_one(doc! { "container": uuid }).await
    }

    /// Whether an organization has reserved that container name.
    pub(crate) async fn is_reserved(&self, namespace: &str) -> EngineResult<bool> {
        self.records.exists(doc! { "reserved": ReservedKey::namespace(namespace).as_str() }).await
    }

    /// Whether an organization's record is unchanged since it was read.
    pub(crate) async fn is_unchanged(&self, organization: &Organization) -> EngineResult<bool> {
        let same =
            doc! { "_id": object_id(organization.id.as_bytes()), "version": integer(organization.version) };
        self.records.exists(same).await
    }

    /// Refuses to continue for an organization that has been changed since it was read.
    pub(crate) async fn verify_unchanged(&self, organization: &Organization) -> EngineResult<()> {
        if self.is_unchanged(organization).await? { Ok(()) } else { Err(changed().into()) }
    }

    /// Refuses to continue for an organization whose operation another process has taken over. Renewals of the lease
    /// change the version of the record too; a takeover raises the fence.
    pub(crate) async fn verify_owner(&self, organization: &Organization) -> EngineResult<()> {
        let Some(operation) = organization.operation.as_deref() else {
            return self.verify_unchanged(organization).await;
        };
        let ours = doc! {
            "_id": object_id(organization.id.as_bytes()),
            "operation.id": object_id(operation.id.as_bytes()),
            "operation.fence": operation.fence,
        };
        if self.records.exists(ours).await? { Ok(()) } else { Err(changed().into()) }
    }
}

fn changed() -> Error {
    Error::unavailable("another process works on the same organization")
}
