//! A directory of backups. What several backups have in common is there once:
//!
//! ```text
//! tenantry-backups.json   says what the directory is
//! passphrase.age          the key of the directory, if a passphrase protects it
//! backups/<id>.jsonl      a manifest per complete backup
//! objects/<xx>/<hash>     files, named by the SHA-256 of what is kept, which is encrypted or not
//! unfinished/             what an interrupted backup has left; the next one goes on with it
//! damaged/                manifests and objects that a repair has set aside
//! ```

mod objects;
mod prune;
mod reader;
mod verify;

pub use prune::{PruneReport, Retention};
pub use verify::VerifyReport;

use super::encryption::{Protection, Recipients, new_protected_key, recipient_of};
use super::error::BackupError;
use super::files::{make_directory, private_file, sync_directory, write_durably};
use super::format::{BackupFile, BackupManifest};
use super::sink::{PutError, Sink, StartedBackup, StoredObject};
use jiff::Timestamp;
use objects::Objects;
use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const HEAD: &str = "tenantry-backups.json";
const HEAD_TEXT: &str = "{\"format\":1}\n";
const PASSPHRASE: &str = "passphrase.age";
const BACKUPS: &str = "backups";
const DAMAGED: &str = "damaged";
const UNFINISHED: &str = "unfinished";
const JOURNAL: &str = "journal.jsonl";
const MANIFEST_ENDING: &str = ".jsonl";
/// How the moment in which a backup began is its name.
const ID_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// A directory of backups, locked.
pub struct Repository {
    directory: PathBuf,
    _lock: File,
}

impl Repository {
    /// Opens the directory for a new backup or for pruning, by this process alone; creates it if it is missing or empty.
    ///
    /// # Errors
    /// It has something else in it, is in use, or cannot be written.
    pub fn create(directory: &Path) -> Result<Self, BackupError> {
        if directory.is_file() {
            return Err(BackupError::NotDirectory { file: directory.to_owned() });
        }
        let failed = BackupError::not_writable(directory);
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(&failed)?;
        let is_empty = fs::read_dir(directory).map_err(&failed)?.next().is_none();
        if is_empty {
            write_head(directory)?;
        }
        let repository = Self::lock(directory, true)?;
        for name in [BACKUPS, objects::OBJECTS, UNFINISHED] {
            make_directory(&directory.join(name))?;
        }
        sync_directory(directory)?;
        Ok(repository)
    }

    /// Opens the directory for reading.
    ///
    /// # Errors
    /// It has no backups, a backup is being made in it, or it cannot be read.
    pub fn open(directory: &Path) -> Result<Self, BackupError> {
        Self::ensure_directory(directory)?;
        Self::lock(directory, false)
    }

    /// Opens the directory for a repair, by this process alone.
    ///
    /// # Errors
    /// It has no backups, is in use, or cannot be read.
    pub fn open_alone(directory: &Path) -> Result<Self, BackupError> {
        Self::ensure_directory(directory)?;
        Self::lock(directory, true)
    }

    fn ensure_directory(directory: &Path) -> Result<(), BackupError> {
        if directory.is_file() {
            return Err(BackupError::NotDirectory { file: directory.to_owned() });
        }
        fs::read_dir(directory).map_err(BackupError::not_readable(directory)).map(|_| ())
    }

