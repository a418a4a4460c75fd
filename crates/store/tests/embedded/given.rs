//! A store to begin with.

use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;
use tenantry_domain::clock::Clock;
use tenantry_domain::ids::{AccountId, OrganizationId};
use tenantry_domain::name::OrganizationName;
use tenantry_domain::organization::{Naming, Organization, Placement, State};
use tenantry_domain::store::{InsertOutcome, NewContainer, Store};
use tenantry_store::{EmbeddedOptions, OpenError, OpenStore, StoreOptions};

/// A clock that never moves.
struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// Opens the store in `directory`, without a cache: what is read is what is stored.
pub async fn open(directory: &Path) -> Result<OpenStore, OpenError> {
    let options = EmbeddedOptions::new(directory, Arc::new(Standing));
    tenantry_store::open(&options, &StoreOptions { cache_bytes: 0, ..StoreOptions::default() }).await
}

/// The refusal to open it.
pub async fn refused(directory: &Path) -> OpenError {
    open(directory).await.err().expect("it must not open")
}

pub fn id(number: u8) -> OrganizationId {
    OrganizationId::from_bytes([number; 12])
}

/// The record of an organization of that id and in that state.
pub fn new_organization(number: u8, state: State) -> Organization {
    let name = OrganizationName::parse(&format!("Number {number}")).unwrap();
    let naming = Naming::new(name, "tenant_");
    Organization {
        id: id(number),
        reserved: naming.reserved(),
        naming,
        state,
        suspended: false,
        placement: Placement::Database,
        container: None,
        owner_id: AccountId::from_bytes([number; 12]),
        owners: Vec::new(),
        members: 1,
        roles: tenantry_domain::role::OwnRoles::default(),
        trails: Vec::new(),
        token_epoch: 0,
        token_epoch_since: None,
        delete_protection: false,
        legal_hold: false,
        quota: tenantry_domain::organization::Quota::default(),
        created_at: Timestamp::UNIX_EPOCH,
        modified_at: Timestamp::UNIX_EPOCH,
        deleted_at: None,
        purge_at: None,
        version: 1,
        operation: None,
    }
}

/// An organization of that id and in that state, with its record and its container, which has a file.
pub async fn organization(store: &Store, number: u8, state: State) -> Organization {
    let organization = new_organization(number, state);
    // The file before the record, as after a crash in the first write.
    store.containers.create_container(&new_container(number)).await.unwrap();
    assert_eq!(store.organizations.insert_organization(&organization).await.unwrap(), InsertOutcome::New);
    organization
}

pub fn new_container(number: u8) -> NewContainer {
    NewContainer {
        organization_id: id(number),
        fence: 7,
        namespace: "tenant_x".into(),
        placement: Placement::Database,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

/// A file system of its own, in memory.
pub struct Disk {
    mount: TempDir,
}

impl Disk {
    /// One with these mount options; none where this user may not mount.
    pub fn mount(options: &str) -> Option<Self> {
        let disk = Self { mount: TempDir::new().unwrap() };
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tenantry-test"])
            .arg(disk.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            println!("SKIPPED: this user may not mount a file system");
            std::mem::forget(disk);
            return None;
        }
        Some(disk)
    }

    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = Command::new("mount").args(["-o", &options]).arg(self.path()).status().unwrap();
        assert!(status.success(), "remount with {options}");
    }

    pub fn path(&self) -> PathBuf {
        self.mount.path().to_path_buf()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a failed test may still have files open.
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays mounted", self.path().display());
    }
}
