//! Making and checking password hashes: pure functions, each call costs milliseconds of one core.
//!
//! New hashes are Argon2id (RFC 9106) with the parameters below. Hashes that came from other software are
//! checked as that software made them: Argon2 of any kind, bcrypt, and passlib's bcrypt over SHA-256. Such a
//! check costs what that software chose, so until its owner signs in once and it is replaced, the time it takes
//! tells that the account exists. What a newcomer gets wrong: calling this on a thread that serves requests.
//! Only [`super::pool`] calls it.

use super::policy::{NewPassword, PresentedPassword};
use crate::error::{Error, ErrorCode, Result};
use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use std::time::Duration;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Memory of one new hash, in KiB (with the next two, OWASP's first choice for Argon2id).
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory.
const PASSES: u32 = 2;
/// Lanes that memory is divided into.
const LANES: u32 = 1;
/// How a new hash begins: the PHC form of the above.
const CURRENT: &str = "$argon2id$v=19$m=19456,t=2,p=1$";
/// Bytes of the salt of a new hash.
pub const SALT_BYTES: usize = 16;
/// Bytes of the output of a new hash.
const OUTPUT_BYTES: usize = 32;

/// Memory that a stored hash may ask for, in KiB: 1 GiB, as libsodium's most careful setting.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
/// Memory times passes that a stored hash may ask for, in KiB: that setting's four passes, some two seconds.
const MAX_WORK_KIB: u64 = 4 * MAX_MEMORY_KIB as u64;
/// Rounds of bcrypt that a stored hash may ask for, as a power of two: some three seconds.
const MAX_BCRYPT_COST: u32 = 16;
/// Bytes that bcrypt takes of a password.
const BCRYPT_BYTES: usize = 72;
/// Characters of bcrypt's salt in its own base64.
const BCRYPT_SALT_CHARS: usize = 22;

/// bcrypt's base64. Some software leaves noise in the bits of the last character that encode nothing.
const BCRYPT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::BCRYPT,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
);

/// Checked when there is no account, so that the answer takes as long: random bytes, no password's hash.
const DECOY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$TlpTz4yY6LFLJWktAC/GCw$f6P/glxd5eIliZoV4YyIg6G7HqqJtoZIczhb+gYDVtA";

/// What checking a password came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
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
pub struct Memory {
    blocks: Vec<Block>,
    taking: Taking,
}

/// Runs what takes memory and touches all of it, and may see to it what pages that memory is made of.
pub type Taking = fn(&mut dyn FnMut());

impl Default for Memory {
    fn default() -> Self {
        Self::new(|take| take())
    }
}

impl Memory {
    /// None yet; it will be taken within `taking`.
    #[must_use]
    pub fn new(taking: Taking) -> Self {
        Self { blocks: Vec::new(), taking }
    }

    /// Gives the memory back; the next use takes it anew.
    pub fn release(&mut self) {
        self.blocks = Vec::new();
    }

    /// Whether there is any to give back.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.blocks.is_empty()
    }

    fn blocks(&mut self, count: usize) -> &mut [Block] {
        let Self { blocks, taking } = self;
        if blocks.is_empty() {
            taking(&mut || blocks.resize(MEMORY_KIB as usize, Block::new()));
        }
        &mut blocks[..count]
    }
}

/// The PHC string to store for a new password.
pub fn hash(password: &NewPassword, salt: [u8; SALT_BYTES], memory: &mut Memory) -> String {
    let mut output = [0; OUTPUT_BYTES];
    let params =
        Params::new(MEMORY_KIB, PASSES, LANES, Some(OUTPUT_BYTES)).expect("Argon2 takes these parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    run_argon2(&argon2, password.as_bytes(), &salt, &mut output, memory)
        .expect("Argon2 takes every password");
    format!("{CURRENT}{}${}", STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output))
}

