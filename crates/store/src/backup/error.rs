//! Why a backup or a restore stops: sentences for the operator.

use crate::error::OpenError;
use std::io;
use std::path::{Path, PathBuf};
use tenantry_store_sqlite::backup::SnapshotError;

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
