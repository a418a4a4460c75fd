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
async fn is_unavailable(values: &dyn Installation) {
    for write in [false, true] {
        let start = Instant::now();
        let outcome =
            if write { values.check_writable().await } else { values.get_value("a").await.map(|_| ()) };
        assert_eq!(outcome.unwrap_err().code(), ErrorCode::StoreUnavailable);
        assert!(start.elapsed() < HELD, "answered after {:?}", start.elapsed());
    }
}

/// Calls succeed again after a while, without anybody doing anything about it.
async fn becomes_available(values: &dyn Installation) {
    let start = Instant::now();
    while let Err(error) = values.check_writable().await {
        assert_eq!(error.code(), ErrorCode::StoreUnavailable, "{error}");
        assert!(start.elapsed() < PATIENCE, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    values.put_value("a", b"b").await.unwrap();
    assert_eq!(values.get_value("a").await.unwrap().unwrap(), b"b");
}

/// The server is away, then frozen, then killed; each time the service recovers by itself.
#[tokio::test]
async fn server_outage_needs_no_restart_of_the_service() {
    let mut mongod = Mongod::start();
    mongod.kill();
    let engine = open(&mongod).await;
    let values = engine.store().installation;
    is_unavailable(&*values).await;
    mongod.restart();
    becomes_available(&*values).await;

    mongod.pause();
    is_unavailable(&*values).await;
    mongod.resume();
    becomes_available(&*values).await;

    mongod.kill();
    is_unavailable(&*values).await;
    mongod.restart();
    becomes_available(&*values).await;
    engine.close().await;
    is_unavailable(&*values).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acknowledged_writes_survive_server_kill() {
    let mut mongod = Mongod::start();
    let engine = open(&mongod).await;
    let values = engine.store().installation;
    becomes_available(&*values).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let (values, is_over) = (values.clone(), is_over.clone());
        writers.spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0.. {
                let name = format!("{writer} {number}");
                if is_over.load(Ordering::SeqCst) || values.put_value(&name, b"kept").await.is_err() {
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
    becomes_available(&*values).await;
    for name in &acknowledged {
        assert!(values.get_value(name).await.unwrap().is_some(), "`{name}` is lost");
    }
}
