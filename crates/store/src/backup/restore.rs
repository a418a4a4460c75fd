//! Restores a backup into an empty data directory, or rehearses that in a temporary one.
//!
//! Everything goes into a directory within the target first, which no service accepts. Only when all of it is there, was
//! checked and is durable, is it moved to its place, the records last. A restore that was killed is run again: it finishes
//! the move, or begins once more.

mod moves;
mod organization;

use super::error::BackupError;
use super::format::{BackupFile, BackupManifest, BackupSummary, CONTROL, Damage, KEY_FILES};
use super::progress::BackupProgress;
use crate::EmbeddedOptions;
use jiff::Timestamp;
use moves::Target;
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::clock::Clock;
use tenantry_domain::ids::Entropy;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::restored;
use tenantry_store_sqlite::Sqlite;
use tenantry_store_sqlite::backup::{
    BackupSource, check_restored_container, container_name, empty_organizations, finish_restored_control,
    newest_record,
};

pub use moves::is_restoring;
pub use organization::unpack_organization;

/// What is called with the path and the content of each file.
pub type Visit<'a> = &'a mut dyn FnMut(&str, &mut dyn Read) -> Result<(), BackupError>;
/// Whether the file of that path is wanted.
pub type PathFilter<'a> = &'a dyn Fn(&str) -> bool;

/// Reads a backup.
pub trait BackupReader {
    /// How many organizations there are, if that is known before.
    fn organizations(&self) -> Option<u64>;

    /// Calls `visit` for each file that is wanted. A path may come again; then the last one counts. Returns what is in
    /// the backup, once all that is wanted was read and is what was written; containers that are not are marked as damaged.
    ///
    /// # Errors
    /// It is damaged, or cannot be opened.
    fn each(&mut self, wanted: PathFilter<'_>, visit: Visit<'_>) -> Result<BackupManifest, BackupError>;
}

/// An organization of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredOrganization {
    /// Its id.
    pub organization: OrganizationId,
    /// The moment from which its data is; of one that has written nothing, that of the records.
    pub moment: Timestamp,
    /// The end of the time in which it was copied, if that took time.
    pub until: Option<Timestamp>,
    /// What its data takes.
    pub bytes: u64,
}

/// What was restored, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// The backup.
    pub summary: BackupSummary,
    /// Its organizations.
    pub organizations: Vec<RestoredOrganization>,
    /// Mails that waited to be sent, and are gone.
    pub mails: usize,
    /// Organizations whose data was left out: they are empty.
    pub left_out: BTreeSet<OrganizationId>,
}

/// How a restore marks what it restores.
pub struct RestoreStamp<'a> {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For the id of the event in the audit trail.
    pub entropy: &'a dyn Entropy,
}

/// Restores the backup into `data_dir`, which must be empty; organizations `without` come back empty. `None` if that was done by an earlier try, and the last step
/// alone was left.
///
/// # Errors
/// See [`BackupError`]. No service starts on what is there.
pub async fn restore_data_dir(
    reader: &mut dyn BackupReader,
    data_dir: &Path,
    without: &BTreeSet<OrganizationId>,
    marking: &RestoreStamp<'_>,
    tell: &mut dyn FnMut(BackupProgress),
) -> Result<Option<RestoreReport>, BackupError> {
    let target = Target::take(data_dir)?;
    if target.finish_earlier()? {
        return Ok(None);
    }
    let staging = target.begin()?;
    let report = unpack(reader, &staging, without, tell)?;
    mark(&staging, &report.summary, marking).await?;
    target.complete()?;
    Ok(Some(report))
}

/// Restores the backup into `scratch`, an empty directory of ours, and checks everything.
///
/// # Errors
/// What a restore would stop at.
pub fn rehearse_restore(
    reader: &mut dyn BackupReader,
    scratch: &Path,
    without: &BTreeSet<OrganizationId>,
    tell: &mut dyn FnMut(BackupProgress),
) -> Result<RestoreReport, BackupError> {
    unpack(reader, scratch, without, tell)
}

/// Writes all files of the backup to `staging`, but for the containers of those `without`, and checks them.
pub(super) fn unpack(
    reader: &mut dyn BackupReader,
    staging: &Path,
    without: &BTreeSet<OrganizationId>,
    tell: &mut dyn FnMut(BackupProgress),
) -> Result<RestoreReport, BackupError> {
    let is_wanted = |path: &str| container_of(path).is_none_or(|id| !without.contains(&id));
    let of = reader.organizations();
    let (mut organizations, mut bytes) = (0, 0);
    let mut written = BTreeSet::new();
    let manifest = reader.each(&is_wanted, &mut |path, content| {
        bytes += write(staging, path, content)?;
        written.insert(path.to_owned());
        organizations += u64::from(container_of(path).is_some());
        tell(BackupProgress { organizations, of, bytes });
        Ok(())
    })?;
    // What a stream has brought, and what was purged before the backup ended.
    for file in &manifest.files {
        written.remove(&file.path);
    }
    for path in written {
        let file = staging.join(path);
        fs::remove_file(&file).map_err(BackupError::not_writable(&file))?;
    }
    let files = manifest.files.iter().filter(|file| is_wanted(&file.path));
    let mut organizations = check(files, staging)?;
    let mails = finish_restored_control(&staging.join(CONTROL))?;
    if let Some(unknown) = empty_organizations(&staging.join(CONTROL), without.iter().copied())? {
        return Err(BackupError::NoSuchOrganization { organization: unknown.to_string() });
    }
    ensure_complete(staging, manifest.summary.records, &mut organizations)?;
    sync_all(staging)?;
    Ok(RestoreReport { summary: manifest.summary, organizations, mails, left_out: without.clone() })
}

