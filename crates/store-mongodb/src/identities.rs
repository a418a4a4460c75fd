//! Identities: the links between accounts and identity providers. Beside the record a document has a `slot`
//! ([`slots`]).

use crate::connection::Connection;
use crate::names::{IDENTITIES, IDENTITIES_BY_SLOT};
use crate::record_codec::{encode, object_id};
use crate::records::{Records, with_event};
use crate::slots::Bound;
use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use mongodb::options::Hint;
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::identity::Identity;
use tenantry_domain::ids::{AccountId, IdentityId};
use tenantry_domain::store::{self, BoundedInsert};

/// See [`store::Identities`].
pub(crate) struct Identities {
    records: Records,
}

impl Identities {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self { records: Records::new(connection, IDENTITIES) }
    }
}

#[async_trait]
impl store::Identities for Identities {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn insert_identity(
        &self,
        identity: &Identity,
        limit: u32,
        event: Option<&AuditEvent>,
    ) -> Result<BoundedInsert> {
        let (owned, same) = (owned_by(identity.account_id), with_id(identity.id));
        let bound = Bound { records: &self.records, index: IDENTITIES_BY_SLOT, owned, same, limit };
        Ok(bound.insert(*identity.id.as_bytes(), with_event(encode(identity)?, event)?).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn get_identity(&self, id: IdentityId) -> Result<Option<Arc<Identity>>> {
        Ok(self.records.find_one(with_id(id)).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_identities(&self, account_id: AccountId, limit: u32) -> Result<Vec<Arc<Identity>>> {
        // An account has few: those of a slot's index are sorted here.
        let find = self.records.collection().find(owned_by(account_id)).sort(doc! { "_id": 1 });
        Ok(self.records.list(find.hint(Hint::Name(IDENTITIES_BY_SLOT.to_owned())), limit).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_identity(
        &self,
        id: IdentityId,
        account_id: AccountId,
        event: Option<&AuditEvent>,
    ) -> Result<bool> {
        let mut filter = with_id(id);
        filter.extend(owned_by(account_id));
        Ok(self.records.delete_one(filter, event).await?)
    }
}

fn with_id(id: IdentityId) -> Document {
    doc! { "_id": object_id(id.as_bytes()) }
}

/// Finds the identities of that account.
fn owned_by(account_id: AccountId) -> Document {
    doc! { "account_id": object_id(account_id.as_bytes()) }
}
