//! Why the embedded engine cannot be opened: each variant is a sentence for the operator, with what to do.

use std::path::PathBuf;

/// The store could not be opened; nothing has been changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses it.
    #[error(
        "The data directory {directory} is in use by another process. \
         Stop that process, or give this one a directory of its own (DATA_DIR)."
    )]
    InUse {
        /// The data directory.
        directory: PathBuf,
    },
    /// A newer version has written it.
    #[error(
        "{file} was written by a newer version (schema {found}; this one knows up to {known}). \
         Run that newer version, or restore a backup made before the upgrade."
    )]
    NewerSchema {
        /// The control database.
        file: PathBuf,
        /// The schema version it has.
        found: i64,
        /// The newest schema version this program knows.
        known: i64,
    },
    /// An older version has written it, and this one does not upgrade it now.
    #[error(
        "{file} was written by an older version (schema {found}; this one works with {known}). \
         Start the service of this version once, which upgrades it, or use the older version."
    )]
    OlderSchema {
        /// The control database.
        file: PathBuf,
        /// The schema version it has.
        found: i64,
        /// The schema version this program works with.
        known: i64,
    },
    /// There is nothing in it.
    #[error(
        "The data directory {directory} has no data yet. \
         Check the path (DATA_DIR), or start the service once."
    )]
    NoData {
        /// The data directory.
        directory: PathBuf,
    },
    /// A restore into it has not finished.
    #[error(
        "A restore into {directory} was interrupted. \
         Run the same `tenantry restore` again to finish it, or empty the directory."
    )]
    RestoreUnfinished {
        /// The data directory.
        directory: PathBuf,
    },
    /// It is not ours.
    #[error(
        "{file} is a database of another program. \
         Choose an empty directory or one that belongs to this service (DATA_DIR)."
    )]
    Foreign {
        /// The control database.
        file: PathBuf,
    },
    /// It is damaged.
    #[error("{file} is damaged ({cause}). Restore it from a backup; keep the damaged file for analysis.")]
    Corrupt {
        /// The control database.
        file: PathBuf,
        /// What SQLite says.
        cause: String,
    },
    /// It is missing, but its containers exist.
    #[error(
        "{file} is missing or empty, but this directory has had one with containers or records. \
         Restore it from the same backup as the containers, or choose an empty directory (DATA_DIR)."
    )]
    ControlMissing {
        /// The control database.
        file: PathBuf,
    },
    /// It cannot be written.
    #[error(
        "The data directory {directory} cannot be written ({cause}). \
         Check that the disk has room and is not mounted read-only, and that this user owns the directory."
    )]
    NotWritable {
        /// The data directory.
        directory: PathBuf,
        /// What the operating system or SQLite says.
        cause: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_open_errors_name_path_and_say_what_to_do() {
        let place = PathBuf::from("/srv/tenantry");
        let all = [
            OpenError::InUse { directory: place.clone() },
            OpenError::NewerSchema { file: place.clone(), found: 9, known: 1 },
            OpenError::OlderSchema { file: place.clone(), found: 1, known: 9 },
            OpenError::NoData { directory: place.clone() },
            OpenError::RestoreUnfinished { directory: place.clone() },
            OpenError::Foreign { file: place.clone() },
            OpenError::Corrupt { file: place.clone(), cause: "malformed".into() },
            OpenError::ControlMissing { file: place.clone() },
            OpenError::NotWritable { directory: place, cause: "read-only".into() },
        ];
        for error in all {
            let text = error.to_string();
            assert!(text.contains("/srv/tenantry"), "{text}");
            assert!(text.ends_with('.') && text.matches(". ").count() >= 1, "{text}");
        }
    }
}
