//! Data that the four reference services lose, as observed by running them, and the tests that we do not.
//!
//! | what happened there | the test here |
//! |---|---|
//! | 50 concurrent creates of one name: 50 succeed, on one container | `concurrency.rs`, `creates_of_one_name_in_parallel_make_one_organization` |
//! | `Acme Corp`, `Acme-Corp`, `acme_corp!`; 株式会社 and Яндекс: one container for all | [`names_equal_but_for_punctuation_never_share_a_container`], [`names_in_other_scripts_never_share_a_container`] |
//! | a rename to the same slug: every document gone | [`rename_to_same_identifier_keeps_every_document`] |
//! | a refused rename (e-mail taken): the data had already moved | [`rename_that_is_refused_changes_nothing`] |
//! | kill -9 in the middle of a rename: two containers, or a rename that can never finish | `crash.rs`, `rename::operation_stays_whole_when_killed_at_any_point` |
//! | writers during a rename: two thirds of the acknowledged writes lost | [`writes_during_renames_are_kept`] |
//! | a good rename: ids, indexes and validators lost | [`rename_keeps_document_ids_indexes_and_rules`] |
//! | delete during a rename: the next organization of that name inherits the documents | [`delete_during_rename_leaves_nothing_to_next_of_that_name`] |
//! | an old token after a delete: drops the container again, by then another tenant's | [`token_of_deleted_organization_cannot_reach_its_successor`] |
//! | a token after a password change: works for 24 hours | `classic/update.rs`, `update_of_credentials_ends_all_other_sessions` |
//! | the database killed: acknowledged writes lost | `crash/load.rs`, `acknowledged_changes_survive_kills_under_load` |
//! | 50 sign-ins at once: `/health` blocked for 51 s, 2.4 GiB of memory | [`health_and_memory_hold_while_a_hundred_sign_in`] |
//! | login timing: 212 ms for a known address, 1 ms for an unknown one | `sign_in.rs`, `sign_in_takes_equal_time_for_unknown_email` |

use crate::support::app::App;
use crate::support::fixtures::{
    PASSWORD, credentials, find, new_organization, organization, sign_in, with_access,
};
use crate::support::records::{
    Writer, containers, contents, documents, make_unique, put_documents, refuses_twins,
};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

#[tokio::test]
async fn names_equal_but_for_punctuation_never_share_a_container() {
    let app = App::start().await;
    let acme = organization(&app, "Acme Corp").await;
    for twin in ["Acme-Corp", "acme_corp!", "ACME  CORP", "(Acme) Corp™"] {
        let new = new_organization(twin, "owner@twin.example");
        app.client().post("/org/create", &new).await.refused("name_taken");
    }
    // A rename is no way round it.
    let other = organization(&app, "Other").await;
    let body = json!({ "organization_name": "Other", "new_organization_name": "acme_corp!" });
    other.owner.put("/org/update", &body).await.refused("name_taken");
    put_documents(&app, acme.id(), 1);
    put_documents(&app, other.id(), 0);
    assert_eq!(containers(&app).len(), 2);
    assert_eq!((documents(&app, acme.id()).len(), documents(&app, other.id()).len()), (1, 0));
}

#[tokio::test]
async fn names_in_other_scripts_never_share_a_container() {
    let app = App::start().await;
    let mut made = Vec::new();
    for (number, name) in ["株式会社", "Яндекс", "שלום", "🦄🚀", "🚀🦄", "!!!", "?!"].iter().enumerate()
    {
        let new = new_organization(name, &format!("owner@script-{number}.example"));
        made.push(app.client().post("/org/create", &new).await.created());
        put_documents(&app, made[number]["id"].as_str().unwrap(), 1);
    }
    for field in ["id", "organization_identifier", "tenant_collection"] {
        let distinct: std::collections::BTreeSet<_> = made.iter().map(|body| body[field].as_str()).collect();
        assert_eq!(distinct.len(), made.len(), "{field}");
    }
    // Ending one ends only that one.
    let owner = with_access(&app, &sign_in(&app, "owner@script-0.example").await);
    owner.delete_with("/org/delete?purge=true", &json!({ "organization_name": "株式会社" })).await.ok();
    for other in &made[1..] {
        assert_eq!(documents(&app, other["id"].as_str().unwrap()), ["notes/note-0: {\"number\":0}"]);
    }
}

