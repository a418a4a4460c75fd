//! Responses kept for their `Idempotency-Key`; `_id` is the key.
//!
//! # Pitfalls
//! Other requests claim keys of the same holder at the same moment, here and in other instances. So near the limit a
//! new claim is counted after it is inserted: the last of several concurrent counts includes all of them.

use crate::connection::Connection;
use crate::engine_error::EngineResult;
use crate::names::REQUESTS;
use crate::record_codec::{binary, moment, object_id};
use crate::records::Records;
use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime, Document, deserialize_from_document, doc, serialize_to_document};
use serde::{Deserialize, Serialize};
use tenantry_domain::idempotency::{
    IdempotencyClaim, IdempotencyKey, IdempotencyRecord, KeyHolder, StoredResponse,
};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::store::{self, InsertOutcome};
use tenantry_domain::{Error, Result};
use tokio::sync::Mutex;

/// How often a claim is tried while others get ahead of it. Another request that got ahead has the key, so the second
/// try finds that; or the holder's last free place, unless two requests have just given it up for each other.
const MAX_ATTEMPTS: u32 = 5;
/// At most this many free keys are counted exactly. No more new keys of one holder are ever claimed between a count
/// and its claim.
const LAST_PLACES: u64 = 1000;

/// Makes the claims of this process for a holder's last free keys run one after the other. Together each would count
/// too many, and all would give up.
#[derive(Default)]
struct LastPlaceLocks([Mutex<()>; 32]);

impl LastPlaceLocks {
    fn of(&self, holder: &KeyHolder) -> &Mutex<()> {
        &self.0[usize::from(holder.id[0]) % self.0.len()]
    }
}

/// See [`store::IdempotencyKeys`].
pub(crate) struct IdempotencyKeys {
    records: Records,
    last_place_locks: LastPlaceLocks,
}

impl IdempotencyKeys {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self { records: Records::new(connection, REQUESTS), last_place_locks: LastPlaceLocks::default() }
    }
}

