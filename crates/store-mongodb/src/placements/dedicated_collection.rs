//! A collection for each organization, beside the records: `tenant_<identifier>`; and its extra collections:
//! `tenant_<identifier>.<name>`.

mod container;
mod extra_collections;
mod named_collections;

use super::strategy::{PlacementStrategy, all_collections};
use crate::collections::location::{CollectionLocation, CollectionLocator};
use crate::collections::uuid_cache::UuidCache;
use crate::collections::{indexes, info, space};
use crate::connection::Connection;
use crate::containers::capacity::ServerCost;
use crate::containers::leftovers::{escape_pattern, note_leftover};
use crate::containers::namespace::{uuid, uuid_of};
use crate::engine_error::{EngineError, EngineResult};
use crate::full_scan::stored_collection::StoredCollection;
use crate::names::DOCUMENTS;
use crate::organization_records::OrganizationRecords;
use crate::quota::claim_age::ClaimAge;
use crate::record_codec::object_id;
use async_trait::async_trait;
use container::{CollectionContainers, Stray};
use extra_collections::ExtraCollections;
use mongodb::bson::doc;
use named_collections::NamedCollections;
use std::time::Duration;
use tenantry_domain::Error;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{ContainerId, Location, Organization};
use tenantry_domain::store::{CleanupReport, CollectionInfo, InsertOutcome, NewContainer};

/// How often the creation of a collection is tried while an operation may be moving the container, and the pause
/// before each try.
const MAX_ATTEMPTS: u32 = 20;
const BACKOFF: Duration = Duration::from_millis(50);

/// See [`self`].
pub(super) struct DedicatedCollection {
    connection: Connection,
    organizations: OrganizationRecords,
    tenant_prefix: String,
    named: NamedCollections,
    extra: ExtraCollections,
    containers: CollectionContainers,
    uuids: UuidCache,
}

impl DedicatedCollection {
    pub(super) fn new(
        connection: &Connection,
        organizations: &OrganizationRecords,
        tenant_prefix: &str,
    ) -> Self {
        let named = NamedCollections::new(connection);
        let extra = ExtraCollections::new(named.clone(), organizations.clone());
        Self {
            connection: connection.clone(),
            organizations: organizations.clone(),
            tenant_prefix: tenant_prefix.to_owned(),
            containers: CollectionContainers::new(named.clone(), extra.clone(), organizations.clone()),
            named,
            extra,
            uuids: UuidCache::default(),
        }
    }

    /// The full name and UUID of the extra collection of that name.
    async fn find_extra(
        &self,
        id: OrganizationId,
        name: &CollectionName,
    ) -> EngineResult<Option<(String, ContainerId)>> {
        let listed = self.extra.list(id).await?;
        let found = listed.into_iter().find(|extra| extra.name == name.as_str());
        Ok(found.map(|extra| (extra.full_name(), extra.id)))
    }

    /// Creates the collection under the name that the organization holds. Returns `None` if the organization no
    /// longer held that name at the end. The collection is then empty, under a name that another organization may
    /// have, where nothing is dropped.
    async fn make_beside(
        &self,
        organization: &Organization,
        name: &CollectionName,
        claim: ClaimAge,
    ) -> EngineResult<Option<InsertOutcome>> {
        claim.check()?;
        let made = match self.named.create(&format!("{}.{name}", organization.naming.namespace)).await {
            Ok(()) => InsertOutcome::New,
            Err(EngineError::NamespaceExists) => InsertOutcome::Exists,
            Err(failure) => return Err(failure),
        };
        Ok(self.organizations.is_unchanged(organization).await?.then_some(made))
    }

    async fn tidy_collection(
        &self,
        name: &str,
        id: ContainerId,
        tidied: &mut CleanupReport,
    ) -> EngineResult<()> {
        if let Some(owner) = self.organizations.find_by_container(uuid(id)).await? {
            if owner.operation.is_none() && owner.naming.namespace != name {
                self.containers.settle(&owner).await?;
            }
            return Ok(());
        }
        if self.is_extra(name).await? {
            return Ok(());
        }
        match self.containers.classify(name, id).await? {
            Stray::Owned => {}
            Stray::LeftOver => {
                self.named.drop(name, id).await?;
                note_leftover(tidied, true, name);
            }
            Stray::Foreign => note_leftover(tidied, false, name),
        }
        Ok(())
    }

    /// Whether the collection is beside the container of an organization.
    async fn is_extra(&self, name: &str) -> EngineResult<bool> {
        let Some((namespace, _)) = name.split_once('.') else { return Ok(false) };
        if let Some(id) = namespace.strip_prefix("deleted_").and_then(|id| id.parse().ok()) {
            return self.organizations.exists(id).await;
        }
        self.organizations.is_reserved(namespace).await
    }
}

