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
use tenantry_domain::mac_keys::MacKeys;
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
    /// The key that signed them before, and is still accepted.
    pub previous: Option<SigningKey>,
    /// The keys that authenticate refresh tokens, cursors and the fingerprints of requests.
    pub mac: MacKeys,
    /// The key that signs checkpoints of the audit trail, as a PKCS#8 document.
    pub checkpoint: Zeroizing<Vec<u8>>,
}

/// The signing keys of the settings or, without any, of the data directory.
///
/// # Errors
/// A sentence, if a key file can neither be read nor made.
pub fn load(config: &Config, entropy: &dyn Entropy) -> Result<Keys> {
    let current = current(config, entropy)?;
    let previous = config.jwt_secret_previous.as_ref();
    let previous = previous.map(|secret| of_secret(config.jwt_algorithm, secret.expose().as_bytes()));
    Ok(Keys {
        mac: MacKeys::new(current.mac, previous.as_ref().map(|keys| keys.mac)),
        signing: current.signing,
        checkpoint: current.checkpoint,
        previous: previous.map(|keys| keys.signing),
    })
}

/// The keys of one secret.
struct DerivedKeys {
    signing: SigningKey,
    mac: [u8; 32],
    checkpoint: Zeroizing<Vec<u8>>,
}

impl DerivedKeys {
    fn new(secret: &[u8], signing: SigningKey) -> Self {
        let checkpoint = ed25519_of(&derive_for(secret, b"tenantry audit checkpoint v1"));
        Self { signing, mac: derive(secret), checkpoint }
    }
}

fn current(config: &Config, entropy: &dyn Entropy) -> Result<DerivedKeys> {
    let (dir, algorithm) = (&config.data_dir, config.jwt_algorithm);
    let is_file =
        algorithm == TokenAlgorithm::EdDsa && (config.mongo_uri.is_none() || config.jwt_secret.is_none());
    if is_file {
        let document = read_or_make(&dir.join(ED25519_FILE), || generate_ed25519(entropy).to_vec())?;
        return Ok(DerivedKeys::new(&document.clone(), SigningKey::EdDsa(document.into())));
    }
    if let Some(secret) = &config.jwt_secret {
        return Ok(of_secret(algorithm, secret.expose().as_bytes()));
    }
    let path = dir.join(SECRET_FILE);
    let secret = read_or_make(&path, || hex(&random::<64>(entropy)))?;
    let needed = algorithm.secret_min_bytes();
    ensure!(
        secret.len() >= needed,
        "{} holds fewer than {needed} bytes, so anybody could forge tokens: remove it, and a new one is made at the \
         next start (everybody signs in again)",
        path.display()
    );
    Ok(of_secret(algorithm, &secret))
}

/// The keys of a secret that several instances may share; with EdDSA, without a shared file.
fn of_secret(algorithm: TokenAlgorithm, secret: &[u8]) -> DerivedKeys {
    let signing = match algorithm {
        TokenAlgorithm::EdDsa => {
            SigningKey::EdDsa(ed25519_of(&derive_for(secret, b"tenantry ed25519 seed v1")))
        }
        TokenAlgorithm::Hs256 => SigningKey::Hs256(secret.to_vec().into()),
        TokenAlgorithm::Hs384 => SigningKey::Hs384(secret.to_vec().into()),
        TokenAlgorithm::Hs512 => SigningKey::Hs512(secret.to_vec().into()),
    };
    DerivedKeys::new(secret, signing)
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