#[async_trait]
impl store::IdempotencyKeys for IdempotencyKeys {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn claim_key(&self, record: &IdempotencyRecord, now: Timestamp) -> Result<IdempotencyClaim> {
        for _ in 0..MAX_ATTEMPTS {
            if let Some(claim) = self.try_claim(record, now).await? {
                return Ok(claim);
            }
        }
        Err(Error::unavailable("too many claims at the same moment"))
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn save_response(&self, key: &IdempotencyKey, answer: &StoredResponse) -> Result<()> {
        let answer = serialize_to_document(&ResponseDocument::of(answer)).map_err(Error::internal)?;
        self.change(doc! { "_id": binary(&key.0) }, doc! { "answer": answer }).await?;
        Ok(())
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn end_lease(&self, key: &IdempotencyKey) -> Result<()> {
        self.change(unanswered(key), doc! { "lease_until": DateTime::from_millis(0) }).await?;
        Ok(())
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn release_key(&self, key: &IdempotencyKey) -> Result<()> {
        self.records.call(self.records.collection().delete_one(unanswered(key))).await?;
        Ok(())
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_expired_keys(&self, now: Timestamp, limit: u32) -> Result<u32> {
        let expired = doc! { "expires_at": { "$lt": moment(now) } };
        Ok(self.records.delete_some(expired, limit).await?.0)
    }
}

/// A claimed key, as it is stored.
#[derive(Deserialize)]
struct ClaimDocument {
    fingerprint: Binary,
    organization_id: ObjectId,
    lease_until: DateTime,
    expires_at: DateTime,
    answer: Option<ResponseDocument>,
}

#[derive(Serialize, Deserialize)]
struct ResponseDocument {
    status: i32,
    headers: Vec<(String, String)>,
    body: Binary,
}

impl ResponseDocument {
    fn of(saved: &StoredResponse) -> Self {
        let body = Binary { subtype: BinarySubtype::Generic, bytes: saved.body.clone() };
        Self { status: saved.status.into(), headers: saved.headers.clone(), body }
    }

    fn saved(self) -> Result<StoredResponse> {
        let status = u16::try_from(self.status).map_err(Error::internal)?;
        Ok(StoredResponse { status, headers: self.headers, body: self.body.bytes })
    }
}

impl IdempotencyKeys {
    /// Tries a claim once; `None` if another request has changed the key meanwhile.
    async fn try_claim(
        &self,
        record: &IdempotencyRecord,
        now: Timestamp,
    ) -> EngineResult<Option<IdempotencyClaim>> {
        let known = self
            .records
            .call(self.records.collection().find_one(doc! { "_id": binary(&record.key.0) }))
            .await?;
        let Some(known) = known.map(deserialize_from_document::<ClaimDocument>).transpose()? else {
            return self.claim_unused(record, None, now).await;
        };
        if known.expires_at < moment(now) {
            return self.claim_unused(record, Some(&known), now).await;
        }
        if known.fingerprint.bytes != record.fingerprint {
            return Ok(Some(IdempotencyClaim::OtherRequest));
        }
        if let Some(answer) = known.answer {
            let made = OrganizationId::from_bytes(known.organization_id.bytes());
            return Ok(Some(IdempotencyClaim::Answered { made, answer: answer.saved()? }));
        }
        if known.lease_until > moment(now) {
            return Ok(Some(IdempotencyClaim::InProgress));
        }
        let mut filter = unanswered(&record.key);
        filter.insert("lease_until", known.lease_until);
        let (lease_until, expires_at) = (moment(record.lease_until), moment(record.expires_at));
        let met = self.change(filter, doc! { "lease_until": lease_until, "expires_at": expires_at }).await?;
        let organization_id = OrganizationId::from_bytes(known.organization_id.bytes());
        Ok((met > 0).then_some(IdempotencyClaim::Granted(organization_id)))
    }

    /// Claims a key that is new, or expired and not yet removed, if its holder may have another.
    async fn claim_unused(
        &self,
        record: &IdempotencyRecord,
        forgotten: Option<&ClaimDocument>,
        now: Timestamp,
    ) -> EngineResult<Option<IdempotencyClaim>> {
        let granted = IdempotencyClaim::Granted(record.organization_id);
        let Some(holder) = record.holder else {
            return Ok(self.insert_claim(record, forgotten).await?.then_some(granted));
        };
        let most = u64::from(holder.most);
        let held = self.keys_held(&holder, now, most).await?;
        if held >= most {
            return Ok(Some(IdempotencyClaim::TooMany { until: self.first_to_expire(&holder, now).await? }));
        }
        if most - held > LAST_PLACES {
            return Ok(self.insert_claim(record, forgotten).await?.then_some(granted));
        }
        let _one = self.last_place_locks.of(&holder).lock().await;
        if !self.insert_claim(record, forgotten).await? {
            return Ok(None);
        }
        if self.keys_held(&holder, now, most + 1).await? > most {
            self.withdraw(record).await?;
            return Ok(None);
        }
        Ok(Some(granted))
    }

    /// Inserts a claim of a key that is new or expired; returns whether no other request was first.
    async fn insert_claim(
        &self,
        record: &IdempotencyRecord,
        forgotten: Option<&ClaimDocument>,
    ) -> EngineResult<bool> {
        let Some(known) = forgotten else {
            return Ok(self.records.insert(document(record)).await? == InsertOutcome::New);
        };
        let filter = doc! { "_id": binary(&record.key.0), "expires_at": known.expires_at };
        let result =
            self.records.call(self.records.collection().replace_one(filter, document(record))).await?;
        Ok(result.matched_count > 0)
    }

    /// Takes back a claim that was one too many, unless another request has the key now.
    async fn withdraw(&self, record: &IdempotencyRecord) -> EngineResult<()> {
        let mut own = unanswered(&record.key);
        own.insert("organization_id", object_id(record.organization_id.as_bytes()));
        own.insert("lease_until", moment(record.lease_until));
        self.records.call(self.records.collection().delete_one(own)).await.map(|_| ())
    }

    /// How many keys a holder has, counted up to `limit`.
    async fn keys_held(&self, holder: &KeyHolder, now: Timestamp, limit: u64) -> EngineResult<u64> {
        self.records.call(self.records.collection().count_documents(held_by(holder, now)).limit(limit)).await
    }

    /// When the first of a holder's keys expires.
    async fn first_to_expire(&self, holder: &KeyHolder, now: Timestamp) -> EngineResult<Timestamp> {
        let first = self.records.collection().find_one(held_by(holder, now)).sort(doc! { "expires_at": 1 });
        let first =
            self.records.call(first).await?.and_then(|first| first.get_datetime("expires_at").ok().copied());
        let until = first.map_or(Ok(now), |first| Timestamp::from_millisecond(first.timestamp_millis()));
        Ok(until.map_err(Error::internal)?)
    }

    /// Sets fields of the document that `filter` matches; returns how many matched.
    async fn change(&self, filter: Document, fields: Document) -> EngineResult<u64> {
        let result =
            self.records.call(self.records.collection().update_one(filter, doc! { "$set": fields })).await?;
        Ok(result.matched_count)
    }
}

/// Matches the holder's keys that have not expired.
fn held_by(holder: &KeyHolder, now: Timestamp) -> Document {
    doc! { "holder": binary(&holder.id), "expires_at": { "$gte": moment(now) } }
}

/// Matches the key if it has no response yet.
fn unanswered(key: &IdempotencyKey) -> Document {
    doc! { "_id": binary(&key.0), "answer": { "$exists": false } }
}

fn document(record: &IdempotencyRecord) -> Document {
    let mut document = doc! {
        "_id": binary(&record.key.0),
        "fingerprint": binary(&record.fingerprint),
        "organization_id": object_id(record.organization_id.as_bytes()),
        "lease_until": moment(record.lease_until),
        "expires_at": moment(record.expires_at),
    };
    if let Some(holder) = record.holder {
        document.insert("holder", binary(&holder.id));
    }
    document
}
