//! A database for each organization, named by a prefix and the organization's id, so that a rename moves nothing and
//! no name ever changes hands.

use super::strategy::{PlacementStrategy, all_collections};
use crate::collections::location::{CollectionLocation, CollectionLocator};
use crate::collections::uuid_cache::UuidCache;
use crate::collections::{indexes, info, space};
use crate::connection::Connection;
use crate::containers::capacity::ServerCost;
use crate::containers::leftovers::{escape_pattern, note_leftover};
use crate::containers::metadata::metadata;
use crate::containers::namespace::{Namespace, uuid, uuid_of};
use crate::containers::uuid_support::supports_uuids;
use crate::engine_error::{EngineError, EngineResult, NAMESPACE_NOT_FOUND};
use crate::full_scan::stored_collection::StoredCollection;
use crate::names::{DOCUMENTS, METADATA};
use crate::organization_records::OrganizationRecords;
use crate::quota::claim_age::ClaimAge;
use crate::record_codec::object_id;
use crate::records::Records;
use async_trait::async_trait;
use mongodb::Database;
use mongodb::bson::{Document, doc};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{ContainerId, Location, Organization};
use tenantry_domain::store::{CleanupReport, CollectionInfo, InsertOutcome, NewContainer};
use tenantry_domain::{Error, ErrorCode};

/// The field of the metadata document with the name of the database that has the organization's record. A server may have
/// several installations, and none may take another's database for a leftover of its own.
const RECORDS_FIELD: &str = "records";

/// How often a collection that was just created is looked for.
const MAX_LOOKUPS: u32 = 20;
/// How often a database is listed while programs add to it during its drop.
const MAX_DROP_PASSES: u32 = 5;

/// See [`self`].
pub(super) struct DedicatedDatabase {
    connection: Connection,
    organizations: OrganizationRecords,
    tenant_prefix: String,
    uuids: UuidCache,
}

impl DedicatedDatabase {
    pub(super) fn new(
        connection: &Connection,
        organizations: &OrganizationRecords,
        tenant_prefix: &str,
    ) -> Self {
        Self {
            connection: connection.clone(),
            organizations: organizations.clone(),
            tenant_prefix: tenant_prefix.to_owned(),
            uuids: UuidCache::default(),
        }
    }

    fn database_name(&self, id: OrganizationId) -> String {
        format!("{}{id}", self.tenant_prefix)
    }

    fn database_of(&self, id: OrganizationId) -> Database {
        self.connection.server().other_database(&self.database_name(id))
    }

    /// How many documents all collections of users have.
    async fn documents_in(&self, database: &Database) -> EngineResult<u64> {
        let mut documents = 0;
        for name in self.connection.call(database.list_collection_names()).await? {
            if name != METADATA && !name.starts_with("system.") {
                let place = Namespace { connection: &self.connection, database, name: &name, uuid: None };
                documents += place.count(None).await?;
            }
        }
        Ok(documents)
    }

    /// Whether the database was created for an organization of this installation.
    async fn is_ours(&self, database: &Database) -> EngineResult<bool> {
        let ours = doc! { RECORDS_FIELD: self.connection.server().database().name() };
        Ok(self.connection.call(database.collection::<Document>(METADATA).find_one(ours)).await?.is_some())
    }

    /// The collections of a database, with the one that identifies its organization last.
    async fn listed_in(&self, database: &Database) -> EngineResult<Vec<ListedCollection>> {
        let mut found = self.connection.call(database.list_collections()).await?;
        let mut listed = Vec::new();
        while let Some(collection) = self.connection.next(&mut found).await? {
            // The server's own, which cannot be dropped while it is written.
            if collection.name != "system.profile" {
                let id = uuid_of(&collection);
                listed.push(ListedCollection { name: collection.name, id });
            }
        }
        // A collection without a UUID is a view on one that has a UUID, and goes first.
        listed.sort_by_key(|each| (each.name == METADATA, each.id.is_some()));
        Ok(listed)
    }

