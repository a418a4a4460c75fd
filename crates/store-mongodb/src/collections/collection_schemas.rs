//! The schemas of collections: a document for each in `collection_schemas`, by organization and name.
//!
//! It also says which collection it belongs to: the UUID of one of the server's, or the key of one of the placement
//! `shared`. Neither is ever used again, so a collection that is dropped and made again has no schema.
//!
//! # Pitfalls
//! The UUID of a collection may be cached and out of date. Before a schema is taken for that of an earlier collection, the
//! collection is looked up again: otherwise a write would go unchecked into the new one.

use super::handle::CollectionHandle;
use crate::connection::Connection;
use crate::engine_error::EngineResult;
use crate::names::COLLECTION_SCHEMAS;
use crate::record_codec::object_id;
use crate::records::Records;
use mongodb::bson::{Document, doc};
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::time::Instant;
use tenantry_documents::schema::SchemaDefinition;
use tenantry_domain::Error;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::limits::RECENT_READ_MAX_AGE;
use tenantry_domain::store::SchemaChange;

/// How many collections' schemas are cached.
const CACHED_COLLECTIONS: usize = 10_000;

/// When the read of a schema began, and what it has found.
type CachedSchema = (Instant, Option<Arc<SchemaDefinition>>);

/// See [`self`]. Cheap to clone.
#[derive(Clone)]
pub(crate) struct CollectionSchemas {
    records: Records,
    recent: Arc<Cache<(OrganizationId, CollectionName), CachedSchema>>,
}

impl CollectionSchemas {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self {
            records: Records::new(connection, COLLECTION_SCHEMAS),
            recent: Arc::new(Cache::new(CACHED_COLLECTIONS)),
        }
    }

    /// The schema of a collection, if it was read in the last moment and still exists.
    pub(super) fn recent(
        &self,
        organization: OrganizationId,
        name: &CollectionName,
    ) -> Option<Option<Arc<SchemaDefinition>>> {
        let (began, schema) = self.recent.get(&(organization, name.clone()))?;
        (began.elapsed() < RECENT_READ_MAX_AGE).then_some(schema)
    }

    /// Call after a change of the schema, or of the collection.
    pub(super) fn invalidate(&self, organization: OrganizationId, name: &CollectionName) {
        self.recent.remove(&(organization, name.clone()));
    }

    /// The schema that a collection has now, if the handle is of that collection.
    pub(super) async fn get(
        &self,
        handle: &mut CollectionHandle<'_>,
    ) -> EngineResult<Option<Arc<SchemaDefinition>>> {
        let (began, key) = (Instant::now(), (handle.organization().id, handle.name().clone()));
        let schema = self.read(handle).await?.map(Arc::new);
        self.recent.insert(key, (began, schema.clone()));
        Ok(schema)
    }

    async fn read(&self, handle: &mut CollectionHandle<'_>) -> EngineResult<Option<SchemaDefinition>> {
        let Some(found) = self.records.find_document(of(handle)).await? else { return Ok(None) };
        if found.get(COLLECTION) != Some(&handle.identity()) {
            handle.look_up_again().await?;
            if found.get(COLLECTION) != Some(&handle.identity()) {
                // A program has dropped its collection.
                let filter =
                    doc! { "_id": found.get("_id").cloned(), COLLECTION: found.get(COLLECTION).cloned() };
                self.records.call(self.records.collection().delete_one(filter)).await?;
                return Ok(None);
            }
        }
        let definition = found.get_str(DEFINITION).map_err(Error::internal)?;
        Ok(Some(SchemaDefinition::of_json(definition).map_err(Error::from)?))
    }

    /// Sets or removes the schema, if it is the one that is expected.
    pub(super) async fn set(
        &self,
        handle: &mut CollectionHandle<'_>,
        schema: Option<&SchemaDefinition>,
        expected: Option<&SchemaDefinition>,
    ) -> EngineResult<SchemaChange> {
        handle.look_up_again().await?;
        let (own, id) = (handle.identity(), of(handle));
        let mut filter = id.clone();
        if let Some(expected) = expected {
            filter.insert(COLLECTION, &own);
            filter.insert(DEFINITION, expected.to_json().map_err(Error::from)?);
        }
        let was_own =
            |before: Option<&Document>| before.and_then(|before| before.get(COLLECTION)) == Some(&own);
        let before = match schema {
            Some(schema) => {
                let set = doc! {
                    ORGANIZATION: object_id(handle.organization().id.as_bytes()),
                    COLLECTION: &own,
                    DEFINITION: schema.to_json().map_err(Error::from)?,
                };
                let update = || {
                    let update =
                        self.records.collection().find_one_and_update(filter.clone(), doc! { "$set": &set });
                    self.records.call(update.upsert(expected.is_none()))
                };
                match update().await {
                    // Of two that insert it at once, one finds it the second time.
                    Err(failure) if failure.is_same_id() => update().await?,
                    before => before?,
                }
            }
            None => self.records.call(self.records.collection().find_one_and_delete(filter)).await?,
        };
        self.invalidate(handle.organization().id, handle.name());
        if expected.is_some() && before.is_none() {
            return Ok(SchemaChange::Stale);
        }
        Ok(SchemaChange::Done { was_there: was_own(before.as_ref()) })
    }

    /// Removes the schema of a collection that was dropped.
    pub(super) async fn delete(&self, handle: &CollectionHandle<'_>) -> EngineResult<()> {
        let mut filter = of(handle);
        filter.insert(COLLECTION, handle.identity());
        self.records.call(self.records.collection().delete_one(filter)).await?;
        self.invalidate(handle.organization().id, handle.name());
        Ok(())
    }

    /// Removes the schemas of all collections of an organization.
    pub(crate) async fn delete_all_of(&self, organization: OrganizationId) -> EngineResult<()> {
        self.records.delete_all(&doc! { ORGANIZATION: object_id(organization.as_bytes()) }).await
    }
}

/// The field with the id of the organization.
pub(crate) const ORGANIZATION: &str = "org_id";
/// The field that says to which collection it belongs.
const COLLECTION: &str = "collection";
/// The field with the schema, as JSON.
const DEFINITION: &str = "definition";

fn of(handle: &CollectionHandle<'_>) -> Document {
    let organization = object_id(handle.organization().id.as_bytes());
    doc! { "_id": { ORGANIZATION: organization, "name": handle.name().as_str() } }
}
