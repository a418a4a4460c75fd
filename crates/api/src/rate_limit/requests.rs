//! How many requests an address, an account, an organization and a key may send. Each instance counts its own, in memory.
//!
//! An address is counted before anything else of a request is looked at, the others as soon as the credential is proven, and
//! before the body is read.

use super::table::RateTable;
use super::{RATE_LIMIT, RATE_LIMIT_POLICY, left, policy};
use crate::network::Network;
use crate::settings::{RequestRates, Settings};
use axum::http::{HeaderMap, HeaderValue};
use std::cell::Cell;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;
use tenantry_domain::app::auth::{AccountPrincipal, KeyCaller, KeyPrincipal, TokenCaller};
use tenantry_domain::rate_limit::{ClientNetwork, RateLimit, RateLimitDecision};
use tenantry_domain::{Error, ErrorCode, Result};

/// Sets of counters for addresses, and as many for callers who have proven who they are: no crowd of addresses can have an
/// organization's counter forgotten. Each table takes half a megabyte.
const SETS: usize = 4096;
/// The time that the settings of rates are for.
const WINDOW: Duration = Duration::from_secs(60);

/// The names of the limits for clients and in metrics.
pub const REQUEST_LIMITS: [&str; 4] = ["address", "account", "organization", "key"];

tokio::task_local! {
    /// The limit that the request of this task is nearest to.
    static NEAREST: Cell<Option<Nearest>>;
}

/// What requests are counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    Address,
    Account,
    Organization,
    Key,
}

/// How near a request has come to a limit.
#[derive(Debug, Clone, Copy)]
pub struct Nearest {
    subject: Subject,
    remaining: u32,
    burst: u32,
}

impl Nearest {
    /// The one with the smaller share left.
    fn or(self, other: Option<Self>) -> Self {
        let share = |near: Self, other: Self| u64::from(near.remaining) * u64::from(other.burst);
        match other {
            Some(other) if share(other, self) < share(self, other) => other,
            _ => self,
        }
    }
}

/// One of the limits.
struct RequestLimit {
    limit: RateLimit,
    /// The value of `RateLimit-Policy`.
    policy: HeaderValue,
}

/// The limits of requests.
pub struct RequestLimits {
    limits: [Option<RequestLimit>; 4],
    /// Networks that are not counted as addresses.
    exempt: Vec<Network>,
    addresses: RateTable,
    callers: RateTable,
}

impl RequestLimits {
    /// The limits of the settings.
    pub fn new(settings: &Settings) -> Self {
        let RequestRates { address, account, organization, key, exempt } = &settings.request_rates;
        let rates = [*address, *account, *organization, *key];
        let limits = std::array::from_fn(|index| RequestLimit::new(REQUEST_LIMITS[index], rates[index]));
        let exempt = exempt.iter().chain(&settings.trusted_proxies).copied().collect();
        Self { limits, exempt, addresses: RateTable::new(SETS), callers: RateTable::new(SETS) }
    }

    /// Counts a request from that address, or refuses it. Software on the same machine, and trusted proxies, are the
    /// operator's own: behind a proxy that nobody has named, all clients would share one limit.
    ///
    /// # Errors
    /// `too_many_requests`.
    pub fn count_address(&self, address: Option<IpAddr>) -> Result<Option<Nearest>> {
        let Some(address) = address.map(|address| address.to_canonical()) else { return Ok(None) };
        if address.is_loopback() || self.exempt.iter().any(|network| network.contains(address)) {
            return Ok(None);
        }
        self.count(&self.addresses, Subject::Address, ClientNetwork::of(address))
    }

    /// Counts a request with a good token, or refuses it.
    ///
    /// # Errors
    /// `too_many_requests`.
    pub fn count_token(&self, caller: &TokenCaller) -> Result<()> {
        match caller {
            TokenCaller::Member(member) => self.count_member(member),
            TokenCaller::Key(key) => self.count_key(key),
        }
    }

    /// Counts a request of an account, or refuses it.
    ///
    /// # Errors
    /// `too_many_requests`.
    pub fn count_member(&self, member: &AccountPrincipal) -> Result<()> {
        self.count_caller(Subject::Account, member.account().id)?;
        self.count_caller(Subject::Organization, member.organization().id)
    }

