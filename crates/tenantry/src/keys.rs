//! The keys that sign tokens and authenticate what else clients keep: of the settings, or generated at the first start
//! and kept in the data directory, readable by its owner alone.

use crate::config::{Config, TokenAlgorithm};
use anyhow::{Context, Result, ensure};
use aws_lc_rs::hmac;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use tenantry_domain::ids::{Entropy, random};
use tenantry_domain::token::{SigningKey, ed25519_of, generate_ed25519};
use zeroize::Zeroizing;

/// The file of the shared secret that signs tokens, if no setting gives one.
pub const SECRET_FILE: &str = "jwt-secret";
/// The file of the key that signs tokens with EdDSA: a PKCS#8 document.
pub const ED25519_FILE: &str = "jwt-ed25519.pk8";

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

/// Creates the data directory if the engine has not done so.
///
/// # Errors
/// A sentence, if it cannot be made.
pub fn make_directory(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("{} cannot be made (DATA_DIR)", path.display()))
}

/// The bytes of a key file, which is made if it is missing.
///
/// # Errors
/// A sentence, if it can neither be read nor written.
pub fn read_or_make(path: &Path, make: impl FnOnce() -> Vec<u8>) -> Result<Vec<u8>> {
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
///
/// # Errors
/// A sentence, if it cannot be written.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
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