#[tokio::test]
async fn rename_to_same_identifier_keeps_every_document() {
    let app = App::start().await;
    let acme = organization(&app, "Acme Corp").await;
    put_documents(&app, acme.id(), 500);
    let before = contents(&app, acme.id());
    for body in [
        json!({ "organization_name": "Acme Corp!" }),
        json!({ "organization_name": "acme corp", "new_organization_name": "ACME-CORP" }),
    ] {
        let updated = acme.owner.put("/org/update", &body).await.ok();
        assert_eq!(updated["documents_migrated"], 500);
        assert_eq!(updated["previous_collection"], updated["current_collection"]);
        assert_eq!(contents(&app, acme.id()), before);
    }
}

#[tokio::test]
async fn rename_that_is_refused_changes_nothing() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let other = organization(&app, "Other").await;
    put_documents(&app, acme.id(), 10);
    let before = (contents(&app, acme.id()), acme.owner.get(&acme.path()).await);
    app.clock.advance(Duration::from_secs(1));
    let body = json!({
        "organization_name": "Acme", "new_organization_name": "Acme Global",
        "email": other.email(), "password": "another horse, same stable",
    });
    acme.owner.put("/org/update", &body).await.refused("email_taken");

    let after = (contents(&app, acme.id()), acme.owner.get(&acme.path()).await);
    assert_eq!(after.0, before.0);
    assert_eq!(after.1.json(), before.1.json());
    sign_in(&app, acme.email()).await;
    // The new name was not kept from anybody, and the old one still is.
    organization(&app, "Acme Global").await;
    let twin = new_organization("acme", "owner@twin.example");
    app.client().post("/org/create", &twin).await.refused("name_taken");
    acme.owner.put("/org/update", &json!({ "organization_name": "Acme Local" })).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_during_renames_are_kept() {
    let app = App::start().await;
    let acme = organization(&app, "Acme 0").await;
    let mut notes = Writer::of(&app, acme.id());
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::task::spawn_blocking({
        let done = Arc::clone(&done);
        move || {
            let mut written = 0;
            while !done.load(Ordering::SeqCst) {
                notes.put(written);
                written += 1;
            }
            written
        }
    });
    let mut last = 0;
    for number in 1..=20 {
        let body = json!({ "organization_name": format!("Acme {number}") });
        let updated = acme.owner.put("/org/update", &body).await.ok();
        let counted = updated["documents_migrated"].as_u64().unwrap();
        assert!(counted >= last, "{counted} after {last}");
        last = counted;
    }
    done.store(true, Ordering::SeqCst);
    let written = writer.await.unwrap();
    assert!(written > 0);
    assert_eq!(documents(&app, acme.id()).len(), written as usize);
}

