//! Creates and checks password hashes: pure functions, each call costs milliseconds of one core.
//!
//! New hashes are Argon2id (RFC 9106) with the parameters below. Hashes that came from other software are
//! checked as that software made them: Argon2 of any kind, bcrypt, and passlib's bcrypt over SHA-256. Such a
//! check costs as much as that software chose, so until its owner signs in once and it is replaced, the time
//! of a sign-in reveals that the account exists.
//!
//! # Pitfalls
//! - Never call this on an async thread: only [`super::pool`] does.
//! - Never replace a hash by one of bytes that it was not compared with: bcrypt does not see all of every
//!   password.

mod argon2_text;
mod bcrypt_text;
mod parameters;

pub use parameters::SALT_BYTES;

use super::policy::{NewPassword, PresentedPassword};
use crate::error::{Error, ErrorCode, Result};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use argon2_text::Argon2Hash;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bcrypt_text::{Bcrypt, BcryptSha256};
use parameters::{CURRENT, LANES, MEMORY_KIB, OUTPUT_BYTES, PASSES};
use std::time::Duration;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Checked when there is no account, so that the response takes as long: random bytes, not the hash of a
/// password.
const DECOY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$TlpTz4yY6LFLJWktAC/GCw$f6P/glxd5eIliZoV4YyIg6G7HqqJtoZIczhb+gYDVtA";

/// The result of checking a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordCheck {
    /// It is the password.
    Match {
        /// Whether the stored hash should be replaced by a new one: it has other parameters than new ones
        /// have, or was made from the password as it was typed, before Unicode normalization.
        rehash: bool,
    },
    /// It is not.
    NoMatch,
}

/// The memory Argon2 works in, kept from one hash to the next: 19 MiB from the first use to [`Self::release`].
pub struct Argon2Memory {
    blocks: Vec<Block>,
    allocation_hook: AllocationHook,
}

/// Runs the given allocation, which touches all of its memory, and may choose the kind of pages for it.
pub type AllocationHook = fn(&mut dyn FnMut());

impl Default for Argon2Memory {
    fn default() -> Self {
        Self::new(|take| take())
    }
}

impl Argon2Memory {
    /// No memory yet; it will be allocated within `allocation_hook`.
    #[must_use]
    pub fn new(allocation_hook: AllocationHook) -> Self {
        Self { blocks: Vec::new(), allocation_hook }
    }

    /// Frees the memory; the next use allocates it again.
    pub fn release(&mut self) {
        self.blocks = Vec::new();
    }

    /// Whether there is any to free.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.blocks.is_empty()
    }

    fn blocks(&mut self, count: usize) -> &mut [Block] {
        let Self { blocks, allocation_hook } = self;
        if blocks.is_empty() {
            allocation_hook(&mut || blocks.resize(MEMORY_KIB as usize, Block::new()));
        }
        &mut blocks[..count]
    }
}

/// The PHC string to store for a new password.
pub fn hash(password: &NewPassword, salt: [u8; SALT_BYTES], memory: &mut Argon2Memory) -> String {
    let mut output = [0; OUTPUT_BYTES];
    let params =
        Params::new(MEMORY_KIB, PASSES, LANES, Some(OUTPUT_BYTES)).expect("Argon2 takes these parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    run_argon2(&argon2, password.as_bytes(), &salt, &mut output, memory)
        .expect("Argon2 takes every password");
    phc_text(salt, output)
}

/// The PHC string of these bytes: where they are random, no password is known that matches it, and a check takes as long
/// as any other.
#[must_use]
pub fn of_no_password(salt: [u8; SALT_BYTES], output: [u8; OUTPUT_BYTES]) -> String {
    phc_text(salt, output)
}

fn phc_text(salt: [u8; SALT_BYTES], output: [u8; OUTPUT_BYTES]) -> String {
    format!("{CURRENT}{}${}", STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output))
}

/// Whether `password` is the one that `stored` was made from. A hash that cannot be read matches nothing, takes
/// as long as one of ours, and is reported in the log.
///
/// # Errors
/// `sign_in_busy` if there is not enough memory for a hash of larger parameters than ours.
pub fn verify(
    password: &PresentedPassword,
    stored: &str,
    memory: &mut Argon2Memory,
) -> Result<PasswordCheck> {
    let Ok(stored) = StoredHash::parse(stored) else {
        tracing::error!("a stored password hash cannot be read; nobody can sign in with it");
        return verify(password, decoy(), memory).map(|_| PasswordCheck::NoMatch);
    };
    let normalized = password.normalized();
    if stored.was_made_from(normalized, memory)? && password.may_match() {
        return Ok(PasswordCheck::Match {
            rehash: !stored.is_current() && stored.compares_all_of(normalized),
        });
    }
    // Other software uses the password as it was typed.
    match password.raw() {
        Some(raw) if stored.was_made_from(raw, memory)? => {
            Ok(PasswordCheck::Match { rehash: stored.compares_all_of(raw) })
        }
        _ => Ok(PasswordCheck::NoMatch),
    }
}

