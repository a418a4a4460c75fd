//! Limits how many bytes of request bodies are in memory at once: for each organization, and for all together.
//!
//! A connection that needs more than is free waits, and is not read from in the meantime. Organizations that hold
//! much leave room for those that hold little, in two steps: the last quarter is for small shares, and the last
//! sixteenth for lines of an ordinary length. Greedy organizations with slow senders can therefore delay the long
//! lines of others, but not the short ones.
//!
//! # Pitfalls
//! A request that waits for room while it holds room can deadlock with others. So a line that grows long reserves the
//! maximum at once, and a batch that finds no room for its next line is stored first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::{Error, ErrorCode};
use tokio::sync::Notify;

/// One organization may hold this fraction of the total: a quarter.
const SHARE_DIVISOR: usize = 4;
/// This fraction of the total is reserved for ordinary lines: a sixteenth.
const RESERVE_DIVISOR: usize = 16;
/// Bytes of that reserve that one organization may hold: enough for two connections with short lines at once.
const ORDINARY_BYTES: usize = 64 << 10;
/// The reserve has room for at least this many organizations.
const ORDINARY_MIN: usize = 16;

/// The limits, and the bytes that are held now.
pub struct BodyBudget {
    total: usize,
    /// The total without the reserve for ordinary lines.
    for_long: usize,
    /// What one organization may hold.
    share: usize,
    /// What one organization may hold once three quarters of the total are held.
    small_share: usize,
    held: Mutex<BudgetUsage>,
    /// Notified whenever bytes are returned.
    freed: Notify,
}

#[derive(Default)]
struct BudgetUsage {
    all: usize,
    organizations: HashMap<OrganizationId, usize>,
}

impl BodyBudget {
    /// A budget of `total` bytes, but at least enough for four of the `longest` bodies beside ordinary lines.
    pub fn new(total: usize, longest: usize) -> Arc<Self> {
        let reserve = (total / RESERVE_DIVISOR).max(ORDINARY_MIN * ORDINARY_BYTES);
        let for_long = total.saturating_sub(reserve).max(SHARE_DIVISOR * longest);
        let share = for_long / SHARE_DIVISOR;
        let small_share = (share / SHARE_DIVISOR).max(longest);
        let total = for_long + reserve;
        Arc::new(Self { total, for_long, share, small_share, held: Mutex::default(), freed: Notify::new() })
    }

    /// An empty reservation for a request of `organization`.
    pub fn reserve(self: &Arc<Self>, organization: OrganizationId) -> Reservation {
        Reservation { budget: Arc::clone(self), organization, bytes: 0 }
    }

    fn held(&self) -> MutexGuard<'_, BudgetUsage> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self, held: &BudgetUsage, organization: OrganizationId, more: usize) -> bool {
        let all = held.all + more;
        let own = held.organizations.get(&organization).copied().unwrap_or(0) + more;
        if own <= ORDINARY_BYTES {
            return all <= self.total;
        }
        let is_scarce = all > self.for_long - self.for_long / SHARE_DIVISOR;
        all <= self.for_long && own <= if is_scarce { self.small_share } else { self.share }
    }
}

impl BudgetUsage {
    fn take(&mut self, organization: OrganizationId, more: usize) {
        self.all += more;
        *self.organizations.entry(organization).or_default() += more;
    }

    fn give_back(&mut self, organization: OrganizationId, less: usize) {
        self.all -= less;
        if let Some(own) = self.organizations.get_mut(&organization) {
            *own -= less;
            if *own == 0 {
                self.organizations.remove(&organization);
            }
        }
    }
}

/// Bytes that a request holds. Dropping it returns them.
pub struct Reservation {
    budget: Arc<BodyBudget>,
    organization: OrganizationId,
    bytes: usize,
}

impl Reservation {
    /// Grows to at least `to` bytes if there is room, and returns whether there was.
    pub fn try_grow(&mut self, to: usize) -> bool {
        let more = to.saturating_sub(self.bytes);
        if more == 0 {
            return true;
        }
        let mut held = self.budget.held();
        let has_room = self.budget.has_room(&held, self.organization, more);
        if has_room {
            held.take(self.organization, more);
            self.bytes = to;
        }
        has_room
    }

    /// Grows even if there is no room: for what is in memory already.
    pub fn force_grow(&mut self, to: usize) {
        let more = to.saturating_sub(self.bytes);
        self.budget.held().take(self.organization, more);
        self.bytes += more;
    }

    /// Waits for room, at most for `wait`.
    ///
    /// # Errors
    /// `overloaded`.
    pub async fn grow(&mut self, to: usize, wait: Duration) -> Result<(), Error> {
        if self.try_grow(to) {
            return Ok(());
        }
        let budget = Arc::clone(&self.budget);
        let waiting = async {
            loop {
                let freed = budget.freed.notified();
                if self.try_grow(to) {
                    return;
                }
                freed.await;
            }
        };
        tokio::time::timeout(wait, waiting).await.map_err(|_| no_room())
    }

