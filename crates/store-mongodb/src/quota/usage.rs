//! The collection `usage`: a document for each organization with a quota, with its usage and the claims on it.

use crate::connection::Connection;
use crate::engine_error::EngineResult;
use crate::names::USAGE;
use crate::quota::claim_age::CLAIM_TTL;
use crate::quota::limits::is_limited;
use crate::record_codec::object_id;
use crate::records::Records;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::options::Hint;
use mongodb::results::UpdateResult;
use mongodb::{Collection, Cursor};
use std::time::Duration;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::Organization;

/// How long after a claim's last use its change may still take effect.
const EFFECT_DELAY: Duration = Duration::from_secs(30);
/// The age from which a count is repeated when something does not fit.
const RECOUNT_AGE: Duration = Duration::from_secs(60);

/// The document of an organization in `usage`, and the server's time when it was read.
pub(super) struct UsageDocument {
    fields: Document,
    now: DateTime,
}

impl UsageDocument {
    pub(super) fn number(&self, field: &str) -> i64 {
        self.fields.get(field).and_then(Bson::as_i64).unwrap_or(0)
    }

    pub(super) fn moment(&self, field: &str) -> Option<DateTime> {
        self.fields.get_datetime(field).ok().copied()
    }

    /// Whether documents and bytes have ever been counted.
    pub(super) fn is_counted(&self) -> bool {
        self.moment("counted_at").is_some()
    }

    /// Whether the count may be too high.
    pub(super) fn is_doubtful(&self, patience: Duration) -> bool {
        let is_old = self.moment("counted_at").is_none_or(|at| self.is_older(at, RECOUNT_AGE));
        is_old || self.is_too_high(patience)
    }

    /// Whether there is a sign that it is too high.
    pub(super) fn is_too_high(&self, patience: Duration) -> bool {
        self.fields.contains_key("doubted") || self.entries("claims", patience).1 > 0
    }

    /// The entries of a list that are not older than `patience`, and how many are older.
    pub(super) fn entries(&self, field: &str, patience: Duration) -> (Vec<&Document>, usize) {
        let all = self.fields.get_array(field).map(Vec::as_slice).unwrap_or_default();
        let all = all.iter().filter_map(Bson::as_document);
        let (old, fresh): (Vec<_>, Vec<_>) =
            all.partition(|entry| entry.get_datetime("at").is_ok_and(|at| self.is_older(*at, patience)));
        (fresh, old.len())
    }

    /// The claims of indexes, of any age.
    pub(super) fn index_claims(&self) -> Vec<&Document> {
        let (all, _) = self.entries("claims", Duration::MAX);
        all.into_iter().filter(|claim| claim.contains_key("index_bytes")).collect()
    }

    fn is_older(&self, at: DateTime, age: Duration) -> bool {
        let millis = self.now.timestamp_millis().saturating_sub(at.timestamp_millis());
        u128::try_from(millis).is_ok_and(|millis| millis > age.as_millis())
    }
}

/// The usage of organizations. Cheap to clone.
#[derive(Clone)]
pub(crate) struct UsageRecords {
    records: Records,
}

impl UsageRecords {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self { records: Records::new(connection, USAGE) }
    }

    pub(super) const fn collection(&self) -> &Collection<Document> {
        self.records.collection()
    }

    /// Runs a call within the deadline.
    pub(super) async fn call<T>(
        &self,
        call: impl IntoFuture<Output = mongodb::error::Result<T>>,
    ) -> EngineResult<T> {
        self.records.call(call).await
    }

    pub(super) async fn get(&self, id: OrganizationId) -> EngineResult<Option<UsageDocument>> {
        let find = [doc! { "$match": of(id) }, doc! { "$set": { "now": "$$NOW" } }];
        let found = self
            .call(async {
                let mut cursor = self.collection().aggregate(find).await?;
                if cursor.advance().await? { cursor.deserialize_current().map(Some) } else { Ok(None) }
            })
            .await?;
        Ok(found.map(|mut fields| {
            let now = fields.remove("now").and_then(|now| now.as_datetime().copied());
            UsageDocument { now: now.unwrap_or(DateTime::MIN), fields }
        }))
    }

    /// Updates an organization's document by the server's own clock.
    pub(super) async fn update(&self, id: OrganizationId, update: Document) -> EngineResult<UpdateResult> {
        self.call(self.collection().update_one(of(id), vec![update])).await
    }

    /// The next document of [`Self::cursor`].
    pub(crate) async fn next(&self, cursor: &mut Cursor<Document>) -> EngineResult<Option<Document>> {
        self.records.next(cursor).await
    }

    /// How long a claim counts.
    pub(super) const fn claims_last(&self) -> Duration {
        CLAIM_TTL.saturating_add(EFFECT_DELAY).saturating_add(self.records.connection().deadline())
    }

    /// Records that an organization has less than was counted, because of a removal that was not measured.
    pub(crate) async fn invalidate(&self, organization: &Organization) {
        if !is_limited(organization) {
            return;
        }
        let update = doc! { "$set": { "doubted": true } };
        if let Err(failure) = self.call(self.collection().update_one(of(organization.id), update)).await {
            tracing::debug!(organization = %organization.id, ?failure, "a count is too high for a while");
        }
    }

    /// Removes the count before an organization without a quota gets one: it lacks what was added without a claim. A
    /// running count becomes invalid.
    pub(crate) async fn forget_count(&self, id: OrganizationId) -> EngineResult<()> {
        let update = doc! { "$unset": { "counted_at": "" }, "$inc": { "version": 1_i64 } };
        self.call(self.collection().update_one(of(id), update)).await.map(|_| ())
    }

    /// Removes the usage of an organization that is gone.
    pub(crate) async fn delete(&self, id: OrganizationId) -> EngineResult<()> {
        self.call(self.collection().delete_one(of(id))).await.map(|_| ())
    }

    /// The organizations with a document, one after the other: there may be any number.
    pub(crate) async fn cursor(&self) -> EngineResult<Cursor<Document>> {
        let find = self.collection().find(doc! {}).projection(doc! { "_id": 1 });
        self.call(find.hint(Hint::Name("_id_".to_owned()))).await
    }
}

pub(super) fn of(id: OrganizationId) -> Document {
    doc! { "_id": object_id(id.as_bytes()) }
}
