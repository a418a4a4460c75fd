//! Answers kept for their `Idempotency-Key`; `_id` is the key.

use super::MongoDb;
use super::document::{binary, moment, object_id};
use super::failure::Attempt;
use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime, Document, deserialize_from_document, doc, serialize_to_document};
use serde::{Deserialize, Serialize};
use tenantry_domain::idempotency::{Claim, RequestKey, RequestRecord, SavedAnswer};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::store::{Inserted, Requests};
use tenantry_domain::{Error, Result};

/// How often a claim is tried that others got ahead of. Whoever did has the key then, so the second time
/// finds that.
const ROUNDS: u32 = 5;

#[async_trait]
impl Requests for MongoDb {
    async fn claim_request(&self, record: &RequestRecord, now: Timestamp) -> Result<Claim> {
        for _ in 0..ROUNDS {
            if let Some(claim) = self.try_claim(record, now).await? {
                return Ok(claim);
            }
        }
        Err(Error::unavailable("too many claims of one key at the same moment"))
    }

    async fn save_answer(&self, key: &RequestKey, answer: &SavedAnswer) -> Result<()> {
        let answer = serialize_to_document(&Answer::of(answer)).map_err(Error::internal)?;
        self.change(doc! { "_id": binary(&key.0) }, doc! { "answer": answer }).await?;
        Ok(())
    }

    async fn yield_request(&self, key: &RequestKey) -> Result<()> {
        self.change(unanswered(key), doc! { "lease_until": DateTime::from_millis(0) }).await?;
        Ok(())
    }

    async fn release_request(&self, key: &RequestKey) -> Result<()> {
        self.call(self.requests.delete_one(unanswered(key))).await?;
        Ok(())
    }

    async fn delete_expired_requests(&self, now: Timestamp, limit: u32) -> Result<u32> {
        let expired = doc! { "expires_at": { "$lt": moment(now) } };
        Ok(self.delete_some(&self.requests, expired, limit).await?.0)
    }
}

/// What is known of a key that was claimed before.
#[derive(Deserialize)]
struct Known {
    fingerprint: Binary,
    organization_id: ObjectId,
    lease_until: DateTime,
    expires_at: DateTime,
    answer: Option<Answer>,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    status: i32,
    headers: Vec<(String, String)>,
    body: Binary,
}

impl Answer {
    fn of(saved: &SavedAnswer) -> Self {
        let body = Binary { subtype: BinarySubtype::Generic, bytes: saved.body.clone() };
        Self { status: saved.status.into(), headers: saved.headers.clone(), body }
    }

    fn saved(self) -> Result<SavedAnswer> {
        let status = u16::try_from(self.status).map_err(Error::internal)?;
        Ok(SavedAnswer { status, headers: self.headers, body: self.body.bytes })
    }
}

impl MongoDb {
    /// What comes of a claim; nothing if somebody else has changed the key meanwhile.
    async fn try_claim(&self, record: &RequestRecord, now: Timestamp) -> Attempt<Option<Claim>> {
        let known = self.call(self.requests.find_one(doc! { "_id": binary(&record.key.0) })).await?;
        let Some(known) = known.map(deserialize_from_document::<Known>).transpose()? else {
            if let Some(until) = self.holder_is_full(record, now).await? {
                return Ok(Some(Claim::TooMany { until }));
            }
            let is_new = self.insert(&self.requests, document(record)).await? == Inserted::New;
            return Ok(is_new.then_some(Claim::Granted(record.organization_id)));
        };
        if known.expires_at < moment(now) {
            if let Some(until) = self.holder_is_full(record, now).await? {
                return Ok(Some(Claim::TooMany { until }));
            }
            return self.claim_anew(record, &known).await;
        }
        if known.fingerprint.bytes != record.fingerprint {
            return Ok(Some(Claim::OtherRequest));
        }
        if let Some(answer) = known.answer {
            let made = OrganizationId::from_bytes(known.organization_id.bytes());
            return Ok(Some(Claim::Answered { made, answer: answer.saved()? }));
        }
        if known.lease_until > moment(now) {
            return Ok(Some(Claim::InProgress));
        }
        let mut filter = unanswered(&record.key);
        filter.insert("lease_until", known.lease_until);
        let (lease_until, expires_at) = (moment(record.lease_until), moment(record.expires_at));
        let met = self.change(filter, doc! { "lease_until": lease_until, "expires_at": expires_at }).await?;
        let organization_id = OrganizationId::from_bytes(known.organization_id.bytes());
        Ok((met > 0).then_some(Claim::Granted(organization_id)))
    }

    /// Until when the holder of a new key has as many as they may; `None` if they may have another.
    async fn holder_is_full(&self, record: &RequestRecord, now: Timestamp) -> Attempt<Option<Timestamp>> {
        let Some(holder) = record.holder else { return Ok(None) };
        let held = doc! { "holder": binary(&holder.id), "expires_at": { "$gte": moment(now) } };
        let most = u64::from(holder.most);
        if self.call(self.requests.count_documents(held.clone()).limit(most)).await? < most {
            return Ok(None);
        }
        let first = self.requests.find_one(held).sort(doc! { "expires_at": 1 });
        let first = self.call(first).await?.and_then(|first| first.get_datetime("expires_at").ok().copied());
        let until = first.map_or(Ok(now), |first| Timestamp::from_millisecond(first.timestamp_millis()));
        Ok(Some(until.map_err(Error::internal)?))
    }

    /// Claims a key that is forgotten and not yet removed.
    async fn claim_anew(&self, record: &RequestRecord, known: &Known) -> Attempt<Option<Claim>> {
        let filter = doc! { "_id": binary(&record.key.0), "expires_at": known.expires_at };
        let result = self.call(self.requests.replace_one(filter, document(record))).await?;
        Ok((result.matched_count > 0).then_some(Claim::Granted(record.organization_id)))
    }

    /// Sets fields of the document that `filter` finds; how many it found.
    async fn change(&self, filter: Document, fields: Document) -> Attempt<u64> {
        let result = self.call(self.requests.update_one(filter, doc! { "$set": fields })).await?;
        Ok(result.matched_count)
    }
}

/// Finds the key if it has no answer yet.
fn unanswered(key: &RequestKey) -> Document {
    doc! { "_id": binary(&key.0), "answer": { "$exists": false } }
}

fn document(record: &RequestRecord) -> Document {
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
