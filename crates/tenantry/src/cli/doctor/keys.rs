//! The key files: whether they exist where they are needed, are private, and are valid.

use super::report::Report;
use crate::config::{Config, TokenAlgorithm};
use crate::keys::{ED25519_FILE, SECRET_FILE, generated_min_bytes, seals_of};
use crate::operator_key::{self, OPERATOR_KEY_FILE};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tenantry_domain::app::operator;
use tenantry_domain::app::signing_keys::SIGNING_KEYS;
use tenantry_domain::token::{SigningKey, TokenKeys};
use tenantry_store::{ControlState, Inspection};

/// Checks the keys that `config` needs and those that exist.
pub fn examine(report: &mut Report, config: &Config, inspection: &Inspection) {
    let contents = match &inspection.control {
        ControlState::Readable(database) => database.contents.as_ref(),
        _ => None,
    };
    let stored = contents.and_then(|contents| contents.installation.get(SIGNING_KEYS));
    let by_default = if stored.is_some() { TokenAlgorithm::EdDsa } else { TokenAlgorithm::Hs256 };
    let algorithm = config.jwt_algorithm.unwrap_or(by_default);
    let is_ed25519 = algorithm == TokenAlgorithm::EdDsa;
    let (secret, document) = (config.data_dir.join(SECRET_FILE), config.data_dir.join(ED25519_FILE));
    // The document is the secret of an installation whose key did not rotate at first.
    let has_document = is_ed25519 && (stored.is_none() || document.exists());
    let needs_secret = !has_document && config.jwt_secret.is_none();
    let was_started = contents.is_some();
    signing(report, &secret, was_started && needs_secret, |secret| {
        secret.len() >= generated_min_bytes(algorithm)
    });
    signing(report, &document, was_started && has_document, |document| {
        TokenKeys::new(&SigningKey::EdDsa(document.to_vec().into()), "", "").is_ok()
    });
    if let (true, Some(stored)) = (is_ed25519, stored) {
        let given = config.jwt_secret.as_ref().map(|secret| secret.expose().as_bytes().to_vec());
        let root =
            if has_document { fs::read(&document).ok() } else { given.or_else(|| fs::read(&secret).ok()) };
        signing_keys(report, config, root.as_deref(), stored);
    }
    let known = contents.and_then(|contents| contents.installation.get(operator::HASH));
    operator_key(report, config, known.map(Vec::as_slice));
}

/// A key that signs tokens; `is_needed` if the service has used one before.
fn signing(report: &mut Report, path: &Path, is_needed: bool, is_sound: impl FnOnce(&[u8]) -> bool) {
    let shown = path.display();
    match read_private(report, path) {
        KeyFile::Nothing if is_needed => report.warn(
            "keys",
            format!("{shown} is missing; the next start makes another, and everybody has to sign in again"),
            "restore it from a backup, if you have one",
        ),
        KeyFile::Key(key) if is_sound(&key) => report.ok("keys", format!("{shown} is private and sound")),
        KeyFile::Key(_) => report.fail(
            "keys",
            format!("{shown} is damaged"),
            "restore it from a backup, or remove it: the next start makes another",
        ),
        KeyFile::Nothing | KeyFile::Refused => {}
    }
}

/// Checks that stored signing keys open with `secret`, what everything else is derived from.
pub fn signing_keys(report: &mut Report, config: &Config, secret: Option<&[u8]>, stored: &[u8]) {
    // A missing file is in the report already.
    let Some(secret) = secret else { return };
    let previous = config.jwt_secret_previous.as_ref().map(|secret| secret.expose().as_bytes());
    match seals_of(secret, previous).open(stored) {
        Ok(_) => report.ok("keys", "the stored signing keys open with the secret of the service"),
        Err(error) => report.warn(
            "keys",
            format!("{error}: the next start makes new ones, and tokens of before are refused"),
            "give the secret that sealed them, as JWT_SECRET or as JWT_SECRET_PREVIOUS",
        ),
    }
}

/// The operator key in the settings or in its file, where the service knows the key by that hash.
pub fn operator_key(report: &mut Report, config: &Config, known: Option<&[u8]>) {
    if given_operator_key(report, config, known) {
        // The service does not look at the file then, whose directory may be missing.
        return;
    }
    let path = config.data_dir.join(OPERATOR_KEY_FILE);
    let shown = path.display();
    match read_private(report, &path) {
        KeyFile::Nothing if known.is_some() => report.ok(
            "keys",
            format!(
                "{shown} is missing: the operator key is kept elsewhere (if lost: `tenantry operator-key`)"
            ),
        ),
        KeyFile::Key(key) if known.is_none_or(|hash| is_key_of(&key, hash)) => {
            report.ok("keys", format!("{shown} is private and sound"));
        }
        KeyFile::Key(_) => report.fail(
            "keys",
            format!("{shown} is not the operator key of these records"),
            "stop the service and make another with `tenantry operator-key`",
        ),
        KeyFile::Nothing | KeyFile::Refused => {}
    }
}

/// Checks the operator key of the settings; whether there is one.
fn given_operator_key(report: &mut Report, config: &Config, known: Option<&[u8]>) -> bool {
    let key = match operator_key::given(config) {
        Ok(key) => key,
        Err(error) => {
            report.fail("operator key", error.to_string(), "");
            return true;
        }
    };
    match (key, known) {
        (None, _) => {}
        (Some(key), Some(hash)) if !is_key_of(key.as_bytes(), hash) => report.fail(
            "operator key",
            "OPERATOR_KEY is not the operator key of these records",
            "give the one that they have, or put it in its place with `tenantry operator-key`",
        ),
        (Some(_), Some(_)) => report.ok("operator key", "OPERATOR_KEY is the one of these records"),
        (Some(_), None) => report.ok("operator key", "the first start takes OPERATOR_KEY"),
    }
    key.is_some()
}

fn is_key_of(key: &[u8], hash: &[u8]) -> bool {
    operator::hash(String::from_utf8_lossy(key).trim()) == *hash
}

enum KeyFile {
    Nothing,
    Key(Vec<u8>),
    /// Something that the report already mentions.
    Refused,
}

fn read_private(report: &mut Report, path: &Path) -> KeyFile {
    let shown = path.display();
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.mode() & 0o777,
        Err(error) if error.kind() == ErrorKind::NotFound => return KeyFile::Nothing,
        Err(error) => return unreadable(report, path, &error),
    };
    if mode & 0o077 != 0 {
        report.fail(
            "keys",
            format!("{shown} can be read by other users (mode {mode:04o})"),
            &format!("run `chmod 600 {shown}`, and make another key: other users may have read this one"),
        );
        return KeyFile::Refused;
    }
    fs::read(path).map_or_else(|error| unreadable(report, path, &error), KeyFile::Key)
}

fn unreadable(report: &mut Report, path: &Path, error: &std::io::Error) -> KeyFile {
    let found = format!("{} cannot be read ({error})", path.display());
    report.fail("keys", found, "run this and the service as its owner");
    KeyFile::Refused
}
