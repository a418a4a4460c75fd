//! Why the database cannot be used: each variant is a sentence for the operator, with what to do.

/// The database could not be opened; nothing has been changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The connection string is invalid. It is not repeated, because it may hold a password.
    #[error(
        "MONGO_URI cannot be used ({cause}). It must begin with mongodb:// or mongodb+srv://, and special \
         characters of the user's name and password must be percent-encoded."
    )]
    InvalidUri {
        /// The driver's message, where that cannot repeat a password.
        cause: String,
    },
    /// The database cannot have that name.
    #[error(
        "\"{name}\" is not a name that a MongoDB database can have. \
         Choose one of 1 to 63 bytes without white space and without any of / \\ . \" $ * < > : | ? (MASTER_DB)."
    )]
    InvalidDatabaseName {
        /// The name.
        name: String,
    },
    /// The connection string names another database than the one of the records.
    #[error(
        "MONGO_URI names the database {named}, but MASTER_DB says that the records are in {used}. \
         Set MASTER_DB to the one you mean, or take the name out of MONGO_URI."
    )]
    OtherDatabase {
        /// The name in the connection string.
        named: String,
        /// The database of the records.
        used: String,
    },
    /// The server denies access, or is too old.
    #[error(
        "MongoDB denies access ({cause}). \
         Check the user and password in MONGO_URI, and that this user may read, write and create indexes."
    )]
    Forbidden {
        /// The message of the server or the driver.
        cause: String,
    },
    /// The server is too old for the configured placement.
    #[error(
        "This MongoDB is older than 6.0 and cannot rename a collection by its UUID, without which an \
         organization could get another's data. Upgrade it, or choose another placement \
         (PLACEMENT=database or PLACEMENT=shared)."
    )]
    NoRenameByUuid,
    /// A newer version has written the database.
    #[error(
        "The database {database} was written by a newer version (schema {found}; this one knows up to {known}). \
         Run that newer version, or restore a backup made before the upgrade."
    )]
    NewerSchema {
        /// The database of the records.
        database: String,
        /// Its schema version.
        found: i64,
        /// The newest schema version this program knows.
        known: i64,
    },
    /// The database belongs to another program.
    #[error(
        "The database {database} holds records of another program. \
         Choose an empty one or one that belongs to this service (MASTER_DB)."
    )]
    Foreign {
        /// The database of the records.
        database: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mongodb_open_errors_say_what_to_do() {
        let database = "master".to_owned();
        let all = [
            OpenError::InvalidUri { cause: "it is empty".into() },
            OpenError::InvalidDatabaseName { name: "a b".into() },
            OpenError::Forbidden { cause: "authentication failed".into() },
            OpenError::NoRenameByUuid,
            OpenError::NewerSchema { database: database.clone(), found: 9, known: 1 },
            OpenError::Foreign { database },
        ];
        for error in all {
            let text = error.to_string();
            assert!(text.ends_with('.') && text.contains(". "), "{text}");
        }
    }
}
