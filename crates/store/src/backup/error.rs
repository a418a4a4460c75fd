//! Why a backup or a restore stops: sentences for the operator.

use crate::error::OpenError;
use std::io;
use std::path::{Path, PathBuf};
use tenantry_domain::ids::OrganizationId;
use tenantry_store_sqlite::backup::SnapshotError;

/// How many damaged containers an error names.
const NAMED_MAX: usize = 100;

/// A backup or restore has stopped. Former backups are as they were.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The installation cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A file of the installation cannot be read.
    #[error(
        "{file} cannot be read ({cause}). Run this as the user of the service, and check the disk with `tenantry doctor`."
    )]
    Source {
        /// The file.
        file: PathBuf,
        /// What the operating system or SQLite says.
        cause: String,
    },
    /// Organizations were purged all the time.
    #[error(
        "Organizations are purged faster than their files are copied. Run the backup again at a quieter time."
    )]
    Busy,
    /// An organization is in the middle of a change that does not end.
    #[error(
        "{organization} is in the middle of a change that does not end. Check it with `tenantry operations list`; if no \
         service runs, start one, which finishes it."
    )]
    OrganizationBusy {
        /// Its id.
        organization: String,
    },
    /// The place of the backup cannot be written.
    #[error(
        "{place} cannot be written ({cause}). Make room or choose another place, and run the command again: it goes on where it stopped."
    )]
    NotWritable {
        /// A file or directory.
        place: PathBuf,
        /// What the operating system says.
        cause: String,
    },
    /// The place of the backup cannot be read.
    #[error("{place} cannot be read ({cause}). Check the path and its permissions.")]
    NotReadable {
        /// A file or directory.
        place: PathBuf,
        /// What the operating system says.
        cause: String,
    },
    /// The directory has something else in it.
    #[error(
        "{directory} is not empty, and has no backups of Tenantry. Choose an empty directory, or one that does not exist yet."
    )]
    NotBackups {
        /// The directory.
        directory: PathBuf,
    },
    /// The path of a directory of backups is that of a file.
    #[error(
        "{file} is a file, and not a directory of backups. A backup that is one stream is restored from standard input: \
         `tenantry restore - < {file}`."
    )]
    NotDirectory {
        /// The file.
        file: PathBuf,
    },
    /// It is unknown whether the next backup is to be encrypted.
    #[error(
        "It is unknown whom to encrypt to: the manifest of the backup {id} is damaged. Say it with --recipient or \
         --passphrase-file, or with --unencrypted."
    )]
    UnknownProtection {
        /// The name of that backup.
        id: String,
    },
    /// Another process works with the backups.
    #[error("Another process works with the backups in {directory}. Wait until it ends.")]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// There is no such backup.
    #[error("{directory} has no backup `{id}`. List them with `tenantry backup list {directory}`.")]
    NoSuchBackup {
        /// The directory.
        directory: PathBuf,
        /// What was asked for.
        id: String,
    },
    /// There is no backup at all.
    #[error("{directory} has no complete backup. Make one with `tenantry backup {directory}`.")]
    NoBackup {
        /// The directory.
        directory: PathBuf,
    },
    /// The backup has no such organization.
    #[error(
        "The backup has no organization {organization}. `tenantry restore … --rehearse` lists those that it has."
    )]
    NoSuchOrganization {
        /// Its id.
        organization: String,
    },
    /// A backup is damaged.
    #[error("The backup is damaged: {what}. Take another one; `tenantry backup verify` says which are good.")]
    Damaged {
        /// What is wrong with what.
        what: String,
    },
    /// Containers of a backup are damaged, and the rest is not.
    #[error(
        "The backup is damaged: {what}. Take another one, or restore the others with {flags}: organizations that are left out \
         come back empty."
    )]
    DamagedContainers {
        /// What is wrong with which.
        what: String,
        /// The flags that leave them out.
        flags: String,
    },
    /// A newer version has made it.
    #[error(
        "The backup has format {found}, and this version reads {known}. Use the version that made it, or a newer one."
    )]
    NewerFormat {
        /// The format it has.
        found: u32,
        /// The format of this version.
        known: u32,
    },
    /// Something about encryption: a sentence of its own.
    #[error("{0}")]
    Encryption(String),
    /// The target of a restore has data.
    #[error(
        "{target} has data already. A restore fills only an empty one: choose another, or move what is there away."
    )]
    Occupied {
        /// A data directory, or a database of MongoDB.
        target: String,
    },
    /// MongoDB cannot be read or written.
    #[error("MongoDB cannot be read or written ({0}). Run the command again.")]
    Store(String),
    /// What was restored differs from the backup: a sentence of its own.
    #[error("{0}")]
    Transfer(String),
}

impl BackupError {
    /// For a file of the installation.
    pub(super) fn source(file: &Path) -> impl Fn(SnapshotError) -> Self + '_ {
        move |error| Self::Source { file: file.to_owned(), cause: error.to_string() }
    }

    /// For a file of the installation.
    pub(super) fn source_io(file: &Path) -> impl Fn(io::Error) -> Self + '_ {
        move |error| Self::Source { file: file.to_owned(), cause: error.to_string() }
    }

    /// For a place that is written.
    pub(super) fn not_writable(place: &Path) -> impl Fn(io::Error) -> Self + '_ {
        move |error| Self::NotWritable { place: place.to_owned(), cause: error.to_string() }
    }

    /// For a place that is read.
    pub(super) fn not_readable(place: &Path) -> impl Fn(io::Error) -> Self + '_ {
        move |error| Self::NotReadable { place: place.to_owned(), cause: error.to_string() }
    }

    /// For containers: what is wrong with each.
    pub(super) fn damaged_containers(damaged: &[(OrganizationId, String)]) -> Self {
        let named = damaged.iter().take(NAMED_MAX);
        let mut what: Vec<_> = named.clone().map(|(_, what)| what.clone()).collect();
        let mut flags: Vec<_> = named.map(|(id, _)| format!("--without {id}")).collect();
        if damaged.len() > NAMED_MAX {
            what.push(format!("and {} more", damaged.len() - NAMED_MAX));
            flags.push("…".to_owned());
        }
        Self::DamagedContainers { what: what.join("; "), flags: flags.join(" ") }
    }

    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}

impl From<tenantry_store_sqlite::OpenError> for BackupError {
    fn from(error: tenantry_store_sqlite::OpenError) -> Self {
        Self::Open(error.into())
    }
}

impl From<tenantry_domain::Error> for BackupError {
    fn from(error: tenantry_domain::Error) -> Self {
        Self::Store(error.cause().unwrap_or("no reason is known").to_owned())
    }
}