    /// Returns what exceeds `to` bytes.
    pub fn shrink(&mut self, to: usize) {
        let less = self.bytes.saturating_sub(to);
        if less > 0 {
            self.budget.held().give_back(self.organization, less);
            self.bytes -= less;
            self.budget.freed.notify_waiters();
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

fn no_room() -> Error {
    Error::new(ErrorCode::Overloaded).detail(
        "As many bytes of documents as may be are on their way already. Send fewer requests at the same time, or wait \
         until some of them are answered.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const LONGEST: usize = 1 << 20;
    const RESERVE: usize = 4 << 20;
    /// Bytes that long lines may hold.
    const LONG: usize = 60 << 20;
    const TOTAL: usize = LONG + RESERVE;

    fn id(number: u8) -> OrganizationId {
        OrganizationId::from_bytes([number; 12])
    }

    fn reserved(budget: &Arc<BodyBudget>, number: u8, bytes: usize) -> Option<Reservation> {
        let mut reservation = budget.reserve(id(number));
        reservation.try_grow(bytes).then_some(reservation)
    }

    /// Everything that an organization gets when it keeps asking for the longest size, and then for what is left.
    fn grab(budget: &Arc<BodyBudget>, number: u8) -> Vec<Reservation> {
        let pieces = [LONGEST, ORDINARY_BYTES, 1 << 10];
        pieces.iter().flat_map(|piece| std::iter::from_fn(|| reserved(budget, number, *piece))).collect()
    }

    fn bytes(held: &[Reservation]) -> usize {
        held.iter().map(|reservation| reservation.bytes).sum()
    }

    #[test]
    fn body_budget_caps_each_organization_at_its_share() {
        let budget = BodyBudget::new(TOTAL, LONGEST);
        let held = grab(&budget, 1);
        assert_eq!(bytes(&held), LONG / 4);
        assert!(reserved(&budget, 2, LONG / 4).is_some(), "the others have theirs");
        drop(held);
        assert!(reserved(&budget, 1, LONG / 4).is_some());
        assert!(budget.held().organizations.is_empty(), "who holds nothing takes no memory");
    }

    #[test]
    fn body_budget_has_room_for_small_holders_beside_greedy_ones() {
        let budget = BodyBudget::new(TOTAL, LONGEST);
        // Three hold their full share, and the others a small one each.
        let _greedy: Vec<_> = (0..3).map(|number| reserved(&budget, number, LONG / 4).unwrap()).collect();
        assert!(reserved(&budget, 9, LONG / 16).is_some());
        assert!(reserved(&budget, 9, LONG / 16 + 1).is_none());
    }

    /// An organization that sends short lines gets room while ten others hold all they may have.
    #[test]
    fn body_budget_has_room_for_newcomer_beside_ten_greedy_ones() {
        for total in [1, TOTAL, 256 << 20] {
            let budget = BodyBudget::new(total, LONGEST);
            let greedy: Vec<_> = (0..10).map(|number| grab(&budget, number)).collect();
            assert!(reserved(&budget, 10, LONGEST).is_none(), "they left room for long lines, too");
            let newcomer = grab(&budget, 10);
            assert_eq!(bytes(&newcomer), ORDINARY_BYTES, "of {total}");
            drop((greedy, newcomer));
            assert!(reserved(&budget, 10, LONGEST).is_some(), "it is no longer scarce");
        }
    }

    #[test]
    fn body_budget_never_exceeds_its_total() {
        let budget = BodyBudget::new(TOTAL, LONGEST);
        let held: Vec<_> = (0..=u8::MAX).flat_map(|number| grab(&budget, number)).collect();
        assert_eq!(bytes(&held), TOTAL);
    }

    #[test]
    fn body_budget_always_fits_the_longest_body() {
        let budget = BodyBudget::new(1, LONGEST);
        let held: Vec<_> = (0..4).map_while(|number| reserved(&budget, number, LONGEST)).collect();
        assert_eq!(held.len(), 4);
    }

    /// A request that waits goes on when room is returned, and is refused when the wait is over.
    #[tokio::test(start_paused = true)]
    async fn body_budget_grants_waiting_request_or_refuses_in_time() {
        let budget = BodyBudget::new(TOTAL, LONGEST);
        let full = reserved(&budget, 1, LONG / 4).unwrap();
        let mut waiting = budget.reserve(id(1));
        let mut grown = Box::pin(waiting.grow(LONGEST, Duration::from_secs(5)));
        assert!(grown.as_mut().now_or_never().is_none());
        drop(full);
        grown.await.unwrap();
        let mut more = budget.reserve(id(1));
        let refused = more.grow(LONG / 4, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Overloaded);
    }
}
