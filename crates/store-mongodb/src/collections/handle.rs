//! Where a collection of an organization is.
//!
//! In the placements `collection` and `database` it is a collection of the server's, and its UUID is what tells it
//! from every other that has its name at another time. The UUID of the first collection is in the organization's
//! record; those of the others are looked up by name, while the organization holds the name, and remembered. What a
//! newcomer gets wrong: what is remembered may be wrong by now. Every command carries the UUID, so the server says so
//! ([`super::command`]).

use super::shared::SharedCollection;
use crate::MongoDb;
use crate::containers::namespace::{identity_of, uuid};
use crate::containers::{DOCUMENTS, METADATA};
use crate::document::object_id;
use crate::documents::layout::DocumentLayout;
use crate::engine_error::{EngineError, EngineResult};
use mongodb::Database;
use mongodb::bson::doc;
use mongodb::bson::oid::ObjectId;
use quick_cache::sync::Cache;
use std::time::Duration;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{ContainerId, Organization, Placement};
use tenantry_domain::{Error, ErrorCode};

/// Collections whose UUID is remembered.
const REMEMBERED: usize = 10_000;
/// How often a collection is looked for that an operation under way may be moving, and the pause before each.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// The UUIDs of collections that are not in a record.
pub(crate) struct UuidCache(Cache<(OrganizationId, CollectionName), ContainerId>);

impl UuidCache {
    pub(super) fn insert(&self, organization: OrganizationId, name: &CollectionName, id: ContainerId) {
        self.0.insert((organization, name.clone()), id);
    }
}

impl Default for UuidCache {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

/// A collection of an organization, and where it was last seen.
#[derive(Clone)]
pub(crate) struct CollectionHandle<'a> {
    pub(crate) organization: &'a Organization,
    pub(crate) name: &'a CollectionName,
    pub(crate) database: Database,
    /// The collection of the server that its documents are in.
    pub(crate) namespace: String,
    /// Which one that is; none for the one that all shares are in, which never changes hands.
    pub(crate) identity: Option<ContainerId>,
    pub(crate) form: DocumentLayout,
    /// The indexes it has, where the container lists them.
    pub(crate) share: Option<SharedCollection>,
    /// Whether it may be looked for once more.
    pub(super) again: bool,
}

impl CollectionHandle<'_> {
    /// Whether it is the collection that the container is.
    pub(super) fn is_container(&self) -> bool {
        self.organization.placement == Placement::Collection && self.name.is_default()
    }

    /// Whether it still has its own name within the organization where it is called `namespace`. A program may have
    /// renamed it.
    pub(super) fn is_called(&self, namespace: &str) -> bool {
        match self.organization.placement {
            Placement::Collection if self.name.is_default() => true,
            Placement::Collection => {
                namespace.split_once('.').is_some_and(|(_, name)| name == self.name.as_str())
            }
            Placement::Database | Placement::Shared => namespace == self.name.as_str(),
        }
    }
}

