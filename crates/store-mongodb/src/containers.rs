//! Containers, in each of the three placements; a file for each.
//!
//! Every container begins with one document whose `_id` is the organization's id and which says when it was made
//! ([`metadata`]). It is not counted, and it tells whose container it is. What a newcomer gets wrong: a process
//! may have been asleep for an hour between any two calls, and others have gone on without it. So a container is
//! only ever touched by what never changes hands: the UUIDs of its collections; and in a share by the organization's id,
//! which comes back there only after a rest (`ID_REST`).

pub(super) mod capacity;
mod cleanup;
mod collection;
mod database;
pub(super) mod extra_collections;
pub(super) mod namespace;
pub(super) mod shared;

use super::MongoDb;
use super::client::Server;
use super::document::{moment, object_id};
use super::engine_error::{EngineError, EngineResult};
use super::names::{INSTALLATION, SHARED_DOCUMENTS};
use super::schema::StartupError;
use crate::error::OpenError;
use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::{Document, doc};
use namespace::uuid;
use tenantry_domain::error::{Error, ErrorCode, Result};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{ContainerId, Location, Organization, Placement};
use tenantry_domain::store::{Containers, NewContainer};

pub(super) use database::{DOCUMENTS, METADATA};

/// The form of containers, as far as it concerns those who read them with their own programs.
const SCHEMA_VERSION: &str = "1.0";

#[async_trait]
impl Containers for MongoDb {
    async fn choose_placement(&self, asked: Option<Placement>) -> Result<Placement> {
        self.find_room(asked).await
    }

    async fn is_foreign(&self, placement: Placement, namespace: &str) -> Result<bool> {
        match placement {
            Placement::Collection => Ok(self.is_foreign_collection(namespace).await?),
            Placement::Database | Placement::Shared => Ok(false),
        }
    }

    fn locate(&self, organization: &Organization) -> Location {
        let (database, collection) = match organization.placement {
            Placement::Collection => {
                (self.connection.server().database().name(), organization.naming.namespace.as_str())
            }
            Placement::Database => (&*self.database_name(organization.id), DOCUMENTS),
            Placement::Shared => (self.connection.server().database().name(), SHARED_DOCUMENTS),
        };
        Location { database: database.to_owned(), collection: collection.to_owned() }
    }

    async fn create_container(&self, container: &NewContainer) -> Result<Option<ContainerId>> {
        Ok(match container.placement {
            Placement::Collection => Some(self.create_collection(container).await?),
            Placement::Database => self.create_database(container).await.map(|()| None)?,
            Placement::Shared => self.create_share(container).await.map(|()| None)?,
        })
    }

    /// Only a collection has its visible name; the others have the organization's id.
    async fn move_container(&self, organization: &Organization, namespace: &str) -> Result<()> {
        match organization.placement {
            Placement::Collection => Ok(self.move_collection(organization, namespace).await?),
            Placement::Database | Placement::Shared => Ok(()),
        }
    }

    async fn settle_container(&self, organization: &Organization) -> Result<()> {
        match organization.placement {
            Placement::Collection => Ok(self.settle_collection(organization).await?),
            Placement::Database | Placement::Shared => Ok(()),
        }
    }

    async fn count_documents(&self, organization: &Organization) -> Result<u64> {
        Ok(match organization.placement {
            Placement::Collection => self.count_collection(organization).await?,
            Placement::Database => self.count_database(organization.id).await?,
            Placement::Shared => self.count_share(organization.id).await?,
        })
    }

    async fn drop_container(&self, organization: &Organization) -> Result<()> {
        match organization.placement {
            Placement::Collection => self.drop_collection(organization).await?,
            Placement::Database => self.drop_database(organization).await?,
            Placement::Shared => self.drop_share(organization.id).await?,
        }
        self.usage.delete(organization.id).await?;
        Ok(())
    }
}

impl MongoDb {
    /// Refuses a server that does not know effects that carry an identity, where collections are to be renamed.
    pub(super) async fn check_fence(&self) -> Result<(), StartupError> {
        if knows_fence(self.connection.server()).await? {
            return Ok(());
        }
        if self.placement == Placement::Collection {
            return Err(StartupError::Lasting(OpenError::NoRenameByUuid));
        }
        tracing::warn!(
            "this MongoDB is older than 6.0: organizations in collections of their own cannot move"
        );
        Ok(())
    }
}

/// Whether the server knows effects that carry an identity (MongoDB 6.0 and newer): asked for a collection that
/// is nowhere, it says so. Without them a collection cannot follow a rename safely.
pub(super) async fn knows_fence(server: &Server) -> EngineResult<bool> {
    let probe = doc! { "find": INSTALLATION, "limit": 1, "collectionUUID": uuid(ContainerId([0; 16])) };
    match server.within(server.database().run_command(probe)).await {
        Err(EngineError::Elsewhere { .. }) => Ok(true),
        Err(failure @ (EngineError::Refused(_) | EngineError::Answered { .. })) => {
            let error = Error::from(failure);
            if error.code() == ErrorCode::Internal { Ok(false) } else { Err(error.into()) }
        }
        Err(failure) => Err(failure),
        Ok(_) => Ok(false),
    }
}

/// The document that a container begins with.
fn metadata(id: OrganizationId, created_at: Timestamp) -> Document {
    doc! {
        "_id": object_id(id.as_bytes()),
        "metadata": { "created_at": moment(created_at), "schema_version": SCHEMA_VERSION },
    }
}