/// Whether `password` is the one that `stored` was made from. A hash that cannot be read matches nothing, takes
/// as long as one of ours, and is reported in the log.
///
/// # Errors
/// `sign_in_busy` if there is not enough memory for a hash of larger parameters than ours.
pub fn verify(password: &PresentedPassword, stored: &str, memory: &mut Memory) -> Result<Verdict> {
    let Some(stored) = Stored::parse(stored) else {
        tracing::error!("a stored password hash cannot be read; nobody can sign in with it");
        return verify(password, decoy(), memory).map(|_| Verdict::NoMatch);
    };
    if stored.was_made_from(password.normalized(), memory)? && password.may_match() {
        return Ok(Verdict::Match { rehash: !stored.is_current() });
    }
    // Other software takes a password as it is typed.
    match password.raw() {
        Some(raw) if stored.was_made_from(raw, memory)? => Ok(Verdict::Match { rehash: true }),
        _ => Ok(Verdict::NoMatch),
    }
}

/// Whether somebody could sign in with that hash, at a cost that is borne.
#[must_use]
pub fn is_readable(stored: &str) -> bool {
    Stored::parse(stored).is_some()
}

/// A hash that no password matches and that takes as long to check as those of [`hash`].
#[must_use]
pub const fn decoy() -> &'static str {
    DECOY
}

/// A stored hash, taken apart.
enum Stored {
    Argon2 {
        argon2: Argon2<'static>,
        salt: Salt,
        output: Output,
        /// Whether [`hash`] would use the same parameters.
        current: bool,
    },
    Bcrypt(Bcrypt),
    /// passlib's `bcrypt_sha256`, which lets bcrypt see all of a long password.
    BcryptSha256 {
        digest: PreDigest,
        bcrypt: Bcrypt,
    },
}

enum PreDigest {
    /// Its first version.
    Sha256,
    /// Its second version; the key is the salt, as written.
    HmacSha256 { key: Box<str> },
}

struct Bcrypt {
    cost: u32,
    salt: [u8; 16],
    output: [u8; 23],
}

