//! What a store owes the counters of attempts.

use crate::engines::{Subject, in_parallel, on_every_engine};
use crate::given::at;
use jiff::Timestamp;
use std::time::Duration;
use tenantry_domain::rate_limit::{RateLimit, RateLimitDecision, RateLimitKey};

const LIMIT: RateLimit = RateLimit { burst: 3, period: Duration::from_secs(10) };

fn key(part: &str) -> RateLimitKey {
    RateLimitKey::new("test", &[part])
}

fn allowed(remaining: u32) -> RateLimitDecision {
    RateLimitDecision::Allowed { remaining }
}

fn refused(seconds: u64) -> RateLimitDecision {
    RateLimitDecision::Refused { wait: Duration::from_secs(seconds) }
}

impl Subject {
    async fn acquire(&self, part: &str, now: Timestamp) -> RateLimitDecision {
        self.store.rate_limits.acquire(&key(part), LIMIT, now).await.unwrap()
    }
}

#[test]
fn rate_limit_allows_burst_and_then_one_per_period() {
    on_every_engine(|subject| async move {
        for remaining in [2, 1, 0] {
            assert_eq!(subject.acquire("a", at(0)).await, allowed(remaining));
        }
        assert_eq!(subject.acquire("a", at(0)).await, refused(10));
        assert_eq!(subject.acquire("a", at(4)).await, refused(6), "a refused attempt costs nothing");
        assert_eq!(subject.acquire("b", at(4)).await, allowed(2), "other keys are other counters");
        assert_eq!(subject.acquire("a", at(10)).await, allowed(0));
        assert_eq!(subject.acquire("a", at(1000)).await, allowed(2));
    });
}

#[test]
fn rate_limit_allows_exact_burst_of_parallel_attempts() {
    on_every_engine(|subject| async move {
        let limit = RateLimit { burst: 37, period: Duration::from_secs(60) };
        let outcomes = in_parallel(1000, |_| {
            let subject = subject.clone();
            async move { subject.store.rate_limits.acquire(&key("a"), limit, at(0)).await.unwrap() }
        })
        .await;
        let mut remaining: Vec<u32> = outcomes
            .iter()
            .filter_map(|taken| match taken {
                RateLimitDecision::Allowed { remaining } => Some(*remaining),
                RateLimitDecision::Refused { .. } => None,
            })
            .collect();
        remaining.sort_unstable();
        assert_eq!(remaining, (0..37).collect::<Vec<_>>());
    });
}

#[test]
fn rate_limit_refund_leaves_no_trace() {
    on_every_engine(|subject| async move {
        let rate_limits = &subject.store.rate_limits;
        rate_limits.refund(&key("a"), LIMIT, at(0)).await.unwrap();
        assert!(!rate_limits.is_counted(&key("a"), at(0)).await.unwrap(), "there was nothing to give back");
        for remaining in [2, 1, 0] {
            assert_eq!(subject.acquire("a", at(0)).await, allowed(remaining));
        }
        rate_limits.refund(&key("a"), LIMIT, at(0)).await.unwrap();
        assert_eq!(subject.acquire("a", at(0)).await, allowed(0));
        for _ in 0..5 {
            rate_limits.refund(&key("a"), LIMIT, at(0)).await.unwrap();
        }
        assert!(!rate_limits.is_counted(&key("a"), at(0)).await.unwrap());
        assert_eq!(subject.acquire("a", at(0)).await, allowed(2), "never more than the burst");
    });
}

#[test]
fn rate_limit_wait_stays_as_announced_when_clock_goes_back() {
    on_every_engine(|subject| async move {
        for remaining in [2, 1, 0] {
            assert_eq!(subject.acquire("a", at(4000)).await, allowed(remaining));
        }
        assert_eq!(subject.acquire("a", at(400)).await, refused(10));
        assert_eq!(subject.acquire("a", at(404)).await, refused(6));
        assert_eq!(subject.acquire("a", at(410)).await, allowed(0));
    });
}

#[test]
fn rate_limit_is_counted_until_attempts_are_forgotten() {
    on_every_engine(|subject| async move {
        let rate_limits = &subject.store.rate_limits;
        assert!(!rate_limits.is_counted(&key("a"), at(0)).await.unwrap());
        for _ in 0..2 {
            subject.acquire("a", at(0)).await;
        }
        for (second, counted) in [(0, true), (19, true), (20, false), (1000, false)] {
            assert_eq!(rate_limits.is_counted(&key("a"), at(second)).await.unwrap(), counted, "{second} s");
            assert!(!rate_limits.is_counted(&key("b"), at(second)).await.unwrap());
        }
    });
}

#[test]
fn rate_limit_cleanup_deletes_only_idle_counters() {
    on_every_engine(|subject| async move {
        let rate_limits = &subject.store.rate_limits;
        for (part, attempts) in [("a", 1), ("b", 2), ("c", 3)] {
            for _ in 0..attempts {
                subject.acquire(part, at(0)).await;
            }
        }
        assert_eq!(rate_limits.delete_idle_rate_limits(at(9), 10).await.unwrap(), 0);
        assert_eq!(rate_limits.delete_idle_rate_limits(at(20), 1).await.unwrap(), 1, "not more than asked");
        assert_eq!(rate_limits.delete_idle_rate_limits(at(20), 10).await.unwrap(), 1);
        assert_eq!(rate_limits.delete_idle_rate_limits(at(20), 10).await.unwrap(), 0);
        assert_eq!(subject.acquire("c", at(0)).await, refused(10), "this one still counts");
    });
}
