//! Rate limits: how many attempts are allowed, and when the next one is. The counters are in the store, so a
//! restart does not reset them.
//!
//! The rule is the generic cell rate algorithm: a counter is one moment, the "theoretical arrival time", that
//! each attempt moves on by one period; an attempt is refused while that moment is more than `burst` periods
//! ahead.

use crate::clock;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Attempts at once, and the time until one more is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Attempts at once, from an idle counter.
    pub burst: u32,
    /// After how long one attempt is forgotten.
    pub period: Duration,
}

/// Wrong passwords for one account from one network.
pub const SIGN_IN_PAIR: RateLimit = RateLimit { burst: 10, period: Duration::from_secs(60) };
/// Wrong passwords for one account from all networks it has never signed in from.
pub const SIGN_IN_STRANGERS: RateLimit = RateLimit { burst: 30, period: Duration::from_secs(60) };
/// Wrong passwords from one network, for any accounts.
pub const SIGN_IN_NETWORK: RateLimit = RateLimit { burst: 60, period: Duration::from_secs(10) };
/// Organizations created from one network.
pub const CREATE_NETWORK: RateLimit = RateLimit { burst: 20, period: Duration::from_secs(60) };
/// Mails to one address.
pub const MAIL_ADDRESS: RateLimit = RateLimit { burst: 5, period: Duration::from_secs(720) };
/// Mails on behalf of one organization.
pub const MAIL_ORGANIZATION: RateLimit = RateLimit { burst: 200, period: Duration::from_secs(36) };
/// Mails of an installation.
pub const MAIL_INSTALLATION: RateLimit = RateLimit { burst: 2000, period: Duration::from_secs(3) };
/// Requests from one network for a link for a new password.
pub const FORGOT_NETWORK: RateLimit = RateLimit { burst: 20, period: Duration::from_secs(60) };
/// How long a network counts as known to the account after a sign-in: one "attempt" of this limit.
pub const KNOWN_NETWORK: RateLimit = RateLimit { burst: 1, period: Duration::from_secs(90 * 24 * 3600) };

/// The names of the limits whose counters are in the store, for clients and in metrics.
pub const STORED_LIMITS: [&str; 7] = [
    "sign-in",
    "create",
    "forgot-password",
    "idempotency-keys",
    "mail-address",
    "mail-organization",
    "mail-installation",
];

/// What attempts are counted against: a hash, so that the store holds no address in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateLimitKey(pub [u8; 32]);

impl RateLimitKey {
    /// The counter of `what` for these parts.
    #[must_use]
    pub fn new(what: &str, parts: &[&str]) -> Self {
        let mut text = String::from(what);
        for part in parts {
            text.push('\0');
            text.push_str(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Self(out)
    }
}

/// The origin of a request for rate limits: an IPv4 address, or the /64 of an IPv6 address, which one
/// subscriber controls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientNetwork(IpAddr);

impl ClientNetwork {
    /// The network of `address`.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(v4.into()),
            IpAddr::V6(v6) => Self(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into()),
        }
    }

    /// Its first address.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.0
    }

    /// Its form in keys.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.to_string()
    }
}

/// The result of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimitDecision {
    /// Go on; this many more are allowed at once.
    Allowed {
        /// Attempts left at once.
        remaining: u32,
    },
    /// Refused; try again after `wait`.
    Refused {
        /// How long to wait.
        wait: Duration,
    },
}

/// The rule itself: from the counter's moment (`None`: idle), decides an attempt at `now` and gives the
/// moment to keep. Engines call this inside their atomic unit. A refused attempt keeps the moment as it is,
/// unless the clock went back: then the new moment must be saved too, or a caller who waits as told is
/// refused again.
#[must_use]
pub fn attempt(
    arrival: Option<Timestamp>,
    limit: RateLimit,
    now: Timestamp,
) -> (RateLimitDecision, Timestamp) {
    let horizon = clock::after(now, limit.period * limit.burst);
    // Never beyond the horizon by more than rounding, unless the clock went back: then the wait must not grow.
    let from = arrival.map_or(now, |arrival| arrival.clamp(now, horizon));
    let next = clock::after(from, limit.period);
    if next > horizon {
        return (RateLimitDecision::Refused { wait: clock::between(horizon, next) }, from);
    }
    let left = clock::between(next, horizon).as_millis() / limit.period.as_millis().max(1);
    (RateLimitDecision::Allowed { remaining: u32::try_from(left).unwrap_or(u32::MAX) }, next)
}

/// The moment to keep when one attempt is taken back.
#[must_use]
pub fn forgive(arrival: Timestamp, limit: RateLimit) -> Timestamp {
    clock::before(arrival, limit.period)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit { burst: 3, period: Duration::from_secs(10) };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn rate_limit_allows_burst_and_then_one_per_period() {
        let mut arrival = None;
        for remaining in [2, 1, 0] {
            let (taken, next) = attempt(arrival, LIMIT, at(1000));
            assert_eq!(taken, RateLimitDecision::Allowed { remaining });
            arrival = Some(next);
        }
        let (taken, kept) = attempt(arrival, LIMIT, at(1000));
        assert_eq!(taken, RateLimitDecision::Refused { wait: Duration::from_secs(10) });
        assert_eq!(Some(kept), arrival, "a refused attempt costs nothing");
        assert_eq!(attempt(arrival, LIMIT, at(1010)).0, RateLimitDecision::Allowed { remaining: 0 });
    }

    #[test]
    fn rate_limit_forgiven_attempt_leaves_no_trace() {
        let (_, one) = attempt(None, LIMIT, at(1000));
        assert_eq!(attempt(Some(forgive(one, LIMIT)), LIMIT, at(1000)), attempt(None, LIMIT, at(1000)));
    }

    #[test]
    fn rate_limit_waits_at_most_a_period_when_clock_goes_back() {
        let (_, arrival) = attempt(None, LIMIT, at(100_000));
        let (taken, _) = attempt(Some(arrival), LIMIT, at(1000));
        assert_eq!(taken, RateLimitDecision::Refused { wait: LIMIT.period });
    }

    #[test]
    fn client_network_groups_ipv6_by_subscriber() {
        let of = |text: &str| ClientNetwork::of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
