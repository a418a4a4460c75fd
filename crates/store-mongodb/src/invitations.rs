//! Invitations. Beside the record a document has `email_key`, the mailbox that is invited, and a `slot` ([`slots`]).

use crate::connection::Connection;
use crate::engine_error::{EngineError, EngineResult};
use crate::names::{INVITATIONS, INVITATIONS_BY_ADDRESS, INVITATIONS_BY_SLOT, INVITATIONS_OF};
use crate::record_codec::{encode, integer, moment, object_id};
use crate::records::{Records, update_outcome, with_event};
use crate::slots::{Bound, SLOT};
use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::{Document, doc};
use mongodb::options::Hint;
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::ids::{InvitationId, OrganizationId};
use tenantry_domain::invitation::Invitation;
use tenantry_domain::store::{self, BoundedInsert, UpdateOutcome};

/// See [`store::Invitations`].
pub(crate) struct Invitations {
    records: Records,
}

impl Invitations {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self { records: Records::new(connection, INVITATIONS) }
    }

    /// Removes up to `limit` invitations that `filter` finds; how many were found. Another instance may remove some
    /// of them first, so that only zero says that none is left.
    async fn delete_found(&self, filter: Document, limit: u32) -> EngineResult<u32> {
        let (_, ids) = self.records.delete_some(filter, limit).await?;
        Ok(u32::try_from(ids.len()).unwrap_or(u32::MAX))
    }
}

#[async_trait]
impl store::Invitations for Invitations {
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %invitation.organization_id))]
    async fn insert_invitation(
        &self,
        invitation: &Invitation,
        limit: u32,
        event: Option<&AuditEvent>,
    ) -> Result<BoundedInsert> {
        let document = with_event(document(invitation)?, event)?;
        let owned = owned_by(invitation.organization_id);
        let mut same_address = owned.clone();
        same_address.insert("email_key", document.get("email_key").cloned());
        let same = doc! { "$or": [{ "_id": object_id(invitation.id.as_bytes()) }, same_address] };
        let bound = Bound { records: &self.records, index: INVITATIONS_BY_SLOT, owned, same, limit };
        match bound.insert(*invitation.id.as_bytes(), document).await {
            Err(EngineError::Duplicate { index }) if index == INVITATIONS_BY_ADDRESS => {
                Ok(BoundedInsert::Exists)
            }
            outcome => Ok(outcome?),
        }
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn get_invitation(&self, id: InvitationId) -> Result<Option<Arc<Invitation>>> {
        Ok(self.records.find_one(doc! { "_id": object_id(id.as_bytes()) }).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn list_invitations(
        &self,
        organization_id: OrganizationId,
        after: Option<InvitationId>,
        limit: u32,
    ) -> Result<Vec<Arc<Invitation>>> {
        let mut filter = owned_by(organization_id);
        if let Some(after) = after {
            filter.insert("_id", doc! { "$gt": object_id(after.as_bytes()) });
        }
        let find = self.records.collection().find(filter).sort(doc! { "_id": 1 });
        Ok(self.records.list(find.hint(Hint::Name(INVITATIONS_OF.to_owned())), limit).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %invitation.organization_id))]
    async fn update_invitation(
        &self,
        invitation: &Invitation,
        event: Option<&AuditEvent>,
    ) -> Result<UpdateOutcome> {
        Ok(self.records.replace(invitation.version, document(invitation)?, &[SLOT], event).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_invitation(
        &self,
        id: InvitationId,
        version: u64,
        event: Option<&AuditEvent>,
    ) -> Result<UpdateOutcome> {
        let filter = doc! { "_id": object_id(id.as_bytes()), "version": integer(version) };
        Ok(update_outcome(u64::from(self.records.delete_one(filter, event).await?)))
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn delete_invitations_of(&self, organization_id: OrganizationId, limit: u32) -> Result<u32> {
        Ok(self.delete_found(owned_by(organization_id), limit).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_expired_invitations(&self, now: Timestamp, limit: u32) -> Result<u32> {
        Ok(self.delete_found(doc! { "expires_at": { "$lt": moment(now) } }, limit).await?)
    }
}

/// Finds the invitations of that organization.
fn owned_by(organization_id: OrganizationId) -> Document {
    doc! { "organization_id": object_id(organization_id.as_bytes()) }
}

fn document(invitation: &Invitation) -> EngineResult<Document> {
    let mut document = encode(invitation)?;
    document.insert("email_key", invitation.email.key().as_str());
    Ok(document)
}
