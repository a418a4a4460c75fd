//! Collections in which documents may expire, a document for each.

use crate::connection::Connection;
use crate::names::{EXPIRIES, EXPIRIES_DUE};
use crate::record_codec::{moment, object_id};
use crate::records::Records;
use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::{Document, doc};
use mongodb::options::Hint;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::store::{self, Expiry};
use tenantry_domain::{Error, Result};

/// See [`store::Expiries`].
pub(crate) struct Expiries {
    records: Records,
}

impl Expiries {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self { records: Records::new(connection, EXPIRIES) }
    }

    async fn update(&self, filter: Document, update: Document, upsert: bool) -> Result<()> {
        let update = self.records.collection().update_one(filter, update).upsert(upsert);
        self.records.call(update).await?;
        Ok(())
    }
}

fn of(organization: OrganizationId, collection: &CollectionName) -> Document {
    doc! { "_id": { "org_id": object_id(organization.as_bytes()), "collection": collection.as_str() } }
}

#[async_trait]
impl store::Expiries for Expiries {
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization))]
    async fn insert_expiry(
        &self,
        organization: OrganizationId,
        collection: &CollectionName,
        now: Timestamp,
    ) -> Result<()> {
        let now = moment(now);
        let update = doc! { "$min": { "due_at": now }, "$set": { "announced_at": now } };
        let filter = of(organization, collection);
        match self.update(filter.clone(), update.clone(), true).await {
            Ok(()) => Ok(()),
            // Of two that insert it at once, one finds it the second time.
            Err(_) => self.update(filter, update, true).await,
        }
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn claim_expiry(&self, now: Timestamp, next: Timestamp) -> Result<Option<Expiry>> {
        let (due, update) =
            (doc! { "due_at": { "$lte": moment(now) } }, doc! { "$set": { "due_at": moment(next) } });
        let claim = self.records.collection().find_one_and_update(due, update);
        let claim = claim.sort(doc! { "due_at": 1 }).hint(Hint::Name(EXPIRIES_DUE.to_owned()));
        let found = self.records.call(claim).await?;
        Ok(found.as_ref().map(read).transpose()?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %expiry.organization))]
    async fn reschedule_expiry(&self, expiry: &Expiry, at: Timestamp) -> Result<()> {
        let update = doc! { "$set": { "due_at": moment(at) } };
        self.update(of(expiry.organization, &expiry.collection), update, false).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %expiry.organization))]
    async fn delete_expiry(&self, expiry: &Expiry) -> Result<()> {
        let mut filter = of(expiry.organization, &expiry.collection);
        filter.insert("announced_at", moment(expiry.announced_at));
        self.records.call(self.records.collection().delete_one(filter)).await?;
        Ok(())
    }
}

fn read(document: &Document) -> Result<Expiry> {
    let id = document.get_document("_id").map_err(Error::internal)?;
    let announced_at = document.get_datetime("announced_at").map_err(Error::internal)?;
    let name = id.get_str("collection").map_err(Error::internal)?;
    Ok(Expiry {
        organization: OrganizationId::from_bytes(
            id.get_object_id("org_id").map_err(Error::internal)?.bytes(),
        ),
        collection: CollectionName::parse(name).map_err(Error::internal)?,
        announced_at: Timestamp::from_millisecond(announced_at.timestamp_millis())
            .map_err(Error::internal)?,
    })
}
