//! The files of containers.

use crate::given::{id, new_container, open, organization};
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tenantry_domain::Result;
use tenantry_domain::error::ErrorCode;
use tenantry_domain::organization::{Organization, State};
use tenantry_store::{CleanupReport, container_file};

/// Every file below the directory of containers, as paths relative to it.
fn files(data_dir: &Path) -> Vec<String> {
    let containers = data_dir.join("containers");
    let mut files = Vec::new();
    for shard in fs::read_dir(&containers).unwrap() {
        for file in fs::read_dir(shard.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            files.push(path.strip_prefix(&containers).unwrap().display().to_string());
        }
    }
    files.sort();
    files
}

/// The path of a file beside the container of that organization, in a directory that is there.
fn beside(data_dir: &Path, number: u8, suffix: &str) -> PathBuf {
    let container = container_file(data_dir, id(number));
    fs::create_dir_all(container.parent().unwrap()).unwrap();
    container.with_file_name(format!("{}{suffix}", id(number)))
}

#[tokio::test]
async fn container_is_a_database_file_named_by_id() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let organization = organization(&opened.store, 0xab, State::Active).await;
    let name = "abababababababababababab";
    assert_eq!(files(directory.path()), [format!("ab/{name}.db")]);

    let container = Connection::open(container_file(directory.path(), id(0xab))).unwrap();
    let text = |sql: &str| container.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(text("PRAGMA integrity_check"), "ok");
    assert_eq!(text("PRAGMA journal_mode"), "wal");
    let metadata = |name: &str| text(&format!("SELECT value FROM metadata WHERE name = '{name}'"));
    assert_eq!(metadata("organization_id"), name);
    assert_eq!(metadata("created_at"), "1970-01-01T00:00:00Z");
    assert_eq!(metadata("schema_version"), "1.0");
    container.execute_batch("INSERT INTO collections (id, name) VALUES (1, 'notes')").unwrap();
    container.execute_batch("INSERT INTO documents VALUES (1, 1, x'61', 1, x'0500000000')").unwrap();
    container.close().unwrap();
    assert_eq!(opened.store.containers.count_documents(&organization).await.unwrap(), 1);
    assert_eq!(files(directory.path()), [format!("ab/{name}.db")], "a look leaves nothing behind");
    opened.close().await;
}

#[tokio::test]
async fn container_files_left_unfinished_block_nothing() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    // Cut off while it was written, and after it got its name but before the other one went.
    fs::write(beside(directory.path(), 1, ".7.tmp"), "half").unwrap();
    let organization = organization(&opened.store, 1, State::Active).await;
    fs::copy(container_file(directory.path(), id(1)), beside(directory.path(), 1, ".7.tmp")).unwrap();
    opened.store.containers.create_container(&new_container(1)).await.unwrap();
    assert_eq!(opened.store.containers.count_documents(&organization).await.unwrap(), 0);
    opened.close().await;
}

#[tokio::test]
async fn container_file_of_another_organization_is_never_used() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    organization(&opened.store, 1, State::Active).await;
    let contents: [Vec<u8>; 3] =
        [fs::read(container_file(directory.path(), id(1))).unwrap(), b"not a database".to_vec(), Vec::new()];
    for content in contents {
        let file = beside(directory.path(), 2, ".db");
        fs::write(&file, &content).unwrap();
        let created = opened.store.containers.create_container(&new_container(2)).await;
        assert_eq!(created.unwrap_err().code(), ErrorCode::StoreUnavailable);
        assert_eq!(fs::read(&file).unwrap(), content, "and it is not touched");
    }
    opened.close().await;
}

#[tokio::test]
async fn container_drop_deletes_all_its_files() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let organization = organization(&opened.store, 1, State::Purging).await;
    for suffix in [".db-wal", ".db-shm", ".3.tmp"] {
        fs::write(beside(directory.path(), 1, suffix), "").unwrap();
    }
    opened.store.containers.drop_container(&organization).await.unwrap();
    assert_eq!(files(directory.path()), [""; 0]);
    opened.close().await;
}

/// A start makes none of the 256 directories.
#[tokio::test]
async fn container_directory_never_used_counts_as_empty() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let organization = organization(&opened.store, 1, State::Purging).await;
    let elsewhere = Organization { id: id(2), ..organization };
    opened.store.containers.drop_container(&elsewhere).await.unwrap();
    assert_eq!(opened.tidy().await.unwrap(), CleanupReport::default());
    let lost = opened.store.containers.count_documents(&elsewhere).await;
    assert_eq!(
        lost.unwrap_err().code(),
        ErrorCode::StoreUnavailable,
        "a container is never empty by absence"
    );
    let containers = directory.path().join("containers");
    let mut made: Vec<_> =
        fs::read_dir(containers).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    made.sort();
    assert_eq!(made, ["01", "quarantine"]);
    opened.close().await;
}

/// The disk that holds the containers is no longer mounted.
#[tokio::test]
async fn container_directory_that_is_unmounted_is_unavailable() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let organization = organization(&opened.store, 1, State::Purging).await;
    let containers = directory.path().join("containers");
    fs::rename(&containers, directory.path().join("elsewhere")).unwrap();
    fs::create_dir(&containers).unwrap();
    let unavailable = |refused: Result<_>| refused.unwrap_err().code() == ErrorCode::StoreUnavailable;
    assert!(unavailable(opened.store.containers.drop_container(&organization).await));
    assert!(unavailable(opened.store.containers.create_container(&new_container(2)).await.map(|_| ())));
    assert!(opened.tidy().await.is_err());
    assert_eq!(fs::read_dir(&containers).unwrap().count(), 0);
    opened.close().await;
}

#[tokio::test]
async fn cleanup_deletes_unfinished_and_quarantines_unknown_files() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let states = [State::Provisioning, State::Active, State::Deleted, State::Purging];
    for (number, state) in (1..).zip(states) {
        organization(&opened.store, number, state).await;
    }
    opened.store.containers.create_container(&new_container(9)).await.unwrap();
    fs::write(beside(directory.path(), 9, ".db-wal"), "log").unwrap();
    fs::write(beside(directory.path(), 1, ".3.tmp"), "half").unwrap();
    fs::write(beside(directory.path(), 8, ".0.tmp"), "half").unwrap();
    let theirs = beside(directory.path(), 1, ".db").with_file_name("notes.txt");
    fs::write(&theirs, "somebody's own").unwrap();

    assert_eq!(opened.tidy().await.unwrap(), CleanupReport { removed: 2, quarantined: 2 });
    let unknown = id(9);
    let expected = [
        format!("01/{}.db", id(1)),
        "01/notes.txt".to_owned(),
        format!("02/{}.db", id(2)),
        format!("03/{}.db", id(3)),
        format!("04/{}.db", id(4)),
        format!("quarantine/{unknown}.db"),
        format!("quarantine/{unknown}.db-wal"),
    ];
    assert_eq!(files(directory.path()), expected);
    assert_eq!(
        opened.tidy().await.unwrap(),
        CleanupReport::default(),
        "a second time there is nothing to do"
    );

    // One that is in quarantine is not replaced by another of its name.
    let before = fs::read(directory.path().join("containers").join(&expected[5])).unwrap();
    fs::write(beside(directory.path(), 9, ".db"), "another").unwrap();
    assert_eq!(opened.tidy().await.unwrap(), CleanupReport::default());
    assert_eq!(fs::read(directory.path().join("containers").join(&expected[5])).unwrap(), before);
    assert_eq!(fs::read(beside(directory.path(), 9, ".db")).unwrap(), b"another");
    opened.close().await;
}
