//! The cache of an engine that others write to as well.

use super::*;
use crate::cached::coherence::Stream;
use std::time::Instant;

/// Records of an engine that others write to, without a stream of their changes.
fn shared() -> Arc<Records<AccountId, Version>> {
    Records::new(&Memory::new(1 << 20, Coherence::Shared(Stream::new())))
}

async fn recent(records: &Records<AccountId, Version>, engine: &Engine) -> u64 {
    records.get_recent(key(0), || engine.load(0)).await.unwrap().unwrap().0
}

#[tokio::test]
async fn cache_uncached_read_sees_write_of_other_instance_at_once() {
    let (records, engine) = (shared(), Engine::new(1));
    assert_eq!(recent(&records, &engine).await, 0);
    engine.clone().increment(0).await.unwrap();
    assert_eq!(read(&records, &engine).await, 1);
    // And from then on also by a read of the recent record.
    assert_eq!(recent(&records, &engine).await, 1);
    assert_eq!(engine.loads.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn cache_recent_read_sees_write_of_other_instance_soon() {
    let (records, engine) = (shared(), Engine::new(1));
    assert_eq!(recent(&records, &engine).await, 0);
    engine.clone().increment(0).await.unwrap();
    let start = Instant::now();
    while recent(&records, &engine).await == 0 {
        assert!(start.elapsed() < tenantry_domain::limits::RECENT_READ_MAX_AGE);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(engine.loads.load(Ordering::Relaxed), 2, "it came from memory until then");
}

#[tokio::test]
async fn cache_drops_load_that_was_invalidated_meanwhile() {
    let (records, engine) = (shared(), Engine::new(1));
    let load = async || {
        let found = engine.load(0).await;
        engine.clone().increment(0).await?;
        records.memory.evict([key(0).into()]);
        found
    };
    assert_eq!(records.get_recent(key(0), load).await.unwrap().unwrap().0, 0, "it began before");
    assert_eq!(recent(&records, &engine).await, 1);
}

#[tokio::test]
async fn cache_read_waits_briefly_for_stuck_load() {
    let (records, engine) = (shared(), Engine::new(1));
    let (started, starting) = oneshot::channel::<()>();
    let stuck = {
        let records = records.clone();
        tokio::spawn(async move {
            let load = || async move {
                started.send(()).unwrap();
                std::future::pending().await
            };
            records.get_recent(key(0), load).await
        })
    };
    starting.await.unwrap();
    let start = Instant::now();
    assert_eq!(recent(&records, &engine).await, 0);
    assert!(start.elapsed() < 3 * LOAD_WAIT_TIMEOUT, "answered after {:?}", start.elapsed());
    stuck.abort();
}

#[tokio::test]
async fn cache_drops_search_result_invalidated_by_other_instance() {
    let (records, engine) = (shared(), Engine::new(1));
    let mark = records.mark();
    let found = engine.load(0).await.unwrap().unwrap();
    engine.clone().increment(0).await.unwrap();
    records.memory.evict([key(0).into()]);
    records.insert_found(key(0), &found, mark);
    assert_eq!(recent(&records, &engine).await, 1);
}
