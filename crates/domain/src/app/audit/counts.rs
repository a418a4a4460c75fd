//! Events that strangers cause, counted in memory: one event for each minute, trail, network and error code, so that
//! nobody fills a trail by failing.
//!
//! # Pitfalls
//! Counts of the current minute are lost if the process is killed.

use crate::audit::{AuditAction, AuditChain, AuditEvent};
use crate::error::Result;
use crate::operation::Actor;
use crate::rate_limit::ClientNetwork;
use jiff::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// The most counters of one minute. What has no counter of its own is counted without its network, in a counter of
/// its trail; and where even those are too many, in that of the installation.
const COUNTERS_MAX: usize = 1000;
/// The most counters of trails beside them.
const TRAIL_COUNTERS_MAX: usize = 1000;

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CounterKey {
    /// Minutes since 1970.
    minute: i64,
    action: AuditAction,
    chain: AuditChain,
    actor: Option<Actor>,
    network: Option<String>,
    code: &'static str,
}

/// A finished count.
pub(super) struct AuditCount {
    /// The beginning of the minute.
    pub(super) minute: Timestamp,
    pub(super) action: AuditAction,
    pub(super) chain: AuditChain,
    pub(super) actor: Actor,
    pub(super) network: Option<String>,
    pub(super) code: &'static str,
    pub(super) count: u64,
}

/// The counts that are not written yet.
#[derive(Debug, Default)]
pub(in crate::app) struct AuditCounts(Mutex<HashMap<CounterKey, u64>>);

impl AuditCounts {
    /// Counts one event.
    pub(in crate::app) fn count(
        &self,
        action: AuditAction,
        chain: AuditChain,
        actor: Option<Actor>,
        address: Option<IpAddr>,
        code: &'static str,
        now: Timestamp,
    ) {
        let minute = now.as_second().div_euclid(60);
        let network = address.map(|address| ClientNetwork::of(address).text());
        let exact = CounterKey { minute, action, chain, actor, network, code };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = if counts.contains_key(&exact) || counts.len() < COUNTERS_MAX {
            exact
        } else {
            let of_trail = CounterKey { actor: None, network: None, ..exact };
            let has_room = counts.len() < COUNTERS_MAX + TRAIL_COUNTERS_MAX;
            if counts.contains_key(&of_trail) || has_room {
                of_trail
            } else {
                CounterKey { chain: AuditChain::INSTALLATION, ..of_trail }
            }
        };
        *counts.entry(key).or_default() += 1;
    }

    /// Whether there are counts of minutes that are over at `now`.
    pub(super) fn has_any_before(&self, now: Timestamp) -> bool {
        let current = now.as_second().div_euclid(60);
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.keys().any(|key| key.minute < current)
    }

    /// Takes the counts of the minutes that are over at `now`.
    pub(super) fn take_before(&self, now: Timestamp) -> Vec<AuditCount> {
        let current = now.as_second().div_euclid(60);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = counts.extract_if(|key, _| key.minute < current);
        over.map(|(key, count)| AuditCount {
            minute: Timestamp::from_second(key.minute * 60).unwrap_or(Timestamp::UNIX_EPOCH),
            action: key.action,
            chain: key.chain,
            actor: key.actor.unwrap_or(Actor::Anonymous),
            network: key.network,
            code: key.code,
            count,
        })
        .collect()
    }
}

/// Saves events in order and takes each out once it is saved. One that fails stays, with those behind it.
pub(super) async fn take_saved<F: Future<Output = Result<()>>>(
    unwritten: &mut VecDeque<AuditEvent>,
    insert: impl Fn(AuditEvent) -> F,
) -> Result<()> {
    while let Some(event) = unwritten.front() {
        insert(event.clone()).await?;
        unwritten.pop_front();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditOutcome;
    use crate::error::ErrorCode;
    use crate::ids::AuditEventId;
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn count(counts: &AuditCounts, host: u32, second: i64) {
        let address = IpAddr::from(Ipv4Addr::from_bits(host));
        let (action, chain) = (AuditAction::SignInFailed, AuditChain::INSTALLATION);
        counts.count(action, chain, None, Some(address), "invalid_credentials", at(second));
    }

    #[test]
    fn counts_of_one_minute_and_network_are_one() {
        let counts = AuditCounts::default();
        for second in [0, 1, 59] {
            count(&counts, 1, second);
        }
        count(&counts, 2, 3);
        count(&counts, 1, 60);
        let mut taken: Vec<u64> = counts.take_before(at(60)).iter().map(|count| count.count).collect();
        taken.sort_unstable();
        assert_eq!(taken, [1, 3]);
        assert_eq!(counts.take_before(at(119)).len(), 0, "the minute goes on");
        assert_eq!(counts.take_before(Timestamp::MAX).len(), 1);
    }

    #[test]
    fn counts_are_bounded_and_none_is_lost() {
        let counts = AuditCounts::default();
        for host in 0..3000 {
            count(&counts, host, 1);
        }
        let taken = counts.take_before(Timestamp::MAX);
        assert_eq!(taken.len(), COUNTERS_MAX + 1);
        assert_eq!(taken.iter().map(|count| count.count).sum::<u64>(), 3000);
    }

    fn event(number: u8) -> AuditEvent {
        AuditEvent {
            id: AuditEventId::from_bytes([number; 12]),
            organization_id: None,
            at: at(0),
            action: AuditAction::AccessDenied,
            actor: Actor::Anonymous,
            subject: None,
            target: None,
            address: None,
            request_id: None,
            outcome: AuditOutcome::Denied,
            code: None,
            count: Some(1),
            details: BTreeMap::new(),
        }
    }

    #[tokio::test]
    async fn event_that_store_refuses_is_saved_next_time() {
        let mut unwritten = VecDeque::from([event(1), event(2), event(3)]);
        let refused = take_saved(&mut unwritten, |each| async move {
            if each.id == event(1).id { Ok(()) } else { Err(ErrorCode::StoreUnavailable.into()) }
        });
        assert_eq!(refused.await.unwrap_err().code(), ErrorCode::StoreUnavailable);
        assert_eq!(unwritten, [event(2), event(3)]);
        let saved = Mutex::new(Vec::new());
        let save = |each: AuditEvent| {
            saved.lock().unwrap().push(each.id);
            std::future::ready(Ok(()))
        };
        take_saved(&mut unwritten, save).await.unwrap();
        assert_eq!(*saved.lock().unwrap(), [event(2).id, event(3).id]);
        assert!(unwritten.is_empty());
    }
}
