//! Settings that must not appear in a log, an error or `Debug` output.

use super::value::{Limits, Value};
use std::fmt;

/// The least bytes of a secret that signs tokens: what HMAC with SHA-256 takes (RFC 7518, 3.2).
pub const SECRET_MIN_BYTES: usize = 32;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the code that has to use it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Value for Secret {
    const SHAPE: &'static str = "SECRET";
    const SECRET: bool = true;

    fn parse(text: &str, _: &Limits) -> Option<Self> {
        Some(Self(text.to_owned()))
    }

    fn rule(_: &Limits) -> String {
        "any text".to_owned()
    }
}

/// A secret that signs tokens: long enough, and not copied from an example.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Secret);

impl SigningSecret {
    /// The text itself, for signing and verifying.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Value for SigningSecret {
    const SHAPE: &'static str = Secret::SHAPE;
    const SECRET: bool = true;

    fn parse(text: &str, _: &Limits) -> Option<Self> {
        let good = text.len() >= SECRET_MIN_BYTES && !is_placeholder(text);
        good.then(|| Self(Secret(text.to_owned())))
    }

    fn rule(_: &Limits) -> String {
        format!(
            "a random text of at least {SECRET_MIN_BYTES} bytes, not a placeholder: \
             make one with `openssl rand -base64 {SECRET_MIN_BYTES}`"
        )
    }
}

/// Placeholders from examples, in lower case with `-` between words.
const PLACEHOLDERS: &[&str] = &[
    "changeme",
    "change-me",
    "change-this",
    "change-it",
    "change-in-prod",
    "example-secret",
    "placeholder",
    "replace",
    "super-secret",
    "supersecret",
    "your-jwt-secret",
    "your-secret",
    "your-super-secret",
    // The secrets printed in the FastAPI tutorial and on jwt.io: long enough, and known to everybody.
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "a-string-secret-at-least-256-bits-long",
];

fn is_placeholder(text: &str) -> bool {
    let one_character = text.chars().all(|c| text.starts_with(c));
    let words = text.to_lowercase().replace(['_', ' ', '.'], "-");
    one_character || PLACEHOLDERS.iter().any(|placeholder| words.contains(placeholder))
}

#[cfg(test)]
mod tests {
    use super::super::value::Unit;
    use super::*;

    fn signing(text: &str) -> Option<SigningSecret> {
        SigningSecret::parse(text, &Limits::new(0, 0, Unit::One))
    }

    #[test]
    fn signing_secret_of_32_random_bytes_is_accepted() {
        for text in [
            "3q2+7w8bTZp0m1xYcVQhJ5n6RkLsUeAf",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "correct horse battery staple on four legs",
        ] {
            assert_eq!(signing(text).unwrap().expose(), text);
        }
    }

    #[test]
    fn signing_secret_that_is_short_or_well_known_is_rejected() {
        for text in [
            "3q2+7w8bTZp0m1xYcVQhJ5n6RkLsUeA",
            "secret",
            "your-secret-key",
            "supersecretsupersecretsupersecret",
            "your-super-secret-jwt-key-change-in-production",
            "YOUR_SECRET_KEY_HERE_AT_LEAST_32_BYTES",
            "please change this before you go live",
            "changeme-changeme-changeme-changeme",
            "replace-with-a-long-random-string-of-yours",
            "example.secret.example.secret.example",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        ] {
            assert_eq!(signing(text), None, "{text}");
        }
    }

    #[test]
    fn secret_is_hidden_in_debug_output() {
        let secret = signing("3q2+7w8bTZp0m1xYcVQhJ5n6RkLsUeAf").unwrap();
        assert_eq!(format!("{secret:?} {:?}", Some(Secret("hidden".into()))), "[secret] Some([secret])");
    }
}
