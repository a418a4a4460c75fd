//! E-mail addresses: kept as their owners wrote them, compared by mailbox.
//!
//! An address is accepted if HTML's `<input type=email>` accepts it, and its domain is compared by UTS #46:
//! `bücher.test`, `xn--bcher-kva.test` and the same in full-width letters are one domain.
//!
//! # Pitfalls
//! - An address is personal data. It has no `Display`, and its `Debug` shows nothing, so that it can't slip into a log;
//!   code that needs the text asks for it by [`EmailAddress::as_str`].
//! - Records and archives may hold an address that is refused today. They are read by [`EmailAddress::parse_stored`].

mod domain;

use crate::limits::EMAIL_MAX_BYTES;
use crate::name::unprintable;
use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// Separates the mailbox from the spelling in the key of a duplicate. No address contains it.
const SPELLING_SEPARATOR: char = ' ';
/// The character after [`SPELLING_SEPARATOR`], which ends the range of keys that begin with a mailbox and [`SPELLING_SEPARATOR`].
const SPELLING_RANGE_END: char = '!';

/// An address as its owner wrote it, without surrounding white space.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct EmailAddress(Box<str>);

/// The keys under which earlier versions kept an address whose domain has letters beyond ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierKeys {
    /// The key as an earlier version made it: the address in lower case.
    pub spelled: EmailKey,
    /// The key that an upgrade gives an account whose mailbox belongs to another account: mailbox and
    /// spelling together.
    pub duplicate: EmailKey,
}

impl EmailAddress {
    /// Takes `text` as an address: what HTML's `<input type=email>` takes, and beyond ASCII letters of any script before
    /// the @ and domains by UTS #46 behind it.
    ///
    /// # Errors
    /// The sentence that says which rule it breaks, without the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (local, domain) = split(text)?;
        check_local_part(local)?;
        match domain::to_ascii(domain) {
            Some(_) => Ok(Self(text.into())),
            None => Err("Must have a domain name after the @, such as example.com.".into()),
        }
    }

    /// Takes `text` as an address that an earlier version may have accepted: from a record, an archive, or a
    /// client that signs in.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_stored(text: &str) -> Result<Self, String> {
        Self::parse(text).or_else(|rule| {
            let text = text.trim();
            let (local, domain) = split(text)?;
            check_local_part(local)?;
            if domain::was_taken(domain) { Ok(Self(text.into())) } else { Err(rule) }
        })
    }

    /// The address as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address as mail servers take it: with its domain in ASCII.
    #[must_use]
    pub fn with_ascii_domain(&self) -> String {
        let ascii =
            self.0.rsplit_once('@').and_then(|(local, domain)| Some((local, domain::to_ascii(domain)?)));
        ascii.map_or_else(|| self.0.to_string(), |(local, domain)| format!("{local}@{domain}"))
    }

    /// The mailbox: two addresses with one key are one mailbox.
    #[must_use]
    pub fn key(&self) -> EmailKey {
        let Some((local, domain)) = self.0.rsplit_once('@') else { return self.spelled_key() };
        match domain::to_ascii(domain) {
            Some(domain) => EmailKey(format!("{}@{domain}", lower_case(local)).into()),
            // From an earlier version, and no longer a valid domain.
            None => self.spelled_key(),
        }
    }

    /// The keys of earlier versions, if they may differ from [`Self::key`].
    #[must_use]
    pub fn earlier_keys(&self) -> Option<EarlierKeys> {
        let spelled = self.spelled_key();
        let mailbox = self.key();
        if spelled == mailbox {
            return None;
        }
        let duplicate = EmailKey(format!("{}{SPELLING_SEPARATOR}{}", mailbox.0, spelled.0).into());
        Some(EarlierKeys { spelled, duplicate })
    }

    fn spelled_key(&self) -> EmailKey {
        EmailKey(lower_case(&self.0).into())
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse_stored(&text)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(..)")
    }
}

/// The form of an address that is unique among accounts: the mailbox, with its domain in ASCII. Only older
/// accounts may have another one (see [`EarlierKeys`]).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EmailKey(Box<str>);

impl EmailKey {
    /// A key for a text that is not an address: no account has it, the same text always gets the same one,
    /// and it is short for long texts too, so that guesses with it can be counted like any other.
    #[must_use]
    pub fn impossible(text: &str) -> Self {
        Self(hex::encode(digest::digest(&digest::SHA256, text.as_bytes())).into())
    }

    /// The key as it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The range of the keys of duplicates of this mailbox: from the first, up to but without the second.
    #[must_use]
    pub fn duplicates(&self) -> (String, String) {
        (format!("{}{SPELLING_SEPARATOR}", self.0), format!("{}{SPELLING_RANGE_END}", self.0))
    }

    /// The mailbox of a duplicate; `None` for the key of an account that has its mailbox to itself.
    #[must_use]
    pub fn mailbox_of_duplicate(text: &str) -> Option<&str> {
        text.split_once(SPELLING_SEPARATOR).map(|(mailbox, _)| mailbox)
    }
}

impl fmt::Debug for EmailKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailKey(..)")
    }
}

/// Lower case, Unicode NFC.
fn lower_case(text: &str) -> String {
    // Nearly all addresses are ASCII and need no Unicode tables.
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.to_lowercase().nfc().collect()
}

/// What is before the @ and what behind it.
fn split(text: &str) -> Result<(&str, &str), String> {
    if text.len() > EMAIL_MAX_BYTES {
        return Err(format!("Must have at most {EMAIL_MAX_BYTES} bytes."));
    }
    text.rsplit_once('@').ok_or_else(|| "Must be an e-mail address, with an @.".into())
}

/// As the HTML standard says, and letters of any script.
fn check_local_part(local: &str) -> Result<(), String> {
    let allowed = |c: char| match c {
        c if c.is_ascii() => c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c),
        c => !c.is_whitespace() && unprintable(c).is_none(),
    };
    if local.is_empty() {
        return Err("Must have something before the @.".into());
    }
    if local.chars().all(allowed) {
        return Ok(());
    }
    Err("Must not contain spaces, double quotes, brackets or other special characters before the @.".into())
}

#[cfg(test)]
mod tests;
