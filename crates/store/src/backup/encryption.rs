//! Encryption of backups in the age format.
//!
//! In a directory of backups every object is encrypted to recipients, so that later backups need no secret. A passphrase
//! protects a key of the directory, in a file of its own: to stretch it for every object would take a second for each.

use super::error::BackupError;
use age::secrecy::{ExposeSecret, SecretString};
use age::{Decryptor, Encryptor, x25519};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::str::FromStr;

/// What stretching a passphrase costs: some 256 MB of memory, and a second. More than this is refused when reading, since
/// the writer of the file chooses it.
const WORK_FACTOR: u8 = 18;
/// The longest file of recipients, identities or a passphrase.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// Whom a backup is encrypted to.
#[derive(Clone)]
pub struct Recipients(Vec<(String, x25519::Recipient)>);

/// How a backup is to be protected.
pub enum Protection {
    /// As the backup before it, if there is one; otherwise not at all.
    Inherited,
    /// Not at all.
    Unencrypted,
    /// To recipients.
    Recipients(Recipients),
    /// By a passphrase.
    Passphrase(SecretString),
}

/// What opens a backup.
pub struct Identities {
    keys: Vec<Box<dyn age::Identity + Send + Sync>>,
    passphrase: Option<SecretString>,
}

impl Recipients {
    /// Reads recipients, `age1…` each.
    ///
    /// # Errors
    /// A sentence that names the one that is none.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, BackupError> {
        let mut all: Vec<(String, x25519::Recipient)> = Vec::new();
        for text in texts {
            let recipient = x25519::Recipient::from_str(text).map_err(|reason| {
                let sentence =
                    format!("`{text}` is no recipient ({reason}). Give the public key that `age-keygen` prints, `age1…`.");
                BackupError::Encryption(sentence)
            })?;
            all.push((text.to_owned(), recipient));
        }
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all.dedup_by(|one, other| one.0 == other.0);
        Ok(Self(all))
    }

    /// Reads a file with a recipient per line; `#` begins a comment.
    ///
    /// # Errors
    /// It cannot be read, or has a line that is none.
    pub fn read(file: &Path) -> Result<Vec<String>, BackupError> {
        let text = read_small(file)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ok(lines.map(str::to_owned).collect())
    }

    /// As texts, sorted.
    pub(super) fn texts(&self) -> Vec<String> {
        self.0.iter().map(|(text, _)| text.clone()).collect()
    }

    /// A writer that encrypts to them.
    pub(super) fn encrypt<W: Write>(&self, out: W) -> std::io::Result<age::stream::StreamWriter<W>> {
        let recipients = self.0.iter().map(|(_, recipient)| recipient as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(recipients).map_err(std::io::Error::other)?;
        encryptor.wrap_output(out)
    }
}

impl Identities {
    /// None: for what is not encrypted.
    #[must_use]
    pub const fn none() -> Self {
        Self { keys: Vec::new(), passphrase: None }
    }

    /// Those of a file, as `age-keygen` writes it.
    ///
    /// # Errors
    /// It cannot be read, or has none.
    pub fn read(file: &Path) -> Result<Self, BackupError> {
        let text = read_small(file)?;
        let keys = age::IdentityFile::from_buffer(text.as_bytes())
            .map_err(|error| error.to_string())
            .and_then(|file| file.into_identities().map_err(|error| error.to_string()));
        match keys {
            Ok(keys) if !keys.is_empty() => Ok(Self { keys, passphrase: None }),
            _ => Err(BackupError::Encryption(format!(
                "{} has no identity: it must have a line `AGE-SECRET-KEY-1…`, as `age-keygen` writes it.",
                file.display()
            ))),
        }
    }

    /// A passphrase.
    #[must_use]
    pub const fn passphrase(passphrase: SecretString) -> Self {
        Self { keys: Vec::new(), passphrase: Some(passphrase) }
    }

    /// Opens the key of a directory with the passphrase, if there is one.
    pub(super) fn unlock(&mut self, protected: &[u8]) -> Result<(), BackupError> {
        if let Some(passphrase) = &self.passphrase {
            self.keys.push(Box::new(unlock(protected, passphrase)?));
        }
        Ok(())
    }

