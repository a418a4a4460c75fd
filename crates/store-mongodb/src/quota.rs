//! Quotas of organizations, enforced exactly by any number of instances without a transaction.
//!
//! An organization with a quota has one document in `usage` with the number and bytes of its documents, and the bytes
//! of its index entries if there is a quota for them. A change first claims what it may add, by a conditional update
//! of that document that also records the claim; then the change happens; then the claim is removed, and what was not
//! used is returned.
//!
//! # Pitfalls
//! A process may die with a claim. So the usage may be too high, and is corrected by a new count, which must not
//! overlap an addition: each addition changes the version that the count is compared with. The usage is too low in
//! one case alone: a process that stops for more than a minute between its last check of its claim
//! ([`claim::PendingClaim::check`]) and the write, while others count, adds one command's documents more. The server
//! finishes an index build although nobody waits for the reply, so the claim of one stays for as long as a build may
//! take.

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

/// Claims room in quotas, and counts usage. Cheap to clone.
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
