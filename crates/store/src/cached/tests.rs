//! No stale read after an acknowledged write, in every order of a reader and a writer.

mod shared;

use super::codec::Encode;
use super::codec::{ByteReader, ByteWriter};
use super::memory::Memory;
use super::records::{LOAD_WAIT_TIMEOUT, Records};
use super::*;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tenantry_domain::ids::AccountId;
use tenantry_domain::{Error, Result};
use tokio::sync::oneshot;

/// A record that consists of its version.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Version(u64);

impl Encode for Version {
    fn pack(&self, to: &mut ByteWriter) {
        to.number(self.0);
    }

    fn unpack(from: &mut ByteReader<'_>) -> Option<Self> {
        from.number().map(Self)
    }
}

fn records(bytes: u64) -> Arc<Records<AccountId, Version>> {
    Records::new(&Memory::new(bytes, Coherence::Exclusive))
}

fn key(number: u8) -> AccountId {
    AccountId::from_bytes([number; 12])
}

/// An engine with one version per key, which counts its reads.
struct Engine {
    versions: Vec<AtomicU64>,
    loads: AtomicU32,
}

impl Engine {
    fn new(keys: usize) -> Arc<Self> {
        Arc::new(Self { versions: (0..keys).map(|_| AtomicU64::new(0)).collect(), loads: AtomicU32::new(0) })
    }

    /// Reads, and delays the result.
    async fn load(&self, number: usize) -> Result<Option<Arc<Version>>> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        let version = self.versions[number].load(Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(Some(Arc::new(Version(version))))
    }

    async fn increment(self: Arc<Self>, number: usize) -> Result<u64> {
        tokio::task::yield_now().await;
        let version = self.versions[number].fetch_add(1, Ordering::SeqCst) + 1;
        tokio::task::yield_now().await;
        Ok(version)
    }
}

async fn read(records: &Records<AccountId, Version>, engine: &Engine) -> u64 {
    records.get(key(0), || engine.load(0)).await.unwrap().unwrap().0
}