    /// Removes the listed collections. A view and a time series, which only programs create, have no UUID. On a
    /// server without support for UUIDs nothing has one, and the check before is the only protection.
    async fn drop_listed(&self, database: &Database, listed: &[ListedCollection]) -> EngineResult<()> {
        let knows_identities = supports_uuids(self.connection.server()).await?;
        for ListedCollection { name, id } in listed {
            let mut drop = doc! { "drop": name };
            if let Some(id) = id.filter(|_| knows_identities) {
                drop.insert("collectionUUID", uuid(id));
            }
            match self.connection.call(database.run_command(self.connection.server().durably(drop))).await {
                // Somebody else has dropped or renamed it, or the name belongs to another collection now.
                Ok(_)
                | Err(
                    EngineError::Elsewhere { .. }
                    | EngineError::ServerError { code: NAMESPACE_NOT_FOUND, .. },
                ) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// The collection of that name in the organization's database. The default collection is created when it is first
    /// looked for.
    async fn find_in_database(
        &self,
        id: OrganizationId,
        name: &CollectionName,
    ) -> EngineResult<Option<ContainerId>> {
        for _ in 0..MAX_LOOKUPS {
            let found = self.in_database(id).await?;
            let found = found.into_iter().find(|(own, _)| own == name.as_str());
            if found.is_some() || name.as_str() != DOCUMENTS {
                return Ok(found.map(|(_, id)| id));
            }
            match self.create_in_database(id, DOCUMENTS).await {
                Ok(()) | Err(EngineError::NamespaceExists) => {}
                Err(failure) => return Err(failure),
            }
        }
        Err(Error::unavailable("a collection that was just created is missing").into())
    }

    /// The collections of users in the organization's database, which must exist.
    async fn in_database(&self, id: OrganizationId) -> EngineResult<Vec<(String, ContainerId)>> {
        let database = self.database_of(id);
        let list = database.list_collections().filter(doc! { "type": "collection" });
        let mut collections = self.connection.call(list).await?;
        let (mut found, mut is_there) = (Vec::new(), false);
        while let Some(collection) = self.connection.next(&mut collections).await? {
            if collection.name == METADATA {
                is_there = true;
            } else if let (false, Some(id)) = (collection.name.starts_with("system."), uuid_of(&collection)) {
                found.push((collection.name, id));
            }
        }
        if !is_there {
            return Err(Error::unavailable("the organization's database is missing").into());
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found)
    }

    /// Creates a collection in the organization's database. If that database no longer exists, the collection is
    /// removed again, because a create also creates the database.
    async fn create_in_database(&self, id: OrganizationId, name: &str) -> EngineResult<()> {
        let database = self.database_of(id);
        self.connection
            .call(database.run_command(self.connection.server().durably(doc! { "create": name })))
            .await?;
        let list = database.list_collections().filter(doc! { "name": { "$in": [METADATA, name] } });
        let mut collections = self.connection.call(list).await?;
        let (mut made, mut is_there) = (None, false);
        while let Some(collection) = self.connection.next(&mut collections).await? {
            match collection.name == METADATA {
                true => is_there = true,
                false => made = uuid_of(&collection),
            }
        }
        if is_there {
            return Ok(());
        }
        if let Some(made) = made {
            let drop = doc! { "drop": name, "collectionUUID": uuid(made) };
            match self.connection.call(database.run_command(self.connection.server().durably(drop))).await {
                Ok(_) | Err(EngineError::Elsewhere { .. }) => {}
                Err(failure) => return Err(failure),
            }
        }
        Err(Error::unavailable("the organization's database is missing").into())
    }

    async fn tidy_database(
        &self,
        name: &str,
        id: OrganizationId,
        tidied: &mut CleanupReport,
    ) -> EngineResult<()> {
        let database = self.database_of(id);
        // Listed first: collections that are listed before the id is found unused do not belong to an organization
        // that gets it later.
        let listed = self.listed_in(&database).await?;
        if self.organizations.exists(id).await? || !self.is_ours(&database).await? {
            return Ok(());
        }
        let is_empty = self.documents_in(&database).await? == 0;
        // Counting the documents may have taken long.
        if is_empty && !self.organizations.exists(id).await? {
            self.drop_listed(&database, &listed).await?;
        }
        note_leftover(tidied, is_empty, name);
        Ok(())
    }
}

#[async_trait]
impl CollectionLocator for DedicatedDatabase {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    async fn locate(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> EngineResult<Option<CollectionLocation>> {
        let database = self.database_of(organization.id);
        let id = match self.uuids.get(organization.id, name) {
            Some(id) => id,
            None => {
                let Some(id) = self.find_in_database(organization.id, name).await? else { return Ok(None) };
                self.uuids.insert(organization.id, name, id);
                id
            }
        };
        Ok(Some(CollectionLocation::dedicated(&database, name.to_string(), id, None)))
    }

    fn invalidate_uuid(&self, organization: OrganizationId, name: &CollectionName) {
        self.uuids.remove(organization, name);
    }

    fn is_called(&self, name: &CollectionName, namespace: &str) -> bool {
        namespace == name.as_str()
    }
}

#[async_trait]
impl PlacementStrategy for DedicatedDatabase {
    fn container_cost(&self) -> ServerCost {
        ServerCost::DATABASE
    }

    fn location(&self, organization: &Organization) -> Location {
        Location { database: self.database_name(organization.id), collection: DOCUMENTS.to_owned() }
    }

    /// One insert creates the database and everything in it. An organization that is imported under its old id may
    /// find the database of another installation.
    async fn create_container(&self, container: &NewContainer) -> EngineResult<Option<ContainerId>> {
        let mut first = metadata(container.organization_id, container.created_at);
        first.insert(RECORDS_FIELD, self.connection.server().database().name());
        let database = self.database_of(container.organization_id);
        match Records::of(&self.connection, database.collection(METADATA)).insert(first).await? {
            InsertOutcome::Exists if !self.is_ours(&database).await? => {
                Err(Error::from(ErrorCode::OrganizationExists).into())
            }
            _ => Ok(None),
        }
    }

    async fn count_documents(&self, organization: &Organization) -> EngineResult<u64> {
        let id = organization.id;
        let database = self.database_of(id);
        let first = database.collection::<Document>(METADATA);
        if self.connection.call(first.find_one(doc! { "_id": object_id(id.as_bytes()) })).await?.is_none() {
            return Err(Error::unavailable("the organization's database is missing").into());
        }
        self.documents_in(&database).await
    }

    async fn disk_bytes(&self, organization: &Organization) -> EngineResult<Option<u64>> {
        let names = all_collections(self, organization).await?;
        space::disk_bytes(self, organization, &names).await.map(Some)
    }

    async fn compact(&self, organization: &Organization) -> EngineResult<()> {
        let names = all_collections(self, organization).await?;
        space::compact(self, organization, &names).await
    }

    /// Removes the database while its organization's record is held by this operation. The database is named by the
    /// organization's id, which an import may use again: so only collections that were listed before the record was
    /// checked are removed.
    async fn drop_container(&self, organization: &Organization) -> EngineResult<()> {
        let database = self.database_of(organization.id);
        for _ in 0..MAX_DROP_PASSES {
            let listed = self.listed_in(&database).await?;
            if listed.is_empty() {
                return Ok(());
            }
            self.organizations.verify_owner(organization).await?;
            self.drop_listed(&database, &listed).await?;
        }
        Err(Error::unavailable("a program creates collections in a database that is being dropped").into())
    }

    async fn tidy(&self, tidied: &mut CleanupReport) -> EngineResult<()> {
        let pattern = format!("^{}[0-9a-f]{{24}}$", escape_pattern(&self.tenant_prefix));
        let client = self.connection.database().client();
        let list = client.list_database_names().filter(doc! { "name": { "$regex": pattern } });
        for name in self.connection.call(list).await? {
            if let Ok(id) = name[self.tenant_prefix.len()..].parse::<OrganizationId>() {
                self.tidy_database(&name, id, tidied).await?;
            }
        }
        Ok(())
    }

    async fn list_collections(&self, organization: &Organization) -> EngineResult<Vec<CollectionName>> {
        let found = self.in_database(organization.id).await?;
        Ok(self.uuids.insert_all(organization.id, found))
    }

    async fn list_unnamed(&self, organization: &Organization) -> EngineResult<Vec<String>> {
        Ok(self.in_database(organization.id).await?.into_iter().map(|(name, _)| name).collect())
    }

    async fn describe_collections(
        &self,
        organization: &Organization,
        names: &[CollectionName],
    ) -> EngineResult<Vec<CollectionInfo>> {
        info::describe_all(self, organization, names).await
    }

    async fn make_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
        claim: ClaimAge,
    ) -> EngineResult<InsertOutcome> {
        claim.check()?;
        match self.create_in_database(organization.id, name.as_str()).await {
            Ok(()) => Ok(InsertOutcome::New),
            Err(EngineError::NamespaceExists) => Ok(InsertOutcome::Exists),
            Err(failure) => Err(failure),
        }
    }

    async fn is_building_index(&self, organization: &Organization) -> EngineResult<bool> {
        let names = self.list_collections(organization).await?;
        indexes::is_building_any(self, organization, names).await
    }

    async fn list_stored(&self, organization: &Organization) -> EngineResult<Vec<String>> {
        let database = self.database_of(organization.id);
        let mut names = self.connection.call(database.list_collection_names()).await?;
        names.retain(|name| name != METADATA && !name.starts_with("system."));
        Ok(names)
    }

    async fn find_stored(&self, organization: &Organization, name: &str) -> EngineResult<StoredCollection> {
        Ok(StoredCollection::dedicated(&self.database_of(organization.id), name, doc! {}))
    }
}

/// A collection or view of a database.
struct ListedCollection {
    name: String,
    id: Option<ContainerId>,
}
