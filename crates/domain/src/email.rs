//! E-mail addresses: kept as they were given, compared without case.
//!
//! What a newcomer gets wrong: an address is personal data. It has no `Display`, and its `Debug` shows nothing,
//! so that it can't slip into a log; whoever needs the text asks for it by [`EmailAddress::as_str`].

use crate::limits::{EMAIL_LOCAL_MAX_BYTES, EMAIL_MAX_BYTES};
use crate::name::unprintable;
use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// Bytes of a domain (RFC 1035, 2.3.4, as text).
const DOMAIN_MAX_BYTES: usize = 253;
/// Bytes of one label of a domain (RFC 1035, 2.3.4).
const LABEL_MAX_BYTES: usize = 63;

/// An address as its owner wrote it, without surrounding white space.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct EmailAddress(Box<str>);

impl EmailAddress {
    /// Takes `text` as an address. The rules are those mail systems share in practice, not all of RFC 5322: no
    /// quoted local parts, no comments, no address literals, and a domain of at least two labels.
    ///
    /// # Errors
    /// The sentence that says which rule it breaks, without the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() > EMAIL_MAX_BYTES {
            return Err(format!("Must have at most {EMAIL_MAX_BYTES} bytes."));
        }
        let Some((local, domain)) = text.rsplit_once('@') else {
            return Err("Must be an e-mail address, with an @.".into());
        };
        check_local_part(local)?;
        check_domain(domain)?;
        Ok(Self(text.into()))
    }

    /// The address as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is compared by: two addresses with one key are one address.
    #[must_use]
    pub fn key(&self) -> EmailKey {
        // What nearly all come to, without going through tables of Unicode.
        if self.0.is_ascii() {
            return EmailKey(self.0.to_ascii_lowercase().into());
        }
        EmailKey(self.0.to_lowercase().nfc().collect::<String>().into())
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(..)")
    }
}

/// The form of an address that is unique among accounts: lower case, Unicode NFC.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EmailKey(Box<str>);

impl EmailKey {
    /// A key for a text that is no address: nobody has it, it is the same for the same text, and as short for a
    /// long one, so that guesses with it can be counted like any other.
    #[must_use]
    pub fn impossible(text: &str) -> Self {
        Self(hex::encode(digest::digest(&digest::SHA256, text.as_bytes())).into())
    }

    /// The key as it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for EmailKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailKey(..)")
    }
}

fn check_local_part(local: &str) -> Result<(), String> {
    if local.is_empty() || local.len() > EMAIL_LOCAL_MAX_BYTES {
        return Err(format!("Must have 1 to {EMAIL_LOCAL_MAX_BYTES} bytes before the @."));
    }
    let special = |c: char| c.is_whitespace() || "\"'`<>()[]@,:;\\".contains(c) || unprintable(c).is_some();
    if local.contains(special) {
        return Err("Must not contain spaces, quotes, brackets or other special characters.".into());
    }
    if local.split('.').any(str::is_empty) {
        return Err("Must not have a dot at the start or the end of its first part, or two in a row.".into());
    }
    Ok(())
}

fn check_domain(domain: &str) -> Result<(), String> {
    let top = domain.rsplit('.').next().unwrap_or_default();
    let valid = domain.len() <= DOMAIN_MAX_BYTES
        && domain.contains('.')
        && domain.split('.').all(is_label)
        // So that an IPv4 address is no domain.
        && !top.bytes().all(|b| b.is_ascii_digit());
    if valid { Ok(()) } else { Err("Must have a domain name after the @, such as example.com.".into()) }
}