/// The organization whose container has that path.
fn container_of(path: &str) -> Option<OrganizationId> {
    let id = path.strip_prefix("containers/")?.get(3..)?.strip_suffix(".db")?.parse().ok()?;
    (container_name(id) == path).then_some(id)
}

fn write(staging: &Path, path: &str, content: &mut dyn Read) -> Result<u64, BackupError> {
    let is_known = path == CONTROL || KEY_FILES.iter().any(|key| key.name == path);
    if !is_known && container_of(path).is_none() {
        return Err(BackupError::damaged(format!("it has a file `{path}`, which no backup has")));
    }
    let file = staging.join(path);
    let failed = BackupError::not_writable(&file);
    if let Some(directory) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(&failed)?;
    }
    let mut options = OpenOptions::new();
    let mut out = options.write(true).create(true).truncate(true).mode(0o600).open(&file).map_err(&failed)?;
    let copied = super::sink::copy(content, &mut out, &failed);
    copied.map_err(|error| match error {
        super::sink::PutError::Write(error) => error,
        super::sink::PutError::Read(error) => BackupError::damaged(format!("{path} ({error})")),
    })
}

/// Checks every container; all that are damaged are named at once.
fn check<'a>(
    files: impl Iterator<Item = &'a BackupFile>,
    staging: &Path,
) -> Result<Vec<RestoredOrganization>, BackupError> {
    let (mut organizations, mut damaged) = (Vec::new(), Vec::new());
    for file in files {
        match (check_file(file, staging), file.organization) {
            (Ok(restored), _) => organizations.extend(restored),
            (Err(BackupError::Damaged { what }), Some(id)) => damaged.push((id, what)),
            (Err(error), _) => return Err(error),
        }
    }
    if damaged.is_empty() { Ok(organizations) } else { Err(BackupError::damaged_containers(&damaged)) }
}

/// Checks a file; the organization whose container it is.
fn check_file(file: &BackupFile, staging: &Path) -> Result<Option<RestoredOrganization>, BackupError> {
    let path = staging.join(&file.path);
    if let Some(Damage { fault, is_earlier: false }) = &file.damage {
        return Err(BackupError::damaged(format!("{} ({fault})", file.path)));
    }
    let length = fs::metadata(&path).map_err(BackupError::not_readable(&path))?.len();
    if length != file.bytes {
        return Err(BackupError::damaged(format!("{} has {length} bytes and not {}", file.path, file.bytes)));
    }
    let Some(organization) = file.organization else { return Ok(None) };
    check_restored_container(&path, organization)
        .map_err(|cause| BackupError::damaged(format!("{} ({cause})", file.path)))?;
    let BackupFile { moment, until, bytes, .. } = *file;
    Ok(Some(RestoredOrganization { organization, moment, until, bytes }))
}

/// Refuses a backup in which an organization has no container, and adds those that need none.
fn ensure_complete(
    staging: &Path,
    moment: Timestamp,
    organizations: &mut Vec<RestoredOrganization>,
) -> Result<(), BackupError> {
    let containers: BTreeSet<_> = organizations.iter().map(|restored| restored.organization).collect();
    let records = BackupSource::open(staging)?.organizations()?;
    let missing = records.iter().find(|(id, state)| state.has_container && !containers.contains(id));
    if let Some((id, _)) = missing {
        return Err(BackupError::damaged(format!("the container of {id} is missing")));
    }
    let others = records.iter().filter(|(id, state)| state.is_settled && !containers.contains(id));
    organizations.extend(others.map(|(id, _)| RestoredOrganization {
        organization: *id,
        moment,
        until: None,
        bytes: 0,
    }));
    organizations.sort_unstable_by_key(|restored| restored.organization);
    Ok(())
}

/// Makes everything below `directory` durable.
fn sync_all(directory: &Path) -> Result<(), BackupError> {
    let failed = BackupError::not_writable(directory);
    for entry in fs::read_dir(directory).map_err(&failed)? {
        let path = entry.map_err(&failed)?.path();
        if path.is_dir() {
            sync_all(&path)?;
        } else {
            File::open(&path).and_then(|file| file.sync_all()).map_err(BackupError::not_writable(&path))?;
        }
    }
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(&failed)
}

/// Marks the restored records: every credential from before is refused until it is confirmed. Waits until the second of
/// the mark has passed, so that nothing that is made now is taken for older.
pub(super) async fn mark(
    staging: &Path,
    summary: &BackupSummary,
    marking: &RestoreStamp<'_>,
) -> Result<(), BackupError> {
    let newest = newest_record(&staging.join(CONTROL));
    let options = EmbeddedOptions { data_dir: staging.to_owned(), clock: marking.clock.clone(), readers: 1 };
    let engine = Arc::new(Sqlite::open(&options).await?);
    let store = Sqlite::store(&engine);
    let until = newest.map_or(summary.ended, |newest| newest.max(summary.ended));
    let marked =
        restored::mark(&*store.installation, &summary.id, until, marking.clock.now(), marking.entropy).await;
    engine.close().await;
    marked?;
    let wait = until.as_second() + 1 - marking.clock.now().as_second();
    if (1..=WAIT_MAX_SECONDS).contains(&wait) {
        tokio::time::sleep(Duration::from_secs(wait.unsigned_abs())).await;
    }
    Ok(())
}

/// The longest wait for the clock; one that is later than this is wrong, which `tenantry doctor` says.
const WAIT_MAX_SECONDS: i64 = 3;
