//! Killed at each step, an adoption goes on, and is taken back.

use super::in_place::both;
use super::source::{Classic, Source};
use super::{command, run, said};
use crate::support::app::App;
use crate::support::mongodb::run as run_in_runtime;
use crate::support::test_env::{Engine, TestEnv};
use mongodb::bson::{Document, doc};
use std::collections::BTreeMap;

/// Runs it until the process dies at that point.
#[track_caller]
fn killed(source: &Source, target: &TestEnv, arguments: &[&str], point: &str) {
    let output = command(source, target, arguments).env("TENANTRY_CRASH_AT", point).output().unwrap();
    assert_eq!(output.status.code(), None, "{point}: {output:?}");
    expire_lock(source, target);
}

/// Nobody renews the lock of a process that was killed: here it ends at once.
pub fn expire_lock(source: &Source, target: &TestEnv) {
    let locks = [
        Some(source.database.collection("tenantry_adoption")),
        target.database().map(|database| database.collection("installation")),
    ];
    for lock in locks.into_iter().flatten() {
        run_in_runtime(async move { lock.delete_one(doc! { "_id": "lock" }).await.unwrap() });
    }
}

/// What the tests compare: the documents of all collections, without values that are new each time.
fn everything(source: &Source) -> BTreeMap<String, Vec<Document>> {
    let everything = source.everything().into_iter().map(|(name, (_, documents))| (name, documents));
    let mut everything: BTreeMap<_, _> = everything.collect();
    everything.remove("tenantry_adoption");
    // Of an event its kind counts: it has a time, and an id that is drawn.
    for event in everything.get_mut("audit_entries").into_iter().flatten() {
        *event = doc! { "action": event.get_str("action").unwrap() };
    }
    for document in everything.values_mut().flatten() {
        for field in ["container", "token_epoch_since", "purge_at", "purge_due", "modified_at"] {
            document.remove(field);
        }
    }
    everything
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copy_that_was_killed_goes_on_and_is_undone() {
    for (engine, point) in [
        (Engine::Embedded, "adopt.mark.done"),
        (Engine::MongoDb, "adopt.documents.part"),
        (Engine::Embedded, "adopt.documents.part:1"),
        (Engine::MongoDb, "adopt.container.done"),
        (Engine::Embedded, "adopt.records.done"),
    ] {
        let (source, target) = (Source::seeded(Classic::D), TestEnv::on(engine));
        let before = source.everything();
        killed(&source, &target, &["--apply"], point);
        let refusal = App::refused_at(&target).await;
        assert!(refusal.contains("`tenantry adopt --apply` again"), "{refusal}");
        let text = said(&run(&source, &target, &["--apply"]));
        assert!(
            text.contains("Adopted 3 organizations and 3 accounts. Their 703 documents"),
            "{point}: {text}"
        );
        for point in ["adopt.undo_container.done", "adopt.undo_records.done"] {
            if point.contains("records") {
                said(&run(&source, &target, &["--undo"]));
                said(&run(&source, &target, &["--apply"]));
            }
            killed(&source, &target, &["--undo"], point);
            let refusal = App::refused_at(&target).await;
            assert!(refusal.contains("`tenantry adopt --undo` again"), "{refusal}");
        }
        said(&run(&source, &target, &["--undo"]));
        let app = App::at(target).await;
        let listed = app.operator().get("/v1/organizations?show_deleted=true").await.ok();
        assert_eq!(listed["items"].as_array().unwrap().len(), 0, "{listed}");
        assert_eq!(source.everything(), before);
    }
}

/// At each point once: on from there, and back from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_place_that_was_killed_goes_on_and_is_undone() {
    let (source, target) = both(Classic::C);
    let before = source.everything();
    said(&run(&source, &target, &["--in-place", "--apply"]));
    let after = everything(&source);
    said(&run(&source, &target, &["--in-place", "--undo"]));
    for point in [
        "adopt.journal.done",
        "adopt.mark.done",
        "adopt.aside.done",
        "adopt.between.done",
        "adopt.rename.done",
        "adopt.container.done",
        "adopt.organization.done",
        "adopt.records.done",
    ] {
        killed(&source, &target, &["--in-place", "--apply"], point);
        said(&run(&source, &target, &["--in-place", "--undo"]));
        assert_eq!(source.everything(), before, "back from {point}");
        killed(&source, &target, &["--in-place", "--apply"], point);
        said(&run(&source, &target, &["--in-place", "--apply"]));
        assert_eq!(everything(&source), after, "on from {point}");
        said(&run(&source, &target, &["--in-place", "--undo"]));
    }
    assert_eq!(source.everything(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undo_and_confirm_that_were_killed_go_on() {
    let (source, target) = both(Classic::D);
    let before = source.everything();
    for point in [
        "adopt.undo_containers.done",
        "adopt.undo_metadata.done",
        "adopt.rename.done:1",
        "adopt.undo_records.done",
        "adopt.undo_aside.done",
        "adopt.undo_values.done",
    ] {
        // In the layout of service D the names stay, unless an organization has another one.
        let rename = format!("--rename={}=Another", source.organizations[0]);
        said(&run(&source, &target, &["--in-place", &rename, "--apply"]));
        if point.contains("rename") {
            said(&run(&source, &target, &["--in-place", "--undo"]));
            assert_eq!(source.everything(), before);
            continue;
        }
        killed(&source, &target, &["--in-place", "--undo"], point);
        said(&run(&source, &target, &["--in-place", "--undo"]));
        assert_eq!(source.everything(), before, "{point}");
    }
    said(&run(&source, &target, &["--in-place", "--apply"]));
    killed(&source, &target, &["--in-place", "--confirm"], "adopt.confirm_aside.done");
    let refusal = run(&source, &target, &["--in-place", "--undo"]);
    assert!(super::refused(&refusal).contains("is being confirmed"), "{refusal:?}");
    killed(&source, &target, &["--in-place", "--confirm"], "adopt.confirm_journal.done");
    said(&run(&source, &target, &["--in-place", "--confirm"]));
    let app = App::at(target).await;
    super::signed_in(&app, 0).await;
}
