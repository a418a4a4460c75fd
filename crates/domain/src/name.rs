//! The name of an organization, and the identifier that follows from it.
//!
//! The identifier is the identity: two names with one identifier are the same name. So this file decides
//! which organization a name means, and its results are stored.
//!
//! # Pitfalls
//! A "better" transliteration gives existing organizations a different identity. A change here must leave
//! every test vector as it is.

use crate::limits::{IDENTIFIER_MAX_BYTES, NAME_MAX_CHARS, NAME_MIN_CHARS};
use aws_lc_rs::digest;
use deunicode::deunicode_char;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory};

/// Bytes of a text that can still be a name: [`NAME_MAX_CHARS`] characters of four bytes, each written as four
/// (the longest canonical decomposition), and as much again for white space that will be collapsed.
const INPUT_MAX_BYTES: usize = 4096;
/// Digits of the hash that ends an identifier whose name is too long for it.
const SHORTENED_HASH_DIGITS: usize = 8;
/// Bytes of the slug that such an identifier begins with, at most.
const SHORTENED_HEAD_BYTES: usize = IDENTIFIER_MAX_BYTES - SHORTENED_HASH_DIGITS - 1;

/// The name of an organization: trimmed, white space collapsed, in Unicode NFC, with nothing invisible in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct OrganizationName(Box<str>);

impl OrganizationName {
    /// Takes `text` as a name.
    ///
    /// # Errors
    /// The sentence that says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > INPUT_MAX_BYTES {
            return Err(length_rule());
        }
        let name = to_nfc(collapse_white_space(text));
        refuse_unprintable(&name)?;
        if !(NAME_MIN_CHARS..=NAME_MAX_CHARS).contains(&name.chars().count()) {
            return Err(length_rule());
        }
        let name = Self(name.into());
        // Most names are too short for it.
        let may_be_id = name.0.len() >= 24 || !name.0.is_ascii();
        if may_be_id && looks_like_id(&name.identifier().0) {
            return Err("Must not look like an id of 24 hexadecimal digits.".into());
        }
        Ok(name)
    }

    /// The name as it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The identifier of this name; it never changes for the same name.
    #[must_use]
    pub fn identifier(&self) -> Identifier {
        let slug = slug(&self.0);
        Identifier(if slug.is_empty() {
            format!("org-{}", &sha256_hex(&folded(&self.0))[..16]).into()
        } else if slug.len() > IDENTIFIER_MAX_BYTES {
            shortened(&slug).into()
        } else {
            slug.into()
        })
    }
}

impl TryFrom<String> for OrganizationName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl fmt::Display for OrganizationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The URL-safe form of a name, unique among organizations: words of `a-z0-9` joined by single `-`, at most
/// [`IDENTIFIER_MAX_BYTES`] bytes, and never 24 hexadecimal digits, so that a path segment is either an id or
/// an identifier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Identifier(Box<str>);

impl Identifier {
    /// Takes `text` as an identifier that was made before.
    ///
    /// # Errors
    /// The sentence that says what an identifier is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
        };
        if text.len() > IDENTIFIER_MAX_BYTES || looks_like_id(text) || !text.split('-').all(is_word) {
            return Err("Must be lower-case letters and digits, joined by single hyphens.".into());
        }
        Ok(Self(text.into()))
    }

    /// The prefix of the identifiers of all names that begin with `text`; `None` if it has no letter or
    /// digit.
    #[must_use]
    pub fn prefix_of(text: &str) -> Option<String> {
        let text: String = text.chars().take(NAME_MAX_CHARS).collect();
        let mut prefix = slug(&text);
        // What follows in a shortened identifier is its hash.
        prefix.truncate(SHORTENED_HEAD_BYTES);
        (!prefix.is_empty()).then_some(prefix)
    }

    /// The identifier itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the organization's container, as the classic API shows it.
    #[must_use]
    pub fn tenant_collection(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.0.replace('-', "_"))
    }
}

impl FromStr for Identifier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Identifier {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why `c` is not allowed in a text that people read, if it is not: it is a control character, shows nothing
/// (so that two texts look alike and are not), turns the direction of what follows, or means nothing yet.
pub(crate) fn unprintable(c: char) -> Option<&'static str> {
    if matches!(c, ' '..='~') {
        return None;
    }
    match c.general_category() {
        GeneralCategory::Control => Some("control"),
        GeneralCategory::Format => Some("invisible"),
        GeneralCategory::PrivateUse => Some("private-use"),
        GeneralCategory::Unassigned | GeneralCategory::Surrogate => Some("unassigned"),
        _ if shows_nothing(c) => Some("invisible"),
        _ => None,
    }
}

/// The characters of other categories than Format that are drawn as nothing: Unicode's
/// `Default_Ignorable_Code_Point`, and the empty Braille pattern.
const fn shows_nothing(c: char) -> bool {
    matches!(c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
}

/// U+FE0E and U+FE0F: whether the character before is drawn as text or as an emoji.
const fn is_presentation_selector(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}')
}

