//! The effects of an adoption in place: collections get other names. Each names the collection by its UUID.

use super::{SourceDatabase, is_missing};
use crate::containers::namespace::{uuid, uuid_of};
use crate::containers::uuid_support::supports_uuids;
use crate::engine_error::{EngineError, EngineResult};
use crate::installation::stored_value;
use crate::names;
use crate::record_codec::binary;
use mongodb::bson::{Bson, Document, doc};
use mongodb::results::CollectionSpecification;
use tenantry_domain::organization::ContainerId;
use tenantry_domain::{Error, Result};

/// The collections of the records of this service.
pub const RECORD_COLLECTIONS: [&str; 18] = [
    names::ORGANIZATIONS,
    names::ACCOUNTS,
    names::IDENTITIES,
    names::SESSIONS,
    names::API_KEYS,
    names::INVITATIONS,
    names::MAILS,
    names::EXPIRIES,
    names::COLLECTION_SCHEMAS,
    names::OPERATIONS,
    names::AUDIT_OUTBOX,
    names::AUDIT_ENTRIES,
    names::REQUESTS,
    names::THROTTLES,
    names::INSTALLATION,
    names::SHARED_CONTAINERS,
    names::SHARED_DOCUMENTS,
    names::USAGE,
];

impl SourceDatabase {
    /// The UUID of the collection that has that name now.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn find_uuid(&self, name: &str) -> Result<Option<ContainerId>> {
        let find = async {
            let list = self.server().database().list_collections().filter(doc! { "name": name });
            let mut cursor = self.server().within(list).await?;
            if !self.server().within(cursor.advance()).await? {
                return EngineResult::Ok(None);
            }
            let found: CollectionSpecification = cursor.deserialize_current()?;
            Ok(uuid_of(&found))
        };
        Ok(find.await?)
    }

    /// Gives the collection of that UUID the name `to`, if `to` is free.
    ///
    /// # Errors
    /// `store_unavailable`; its cause says which name is taken, or that the collection is gone.
    pub async fn rename(&self, id: ContainerId, from: &str, to: &str) -> Result<()> {
        let Some(actual) = self.name_of(id, to).await? else { return Ok(()) };
        if actual.is_empty() {
            return Err(Error::unavailable(format!("the collection {from} is gone")));
        }
        let database = self.name();
        let rename = doc! {
            "renameCollection": format!("{database}.{actual}"),
            "to": format!("{database}.{to}"),
            "dropTarget": false,
            "collectionUUID": uuid(id),
        };
        let admin = self.server().other_database("admin");
        match self.server().within(admin.run_command(self.server().durably(rename))).await {
            Ok(_) => Ok(()),
            Err(EngineError::NamespaceExists) => {
                Err(Error::unavailable(format!("a collection {to} is in the way of {actual}")))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// The name of the collection of that UUID; `None` if it is `expected`, empty if there is none.
    async fn name_of(&self, id: ContainerId, expected: &str) -> Result<Option<String>> {
        let probe =
            doc! { "find": expected, "limit": 1, "projection": { "_id": 1 }, "collectionUUID": uuid(id) };
        match self.server().within(self.server().database().run_command(probe)).await {
            Ok(_) => Ok(None),
            Err(EngineError::Elsewhere { actual }) => Ok(Some(actual.unwrap_or_default())),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Sets a value of the installation, also before there is a schema.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn put_value(&self, name: &str, value: &[u8]) -> Result<()> {
        let set = doc! { "$set": { "value": binary(value) } };
        let update = doc! { "q": { "_id": name }, "u": set, "upsert": true };
        Ok(self.write(doc! { "update": names::INSTALLATION, "updates": [update] }).await?)
    }

    /// A value of the installation.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn get_value(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(stored_value(self.server(), name).await?)
    }

    /// Removes a value of the installation.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn delete_value(&self, name: &str) -> Result<()> {
        let delete = doc! { "q": { "_id": name }, "limit": 1 };
        Ok(self.write(doc! { "delete": names::INSTALLATION, "deletes": [delete] }).await?)
    }

    /// Whether the server can rename a collection by its UUID.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn supports_uuids(&self) -> Result<bool> {
        Ok(supports_uuids(self.server()).await?)
    }

    /// Whether the collection of that UUID has that name.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn is_called(&self, id: ContainerId, name: &str) -> Result<bool> {
        Ok(self.name_of(id, name).await?.is_none())
    }

    /// The name of the collection of that UUID; `guess`, if it has that name or is gone.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn current_name(&self, id: ContainerId, guess: &str) -> Result<String> {
        let actual = self.name_of(id, guess).await?.filter(|actual| !actual.is_empty());
        Ok(actual.unwrap_or_else(|| guess.to_owned()))
    }

    /// Whether a collection is a container of this service that nobody has written to.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn is_new_container(&self, name: &str, id: ContainerId) -> Result<bool> {
        let find = doc! { "find": name, "limit": 2, "collectionUUID": uuid(id) };
        let reply = self.server().within(self.server().database().run_command(find)).await;
        let reply = match reply {
            Err(EngineError::Elsewhere { .. }) => return Ok(false),
            Err(failure) if is_missing(&failure) => return Ok(false),
            reply => reply.map_err(Error::from)?,
        };
        let batch = reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
        let Ok([Bson::Document(only)]) = batch.map(Vec::as_slice) else { return Ok(false) };
        let metadata = only.get_document("metadata");
        let is_ours = metadata.is_ok_and(|metadata| metadata.get_str("schema_version").is_ok());
        Ok(is_ours && only.len() == 2 && only.get_object_id("_id").is_ok())
    }

    /// Removes the collections of the records, which the adoption has created, except those of these UUIDs, which the
    /// other program has, and except the values of the installation.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn drop_records(&self, kept: &[ContainerId]) -> Result<()> {
        for name in RECORD_COLLECTIONS.into_iter().filter(|name| *name != names::INSTALLATION) {
            if let Some(id) = self.find_uuid(name).await?
                && !kept.contains(&id)
            {
                self.drop_collection(name, id).await?;
            }
        }
        Ok(())
    }

    /// Removes the values of the installation, and with them the schema.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn drop_values(&self) -> Result<()> {
        match self.find_uuid(names::INSTALLATION).await? {
            Some(id) => self.drop_collection(names::INSTALLATION, id).await,
            None => Ok(()),
        }
    }

    /// Removes a collection; a missing one is not an error.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn drop_collection(&self, name: &str, id: ContainerId) -> Result<()> {
        match self.drop_by(doc! { "drop": name, "collectionUUID": uuid(id) }).await {
            Ok(()) | Err(EngineError::Elsewhere { actual: None }) => Ok(()),
            Err(failure) if is_missing(&failure) => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn drop_by(&self, drop: Document) -> EngineResult<()> {
        let server = self.server();
        server.within(server.database().run_command(server.durably(drop))).await.map(|_| ())
    }
}
