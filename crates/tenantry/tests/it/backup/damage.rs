//! Damage: of what a backup has, of its manifest, and of what is backed up.

use super::directory::installation;
use super::{Backups, flip_byte, start};
use crate::support::fixtures::{PASSWORD, credentials, email_for};
use crate::support::process::Launch;
use crate::support::store::with_store;
use crate::support::test_env::{Engine, TestEnv};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const BACK_UP: [&str; 3] = ["backup", "DIR", "--unencrypted"];

impl Backups {
    /// The manifests, the oldest first.
    fn manifests(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory().join("backups")).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        // Not by their whole names: `-` comes before `.`.
        files.sort_by_key(|file| file.file_stem().map(std::ffi::OsStr::to_owned));
        files
    }

    /// The object of a file whose path begins so, in the newest backup.
    fn object_of(&self, path: &str) -> PathBuf {
        let lines = fs::read_to_string(self.manifests().pop().unwrap()).unwrap();
        let mut files = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let file =
            files.find(|file| file["path"].as_str().is_some_and(|found| found.starts_with(path))).unwrap();
        let object = file["object"].as_str().unwrap();
        self.directory().join("objects").join(&object[..2]).join(object)
    }
}

/// So long that a later backup knows what has not changed since.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(150)).await;
}

/// The file of the first container below `directory`, and whose it is.
fn container(directory: &Path) -> (PathBuf, String) {
    let shards = fs::read_dir(directory.join("containers")).unwrap().map(|shard| shard.unwrap().path());
    let files = shards.flat_map(|shard| fs::read_dir(shard).unwrap()).map(|file| file.unwrap().path());
    let file = files.into_iter().find(|file| file.extension().is_some_and(|ending| ending == "db")).unwrap();
    let id = file.file_stem().unwrap().to_str().unwrap().to_owned();
    (file, id)
}

