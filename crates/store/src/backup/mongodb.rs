//! A backup of an installation on MongoDB, while its service runs: the organizations are copied, one at a time, into
//! containers as the embedded engine has them, and the records into a control database. So both engines' backups are
//! the same, and each can be restored to either.
//!
//! MongoDB has no state of the whole that could be read for hours. Each document is read once between the beginning and
//! the end: what was acknowledged before the beginning is there, and nothing that was sent after the end.
//!
//! The records come after the containers, so that nobody in them lacks an organization that was there at the beginning.

use super::embedded::{self, Files, complete, copy_key};
use super::error::BackupError;
use super::format::{BackupFile, BackupManifest, CONTROL, KEY_FILES};
use super::progress::BackupProgress;
use super::sink::{PutError, Sink};
use crate::transfer::copy;
use crate::transfer::pages::each;
use crate::transfer::side::OpenSide;
use crate::{EmbeddedOptions, MongoOptions, Side};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::account::Account;
use tenantry_domain::app::operator;
use tenantry_domain::app::signing_keys::SIGNING_KEYS;
use tenantry_domain::audit::collect::{COLLECT_BATCH, collect_events};
use tenantry_domain::clock::Clock;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{Organization, Status};
use tenantry_domain::restored::RESTORED;
use tenantry_store_sqlite::backup::{BackupSource, Snapshot, container_name};

/// How often to copy an organization whose record or unique values change meanwhile.
const ATTEMPTS: u32 = 10;
/// How often to ask whether the change of an organization has ended, and how long to wait between.
const BUSY_ATTEMPTS: u32 = 150;
const BUSY_DELAY: Duration = Duration::from_millis(200);
/// How often to look for organizations that were made meanwhile.
const PASSES: u32 = 100;

/// Copies the installation into `sink`; `scratch` is an empty directory of ours, with room for the records and the
/// largest organization. The key files of `data_dir` come along, if it is given.
///
/// # Errors
/// See [`BackupError`]. Former backups are as they were.
pub async fn back_up_mongodb(
    mongodb: &MongoOptions,
    data_dir: Option<&Path>,
    scratch: &Path,
    sink: &mut dyn Sink,
    clock: &Arc<dyn Clock>,
    tell: &mut dyn FnMut(BackupProgress),
) -> Result<BackupManifest, BackupError> {
    let mut keys = Vec::new();
    for key in data_dir.into_iter().flat_map(|_| KEY_FILES) {
        let file = data_dir.unwrap_or(scratch).join(key.name);
        keys.extend(copy_key(&file, key.name, sink, &**clock)?);
    }
    let source = OpenSide::open(&Side::MongoDb(mongodb.clone())).await?;
    let options = EmbeddedOptions { data_dir: scratch.to_owned(), clock: clock.clone(), readers: 1 };
    let stage = match OpenSide::open(&Side::Embedded(options)).await {
        Ok(stage) => stage,
        Err(error) => {
            source.engine.close().await;
            return Err(error.into());
        }
    };
    let mut backup = MongoBackup {
        source,
        stage,
        scratch,
        sink,
        clock: &**clock,
        tell,
        bytes: 0,
        copied: BTreeMap::new(),
    };
    let copied = backup.copy_all().await;
    let MongoBackup { source, stage, copied: containers, .. } = backup;
    source.engine.close().await;
    stage.engine.close().await;
    let moment = copied?;
    let control = put(&scratch.join(CONTROL), CONTROL, sink, &**clock)?;
    let control = BackupFile { moment, until: Some(clock.now()), ..control };
    let containers = containers.into_iter().filter_map(|(id, copied)| Some((id, copied.file?))).collect();
    let organizations = embedded::count(&BackupSource::open(scratch)?.organizations()?);
    complete(sink, "mongodb", Files { control, containers, organizations, keys }, &**clock)
}

struct StagedOrganization {
    /// Its container, if it has one.
    file: Option<BackupFile>,
    /// The record as it is in the stage.
    record: Organization,
}

struct MongoBackup<'a> {
    source: OpenSide,
    stage: OpenSide,
    scratch: &'a Path,
    sink: &'a mut dyn Sink,
    clock: &'a dyn Clock,
    tell: &'a mut dyn FnMut(BackupProgress),
    bytes: u64,
    copied: BTreeMap<OrganizationId, StagedOrganization>,
}

