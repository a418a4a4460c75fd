//! The keys that sign tokens and authenticate what else clients keep: of the settings, or generated at the first start
//! and kept in the data directory, readable by its owner alone. Keys that rotate are in the store, sealed under the secret.

use crate::config::{Config, SECRET_MIN_BYTES, TokenAlgorithm};
use anyhow::{Context, Result, ensure};
use aws_lc_rs::hmac;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use tenantry_domain::app::signing_keys::{SigningState, StoredKeys, TokenSigning, read_state};
use tenantry_domain::ids::{Entropy, random};
use tenantry_domain::mac_keys::MacKeys;
use tenantry_domain::signing_keys::{KeySeal, KeySeals};
use tenantry_domain::store::Installation;
use tenantry_domain::token::{SigningKey, TokenKeys, ed25519_of, generate_ed25519};
use zeroize::Zeroizing;

/// The file of the shared secret that signs tokens, if no setting gives one.
pub const SECRET_FILE: &str = "jwt-secret";
/// The file of the key that signs tokens with EdDSA: a PKCS#8 document.
pub const ED25519_FILE: &str = "jwt-ed25519.pk8";

/// What is said where an installation on MongoDB has keys that its settings do not use.
pub const UNUSED_KEYS: &str =
    "the installation has EdDSA keys that rotate, and JWT_SECRET without JWT_ALGORITHM signs with HS256";

/// The keys that are derived from the secret.
pub struct Keys {
    /// The keys that sign access tokens.
    pub signing: TokenSigning,
    /// The keys that authenticate refresh tokens, cursors and the fingerprints of requests.
    pub mac: MacKeys,
    /// The key that signs checkpoints of the audit trail, as a PKCS#8 document.
    pub checkpoint: Zeroizing<Vec<u8>>,
}

/// The keys of the settings or, without any, of the data directory and the store.
///
/// # Errors
/// A sentence, if a key file can neither be read nor made, or the store of the embedded engine not be read.
pub async fn load(config: &Config, installation: &dyn Installation, entropy: &dyn Entropy) -> Result<Keys> {
    let root = root(config, installation, entropy).await?;
    let previous = config.jwt_secret_previous.as_ref().map(|secret| secret.expose().as_bytes());
    Ok(Keys {
        mac: MacKeys::new(derive(&root.secret, MAC), previous.map(|secret| derive(secret, MAC))),
        checkpoint: ed25519_of(&derive(&root.secret, CHECKPOINT)),
        signing: match root.algorithm {
            TokenAlgorithm::EdDsa => stored(config, &root, previous)?,
            algorithm => of_secrets(config, algorithm, &root.secret, previous)?,
        },
    })
}

/// What everything else is derived from.
struct Root {
    algorithm: TokenAlgorithm,
    secret: Zeroizing<Vec<u8>>,
    /// Whether the secret is itself the document of the key that signs, as in installations whose key does not rotate.
    is_document: bool,
}

async fn root(config: &Config, installation: &dyn Installation, entropy: &dyn Entropy) -> Result<Root> {
    let given = config.jwt_secret.as_ref().map(|secret| Zeroizing::new(secret.expose().as_bytes().to_vec()));
    let of_secret = |algorithm, secret| Ok(Root { algorithm, secret, is_document: false });
    if let (Some(secret), true) = (&given, config.mongo_uri.is_some()) {
        // The settings alone decide: the service starts also while the server is away.
        return of_secret(config.jwt_algorithm.unwrap_or(TokenAlgorithm::Hs256), secret.clone());
    }
    let state = match config.jwt_algorithm {
        Some(TokenAlgorithm::EdDsa) | None => read_state(installation).await?,
        // The settings alone decide.
        Some(_) => SigningState::Settings,
    };
    let algorithm = config.jwt_algorithm.unwrap_or(match state {
        SigningState::Stored => TokenAlgorithm::EdDsa,
        SigningState::New if given.is_none() => TokenAlgorithm::EdDsa,
        SigningState::New | SigningState::Settings => TokenAlgorithm::Hs256,
    });
    let document = config.data_dir.join(ED25519_FILE);
    if algorithm == TokenAlgorithm::EdDsa && (state == SigningState::Settings || document.exists()) {
        ensure!(
            config.jwt_secret_previous.is_none(),
            "JWT_SECRET_PREVIOUS does nothing here, because the key that signs tokens is in {}: remove it. \
             `tenantry signing-key rotate` replaces that key.",
            document.display()
        );
        let secret = read_or_make(&document, || generate_ed25519(entropy).to_vec())?.into();
        return Ok(Root { algorithm, secret, is_document: true });
    }
    match given {
        Some(secret) => of_secret(algorithm, secret),
        None => of_secret(algorithm, generated(config, algorithm, entropy)?.into()),
    }
}

