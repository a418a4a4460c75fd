//! API keys. Beside the record a document has a `slot` ([`slots`]). The time of last use changes on its own, without
//! the version.

use crate::connection::Connection;
use crate::names::{API_KEYS, API_KEYS_BY_SLOT, API_KEYS_OF};
use crate::record_codec::{encode, moment, object_id};
use crate::records::{Records, with_event};
use crate::slots::{Bound, SLOT};
use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::Hint;
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::api_key::{ApiKey, ApiKeyOwner};
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::ids::{ApiKeyId, OrganizationId};
use tenantry_domain::store::{self, BoundedInsert, UpdateOutcome};

/// The field with the time of last use.
const LAST_USED_AT: &str = "last_used_at";

/// See [`store::ApiKeys`].
pub(crate) struct ApiKeys {
    records: Records,
}

impl ApiKeys {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self { records: Records::new(connection, API_KEYS) }
    }
}

#[async_trait]
impl store::ApiKeys for ApiKeys {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn insert_api_key(
        &self,
        key: &ApiKey,
        limit: u32,
        event: Option<&AuditEvent>,
    ) -> Result<BoundedInsert> {
        let (owned, same) = (owned_by(key.owner), with_id(key.id));
        let bound = Bound { records: &self.records, index: API_KEYS_BY_SLOT, owned, same, limit };
        Ok(bound.insert(*key.id.as_bytes(), with_event(encode(key)?, event)?).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn get_api_key(&self, id: ApiKeyId) -> Result<Option<Arc<ApiKey>>> {
        Ok(self.records.find_one(with_id(id)).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_api_keys(
        &self,
        owner: ApiKeyOwner,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<Arc<ApiKey>>> {
        let mut filter = owned_by(owner);
        if let Some(after) = after {
            filter.insert("_id", doc! { "$gt": object_id(after.as_bytes()) });
        }
        let find = self.records.collection().find(filter).sort(doc! { "_id": 1 });
        Ok(self.records.list(find.hint(Hint::Name(API_KEYS_OF.to_owned())), limit).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn update_api_key(&self, key: &ApiKey, event: Option<&AuditEvent>) -> Result<UpdateOutcome> {
        let document = encode(&ApiKey { last_used_at: None, ..key.clone() })?;
        Ok(self.records.replace(key.version, document, &[LAST_USED_AT, SLOT], event).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn touch_api_key(&self, id: ApiKeyId, at: Timestamp) -> Result<()> {
        let update = doc! { "$max": { LAST_USED_AT: moment(at) } };
        self.records.call(self.records.collection().update_one(with_id(id), update)).await?;
        Ok(())
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_api_key(&self, id: ApiKeyId, event: Option<&AuditEvent>) -> Result<bool> {
        Ok(self.records.delete_one(with_id(id), event).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn delete_api_keys_of(&self, organization_id: OrganizationId, limit: u32) -> Result<Vec<ApiKeyId>> {
        let owned = owned_by(ApiKeyOwner::Organization(organization_id));
        let (_, ids) = self.records.delete_some(owned, limit).await?;
        let bytes = ids.iter().filter_map(Bson::as_object_id).map(|id| id.bytes());
        Ok(bytes.map(ApiKeyId::from_bytes).collect())
    }
}

fn with_id(id: ApiKeyId) -> Document {
    doc! { "_id": object_id(id.as_bytes()) }
}

/// Finds the keys of that owner, who is in a document as serde writes it.
fn owned_by(owner: ApiKeyOwner) -> Document {
    match owner {
        ApiKeyOwner::Installation => doc! { "owner": "installation" },
        ApiKeyOwner::Organization(id) => doc! { "owner": { "organization": object_id(id.as_bytes()) } },
    }
}