    fn lock(directory: &Path, is_exclusive: bool) -> Result<Self, BackupError> {
        let head = directory.join(HEAD);
        let lock = match File::open(&head) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(BackupError::NotBackups { directory: directory.to_owned() });
            }
            opened => opened.map_err(BackupError::not_readable(&head))?,
        };
        match if is_exclusive { lock.try_lock() } else { lock.try_lock_shared() } {
            Ok(()) => Ok(Self { directory: directory.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(BackupError::InUse { directory: directory.to_owned() }),
            Err(TryLockError::Error(error)) => Err(BackupError::not_readable(&head)(error)),
        }
    }

    /// The names of the complete backups, the oldest first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn ids(&self) -> Result<Vec<String>, BackupError> {
        let backups = self.directory.join(BACKUPS);
        let listed = fs::read_dir(&backups).map_err(BackupError::not_readable(&backups))?;
        let mut ids = Vec::new();
        for entry in listed {
            let name = entry.map_err(BackupError::not_readable(&backups))?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(MANIFEST_ENDING));
            ids.extend(id.map(str::to_owned));
        }
        ids.sort();
        Ok(ids)
    }

    /// The backup of that name, or the newest.
    ///
    /// # Errors
    /// There is none, or its manifest is damaged.
    pub fn manifest(&self, id: Option<&str>) -> Result<BackupManifest, BackupError> {
        let directory = || self.directory.clone();
        let ids = self.ids()?;
        let id = match id {
            None => ids.last().ok_or_else(|| BackupError::NoBackup { directory: directory() })?,
            Some(asked) => ids
                .iter()
                .find(|id| *id == asked)
                .ok_or_else(|| BackupError::NoSuchBackup { directory: directory(), id: asked.to_owned() })?,
        };
        let file = self.manifest_file(id);
        let opened = File::open(&file).map_err(BackupError::not_readable(&file))?;
        BackupManifest::read(id, BufReader::new(opened))
    }

    /// The newest backup whose manifest is whole, and the names of newer ones whose manifest is damaged.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn newest_whole(&self) -> Result<(Option<BackupManifest>, Vec<String>), BackupError> {
        let mut damaged = Vec::new();
        for id in self.ids()?.into_iter().rev() {
            match self.manifest(Some(&id)) {
                Ok(manifest) => return Ok((Some(manifest), damaged)),
                Err(BackupError::Damaged { .. }) => damaged.push(id),
                Err(error) => return Err(error),
            }
        }
        Ok((None, damaged))
    }

    /// Whether the head of that manifest can be read, and says that nothing was encrypted.
    fn was_plain(&self, id: &str) -> bool {
        let opened = File::open(self.manifest_file(id)).ok();
        let summary = opened.and_then(|file| BackupManifest::read_summary(id, BufReader::new(file)).ok());
        summary.is_some_and(|summary| summary.recipients.is_empty())
    }

    fn manifest_file(&self, id: &str) -> PathBuf {
        self.directory.join(BACKUPS).join(format!("{id}{MANIFEST_ENDING}"))
    }

    fn objects(&self) -> Objects {
        Objects::new(&self.directory)
    }

    /// The key of the directory that a passphrase protects.
    fn protected_key(&self) -> Result<Option<Vec<u8>>, BackupError> {
        let file = self.directory.join(PASSPHRASE);
        match File::open(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            opened => {
                let mut bytes = Vec::new();
                let opened = opened.map_err(BackupError::not_readable(&file))?;
                opened.take(1 << 16).read_to_end(&mut bytes).map_err(BackupError::not_readable(&file))?;
                Ok(Some(bytes))
            }
        }
    }

    /// Begins a backup at `now`, or goes on with one that was interrupted.
    ///
    /// # Errors
    /// The protection does not fit the directory, or it cannot be written.
    pub fn start(self, protection: &Protection, now: Timestamp) -> Result<RepositorySink, BackupError> {
        let (former, damaged) = self.newest_whole()?;
        let recipients = self.recipients(protection, former.as_ref(), &damaged)?;
        let texts = recipients.as_ref().map(Recipients::texts).unwrap_or_default();
        // What was encrypted to others, or not at all, is of no use now.
        let former = former.filter(|former| former.summary.recipients == texts);
        let mut known = HashMap::new();
        for file in former.into_iter().flat_map(|former| former.files) {
            known.insert(file.path.clone(), file);
        }
        let unfinished = self.directory.join(UNFINISHED);
        for file in read_journal(&unfinished.join(JOURNAL), &texts) {
            known.insert(file.path.clone(), file);
        }
        let objects = self.objects();
        objects.clear_unfinished(&unfinished, JOURNAL)?;
        let journal = open_journal(&unfinished.join(JOURNAL), &texts, &known)?;
        let id = self.new_id(now)?;
        let is_encrypted = recipients.is_some();
        let started = StartedBackup { id, began: now, recipients: texts, is_encrypted };
        Ok(RepositorySink {
            repository: self,
            objects,
            recipients,
            started,
            known,
            journal,
            added: 0,
            damaged,
        })
    }

    fn new_id(&self, now: Timestamp) -> Result<String, BackupError> {
        let ids = self.ids()?;
        let id = now.strftime(ID_FORMAT).to_string();
        let mut names =
            (1..).map(|number| if number == 1 { id.clone() } else { format!("{id}-{number:03}") });
        Ok(names.find(|name| !ids.contains(name)).unwrap_or(id))
    }

    fn recipients(
        &self,
        protection: &Protection,
        former: Option<&BackupManifest>,
        damaged: &[String],
    ) -> Result<Option<Recipients>, BackupError> {
        Ok(match protection {
            Protection::Unencrypted => None,
            Protection::Recipients(recipients) => Some(recipients.clone()),
            Protection::Inherited => match former {
                Some(former) if !former.summary.recipients.is_empty() => {
                    Some(Recipients::parse(former.summary.recipients.iter().map(String::as_str))?)
                }
                // The one that is damaged may have been encrypted: never go on in plain text by mistake.
                _ => match damaged.iter().find(|id| !self.was_plain(id)) {
                    Some(id) => return Err(BackupError::UnknownProtection { id: id.clone() }),
                    None => None,
                },
            },
            Protection::Passphrase(passphrase) => Some(match self.protected_key()? {
                Some(protected) => recipient_of(&protected, passphrase)?,
                None => {
                    let (protected, recipients) = new_protected_key(passphrase)
                        .map_err(|error| BackupError::Encryption(error.to_string()))?;
                    write_durably(&self.directory.join(PASSPHRASE), &protected)?;
                    recipients
                }
            }),
        })
    }
}

