//! Opens the engine that the settings choose. No other part of the service tells engines apart.

#[cfg(feature = "mongodb")]
use crate::config::CapacityPolicy;
use crate::config::{self, Config};
#[cfg(feature = "mongodb")]
use crate::system::SystemClock;
#[cfg(feature = "mongodb")]
use anyhow::Context;
use anyhow::{Result, bail};
use std::path::Path;
use std::sync::Arc;
use tenantry_domain::clock::Clock;
#[cfg(feature = "mongodb")]
use tenantry_domain::organization::Placement;
use tenantry_domain::restored::stored_mark;
use tenantry_store::{
    ADOPTION_MARK, AdoptionState, ConcurrencyLimits, EmbeddedOptions, OpenStore, StoreOptions, TRANSFER_MARK,
};
#[cfg(feature = "mongodb")]
use tenantry_store::{MongoOptions, Side};

/// Of an adoption that a newer version began.
const UNKNOWN_ADOPTION: &str =
    "an adoption into this installation was begun by another version: finish it with that one";

/// Opens it.
///
/// # Errors
/// A sentence for the operator; also if a transfer or an adoption into it was interrupted.
pub async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<OpenStore> {
    let opened = match config.mongo_uri {
        Some(_) => open_mongodb(config).await?,
        None => open_embedded(config, clock).await?,
    };
    // If MongoDB cannot be reached now, this is unknown.
    if let Ok(Some(mark)) = opened.store.installation.get_value(TRANSFER_MARK).await {
        opened.close().await;
        let command = tenantry_store::unfinished_command(&mark);
        bail!(
            "a {command} into this installation was interrupted: run the same `tenantry {command}` again to finish it"
        );
    }
    if let Ok(Some(value)) = opened.store.installation.get_value(ADOPTION_MARK).await
        && let Some(obstacle) =
            AdoptionState::read(&value).map_or(Some(UNKNOWN_ADOPTION), |state| state.obstacle())
    {
        opened.close().await;
        bail!(obstacle);
    }
    if let Ok(Some(mark)) = stored_mark(&*opened.store.installation).await {
        tracing::warn!(
            backup = mark.backup,
            "credentials that were made up to {} are refused, because the installation was restored from a backup: \
             confirm it with `tenantry restore confirm`",
            mark.until
        );
    }
    Ok(opened)
}

/// Opens an installation that is there: a mistyped path or name must not begin a new one.
///
/// # Errors
/// A sentence for the operator; also if there is nothing yet.
pub async fn open_existing(config: &Config, clock: Arc<dyn Clock>) -> Result<OpenStore> {
    match config.mongo_uri {
        Some(_) => ensure_mongodb_has_data(config).await?,
        None => tenantry_store::ensure_has_data(&config.data_dir)?,
    }
    open(config, clock).await
}

#[cfg(feature = "mongodb")]
async fn ensure_mongodb_has_data(config: &Config) -> Result<()> {
    let options = mongodb(config).context("no MONGO_URI is set")?;
    match tenantry_store::mongodb_has_data(&options).await? {
        Ok(true) => Ok(()),
        Ok(false) => bail!(
            "The database {} has no data of Tenantry yet. Check MASTER_DB and MONGO_URI, or start the service once.",
            options.database
        ),
        Err(error) => bail!(
            "MongoDB cannot be read ({}). Check MONGO_URI, that the server runs, and that this machine reaches it.",
            error.cause().unwrap_or("no answer")
        ),
    }
}

#[cfg(not(feature = "mongodb"))]
#[expect(clippy::unused_async, reason = "as with the feature")]
async fn ensure_mongodb_has_data(_: &Config) -> Result<()> {
    // Opening it says what to do.
    Ok(())
}

/// Options of the embedded engine for that directory.
#[must_use]
pub fn embedded_at(config: &Config, data_dir: &Path, clock: Arc<dyn Clock>) -> EmbeddedOptions {
    EmbeddedOptions { data_dir: data_dir.to_owned(), clock, readers: config.readers }
}

async fn open_embedded(config: &Config, clock: Arc<dyn Clock>) -> Result<OpenStore> {
    let calls = config.calls_of_each();
    // Its reads never wait for a disk or a server, so an organization with as many reads as cores would leave
    // none to others.
    let reads = calls.min((config::cores() / 2).max(1));
    let options = in_front(config, ConcurrencyLimits { reads, writes: calls });
    Ok(tenantry_store::open(&embedded_at(config, &config.data_dir, clock), &options).await?)
}

#[cfg(feature = "mongodb")]
async fn open_mongodb(config: &Config) -> Result<OpenStore> {
    let calls = config.calls_of_each();
    let options = in_front(config, ConcurrencyLimits { reads: calls, writes: calls });
    let engine = mongodb(config).context("no MONGO_URI is set")?;
    Ok(tenantry_store::open_mongodb(&engine, &options).await?)
}

#[cfg(not(feature = "mongodb"))]
#[expect(clippy::unused_async, reason = "as with the feature")]
async fn open_mongodb(_: &Config) -> Result<OpenStore> {
    bail!(
        "MONGO_URI is set, and this binary was built without MongoDB. Use one that was built with the feature \
         `mongodb`, as it is by default, or remove MONGO_URI."
    )
}

const fn in_front(config: &Config, concurrency: ConcurrencyLimits) -> StoreOptions {
    StoreOptions { cache_bytes: config.cache_bytes, concurrency }
}

/// The word for the connection string in the settings.
#[cfg(feature = "mongodb")]
const MONGO_URI: &str = "MONGO_URI";

/// One side of a transfer or an adoption: a data directory, a connection string, or the word for that of the settings.
///
/// # Errors
/// A sentence, if that setting is missing.
#[cfg(feature = "mongodb")]
pub fn side(config: &Config, text: &str) -> Result<Side> {
    if text == MONGO_URI {
        let options = mongodb(config);
        return options
            .map(Side::MongoDb)
            .context("MONGO_URI is not set: set it, or give the connection string itself");
    }
    let is_uri = text.starts_with("mongodb://") || text.starts_with("mongodb+srv://");
    Ok(if is_uri {
        Side::MongoDb(mongodb_at(config, text))
    } else {
        Side::Embedded(embedded_at(config, Path::new(text), Arc::new(SystemClock)))
    })
}

/// Options of MongoDB, if the settings choose it.
#[cfg(feature = "mongodb")]
#[must_use]
pub fn mongodb(config: &Config) -> Option<MongoOptions> {
    Some(mongodb_at(config, config.mongo_uri.as_ref()?.expose()))
}

/// Options of the MongoDB with that connection string.
#[cfg(feature = "mongodb")]
#[must_use]
pub fn mongodb_at(config: &Config, uri: &str) -> MongoOptions {
    MongoOptions {
        uri: uri.to_owned(),
        database: config.master_db.as_str().to_owned(),
        tenant_prefix: config.tenant_prefix.as_str().to_owned(),
        placement: config.placement.unwrap_or(Placement::Collection),
        max_namespaces: Some(config.max_namespaces).filter(|limit| *limit > 0),
        shared_at_capacity: config.at_capacity == CapacityPolicy::Shared,
        deadline: config.mongo_timeout,
    }
}
