//! bcrypt hashes as text (`$2b$12$...`), and passlib's bcrypt over SHA-256.
//!
//! bcrypt compares only the first 72 bytes of a password, and cannot tell some passwords with a zero byte
//! from others. Code that relies on a match must ask [`Bcrypt::compares_all_of`] first.

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Rounds of bcrypt that a stored hash may ask for, as a power of two: some three seconds.
const MAX_COST: u32 = 16;
/// The fewest rounds that bcrypt accepts.
const MIN_COST: u32 = 4;
/// The bytes of a password that bcrypt uses.
const PASSWORD_BYTES: usize = 72;
/// Characters of bcrypt's salt in its own base64.
const SALT_CHARS: usize = 22;

/// bcrypt's base64. Some software leaves noise in the bits of the last character that encode nothing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::BCRYPT,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// A parsed bcrypt hash.
pub(super) struct Bcrypt {
    cost: u32,
    salt: [u8; 16],
    output: [u8; 23],
}

impl Bcrypt {
    /// Parses `text`, which begins with `$2`.
    ///
    /// # Errors
    /// The sentence that says why it cannot be checked, without the text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = ["$2a$", "$2b$", "$2y$"].iter().find_map(|kind| text.strip_prefix(kind)) else {
            return Err("Must be `$2b$`, `$2a$` or `$2y$` at its beginning, if it is bcrypt.".into());
        };
        let (cost, rest) = rest.split_once('$').ok_or_else(malformed)?;
        let (salt, output) = rest.split_at_checked(SALT_CHARS).ok_or_else(malformed)?;
        Self::of_parts(cost, salt, output)
    }

    fn of_parts(cost: &str, salt: &str, output: &str) -> Result<Self, String> {
        let cost = cost.parse().map_err(|_| malformed())?;
        if !(MIN_COST..=MAX_COST).contains(&cost) {
            return Err(format!("Asks for a bcrypt cost of {cost}: {MIN_COST} to {MAX_COST} are supported."));
        }
        let decode = |text: &str| BASE64.decode(text).map_err(|_| malformed());
        let salt = decode(salt)?.try_into().map_err(|_| malformed())?;
        let output = decode(output)?.try_into().map_err(|_| malformed())?;
        Ok(Self { cost, salt, output })
    }

    /// bcrypt takes 72 bytes, and the software these hashes come from silently dropped the rest: a longer
    /// password has to be cut in the same way here, or its owner is locked out.
    pub(super) fn was_made_from(&self, password: &[u8]) -> bool {
        let taken = password.len().min(PASSWORD_BYTES);
        let mut key = Zeroizing::new([0; PASSWORD_BYTES]);
        key[..taken].copy_from_slice(&password[..taken]);
        // With the zero that ends it, where there is room.
        let made = bcrypt::bcrypt(self.cost, self.salt, &key[..PASSWORD_BYTES.min(taken + 1)]);
        made[..self.output.len()].ct_eq(&self.output).into()
    }

    /// Whether a match proves every byte of `password`. For 72 bytes it does not: the zero that ends a
    /// shorter password is no longer compared, so the original password may be longer. Nor does it after a
    /// zero byte: bcrypt repeats its input, so that it cannot tell `a` from `a`, zero, `a`.
    pub(super) fn compares_all_of(password: &[u8]) -> bool {
        password.len() < PASSWORD_BYTES && !password.contains(&0)
    }
}

fn malformed() -> String {
    "Must be `$2b$`, a cost of two digits, `$`, 22 characters of salt and 31 of hash, if it is bcrypt.".into()
}

/// passlib's `bcrypt_sha256`, which lets bcrypt see all of a long password.
pub(super) struct BcryptSha256 {
    digest: PreDigest,
    bcrypt: Bcrypt,
}

enum PreDigest {
    /// Its first version.
    Sha256,
    /// Its second version; the key is the salt, as written.
    HmacSha256 { key: Box<str> },
}

impl BcryptSha256 {
    /// Parses `v=2,t=2b,r=12$salt$output`, or `2b,12$salt$output` in the first version.
    ///
    /// # Errors
    /// The sentence that says why it cannot be checked, without the text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let malformed =
            || "Must be passlib's `$bcrypt-sha256$v=2,t=2b,r=12$salt$hash`, if it begins so.".to_owned();
        let parts: Vec<&str> = text.split('$').collect();
        let [parameters, salt, output] = parts[..] else { return Err(malformed()) };
        let (digest, kind, cost) = match parameters.strip_prefix("v=2,t=") {
            Some(parameters) => {
                let (kind, cost) = parameters.split_once(",r=").ok_or_else(malformed)?;
                (PreDigest::HmacSha256 { key: salt.into() }, kind, cost)
            }
            None => {
                let (kind, cost) = parameters.split_once(',').ok_or_else(malformed)?;
                (PreDigest::Sha256, kind, cost)
            }
        };
        if !matches!(kind, "2a" | "2b") {
            return Err(malformed());
        }
        Ok(Self { digest, bcrypt: Bcrypt::of_parts(cost, salt, output)? })
    }

    pub(super) fn was_made_from(&self, password: &[u8]) -> bool {
        let digest = Zeroizing::new(self.digest.of(password));
        self.bcrypt.was_made_from(digest.as_bytes())
    }
}

impl PreDigest {
    fn of(&self, password: &[u8]) -> String {
        match self {
            Self::Sha256 => STANDARD.encode(digest::digest(&digest::SHA256, password)),
            Self::HmacSha256 { key } => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
                STANDARD.encode(hmac::sign(&key, password))
            }
        }
    }
}
