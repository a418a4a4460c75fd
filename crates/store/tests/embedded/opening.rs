//! Opening a data directory, in any condition.

use crate::given::{Disk, id, open, organization, refused};
use jiff::Timestamp;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tenantry_domain::error::ErrorCode;
use tenantry_domain::idempotency::{IdempotencyClaim, IdempotencyKey, IdempotencyRecord};
use tenantry_domain::organization::State;
use tenantry_store::{OpenError, container_file};
use tenantry_store_sqlite::OpenError as OperationRefusal;

fn control(directory: &Path) -> PathBuf {
    directory.join("control.db")
}

#[tokio::test]
async fn data_directory_is_refused_while_another_process_has_it() {
    let directory = TempDir::new().unwrap();
    let first = open(directory.path()).await.unwrap();
    for _ in 0..2 {
        let error = refused(directory.path()).await;
        assert!(matches!(&error, OpenError::Embedded(OperationRefusal::InUse { .. })), "{error:?}");
        assert!(error.to_string().contains(&directory.path().display().to_string()), "{error}");
    }
    first.store.installation.put_value("name", b"value").await.unwrap();
    first.close().await;
    let second = open(directory.path()).await.unwrap();
    assert_eq!(second.store.installation.get_value("name").await.unwrap().unwrap(), b"value");
    second.close().await;
}

#[tokio::test]
async fn store_that_is_closed_is_unavailable() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let store = opened.store.clone();
    opened.close().await;
    let answers = [
        store.installation.check_writable().await.unwrap_err(),
        store.installation.get_value("name").await.unwrap_err(),
        store.organizations.get_organization(id(1)).await.unwrap_err(),
        store.organizations.list_organizations(&Default::default(), 1).await.unwrap_err(),
    ];
    for error in answers {
        assert_eq!(error.code(), ErrorCode::StoreUnavailable, "{error}");
    }
}

#[tokio::test]
async fn data_directory_of_newer_version_is_refused_unchanged() {
    let directory = TempDir::new().unwrap();
    open(directory.path()).await.unwrap().close().await;
    let connection = Connection::open(control(directory.path())).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    connection.close().unwrap();
    let before = fs::read(control(directory.path())).unwrap();
    let error = refused(directory.path()).await;
    assert!(
        matches!(error, OpenError::Embedded(OperationRefusal::NewerSchema { found: 99, known: 1.., .. })),
        "{error:?}"
    );
    assert_eq!(fs::read(control(directory.path())).unwrap(), before);
}

#[tokio::test]
async fn database_of_another_program_is_refused_unchanged() {
    let directory = TempDir::new().unwrap();
    let connection = Connection::open(control(directory.path())).unwrap();
    connection.execute_batch("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)").unwrap();
    connection.close().unwrap();
    let before = fs::read(control(directory.path())).unwrap();
    let error = refused(directory.path()).await;
    assert!(matches!(error, OpenError::Embedded(OperationRefusal::Foreign { .. })), "{error:?}");
    assert_eq!(fs::read(control(directory.path())).unwrap(), before);
}

#[tokio::test]
async fn database_that_is_damaged_is_refused() {
    let directory = TempDir::new().unwrap();
    open(directory.path()).await.unwrap().close().await;
    let good = fs::read(control(directory.path())).unwrap();
    let damages = [vec![b'x'; 8192], [&good[..100], &vec![0xff; good.len() - 100]].concat()];
    for damaged in damages {
        fs::write(control(directory.path()), damaged).unwrap();
        let error = refused(directory.path()).await;
        assert!(matches!(error, OpenError::Embedded(OperationRefusal::Corrupt { .. })), "{error:?}");
    }
    fs::write(control(directory.path()), good).unwrap();
    open(directory.path()).await.unwrap().close().await;
}

#[tokio::test]
async fn data_directory_that_is_a_file_is_refused() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = refused(&path).await;
        assert!(matches!(error, OpenError::Embedded(OperationRefusal::NotWritable { .. })), "{error:?}");
    }
}

#[tokio::test]
async fn data_directory_on_read_only_disk_is_refused() {
    let Some(disk) = Disk::mount("size=8m") else { return };
    let directory = disk.path().join("data");
    open(&directory).await.unwrap().close().await;
    disk.remount("ro");
    for path in [directory.clone(), disk.path().join("new")] {
        let error = refused(&path).await;
        assert!(matches!(error, OpenError::Embedded(OperationRefusal::NotWritable { .. })), "{error:?}");
    }
    disk.remount("rw");
    open(&directory).await.unwrap().close().await;
}

#[tokio::test]
async fn data_files_are_readable_only_by_owner() {
    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("deep").join("data");
    let opened = open(&directory).await.unwrap();
    organization(&opened.store, 1, State::Active).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for name in ["control.db", "control.db-wal", "control.db-shm", "tenantry.lock"] {
        assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
    }
    let container = container_file(&directory, id(1));
    assert_eq!(mode(&container), 0o600);
    assert_eq!(mode(container.parent().unwrap()), 0o700);
    opened.close().await;
}

#[tokio::test]
async fn leases_of_earlier_process_end_with_it() {
    let directory = TempDir::new().unwrap();
    let request = IdempotencyRecord {
        key: IdempotencyKey([1; 32]),
        fingerprint: [2; 32],
        holder: None,
        organization_id: id(3),
        lease_until: Timestamp::MAX,
        expires_at: Timestamp::MAX,
        answer: None,
    };
    let first = open(directory.path()).await.unwrap();
    for claim in [IdempotencyClaim::Granted(id(3)), IdempotencyClaim::InProgress] {
        let claimed = first.store.idempotency_keys.claim_key(&request, Timestamp::UNIX_EPOCH).await;
        assert_eq!(claimed.unwrap(), claim);
    }
    first.close().await;
    let second = open(directory.path()).await.unwrap();
    let again = IdempotencyRecord { organization_id: id(4), ..request };
    let claimed = second.store.idempotency_keys.claim_key(&again, Timestamp::UNIX_EPOCH).await;
    assert_eq!(claimed.unwrap(), IdempotencyClaim::Granted(id(3)));
    second.close().await;
}

/// The files, copied at any moment, are what a crash at that moment leaves.
#[tokio::test]
async fn acknowledged_writes_survive_crash() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let writers: Vec<_> = (0..8_u8)
        .map(|writer| {
            let store = opened.store.clone();
            tokio::spawn(async move {
                for round in 0..25_u8 {
                    let name = format!("{writer} {round}");
                    store.installation.put_value(&name, &[writer, round]).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let organization = organization(&opened.store, 1, State::Active).await;

    let after_crash = TempDir::new().unwrap();
    let container = container_file(after_crash.path(), id(1));
    fs::create_dir_all(container.parent().unwrap()).unwrap();
    fs::copy(container_file(directory.path(), id(1)), container).unwrap();
    for name in ["control.db", "control.db-wal"] {
        fs::copy(directory.path().join(name), after_crash.path().join(name)).unwrap();
    }
    assert_ne!(fs::metadata(after_crash.path().join("control.db-wal")).unwrap().len(), 0);

    let recovered = open(after_crash.path()).await.unwrap();
    for writer in 0..8_u8 {
        for round in 0..25_u8 {
            let value = recovered.store.installation.get_value(&format!("{writer} {round}")).await.unwrap();
            assert_eq!(value.unwrap(), [writer, round]);
        }
    }
    assert!(recovered.store.organizations.get_organization(id(1)).await.unwrap().is_some());
    assert_eq!(recovered.store.containers.count_documents(&organization).await.unwrap(), 0);
    recovered.close().await;
    opened.close().await;
}
