//! Queries with expensive filters, of which a server evaluates a few at once.
//!
//! The embedded engine shares its processor among them by itself. MongoDB gives each query a thread: forty that keep a
//! core busy would leave a request of a millisecond to wait among them, whichever organization it is of. An
//! organization has as many in the queue as the server evaluates at once, so none waits behind all of another's.
//!
//! # Pitfalls
//! The time that a query waits here is part of its own time. A query joins the queue before it takes a permit of its
//! organization: otherwise those that wait for other organizations would hold the permits of its cheap calls.

use super::tenant::{TenantPermit, TenantPermits};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tenantry_documents::filter::Filter;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::{Error, ErrorCode, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{error::Elapsed, timeout_at};

/// When a refused query may be sent again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The queries that a server evaluates at the same time.
#[derive(Clone)]
pub(crate) struct ExpensiveQueries(Option<Queue>);

#[derive(Clone)]
struct Queue {
    organizations: Arc<TenantPermits>,
    server: Arc<Semaphore>,
}

/// A query in the queue for the server; `None` for one that need not wait.
pub(super) struct QueuedQuery(Option<WaitingQuery>);

struct WaitingQuery {
    organization: TenantPermit,
    server: Arc<Semaphore>,
    deadline: Instant,
}

/// The right to have a query evaluated, until it is dropped.
pub(super) struct QueryPermit {
    _permits: (TenantPermit, OwnedSemaphorePermit),
    deadline: Instant,
}

impl ExpensiveQueries {
    /// For an engine that shares its processor by itself.
    pub(crate) const fn unlimited() -> Self {
        Self(None)
    }

    /// For a server: half as many as this machine has cores, for want of knowing how many the server has.
    #[cfg(feature = "mongodb")]
    pub(crate) fn for_server() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new((cores / 2).max(1))
    }

    #[cfg(any(test, feature = "mongodb"))]
    fn new(at_once: usize) -> Self {
        let organizations = Arc::new(TenantPermits::new(at_once));
        Self(Some(Queue { organizations, server: Arc::new(Semaphore::new(at_once)) }))
    }

    /// Waits until the organization may have a query with this filter in the queue, for `time` at most. A query that is
    /// not expensive waits neither here nor in [`QueuedQuery::begin`].
    ///
    /// # Errors
    /// `overloaded` if its time was over before.
    pub(super) async fn join(
        &self,
        id: OrganizationId,
        filter: &Filter,
        time: Duration,
    ) -> Result<QueuedQuery> {
        let Some(queue) = self.0.as_ref().filter(|_| filter.price().is_expensive()) else {
            return Ok(QueuedQuery(None));
        };
        let deadline = Instant::now() + time;
        let organization =
            timeout_at(deadline.into(), queue.organizations.acquire(id)).await.map_err(overloaded)??;
        Ok(QueuedQuery(Some(WaitingQuery { organization, server: Arc::clone(&queue.server), deadline })))
    }
}

impl QueuedQuery {
    /// Waits until the server may evaluate it; `None` for a query that needs no permit.
    ///
    /// # Errors
    /// `overloaded` if its time was over before.
    pub(super) async fn begin(self) -> Result<Option<QueryPermit>> {
        let Some(WaitingQuery { organization, server, deadline }) = self.0 else { return Ok(None) };
        let permit = timeout_at(deadline.into(), server.acquire_owned()).await.map_err(overloaded)?;
        let permit = permit.map_err(Error::internal)?;
        Ok(Some(QueryPermit { _permits: (organization, permit), deadline }))
    }
}

impl QueryPermit {
    /// The rest of its time.
    pub(super) fn time(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

fn overloaded(_: Elapsed) -> Error {
    Error::new(ErrorCode::Overloaded).retry_after(RETRY_AFTER).detail(
        "Other queries with expensive filters were evaluated for as long as QUERY_TIMEOUT: send the query again later, or \
         make its filter smaller.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const ONE: OrganizationId = OrganizationId::from_bytes([1; 12]);
    const OTHER: OrganizationId = OrganizationId::from_bytes([2; 12]);

    fn expensive() -> Filter {
        let conditions: Vec<String> = (0..80).map(|number| format!(r#"{{"a":{number}}}"#)).collect();
        Filter::parse(&format!(r#"{{"$or":[{}]}}"#, conditions.join(",")), "?filter").unwrap()
    }

    async fn begin(
        queries: &ExpensiveQueries,
        id: OrganizationId,
        filter: &Filter,
    ) -> Result<Option<QueryPermit>> {
        queries.join(id, filter, SECOND).await?.begin().await
    }

    #[tokio::test(start_paused = true)]
    async fn expensive_query_waits_for_another_within_its_time() {
        let queries = ExpensiveQueries::new(1);
        let held = begin(&queries, ONE, &expensive()).await.unwrap();
        let refused = begin(&queries, OTHER, &expensive()).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Overloaded);
        assert_eq!(refused.wait(), Some(RETRY_AFTER));
        drop(held);
        assert!(begin(&queries, OTHER, &expensive()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn organization_has_no_more_queued_than_run_at_once() {
        let queries = ExpensiveQueries::new(1);
        let held = begin(&queries, ONE, &expensive()).await.unwrap();
        // Its second query waits before the queue, so the other organization's is next.
        let filter = expensive();
        let second = queries.join(ONE, &filter, 9 * SECOND);
        let mut second = std::pin::pin!(second);
        assert!(tokio::time::timeout(SECOND / 9, &mut second).await.is_err());
        let next = queries.join(OTHER, &filter, SECOND).await.unwrap();
        drop(held);
        let next = next.begin().await.unwrap();
        let second = second.await.unwrap();
        assert!(tokio::time::timeout(SECOND, second.begin()).await.is_err());
        drop(next);
    }

    #[tokio::test(start_paused = true)]
    async fn cheap_query_does_not_wait_for_expensive_ones() {
        let queries = ExpensiveQueries::new(1);
        let _held = begin(&queries, ONE, &expensive()).await.unwrap();
        let ids: Vec<String> = (0..200).map(|number| number.to_string()).collect();
        let batch = Filter::parse(&format!(r#"{{"_id":{{"$in":[{}]}}}}"#, ids.join(",")), "?filter").unwrap();
        for filter in [Filter::default(), batch] {
            assert!(begin(&queries, ONE, &filter).await.is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn engine_that_shares_by_itself_is_not_limited() {
        let queries = ExpensiveQueries::unlimited();
        let _held = begin(&queries, ONE, &expensive()).await.unwrap();
        assert!(begin(&queries, ONE, &expensive()).await.is_ok());
    }
}
