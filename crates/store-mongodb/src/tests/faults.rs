//! Servers that are away, freeze, die and come back.

use super::super::{MongoDb, MongoOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tenantry_domain::ErrorCode;
use tenantry_domain::store::Installation;
use tenantry_test_mongod::Mongod;
use tokio::task::JoinSet;

/// How long the calls of these tests may take.
const DEADLINE: Duration = Duration::from_secs(1);
/// After how long a call counts as held: without its deadline it would wait for 30 s for a server.
const HELD: Duration = Duration::from_secs(15);
/// How long a machine that has much to do may take to notice that a server is back.
const PATIENCE: Duration = Duration::from_secs(30);

async fn open(mongod: &Mongod) -> Arc<MongoDb> {
    let options = MongoOptions { deadline: DEADLINE, ..MongoOptions::new(mongod.uri(), "tenantry") };
    MongoDb::open(&options).await.unwrap()
}

/// Calls fail, and do so in time.
async fn is_unavailable(engine: &MongoDb) {
    for write in [false, true] {
        let start = Instant::now();
        let outcome =
            if write { engine.check_writable().await } else { engine.get_value("a").await.map(|_| ()) };
        assert_eq!(outcome.unwrap_err().code(), ErrorCode::StoreUnavailable);
        assert!(start.elapsed() < HELD, "answered after {:?}", start.elapsed());
    }
}

/// Calls succeed again after a while, without anybody doing anything about it.
async fn becomes_available(engine: &MongoDb) {
    let start = Instant::now();
    while let Err(error) = engine.check_writable().await {
        assert_eq!(error.code(), ErrorCode::StoreUnavailable, "{error}");
        assert!(start.elapsed() < PATIENCE, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    engine.put_value("a", b"b").await.unwrap();
    assert_eq!(engine.get_value("a").await.unwrap().unwrap(), b"b");
}

/// The server is away, then frozen, then killed; each time the service recovers by itself.
#[tokio::test]
async fn server_outage_needs_no_restart_of_the_service() {
    let mut mongod = Mongod::start();
    mongod.kill();
    let engine = open(&mongod).await;
    is_unavailable(&engine).await;
    mongod.restart();
    becomes_available(&engine).await;

    mongod.pause();
    is_unavailable(&engine).await;
    mongod.resume();
    becomes_available(&engine).await;

    mongod.kill();
    is_unavailable(&engine).await;
    mongod.restart();
    becomes_available(&engine).await;
    engine.close().await;
    is_unavailable(&engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acknowledged_writes_survive_server_kill() {
    let mut mongod = Mongod::start();
    let engine = open(&mongod).await;
    becomes_available(&engine).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let (engine, is_over) = (engine.clone(), is_over.clone());
        writers.spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0.. {
                let name = format!("{writer} {number}");
                if is_over.load(Ordering::SeqCst) || engine.put_value(&name, b"kept").await.is_err() {
                    break;
                }
                acknowledged.push(name);
            }
            acknowledged
        });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    mongod.kill();
    is_over.store(true, Ordering::SeqCst);
    let acknowledged: Vec<String> = writers.join_all().await.into_iter().flatten().collect();
    assert!(acknowledged.len() > 8, "{acknowledged:?}");

    mongod.restart();
    becomes_available(&engine).await;
    for name in &acknowledged {
        assert!(engine.get_value(name).await.unwrap().is_some(), "`{name}` is lost");
    }
}
