//! Collections of the database of the records, reached by name and UUID together.
//!
//! A UUID never changes, and every effect carries it, so that a late effect gets an error instead of reaching another
//! organization's data. Nothing is ever overwritten by a rename or dropped by name alone.

use crate::connection::Connection;
use crate::containers::namespace::{Namespace, uuid, uuid_of};
use crate::engine_error::{EngineError, EngineResult};
use crate::record_codec::object_id;
use mongodb::bson::doc;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::ContainerId;

/// See [`self`]. Cheap to clone.
#[derive(Clone)]
pub(super) struct NamedCollections {
    connection: Connection,
}

impl NamedCollections {
    pub(super) fn new(connection: &Connection) -> Self {
        Self { connection: connection.clone() }
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn at<'a>(&'a self, name: &'a str, id: ContainerId) -> Namespace<'a> {
        Namespace { connection: &self.connection, database: self.connection.database(), name, uuid: Some(id) }
    }

    /// Creates an empty collection.
    pub(super) async fn create(&self, name: &str) -> EngineResult<()> {
        self.connection.write_command(doc! { "create": name }).await
    }

    /// Removes the collection of that UUID, if it has that name; a missing one is not an error.
    pub(super) async fn drop(&self, name: &str, id: ContainerId) -> EngineResult<()> {
        match self.connection.write_command(doc! { "drop": name, "collectionUUID": uuid(id) }).await {
            Ok(()) | Err(EngineError::Elsewhere { actual: None }) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Renames the collection of that UUID, if it has the name `from` and `to` is free.
    pub(super) async fn rename(&self, from: &str, to: &str, id: ContainerId) -> EngineResult<()> {
        let server = self.connection.server();
        let database = server.database().name();
        let rename = doc! {
            "renameCollection": format!("{database}.{from}"),
            "to": format!("{database}.{to}"),
            "dropTarget": false,
            "collectionUUID": uuid(id),
        };
        let admin = server.other_database("admin");
        self.connection.call(admin.run_command(server.durably(rename))).await.map(|_| ())
    }

    /// The name of the collection of that UUID, if it is not `expected`.
    pub(super) async fn find_name(&self, expected: &str, id: ContainerId) -> EngineResult<Option<String>> {
        match self.at(expected, id).aggregate(&[doc! { "$limit": 1 }]).await {
            Ok(_) => Ok(None),
            Err(EngineError::Elsewhere { actual: Some(actual) }) => Ok(Some(actual)),
            Err(failure) => Err(failure),
        }
    }

    /// The UUID of the collection that has that name now.
    pub(super) async fn find_uuid(&self, name: &str) -> EngineResult<Option<ContainerId>> {
        let list = self.connection.database().list_collections().filter(doc! { "name": name });
        let mut collections = self.connection.call(list).await?;
        Ok(self.connection.next(&mut collections).await?.as_ref().and_then(uuid_of))
    }

    /// Whether the collection is that organization's container.
    pub(super) async fn begins_with(
        &self,
        name: &str,
        id: ContainerId,
        owner: OrganizationId,
    ) -> EngineResult<bool> {
        let first =
            doc! { "$match": { "_id": object_id(owner.as_bytes()), "metadata": { "$exists": true } } };
        Ok(!self.at(name, id).aggregate(&[first]).await?.is_empty())
    }
}
