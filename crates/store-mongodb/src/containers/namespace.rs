//! Reads one collection of a container, without mistaking another for it.

use crate::connection::Connection;
use crate::engine_error::EngineResult;
use crate::record_codec::object_id;
use mongodb::Database;
use mongodb::bson::{Bson, Document, Uuid, doc};
use mongodb::results::CollectionSpecification;
use tenantry_domain::Error;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::ContainerId;

/// Up to this many documents are counted one by one. Beyond that the server's own number is used: it takes no time at
/// any size, and is exact except for a while after the server was killed.
const EXACT_COUNT_MAX: i64 = 2_000;

/// A collection.
#[derive(Clone, Copy)]
pub(crate) struct Namespace<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) database: &'a Database,
    pub(crate) name: &'a str,
    /// Its UUID, where the name alone does not identify it.
    pub(crate) uuid: Option<ContainerId>,
}

impl Namespace<'_> {
    /// How many documents it has, without the metadata document of that organization's container.
    pub(crate) async fn count(self, first: Option<OrganizationId>) -> EngineResult<u64> {
        let others = doc! { "_id": { "$ne": first.map(|id| object_id(id.as_bytes())) } };
        let few = [
            doc! { "$match": others },
            doc! { "$limit": EXACT_COUNT_MAX + 1 },
            doc! { "$count": "documents" },
        ];
        let counted = number(&self.aggregate(&few).await?, "documents");
        if counted <= EXACT_COUNT_MAX {
            return Ok(counted.unsigned_abs());
        }
        let kept = number(&self.aggregate(&[doc! { "$collStats": { "count": {} } }]).await?, "count");
        Ok(kept.unsigned_abs().saturating_sub(first.iter().count() as u64))
    }

    /// The first batch of a pipeline's results.
    pub(crate) async fn aggregate(self, pipeline: &[Document]) -> EngineResult<Vec<Document>> {
        let mut aggregate = doc! { "aggregate": self.name, "pipeline": pipeline, "cursor": {} };
        if let Some(id) = self.uuid {
            aggregate.insert("collectionUUID", uuid(id));
        }
        let mut answer = self.connection.call(self.database.run_command(aggregate)).await?;
        let batch = answer.get_document_mut("cursor").ok().and_then(|cursor| cursor.remove("firstBatch"));
        let Some(Bson::Array(items)) = batch else {
            return Err(Error::internal("an aggregation answers without a batch").into());
        };
        let documents = items.into_iter().filter_map(|item| match item {
            Bson::Document(document) => Some(document),
            _ => None,
        });
        Ok(documents.collect())
    }
}

/// The UUID of a collection as MongoDB takes it.
pub(crate) fn uuid(id: ContainerId) -> Bson {
    Uuid::from_bytes(id.0).into()
}

/// The UUID of a listed collection. A view has none.
pub(crate) fn uuid_of(collection: &CollectionSpecification) -> Option<ContainerId> {
    let uuid = collection.info.uuid.as_ref()?;
    Some(ContainerId(uuid.bytes.as_slice().try_into().ok()?))
}

/// The number in the only document of `batch`; 0 if there is none.
fn number(batch: &[Document], field: &str) -> i64 {
    let value = batch.first().and_then(|document| document.get(field));
    value.and_then(|value| value.as_i64().or_else(|| value.as_i32().map(i64::from))).unwrap_or(0)
}
