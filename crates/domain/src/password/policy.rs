//! The rules for new passwords, and the normalization of presented ones.
//!
//! Both are normalized to Unicode NFKC, so that a password can be typed on every keyboard. Nothing is ever
//! truncated.

use crate::limits::{PASSWORD_COMMON_GUESSES, PASSWORD_MAX_CHARS};
use std::fmt;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Bytes of a text that can still have [`PASSWORD_MAX_CHARS`] characters in NFKC: each may have been written as
/// four (the longest canonical decomposition) of four bytes.
const INPUT_MAX_BYTES: usize = PASSWORD_MAX_CHARS * 16;
/// The longest password, in characters, that is checked for being common. The estimator's cost grows faster
/// than the length: it stays under a millisecond here, and would be fourteen for a hundred characters.
const COMMON_MAX_CHARS: usize = 24;

/// A new password that follows the rules, ready to be hashed. Its memory is overwritten when it is dropped.
pub struct NewPassword(Zeroizing<String>);

impl NewPassword {
    /// Takes `text` as a new password of at least `min_chars` characters.
    ///
    /// # Errors
    /// The sentence that says which rule it breaks, without the text.
    pub fn parse(text: &str, min_chars: usize) -> Result<Self, String> {
        let length_rule = || Err(format!("Must have {min_chars} to {PASSWORD_MAX_CHARS} characters."));
        if text.len() > INPUT_MAX_BYTES {
            return length_rule();
        }
        let password = to_nfkc(text);
        let length = password.chars().count();
        if !(min_chars..=PASSWORD_MAX_CHARS).contains(&length) {
            return length_rule();
        }
        if password.contains(char::is_control) {
            return Err("Must not contain control characters: not every keyboard can type them.".into());
        }
        if length <= COMMON_MAX_CHARS && is_common(&password) {
            return Err("Must not be one of the most common passwords.".into());
        }
        Ok(Self(password))
    }

    /// The bytes to hash.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword(..)")
    }
}

/// A password that somebody signs in with: any text. Its memory is overwritten when it is dropped.
#[derive(Clone)]
pub struct PresentedPassword {
    normalized: Zeroizing<String>,
    /// The password as it was typed, if that differs.
    raw: Option<Zeroizing<String>>,
    /// Longer than any password may be: it matches nothing, but the check takes as long.
    too_long: bool,
}

impl PresentedPassword {
    /// Takes any text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if text.len() <= INPUT_MAX_BYTES {
            let normalized = to_nfkc(text);
            if normalized.chars().count() <= PASSWORD_MAX_CHARS {
                let raw = (*normalized != text).then(|| Zeroizing::new(text.to_owned()));
                return Self { normalized, raw, too_long: false };
            }
        }
        Self { normalized: Zeroizing::default(), raw: None, too_long: true }
    }

    /// Turns it into one to hash again, after it was verified; the rules for new passwords do not apply.
    #[must_use]
    pub fn into_verified(self) -> NewPassword {
        NewPassword(self.normalized)
    }

    /// The bytes that our hashes are made from.
    pub(super) fn normalized(&self) -> &[u8] {
        self.normalized.as_bytes()
    }

    /// The bytes that hashes of other software are made from, if they differ.
    pub(super) fn raw(&self) -> Option<&[u8]> {
        self.raw.as_ref().map(|raw| raw.as_bytes())
    }

    /// Whether it may match anything.
    pub(super) const fn may_match(&self) -> bool {
        !self.too_long
    }
}

impl fmt::Debug for PresentedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedPassword(..)")
    }
}

fn to_nfkc(text: &str) -> Zeroizing<String> {
    // Room for nearly every text, so that growing leaves no copy behind.
    let mut normalized = Zeroizing::new(String::with_capacity(text.len() * 2));
    normalized.extend(text.nfkc());
    normalized
}