fn length_rule() -> String {
    format!("Must have {NAME_MIN_CHARS} to {NAME_MAX_CHARS} characters.")
}

fn refuse_unprintable(name: &str) -> Result<(), String> {
    let mut before = '\0';
    for c in name.chars() {
        // Phones add one after many emoji; elsewhere it has no meaning.
        let selects = is_presentation_selector(c) && before.is_emoji_char();
        if let Some(kind) = unprintable(c).filter(|_| !selects) {
            return Err(format!("Must not contain the {kind} character U+{:04X}.", u32::from(c)));
        }
        before = c;
    }
    Ok(())
}

fn collapse_white_space(text: &str) -> String {
    let mut collapsed = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !collapsed.is_empty() {
            collapsed.push(' ');
        }
        collapsed.push_str(word);
    }
    collapsed
}

fn to_nfc(text: String) -> String {
    if is_nfc_quick(text.chars()) == IsNormalized::Yes { text } else { text.nfc().collect() }
}

fn looks_like_id(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn sha256_hex(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// A slug that is too long, cut, with the hash of the whole slug, so that two long names with a common
/// beginning stay different.
fn shortened(slug: &str) -> String {
    let head = slug[..SHORTENED_HEAD_BYTES].trim_end_matches('-');
    format!("{head}-{}", &sha256_hex(slug)[..SHORTENED_HASH_DIGITS])
}

/// The part of a name without letters or digits that identifies it: without width, case, white space and
/// presentation.
fn folded(name: &str) -> String {
    let folded: String = caseless(name).filter(|&c| !is_presentation_selector(c)).collect();
    collapse_white_space(&folded)
}

/// `name` in NFKC (one form for all widths and ligatures) and lower case.
fn caseless(name: &str) -> impl Iterator<Item = char> {
    name.nfkc().flat_map(char::to_lowercase).nfkc()
}

/// The words of `name` in ASCII, joined by `-`; empty if it has no letter or digit.
fn slug(name: &str) -> String {
    if name.is_ascii() { slug_of_ascii(name) } else { slug_of_any(name) }
}

/// The result of [`slug_of_any`] for ASCII, but far faster: nearly every lookup takes this path.
fn slug_of_ascii(name: &str) -> String {
    let mut slug = Vec::with_capacity(name.len());
    for word in name.as_bytes().split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        if !slug.is_empty() {
            slug.push(b'-');
        }
        slug.extend_from_slice(word);
    }
    slug.make_ascii_lowercase();
    String::from_utf8(slug).expect("letters and digits of ASCII are UTF-8")
}

fn slug_of_any(name: &str) -> String {
    let mut slug = Slug::default();
    // NFKC would spell the two marks out, and `Acme™` is `Acme`, as `Acme®` is.
    for c in caseless(&name.replace(['™', '℠'], " ")) {
        match c.general_category_group() {
            GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number => slug.push(&spelling(c)),
            // A vowel sign belongs to the letter before it; an accent is dropped.
            GeneralCategoryGroup::Mark if slug.in_word => slug.push(deunicode_char(c).unwrap_or_default()),
            _ => slug.in_word = false,
        }
    }
    slug.text
}

#[derive(Default)]
struct Slug {
    text: String,
    in_word: bool,
}

impl Slug {
    /// Appends a spelling; one that ends in a space is a word of its own, as a Chinese character is.
    fn push(&mut self, spelling: &str) {
        let stands_alone = spelling.ends_with(' ');
        self.in_word &= !stands_alone;
        for letter in spelling.chars().filter(char::is_ascii_alphanumeric) {
            self.push_letter(letter);
        }
        self.in_word &= !stands_alone;
    }

    fn push_letter(&mut self, letter: char) {
        if !self.in_word && !self.text.is_empty() {
            self.text.push('-');
        }
        self.in_word = true;
        self.text.push(letter.to_ascii_lowercase());
    }
}

/// How a letter or digit of any script is spelled in ASCII.
fn spelling(c: char) -> Cow<'static, str> {
    match deunicode_char(c) {
        // Its sound is unknown, but it must not vanish: two names would become one.
        None | Some("?") => format!("u{:x} ", u32::from(c)).into(),
        Some(spelling) if spelling.contains(|l: char| l.is_ascii_alphanumeric()) => spelling.into(),
        Some(_) => vowel(c).into(),
    }
}

/// The letters that `deunicode` writes as a mere sign, or not at all.
const fn vowel(c: char) -> &'static str {
    match c {
        'ə' | 'ә' | 'ӛ' | 'ǝ' | 'ɚ' => "e",
        'อ' | 'ອ' => "o",
        // "As the one before": the iteration mark of 佐々木, read as the character it comes from.
        '々' => "tong ",
        // Pure ornament: the stretcher of Arabic.
        'ـ' => "",
        // Alef, ayin, hamza and their kin in Hebrew, Arabic and Syriac.
        '\u{5d0}'..='\u{8ff}' => "a",
        // Soft and hard signs, glottal stops, lengtheners.
        _ => "",
    }
}

#[cfg(test)]
mod tests;
