//! A backup of a data directory, while the service runs on it.
//!
//! Containers are copied first, and the control database after them: so a container is as its record in the backup says,
//! or earlier by documents alone. Where a record has changed since its container was copied, the container is copied
//! again, after the control database: then it is what a crash would have left, and the operation in the record finishes
//! at the next start. A container that is gone means a purge: the records are copied once more, which say so.

use super::error::BackupError;
use super::format::{BackupFile, BackupManifest, BackupSummary, CONTROL, Damage, FORMAT, KEY_FILES, KeyFile};
use super::progress::BackupProgress;
use super::sink::{PutError, Sink};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::thread::park_timeout;
use std::time::Duration;
use tenantry_domain::clock::Clock;
use tenantry_domain::ids::OrganizationId;
use tenantry_store_sqlite::backup::{
    BackupSource, FileState, Organizations, Snapshot, SnapshotError, check_container, container_name,
};

/// How often to copy a file that changes in the wrong moment.
const ATTEMPTS: u32 = 50;
/// How often to copy the records, because organizations were purged meanwhile.
const PASSES: u32 = 50;
/// How long to wait until a change of a file shows in its times.
const SETTLE_TIME: Duration = Duration::from_millis(110);

/// What goes into a backup.
pub(super) struct Files {
    pub(super) control: BackupFile,
    /// Of the organizations that have written anything.
    pub(super) containers: BTreeMap<OrganizationId, BackupFile>,
    /// How many organizations the records have.
    pub(super) organizations: u64,
    pub(super) keys: Vec<BackupFile>,
}

/// Copies the data directory into `sink`, with its key files if `with_keys`.
///
/// # Errors
/// See [`BackupError`]. Former backups are as they were.
pub fn back_up_data_dir(
    data_dir: &Path,
    with_keys: bool,
    sink: &mut dyn Sink,
    clock: &dyn Clock,
    tell: &mut dyn FnMut(BackupProgress),
) -> Result<BackupManifest, BackupError> {
    let source = BackupSource::open(data_dir)?;
    let mut backup = DirectoryBackup { source, sink, clock, tell, bytes: 0, containers: BTreeMap::new() };
    let keys = if with_keys { backup.copy_keys()? } else { Vec::new() };
    let (control, organizations) = backup.copy_all()?;
    let containers = backup.containers.into_iter().map(|(id, (_, file))| (id, file)).collect();
    complete(sink, "embedded", Files { control, containers, organizations, keys }, clock)
}

/// Writes the manifest.
pub(super) fn complete(
    sink: &mut dyn Sink,
    engine: &str,
    files: Files,
    clock: &dyn Clock,
) -> Result<BackupManifest, BackupError> {
    let Files { control, containers, organizations, keys } = files;
    let started = sink.started().clone();
    let summary = BackupSummary {
        format: FORMAT,
        id: started.id,
        tenantry: env!("CARGO_PKG_VERSION").to_owned(),
        engine: engine.to_owned(),
        began: started.began,
        ended: clock.now(),
        records: control.moment,
        keys: keys.iter().map(|file| file.path.clone()).collect(),
        recipients: started.recipients,
        organizations,
        bytes: containers.values().chain(&keys).map(|file| file.bytes).sum::<u64>() + control.bytes,
        added: sink.added(),
    };
    // The records last, so that a restore ends with them.
    let files = keys.into_iter().chain(containers.into_values()).chain([control]).collect();
    let manifest = BackupManifest { summary, files };
    sink.complete(&manifest)?;
    Ok(manifest)
}

/// The key files that are in that directory.
#[must_use]
pub fn key_files(data_dir: &Path) -> Vec<KeyFile> {
    KEY_FILES.into_iter().filter(|key| data_dir.join(key.name).exists()).collect()
}

/// How many organizations there are, with those that have written nothing.
pub(super) fn count(organizations: &Organizations) -> u64 {
    organizations.values().filter(|state| state.is_settled).count() as u64
}

struct DirectoryBackup<'a> {
    source: BackupSource,
    sink: &'a mut dyn Sink,
    clock: &'a dyn Clock,
    tell: &'a mut dyn FnMut(BackupProgress),
    bytes: u64,
    /// What was copied, with the version that its record had before.
    containers: BTreeMap<OrganizationId, (u64, BackupFile)>,
}