impl MongoDb {
    /// Finds the collection; `collection_not_found`.
    pub(crate) async fn resolve_collection<'a>(
        &self,
        organization: &'a Organization,
        name: &'a CollectionName,
    ) -> EngineResult<CollectionHandle<'a>> {
        let found = match organization.placement {
            Placement::Collection => self.resolve_beside_records(organization, name).await?,
            Placement::Database => self.resolve_in_database(organization, name).await?,
            Placement::Shared => self.resolve_in_shared(organization, name).await?,
        };
        found.ok_or_else(|| EngineError::from(Error::from(ErrorCode::CollectionNotFound)))
    }

    /// What is remembered of a collection is wrong.
    pub(super) fn invalidate_uuid(&self, organization: OrganizationId, name: &CollectionName) {
        self.identities.0.remove(&(organization, name.clone()));
    }

    async fn resolve_beside_records<'a>(
        &self,
        organization: &'a Organization,
        name: &'a CollectionName,
    ) -> EngineResult<Option<CollectionHandle<'a>>> {
        let database = self.connection.server().database();
        let namespace = &organization.naming.namespace;
        if name.is_default() {
            let id = organization.container;
            let id = id.ok_or_else(|| Error::unavailable("the organization has no container"))?;
            let first = Some(object_id(organization.id.as_bytes()));
            return Ok(Some(plain(organization, name, database, namespace.clone(), id, first)));
        }
        let key = (organization.id, name.clone());
        let (namespace, id) = match self.identities.0.get(&key) {
            Some(id) => (format!("{namespace}.{name}"), id),
            None => {
                let Some(found) = self.find_extra_collection(organization.id, name).await? else {
                    return Ok(None);
                };
                self.identities.0.insert(key, found.1);
                found
            }
        };
        Ok(Some(plain(organization, name, database, namespace, id, None)))
    }

    /// Name and identity of the further collection that is called so.
    pub(super) async fn find_extra_collection(
        &self,
        id: OrganizationId,
        name: &CollectionName,
    ) -> EngineResult<Option<(String, ContainerId)>> {
        let listed = self.extra_collections_now(id).await?;
        Ok(listed.into_iter().find(|further| further.name == name.as_str()).map(|further| {
            let namespace = further.full_name();
            (namespace, further.id)
        }))
    }

    async fn resolve_in_database<'a>(
        &self,
        organization: &'a Organization,
        name: &'a CollectionName,
    ) -> EngineResult<Option<CollectionHandle<'a>>> {
        let database = self.database_of(organization.id);
        let key = (organization.id, name.clone());
        let id = match self.identities.0.get(&key) {
            Some(id) => id,
            None => {
                let Some(id) = self.find_in_database(organization.id, name).await? else { return Ok(None) };
                self.identities.0.insert(key, id);
                id
            }
        };
        Ok(Some(plain(organization, name, &database, name.to_string(), id, None)))
    }

    /// The collection of that name in the organization's database. The one that every organization has is made when it
    /// is first looked for.
    async fn find_in_database(
        &self,
        id: OrganizationId,
        name: &CollectionName,
    ) -> EngineResult<Option<ContainerId>> {
        for _ in 0..LOOKS {
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
        Err(Error::unavailable("a collection that was made is not there").into())
    }

    /// The collections of users in the organization's database, which must be there.
    pub(super) async fn in_database(&self, id: OrganizationId) -> EngineResult<Vec<(String, ContainerId)>> {
        let database = self.database_of(id);
        let list = database.list_collections().filter(doc! { "type": "collection" });
        let mut collections = self.connection.call(list).await?;
        let (mut found, mut is_there) = (Vec::new(), false);
        while self.connection.call(collections.advance()).await? {
            let collection = collections.deserialize_current()?;
            if collection.name == METADATA {
                is_there = true;
            } else if let (false, Some(id)) =
                (collection.name.starts_with("system."), identity_of(&collection))
            {
                found.push((collection.name, id));
            }
        }
        if !is_there {
            return Err(Error::unavailable("the organization's database is not there").into());
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found)
    }

    /// Makes a collection in the organization's database, and takes it back if there is no such database any more: a
    /// create makes one.
    pub(super) async fn create_in_database(&self, id: OrganizationId, name: &str) -> EngineResult<()> {
        let database = self.database_of(id);
        self.connection
            .call(database.run_command(self.connection.server().durably(doc! { "create": name })))
            .await?;
        let list = database.list_collections().filter(doc! { "name": { "$in": [METADATA, name] } });
        let mut collections = self.connection.call(list).await?;
        let (mut made, mut is_there) = (None, false);
        while self.connection.call(collections.advance()).await? {
            let collection = collections.deserialize_current()?;
            match collection.name == METADATA {
                true => is_there = true,
                false => made = identity_of(&collection),
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
        Err(Error::unavailable("the organization's database is not there").into())
    }

    /// Waits for an operation that may be moving what is looked for.
    pub(super) async fn wait_for_operation(&self, round: u32) -> EngineResult<()> {
        if round >= LOOKS {
            return Err(Error::unavailable("the organization is being changed").into());
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}

fn plain<'a>(
    organization: &'a Organization,
    name: &'a CollectionName,
    database: &Database,
    namespace: String,
    id: ContainerId,
    first: Option<ObjectId>,
) -> CollectionHandle<'a> {
    CollectionHandle {
        organization,
        name,
        database: database.clone(),
        namespace,
        identity: Some(id),
        form: DocumentLayout::Plain { first },
        share: None,
        again: true,
    }
}