/// Whether somebody could sign in with that hash, at a supported cost.
///
/// # Errors
/// The sentence that says why not, without the text.
pub fn check_readable(stored: &str) -> std::result::Result<(), String> {
    StoredHash::parse(stored).map(|_| ())
}

/// A hash that no password matches and that takes as long to check as those of [`hash`].
#[must_use]
pub const fn decoy() -> &'static str {
    DECOY
}

/// A parsed stored hash.
enum StoredHash {
    Argon2(Argon2Hash),
    Bcrypt(Bcrypt),
    BcryptSha256(BcryptSha256),
}

/// The beginnings of known hashes. Some frameworks put the name of their hasher before them.
const MARKS: [&str; 4] = ["$argon2", "$2a$", "$2b$", "$2y$"];

impl StoredHash {
    /// Parses a stored text, or says why it cannot be checked.
    fn parse(text: &str) -> std::result::Result<Self, String> {
        if text.starts_with("$argon2") {
            return Argon2Hash::parse(text).map(Self::Argon2);
        }
        if let Some(rest) = text.strip_prefix("$bcrypt-sha256$") {
            return BcryptSha256::parse(rest).map(Self::BcryptSha256);
        }
        if text.starts_with("$2") {
            return Bcrypt::parse(text).map(Self::Bcrypt);
        }
        Err(unknown(text))
    }

    fn was_made_from(&self, password: &[u8], memory: &mut Argon2Memory) -> Result<bool> {
        match self {
            Self::Argon2(hash) => {
                let mut made = Zeroizing::new(vec![0; hash.output.len()]);
                run_argon2(&hash.argon2, password, &hash.salt, &mut made, memory).map_err(|cause| {
                    tracing::error!(%cause, "a stored password hash needs more memory than there is");
                    Error::new(ErrorCode::SignInBusy).retry_after(Duration::from_secs(1))
                })?;
                Ok(made.ct_eq(&hash.output).into())
            }
            Self::Bcrypt(bcrypt) => Ok(bcrypt.was_made_from(password)),
            Self::BcryptSha256(bcrypt) => Ok(bcrypt.was_made_from(password)),
        }
    }

    /// Whether the comparison used every byte of `password`, so that a new hash of it accepts only the
    /// password that the old hash was made from.
    fn compares_all_of(&self, password: &[u8]) -> bool {
        match self {
            Self::Argon2(_) | Self::BcryptSha256(_) => true,
            Self::Bcrypt(_) => Bcrypt::compares_all_of(password),
        }
    }

    const fn is_current(&self) -> bool {
        matches!(self, Self::Argon2(Argon2Hash { is_current: true, .. }))
    }
}

/// Why a text with an unknown beginning is refused.
fn unknown(text: &str) -> String {
    if text.starts_with("bcrypt_sha256$") {
        return "Is a `bcrypt_sha256` of Django, which cannot be checked: it hashes hexadecimal digits."
            .into();
    }
    match MARKS.iter().find(|mark| text.contains(*mark)) {
        Some(mark) => format!(
            "Has something before `{mark}`, as Django (`argon2$argon2id$...`, `bcrypt$$2b$...`) and Spring \
             (`{{bcrypt}}$2a$...`) write it: remove all that comes before `{mark}`."
        ),
        None => "Cannot be checked: only Argon2 (`$argon2id$...`), bcrypt (`$2b$...`) and passlib's \
             `$bcrypt-sha256$...` hashes can."
            .into(),
    }
}

/// Runs in `memory` if that is large enough, else in memory of its own.
fn run_argon2(
    argon2: &Argon2<'_>,
    password: &[u8],
    salt: &[u8],
    output: &mut [u8],
    memory: &mut Argon2Memory,
) -> argon2::Result<()> {
    let blocks = argon2.params().block_count();
    if blocks > MEMORY_KIB as usize {
        return argon2.hash_password_into(password, salt, output);
    }
    argon2.hash_password_into_with_memory(password, salt, output, memory.blocks(blocks))
}

#[cfg(test)]
mod tests;
