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
pub(super) mod limits;
mod remembered;
pub(super) mod size;
pub(super) mod usage;

pub(super) use claim::Change;
pub(super) use collections::Creation;
pub(super) use indexes::Outcome;

use tenantry_domain::ids::OrganizationId;
use tokio::sync::{Mutex, MutexGuard};

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
