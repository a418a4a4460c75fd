//! Time as a parameter: the domain never reads the system clock.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// A source of time.
pub trait Clock: Send + Sync {
    /// The current moment, in UTC, to the millisecond (what both engines can keep).
    fn now(&self) -> Timestamp;
}

/// `moment` truncated to the millisecond.
#[must_use]
pub fn to_millisecond(moment: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(moment.as_millisecond()).unwrap_or(moment)
}

/// `moment` plus `span`, or the end of time.
#[must_use]
pub fn after(moment: Timestamp, span: Duration) -> Timestamp {
    SignedDuration::try_from(span)
        .ok()
        .and_then(|span| moment.checked_add(span).ok())
        .unwrap_or(Timestamp::MAX)
}

/// `moment` minus `span`, or the beginning of time.
#[must_use]
pub fn before(moment: Timestamp, span: Duration) -> Timestamp {
    SignedDuration::try_from(span)
        .ok()
        .and_then(|span| moment.checked_sub(span).ok())
        .unwrap_or(Timestamp::MIN)
}

/// The time from `from` to `to`; zero if `to` is not later.
#[must_use]
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// The time between two moments, in either order.
#[must_use]
pub fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.duration_since(other).unsigned_abs()
}
