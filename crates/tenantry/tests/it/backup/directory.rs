//! A directory of backups: what they share, how long they are kept, damage, and places that cannot be used.

use super::{Backups, Printed, flip_byte, start};
use crate::support::disk::Disk;
use crate::support::fixtures::{email_for, new_organization};
use crate::support::process::{Launch, Server};
use crate::support::test_env::{Engine, TestEnv};
use serde_json::json;
use std::fs;
use std::path::PathBuf;

/// An installation with organizations, at rest.
pub(super) async fn installation(engine: Engine, names: &[&str]) -> TestEnv {
    let test_env = TestEnv::on(engine);
    let server = start(&test_env);
    for name in names {
        create_with_document(&server, name).await;
    }
    server.stop().await;
    test_env
}

/// An organization of that name with a document, so that it has a container of its own.
async fn create_with_document(server: &Server, name: &str) {
    let new = new_organization(name, &email_for(name));
    let made = server.client().post("/org/create", &new).await.created();
    let signed_in = server.client().post("/admin/login", &new).await.ok();
    let owner = server.client().with_token(signed_in["access_token"].as_str().unwrap());
    let documents =
        format!("/v1/organizations/{}/collections/documents/documents", made["id"].as_str().unwrap());
    owner.post(&documents, &json!({ "_id": 1 })).await.created();
}

