//! Queries with expensive filters, of which a server evaluates a few at once.
//!
//! The embedded engine schedules them itself. MongoDB gives each query a thread: with forty queries that each
//! keep a core busy, a request of a millisecond has to wait, of any organization.
//!
//! # Pitfalls
//! The time that a query waits here is part of its own time.

use std::sync::Arc;
use std::time::{Duration, Instant};
use tenantry_documents::filter::Filter;
use tenantry_domain::{Error, ErrorCode, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The queries that a server evaluates at the same time.
#[derive(Clone)]
pub(crate) struct ExpensiveQueries(Option<Arc<Semaphore>>);

/// The right to have a query evaluated, until it is dropped; and the time that is left for the query.
pub(super) struct QueryPermit {
    _permit: Option<OwnedSemaphorePermit>,
    pub(super) time: Duration,
}

impl ExpensiveQueries {
    /// For an engine that schedules queries itself.
    pub(crate) const fn unlimited() -> Self {
        Self(None)
    }

    /// For a server: half as many as this machine has cores, since the server's number is unknown.
    #[cfg(feature = "mongodb")]
    pub(crate) fn of_server() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Some(Arc::new(Semaphore::new((cores / 2).max(1)))))
    }

    /// Waits until a query with this filter may be evaluated, for at most `time`. A query that is not
    /// expensive need not wait.
    ///
    /// # Errors
    /// `query_too_slow` if its time is over before that.
    pub(super) async fn acquire(&self, filter: &Filter, time: Duration) -> Result<QueryPermit> {
        let Some(queries) = self.0.as_ref().filter(|_| !filter.price().is_short()) else {
            return Ok(QueryPermit { _permit: None, time });
        };
        let began = Instant::now();
        match tokio::time::timeout(time, Arc::clone(queries).acquire_owned()).await {
            Ok(Ok(permit)) => {
                Ok(QueryPermit { _permit: Some(permit), time: time.saturating_sub(began.elapsed()) })
            }
            Ok(Err(closed)) => Err(Error::internal(closed)),
            Err(_) => Err(Error::new(ErrorCode::QueryTooSlow).detail(
                "Other queries with expensive filters were evaluated for as long as QUERY_TIMEOUT: send the query again \
                 later, or make its filter smaller.",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_at_once() -> ExpensiveQueries {
        ExpensiveQueries(Some(Arc::new(Semaphore::new(1))))
    }

    fn expensive() -> Filter {
        let conditions: Vec<String> = (0..80).map(|number| format!(r#"{{"a":{number}}}"#)).collect();
        Filter::parse(&format!(r#"{{"$or":[{}]}}"#, conditions.join(",")), "?filter").unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn expensive_query_waits_for_another_within_its_time() {
        let (queries, second) = (one_at_once(), Duration::from_secs(1));
        let held = queries.acquire(&expensive(), second).await.unwrap();
        let refused = queries.acquire(&expensive(), second).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::QueryTooSlow);
        drop(held);
        assert!(queries.acquire(&expensive(), second).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn cheap_query_does_not_wait_for_expensive_ones() {
        let queries = one_at_once();
        let _held = queries.acquire(&expensive(), Duration::from_secs(1)).await.unwrap();
        assert!(queries.acquire(&Filter::default(), Duration::ZERO).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn engine_that_shares_by_itself_is_not_limited() {
        let queries = ExpensiveQueries::unlimited();
        let _held = queries.acquire(&expensive(), Duration::ZERO).await.unwrap();
        assert!(queries.acquire(&expensive(), Duration::ZERO).await.is_ok());
    }
}
