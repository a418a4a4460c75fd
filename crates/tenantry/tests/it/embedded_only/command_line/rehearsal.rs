//! `tenantry doctor --rehearse-upgrade`.

use super::Shell;
use super::doctor::snapshot;
use crate::support::data_set::DataSet;
use crate::support::fixtures::new_organization;
use crate::support::process::Launch;
use std::fs;
use std::path::{Path, PathBuf};

/// A shell for that data directory, with a directory for the copy.
fn shell_on(data_dir: &Path) -> (Shell, PathBuf) {
    let shell = Shell::new().with("PORT", "0").with("DATA_DIR", data_dir.to_str().unwrap());
    let copies = shell.home.path().join("copies");
    fs::create_dir(&copies).unwrap();
    (shell, copies)
}

fn containers(data_dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = snapshot(&data_dir.join("containers")).into_keys().collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "db"));
    files
}

#[test]
fn rehearsal_upgrades_a_copy_and_changes_nothing() {
    let data = DataSet::open();
    let data_dir = data.test_env().data_dir();
    let (shell, copies) = shell_on(&data_dir);
    let arguments = ["doctor", "--rehearse-upgrade", "--rehearsal-dir", copies.to_str().unwrap()];
    let before = snapshot(&data_dir);
    let text = shell.run(&arguments).stdout;
    assert!(text.contains("control.db: upgraded from version 1 to "), "{text}");
    assert!(text.contains("step to version 5: the audit trail"), "{text}");
    let (all, found) = (containers(&data_dir).len(), "containers are sound");
    assert!(text.contains(&format!("{all} {found}, {all} of them after an upgrade")), "{text}");
    assert_eq!(snapshot(&data_dir), before);
    assert_eq!(fs::read_dir(&copies).unwrap().count(), 0, "a copy is left");

    // A container that an upgrade would fail on is found before that.
    let broken = &containers(&data_dir)[0];
    let mut bytes = fs::read(broken).unwrap();
    let middle = bytes.len() / 2;
    bytes[4096..middle.max(8192)].fill(0x5a);
    fs::write(broken, bytes).unwrap();
    let run = shell.run(&arguments);
    assert_eq!(run.code, Some(1), "{run:?}");
    let line =
        run.stdout.lines().find(|line| line.starts_with("FAIL") && line.contains("rehearsal")).unwrap();
    assert!(line.contains(broken.to_str().unwrap()) && line.contains("cannot be upgraded"), "{line}");
    assert!(run.stdout.contains(&format!("{} {found}", all - 1)), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn rehearsal_runs_beside_the_service() {
    let data = DataSet::open();
    let server = Launch::on(data.test_env()).start();
    let data_dir = data.test_env().data_dir();
    let (shell, copies) = shell_on(&data_dir);
    let arguments = ["doctor", "--rehearse-upgrade", "--rehearsal-dir", copies.to_str().unwrap()];
    let text = shell.run(&arguments).stdout;
    assert!(text.contains("the newest, and sound"), "{text}");
    assert!(text.contains(&format!("{} containers are sound", containers(&data_dir).len())), "{text}");

    // What a crash leaves is read as it is.
    server.operator().post("/org/create", &new_organization("New", "owner@new.example")).await.created();
    server.kill().await;
    let before = snapshot(&data_dir);
    assert!(before.keys().any(|file| file.to_str().unwrap().contains(".db-shm")), "{:?}", before.keys());
    let text = shell.run(&arguments).stdout;
    assert!(text.contains(&format!("{} containers are sound", containers(&data_dir).len())), "{text}");
    assert_eq!(snapshot(&data_dir), before);
}

#[test]
fn rehearsal_without_data_or_room_says_so() {
    let shell = Shell::new().with("PORT", "0");
    let text = shell.run(&["doctor", "--rehearse-upgrade"]).done();
    assert!(text.contains("there is nothing to upgrade yet"), "{text}");
    let run = shell.run(&["doctor", "--rehearse-upgrade", "--rehearsal-dir", "/nonexistent"]);
    assert!(run.stdout.contains("choose another directory with --rehearsal-dir"), "{run:?}");
    assert!(shell.run(&["doctor", "--rehearsal-dir", "/tmp"]).misused().contains("--rehearse-upgrade"));
}