/// Overwrites the pages of a database, but for the first.
fn damage(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    bytes[4096..4096 * 4].fill(0x5a);
    fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_objects_are_set_aside_and_copied_again() {
    let test_env = installation(Engine::Embedded, &["Acme"]).await;
    let backups = Backups::new();
    settle().await;
    backups.back_up(&test_env).await;
    let (records, data) = (backups.object_of("control.db"), backups.object_of("containers/"));
    flip_byte(&records);
    flip_byte(&data);
    // What is read anyway is written again; what has not changed is not even read.
    backups.back_up(&test_env).await;
    let verified = backups.verify();
    assert!(!verified.is_success, "{verified:?}");
    assert!(
        !verified.stdout.contains("control.db") && verified.stdout.contains("containers/"),
        "{verified:?}"
    );
    assert!(verified.stdout.contains("--repair`"), "{verified:?}");

    let repaired = backups.run_on_directory(&["backup", "verify", "DIR", "--repair"]);
    assert!(!repaired.is_success && repaired.stdout.contains("1 files"), "{repaired:?}");
    assert!(!data.exists() && backups.directory().join("damaged").join(data.file_name().unwrap()).exists());
    backups.back_up(&test_env).await;
    assert!(backups.verify().is_success);
    backups.run(&TestEnv::on(Engine::Embedded), &["restore", "DIR"]).await.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_manifest_is_marked_and_stops_nothing_else() {
    let test_env = installation(Engine::Embedded, &["Acme"]).await;
    let backups = Backups::new();
    for _ in 0..3 {
        backups.back_up(&test_env).await;
    }
    let manifests = backups.manifests();
    flip_byte(&manifests[0]);
    flip_byte(&manifests[2]);
    let listed = backups.list().await;
    let is_damaged: Vec<_> = listed.iter().map(|backup| backup["damaged"].is_string()).collect();
    assert_eq!(is_damaged, [true, false, true], "{listed:?}");
    let said = backups.run_on_directory(&["backup", "list", "DIR"]).done();
    assert!(said.matches("unusable").count() == 2 && said.matches("not encrypted").count() == 1, "{said}");

    let made = backups.run(&test_env, &[&BACK_UP[..], &["--keep=1"]].concat()).await;
    assert!(made.is_success && made.stderr.matches("is damaged").count() == 2, "{made:?}");
    // Those that are whole went, as they were asked to.
    assert_eq!(backups.list().await.len(), 3);
    let made = backups.run(&test_env, &["backup", "DIR", "--without-keys"]).await;
    assert!(made.is_success, "{made:?}");
    backups.run(&TestEnv::on(Engine::Embedded), &["restore", "DIR"]).await.done();

    // Whether this one was encrypted is not known.
    fs::write(backups.manifests().pop().unwrap(), "").unwrap();
    let said = backups.run(&test_env, &["backup", "DIR", "--without-keys"]).await.refused();
    assert!(said.contains("It is unknown whom to encrypt to"), "{said}");
    let repaired = backups.run_on_directory(&["backup", "verify", "DIR", "--repair"]);
    assert!(repaired.stdout.contains("3 files"), "{repaired:?}");
    backups.run(&test_env, &["backup", "DIR", "--without-keys"]).await.done();
    assert!(backups.verify().is_success);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_container_is_named_and_last_good_copy_kept() {
    let test_env = installation(Engine::Embedded, &["Acme", "Beta"]).await;
    let backups = Backups::new();
    backups.back_up(&test_env).await;
    let (file, id) = container(&test_env.data_dir());
    damage(&file);
    for _ in 0..2 {
        let made = backups.run(&test_env, &[&BACK_UP[..], &["--keep=1"]].concat()).await;
        assert!(!made.is_success && made.stdout.contains("Removed 1 older"), "{made:?}");
        assert!(made.stderr.contains(&id) && made.stderr.contains("last good copy"), "{made:?}");
    }
    let report = backups.run(&test_env, &["doctor", "--port=0", "--containers"]).await;
    assert!(!report.is_success && report.stdout.contains(&id), "{report:?}");
    assert!(backups.verify().is_success);
    backups.restore_and_check(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_container_without_good_copy_is_left_out() {
    let test_env = installation(Engine::Embedded, &["Acme", "Beta"]).await;
    let backups = Backups::new();
    let (file, id) = container(&test_env.data_dir());
    damage(&file);
    let made = backups.run(&test_env, &BACK_UP).await;
    assert!(!made.is_success && made.stderr.contains("has the damaged file"), "{made:?}");

    let target = TestEnv::on(Engine::Embedded);
    let said = backups.run(&target, &["restore", "DIR", "--rehearse"]).await.refused();
    assert!(said.contains(&format!("--without {id}")), "{said}");
    let unknown = ["restore", "DIR", "--without", &id, "--without", "674f1c2e9b1d4a0c5e8f7a6b"];
    let said = backups.run(&TestEnv::on(Engine::Embedded), &unknown).await.refused();
    assert!(said.contains("has no organization 674f1c2e9b1d4a0c5e8f7a6b"), "{said}");
    let said = backups.run(&target, &["restore", "DIR", "--without", &id]).await.done();
    assert!(said.contains(&format!("{id}  left out")), "{said}");

    let server = start(&target);
    let mut found = Vec::new();
    for name in ["Acme", "Beta"] {
        let signed_in =
            server.client().post("/admin/login", &credentials(&email_for(name), PASSWORD)).await.ok();
        let owner = server.client().with_token(signed_in["access_token"].as_str().unwrap());
        let documents = "/v1/organizations/{}/collections/documents/documents";
        let documents = documents.replace("{}", &name.to_lowercase());
        found.push(owner.get(&documents).await.ok()["items"].as_array().unwrap().len());
        owner.post(&documents, &json!({ "_id": 2 })).await.created();
    }
    found.sort_unstable();
    assert_eq!(found, [0, 1]);
    server.stop().await;
    let report = backups.run(&target, &["doctor", "--port=0", "--containers"]).await;
    assert!(report.stdout.contains("every page of 2 files is sound"), "{report:?}");
}

/// All that are damaged are named at once, here because their objects are.
#[tokio::test(flavor = "multi_thread")]
async fn rehearsal_names_all_damaged_containers() {
    let test_env = installation(Engine::Embedded, &["Acme", "Beta"]).await;
    let backups = Backups::new();
    backups.back_up(&test_env).await;
    let lines = fs::read_to_string(backups.manifests().pop().unwrap()).unwrap();
    let files = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ids: Vec<_> = files.filter_map(|file| Some(file["organization"].as_str()?.to_owned())).collect();
    assert_eq!(ids.len(), 2);
    for id in &ids {
        flip_byte(&backups.object_of(
            &tenantry_store::container_file(Path::new(""), id.parse().unwrap()).display().to_string(),
        ));
    }
    let said = backups.run(&TestEnv::on(Engine::Embedded), &["restore", "DIR", "--rehearse"]).await.refused();
    for id in &ids {
        assert!(said.contains(&format!("--without {id}")), "{said}");
    }
}

/// What a kill leaves in a database of MongoDB; on the embedded engine it is a directory.
#[tokio::test(flavor = "multi_thread")]
async fn interrupted_copy_names_the_command_that_finishes_it() {
    for (mark, command) in [("restore:hash", "tenantry restore"), ("hash", "tenantry transfer")] {
        let test_env = TestEnv::new();
        let mark_it = async |store: tenantry_domain::store::Store| {
            store.installation.put_value(tenantry_store::TRANSFER_MARK, mark.as_bytes()).await.unwrap();
        };
        with_store(&test_env, mark_it).await;
        let said = Launch::on(&test_env).refused().await;
        assert!(said.contains(&format!("`{command}`")), "{said}");
    }
}
