//! What an organization is called, and the identifier that its name comes down to.
//!
//! The identifier is the identity: two names with one identifier are one name. So this file decides who is
//! whom, and its results are stored. What a newcomer gets wrong: a "better" transliteration is a different
//! identity for organizations that exist. Whatever changes here must leave every test vector as it is.

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
        if looks_like_id(&name.identifier().0) {
            return Err("Must not look like an id of 24 hexadecimal digits.".into());
        }
        Ok(name)
    }

    /// The name as it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What this name comes down to; the same for ever for the same name.
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

    /// How the identifiers of names that begin like `text` begin; `None` if it has no letter or digit.
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

/// Why `c` may not stand in a text that people read, if it may not: it is a control character, shows nothing
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
        // Telephones write one after many emoji; nowhere else does it mean anything.
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

/// A slug that is too long, cut, with the hash of all of it, so that two long names with one beginning stay two.
fn shortened(slug: &str) -> String {
    let head = slug[..SHORTENED_HEAD_BYTES].trim_end_matches('-');
    format!("{head}-{}", &sha256_hex(slug)[..SHORTENED_HASH_DIGITS])
}

/// What tells names without a letter or digit apart: neither width, case, white space nor presentation.
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

/// What [`slug_of_any`] comes to for ASCII, ten times as fast: nearly every lookup goes this way.
fn slug_of_ascii(name: &str) -> String {
    let mut slug = Slug::default();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push_letter(c);
        } else {
            slug.in_word = false;
        }
    }
    slug.text
}