#[tokio::test]
async fn rename_keeps_document_ids_indexes_and_rules() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    put_documents(&app, acme.id(), 100);
    make_unique(&app, acme.id());
    let before = contents(&app, acme.id());

    let updated = acme.owner.put("/org/update", &json!({ "organization_name": "Acme Global" })).await.ok();
    assert_eq!(updated["documents_migrated"], 100);
    assert_eq!(updated["current_collection"], "tenant_acme_global");
    assert_eq!((&updated["id"], &updated["admin_id"]), (&acme.body["id"], &acme.body["admin_id"]));
    assert_eq!(updated["created_at"], acme.body["created_at"]);
    assert_eq!(contents(&app, acme.id()), before);
    assert!(refuses_twins(&app, acme.id()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delete_during_rename_leaves_nothing_to_next_of_that_name() {
    let app = App::start().await;
    for round in 0..10 {
        let (old, new) = (format!("Acme {round}"), format!("Acme Global {round}"));
        let acme = organization(&app, &old).await;
        put_documents(&app, acme.id(), 50);
        let body = json!({ "organization_name": new });
        let v1 = acme.path();
        let (renamed, deleted) = tokio::join!(acme.owner.put("/org/update", &body), acme.owner.delete(&v1));
        // The delete meets the organization before or after the rename. A rename that comes second finds it gone.
        deleted.ok();
        if renamed.status != 200 {
            assert!(
                ["token_revoked", "organization_not_active"].contains(&renamed.outcome().as_str()),
                "{renamed}"
            );
        }
        for name in [&old, &new] {
            find(&app, name).await.refused("organization_not_found");
            let next = organization(&app, name).await;
            assert_eq!(documents(&app, next.id()), Vec::<String>::new(), "{name}");
        }
        let restored = json!({ "organization_name": format!("Restored {round}"), "admin_email": format!("r{round}@acme.example") });
        app.operator().post(&format!("{v1}/restore"), &restored).await.ok();
        assert_eq!(documents(&app, acme.id()).len(), 50);
    }
}

/// A token from before a delete reaches no organization that has the name now.
#[tokio::test]
async fn token_of_deleted_organization_cannot_reach_its_successor() {
    let app = App::start().await;
    for path in ["/org/delete?organization_name=Acme", "/org/delete?organization_name=Acme&purge=true"] {
        let old = organization(&app, "Acme").await;
        old.owner.delete(path).await.ok();
        let next = organization(&app, "Acme").await;
        put_documents(&app, next.id(), 3);

        for attempt in ["/org/delete?organization_name=Acme", "/org/delete?organization_name=Acme&purge=true"]
        {
            old.owner.delete(attempt).await.refused("token_revoked");
        }
        old.owner.put("/org/update", &json!({ "organization_name": "Mine" })).await.refused("token_revoked");
        old.owner.delete(&next.path()).await.refused("token_revoked");
        let refresh = json!({ "refresh_token": old.tokens["refresh_token"] });
        app.client().post("/v1/auth/refresh", &refresh).await.refused("refresh_token_invalid");

        assert_eq!(find(&app, "Acme").await.ok(), next.body);
        assert_eq!(documents(&app, next.id()).len(), 3);
        next.owner.delete(path).await.ok();
    }
}

#[tokio::test]
async fn name_and_email_freed_by_rename_or_delete_are_reusable() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    put_documents(&app, acme.id(), 5);
    let body = json!({
        "organization_name": "Acme", "new_organization_name": "Acme Global", "email": "new@acme.example",
    });
    acme.owner.put("/org/update", &body).await.ok();
    let second = organization(&app, "Acme").await;
    assert_eq!(second.email(), acme.email());
    assert_eq!(documents(&app, second.id()), Vec::<String>::new());

    second.owner.delete("/org/delete?organization_name=Acme").await.ok();
    let third = organization(&app, "Acme").await;
    assert_ne!(third.id(), second.id());
    assert_eq!(third.body["tenant_collection"], "tenant_acme");
    assert_eq!(documents(&app, acme.id()).len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_memory_hold_while_a_hundred_sign_in() {
    // A hash takes 19 MiB: a hundred at the same time would take 1.9 GiB.
    const GROWTH_MAX_MIB: u64 = 600;
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let before = resident_mib();
    let mut sign_ins = JoinSet::new();
    for _ in 0..100 {
        let (client, body) = (app.client(), credentials(acme.email(), PASSWORD));
        sign_ins.spawn(async move { client.post("/admin/login", &body).await.ok() });
    }
    let (mut asked, mut most) = (0, 0);
    while !sign_ins.is_empty() {
        let began = Instant::now();
        app.client().get("/health").await.ok();
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        most = resident_mib().max(most);
        asked += 1;
        while sign_ins.try_join_next().transpose().unwrap().is_some() {}
    }
    assert!(asked >= 10, "the sign-ins were over too soon to tell");
    assert!(most < before + GROWTH_MAX_MIB, "{before} MiB grew to {most} MiB");
}

/// The memory of this process, in MiB.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() / 1024
}
