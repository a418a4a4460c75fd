//! The counters of request rates: a table of a fixed size in memory.
//!
//! The rule is the generic cell rate algorithm, as in the domain: a counter is one moment, which each request moves on by one
//! period. A counter whose moment has passed says no more than one that is not there, so its entry can be used again.
//!
//! # Pitfalls
//! An entry that is in use may be replaced where too many keys meet in one set. The one with the earliest moment goes: it
//! forgets the least, and who sends the most is replaced last. A replaced counter is only ever too lenient: nobody is refused
//! for the requests of somebody else.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tenantry_domain::rate_limit::{RateLimit, RateLimitDecision};

/// Entries that a key may be in.
const WAYS: usize = 8;

/// Counters for any number of keys, in memory for a fixed number.
pub struct RateTable {
    /// Each has a lock of its own: two keys wait for one another only if they are in one set, and then for nanoseconds.
    sets: Box<[Mutex<[Entry; WAYS]>]>,
    /// With a random key: nobody can choose addresses that meet in one set.
    hasher: RandomState,
    started: Instant,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    key: u64,
    /// Nanoseconds since the table was made.
    arrival: u64,
}

impl RateTable {
    /// A table with room for `sets` times eight counters in use.
    pub fn new(sets: usize) -> Self {
        let sets = (0..sets.max(1)).map(|_| Mutex::default()).collect();
        Self { sets, hasher: RandomState::new(), started: Instant::now() }
    }

    /// Counts a request of `key`, or refuses it.
    pub fn take(&self, key: impl Hash, limit: RateLimit) -> RateLimitDecision {
        self.take_at(self.hasher.hash_one(key), limit, nanoseconds(self.started.elapsed()))
    }

    fn take_at(&self, key: u64, limit: RateLimit, now: u64) -> RateLimitDecision {
        let (period, burst) = (nanoseconds(limit.period).max(1), u64::from(limit.burst));
        let set = usize::try_from(key % self.sets.len() as u64).unwrap_or_default();
        let mut set = self.sets[set].lock().unwrap_or_else(PoisonError::into_inner);
        let known = set.iter().position(|entry| entry.key == key);
        let from = known.map_or(now, |index| set[index].arrival.max(now));
        let (next, horizon) = (from + period, now + period * burst);
        if next > horizon {
            return RateLimitDecision::Refused { wait: Duration::from_nanos(next - horizon) };
        }
        let earliest = || (0..WAYS).min_by_key(|index| set[*index].arrival).unwrap_or_default();
        let index = known.unwrap_or_else(earliest);
        set[index] = Entry { key, arrival: next };
        let remaining = (horizon - next) / period;
        RateLimitDecision::Allowed { remaining: u32::try_from(remaining).unwrap_or(u32::MAX) }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit { burst: 3, period: Duration::from_secs(1) };
    const SECOND: u64 = 1_000_000_000;

    fn allowed(remaining: u32) -> RateLimitDecision {
        RateLimitDecision::Allowed { remaining }
    }

    fn refused(milliseconds: u64) -> RateLimitDecision {
        RateLimitDecision::Refused { wait: Duration::from_millis(milliseconds) }
    }

    #[test]
    fn rate_table_allows_burst_and_then_one_per_period() {
        let table = RateTable::new(4);
        for remaining in [2, 1, 0] {
            assert_eq!(table.take_at(7, LIMIT, 0), allowed(remaining));
        }
        assert_eq!(table.take_at(7, LIMIT, 0), refused(1000));
        assert_eq!(table.take_at(7, LIMIT, SECOND / 4), refused(750), "a refused request costs nothing");
        assert_eq!(table.take_at(7, LIMIT, SECOND), allowed(0));
        assert_eq!(table.take_at(7, LIMIT, 10 * SECOND), allowed(2), "after a rest it is as at first");
    }

    #[test]
    fn rate_table_counts_each_key_alone() {
        let table = RateTable::new(1);
        for key in 0..WAYS as u64 {
            assert_eq!(table.take_at(key, LIMIT, 0), allowed(2));
            assert_eq!(table.take_at(key, LIMIT, 0), allowed(1));
        }
    }

    #[test]
    fn rate_table_that_is_full_forgets_who_sends_least() {
        let table = RateTable::new(1);
        while table.take_at(u64::MAX, LIMIT, 0) != refused(1000) {}
        for key in 0..10_000 {
            assert_eq!(table.take_at(key, LIMIT, 0), allowed(2), "nobody is refused for others");
        }
        assert_eq!(table.take_at(u64::MAX, LIMIT, 0), refused(1000), "who sends the most is still known");
    }

    #[test]
    fn rate_table_hashes_keys_of_any_type() {
        let table = RateTable::new(64);
        for _ in 0..2 {
            table.take(("account", 1_u128), LIMIT);
        }
        assert_eq!(table.take(("account", 1_u128), LIMIT), allowed(0));
        assert_eq!(table.take(("key", 1_u128), LIMIT), allowed(2));
    }
}