impl Stored {
    fn parse(text: &str) -> Option<Self> {
        if text.starts_with("$argon2") {
            Self::parse_argon2(text)
        } else if let Some(rest) = text.strip_prefix("$bcrypt-sha256$") {
            Self::parse_bcrypt_sha256(rest)
        } else {
            let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|kind| text.strip_prefix(kind))?;
            let (cost, rest) = rest.split_once('$')?;
            let (salt, output) = rest.split_at_checked(BCRYPT_SALT_CHARS)?;
            Bcrypt::parse(cost, salt, output).map(Self::Bcrypt)
        }
    }

    fn parse_argon2(text: &str) -> Option<Self> {
        let hash = PasswordHash::new(text).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
        if params.m_cost() > MAX_MEMORY_KIB || work > MAX_WORK_KIB {
            return None;
        }
        let algorithm = Algorithm::new(hash.algorithm).ok()?;
        // Strings from before version 19 (1.3) name no version.
        let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from).ok()?;
        let argon2 = Argon2::new(algorithm, version, params);
        let (salt, output) = (hash.salt?, hash.hash?);
        let current = text.starts_with(CURRENT) && salt.len() == SALT_BYTES && output.len() == OUTPUT_BYTES;
        Some(Self::Argon2 { argon2, salt, output, current })
    }

    /// `v=2,t=2b,r=12$salt$output`, or `2b,12$salt$output` in the first version.
    fn parse_bcrypt_sha256(text: &str) -> Option<Self> {
        let mut parts = text.split('$');
        let (params, salt, output) = (parts.next()?, parts.next()?, parts.next()?);
        let (digest, kind, cost) = match params.strip_prefix("v=2,t=") {
            Some(params) => {
                let (kind, cost) = params.split_once(",r=")?;
                (PreDigest::HmacSha256 { key: salt.into() }, kind, cost)
            }
            None => {
                let (kind, cost) = params.split_once(',')?;
                (PreDigest::Sha256, kind, cost)
            }
        };
        let bcrypt = Bcrypt::parse(cost, salt, output)?;
        (matches!(kind, "2a" | "2b") && parts.next().is_none())
            .then_some(Self::BcryptSha256 { digest, bcrypt })
    }

    fn was_made_from(&self, password: &[u8], memory: &mut Memory) -> Result<bool> {
        match self {
            Self::Argon2 { argon2, salt, output, .. } => {
                let mut made = Zeroizing::new(vec![0; output.len()]);
                run_argon2(argon2, password, salt, &mut made, memory).map_err(|cause| {
                    tracing::error!(%cause, "a stored password hash needs more memory than there is");
                    Error::new(ErrorCode::SignInBusy).retry_after(Duration::from_secs(1))
                })?;
                Ok(made.ct_eq(output.as_bytes()).into())
            }
            Self::Bcrypt(bcrypt) => Ok(bcrypt.was_made_from(password)),
            Self::BcryptSha256 { digest, bcrypt } => {
                let digest = Zeroizing::new(digest.of(password));
                Ok(bcrypt.was_made_from(digest.as_bytes()))
            }
        }
    }

    const fn is_current(&self) -> bool {
        matches!(self, Self::Argon2 { current: true, .. })
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

impl Bcrypt {
    fn parse(cost: &str, salt: &str, output: &str) -> Option<Self> {
        let cost = cost.parse().ok().filter(|cost| (4..=MAX_BCRYPT_COST).contains(cost))?;
        let salt = BCRYPT_BASE64.decode(salt).ok()?.try_into().ok()?;
        let output = BCRYPT_BASE64.decode(output).ok()?.try_into().ok()?;
        Some(Self { cost, salt, output })
    }

    /// bcrypt takes 72 bytes, and the software these hashes come from dropped the rest without a word: a longer
    /// password has to be cut here as it was there, or its owner is locked out. The rehash takes all of it.
    fn was_made_from(&self, password: &[u8]) -> bool {
        let taken = password.len().min(BCRYPT_BYTES);
        let mut key = Zeroizing::new([0; BCRYPT_BYTES]);
        key[..taken].copy_from_slice(&password[..taken]);
        // With the zero that ends it, where there is room.
        let made = bcrypt::bcrypt(self.cost, self.salt, &key[..BCRYPT_BYTES.min(taken + 1)]);
        made[..self.output.len()].ct_eq(&self.output).into()
    }
}

/// Runs in `memory` if that is large enough, else in memory of its own.
fn run_argon2(
    argon2: &Argon2<'_>,
    password: &[u8],
    salt: &[u8],
    output: &mut [u8],
    memory: &mut Memory,
) -> argon2::Result<()> {
    let blocks = argon2.params().block_count();
    if blocks > MEMORY_KIB as usize {
        return argon2.hash_password_into(password, salt, output);
    }
    argon2.hash_password_into_with_memory(password, salt, output, memory.blocks(blocks))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "securepassword123";
    /// Longer than the 72 bytes bcrypt takes, which end in `b`.
    const LONG: &str =
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx0123456789abcdefghijklmnop";
    /// Not in NFKC.
    const RAW: &str = "Cafe\u{301}-№5-secret";
    const REHASH: Verdict = Verdict::Match { rehash: true };
    const KEEP: Verdict = Verdict::Match { rehash: false };

    fn check(password: &str, stored: &str) -> Verdict {
        verify(&PresentedPassword::new(password), stored, &mut Memory::default()).unwrap()
    }

    /// Made by passlib 1.7.4, argon2-cffi 25.1 and bcrypt 4.0.1.
    const FOREIGN: &[(&str, &str, Verdict)] = &[
        // passlib's default, and argon2-cffi's
        (
            PASSWORD,
            "$argon2id$v=19$m=65536,t=3,p=4$GgOg1FrrXWvNOcdYy3lPaQ$wIJ3oosztDb/6DA6rxj4IuVCl22bBUhXTSqSt1y8554",
            REHASH,
        ),
        (
            PASSWORD,
            "$argon2i$v=19$m=1024,t=2,p=2$7F2rdU4pZQwB4Lw35vw/5w$ksiJHiYzG+RxaVVcwbEKn8azCusTJoHsN3kyukBfyII",
            REHASH,
        ),
        (
            PASSWORD,
            "$argon2d$v=19$m=512,t=1,p=1$x1iLce79nzNGyLl3bg1BCA$zMwytg+GqZ6r3d3IpMIEp92eMNhyMSMOE9plIFBF+x8",
            REHASH,
        ),
        (PASSWORD, "$argon2i$v=16$m=512,t=2,p=1$c2FsdHNhbHRzYWx0$YReYeTSy08oFtpPVQf9K20LgK5GJIQam", REHASH),
        (PASSWORD, "$argon2i$m=512,t=2,p=1$c2FsdHNhbHRzYWx0$YReYeTSy08oFtpPVQf9K20LgK5GJIQam", REHASH),
        (
            PASSWORD,
            "$argon2id$v=19$m=64,t=1,p=1$/Ha78jCRk+/nFR9JwCfT7zGtB3CKUauleHJCI7DJgns$6i5MkuhE2L4PC/Ted++YPqWekV1vUEH2b+7ku3AJjiSFTeCLoktFnT6DlPpzDMAJnbY+gCCJYMgWSLnRLNXSpA",
            REHASH,
        ),
        // ours, with another salt and output length, and exactly ours
        (PASSWORD, "$argon2id$v=19$m=19456,t=2,p=1$BcExiLR/8o0$XsCbYrw5Apfuvcu6UYdJew", REHASH),
        (
            PASSWORD,
            "$argon2id$v=19$m=19456,t=2,p=1$Q7CmCRqLzi8z5M3povfOZg$Ahc3x7BNuw2IkkDNR+V+UEjXKeQLMI+x2wDmcdWQmvI",
            KEEP,
        ),
        // exactly ours, but for normalization
        (
            RAW,
            "$argon2id$v=19$m=19456,t=2,p=1$OY7+SY30JOYN4VDAwXql1g$Jmn26xUiPNSFDdREFRQhmjWKrHv+4/uzEwsFaNTUIq4",
            REHASH,
        ),
        (
            RAW,
            "$argon2id$v=19$m=64,t=1,p=1$UP53+xp/VZw7KyMd045eEg$/XnwlmKpm+R/fOEJ8jVkWcYazO0VD0fQf6Bpd+rmP1U",
            REHASH,
        ),
        (PASSWORD, "$2a$04$0Y/wJ5D0spf.BO7ZCd2D/O0tIwgIEhFg14kL8/8jUP9Yc0X2SY/2.", REHASH),
        (PASSWORD, "$2b$04$r8gnGXvLb9faaEPtrPyMne.rXcF51overz1qt/TrCZjeGbdsHuj0q", REHASH),
        (PASSWORD, "$2y$04$eVVE91813clkgJJ3/qYx0ePgTYNdmmCaaxqLL3lR9VV1ST975Toce", REHASH),
        (PASSWORD, "$2b$12$3fSMlvVZqCHSw3UOVdvl.e9eNbheF3ANfoVvtvdvq9neHXYChVqUi", REHASH),
        // the salt's last character with noise in the bits that encode nothing
        (PASSWORD, "$2b$04$r8gnGXvLb9faaEPtrPyMnf.rXcF51overz1qt/TrCZjeGbdsHuj0q", REHASH),
        ("пароль-для-Ани", "$2b$04$dL7RoptJS4oYk3D3qONp.uQS6Gu3TRTauOodTDRZFfTbaMPBVjvMa", REHASH),
        (RAW, "$2b$04$mSjb80VkU5FSUqHQr9daruwiBZ4JqUZf6HU427pAsxKxg5Aot/ObG", REHASH),
        (LONG, "$2b$04$FhOgznpZ8rSfYI5SlWJzXeeNfAy5HXqOwChLscye5J7xj3dHV6Req", REHASH),
        (
            PASSWORD,
            "$bcrypt-sha256$v=2,t=2b,r=4$bcZSTdJjVV.Ljjeh176C7e$0jU0Ivs0Qhwjy1OiFVRww1e02XUCY4C",
            REHASH,
        ),
        (LONG, "$bcrypt-sha256$v=2,t=2b,r=4$a2g1UwOf.ezlJMYe.8LjZe$sSuLqyRhk0wMSzaW.RYXWf.8i/qgpbO", REHASH),
        (PASSWORD, "$bcrypt-sha256$2a,4$Jyu9DqsereVDKgAHXeUPue$FqVzQFPz1iKYNRGTZd8B.q2nSRkzjgm", REHASH),
        (PASSWORD, "$bcrypt-sha256$2b,4$7/o5td91eFJmGTSzMmYr5.$KkohICRtM44LLbZHuRvX0kXX9nBJXW6", REHASH),
    ];

    #[test]
    fn hashes_of_other_software_are_checked_as_it_made_them() {
        for (password, stored, expected) in FOREIGN {
            assert_eq!(check(password, stored), *expected, "{stored}");
            for wrong in ["", "securepassword124", &format!("x{password}"), "\0"] {
                assert_eq!(check(wrong, stored), Verdict::NoMatch, "{stored}");
            }
        }
    }

    #[test]
    fn a_hash_of_ours_is_checked_and_kept() {
        let mut memory = Memory::default();
        for password in [PASSWORD, RAW, LONG, &"é".repeat(256)] {
            let new = NewPassword::parse(password, 8).unwrap();
            let stored = hash(&new, *b"sixteen byte salt".first_chunk().unwrap(), &mut memory);
            assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$c2l4dGVlbiBieXRlIHNhbA$"), "{stored}");
            assert_eq!(check(password, &stored), KEEP);
            assert_eq!(check(&format!("{password} "), &stored), Verdict::NoMatch);
        }
    }

    #[test]
    fn the_memory_of_one_hash_leaves_no_trace_in_the_next() {
        let mut memory = Memory::default();
        let password = NewPassword::parse(PASSWORD, 8).unwrap();
        let first = hash(&password, [1; SALT_BYTES], &mut memory);
        assert_ne!(hash(&password, [2; SALT_BYTES], &mut memory), first);
        assert_eq!(hash(&password, [1; SALT_BYTES], &mut memory), first);
        assert!(memory.is_held());
        memory.release();
        assert!(!memory.is_held());
        assert_eq!(hash(&password, [1; SALT_BYTES], &mut memory), first);
    }

    #[test]
    fn what_replaces_an_old_hash_takes_all_of_the_password() {
        let (_, stored, _) = FOREIGN.iter().find(|(password, ..)| *password == LONG).unwrap();
        let presented = PresentedPassword::new(LONG);
        assert_eq!(verify(&presented, stored, &mut Memory::default()).unwrap(), REHASH);
        // bcrypt took 72 bytes ...
        assert_eq!(check(&LONG[..72], stored), REHASH);
        assert_eq!(check(&LONG[..71], stored), Verdict::NoMatch);
        // ... and the new hash takes all.
        let rehashed = hash(&presented.into_verified(), [7; SALT_BYTES], &mut Memory::default());
        assert_eq!(check(LONG, &rehashed), KEEP);
        assert_eq!(check(&LONG[..72], &rehashed), Verdict::NoMatch);
    }

    #[test]
    fn a_password_that_is_too_long_matches_nothing() {
        let stored =
            hash(&PresentedPassword::new("").into_verified(), [7; SALT_BYTES], &mut Memory::default());
        assert_eq!(check("", &stored), KEEP);
        assert_eq!(check(&"x".repeat(257), &stored), Verdict::NoMatch);
    }

    #[test]
    fn the_decoy_costs_what_a_hash_of_ours_costs() {
        assert!(Stored::parse(decoy()).is_some_and(|stored| stored.is_current()));
        assert_eq!(check(PASSWORD, decoy()), Verdict::NoMatch);
    }

    #[test]
    fn a_hash_that_cannot_be_read_matches_nothing() {
        for stored in [
            "",
            "securepassword123",
            "$",
            "$1$salt$hash",
            "$argon2id",
            "$argon2id$v=19$m=19456,t=2,p=1$Q7CmCRqLzi8z5M3povfOZg",
            "$argon2id$v=20$m=64,t=1,p=1$UP53+xp/VZw7KyMd045eEg$/XnwlmKpm+R/fOEJ8jVkWcYazO0VD0fQf6Bpd+rmP1U",
            "$argon2x$v=19$m=64,t=1,p=1$UP53+xp/VZw7KyMd045eEg$/XnwlmKpm+R/fOEJ8jVkWcYazO0VD0fQf6Bpd+rmP1U",
            "$argon2id$v=19$m=64,t=1,p=1$YWJj$/XnwlmKpm+R/fOEJ8jVkWcYazO0VD0fQf6Bpd+rmP1U",
            "$2b$04$r8gnGXvLb9faaEPtrPyMne.rXcF51overz1qt/TrCZjeGbdsHuj0",
            "$2b$04$r8gnGXvLb9faaEPtrPyMne.rXcF51overz1qt/TrCZjeGbdsHuj0qq",
            "$2b$04$r8gnGXvLb9faaEPtrPyMné.rXcF51overz1qt/TrCZjeGbdsHuj0q",
            "$2x$04$r8gnGXvLb9faaEPtrPyMne.rXcF51overz1qt/TrCZjeGbdsHuj0q",
            "$2b$03$r8gnGXvLb9faaEPtrPyMne.rXcF51overz1qt/TrCZjeGbdsHuj0q",
            "$bcrypt-sha256$v=3,t=2b,r=4$bcZSTdJjVV.Ljjeh176C7e$0jU0Ivs0Qhwjy1OiFVRww1e02XUCY4C",
            "$bcrypt-sha256$v=2,t=2x,r=4$bcZSTdJjVV.Ljjeh176C7e$0jU0Ivs0Qhwjy1OiFVRww1e02XUCY4C",
            "$bcrypt-sha256$v=2,t=2b,r=4$bcZSTdJjVV.Ljjeh176C7e$0jU0Ivs0Qhwjy1OiFVRww1e02XUCY4C$",
            "$bcrypt-sha256$",
        ] {
            assert!(Stored::parse(stored).is_none(), "{stored}");
            assert_eq!(check(PASSWORD, stored), Verdict::NoMatch, "{stored}");
        }
    }

    #[test]
    fn a_hash_that_asks_for_too_much_is_not_computed() {
        let rest = "UP53+xp/VZw7KyMd045eEg$/XnwlmKpm+R/fOEJ8jVkWcYazO0VD0fQf6Bpd+rmP1U";
        for params in
            ["m=1048577,t=1,p=1", "m=1048576,t=5,p=1", "m=64,t=4294967295,p=1", "m=4294967295,t=1,p=1"]
        {
            assert!(Stored::parse(&format!("$argon2id$v=19${params}${rest}")).is_none(), "{params}");
        }
        assert!(Stored::parse(&format!("$argon2id$v=19$m=1048576,t=4,p=1${rest}")).is_some());
        assert!(Stored::parse("$2b$17$r8gnGXvLb9faaEPtrPyMne.rXcF51overz1qt/TrCZjeGbdsHuj0q").is_none());
        assert!(Stored::parse("$2b$16$r8gnGXvLb9faaEPtrPyMne.rXcF51overz1qt/TrCZjeGbdsHuj0q").is_some());
    }
}