fn is_common(password: &str) -> bool {
    zxcvbn::zxcvbn(password, &[]).guesses() < PASSWORD_COMMON_GUESSES
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule_broken_by(text: &str) -> String {
        NewPassword::parse(text, 8).expect_err(text)
    }

    #[test]
    fn password_policy_accepts_reference_passwords() {
        for text in [
            "securepassword123",
            "newpassword123",
            "SecurePassword123",
            "MySecurePassword123",
            "SecurePass123",
            "correct horse battery staple",
            "пароль-для-Ани",
            "🦄🚀🦄🚀🍺☃🍺☃",
            "        a b c d        ",
        ] {
            assert!(NewPassword::parse(text, 8).is_ok(), "{text}");
        }
    }

    #[test]
    fn password_policy_rejects_most_common_passwords() {
        for text in [
            "password",
            "Password1",
            "12345678",
            "qwertyuiop",
            "iloveyou",
            "11111111",
            "letmein1",
            "P@ssw0rd",
            "passwordpassword",
            "ｐａｓｓｗｏｒｄ",
        ] {
            assert_eq!(rule_broken_by(text), "Must not be one of the most common passwords.", "{text}");
        }
    }

    #[test]
    fn password_length_is_configured_minimum_to_256() {
        assert_eq!(rule_broken_by("kR7;pq2"), "Must have 8 to 256 characters.");
        assert_eq!(rule_broken_by(""), "Must have 8 to 256 characters.");
        assert_eq!(NewPassword::parse("kR7;pq2x", 12).unwrap_err(), "Must have 12 to 256 characters.");
        assert!(NewPassword::parse("kR7;pq2x", 8).is_ok());
        assert!(NewPassword::parse(&"xy".repeat(128), 8).is_ok());
        assert_eq!(rule_broken_by(&"x".repeat(257)), "Must have 8 to 256 characters.");
        assert_eq!(rule_broken_by(&"x".repeat(1_000_000)), "Must have 8 to 256 characters.");
    }

    #[test]
    fn password_characters_are_counted_in_nfkc() {
        let decomposed: String = "각힣Ǖ".repeat(85).nfd().collect();
        assert!(decomposed.chars().count() > 2 * PASSWORD_MAX_CHARS);
        assert!(NewPassword::parse(&decomposed, 8).is_ok());
        // One ligature is eighteen characters.
        assert_eq!(rule_broken_by(&"\u{fdfa}".repeat(15)), "Must have 8 to 256 characters.");
    }

    #[test]
    fn password_policy_rejects_control_characters() {
        for text in ["kR7;\0pq2x", "kR7;\tpq2x", "kR7;pq2x\n", "kR7;\u{85}pq2x"] {
            assert!(rule_broken_by(text).starts_with("Must not contain control characters"), "{text:?}");
        }
    }

    #[test]
    fn password_is_equal_in_every_unicode_form() {
        let chosen = NewPassword::parse("Ｐａｓｓ-Cafe\u{301}-№５", 8).unwrap();
        let presented = PresentedPassword::new("Pass-Café-No5");
        assert_eq!(chosen.as_bytes(), presented.normalized());
        assert_eq!(presented.raw(), None);
        assert_eq!(PresentedPassword::new("Cafe\u{301}").raw(), Some("Cafe\u{301}".as_bytes()));
    }

    #[test]
    fn presented_password_is_never_truncated() {
        assert!(PresentedPassword::new(&"x".repeat(256)).may_match());
        for text in ["x".repeat(257), "\u{fdfa}".repeat(15), "x".repeat(1_000_000)] {
            let presented = PresentedPassword::new(&text);
            assert!(!presented.may_match() && presented.normalized().is_empty());
        }
    }

    #[test]
    fn password_is_hidden_in_debug_output() {
        let chosen = NewPassword::parse("securepassword123", 8).unwrap();
        let presented = PresentedPassword::new("securepassword123");
        assert_eq!(format!("{chosen:?} {presented:?}"), "NewPassword(..) PresentedPassword(..)");
    }

    proptest! {
        #[test]
        fn password_once_accepted_is_recognized(text in "\\PC{8,40}") {
            if let Ok(chosen) = NewPassword::parse(&text, 8) {
                let presented = PresentedPassword::new(&text);
                prop_assert!(presented.may_match());
                prop_assert_eq!(presented.normalized(), chosen.as_bytes());
                let verified = presented.into_verified();
                prop_assert_eq!(verified.as_bytes(), chosen.as_bytes());
            }
        }
    }
}
