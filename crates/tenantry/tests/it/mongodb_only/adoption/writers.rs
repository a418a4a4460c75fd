//! An old service that still writes.

use super::in_place::both;
use super::source::{Classic, Source};
use super::{command, refused, run, said};
use crate::support::mongodb::spawn;
use crate::support::test_env::{Engine, TestEnv};
use mongodb::bson::{DateTime, doc};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Writes in that way until the flag is set.
fn writer(source: &Source, update: bool) -> (Arc<AtomicBool>, tokio::task::JoinHandle<()>) {
    let (database, name) = source.place(1);
    let collection = source.database.beside(&database, &name);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let writing = spawn(async move {
        while !stopped.load(Ordering::SeqCst) {
            if update {
                let set = doc! { "$set": { "seen": DateTime::now() } };
                collection.update_one(doc! { "_id": "a" }, set).await.unwrap();
            } else {
                collection.insert_one(doc! { "at": DateTime::now() }).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    (stop, writing)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adoption_refuses_while_old_service_writes() {
    for (update, classic) in [(false, Classic::A), (true, Classic::D)] {
        let (source, place) = both(classic);
        let copy = TestEnv::on(Engine::Embedded);
        let (stop, writing) = writer(&source, update);
        for (target, arguments) in [(&copy, &["--apply"][..]), (&place, &["--apply", "--in-place"][..])] {
            let refusal = refused(&run(&source, target, arguments));
            assert!(refusal.contains("The old service still writes: the collection"), "{refusal}");
        }
        let identities = source.database.identities();
        assert!(identities.contains_key(&source.place(0).1) && !identities.contains_key("tenantry_adoption"));
        assert!(!copy.data_dir().exists());
        stop.store(true, Ordering::SeqCst);
        writing.await.unwrap();
        said(&run(&source, &copy, &["--apply"]));
    }
}

/// A write after the watch, before the comparison.
#[cfg(feature = "crash-points")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_during_copy_is_refused_at_its_end() {
    use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
    let (source, target) = (Source::seeded(Classic::A), TestEnv::on(Engine::Embedded));
    let mut running = command(&source, &target, &["--apply"])
        .env("TENANTRY_STOP_AT", "adopt.records.done")
        .spawn()
        .unwrap();
    let id = Pid::from_child(&running);
    let stopped = tokio::task::spawn_blocking(move || waitpid(Some(id), WaitOptions::UNTRACED).unwrap());
    assert!(stopped.await.unwrap().is_some_and(|(_, status)| status.stopped()));
    source.set("org_acme_corp", source.organizations[0], doc! {});
    source.insert("org_acme_corp", vec![doc! { "_id": "late" }]);
    kill_process(id, Signal::CONT).unwrap();
    let ended = tokio::task::spawn_blocking(move || running.wait().unwrap()).await.unwrap();
    assert_eq!(ended.code(), Some(1));
    // Nobody writes any more: it goes on.
    let text = said(&run(&source, &target, &["--apply"]));
    assert!(text.contains("704 documents"), "{text}");
}

#[test]
fn collection_that_comes_back_stops_confirmation() {
    let (source, target) = both(Classic::A);
    said(&run(&source, &target, &["--in-place", "--apply"]));
    source.insert("org_acme_corp", vec![doc! { "_id": "late" }]);
    let refusal = refused(&run(&source, &target, &["--in-place", "--confirm"]));
    assert!(refusal.contains("there is a new collection org_acme_corp"), "{refusal}");
    let late = source.database.collection("org_acme_corp");
    crate::support::mongodb::run(async move { late.drop().await.unwrap() });
    said(&run(&source, &target, &["--in-place", "--confirm"]));
}
