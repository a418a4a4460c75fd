//! The keys that the service generates on its first start and keeps in its data directory, readable by its owner
//! alone: the key that signs tokens, and the operator key.

use crate::config::{Config, TokenAlgorithm};
use anyhow::{Context, Result, ensure};
use aws_lc_rs::hmac;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tenantry_domain::app::operator;
use tenantry_domain::ids::{Entropy, random};
use tenantry_domain::store::Store;
use tenantry_domain::token::{SigningKey, ed25519_of, generate_ed25519};
use zeroize::Zeroizing;

/// The file of the shared secret that signs tokens, if no setting gives one.
pub const SECRET_FILE: &str = "jwt-secret";
/// The file of the key that signs tokens with EdDSA: a PKCS#8 document.
pub const ED25519_FILE: &str = "jwt-ed25519.pk8";
/// The operator key as it was written once.
pub const OPERATOR_KEY_FILE: &str = "operator.key";

/// The keys that are derived from the signing secret.
pub struct Keys {
    /// The key that signs access tokens.
    pub signing: SigningKey,
    /// The key that authenticates refresh tokens and the fingerprints of requests.
    pub mac: [u8; 32],
    /// The key that signs checkpoints of the audit trail, as a PKCS#8 document.
    pub checkpoint: Zeroizing<Vec<u8>>,
}

impl Keys {
    fn new(secret: &[u8], signing: SigningKey) -> Self {
        let checkpoint = ed25519_of(&derive_for(secret, b"tenantry audit checkpoint v1"));
        Self { signing, mac: derive(secret), checkpoint }
    }
}

/// The signing keys of the settings or, without any, of the data directory.
///
/// # Errors
/// A sentence, if a key file can neither be read nor made.
pub fn load(config: &Config, entropy: &dyn Entropy) -> Result<Keys> {
    let dir = &config.data_dir;
    if config.jwt_algorithm == TokenAlgorithm::EdDsa {
        if let (Some(_), Some(secret)) = (&config.mongo_uri, &config.jwt_secret) {
            return Ok(shared_ed25519(secret.expose().as_bytes()));
        }
        let document = read_or_make(&dir.join(ED25519_FILE), || generate_ed25519(entropy).to_vec())?;
        return Ok(Keys::new(&document.clone(), SigningKey::EdDsa(document.into())));
    }
    let secret = match &config.jwt_secret {
        Some(secret) => secret.expose().as_bytes().to_vec(),
        None => {
            let path = dir.join(SECRET_FILE);
            let secret = read_or_make(&path, || hex(&random::<64>(entropy)))?;
            let needed = config.jwt_algorithm.secret_min_bytes();
            ensure!(
                secret.len() >= needed,
                "{} holds fewer than {needed} bytes, so anybody could forge tokens: remove it, and a new one is \
                 made at the next start (everybody signs in again)",
                path.display()
            );
            secret
        }
    };
    let secret = Zeroizing::new(secret);
    let signing = match config.jwt_algorithm {
        TokenAlgorithm::Hs384 => SigningKey::Hs384(secret.clone()),
        TokenAlgorithm::Hs512 => SigningKey::Hs512(secret.clone()),
        _ => SigningKey::Hs256(secret.clone()),
    };
    Ok(Keys::new(&secret, signing))
}

/// The key that several instances share without a shared file.
fn shared_ed25519(secret: &[u8]) -> Keys {
    let document = ed25519_of(&derive_for(secret, b"tenantry ed25519 seed v1"));
    Keys::new(secret, SigningKey::EdDsa(document))
}

/// Derives the MAC key from the signing key.
fn derive(secret: &[u8]) -> [u8; 32] {
    derive_for(secret, b"tenantry mac key v1")
}

/// Derives a key from `secret` for one purpose, so that no two uses share one.
fn derive_for(secret: &[u8], purpose: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), purpose);
    let mut key = [0; 32];
    key.copy_from_slice(tag.as_ref());
    key
}

/// Creates the operator key and writes it at the first start; afterwards only its hash is known. The file may be
/// removed if the key is kept elsewhere. Returns where it is, if it is in the file.
///
/// # Errors
/// A sentence, if the file cannot be written, or the store not be reached.
pub async fn operator_key(store: &Store, data_dir: &Path, entropy: &dyn Entropy) -> Result<Option<PathBuf>> {
    let path = data_dir.join(OPERATOR_KEY_FILE);
    if let Some(hash) = operator::stored_hash(&*store.installation).await? {
        let held = read_key(&path)?;
        if held.as_deref().is_some_and(|key| operator::hash(key) != hash) {
            tracing::warn!(file = %path.display(), "this is not the operator key; `tenantry operator-key` makes a new one");
        }
        return Ok(held.is_some_and(|key| operator::hash(&key) == hash).then_some(path));
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
    if operator::init_hash(&*store.installation, &key).await? == operator::hash(&key) {
        return Ok(Some(path));
    }
    // Another instance was first, and nobody has seen this key yet.
    std::fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
    Ok(None)
}

/// Creates the data directory if the engine has not done so.
fn make_directory(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("{} cannot be made (DATA_DIR)", path.display()))
}

/// The key in that file, if there is one.
fn read_key(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// A new operator key in place of the old one.
///
/// # Errors
/// A sentence, if the file cannot be written, or the store not be reached.
pub async fn replace_operator_key(store: &Store, data_dir: &Path, entropy: &dyn Entropy) -> Result<PathBuf> {
    let path = data_dir.join(OPERATOR_KEY_FILE);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("{} cannot be removed", path.display()));
        }
        _ => {}
    }
    let key = operator::generate(entropy);
    make_directory(data_dir)?;
    write_new(&path, format!("{}\n", *key).as_bytes())?;
    operator::store_hash(&*store.installation, &key).await?;
    Ok(path)
}

fn read_or_make(path: &Path, make: impl FnOnce() -> Vec<u8>) -> Result<Vec<u8>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let bytes = make();
            write_new(path, &bytes)?;
            Ok(bytes)
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Creates a file, completely or not at all, readable by its owner alone.
fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let unfinished = path.with_extension("tmp");
    let write = || -> std::io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)?;
        match path.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}
