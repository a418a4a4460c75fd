//! Backups of a whole installation, and their restore.
//!
//! A backup has the files of a data directory, whichever engine it was made from: the records, a container per
//! organization, and the key files. It is kept in a directory that backups share ([`repository`]), or it is one stream
//! ([`stream`]).
//!
//! Everything here blocks: it is for a command, not for the service.

mod content;
mod embedded;
mod encryption;
mod error;
mod files;
mod format;
#[cfg(feature = "mongodb")]
mod mongodb;
mod progress;
mod repository;
mod restore;
mod sink;
mod stream;
#[cfg(feature = "mongodb")]
mod to_mongodb;

pub use embedded::{back_up_data_dir, key_files};
pub use encryption::{Identities, Protection, Recipients, read_passphrase};
pub use error::BackupError;
pub use format::{BackupFile, BackupManifest, BackupSummary, Damage, KEY_FILES, KeyFile};
#[cfg(feature = "mongodb")]
pub use mongodb::back_up_mongodb;
pub use progress::BackupProgress;
pub use repository::{PruneReport, Repository, Retention, VerifyReport};
pub use restore::{
    BackupReader, RestoreReport, RestoreStamp, RestoredOrganization, is_restoring, rehearse_restore,
    restore_data_dir, unpack_organization,
};
pub use sink::{Sink, StartedBackup};
pub use stream::{StreamReader, StreamSink};
pub use tenantry_store_sqlite::backup::{check_containers, is_in_use};
#[cfg(feature = "mongodb")]
pub use to_mongodb::restore_mongodb;