#[tokio::test(flavor = "multi_thread")]
async fn second_backup_copies_only_what_changed() {
    let test_env = installation(Engine::Embedded, &["Acme", "Beta", "Gamma"]).await;
    let backups = Backups::new();
    // Changes of the last moment are copied once more, since no time tells them apart.
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    backups.back_up(&test_env).await;
    let first = backups.objects().len();
    backups.back_up(&test_env).await;
    assert_eq!(backups.objects().len(), first, "nothing has changed");
    let server = start(&test_env);
    create_with_document(&server, "New").await;
    backups.back_up(&test_env).await;
    server.stop().await;
    assert_eq!(backups.objects().len(), first + 2, "the records, and the new container");
    let added: Vec<_> = backups.list().await.iter().map(|backup| backup["added"].as_u64().unwrap()).collect();
    assert!(added[0] > added[2] && added[1] == 0 && added[2] > 0, "{added:?}");

    // Retention: the oldest go, and what nobody else needs.
    backups.run(&test_env, &["backup", "DIR", "--unencrypted", "--keep=1"]).await.done();
    assert_eq!(backups.list().await.len(), 1);
    let said = backups.verify().done();
    assert!(said.contains("1 backups with") && said.contains("as they were written"), "{said}");
    backups.restore_and_check(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_backups_go_after_days_and_newest_stays() {
    let test_env = installation(Engine::Embedded, &["Acme"]).await;
    let backups = Backups::new();
    let manifests = backups.directory().join("backups");
    let ids = || {
        let names = fs::read_dir(&manifests).unwrap().map(|entry| entry.unwrap().file_name().into_string());
        let mut names: Vec<String> = names.map(Result::unwrap).collect();
        names.sort();
        names
    };
    for old in ["20200101T000000Z", "20200102T000000Z"] {
        backups.back_up(&test_env).await;
        let newest = ids().pop().unwrap();
        // As if it had been made then.
        fs::rename(manifests.join(newest), manifests.join(format!("{old}.jsonl"))).unwrap();
    }
    let both = ["backup", "DIR", "--unencrypted", "--keep=2", "--keep-days=30"];
    let said = backups.run(&test_env, &both).await.done();
    assert!(said.contains("Removed 1 older backups"), "{said}");
    assert_eq!(ids().len(), 2);
    assert_eq!(ids()[0], "20200102T000000Z.jsonl", "--keep keeps it");
    let said = backups.run(&test_env, &["backup", "DIR", "--unencrypted", "--keep-days=30"]).await.done();
    assert!(said.contains("Removed 1 older backups"), "{said}");
    assert!(ids().len() == 2 && *ids()[0] > *"2021", "{:?}", ids());
    let refused = backups.run(&test_env, &["backup", "DIR", "--keep-days=0"]).await.refused();
    assert!(refused.contains("must be a number from 1"), "{refused}");
    assert!(backups.verify().is_success);
}

/// The disk of the backups is full at several moments: no backup is taken for complete, those before stay good, and the
/// next one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn backup_on_full_disk_leaves_no_half_backup() {
    let disk = Disk::of("16m");
    let test_env = installation(Engine::Embedded, &["Acme", "Beta"]).await;
    let backups = Backups::new();
    let place = disk.path().join("backups");
    fs::create_dir(&place).unwrap();
    std::os::unix::fs::symlink(place, backups.directory()).unwrap();
    let back_up = ["backup", "DIR", "--unencrypted"];
    for (left, is_first) in [(0, true), (96 << 10, true), (220 << 10, true), (0, false), (96 << 10, false)] {
        if !is_first {
            let server = start(&test_env);
            create_with_document(&server, &format!("More {left}")).await;
            server.stop().await;
        }
        disk.fill_but(left);
        let said = backups.run(&test_env, &back_up).await.refused();
        assert!(said.contains("cannot be written") && said.contains("Make room"), "{left}: {said}");
        let target = TestEnv::on(Engine::Embedded);
        let restored = backups.run(&target, &["restore", "DIR"]).await;
        assert_eq!(restored.is_success, !is_first, "{left}: {restored:?}");
        disk.make_room();
        if !is_first || left == 220 << 10 {
            backups.run(&test_env, &back_up).await.done();
            assert!(backups.verify().is_success);
        }
    }
    backups.restore_and_check(4).await;
}

impl Backups {
    /// Restores the newest backup, and counts its organizations.
    pub(super) async fn restore_and_check(&self, organizations: usize) {
        let target = TestEnv::on(Engine::Embedded);
        let said = self.run(&target, &["restore", "DIR", "--json"]).await.done();
        let report: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(report["organizations"].as_array().unwrap().len(), organizations, "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flipped_byte_is_named_and_restore_leaves_nothing() {
    let test_env = installation(Engine::Embedded, &["Acme"]).await;
    let backups = Backups::new();
    backups.back_up(&test_env).await;
    let manifest = fs::read_dir(backups.directory().join("backups")).unwrap().next().unwrap().unwrap().path();
    let lines = fs::read_to_string(&manifest).unwrap();
    let container = lines.lines().find(|line| line.contains("containers/")).unwrap();
    let container: serde_json::Value = serde_json::from_str(container).unwrap();
    let (path, object) = (container["path"].as_str().unwrap(), container["object"].as_str().unwrap());
    let object = backups.directory().join("objects").join(&object[..2]).join(object);
    flip_byte(&object);
    let verified = backups.verify();
    assert!(!verified.is_success && verified.stdout.contains(path), "{verified:?}");
    for arguments in [&["restore", "DIR", "--rehearse"][..], &["restore", "DIR"]] {
        let target = TestEnv::on(Engine::Embedded);
        let said = backups.run(&target, arguments).await.refused();
        assert!(said.contains(path) && said.contains("is damaged"), "{said}");
        assert!(!target.data_dir().join("control.db").exists());
    }
    flip_byte(&object);
    assert!(backups.verify().is_success);
    flip_byte(&manifest);
    let verified = backups.verify();
    assert!(!verified.is_success && verified.stdout.contains("manifest"), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_restore_is_no_data_directory_and_goes_on() {
    let test_env = installation(Engine::Embedded, &["Acme"]).await;
    let backups = Backups::new();
    backups.back_up(&test_env).await;
    // As a kill leaves it: some files, and no mark that all are there.
    let target = TestEnv::on(Engine::Embedded);
    let staging = target.data_dir().join("restoring");
    fs::create_dir_all(staging.join("containers/00")).unwrap();
    fs::write(staging.join("control.db"), "half").unwrap();
    let said = Launch::on(&target).refused().await;
    assert!(said.contains("A restore into") && said.contains("was interrupted"), "{said}");
    backups.run(&target, &["restore", "DIR"]).await.done();
    assert!(!staging.exists());

    // Everything was there, and the last move was cut off.
    let moved = TestEnv::on(Engine::Embedded);
    let staging = moved.data_dir().join("restoring");
    fs::create_dir_all(moved.data_dir()).unwrap();
    fs::rename(target.data_dir(), &staging).unwrap();
    fs::rename(staging.join("containers"), moved.data_dir().join("containers")).unwrap();
    fs::write(staging.join("complete"), "").unwrap();
    assert!(Launch::on(&moved).refused().await.contains("was interrupted"));
    backups.run(&moved, &["restore", "DIR"]).await.done();
    start(&moved).stop().await;

    let said = backups.run(&moved, &["restore", "DIR"]).await.refused();
    assert!(said.contains("has data already"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_refuses_places_it_cannot_use() {
    let test_env = installation(Engine::Embedded, &["Acme"]).await;
    let backups = Backups::new();
    let said = backups.run(&test_env, &["backup", "DIR"]).await.refused();
    assert!(
        said.contains("jwt-secret") && said.contains("operator.key") && said.contains("--unencrypted"),
        "{said}"
    );
    assert!(!backups.directory().exists(), "nothing is made");
    backups.run(&test_env, &["backup", "DIR", "--without-keys"]).await.done();

    let foreign = backups.home.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("letter.txt"), "Dear").unwrap();
    let said =
        backups.run(&test_env, &["backup", foreign.to_str().unwrap(), "--without-keys"]).await.refused();
    assert!(said.contains("has no backups of Tenantry"), "{said}");
    let inside = test_env.data_dir().join("backups/daily");
    let said =
        backups.run(&test_env, &["backup", inside.to_str().unwrap(), "--without-keys"]).await.refused();
    assert!(said.contains("is inside the data directory") && !inside.exists(), "{said}");
    let stream = backups.file("tenantry.backup", "a stream");
    for command in [&["restore"][..], &["backup", "list"], &["backup", "verify"]] {
        let arguments = [command, &[stream.to_str().unwrap()]].concat();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tenantry"));
        command.args(arguments).env_clear().env("DATA_DIR", test_env.data_dir());
        let said = Printed::of(&command.output().unwrap()).refused();
        assert!(said.contains("`tenantry restore - < ") && said.contains("tenantry.backup`"), "{said}");
    }
    let missing = TestEnv::on(Engine::Embedded);
    let said = backups.run(&missing, &["backup", "DIR", "--without-keys"]).await.refused();
    assert!(said.contains("has no data yet"), "{said}");
    assert!(!missing.data_dir().exists());
    let full: PathBuf = "/dev/full".into();
    let mut command = backups.command(&test_env, &["backup", "-", "--without-keys"]);
    command.stdout(fs::OpenOptions::new().write(true).open(full).unwrap());
    let said = Printed::of(&command.output().unwrap()).refused();
    assert!(said.contains("cannot be written") && said.contains("Make room"), "{said}");
}