    /// A reader that decrypts.
    ///
    /// # Errors
    /// None of them opens it.
    pub(super) fn decrypt<R: Read>(
        &self,
        input: R,
    ) -> Result<age::stream::StreamReader<BufReader<R>>, BackupError> {
        let decryptor =
            Decryptor::new_buffered(BufReader::new(input)).map_err(|error| cannot_open(&error))?;
        let keys = self.keys.iter().map(|key| &**key as &dyn age::Identity);
        match &self.passphrase {
            Some(passphrase) if decryptor.is_scrypt() => {
                let mut identity = age::scrypt::Identity::new(passphrase.clone());
                identity.set_max_work_factor(WORK_FACTOR + 2);
                decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity))
            }
            _ => decryptor.decrypt(keys),
        }
        .map_err(|error| cannot_open(&error))
    }
}

fn cannot_open(error: &age::DecryptError) -> BackupError {
    BackupError::Encryption(match error {
        age::DecryptError::NoMatchingKeys | age::DecryptError::KeyDecryptionFailed => {
            "The backup is encrypted, and what was given does not open it. Give the identity of one of its recipients \
             (--identity), or its passphrase (--passphrase-file)."
                .to_owned()
        }
        age::DecryptError::DecryptionFailed => {
            "The passphrase does not open the backup, or the backup is damaged.".to_owned()
        }
        other => format!("The backup cannot be decrypted ({other}): it is damaged, or none of `tenantry backup`."),
    })
}

/// A writer that encrypts with a passphrase: for a stream.
pub(super) fn encrypt_with_passphrase<W: Write>(
    passphrase: &SecretString,
    out: W,
) -> std::io::Result<age::stream::StreamWriter<W>> {
    let mut recipient = age::scrypt::Recipient::new(passphrase.clone());
    recipient.set_work_factor(WORK_FACTOR);
    let recipients = std::iter::once(&recipient as &dyn age::Recipient);
    Encryptor::with_recipients(recipients).map_err(std::io::Error::other)?.wrap_output(out)
}

/// A new key for a directory, protected by a passphrase, and its recipient.
pub(super) fn new_protected_key(passphrase: &SecretString) -> std::io::Result<(Vec<u8>, Recipients)> {
    let identity = x25519::Identity::generate();
    let mut protected = encrypt_with_passphrase(passphrase, Vec::new())?;
    protected.write_all(identity.to_string().expose_secret().as_bytes())?;
    let protected = protected.finish()?;
    let recipient = identity.to_public();
    Ok((protected, Recipients(vec![(recipient.to_string(), recipient)])))
}

/// The recipient of the key that the passphrase protects.
pub(super) fn recipient_of(protected: &[u8], passphrase: &SecretString) -> Result<Recipients, BackupError> {
    let recipient = unlock(protected, passphrase)?.to_public();
    Ok(Recipients(vec![(recipient.to_string(), recipient)]))
}

fn unlock(protected: &[u8], passphrase: &SecretString) -> Result<x25519::Identity, BackupError> {
    let opening = Identities::passphrase(passphrase.clone());
    let mut text = zeroize::Zeroizing::new(String::new());
    opening.decrypt(protected)?.read_to_string(&mut text).map_err(|error| {
        BackupError::Encryption(format!("The key that the passphrase protects cannot be read ({error})."))
    })?;
    x25519::Identity::from_str(text.trim())
        .map_err(|reason| BackupError::damaged(format!("its key ({reason})")))
}

/// Reads a passphrase from the first line of a file.
///
/// # Errors
/// It cannot be read, or is empty.
pub fn read_passphrase(file: &Path) -> Result<SecretString, BackupError> {
    let text = zeroize::Zeroizing::new(read_small(file)?);
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(SecretString::from(line.to_owned())),
        None => Err(BackupError::Encryption(format!(
            "{} has no passphrase in its first line: write one into it.",
            file.display()
        ))),
    }
}

fn read_small(file: &Path) -> Result<String, BackupError> {
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(BackupError::not_readable(file))?;
    BufReader::new(opened.take(FILE_MAX_BYTES))
        .read_to_string(&mut text)
        .map_err(BackupError::not_readable(file))?;
    Ok(text)
}

/// Whether that input begins as the age format does; nothing is consumed.
pub(super) fn is_encrypted(input: &mut impl BufRead) -> std::io::Result<bool> {
    Ok(input.fill_buf()?.starts_with(b"age-encryption.org/"))
}