impl MongoBackup<'_> {
    /// Copies everything to the stage, and each container on to the backup; returns the moment of the records.
    async fn copy_all(&mut self) -> Result<jiff::Timestamp, BackupError> {
        // Events that wait are linked now: the chains have everything from before the beginning.
        while collect_events(&*self.source.ports.audit).await? >= COLLECT_BATCH as usize {}
        let mut passes = 0;
        loop {
            let listed = self.list().await?;
            let new: Vec<_> = listed.iter().filter(|listed| !self.copied.contains_key(&listed.id)).collect();
            // Those that are made all the time need not be in it.
            if new.is_empty() || passes == PASSES {
                break;
            }
            let of = Some(listed.len() as u64);
            let mut is_any_copied = false;
            for organization in new {
                is_any_copied |= self.copy_organization(organization.id).await?;
                let organizations = self.copied.len() as u64;
                (self.tell)(BackupProgress { organizations, of, bytes: self.bytes });
            }
            if !is_any_copied {
                break;
            }
            passes += 1;
        }
        // Those that are gone are left out with all that belonged to them alone.
        self.refresh_organizations().await?;
        let moment = self.clock.now();
        self.copy_records().await?;
        self.refresh_organizations().await?;
        Ok(moment)
    }

    async fn list(&self) -> Result<Vec<Organization>, BackupError> {
        let mut all = Vec::new();
        let visit = async |organization| {
            all.push(organization);
            Ok(())
        };
        each(
            |after| self.source.scan.organizations(after),
            |organization: &Organization| organization.id,
            visit,
        )
        .await?;
        Ok(all)
    }

    /// The record once no change of the organization is under way; `None` if it is gone, being purged, or was never
    /// complete.
    async fn settled(&self, id: OrganizationId) -> Result<Option<Organization>, BackupError> {
        for _ in 0..BUSY_ATTEMPTS {
            let found = self.source.ports.organizations.get_organization(id).await?;
            let Some(organization) = found else { return Ok(None) };
            if organization.operation.is_none() {
                return Ok(Some(Arc::unwrap_or_clone(organization)));
            }
            if matches!(organization.status(), Status::Provisioning | Status::Purging) {
                return Ok(None);
            }
            tokio::time::sleep(BUSY_DELAY).await;
        }
        Err(BackupError::OrganizationBusy { organization: id.to_string() })
    }

    /// Copies an organization; false if it is gone.
    async fn copy_organization(&mut self, id: OrganizationId) -> Result<bool, BackupError> {
        let mut failure = None;
        for _ in 0..ATTEMPTS {
            let moment = self.clock.now();
            let Some(organization) = self.settled(id).await? else { return Ok(false) };
            let copied = self.stage_organization(&organization).await;
            let after = self.source.ports.organizations.get_organization(id).await?;
            let is_same = after.is_some_and(|after| after.version == organization.version);
            match copied {
                Ok(record) if is_same => {
                    let path = container_name(id);
                    let staged = self.scratch.join(&path);
                    let file = match staged.exists() {
                        true => Some(put(&staged, &path, self.sink, self.clock)?),
                        false => None,
                    };
                    let until = Some(self.clock.now());
                    let file = file.map(|file| BackupFile { organization: Some(id), moment, until, ..file });
                    self.bytes += file.as_ref().map_or(0, |file| file.bytes);
                    self.stage.ports.containers.drop_container(&record).await?;
                    self.copied.insert(id, StagedOrganization { file, record });
                    return Ok(true);
                }
                Ok(record) => self.forget(&record).await?,
                Err(error) => {
                    self.forget(&organization).await?;
                    failure = Some(error);
                }
            }
        }
        Err(failure
            .map_or_else(|| BackupError::OrganizationBusy { organization: id.to_string() }, Into::into))
    }

    /// Copies an organization to the stage; returns its record there.
    async fn stage_organization(&self, organization: &Organization) -> tenantry_domain::Result<Organization> {
        let (source, stage) = (&self.source, &self.stage);
        let record = copy::make_container(stage, organization, None).await?;
        let _ = stage.ports.organizations.insert_organization(&record).await?;
        let (_, record) = copy::container(source, stage, organization, record).await?;
        copy::collections(source, stage, organization, record.clone()).await?;
        Ok(record)
    }

    /// Removes an organization from the stage.
    async fn forget(&self, record: &Organization) -> Result<(), BackupError> {
        let ports = &self.stage.ports;
        ports.containers.drop_container(record).await?;
        if let Some(stored) = ports.organizations.get_organization(record.id).await? {
            let _ = ports.organizations.delete_organization(stored.id, stored.version).await?;
        }
        Ok(())
    }

    /// Copies all records except organizations; none that belongs to an organization which is not in the backup.
    async fn copy_records(&self) -> Result<(), BackupError> {
        let (scan, ports) = (&self.source.scan, &self.stage.ports);
        let has = |id: &OrganizationId| self.copied.contains_key(id);
        let insert = async |mut account: Account| {
            let had_memberships = !account.memberships.is_empty();
            account.memberships.retain(|membership| has(&membership.organization_id));
            if had_memberships && account.memberships.is_empty() {
                return Ok(());
            }
            ports.accounts.insert_account(&account).await.map(drop)
        };
        each(|after| scan.accounts(after), |account| account.id, insert).await?;
        let insert = async |session| ports.sessions.insert_session(&session, None).await;
        each(|after| scan.sessions(after), |session| session.id, insert).await?;
        let insert = async |key| ports.api_keys.insert_api_key(&key, u32::MAX, None).await.map(drop);
        each(|after| scan.api_keys(after), |key| key.id, insert).await?;
        let insert =
            async |invite| ports.invitations.insert_invitation(&invite, u32::MAX, None).await.map(drop);
        each(|after| scan.invitations(after), |invite| invite.id, insert).await?;
        let insert =
            async |identity| ports.identities.insert_identity(&identity, u32::MAX, None).await.map(drop);
        each(|after| scan.identities(after), |identity| identity.id, insert).await?;
        let insert = async |record| ports.operations.insert_operation(&record, None).await.map(drop);
        each(|after| scan.operations(after), |record| record.id, insert).await?;
        copy::trails(&self.source, &self.stage).await?;
        for name in [SIGNING_KEYS, operator::HASH, RESTORED] {
            if let Some(value) = self.source.ports.installation.get_value(name).await? {
                ports.installation.put_value(name, &value).await?;
            }
        }
        Ok(())
    }

    /// Takes the organizations as they are after the other records were copied, and leaves out those that are gone.
    async fn refresh_organizations(&mut self) -> Result<(), BackupError> {
        let ids: Vec<_> = self.copied.keys().copied().collect();
        for id in ids {
            let current = self.settled(id).await?;
            let Some(copied) = self.copied.get_mut(&id) else { continue };
            let organizations = &self.stage.ports.organizations;
            if current.as_ref().is_some_and(|current| current.version == copied.record.version) {
                continue;
            }
            let _ = organizations.delete_organization(id, copied.record.version).await?;
            match current {
                Some(current) => {
                    let (placement, container) = (copied.record.placement, copied.record.container);
                    let record = Organization { placement, container, ..current };
                    let _ = organizations.insert_organization(&record).await?;
                    copied.record = record;
                }
                None => _ = self.copied.remove(&id),
            }
        }
        Ok(())
    }
}

/// Puts a file of the stage, which nobody writes to.
fn put(file: &Path, path: &str, sink: &mut dyn Sink, clock: &dyn Clock) -> Result<BackupFile, BackupError> {
    let failed = BackupError::source(file);
    let gone = || BackupError::source_io(file)(std::io::ErrorKind::NotFound.into());
    let moment = clock.now();
    let mut snapshot = Snapshot::open(file, moment, false).map_err(failed)?.ok_or_else(gone)?;
    let bytes = snapshot.len();
    let kept = sink.put(path, bytes, &mut snapshot).map_err(|error| match error {
        PutError::Write(error) => error,
        PutError::Read(error) => BackupError::source_io(file)(error),
    })?;
    let (object, kept) = (kept.object, kept.kept);
    let path = path.to_owned();
    Ok(BackupFile {
        path,
        organization: None,
        moment,
        until: None,
        bytes,
        object,
        kept,
        state: None,
        damage: None,
    })
}
