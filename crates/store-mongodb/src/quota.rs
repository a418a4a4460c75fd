//! Quotas of organizations, kept to exactly by any number of instances without a transaction.
//!
//! An organization with a quota has one document in `usage` with the documents and bytes it has, and the bytes of its index
//! entries if there is a quota for them. A change first claims
//! what it may add, by a conditional update of that document that also notes the claim; then it happens; then the claim
//! goes, and with it what was not used. What a newcomer gets wrong: whoever holds a claim may die. So the count may be
//! too high, and is set right by counting anew, which must not overlap an addition: each moves the version that the new
//! count is compared with. It is too low in one case alone: a process that stands still for more than a minute between its
//! last look at its claim ([`Change::check`]) and the write, while others count, adds one command's documents more. The server
//! makes an index to its end though nobody waits for the answer, so the claim of one stays for as long as that may be.

mod claim;
mod collections;
mod count;
mod indexes;
mod remembered;

pub(super) use claim::{Change, Size};
pub(super) use collections::{Creation, collection_limit_error, most_collections};
pub(super) use indexes::Outcome;

use super::MongoDb;
use super::document::object_id;
use super::engine_error::EngineResult;
use mongodb::bson::{Bson, DateTime, Document, doc};
use std::time::Duration;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::Organization;
use tokio::sync::{Mutex, MutexGuard};

/// How long after it was made a claim may still be used.
const CLAIM: Duration = Duration::from_secs(30);
/// How long after that its change may still take effect.
const AFTER_CLAIM: Duration = Duration::from_secs(30);
/// How old a count may be before it is doubted when something does not fit.
const DOUBTED_AFTER: Duration = Duration::from_secs(60);

/// Keeps what would only get into its own way from running at the same time in this process.
#[derive(Default)]
pub(super) struct Quotas {
    /// Announcements of collections, which are short; no count is ever made under one of these.
    creations: [Mutex<()>; 32],
    counts: count::Counts,
    remembered: remembered::CountCache,
}

impl Quotas {
    async fn one_creation(&self, id: OrganizationId) -> MutexGuard<'_, ()> {
        let lane = usize::from(id.as_bytes()[11]) % self.creations.len();
        self.creations[lane].lock().await
    }
}

/// The document of an organization in `usage`, and the server's time when it was read.
struct UsageDocument {
    fields: Document,
    now: DateTime,
}

impl UsageDocument {
    fn number(&self, field: &str) -> i64 {
        self.fields.get(field).and_then(Bson::as_i64).unwrap_or(0)
    }

    fn moment(&self, field: &str) -> Option<DateTime> {
        self.fields.get_datetime(field).ok().copied()
    }

    /// Whether documents and bytes have ever been counted.
    fn is_counted(&self) -> bool {
        self.moment("counted_at").is_some()
    }

    /// Whether the count may be too high.
    fn is_doubtful(&self, patience: Duration) -> bool {
        let is_old = self.moment("counted_at").is_none_or(|at| self.is_older(at, DOUBTED_AFTER));
        is_old || self.is_too_high(patience)
    }

    /// Whether something says that it is.
    fn is_too_high(&self, patience: Duration) -> bool {
        self.fields.contains_key("doubted") || self.entries("claims", patience).1 > 0
    }

    /// The entries of a list that are not older than `patience`, and how many are.
    fn entries(&self, field: &str, patience: Duration) -> (Vec<&Document>, usize) {
        let all = self.fields.get_array(field).map(Vec::as_slice).unwrap_or_default();
        let all = all.iter().filter_map(Bson::as_document);
        let (old, fresh): (Vec<_>, Vec<_>) =
            all.partition(|entry| entry.get_datetime("at").is_ok_and(|at| self.is_older(*at, patience)));
        (fresh, old.len())
    }

    /// The claims of indexes, of any age.
    fn index_claims(&self) -> Vec<&Document> {
        let (all, _) = self.entries("claims", Duration::MAX);
        all.into_iter().filter(|claim| claim.contains_key("index_bytes")).collect()
    }

    fn is_older(&self, at: DateTime, age: Duration) -> bool {
        let millis = self.now.timestamp_millis().saturating_sub(at.timestamp_millis());
        u128::try_from(millis).is_ok_and(|millis| millis > age.as_millis())
    }
}

impl MongoDb {
    async fn get_usage_document(&self, id: OrganizationId) -> EngineResult<Option<UsageDocument>> {
        let find = [doc! { "$match": of(id) }, doc! { "$set": { "now": "$$NOW" } }];
        let found = self
            .call(async {
                let mut cursor = self.usage.aggregate(find).await?;
                if cursor.advance().await? { cursor.deserialize_current().map(Some) } else { Ok(None) }
            })
            .await?;
        Ok(found.map(|mut fields| {
            let now = fields.remove("now").and_then(|now| now.as_datetime().copied());
            UsageDocument { now: now.unwrap_or(DateTime::MIN), fields }
        }))
    }

    /// How long a claim counts.
    const fn claims_last(&self) -> Duration {
        CLAIM.saturating_add(AFTER_CLAIM).saturating_add(self.server.deadline())
    }

    /// Notes that an organization has less than was counted, by something that was not measured.
    pub(super) async fn invalidate_usage(&self, organization: &Organization) {
        if !is_limited(organization) {
            return;
        }
        let update = doc! { "$set": { "doubted": true } };
        if let Err(failure) = self.call(self.usage.update_one(of(organization.id), update)).await {
            tracing::debug!(organization = %organization.id, ?failure, "a count is too high for a while");
        }
    }

    /// Forgets what was counted, before an organization without a quota gets one: what was added without a claim is not
    /// in it. A count under way comes to nothing.
    pub(super) async fn forget_count(&self, id: OrganizationId) -> EngineResult<()> {
        let update = doc! { "$unset": { "counted_at": "" }, "$inc": { "version": 1_i64 } };
        self.call(self.usage.update_one(of(id), update)).await.map(|_| ())
    }

    /// Removes what is kept of an organization that is no more.
    pub(super) async fn delete_usage(&self, id: OrganizationId) -> EngineResult<()> {
        self.call(self.usage.delete_one(of(id))).await.map(|_| ())
    }
}

/// Whether documents, bytes or index entries have to be counted.
pub(super) fn is_limited(organization: &Organization) -> bool {
    organization.quota.limits_documents()
}

fn of(id: OrganizationId) -> Document {
    doc! { "_id": object_id(id.as_bytes()) }
}
