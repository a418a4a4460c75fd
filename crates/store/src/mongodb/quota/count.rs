//! Counting what an organization has, and setting its usage right.

use super::{Size, of};
use crate::mongodb::MongoDb;
use crate::mongodb::failure::Attempt;
use mongodb::bson::{Document, doc};
use std::time::Duration;
use tenantry_domain::Error;
use tenantry_domain::organization::Organization;

/// How long a first count waits for changes to end that began before it, and the pause between two looks.
const LOOKS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);
/// When the first count is repeated: instances that did not yet know of the quota may have changed something during it
/// without a claim.
const FIRST_GOOD_FOR: Duration = Duration::from_secs(15);
/// When a later one is.
const GOOD_FOR: Duration = Duration::from_secs(3600);
/// When a count is tried again that changes got into the way of.
const AGAIN: Duration = Duration::from_secs(60);

impl MongoDb {
    /// Counts what was never counted. Until then nothing may be added.
    pub(super) async fn count_first(&self, organization: &Organization) -> Attempt<()> {
        let _one = self.quotas.one_at_a_time(organization.id).await;
        // Also where an announcement of a collection has made the document, which has no version then.
        let nothing = doc! { "$max": { "version": 0_i64 } };
        match self.call(self.usage.update_one(of(organization.id), nothing).upsert(true)).await {
            Ok(_) => {}
            // Another instance has just made it.
            Err(failure) if failure.is_same_id() => {}
            Err(failure) => return Err(failure),
        }
        for _ in 0..LOOKS {
            let usage = self.get_usage_document(organization.id).await?;
            if usage.is_none_or(|usage| usage.is_counted())
                || self.try_to_count(organization, FIRST_GOOD_FOR).await?
            {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Error::unavailable("what the organization has cannot be counted: it changes all the time").into())
    }

    /// Counts once more, unless somebody has just done so, or a change is under way.
    pub(super) async fn count_anew(&self, organization: &Organization) -> Attempt<()> {
        let _one = self.quotas.one_at_a_time(organization.id).await;
        let usage = self.get_usage_document(organization.id).await?;
        if usage.is_some_and(|usage| usage.is_doubtful(self.claims_last())) {
            let _ = self.try_to_count(organization, GOOD_FOR).await?;
        }
        Ok(())
    }

    /// Counts once more while others go on; one of all instances does.
    pub(super) fn count_in_background(&self, organization: &Organization) {
        let Some(engine) = self.this.get().and_then(std::sync::Weak::upgrade) else { return };
        let organization = organization.clone();
        tokio::spawn(async move {
            if let Err(failure) = engine.count_if_due(&organization).await {
                tracing::debug!(organization = %organization.id, ?failure, "a count did not come to its end");
            }
        });
    }

    async fn count_if_due(&self, organization: &Organization) -> Attempt<()> {
        let mut due = of(organization.id);
        due.insert("$expr", doc! { "$lte": ["$due", "$$NOW"] });
        let claim = doc! { "$set": { "due": later(AGAIN) } };
        if self.call(self.usage.update_one(due, vec![claim])).await?.matched_count == 1 {
            let _ = self.try_to_count(organization, GOOD_FOR).await?;
        }
        Ok(())
    }

    /// Counts, if no change is under way; whether that came to a count.
    async fn try_to_count(&self, organization: &Organization, good_for: Duration) -> Attempt<bool> {
        let Some(before) = self.get_usage_document(organization.id).await? else { return Ok(false) };
        if !before.entries("claims", self.claims_last()).0.is_empty() {
            return Ok(false);
        }
        let Size { documents, bytes } = self.measure(organization).await?;
        let mut filter = of(organization.id);
        // It may have been made for something else, without a version.
        let version = before.number("version");
        filter.insert(
            "version",
            if version == 0 {
                doc! { "$in": [0_i64, null] }
            } else {
                doc! { "$eq": version }
            },
        );
        let update = [
            doc! { "$set": {
                "documents": documents,
                "bytes": bytes,
                "version": version + 1,
                "claims": [],
                "counted_at": "$$NOW",
                "due": later(good_for),
            } },
            doc! { "$unset": "doubted" },
        ];
        Ok(self.call(self.usage.update_one(filter, update.to_vec())).await?.matched_count == 1)
    }

    /// Counts documents and bytes of an organization, one by one.
    pub(in crate::mongodb) async fn measure(&self, organization: &Organization) -> Attempt<Size> {
        let mut all = Size::default();
        for name in self.collection_names_of(organization).await? {
            all = all.plus(self.measure_collection(organization, &name).await?);
        }
        Ok(all)
    }
}

fn later(than: Duration) -> Document {
    let millis = i64::try_from(than.as_millis()).unwrap_or(i64::MAX);
    doc! { "$add": ["$$NOW", millis] }
}