impl DirectoryBackup<'_> {
    /// Copies everything; returns the control database, and how many organizations are in it.
    fn copy_all(&mut self) -> Result<(BackupFile, u64), BackupError> {
        let mut organizations = self.source.organizations()?;
        let mut control = None;
        for _ in 0..PASSES {
            let is_complete = self.copy_containers(&organizations)?;
            if let (Some(control), true) = (control, is_complete) {
                return Ok((control, count(&organizations)));
            }
            let (file, current) = self.copy_control()?;
            self.containers.retain(|id, _| current.get(id).is_some_and(|state| state.has_container));
            (organizations, control) = (current, Some(file));
            let is_current = |(id, (version, _)): (&OrganizationId, &(u64, BackupFile))| {
                organizations.get(id).is_some_and(|state| state.version == *version)
            };
            let copied = self.containers.iter().filter(|entry| is_current(*entry)).count();
            if copied == organizations.values().filter(|state| state.has_container).count() {
                return control.map(|control| (control, count(&organizations))).ok_or(BackupError::Busy);
            }
            self.containers.retain(|id, (version, _)| {
                organizations.get(id).is_some_and(|state| state.version == *version)
            });
        }
        Err(BackupError::Busy)
    }

    /// Copies the containers that are still to be copied; returns whether all were there.
    fn copy_containers(&mut self, organizations: &Organizations) -> Result<bool, BackupError> {
        let mut is_complete = true;
        let of = Some(organizations.values().filter(|state| state.has_container).count() as u64);
        for (id, state) in organizations.iter().filter(|(_, state)| state.has_container) {
            if self.containers.contains_key(id) {
                continue;
            }
            match self.copy_container(*id)? {
                Some(file) => _ = self.containers.insert(*id, (state.version, file)),
                None => is_complete = false,
            }
            let organizations = self.containers.len() as u64;
            (self.tell)(BackupProgress { organizations, of, bytes: self.bytes });
        }
        Ok(is_complete)
    }

    fn copy_container(&mut self, id: OrganizationId) -> Result<Option<BackupFile>, BackupError> {
        let (file, path) = (self.source.container(id), container_name(id));
        let moment = self.clock.now();
        let state = Snapshot::state_of(&file).map_err(BackupError::source_io(&file))?;
        let Some(state) = state else { return Ok(None) };
        if let Some(known) = self.sink.known(&path)
            && known.state.as_ref().is_some_and(|earlier| state.is_unchanged_since(earlier))
        {
            let known = BackupFile { moment, damage: None, ..known.clone() };
            return Ok(Some(known));
        }
        if let Some(fault) = check_container(&file).map_err(BackupError::source(&file))? {
            return self.keep_damaged(id, fault).map(Some);
        }
        for attempt in 0..ATTEMPTS {
            let moment = self.clock.now();
            // One that changes all the time is open, or is held as if it were.
            let opened = Snapshot::open(&file, moment, attempt > 2);
            let Some(snapshot) = opened.map_err(BackupError::source(&file))? else { return Ok(None) };
            if !snapshot.shows_changes() && attempt == 0 {
                park_timeout(SETTLE_TIME);
                continue;
            }
            if let Some(copied) = self.put(&file, &path, snapshot)? {
                let copied = BackupFile { organization: Some(id), moment, ..copied };
                self.sink.note(&copied)?;
                return Ok(Some(copied));
            }
            if !file.exists() {
                return Ok(None);
            }
        }
        Err(BackupError::Source { file, cause: "it changed during each attempt".into() })
    }

    /// Keeps what there is of a damaged container: the copy of an earlier backup, or else the file as it is.
    fn keep_damaged(&mut self, id: OrganizationId, fault: String) -> Result<BackupFile, BackupError> {
        let (file, path) = (self.source.container(id), container_name(id));
        let is_good = |known: &&BackupFile| known.damage.as_ref().is_none_or(|damage| damage.is_earlier);
        if let Some(known) = self.sink.known(&path).filter(is_good) {
            return Ok(BackupFile { damage: Some(Damage { fault, is_earlier: true }), ..known.clone() });
        }
        let failed = BackupError::source_io(&file);
        let moment = self.clock.now();
        let content = File::open(&file).map_err(&failed)?;
        let bytes = content.metadata().map_err(&failed)?.len();
        let kept = match self.sink.put(&path, bytes, &mut content.take(bytes)) {
            Ok(kept) => kept,
            Err(PutError::Write(error)) => return Err(error),
            Err(PutError::Read(error)) => return Err(failed(error)),
        };
        self.bytes += bytes;
        let damage = Some(Damage { fault, is_earlier: false });
        let copied = backup_file(&path, bytes, kept, None, self.clock);
        Ok(BackupFile { organization: Some(id), moment, damage, ..copied })
    }

    /// Copies the control database; returns the organizations that are in it.
    fn copy_control(&mut self) -> Result<(BackupFile, Organizations), BackupError> {
        let file = self.source.control();
        for _ in 0..ATTEMPTS {
            let moment = self.clock.now();
            let (snapshot, organizations) = match self.source.control_snapshot(moment) {
                Err(SnapshotError::Io(error)) if error.kind() == ErrorKind::Interrupted => continue,
                opened => opened.map_err(BackupError::source(&file))?,
            };
            if !snapshot.shows_changes() {
                park_timeout(SETTLE_TIME);
            }
            if let Some(copied) = self.put(&file, CONTROL, snapshot)? {
                return Ok((BackupFile { moment, ..copied }, organizations));
            }
        }
        Err(BackupError::Source { file, cause: "it changed during each attempt".into() })
    }

    /// Copies one state of a file; `None` if it was not one state.
    fn put(
        &mut self,
        file: &Path,
        path: &str,
        mut snapshot: Snapshot,
    ) -> Result<Option<BackupFile>, BackupError> {
        let bytes = snapshot.len();
        let kept = match self.sink.put(path, bytes, &mut snapshot) {
            Ok(kept) => kept,
            Err(PutError::Write(error)) => return Err(error),
            // Others have changed it meanwhile, or the disk fails: that shows in the end.
            Err(PutError::Read(error)) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(PutError::Read(error)) => return Err(BackupError::source_io(file)(error)),
        };
        let Some((state, shows_changes)) = snapshot.finish().map_err(BackupError::source_io(file))? else {
            return Ok(None);
        };
        self.bytes += bytes;
        Ok(Some(backup_file(path, bytes, kept, shows_changes.then_some(state), self.clock)))
    }

    fn copy_keys(&mut self) -> Result<Vec<BackupFile>, BackupError> {
        let names: Vec<_> = KEY_FILES.iter().map(|key| key.name).collect();
        let mut copied = Vec::new();
        for name in names {
            copied.extend(copy_key(&self.source.file(name), name, self.sink, self.clock)?);
        }
        Ok(copied)
    }
}

fn backup_file(
    path: &str,
    bytes: u64,
    kept: super::sink::StoredObject,
    state: Option<FileState>,
    clock: &dyn Clock,
) -> BackupFile {
    BackupFile {
        path: path.to_owned(),
        organization: None,
        moment: clock.now(),
        until: None,
        bytes,
        object: kept.object,
        kept: kept.kept,
        state,
        damage: None,
    }
}

/// Copies a key file, if it is there.
pub(super) fn copy_key(
    file: &Path,
    name: &str,
    sink: &mut dyn Sink,
    clock: &dyn Clock,
) -> Result<Option<BackupFile>, BackupError> {
    /// Key files are short.
    const MAX_BYTES: u64 = 1 << 16;
    let failed = BackupError::source_io(file);
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    match File::open(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => _ = opened.map_err(&failed)?.take(MAX_BYTES).read_to_end(&mut bytes).map_err(&failed)?,
    }
    let length = bytes.len() as u64;
    match sink.put(name, length, &mut &bytes[..]) {
        Ok(kept) => Ok(Some(backup_file(name, length, kept, None, clock))),
        Err(PutError::Write(error)) => Err(error),
        Err(PutError::Read(error)) => Err(failed(error)),
    }
}
