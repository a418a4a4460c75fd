//! Inserts that wait go together, and each keeps its outcome.

use super::super::concurrency::ConcurrencyLimits;
use super::*;
use crate::test_records::organization;
use bson::{RawDocumentBuf, rawdoc};
use std::time::Duration;
use tenantry_documents::document::Revision;
use tenantry_domain::ErrorCode;
use tokio::sync::Semaphore;

/// An engine that notes what each call has, and lets a call end when it is told to.
struct Engine {
    calls: Mutex<Vec<Vec<i32>>>,
    ends: Semaphore,
}

/// What the engine says of a document: 13 is refused, 666 makes it refuse the whole call, and 777 makes the call fail.
fn outcomes(numbers: &[i32]) -> Result<Vec<Outcome>> {
    if numbers.contains(&666) {
        return Err(Error::invalid_field("", "It cannot be inserted."));
    }
    if numbers.contains(&777) {
        return Err(Error::internal("nobody knows what was written"));
    }
    let one = |number: &i32| if *number == 13 { Err(ErrorCode::DocumentExists.into()) } else { Ok(()) };
    Ok(numbers.iter().map(one).collect())
}

fn inserts() -> (Arc<Engine>, MergedInserts) {
    let engine = Arc::new(Engine { calls: Mutex::default(), ends: Semaphore::new(0) });
    let asked = engine.clone();
    let insert_all = move |_, _, documents: Vec<StoredDocument>| {
        let engine = asked.clone();
        async move {
            let numbers: Vec<i32> = documents.iter().map(|it| it.body.get_i32("_id").unwrap()).collect();
            engine.calls.lock().unwrap().push(numbers.clone());
            engine.ends.acquire().await.unwrap().forget();
            outcomes(&numbers)
        }
        .boxed()
    };
    let limiter = Arc::new(TenantLimiter::new(ConcurrencyLimits::default()));
    (engine, MergedInserts::of(Arc::new(insert_all), &limiter, &Writes::default()))
}

fn document(body: RawDocumentBuf) -> StoredDocument {
    StoredDocument { body, revision: Revision(1) }
}

fn begin(inserts: &MergedInserts, version: u64, number: i32) -> tokio::task::JoinHandle<Result<Outcome>> {
    let inserts = inserts.clone();
    let organization = Organization { version, ..organization() };
    tokio::spawn(async move {
        let document = document(rawdoc! { "_id": number });
        inserts.insert(&organization, &CollectionName::default(), document).await
    })
}

/// Waits until the engine has had so many calls.
async fn wait_for_calls(engine: &Engine, count: usize) {
    while engine.calls.lock().unwrap().len() < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until so many inserts wait.
async fn wait_for_waiting(inserts: &MergedInserts, count: usize) {
    while inserts.lock().values().map(|queue| queue.waiting.len()).sum::<usize>() < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Two calls that are under way, so that others wait.
async fn begin_two(
    inserts: &MergedInserts,
    engine: &Engine,
) -> Vec<tokio::task::JoinHandle<Result<Outcome>>> {
    let mut running = Vec::new();
    for (count, number) in [1, 2].into_iter().enumerate() {
        running.push(begin(inserts, 1, number));
        wait_for_calls(engine, count + 1).await;
    }
    running
}

#[tokio::test]
async fn insert_alone_is_sent_at_once() {
    let (engine, inserts) = inserts();
    for number in 0..3 {
        engine.ends.add_permits(1);
        begin(&inserts, 1, number).await.unwrap().unwrap().unwrap();
    }
    assert_eq!(*engine.calls.lock().unwrap(), [[0], [1], [2]]);
    assert!(inserts.lock().is_empty(), "nothing is left of a queue");
}

#[tokio::test]
async fn inserts_that_wait_go_together_and_keep_their_outcomes() {
    let (engine, inserts) = inserts();
    let mut running = begin_two(&inserts, &engine).await;
    for number in 10..20 {
        running.push(begin(&inserts, 1, number));
        wait_for_waiting(&inserts, running.len() - 2).await;
    }
    // Of another record of the organization: not together with them.
    let other = begin(&inserts, 2, 30);
    wait_for_calls(&engine, 3).await;
    engine.ends.add_permits(4);
    let mut refused = 0;
    for task in running {
        refused += usize::from(task.await.unwrap().unwrap().is_err());
    }
    other.await.unwrap().unwrap().unwrap();
    let calls = engine.calls.lock().unwrap().clone();
    assert_eq!(calls, [vec![1], vec![2], vec![30], (10..20).collect::<Vec<_>>()]);
    assert_eq!(refused, 1, "13 exists, the others do not");
    assert!(inserts.lock().is_empty());
}

#[tokio::test]
async fn refusal_of_a_call_changes_only_its_cause() {
    let (engine, inserts) = inserts();
    let first = begin_two(&inserts, &engine).await;
    let together: Vec<_> = [10, 666, 11].map(|number| begin(&inserts, 1, number)).into_iter().collect();
    wait_for_waiting(&inserts, 3).await;
    engine.ends.add_permits(10);
    for task in first {
        task.await.unwrap().unwrap().unwrap();
    }
    let mut said = Vec::new();
    for task in together {
        said.push(task.await.unwrap().is_ok());
    }
    assert_eq!(said, [true, false, true]);
}

#[tokio::test]
async fn failed_call_is_not_repeated() {
    let (engine, inserts) = inserts();
    let first = begin_two(&inserts, &engine).await;
    let together: Vec<_> = [10, 777].map(|number| begin(&inserts, 1, number)).into_iter().collect();
    wait_for_waiting(&inserts, 2).await;
    engine.ends.add_permits(10);
    for task in first {
        task.await.unwrap().unwrap().unwrap();
    }
    for task in together {
        assert_eq!(task.await.unwrap().unwrap_err().code(), ErrorCode::Internal);
    }
    assert_eq!(engine.calls.lock().unwrap().len(), 3, "a second call might find what the first has written");
}

#[tokio::test]
async fn insert_whose_caller_has_gone_is_not_sent() {
    let (engine, inserts) = inserts();
    let first = begin_two(&inserts, &engine).await;
    let gone = begin(&inserts, 1, 3);
    wait_for_waiting(&inserts, 1).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    engine.ends.add_permits(3);
    for task in first {
        task.await.unwrap().unwrap().unwrap();
    }
    begin(&inserts, 1, 4).await.unwrap().unwrap().unwrap();
    assert!(!engine.calls.lock().unwrap().iter().flatten().any(|number| *number == 3));
}

#[tokio::test]
async fn only_single_small_documents_go_together() {
    let small = || document(rawdoc! { "_id": 1 });
    let large = document(rawdoc! { "_id": 1, "text": "x".repeat(MAX_BYTES) });
    assert!(MergedInserts::takes(&[small()]));
    assert!(!MergedInserts::takes(&[large]) && !MergedInserts::takes(&[small(), small()]));
}
