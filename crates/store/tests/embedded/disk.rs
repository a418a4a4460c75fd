//! Disks that are full, and disks that turn read-only, while the service runs.

use crate::given::{Disk, new_container, open, organization};
use std::fs;
use std::io::Write;
use tenantry_domain::error::ErrorCode;
use tenantry_domain::organization::State;
use tenantry_domain::store::Store;

/// Takes all the room that is left.
fn fill(disk: &Disk) {
    let mut ballast = fs::File::create(disk.path().join("ballast")).unwrap();
    for chunk in [1 << 16, 1 << 10, 1] {
        while ballast.write_all(&vec![0; chunk]).is_ok() {}
    }
}

async fn is_writable(store: &Store) -> bool {
    match store.installation.check_writable().await {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.code(), ErrorCode::StoreUnavailable, "{error}");
            false
        }
    }
}

#[tokio::test]
async fn writes_on_full_disk_fail_until_there_is_room() {
    let Some(disk) = Disk::mount("size=4m") else { return };
    let directory = disk.path().join("data");
    let opened = open(&directory).await.unwrap();
    let store = &opened.store;
    organization(store, 1, State::Active).await;
    store.installation.put_value("before", b"1").await.unwrap();

    for round in 0..3_u8 {
        fill(&disk);
        assert!(!is_writable(store).await, "round {round}");
        let written = store.installation.put_value("during", &[0; 100_000]).await;
        assert_eq!(written.unwrap_err().code(), ErrorCode::StoreUnavailable);
        let created = store.containers.create_container(&new_container(100 + round)).await;
        assert_eq!(created.unwrap_err().code(), ErrorCode::StoreUnavailable);
        assert_eq!(store.installation.get_value("before").await.unwrap().unwrap(), b"1", "reads go on");
        assert_eq!(store.installation.get_value("during").await.unwrap(), None);

        fs::remove_file(disk.path().join("ballast")).unwrap();
        assert!(is_writable(store).await, "it heals by itself");
        store.containers.create_container(&new_container(100 + round)).await.unwrap();
        store.installation.put_value("after", &[round]).await.unwrap();
    }
    opened.close().await;

    let again = open(&directory).await.unwrap();
    assert_eq!(again.store.installation.get_value("before").await.unwrap().unwrap(), b"1");
    assert_eq!(again.store.installation.get_value("during").await.unwrap(), None);
    assert_eq!(again.store.installation.get_value("after").await.unwrap().unwrap(), [2]);
    again.close().await;
}

#[tokio::test]
async fn start_on_full_disk_is_refused_with_reason() {
    let Some(disk) = Disk::mount("size=4m") else { return };
    let directory = disk.path().join("data");
    open(&directory).await.unwrap().close().await;
    fill(&disk);
    let error = crate::given::refused(&directory).await;
    assert!(error.to_string().contains("room"), "{error}");
    fs::remove_file(disk.path().join("ballast")).unwrap();
    open(&directory).await.unwrap().close().await;
}

#[tokio::test]
async fn container_that_is_damaged_does_not_affect_others() {
    let directory = tempfile::TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let good = organization(&opened.store, 1, State::Active).await;
    let bad = organization(&opened.store, 2, State::Active).await;
    fs::write(tenantry_store::container_file(directory.path(), bad.id), vec![b'x'; 4096]).unwrap();
    let error = opened.store.containers.count_documents(&bad).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::StoreUnavailable);
    assert_eq!(opened.store.containers.count_documents(&good).await.unwrap(), 0);
    opened.close().await;
}