#[tokio::test]
async fn cache_loads_record_once() {
    let (records, engine) = (records(1 << 20), Engine::new(1));
    for _ in 0..10 {
        assert_eq!(read(&records, &engine).await, 0);
    }
    assert_eq!(engine.loads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn cache_does_not_keep_absence_or_errors() {
    let records = records(1 << 20);
    assert_eq!(records.get(key(0), || async { Ok(None) }).await.unwrap(), None);
    let error = records.get(key(0), || async { Err(Error::unavailable("away")) }).await.unwrap_err();
    assert_eq!(error.cause(), Some("away"));
    assert_eq!(read(&records, &Engine::new(1)).await, 0);
}

#[tokio::test]
async fn cache_keeps_records_found_by_search() {
    let (records, engine) = (records(1 << 20), Engine::new(1));
    records.insert_found(key(0), &Version(0), records.mark());
    assert_eq!(read(&records, &engine).await, 0);
    assert_eq!(engine.loads.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn cache_drops_search_result_older_than_write() {
    for several in [false, true] {
        let (records, engine) = (records(1 << 20), Engine::new(1));
        let mark = records.mark();
        let found = engine.load(0).await.unwrap().unwrap();
        if several {
            records.write_some(engine.clone().increment(0), |_| vec![key(0)]).await.unwrap();
        } else {
            records.write_one(key(0), engine.clone().increment(0)).await.unwrap();
        }
        records.insert_found(key(0), &found, mark);
        assert_eq!(read(&records, &engine).await, 1);
    }
}

/// A search never waits for a load.
#[tokio::test]
async fn cache_search_result_yields_to_running_load() {
    let (records, engine) = (records(1 << 20), Engine::new(1));
    let load = || async {
        records.insert_found(key(0), &Version(7), records.mark());
        engine.load(0).await
    };
    assert_eq!(records.get(key(0), load).await.unwrap().unwrap().0, 0);
    assert_eq!(read(&records, &engine).await, 0);
    assert_eq!(engine.loads.load(Ordering::Relaxed), 1);
}

/// The reader holds the old record while a write runs from beginning to end.
#[tokio::test]
async fn cache_load_overtaken_by_write_is_not_kept() {
    for several in [false, true] {
        let (records, engine) = (records(1 << 20), Engine::new(1));
        let (go_on, waiting) = oneshot::channel::<()>();
        let (has_read, reading) = oneshot::channel::<()>();
        let reader = {
            let (records, engine) = (records.clone(), engine.clone());
            tokio::spawn(async move {
                let load = || async {
                    let found = engine.load(0).await;
                    has_read.send(()).unwrap();
                    waiting.await.unwrap();
                    found
                };
                records.get(key(0), load).await.unwrap().unwrap().0
            })
        };
        reading.await.unwrap();
        let write = engine.clone().increment(0);
        if several {
            records.write_some(write, |_| vec![key(1), key(0)]).await.unwrap();
        } else {
            records.write_one(key(0), write).await.unwrap();
        }
        // Even before the first reader is done, the next one sees the new record.
        assert_eq!(read(&records, &engine).await, 1);
        go_on.send(()).unwrap();
        assert_eq!(reader.await.unwrap(), 0, "it began before the write, so it may see what was before");
        assert_eq!(read(&records, &engine).await, 1);
    }
}

#[tokio::test]
async fn cache_forgets_record_after_failed_write() {
    for several in [false, true] {
        let (records, engine) = (records(1 << 20), Engine::new(1));
        assert_eq!(read(&records, &engine).await, 0);
        let engine_of_write = engine.clone();
        let write = async move {
            engine_of_write.increment(0).await?;
            Err::<(), _>(Error::unavailable("the answer was lost"))
        };
        if several {
            records.write_some(write, |()| vec![]).await.unwrap_err();
        } else {
            records.write_one(key(0), write).await.unwrap_err();
        }
        assert_eq!(read(&records, &engine).await, 1);
    }
}

#[tokio::test]
async fn cache_forgets_record_after_write_without_caller() {
    let (records, engine) = (records(1 << 20), Engine::new(1));
    assert_eq!(read(&records, &engine).await, 0);
    let (go_on, waiting) = oneshot::channel::<()>();
    let (started, starting) = oneshot::channel::<()>();
    let (done, finished) = oneshot::channel::<()>();
    let writer = {
        let (records, engine) = (records.clone(), engine.clone());
        let write = async move {
            started.send(()).unwrap();
            waiting.await.unwrap();
            let version = engine.increment(0).await;
            done.send(()).unwrap();
            version
        };
        tokio::spawn(async move { records.write_one(key(0), write).await })
    };
    starting.await.unwrap();
    writer.abort();
    assert!(writer.await.unwrap_err().is_cancelled());
    go_on.send(()).unwrap();
    finished.await.unwrap();
    // The write's own task has a few instructions left to go.
    while read(&records, &engine).await != 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn cache_memory_is_bounded_by_weight() {
    let records = records(100_000);
    for number in 0..10_000_u32 {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        let load = || async { Ok(Some(Arc::new(Version(0)))) };
        records.get(AccountId::from_bytes(bytes), load).await.unwrap();
    }
    assert!(records.memory.entries.weight() <= 100_000);
    assert!(records.memory.entries.len() > 100, "and it is used");
}

/// Many threads, few keys and a cache so small that it evicts records: after a write is acknowledged, every read
/// returns that version or a later one.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn cache_never_returns_less_than_an_acknowledged_write() {
    const KEYS: usize = 16;
    const ROUNDS: usize = 4_000;
    let acknowledged: Arc<Vec<AtomicU64>> = Arc::new((0..KEYS).map(|_| AtomicU64::new(0)).collect());
    let (records, engine) = (records(2_000), Engine::new(KEYS));
    let mut tasks = Vec::new();
    for task in 0..32 {
        let (records, engine, acknowledged) = (records.clone(), engine.clone(), acknowledged.clone());
        tasks.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                let number = (round * 7 + task * 5) % KEYS;
                let id = key(u8::try_from(number).unwrap());
                if (round + task) % 8 == 0 {
                    let version = records.write_one(id, engine.clone().increment(number)).await.unwrap();
                    acknowledged[number].fetch_max(version, Ordering::SeqCst);
                }
                if (round + task) % 5 == 0 {
                    let mark = records.mark();
                    let found = engine.load(number).await.unwrap().unwrap();
                    records.insert_found(id, &found, mark);
                }
                let floor = acknowledged[number].load(Ordering::SeqCst);
                let seen = records.get(id, || engine.load(number)).await.unwrap().unwrap().0;
                assert!(seen >= floor, "read version {seen} after {floor} was acknowledged");
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let loads = engine.loads.load(Ordering::Relaxed) as usize;
    assert!(loads < 32 * ROUNDS, "some reads came from memory");
}
