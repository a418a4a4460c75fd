//! The records of organizations, as those need them who touch an organization's own data: whether one is there, and
//! whether it still is what it was when it was read.
//!
//! # Pitfalls
//! A process may have been asleep for an hour since it read a record. What is found or removed by a name alone is only the
//! organization's if its record is afterwards, or just before, still what it was.

use crate::connection::Connection;
use crate::engine_error::EngineResult;
use crate::names::ORGANIZATIONS;
use crate::record_codec::{integer, object_id};
use crate::records::Records;
use mongodb::bson::{Bson, doc};
use tenantry_domain::Error;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{Organization, ReservedKey};

/// Those records. Cheap to clone.
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

    /// Whether there is a record of that organization, in whatever state.
    pub(crate) async fn exists(&self, id: OrganizationId) -> EngineResult<bool> {
        self.records.exists(doc! { "_id": object_id(id.as_bytes()) }).await
    }

    pub(crate) async fn find(&self, id: OrganizationId) -> EngineResult<Option<Organization>> {
        self.records.find_one(doc! { "_id": object_id(id.as_bytes()) }).await
    }

    /// The record of an organization, which must be there.
    pub(crate) async fn get(&self, id: OrganizationId) -> EngineResult<Organization> {
        let record = self.find(id).await?;
        record.ok_or_else(|| Error::unavailable("there is no such organization any more").into())
    }

    /// The organization whose container that is.
    pub(crate) async fn find_by_container(&self, uuid: Bson) -> EngineResult<Option<Organization>> {
        self.records.find_one(doc! { "container": uuid }).await
    }

    /// Whether an organization has reserved that visible name.
    pub(crate) async fn is_reserved(&self, namespace: &str) -> EngineResult<bool> {
        self.records.exists(doc! { "reserved": ReservedKey::namespace(namespace).as_str() }).await
    }

    /// Whether an organization's record is what it was when it was read.
    pub(crate) async fn is_unchanged(&self, organization: &Organization) -> EngineResult<bool> {
        let same =
            doc! { "_id": object_id(organization.id.as_bytes()), "version": integer(organization.version) };
        self.records.exists(same).await
    }

    /// Refuses to go on for an organization that has been changed since it was read.
    pub(crate) async fn verify_unchanged(&self, organization: &Organization) -> EngineResult<()> {
        if self.is_unchanged(organization).await? { Ok(()) } else { Err(changed().into()) }
    }

    /// Refuses to go on for an organization whose operation somebody else has taken over. Renewals of the lease are
    /// versions of the record, too, and whoever takes over raises the fence.
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
    Error::unavailable("others work on the same organization")
}
