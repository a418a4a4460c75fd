//! The key files: whether they exist where they are needed, are private, and are valid.

use super::report::Report;
use crate::config::{Config, TokenAlgorithm};
use crate::keys::{ED25519_FILE, SECRET_FILE};
use crate::operator_key::{self, OPERATOR_KEY_FILE};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tenantry_domain::app::operator;
use tenantry_domain::token::{SigningKey, TokenKeys};
use tenantry_store::{ControlState, Inspection};

/// Checks the keys that `config` needs and those that exist.
pub fn examine(report: &mut Report, config: &Config, inspection: &Inspection) {
    let contents = match &inspection.control {
        ControlState::Readable(database) => database.contents.as_ref(),
        _ => None,
    };
    let directory = &config.data_dir;
    let (was_started, algorithm) = (contents.is_some(), config.jwt_algorithm);
    let is_ed25519 = algorithm == TokenAlgorithm::EdDsa;
    let needs_secret = !is_ed25519 && config.jwt_secret.is_none();
    signing(report, &directory.join(SECRET_FILE), was_started && needs_secret, |secret| {
        secret.len() >= algorithm.secret_min_bytes()
    });
    signing(report, &directory.join(ED25519_FILE), was_started && is_ed25519, |document| {
        TokenKeys::new(&SigningKey::EdDsa(document.to_vec().into()), "", "").is_ok()
    });
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
