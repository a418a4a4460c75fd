//! Single values that belong to the installation as a whole; `_id` is the name.

use crate::client::Server;
use crate::connection::Connection;
use crate::engine_error::EngineResult;
use crate::names::INSTALLATION;
use crate::record_codec::binary;
use crate::records::{EVENTS, Records, stored_event, update_outcome, with_event};
use async_trait::async_trait;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::store::{self, InsertOutcome, UpdateOutcome};
use tenantry_domain::{Error, Result};

/// The document that is written to check whether writes work. It has no value.
const HEARTBEAT_ID: &str = "heartbeat";

/// See [`store::Installation`].
pub(crate) struct Installation {
    records: Records,
}

impl Installation {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self { records: Records::new(connection, INSTALLATION) }
    }
}

#[async_trait]
impl store::Installation for Installation {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn get_value(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(stored_value(self.records.connection().server(), name).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn init_value(&self, name: &str, value: &[u8]) -> Result<Vec<u8>> {
        let document = doc! { "_id": name, "value": binary(value) };
        if self.records.insert(document).await? == InsertOutcome::New {
            return Ok(value.to_vec());
        }
        let kept = stored_value(self.records.connection().server(), name).await?;
        kept.ok_or_else(|| Error::internal(format!("`{name}` is there and has no value")))
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn put_value(&self, name: &str, value: &[u8]) -> Result<()> {
        let set = doc! { "$set": { "value": binary(value) } };
        self.upsert(name, set).await.map_err(Error::from)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn update_value(
        &self,
        name: &str,
        expected: Option<&[u8]>,
        value: &[u8],
        event: Option<&AuditEvent>,
    ) -> Result<UpdateOutcome> {
        let Some(expected) = expected else {
            let document = with_event(doc! { "_id": name, "value": binary(value) }, event)?;
            return Ok(match self.records.insert(document).await? {
                InsertOutcome::New => UpdateOutcome::Done,
                InsertOutcome::Exists => UpdateOutcome::Stale,
            });
        };
        let mut update = doc! { "$set": { "value": binary(value) } };
        if let Some(event) = event {
            update.insert("$push", doc! { EVENTS: stored_event(event)? });
        }
        let filter = doc! { "_id": name, "value": binary(expected) };
        let result = self.records.call(self.records.collection().update_one(filter, update)).await?;
        Ok(update_outcome(result.matched_count))
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_value(&self, name: &str) -> Result<()> {
        let delete = self.records.collection().delete_one(doc! { "_id": name });
        self.records.call(delete).await.map(drop).map_err(Error::from)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn check_writable(&self) -> Result<()> {
        self.upsert(HEARTBEAT_ID, doc! { "$inc": { "beats": 1_i64 } }).await.map_err(Error::from)
    }
}

impl Installation {
    async fn upsert(&self, name: &str, update: Document) -> EngineResult<()> {
        let update = self.records.collection().update_one(doc! { "_id": name }, update).upsert(true);
        self.records.call(update).await.map(|_| ())
    }
}

/// The value of that name.
pub(super) async fn stored_value(server: &Server, name: &str) -> EngineResult<Option<Vec<u8>>> {
    let installation = server.collection(INSTALLATION);
    let found = server.within(installation.find_one(doc! { "_id": name })).await?;
    Ok(found.and_then(|mut document| match document.remove("value") {
        Some(Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes })) => Some(bytes),
        _ => None,
    }))
}
