//! Removes documents that have expired: those with a date, in a field with an index for that, which is long enough ago.
//!
//! Every instance looks for collections that are due, one after another, and removes a portion from each. What it removes
//! goes the way of an ordinary delete: it is counted, and an organization that others wait for takes its turns. MongoDB's
//! own removal (`expireAfterSeconds`) would do neither, and would not stop at a legal hold.
//!
//! # Pitfalls
//! An index is announced before it is made, and its build may take an hour. So a collection stays listed for a while,
//! even if it has no such index.

use super::clock_and_entropy::ClockAndEntropy;
use crate::clock;
use crate::collection::CollectionName;
use crate::error::{Error, ErrorCode, Result};
use crate::limits::{EXPIRY_INTERVAL, EXPIRY_LISTED, EXPIRY_PORTION};
use crate::metrics::DOCUMENTS_EXPIRED;
use crate::organization::{Organization, State};
use crate::store::{self, Expiry, Store};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::filter::Filter;
use tenantry_documents::index::{Coverage, Index};

/// Removes expired documents.
pub struct Expirer {
    expiries: Arc<dyn store::Expiries>,
    organizations: Arc<dyn store::Organizations>,
    collections: Arc<dyn store::Collections>,
    documents: Arc<dyn store::Documents>,
    sources: ClockAndEntropy,
}

/// What a round in one collection found.
enum CollectionRound {
    /// It has no index that lets documents expire.
    WithoutIndex,
    /// Nothing more has expired, or nothing may be removed now.
    Done,
    /// There may be more.
    More,
}

impl Expirer {
    pub(super) fn new(store: &Store, sources: &ClockAndEntropy) -> Self {
        Self {
            expiries: store.expiries.clone(),
            organizations: store.organizations.clone(),
            collections: store.collections.clone(),
            documents: store.documents.clone(),
            sources: sources.clone(),
        }
    }

    /// Removes what has expired in the collections that are due, a portion of each in turn.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn run(&self) -> Result<()> {
        loop {
            let now = self.sources.now();
            let next = clock::after(now, EXPIRY_INTERVAL);
            let Some(expiry) = self.expiries.claim_expiry(now, next).await? else { return Ok(()) };
            match self.expire(&expiry, now).await {
                Ok(CollectionRound::More) => self.expiries.reschedule_expiry(&expiry, now).await?,
                Ok(CollectionRound::WithoutIndex) => {
                    if clock::after(expiry.announced_at, EXPIRY_LISTED) <= now {
                        self.expiries.delete_expiry(&expiry).await?;
                    }
                }
                Ok(CollectionRound::Done) => {}
                // One that cannot be read now must not hold up the others.
                Err(error) => {
                    let organization = expiry.organization;
                    tracing::warn!(%organization, %error, "expired documents are removed later");
                }
            }
        }
    }

    async fn expire(&self, expiry: &Expiry, now: Timestamp) -> Result<CollectionRound> {
        let Some(organization) = self.organizations.get_organization(expiry.organization).await? else {
            return Ok(CollectionRound::WithoutIndex);
        };
        if !may_expire(&organization) {
            return Ok(CollectionRound::Done);
        }
        let name = &expiry.collection;
        let indexes = match self.collections.list_indexes(&organization, name).await {
            Err(error) if error.code() == ErrorCode::CollectionNotFound => Vec::new(),
            indexes => indexes?,
        };
        let mut round = CollectionRound::WithoutIndex;
        for index in indexes {
            let Some(seconds) = index.expire_after_seconds else { continue };
            let filter = expired(&index, seconds, now)?;
            // Each portion begins with the record as it is now: a legal hold may have come in between.
            let current = self.organizations.get_organization(expiry.organization).await?;
            let Some(organization) = current.filter(|organization| may_expire(organization)) else {
                return Ok(CollectionRound::Done);
            };
            let more = self.remove(&organization, name, &filter, EXPIRY_PORTION).await?;
            round = match round {
                CollectionRound::More => CollectionRound::More,
                _ if more => CollectionRound::More,
                _ => CollectionRound::Done,
            };
        }
        Ok(round)
    }

    /// Removes a portion; returns whether there may be more.
    async fn remove(
        &self,
        organization: &Organization,
        name: &CollectionName,
        filter: &Filter,
        time: Duration,
    ) -> Result<bool> {
        match self.documents.delete_matching(organization, name, filter, time).await {
            Ok(removed) => {
                if removed.documents > 0 {
                    metrics::counter!(DOCUMENTS_EXPIRED).increment(removed.documents);
                    tracing::debug!(organization = %organization.id, documents = removed.documents, "documents expired");
                }
                Ok(removed.more)
            }
            Err(error) if error.code() == ErrorCode::CollectionNotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Whether documents of the organization may be removed: it is not deleted, under no legal hold, and nothing moves its
/// container. Nobody can use a suspended one, but its documents expire.
fn may_expire(organization: &Organization) -> bool {
    organization.state == State::Active && !organization.legal_hold && organization.operation.is_none()
}

/// The filter of the documents of `index` that have expired at `now`. Of several dates in an array, the earliest counts.
fn expired(index: &Index, seconds: u32, now: Timestamp) -> Result<Filter> {
    let path = index.keys.first().ok_or_else(|| Error::internal("an index without keys"))?;
    let last = now.saturating_sub(SignedDuration::from_secs(seconds.into())).map_err(Error::internal)?;
    let path = serde_json::to_string(path.path.as_str()).map_err(Error::internal)?;
    let date = format!(r#"{{"$date":{{"$numberLong":"{}"}}}}"#, last.as_millisecond());
    let condition = format!(r#"{{{path}:{{"$lte":{date}}}}}"#);
    let json = match &index.coverage {
        Coverage::Partial(filter) => format!(r#"{{"$and":[{},{condition}]}}"#, filter.text()),
        Coverage::All | Coverage::Sparse(_) => condition,
    };
    Ok(Filter::parse(&json, "")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{DateTime, rawdoc};
    use tenantry_documents::index::{IndexOptions, PartialFilter};

    #[test]
    fn document_expires_by_its_earliest_date_alone() {
        let now = Timestamp::from_millisecond(1_000_000).unwrap();
        let options = IndexOptions { expire_after_seconds: Some(60), ..IndexOptions::default() };
        let index = Index::parse_with(None, "-a.at", options.clone()).unwrap();
        let filter = expired(&index, 60, now).unwrap();
        let (past, future) = (DateTime::from_millis(940_000), DateTime::from_millis(940_001));
        for (document, has_expired) in [
            (rawdoc! { "a": { "at": past } }, true),
            (rawdoc! { "a": { "at": future } }, false),
            (rawdoc! { "a": { "at": [future, "x", past] } }, true),
            (rawdoc! { "a": [{ "at": future }, { "at": past }] }, true),
            (rawdoc! { "a": { "at": 5 } }, false),
            (rawdoc! { "a": { "at": null } }, false),
            (rawdoc! {}, false),
        ] {
            assert_eq!(filter.matches(&document), has_expired, "{document:?}");
        }
        let partial_filter = PartialFilter::parse(r#"{"done": true}"#, "").ok();
        let index = Index::parse_with(None, "at", IndexOptions { partial_filter, ..options }).unwrap();
        let filter = expired(&index, 60, now).unwrap();
        assert!(filter.matches(&rawdoc! { "at": past, "done": true }));
        assert!(!filter.matches(&rawdoc! { "at": past, "done": false }));
        assert!(filter.implies(index.coverage.filter().unwrap().filter()));
    }
}
