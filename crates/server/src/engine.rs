//! Which engine the settings ask for. The only place of the service that tells them apart.

use crate::config::{CapacityPolicy, Config};
use std::sync::Arc;
use tenantry_domain::clock::Clock;
use tenantry_domain::organization::Placement;
use tenantry_store::{EmbeddedOptions, MongoOptions, OpenError, Opened};

/// Opens it.
///
/// # Errors
/// A sentence for the operator.
pub async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Opened, OpenError> {
    match mongodb(config) {
        Some(options) => tenantry_store::open_mongodb(&options).await,
        None => tenantry_store::open(&embedded(config, clock)).await,
    }
}

fn embedded(config: &Config, clock: Arc<dyn Clock>) -> EmbeddedOptions {
    EmbeddedOptions {
        data_dir: config.data_dir.clone(),
        clock,
        readers: config.readers,
        cache_bytes: config.cache_bytes,
    }
}

/// How MongoDB is reached, if it is asked for.
#[must_use]
pub fn mongodb(config: &Config) -> Option<MongoOptions> {
    let uri = config.mongo_uri.as_ref()?;
    Some(MongoOptions {
        uri: uri.expose().to_owned(),
        database: config.master_db.as_str().to_owned(),
        tenant_prefix: config.tenant_prefix.as_str().to_owned(),
        placement: config.placement.unwrap_or(Placement::Collection),
        max_namespaces: Some(config.max_namespaces).filter(|limit| *limit > 0),
        share_when_full: config.at_capacity == CapacityPolicy::Shared,
        deadline: config.mongo_timeout,
    })
}
