//! Work that only one process may do on a database of MongoDB at a time. A data directory has a lock of its own.

use crate::error::OpenError;
use crate::transfer::Side;
use std::future::Future;
use tenantry_domain::Error;
use tenantry_store_mongodb::{LockPlace, RunLock, SourceDatabase};

/// Runs `work` while nobody else works there; `busy` is the refusal if somebody does, or has taken the work over since
/// this process was not heard of for some time.
pub(crate) async fn exclusively<T, E: From<Error>>(
    database: &SourceDatabase,
    place: LockPlace,
    busy: impl Fn() -> E,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let Some(lock) = database.acquire_lock(place).await? else { return Err(busy()) };
    tokio::pin!(work);
    let mut renewals = tokio::time::interval(RunLock::RENEWED_EVERY);
    let outcome = loop {
        // The renewal comes first, and the work waits for it: after a pause it does nothing before that is known.
        tokio::select! {
            biased;
            _ = renewals.tick() => {
                // The work meets an error of the server, too.
                if !lock.renew().await.unwrap_or(true) {
                    return Err(busy());
                }
            }
            outcome = &mut work => break outcome,
        }
    };
    // Another may have taken the work over since the last renewal: then it is the other's, however this one has ended.
    if outcome.is_ok() && !lock.renew().await.unwrap_or(true) {
        return Err(busy());
    }
    // If that fails, the lock ends by itself.
    let _ = lock.release().await;
    outcome
}

/// The same for the side that is filled, which has a schema.
pub(crate) async fn fill_exclusively<T, E: From<Error> + From<OpenError>>(
    target: &Side,
    busy: impl Fn() -> E,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let Side::MongoDb(options) = target else { return work.await };
    let database = SourceDatabase::open(options).await.map_err(OpenError::from)?;
    exclusively(&database, LockPlace::Installation, busy, work).await
}
