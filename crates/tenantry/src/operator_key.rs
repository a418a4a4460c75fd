//! The operator key of an installation: the one that the settings give, or one that the first start makes and writes into
//! the data directory. The store knows its hash alone.
//!
//! # Pitfalls
//! With a key of the settings nothing is read from or written to the data directory: on MongoDB it may be missing or
//! read-only.

use crate::config::Config;
use crate::keys::{make_directory, read_or_make, write_new};
use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tenantry_domain::app::operator;
use tenantry_domain::ids::Entropy;
use tenantry_domain::store::{Installation, Store};

/// The operator key as it was written once.
pub const OPERATOR_KEY_FILE: &str = "operator.key";

/// Where the operator key is after a start.
pub enum OperatorKey {
    /// In the settings.
    Given,
    /// It is in that file.
    In(PathBuf),
    /// Somebody keeps it elsewhere.
    Elsewhere,
    /// The store cannot be reached; the key will be made or checked as soon as it can.
    Unknown,
}

/// The operator key of the settings, if there is one.
///
/// # Errors
/// A sentence, if it is no operator key.
pub fn given(config: &Config) -> Result<Option<&str>> {
    let Some(key) = &config.operator_key else { return Ok(None) };
    let key = key.expose().trim();
    ensure!(
        operator::is_well_formed(key),
        "OPERATOR_KEY (or the content of OPERATOR_KEY_FILE) is no operator key, or is mistyped: copy it again, whole, or \
         make one with `tenantry operator-key generate`"
    );
    Ok(Some(key))
}

/// Sets the operator key at a start: the one of the settings, or one that the first start creates and writes. Afterwards
/// only its hash is known, and the file may be removed if the key is kept elsewhere.
///
/// # Errors
/// A sentence, if the settings give another key than the installation has, the file cannot be written, or the store not
/// be reached.
pub async fn set_up(store: &Store, config: &Config, entropy: &dyn Entropy) -> Result<OperatorKey> {
    match given(config)? {
        Some(key) => adopt(&*store.installation, key).await,
        None => make(&*store.installation, &config.data_dir, entropy).await,
    }
}

/// Makes `key` the operator key of an installation without one.
async fn adopt(installation: &dyn Installation, key: &str) -> Result<OperatorKey> {
    let hash = match operator::stored_hash(installation).await? {
        Some(hash) => hash,
        None => {
            ensure_new_form(key)?;
            // The hash of the instance that was first.
            operator::init_hash(installation, key).await?
        }
    };
    if hash != operator::hash(key) {
        bail!(
            "OPERATOR_KEY (or the content of OPERATOR_KEY_FILE) is not the operator key of this installation: give the \
             one that it has, or run `tenantry operator-key` with these settings to put the new one in its place"
        );
    }
    Ok(OperatorKey::Given)
}

/// Keys of the old form have no checksum and no length: an installation keeps its own, and gets no new ones.
fn ensure_new_form(key: &str) -> Result<()> {
    ensure!(
        operator::has_checksum(key),
        "OPERATOR_KEY (or the content of OPERATOR_KEY_FILE) is a key of the form that earlier versions made, and not the one \
         of this installation: make a new one with `tenantry operator-key generate`"
    );
    Ok(())
}

/// Creates the operator key and writes it, if the installation has none.
async fn make(
    installation: &dyn Installation,
    data_dir: &Path,
    entropy: &dyn Entropy,
) -> Result<OperatorKey> {
    let path = data_dir.join(OPERATOR_KEY_FILE);
    if let Some(hash) = operator::stored_hash(installation).await? {
        let held = read_key(&path)?;
        if held.as_deref().is_some_and(|key| operator::hash(key) != hash) {
            tracing::warn!(file = %path.display(), "this is not the operator key; `tenantry operator-key` makes a new one");
        }
        let is_held = held.is_some_and(|key| operator::hash(&key) == hash);
        return Ok(if is_held { OperatorKey::In(path) } else { OperatorKey::Elsewhere });
    }
    // The file first: a crash in between must not leave a hash whose key nobody has.
    make_directory(data_dir)?;
    read_or_make(&path, || format!("{}\n", *operator::generate(entropy)).into_bytes())?;
    let key = read_key(&path)?.unwrap_or_default();
    ensure!(
        operator::is_well_formed(&key),
        "{} holds no operator key: remove it, and one is made at the next start",
        path.display()
    );
    if operator::init_hash(installation, &key).await? == operator::hash(&key) {
        return Ok(OperatorKey::In(path));
    }
    // Another instance was first, and nobody has seen this key yet.
    std::fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
    Ok(OperatorKey::Elsewhere)
}

/// The key in that file, if there is one.
fn read_key(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Puts another operator key in place of the old one: the one of the settings, or a new one. The audit trail of the
/// installation tells of it.
///
/// # Errors
/// A sentence, if the key of the settings is the old one or no good, the file cannot be written, or the store not be
/// reached.
pub async fn replace(
    store: &Store,
    config: &Config,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<OperatorKey> {
    let path = config.data_dir.join(OPERATOR_KEY_FILE);
    let Some(key) = given(config)? else {
        remove(&path)?;
        let key = operator::generate(entropy);
        make_directory(&config.data_dir)?;
        write_new(&path, format!("{}\n", *key).as_bytes())?;
        operator::replace_hash(&*store.installation, &key, now, entropy).await?;
        return Ok(OperatorKey::In(path));
    };
    ensure!(
        operator::stored_hash(&*store.installation).await? != Some(operator::hash(key)),
        "OPERATOR_KEY (or the content of OPERATOR_KEY_FILE) is the operator key already: set it to another one, which \
         `tenantry operator-key generate` makes, or to none, and a new one is written into DATA_DIR"
    );
    ensure_new_form(key)?;
    operator::replace_hash(&*store.installation, key, now, entropy).await?;
    // The old key, which is good for nothing.
    if path.exists() {
        remove(&path).context("the new operator key is in force")?;
    }
    Ok(OperatorKey::Given)
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}