/// The secret in the data directory, which the first start makes.
fn generated(config: &Config, algorithm: TokenAlgorithm, entropy: &dyn Entropy) -> Result<Vec<u8>> {
    let path = config.data_dir.join(SECRET_FILE);
    let secret = read_or_make(&path, || hex(&random::<64>(entropy)))?;
    let needed = generated_min_bytes(algorithm);
    ensure!(
        secret.len() >= needed,
        "{} holds fewer than {needed} bytes, so anybody could forge tokens: remove it, and a new one is made at the \
         next start (everybody signs in again)",
        path.display()
    );
    Ok(secret)
}

/// The fewest bytes of the secret in the data directory.
#[must_use]
pub fn generated_min_bytes(algorithm: TokenAlgorithm) -> usize {
    algorithm.secret_min_bytes().max(SECRET_MIN_BYTES)
}

/// The seals of stored signing keys, under the secret in use and another one.
#[must_use]
pub fn seals_of(secret: &[u8], previous: Option<&[u8]>) -> KeySeals {
    let seal = |secret: &[u8]| KeySeal::new(&derive(secret, SEAL));
    KeySeals::new(seal(secret), previous.map(seal))
}

/// Tokens that a secret signs.
fn of_secrets(
    config: &Config,
    algorithm: TokenAlgorithm,
    secret: &[u8],
    previous: Option<&[u8]>,
) -> Result<TokenSigning> {
    let key = |secret: &[u8]| {
        let secret = Zeroizing::new(secret.to_vec());
        match algorithm {
            TokenAlgorithm::Hs384 => SigningKey::Hs384(secret),
            TokenAlgorithm::Hs512 => SigningKey::Hs512(secret),
            _ => SigningKey::Hs256(secret),
        }
    };
    let previous = previous.map(key);
    let others: Vec<_> = previous.iter().collect();
    let (issuer, audience) = (config.jwt_issuer.as_str(), config.jwt_audience.as_str());
    Ok(TokenSigning::Settings(TokenKeys::accepting(&key(secret), &others, issuer, audience)?))
}

/// Tokens that stored keys sign.
fn stored(config: &Config, root: &Root, previous: Option<&[u8]>) -> Result<TokenSigning> {
    // The key of an installation that has none stored. Several instances may share it without a shared file.
    let adopted = if root.is_document {
        vec![root.secret.clone()]
    } else {
        let secrets = std::iter::once(&root.secret[..]).chain(previous);
        secrets.map(|secret| ed25519_of(&derive(secret, ED25519))).collect()
    };
    // A damaged one must not be found when somebody signs in.
    TokenKeys::new(&SigningKey::EdDsa(adopted[0].clone()), "", "")?;
    let tokens = TokenKeys::without_keys(config.jwt_issuer.as_str(), config.jwt_audience.as_str());
    let keys = StoredKeys {
        seals: seals_of(&root.secret, previous),
        adopted,
        token_lifetime: config.access_token_lifetime,
    };
    Ok(TokenSigning::Store(tokens, keys))
}

/// What the keys are derived for, so that no two uses share one.
const MAC: &[u8] = b"tenantry mac key v1";
const CHECKPOINT: &[u8] = b"tenantry audit checkpoint v1";
const ED25519: &[u8] = b"tenantry ed25519 seed v1";
const SEAL: &[u8] = b"tenantry signing key seal v1";

/// Derives a key from `secret` for one purpose.
fn derive(secret: &[u8], purpose: &[u8]) -> [u8; 32] {
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
