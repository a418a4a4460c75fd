//! Quotas of organizations, kept to exactly by any number of instances without a transaction.
//!
//! An organization with a quota has one document in `usage` with the documents and bytes it has, and the bytes of its index
//! entries if there is a quota for them. A change first claims
//! what it may add, by a conditional update of that document that also notes the claim; then it happens; then the claim
//! goes, and with it what was not used. What a newcomer gets wrong: whoever holds a claim may die. So the count may be
//! too high, and is set right by counting anew, which must not overlap an addition: each moves the version that the new
//! count is compared with. It is too low in one case alone: a process that stands still for more than a minute between its
//! last look at its claim ([`claim::Change::check`]) and the write, while others count, adds one command's documents more. The server
//! makes an index to its end though nobody waits for the answer, so the claim of one stays for as long as that may be.

pub(crate) mod claim;
pub(crate) mod claim_age;
mod collections;
mod count;
mod index_bytes;
mod indexes;
pub(crate) mod limits;
mod measure;
pub(crate) mod size;
pub(crate) mod usage;

use crate::placements::Placements;
use claim::Claims;
use collections::CollectionClaims;
use count::UsageCounter;
use index_bytes::IndexBytes;
use indexes::IndexClaims;
use measure::UsageMeter;
use usage::UsageRecords;

/// What claims room in quotas, and what counts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Quotas {
    pub(crate) usage: UsageRecords,
    pub(crate) meter: UsageMeter,
    pub(crate) documents: Claims,
    pub(crate) collections: CollectionClaims,
    pub(crate) indexes: IndexClaims,
    pub(crate) index_bytes: IndexBytes,
}

impl Quotas {
    pub(crate) fn new(usage: UsageRecords, placements: &Placements) -> Self {
        let meter = UsageMeter::new(placements.clone());
        let counter = UsageCounter::new(usage.clone(), meter.clone(), placements.clone());
        let claims = Claims::new(usage.clone(), counter);
        Self {
            collections: CollectionClaims::new(usage.clone(), placements.clone()),
            indexes: IndexClaims::new(usage.clone(), claims.clone()),
            index_bytes: IndexBytes::new(usage.clone(), meter.clone()),
            documents: claims,
            meter,
            usage,
        }
    }
}
