//! Why a store cannot be opened: each variant is a sentence for the operator, with what to do.

use std::path::PathBuf;

/// The store could not be opened; nothing has been changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
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
    /// It is not there, and what it tells of is.
    #[error(
        "{file} is missing or empty, but there are containers beside it. \
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
    /// The connection string makes no sense. It is not repeated, because it may hold a password.
    #[error(
        "MONGO_URI cannot be used ({cause}). It must begin with mongodb:// or mongodb+srv://, and special \
         characters of the user's name and password must be percent-encoded."
    )]
    MongoUri {
        /// What the driver says, where that cannot repeat a password.
        cause: String,
    },
    /// The database cannot be called so.
    #[error(
        "\"{name}\" is not a name that a MongoDB database can have. \
         Choose one of 1 to 63 bytes without white space and without any of / \\ . \" $ * < > : | ? (MASTER_DB)."
    )]
    MongoDatabaseName {
        /// The name.
        name: String,
    },
    /// The server does not let us, or is too old.
    #[error(
        "MongoDB refuses to serve ({cause}). \
         Check the user and password in MONGO_URI, and that this user may read, write and make indexes."
    )]
    MongoForbidden {
        /// What the server or the driver says.
        cause: String,
    },
    /// The server is too old for what is asked of it.
    #[error(
        "This MongoDB is older than 6.0 and cannot rename a collection by its identity, without which an \
         organization could get another's data. Upgrade it, or let organizations have databases of their own \
         or a share (PLACEMENT=database or PLACEMENT=shared)."
    )]
    MongoWithoutFence,
    /// A newer version has written it.
    #[error(
        "The database {database} was written by a newer version (schema {found}; this one knows up to {known}). \
         Run that newer version, or restore a backup made before the upgrade."
    )]
    MongoNewerSchema {
        /// The database of the records.
        database: String,
        /// The schema version it has.
        found: i64,
        /// The newest schema version this program knows.
        known: i64,
    },
    /// It is not ours.
    #[error(
        "The database {database} holds records of another program. \
         Choose an empty one or one that belongs to this service (MASTER_DB)."
    )]
    MongoForeign {
        /// The database of the records.
        database: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_names_the_place_and_says_what_to_do() {
        let place = PathBuf::from("/srv/tenantry");
        let all = [
            OpenError::InUse { directory: place.clone() },
            OpenError::NewerSchema { file: place.clone(), found: 9, known: 1 },
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

    #[test]
    fn every_sentence_about_mongodb_says_what_to_do() {
        let database = "master".to_owned();
        let all = [
            OpenError::MongoUri { cause: "it is empty".into() },
            OpenError::MongoDatabaseName { name: "a b".into() },
            OpenError::MongoForbidden { cause: "authentication failed".into() },
            OpenError::MongoWithoutFence,
            OpenError::MongoNewerSchema { database: database.clone(), found: 9, known: 1 },
            OpenError::MongoForeign { database },
        ];
        for error in all {
            let text = error.to_string();
            assert!(text.ends_with('.') && text.contains(". "), "{text}");
        }
    }
}