/// A backup that is being made in a directory.
pub struct RepositorySink {
    repository: Repository,
    objects: Objects,
    recipients: Option<Recipients>,
    started: StartedBackup,
    /// What is there already, by its path.
    known: HashMap<String, BackupFile>,
    journal: BufWriter<File>,
    added: u64,
    damaged: Vec<String>,
}

impl RepositorySink {
    /// The names of former backups whose manifests are damaged, newer than the one that this goes on from.
    #[must_use]
    pub fn damaged(&self) -> &[String] {
        &self.damaged
    }

    /// The directory again, with the lock.
    #[must_use]
    pub fn into_repository(self) -> Repository {
        self.repository
    }
}

impl Sink for RepositorySink {
    fn started(&self) -> &StartedBackup {
        &self.started
    }

    fn known(&self, path: &str) -> Option<&BackupFile> {
        let file = self.known.get(path)?;
        self.objects.has(&file.object, file.kept).then_some(file)
    }

    fn put(&mut self, _path: &str, _bytes: u64, content: &mut dyn Read) -> Result<StoredObject, PutError> {
        let unfinished = self.repository.directory.join(UNFINISHED);
        let (kept, added) = self.objects.put(&unfinished, self.recipients.as_ref(), content)?;
        self.added += added;
        Ok(kept)
    }

    fn note(&mut self, file: &BackupFile) -> Result<(), BackupError> {
        if file.state.is_none() {
            return Ok(());
        }
        let place = self.repository.directory.join(UNFINISHED).join(JOURNAL);
        write_line(&mut self.journal, file).map_err(BackupError::not_writable(&place))
    }

    fn added(&self) -> u64 {
        self.added
    }

    fn complete(&mut self, manifest: &BackupManifest) -> Result<(), BackupError> {
        self.objects.sync()?;
        let directory = &self.repository.directory;
        let unfinished = directory.join(UNFINISHED).join("manifest.tmp");
        let failed = BackupError::not_writable(&unfinished);
        let mut out = BufWriter::new(private_file(&unfinished).map_err(&failed)?);
        manifest.write(&mut out).map_err(&failed)?;
        let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(&failed)?;
        fs::rename(&unfinished, self.repository.manifest_file(&manifest.summary.id)).map_err(&failed)?;
        sync_directory(&directory.join(BACKUPS))?;
        let journal = directory.join(UNFINISHED).join(JOURNAL);
        fs::remove_file(&journal).map_err(BackupError::not_writable(&journal))
    }
}

/// Says what the directory is. That the file exists is what counts, and of several processes one makes it.
fn write_head(directory: &Path) -> Result<(), BackupError> {
    let head = directory.join(HEAD);
    let failed = BackupError::not_writable(&head);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&head) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        opened => {
            let mut file = opened.map_err(&failed)?;
            file.write_all(HEAD_TEXT.as_bytes()).and_then(|()| file.sync_all()).map_err(&failed)
        }
    }
}

/// The files that an interrupted backup to the same recipients has finished. Its last line may be torn.
fn read_journal(file: &Path, recipients: &[String]) -> Vec<BackupFile> {
    let Ok(opened) = File::open(file) else { return Vec::new() };
    let mut lines = BufReader::new(opened).lines().map_while(Result::ok);
    let first: Option<Vec<String>> = lines.next().and_then(|line| serde_json::from_str(&line).ok());
    if first.as_deref() != Some(recipients) {
        return Vec::new();
    }
    lines.map_while(|line| serde_json::from_str(&line).ok()).collect()
}

/// A new journal with what is known: an interrupted backup may be interrupted again.
fn open_journal(
    file: &Path,
    recipients: &[String],
    known: &HashMap<String, BackupFile>,
) -> Result<BufWriter<File>, BackupError> {
    let write = || -> io::Result<BufWriter<File>> {
        let unfinished = file.with_extension("tmp");
        let mut journal = BufWriter::new(private_file(&unfinished)?);
        write_line(&mut journal, &recipients)?;
        for file in known.values().filter(|file| file.state.is_some()) {
            write_line(&mut journal, file)?;
        }
        journal.flush()?;
        fs::rename(&unfinished, file)?;
        Ok(journal)
    };
    write().map_err(BackupError::not_writable(file))
}

fn write_line(out: &mut BufWriter<File>, value: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")?;
    // A process that is killed loses no line.
    out.flush()
}