#[async_trait]
impl CollectionLocator for DedicatedCollection {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    async fn locate(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> EngineResult<Option<CollectionLocation>> {
        let database = self.connection.database();
        let namespace = &organization.naming.namespace;
        if name.is_default() {
            let id = organization.container;
            let id = id.ok_or_else(|| Error::unavailable("the organization has no container"))?;
            let first = Some(object_id(organization.id.as_bytes()));
            return Ok(Some(CollectionLocation::dedicated(database, namespace.clone(), id, first)));
        }
        let (namespace, id) = match self.uuids.get(organization.id, name) {
            Some(id) => (format!("{namespace}.{name}"), id),
            None => {
                let Some(found) = self.find_extra(organization.id, name).await? else { return Ok(None) };
                self.uuids.insert(organization.id, name, found.1);
                found
            }
        };
        Ok(Some(CollectionLocation::dedicated(database, namespace, id, None)))
    }

    fn invalidate_uuid(&self, organization: OrganizationId, name: &CollectionName) {
        self.uuids.remove(organization, name);
    }

    fn is_container(&self, name: &CollectionName) -> bool {
        name.is_default()
    }

    fn is_called(&self, name: &CollectionName, namespace: &str) -> bool {
        name.is_default() || namespace.split_once('.').is_some_and(|(_, own)| own == name.as_str())
    }

    /// A late effect of an overtaken operation has moved the container. If moving it back fails, that is no reason to
    /// refuse the request.
    async fn look_after_container(&self, organization: &Organization, actual: &str) {
        let Ok(Some(now)) = self.organizations.find(organization.id).await else { return };
        if now.operation.is_none()
            && now.naming.namespace != actual
            && let Err(failure) = self.containers.settle(&now).await
        {
            tracing::warn!(organization = %now.id, error = %Error::from(failure), "a container could not be moved back");
        }
    }
}

#[async_trait]
impl PlacementStrategy for DedicatedCollection {
    fn container_cost(&self) -> ServerCost {
        ServerCost::COLLECTION
    }

    fn location(&self, organization: &Organization) -> Location {
        let database = self.connection.database().name().to_owned();
        Location { database, collection: organization.naming.namespace.clone() }
    }

    async fn is_foreign(&self, namespace: &str) -> EngineResult<bool> {
        self.containers.is_foreign(namespace).await
    }

    async fn create_container(&self, container: &NewContainer) -> EngineResult<Option<ContainerId>> {
        self.containers.create(container).await.map(Some)
    }

    async fn rename_container(&self, organization: &Organization, namespace: &str) -> EngineResult<()> {
        self.containers.rename(organization, namespace).await
    }

    async fn settle_container(&self, organization: &Organization) -> EngineResult<()> {
        self.containers.settle(organization).await
    }

    async fn count_documents(&self, organization: &Organization) -> EngineResult<u64> {
        self.containers.count(organization).await
    }

    async fn disk_bytes(&self, organization: &Organization) -> EngineResult<Option<u64>> {
        let names = all_collections(self, organization).await?;
        space::disk_bytes(self, organization, &names).await.map(Some)
    }

    async fn compact(&self, organization: &Organization) -> EngineResult<()> {
        let names = all_collections(self, organization).await?;
        space::compact(self, organization, &names).await
    }

    async fn drop_container(&self, organization: &Organization) -> EngineResult<()> {
        self.containers.drop(organization).await
    }

    async fn tidy(&self, tidied: &mut CleanupReport) -> EngineResult<()> {
        let pattern = format!("^({}|deleted_|building_)", escape_pattern(&self.tenant_prefix));
        let list =
            self.connection.database().list_collections().filter(doc! { "name": { "$regex": pattern } });
        let mut collections = self.connection.call(list).await?;
        while let Some(collection) = self.connection.next(&mut collections).await? {
            if let Some(id) = uuid_of(&collection) {
                self.tidy_collection(&collection.name, id, tidied).await?;
            }
        }
        Ok(())
    }

    async fn list_collections(&self, organization: &Organization) -> EngineResult<Vec<CollectionName>> {
        let found = self.extra.list(organization.id).await?;
        let found = found.into_iter().map(|extra| (extra.name, extra.id));
        Ok(self.uuids.insert_all(organization.id, found))
    }

    async fn list_unnamed(&self, organization: &Organization) -> EngineResult<Vec<String>> {
        let found = self.extra.list(organization.id).await?;
        Ok(found.into_iter().map(|extra| extra.name).collect())
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
        for _ in 0..=MAX_ATTEMPTS {
            let now = self.organizations.get(organization.id).await?;
            if now.keeps_its_place()
                && let Some(made) = self.make_beside(&now, name, claim).await?
            {
                return Ok(made);
            }
            tokio::time::sleep(BACKOFF).await;
        }
        Err(Error::unavailable("the organization is being changed").into())
    }

    async fn is_building_index(&self, organization: &Organization) -> EngineResult<bool> {
        let names = self.list_collections(organization).await?;
        indexes::is_building_any(self, organization, names).await
    }

    async fn list_stored(&self, organization: &Organization) -> EngineResult<Vec<String>> {
        let namespace = &organization.naming.namespace;
        let extra = self.extra.list_at(organization, namespace).await?;
        let mut names: Vec<String> = extra.into_iter().map(|extra| extra.name).collect();
        if names.iter().any(|name| name == DOCUMENTS) {
            let cause =
                format!("the collection {namespace}.{DOCUMENTS} has the name of the first collection");
            return Err(Error::unavailable(cause).into());
        }
        names.push(DOCUMENTS.to_owned());
        Ok(names)
    }

    async fn find_stored(&self, organization: &Organization, name: &str) -> EngineResult<StoredCollection> {
        let (database, namespace) = (self.connection.database(), &organization.naming.namespace);
        if name != DOCUMENTS {
            return Ok(StoredCollection::dedicated(database, &format!("{namespace}.{name}"), doc! {}));
        }
        // The metadata document is not the user's.
        let own = doc! { "_id": { "$ne": object_id(organization.id.as_bytes()) } };
        Ok(StoredCollection::dedicated(database, namespace, own))
    }
}
