//! An old service that still writes.

#[cfg(feature = "crash-points")]
use super::command;
use super::in_place::both;
use super::source::{Classic, Source};
use super::{refused, run, said};
use crate::support::test_env::{Engine, TestEnv};
use mongodb::bson::doc;

/// What the old service does.
#[cfg(feature = "crash-points")]
type Write<'a> = &'a dyn Fn(&Source);

/// Runs it up to that point, does what the old service would do meanwhile, and lets it end.
#[cfg(feature = "crash-points")]
async fn interrupted(
    source: &Source,
    target: &TestEnv,
    arguments: &[&str],
    point: &str,
    write: impl FnOnce(&Source),
) -> String {
    use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
    use std::process::Stdio;
    let mut command = command(source, target, arguments);
    let running =
        command.env("TENANTRY_STOP_AT", point).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = Pid::from_child(&running);
    let stopped = tokio::task::spawn_blocking(move || waitpid(Some(id), WaitOptions::UNTRACED).unwrap());
    assert!(stopped.await.unwrap().is_some_and(|(_, status)| status.stopped()));
    write(source);
    kill_process(id, Signal::CONT).unwrap();
    refused(&tokio::task::spawn_blocking(move || running.wait_with_output().unwrap()).await.unwrap())
}

#[cfg(feature = "crash-points")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adoption_refuses_while_old_service_writes() {
    use crate::support::mongodb;
    let insert = |source: &Source| source.insert(&source.place(1).1, vec![doc! { "late": true }]);
    let update = |source: &Source| {
        let collection = source.database.collection(&source.place(1).1);
        let set = doc! { "$set": { "late": true } };
        mongodb::run(async move { collection.update_one(doc! { "_id": "a" }, set).await.unwrap() });
    };
    let remove = |source: &Source| {
        let collection = source.database.collection(source.records().1);
        mongodb::run(async move { collection.delete_one(doc! {}).await.unwrap() });
    };
    let writes: [(Write<'_>, Classic); 3] =
        [(&insert, Classic::A), (&update, Classic::D), (&remove, Classic::C)];
    for (write, classic) in writes {
        for in_place in [false, true] {
            let (source, target) = both(classic);
            let copy = TestEnv::on(Engine::Embedded);
            let (target, arguments) =
                if in_place { (&target, &["--apply", "--in-place"][..]) } else { (&copy, &["--apply"][..]) };
            let refusal = interrupted(&source, target, arguments, "adopt.watch.begun", write).await;
            assert!(refusal.contains("The old service still writes: the collection"), "{refusal}");
            let names = source.database.collections();
            assert!(names.contains(&source.place(0).1) && !names.contains(&"tenantry_adoption".to_owned()));
            assert!(!copy.data_dir().exists());
        }
    }
}

/// A write after the watch, before the comparison.
#[cfg(feature = "crash-points")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_during_copy_is_refused_at_its_end() {
    let (source, target) = (Source::seeded(Classic::A), TestEnv::on(Engine::Embedded));
    let insert = |source: &Source| source.insert("org_acme_corp", vec![doc! { "_id": "late" }]);
    let refusal = interrupted(&source, &target, &["--apply"], "adopt.records.done", insert).await;
    assert!(refusal.contains("differs from the source after the copy"), "{refusal}");
    // Written and removed again: both sides are equal, but the counters show it.
    let both = |source: &Source| {
        insert(source);
        let late = source.database.collection("org_acme_corp");
        crate::support::mongodb::run(async move { late.delete_one(doc! { "_id": "late" }).await.unwrap() });
    };
    let late = source.database.collection("org_acme_corp");
    crate::support::mongodb::run(async move { late.delete_one(doc! { "_id": "late" }).await.unwrap() });
    let refusal = interrupted(&source, &target, &["--apply"], "adopt.records.done", both).await;
    assert!(refusal.contains("The old service still writes: the collection"), "{refusal}");
    // Nobody writes any more: it goes on.
    let text = said(&run(&source, &target, &["--apply"]));
    assert!(text.contains("703 documents"), "{text}");
}

/// What happens after the rehearsal and before the names change moves along, or stops the adoption.
#[cfg(feature = "crash-points")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_organization_stops_adoption_in_place() {
    let (mut source, target) = both(Classic::A);
    source.add(3, "Late", "late");
    let (registry, accounts) = source.records();
    let late = |source: &Source| {
        source.set(registry, source.organizations[3], doc! { "organization_name": "Acme Corp" });
        source.set(accounts, source.accounts[3], doc! { "late": true });
    };
    let apply = ["--apply", "--in-place"];
    let refusal = interrupted(&source, &target, &apply, "adopt.journal.done", late).await;
    assert!(refusal.contains("has changed its organizations since the adoption began"), "{refusal}");
    said(&run(&source, &target, &["--undo", "--in-place"]));
    source.set(registry, source.organizations[3], doc! { "organization_name": "Late" });
    let before = source.everything();
    let write = |source: &Source| source.insert("org_acme_corp", vec![doc! { "_id": "late" }]);
    let mut command = command(&source, &target, &apply);
    let killed = command.env("TENANTRY_CRASH_AT", "adopt.journal.done").output().unwrap();
    assert_eq!(killed.status.code(), None);
    write(&source);
    said(&run(&source, &target, &apply));
    let moved = source.database.find("tenant_acme_corp", doc! { "_id": "late" });
    assert_eq!(moved.len(), 1);
    assert!(before.contains_key("org_acme_corp"));
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