/// Whether `text` may stand between the dots of a domain; letters of any script may (RFC 5890).
fn is_label(text: &str) -> bool {
    let allowed = |c: char| {
        c == '-'
            || c.is_ascii_alphanumeric()
            || !c.is_ascii()
                && unprintable(c).is_none()
                && matches!(
                    c.general_category_group(),
                    GeneralCategoryGroup::Letter | GeneralCategoryGroup::Mark | GeneralCategoryGroup::Number
                )
    };
    (1..=LABEL_MAX_BYTES).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> EmailKey {
        EmailAddress::parse(text).unwrap_or_else(|rule| panic!("{text}: {rule}")).key()
    }

    #[test]
    fn an_address_is_kept_as_given() {
        let label = "a".repeat(LABEL_MAX_BYTES);
        let longest = format!("{}@{label}.{label}.{}.de", "a".repeat(EMAIL_LOCAL_MAX_BYTES), &label[..58]);
        assert_eq!(longest.len(), EMAIL_MAX_BYTES);
        for text in [
            "admin@tech.com",
            "Ada.Lovelace+billing@Example.co.uk",
            "o=brien@example.com",
            "a@b.co",
            "#!$%&*+-/=?^_{|}~@example.com",
            "用户@例子.公司",
            "δοκιμή@παράδειγμα.ελ",
            "a@xn--bcher-kva.example",
            "a@नमस्ते.भारत",
            "1@2.3d",
            &longest,
        ] {
            let address = EmailAddress::parse(text).unwrap_or_else(|rule| panic!("{text}: {rule}"));
            assert_eq!(address.as_str(), text);
        }
        assert_eq!(EmailAddress::parse(" \tadmin@tech.com\n").unwrap().as_str(), "admin@tech.com");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let label = "a".repeat(LABEL_MAX_BYTES);
        let long_local = format!("{}@example.com", "a".repeat(EMAIL_LOCAL_MAX_BYTES + 1));
        let long_label = format!("a@{label}a.com");
        let long_address = format!("a@{label}.{label}.{label}.{label}.com");
        let huge = "a".repeat(1_000_000);
        for text in [
            "",
            " ",
            "admin",
            "@",
            "@example.com",
            "admin@",
            "admin@localhost",
            "a@b@example.com",
            "a b@example.com",
            "a\u{a0}b@example.com",
            "\"a b\"@example.com",
            "Ada <ada@example.com>",
            "ada@example.com, eve@example.com",
            "a(comment)@example.com",
            "a\\b@example.com",
            "a;b@example.com",
            "mailto:ada@example.com",
            ".a@example.com",
            "a.@example.com",
            "a..b@example.com",
            "a\0@example.com",
            "a\r\nBcc:eve@example.com",
            "a\u{200b}@example.com",
            "a\u{202e}@example.com",
            "a@exam ple.com",
            "a@.com",
            "a@example.",
            "a@example..com",
            "a@-example.com",
            "a@example-.com",
            "a@exam_ple.com",
            "a@exam/ple.com",
            "a@ex\u{200d}ample.com",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@☃.com",
            &long_local,
            &long_label,
            &long_address,
            &huge,
        ] {
            let rule = EmailAddress::parse(text).expect_err(text);
            assert!(rule.starts_with("Must ") && rule.ends_with('.'), "{rule}");
        }
    }

    #[test]
    fn addresses_are_compared_without_case() {
        assert_eq!(key("Admin@Tech.COM").as_str(), "admin@tech.com");
        assert_eq!(key("JOSÉ@EXAMPLE.COM"), key("jose\u{301}@example.com"));
        assert_eq!(key("ΣΊΣΥΦΟΣ@example.gr"), key("σίσυφος@example.gr"));
        assert_ne!(key("ada+1@example.com"), key("ada@example.com"));
    }

    #[test]
    fn nobody_has_the_key_of_what_is_no_address() {
        let impossible = EmailKey::impossible("no address");
        assert!(EmailAddress::parse(impossible.as_str()).is_err());
        assert_eq!(impossible, EmailKey::impossible("no address"));
        assert_ne!(impossible, EmailKey::impossible("another"));
        assert_eq!(EmailKey::impossible(&"x".repeat(1_000_000)).as_str().len(), 64);
    }

    #[test]
    fn an_address_never_shows_in_debug_output() {
        let address = EmailAddress::parse("admin@tech.com").unwrap();
        assert_eq!(format!("{address:?} {:?}", address.key()), "EmailAddress(..) EmailKey(..)");
    }

    #[test]
    fn a_stored_address_is_checked_when_it_is_read() {
        let address = EmailAddress::parse("Admin@tech.com").unwrap();
        assert_eq!(serde_json::to_string(&address).unwrap(), r#""Admin@tech.com""#);
        assert_eq!(serde_json::from_str::<EmailAddress>(r#""Admin@tech.com""#).unwrap(), address);
        assert!(serde_json::from_str::<EmailAddress>(r#""admin""#).is_err());
    }
}