    /// Counts a request with a good key, or refuses it. The operator is not limited.
    ///
    /// # Errors
    /// `too_many_requests`.
    pub fn count_key_caller(&self, caller: &KeyCaller) -> Result<()> {
        match caller {
            KeyCaller::Operator(_) => Ok(()),
            KeyCaller::Service(service) => self.count_caller(Subject::Key, service.key_id()),
            KeyCaller::Organization(key) => self.count_key(key),
        }
    }

    /// A backend serves all organizations with one service key: its exchanged tokens count for the organization alone.
    fn count_key(&self, key: &KeyPrincipal) -> Result<()> {
        if !key.is_exchanged() {
            self.count_caller(Subject::Key, key.key_id())?;
        }
        self.count_caller(Subject::Organization, key.organization().id)
    }

    fn count_caller(&self, subject: Subject, id: impl Hash) -> Result<()> {
        if let Some(near) = self.count(&self.callers, subject, id)? {
            let _ = NEAREST.try_with(|nearest| nearest.set(Some(near.or(nearest.get()))));
        }
        Ok(())
    }

    fn count(&self, table: &RateTable, subject: Subject, id: impl Hash) -> Result<Option<Nearest>> {
        let Some(RequestLimit { limit, .. }) = &self.limits[subject as usize] else { return Ok(None) };
        match table.take((subject, id), *limit) {
            RateLimitDecision::Allowed { remaining } => {
                Ok(Some(Nearest { subject, remaining, burst: limit.burst }))
            }
            RateLimitDecision::Refused { wait } => Err(refusal(subject, *limit, wait)),
        }
    }

    /// Announces the limit that the request of this task is nearest to, unless the response has one that says more: that of
    /// what the route itself counts.
    pub fn announce(&self, headers: &mut HeaderMap) {
        let Ok(Some(near)) = NEAREST.try_with(Cell::get) else { return };
        let Some(RequestLimit { limit, policy }) = &self.limits[near.subject as usize] else { return };
        if headers.contains_key(RATE_LIMIT) {
            return;
        }
        headers.insert(RATE_LIMIT_POLICY, policy.clone());
        if let Some(value) = left(REQUEST_LIMITS[near.subject as usize], *limit, near.remaining) {
            headers.insert(RATE_LIMIT, value);
        }
    }
}

impl RequestLimit {
    /// `None` where `per_minute` is 0.
    fn new(name: &str, per_minute: u32) -> Option<Self> {
        let limit = RateLimit { burst: per_minute, period: WINDOW.checked_div(per_minute)? };
        Some(Self { limit, policy: policy(name, limit)? })
    }
}

/// Runs the work of a request that has come that near to the limit of its address.
pub async fn scope<T>(nearest: Option<Nearest>, answer: impl Future<Output = T>) -> T {
    NEAREST.scope(Cell::new(nearest), answer).await
}

fn refusal(subject: Subject, limit: RateLimit, wait: Duration) -> Error {
    let who = match subject {
        Subject::Address => "Your address",
        Subject::Account => "This account",
        Subject::Organization => "This organization",
        Subject::Key => "This key",
    };
    let detail = format!(
        "{who} may send {} requests a minute, and has sent more. Wait as long as `Retry-After` says.",
        limit.burst
    );
    let error = Error::new(ErrorCode::TooManyRequests).detail(detail).retry_after(wait);
    error.remaining(Some(0)).limited_by(REQUEST_LIMITS[subject as usize], limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_limit_is_that_with_the_smallest_share_left() {
        let near = |subject, remaining, burst| Nearest { subject, remaining, burst };
        let (account, organization) =
            (near(Subject::Account, 50, 100), near(Subject::Organization, 90, 1000));
        assert_eq!(account.or(None).subject, Subject::Account);
        assert_eq!(account.or(Some(organization)).subject, Subject::Organization);
        assert_eq!(organization.or(Some(account)).subject, Subject::Organization);
    }

    #[test]
    fn request_limit_of_zero_is_none() {
        assert!(RequestLimit::new("address", 0).is_none());
        let limit = RequestLimit::new("address", 7).unwrap();
        assert_eq!(limit.policy, "\"address\";q=7;w=60");
    }
}
