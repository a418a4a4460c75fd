//! The queue of mails. Beside the record a document has `lease_until`, by the server's clock, while somebody sends it.

use crate::connection::Connection;
use crate::names::{MAILS, MAILS_DUE};
use crate::record_codec::{decode, encode, integer, moment, object_id};
use crate::records::{Records, update_outcome};
use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::doc;
use mongodb::options::{Hint, ReturnDocument};
use std::time::Duration;
use tenantry_domain::Result;
use tenantry_domain::ids::MailId;
use tenantry_domain::mail::QueuedMail;
use tenantry_domain::store::{self, BoundedInsert, InsertOutcome, UpdateOutcome};

/// See [`store::Mails`].
pub(crate) struct Mails {
    records: Records,
}

impl Mails {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self { records: Records::new(connection, MAILS) }
    }
}

#[async_trait]
impl store::Mails for Mails {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn insert_mail(&self, mail: &QueuedMail, limit: u32) -> Result<BoundedInsert> {
        if self.count_mails().await? >= u64::from(limit) {
            return Ok(BoundedInsert::Full);
        }
        Ok(match self.records.insert(encode(mail)?).await? {
            InsertOutcome::New => BoundedInsert::New,
            InsertOutcome::Exists => BoundedInsert::Exists,
        })
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn claim_mail(&self, now: Timestamp, lease: Duration) -> Result<Option<QueuedMail>> {
        let is_free = doc! { "$lte": [{ "$ifNull": ["$lease_until", "$$NOW"] }, "$$NOW"] };
        let filter = doc! { "due_at": { "$lte": moment(now) }, "$expr": is_free };
        let lease = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        let update = vec![doc! { "$set": {
            "version": { "$add": ["$version", 1_i64] },
            "attempts": { "$add": ["$attempts", 1] },
            "lease_until": { "$add": ["$$NOW", lease] },
        } }];
        let claim = self.records.collection().find_one_and_update(filter, update);
        let claim = claim.sort(doc! { "due_at": 1 }).return_document(ReturnDocument::After);
        let claim = claim.hint(Hint::Name(MAILS_DUE.to_owned()));
        let found = self.records.call(claim).await?;
        Ok(found
            .map(|mut document| {
                document.remove("lease_until");
                decode(document)
            })
            .transpose()?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn update_mail(&self, mail: &QueuedMail) -> Result<UpdateOutcome> {
        Ok(self.records.replace(mail.version, encode(mail)?, &[], None).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_mail(&self, id: MailId, version: u64) -> Result<UpdateOutcome> {
        let filter = doc! { "_id": object_id(id.as_bytes()), "version": integer(version) };
        Ok(update_outcome(u64::from(self.records.delete_one(filter, None).await?)))
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn count_mails(&self) -> Result<u64> {
        let count = self.records.collection().estimated_document_count();
        Ok(self.records.call(async { count.await }).await?)
    }
}
