//! The two sides of a transfer.

use crate::error::OpenError;
use crate::{EmbeddedOptions, Engine, MongoOptions};
use std::sync::Arc;
use tenantry_domain::store::Store;
use tenantry_domain::store::full_scan::FullScan;
use tenantry_store_mongodb::MongoDb;
use tenantry_store_sqlite::Sqlite;

/// One side of a transfer.
#[derive(Clone)]
pub enum Side {
    /// A data directory.
    Embedded(EmbeddedOptions),
    /// A database of MongoDB.
    MongoDb(MongoOptions),
}

/// A side that has been opened.
pub(crate) struct OpenSide {
    /// The ports, without a cache.
    pub(crate) ports: Store,
    pub(crate) scan: Arc<dyn FullScan>,
    pub(crate) engine: Engine,
}

impl OpenSide {
    pub(crate) async fn open(side: &Side) -> Result<Self, OpenError> {
        Ok(match side {
            Side::Embedded(options) => {
                let engine = Arc::new(Sqlite::open(options).await?);
                Self { ports: Sqlite::store(&engine), scan: engine.clone(), engine: Engine::Embedded(engine) }
            }
            Side::MongoDb(options) => {
                let engine = MongoDb::open(options).await?;
                Self { ports: engine.store(), scan: engine.full_scan(), engine: Engine::MongoDb(engine) }
            }
        })
    }
}