fn slug_of_any(name: &str) -> String {
    let mut slug = Slug::default();
    // NFKC would spell the two marks out, and `Acme™` is `Acme`, as `Acme®` is.
    for c in caseless(&name.replace(['™', '℠'], " ")) {
        match c.general_category_group() {
            GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number => slug.push(&spelling(c)),
            // A vowel sign belongs to the letter before it; an accent comes down to nothing.
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
        // Nobody knows how it sounds, but it must not vanish: two names would become one.
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
        // What is only ornament: the stretcher of Arabic.
        'ـ' => "",
        // Alef, ayin, hamza and their kin in Hebrew, Arabic and Syriac.
        '\u{5d0}'..='\u{8ff}' => "a",
        // Soft and hard signs, glottal stops, lengtheners.
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    fn name(text: &str) -> OrganizationName {
        OrganizationName::parse(text).unwrap_or_else(|rule| panic!("{text:?}: {rule}"))
    }

    fn identifier(text: &str) -> String {
        name(text).identifier().as_str().to_owned()
    }

    fn rule_broken_by(text: &str) -> String {
        OrganizationName::parse(text).expect_err(text)
    }

    /// Stored organizations are found by these. A line may be added; none may ever change.
    const IDENTIFIERS: &[(&str, &str)] = &[
        ("Tech Innovations Corp 2.0", "tech-innovations-corp-2-0"),
        ("Acme", "acme"),
        ("42", "42"),
        ("../../etc/passwd", "etc-passwd"),
        ("CON", "con"),
        ("$cmd", "cmd"),
        ("system.users", "system-users"),
        ("株式会社 山田", "zhu-shi-hui-she-shan-tian"),
        ("㈱トヨタ", "zhu-toyota"),
        ("佐々木", "zuo-tong-mu"),
        ("コーヒー", "kohi"),
        ("げんまい茶", "genmai-cha"),
        ("北京烤鸭店", "bei-jing-kao-ya-dian"),
        ("x中国x", "x-zhong-guo-x"),
        ("Яндекс", "iandeks"),
        ("Мальта", "malta"),
        ("Ελληνική Εταιρεία ΣΑΣ", "ellenike-etaireia-sas"),
        ("شركة الاتصالات", "shrka-alatsalat"),
        ("כתב עברית", "ktb-abryt"),
        ("शर्मा उद्योग", "shrmaa-udyog"),
        ("สวัสดีประเทศไทย", "swasdiipraethsaithy"),
        ("한국전력", "hangugjeonryeog"),
        ("ශ්රී ලංකා", "shrii-lnkaa"),
        ("ქართული", "kartuli"),
        ("Azərbaycan", "azerbaycan"),
        ("Ünïcödé Straße", "unicode-strasse"),
        ("İstanbul", "istanbul"),
        ("ﬁne Ⅷ ½ ①", "fine-viii-1-2-1"),
        ("Acme™", "acme"),
        // Letters that no table spells.
        ("ᦀᦁ Acme", "u1980-u1981-acme"),
        // No letter or digit at all.
        ("🦄🚀", "org-e9d1c1e4e89d4a5c"),
        ("!!!", "org-e84c538e7fe25073"),
    ];

    #[test]
    fn an_identifier_is_the_same_for_ever() {
        for (text, expected) in IDENTIFIERS {
            assert_eq!(identifier(text), *expected, "{text}");
        }
    }

    /// Covers what the vectors above do not: how every single character that `deunicode` knows is spelled.
    #[test]
    fn the_spelling_of_every_character_is_the_same_for_ever() {
        let mut all = String::new();
        for c in ('\u{80}'..char::MAX).filter(|&c| deunicode_char(c).is_some() && unprintable(c).is_none()) {
            all += &format!("{c}{}\n", slug(&c.to_string()));
        }
        assert_eq!(sha256_hex(&all), "c8ed5b8b450b6fbdb05feff825cdb015916b76a22573dca7bbeec556a4bdd6ad");
    }

    #[test]
    fn two_long_names_with_one_beginning_are_two_names() {
        let long = "National Association of Long Names and Very Long Names in Town";
        assert_eq!(identifier(long), "national-association-of-long-names-and-very-long-names-in-town");
        let [north, south] = [identifier(&format!("{long} North")), identifier(&format!("{long} South"))];
        assert_eq!(north, "national-association-of-long-names-and-very-long-names-4f1638f3");
        assert_eq!(south, "national-association-of-long-names-and-very-long-names-b887d5e2");
        assert_eq!(identifier(&format!("  {}!!! nORTH", long.to_uppercase())), north);
    }

    #[test]
    fn twins_are_one_name() {
        let twins: &[&[&str]] = &[
            &[
                "Acme Corp",
                "acme corp",
                " ACME\t\u{a0}CORP\u{3000}",
                "Acme-Corp",
                "acme_corp!",
                "(Acme) Corp®",
                "Acme™ Corp",
            ],
            &["Acme Corp", "Ａｃｍｅ　Ｃｏｒｐ", "𝐀𝐜𝐦𝐞 𝒞ℴ𝓇𝓅", "Аcme Corp" /* a Cyrillic А */],
            &["Café", "Cafe\u{301}", "CAFÉ", "cafe"],
            &["Straße", "STRASSE", "strasse"],
            &["ｶﾞｽ 会社", "ガス会社"],
            &["ΣΊΣΥΦΟΣ", "σίσυφος"],
            &["❤\u{fe0f}❤\u{fe0f}", "❤❤"],
            &["I ❤\u{fe0f} Cats", "I Cats"],
            &["～～", "~~"],
        ];
        for twins in twins {
            for twin in *twins {
                assert_eq!(identifier(twin), identifier(twins[0]), "{twin}");
            }
        }
    }

    #[test]
    fn names_in_every_script_stay_apart() {
        let names = [
            "株式会社",
            "Яндекс",
            "שלום",
            "سلام",
            "سالم",
            "नमस्ते",
            "ไทย",
            "한국",
            "日本",
            "🦄🚀",
            "🚀🦄",
            "?!",
            "!?",
        ];
        let identifiers: std::collections::BTreeSet<_> = names.iter().map(|text| identifier(text)).collect();
        assert_eq!(identifiers.len(), names.len(), "{identifiers:?}");
    }

    #[test]
    fn a_name_is_shown_as_given_but_for_white_space_and_composition() {
        for (text, shown) in [
            ("  Acme \t\r\n Corp\u{2028}", "Acme Corp"),
            ("Cafe\u{301}", "Café"),
            ("O'Reilly & Söhne 🍺", "O'Reilly & Söhne 🍺"),
            ("ﬁne", "ﬁne"),
        ] {
            assert_eq!(name(text).to_string(), shown);
        }
    }

    #[test]
    fn a_name_has_2_to_120_characters() {
        for text in ["", " ", "\u{3000}\t\n", "a", " a ", "日", "e\u{301}"] {
            assert_eq!(rule_broken_by(text), "Must have 2 to 120 characters.", "{text:?}");
        }
        for length in [2, 119, 120] {
            assert_eq!(name(&"é".repeat(length)).as_str().chars().count(), length);
            assert_eq!(name(&"e\u{301}".repeat(length)).as_str().chars().count(), length);
            assert_eq!(name(&"각".repeat(length).nfd().collect::<String>()).as_str().chars().count(), length);
        }
        assert_eq!(rule_broken_by(&"é".repeat(121)), "Must have 2 to 120 characters.");
    }

    #[test]
    fn a_name_of_a_megabyte_is_refused_at_once() {
        let huge = "a ".repeat(500_000);
        let began = Instant::now();
        for _ in 0..1000 {
            rule_broken_by(&huge);
        }
        assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
    }

    #[test]
    fn what_cannot_be_seen_is_refused_and_named() {
        let cases = [
            ("Acme\0", "control character U+0000"),
            ("Ac\u{7}me", "control character U+0007"),
            ("Ac\u{9b}me", "control character U+009B"),
            ("Ac\u{200b}me", "invisible character U+200B"),
            ("Ac\u{200d}me", "invisible character U+200D"),
            ("\u{feff}Acme", "invisible character U+FEFF"),
            ("Ac\u{ad}me", "invisible character U+00AD"),
            ("Acme\u{202e}proC", "invisible character U+202E"),
            ("Acme\u{2066}Corp", "invisible character U+2066"),
            ("Acme\u{34f}", "invisible character U+034F"),
            ("Acme\u{3164}", "invisible character U+3164"),
            ("Acme\u{fe0f}", "invisible character U+FE0F"),
            ("Acme\u{e0101}", "invisible character U+E0101"),
            ("Acme\u{e0041}", "invisible character U+E0041"),
            ("Acme\u{e000}", "private-use character U+E000"),
            ("Acme\u{fffe}", "unassigned character U+FFFE"),
            ("Acme\u{378}", "unassigned character U+0378"),
        ];
        for (text, what) in cases {
            assert_eq!(rule_broken_by(text), format!("Must not contain the {what}."));
        }
    }

    #[test]
    fn a_name_that_reads_as_an_id_is_refused() {
        for text in ["6790000007070707070707aa", "DEADBEEFDEADBEEFDEADBEEF", "６79000000707070707070707!"] {
            assert_eq!(rule_broken_by(text), "Must not look like an id of 24 hexadecimal digits.");
        }
        for text in ["67900000 0707070707070707", "6790000007070707070707a", "6790000007070707070707aag"] {
            name(text);
        }
    }

    #[test]
    fn an_identifier_that_was_made_before_is_read_back() {
        for text in ["a", "acme-corp-2-0", "org-e9d1c1e4e89d4a5c", &"a".repeat(63)] {
            assert_eq!(text.parse::<Identifier>().map(|made| made.to_string()), Ok(text.to_owned()));
        }
        let long = "a".repeat(64);
        for text in ["", "-", "-a", "a-", "a--b", "A", "a_b", "é", "a b", "6790000007070707070707aa", &long]
        {
            assert!(Identifier::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_tenant_collection_follows_the_name() {
        let identifier = name("Tech Innovations Corp 2.0").identifier();
        assert_eq!(identifier.tenant_collection("tenant_"), "tenant_tech_innovations_corp_2_0");
        assert_eq!(identifier.tenant_collection("org_"), "org_tech_innovations_corp_2_0");
    }

    #[test]
    fn a_prefix_is_searched_as_names_are_compared() {
        for (text, expected) in [
            ("Tech Inn", Some("tech-inn")),
            ("ЯН", Some("ian")),
            ("TECH ", Some("tech")),
            ("🦄", None),
            ("", None),
        ] {
            assert_eq!(Identifier::prefix_of(text).as_deref(), expected, "{text}");
        }
        let long = "National Association of Long Names and Very Long Names in Town North";
        assert!(identifier(long).starts_with(&Identifier::prefix_of(long).unwrap()));
    }

    #[test]
    fn a_stored_name_is_checked_when_it_is_read() {
        let stored = serde_json::to_string(&name("Acme Corp")).unwrap();
        assert_eq!(stored, r#""Acme Corp""#);
        assert_eq!(serde_json::from_str::<OrganizationName>(&stored).unwrap(), name("Acme Corp"));
        assert!(serde_json::from_str::<OrganizationName>(r#""A\u0000""#).is_err());
        assert!(serde_json::from_str::<Identifier>(r#""Acme""#).is_err());
    }

    fn is_identifier(text: &str) -> bool {
        Identifier::parse(text).is_ok()
    }

    /// Whether upper and lower case of `c` lead back to each other, one character to one.
    fn has_plain_case(c: char) -> bool {
        c.to_uppercase().chain(c.to_lowercase()).count() == 2
            && c.to_uppercase().flat_map(char::to_lowercase).eq(c.to_lowercase())
    }

    proptest! {
        #[test]
        fn every_name_has_an_identifier_and_keeps_it(text in "\\PC{2,60}") {
            if let Ok(name) = OrganizationName::parse(&text) {
                let identifier = name.identifier();
                prop_assert!(is_identifier(identifier.as_str()), "{identifier}");
                prop_assert_eq!(OrganizationName::parse(name.as_str()), Ok(name));
            }
        }

        #[test]
        fn case_does_not_tell_names_apart(text in "[\\p{L}\\p{N} .,!&_-]{2,40}") {
            let plain: String = text.chars().filter(|&c| has_plain_case(c)).collect();
            if let Ok(name) = OrganizationName::parse(&plain) {
                for twin in [plain.to_uppercase(), plain.to_lowercase()] {
                    prop_assert_eq!(OrganizationName::parse(&twin).map(|twin| twin.identifier()), Ok(name.identifier()));
                }
            }
        }

        #[test]
        fn the_quick_way_for_ascii_comes_to_the_same(text in "[ -~]{0,80}") {
            prop_assert_eq!(slug_of_ascii(&text), slug_of_any(&text));
        }
    }
}
