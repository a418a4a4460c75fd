//! A database for each organization, named by a prefix and the organization's id, so that a rename moves
//! nothing and no name is ever another's.

use super::namespace::{Namespace, identity_of, uuid};
use super::{knows_fence, metadata};
use crate::MongoDb;
use crate::document::object_id;
use crate::engine_error::{EngineError, EngineResult, NAMESPACE_NOT_FOUND};
use crate::records::Records;
use mongodb::Database;
use mongodb::bson::{Document, doc};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{ContainerId, Organization};
use tenantry_domain::store::{InsertOutcome, NewContainer};
use tenantry_domain::{Error, ErrorCode};

/// The collection with the container's first document. No user's collection is called so.
pub(crate) const METADATA: &str = "_metadata";

/// The field of that document that names the database with the organization's record: a server may have several
/// installations, and none may take another's database for a leftover of its own.
const RECORDS: &str = "records";
/// The collection with the documents of users who name no other.
pub(crate) const DOCUMENTS: &str = "documents";

/// How often a database is listed that programs add something to while it is dropped.
const ROUNDS: u32 = 5;

impl MongoDb {
    pub(super) fn database_name(&self, id: OrganizationId) -> String {
        format!("{}{id}", self.tenant_prefix)
    }

    pub(crate) fn database_of(&self, id: OrganizationId) -> Database {
        self.connection.server().other_database(&self.database_name(id))
    }

    /// One insert makes the database and all that belongs into it. An organization that is imported under its old id
    /// may find that of another installation.
    pub(super) async fn create_database(&self, container: &NewContainer) -> EngineResult<()> {
        let mut first = metadata(container.organization_id, container.created_at);
        first.insert(RECORDS, self.connection.server().database().name());
        let database = self.database_of(container.organization_id);
        match Records::of(&self.connection, database.collection(METADATA)).insert(first).await? {
            InsertOutcome::Exists if !self.is_ours(&database).await? => {
                Err(Error::from(ErrorCode::OrganizationExists).into())
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn count_database(&self, id: OrganizationId) -> EngineResult<u64> {
        let database = self.database_of(id);
        let first = database.collection::<Document>(METADATA);
        if self.connection.call(first.find_one(doc! { "_id": object_id(id.as_bytes()) })).await?.is_none() {
            return Err(Error::unavailable("the organization's database is not there").into());
        }
        self.documents_in(&database).await
    }

    /// How many documents there are in all collections of users.
    pub(super) async fn documents_in(&self, database: &Database) -> EngineResult<u64> {
        let mut documents = 0;
        for name in self.connection.call(database.list_collection_names()).await? {
            if name != METADATA && !name.starts_with("system.") {
                let place = Namespace { database, namespace: &name, id: None };
                documents += self.count_at(place, None).await?;
            }
        }
        Ok(documents)
    }

    /// Whether the database was made for an organization of this installation.
    pub(super) async fn is_ours(&self, database: &Database) -> EngineResult<bool> {
        let ours = doc! { RECORDS: self.connection.server().database().name() };
        Ok(self.connection.call(database.collection::<Document>(METADATA).find_one(ours)).await?.is_some())
    }

    /// Removes the database as long as its organization's record is what this operation holds. The database has
    /// the organization's id for a name, which may come back out of an archive: so what is removed is what was listed
    /// before that was looked at.
    pub(super) async fn drop_database(&self, organization: &Organization) -> EngineResult<()> {
        let database = self.database_of(organization.id);
        for _ in 0..ROUNDS {
            let listed = self.listed_in(&database).await?;
            if listed.is_empty() {
                return Ok(());
            }
            self.organizations.verify_owner(organization).await?;
            self.drop_listed(&database, &listed).await?;
        }
        Err(Error::unavailable("a program makes collections in a database that is being dropped").into())
    }

    /// What is in a database, the collection that says whose it is last.
    pub(super) async fn listed_in(&self, database: &Database) -> EngineResult<Vec<ListedDatabase>> {
        let mut found = self.connection.call(database.list_collections()).await?;
        let mut listed = Vec::new();
        while self.connection.call(found.advance()).await? {
            let collection = found.deserialize_current()?;
            // The server's own, which cannot be dropped while it is written.
            if collection.name != "system.profile" {
                let id = identity_of(&collection);
                listed.push(ListedDatabase { name: collection.name, id });
            }
        }
        // What has no identity is a view on something that has, and goes first.
        listed.sort_by_key(|each| (each.name == METADATA, each.id.is_some()));
        Ok(listed)
    }

    /// Removes what was listed. A view and a time series, which programs alone make, have no identity; on a server that
    /// knows none, nothing has: there, the look before is all there is.
    pub(super) async fn drop_listed(
        &self,
        database: &Database,
        listed: &[ListedDatabase],
    ) -> EngineResult<()> {
        let knows_identities = knows_fence(self.connection.server()).await?;
        for ListedDatabase { name, id } in listed {
            let mut drop = doc! { "drop": name };
            if let Some(id) = id.filter(|_| knows_identities) {
                drop.insert("collectionUUID", uuid(id));
            }
            match self.connection.call(database.run_command(self.connection.server().durably(drop))).await {
                // Somebody else has dropped or renamed it, or it is another by now.
                Ok(_)
                | Err(
                    EngineError::Elsewhere { .. } | EngineError::Answered { code: NAMESPACE_NOT_FOUND, .. },
                ) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }
}

/// A collection or view of a database.
pub(super) struct ListedDatabase {
    name: String,
    id: Option<ContainerId>,
}
