//! Why a store cannot be opened: a sentence for the operator that says what to do, from the engine concerned.

/// The store could not be opened; nothing has been changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Embedded(#[from] tenantry_store_sqlite::OpenError),
    /// The database of MongoDB cannot be used.
    #[cfg(feature = "mongodb")]
    #[error(transparent)]
    MongoDb(#[from] tenantry_store_mongodb::OpenError),
}
