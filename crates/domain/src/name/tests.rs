//! The rules of names, with a table for each sort of twin.

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
fn identifier_of_name_never_changes() {
    for (text, expected) in IDENTIFIERS {
        assert_eq!(identifier(text), *expected, "{text}");
    }
}

/// Covers what the vectors above do not: the spelling of every character that `deunicode` knows.
#[test]
fn identifier_spelling_of_every_character_never_changes() {
    let mut all = String::new();
    for c in ('\u{80}'..char::MAX).filter(|&c| deunicode_char(c).is_some() && unprintable(c).is_none()) {
        all += &format!("{c}{}\n", slug(&c.to_string()));
    }
    assert_eq!(sha256_hex(&all), "c8ed5b8b450b6fbdb05feff825cdb015916b76a22573dca7bbeec556a4bdd6ad");
}

#[test]
fn identifiers_of_long_names_with_same_start_differ() {
    let long = "National Association of Long Names and Very Long Names in Town";
    assert_eq!(identifier(long), "national-association-of-long-names-and-very-long-names-in-town");
    let [north, south] = [identifier(&format!("{long} North")), identifier(&format!("{long} South"))];
    assert_eq!(north, "national-association-of-long-names-and-very-long-names-4f1638f3");
    assert_eq!(south, "national-association-of-long-names-and-very-long-names-b887d5e2");
    assert_eq!(identifier(&format!("  {}!!! nORTH", long.to_uppercase())), north);
}

#[test]
fn identifier_is_equal_for_equivalent_spellings() {
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
fn identifiers_in_every_script_differ() {
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
fn organization_name_changes_only_white_space_and_composition() {
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
fn organization_name_has_2_to_120_characters() {
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
fn organization_name_of_a_megabyte_is_rejected_fast() {
    let huge = "a ".repeat(500_000);
    // The quickest of several rounds: in each the machine may be busy with something else.
    let rounds = (0..20).map(|_| {
        let began = Instant::now();
        for _ in 0..1000 {
            rule_broken_by(&huge);
        }
        began.elapsed()
    });
    let quickest = rounds.min().unwrap();
    assert!(quickest < Duration::from_millis(100), "{quickest:?}");
}

#[test]
fn organization_name_rejects_and_names_invisible_characters() {
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
fn organization_name_that_reads_as_id_is_rejected() {
    for text in ["6790000007070707070707aa", "DEADBEEFDEADBEEFDEADBEEF", "６79000000707070707070707!"] {
        assert_eq!(rule_broken_by(text), "Must not look like an id of 24 hexadecimal digits.");
    }
    for text in ["67900000 0707070707070707", "6790000007070707070707a", "6790000007070707070707aag"] {
        name(text);
    }
}

#[test]
fn identifier_made_by_earlier_version_is_read() {
    for text in ["a", "acme-corp-2-0", "org-e9d1c1e4e89d4a5c", &"a".repeat(63)] {
        assert_eq!(text.parse::<Identifier>().map(|made| made.to_string()), Ok(text.to_owned()));
    }
    let long = "a".repeat(64);
    for text in ["", "-", "-a", "a-", "a--b", "A", "a_b", "é", "a b", "6790000007070707070707aa", &long] {
        assert!(Identifier::parse(text).is_err(), "{text}");
    }
}

#[test]
fn tenant_collection_derives_from_organization_name() {
    let identifier = name("Tech Innovations Corp 2.0").identifier();
    assert_eq!(identifier.tenant_collection("tenant_"), "tenant_tech_innovations_corp_2_0");
    assert_eq!(identifier.tenant_collection("org_"), "org_tech_innovations_corp_2_0");
}

#[test]
fn identifier_prefix_is_normalized_as_names_are() {
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
fn organization_name_is_checked_when_deserialized() {
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
    fn organization_name_always_has_a_stable_identifier(text in "\\PC{2,60}") {
        if let Ok(name) = OrganizationName::parse(&text) {
            let identifier = name.identifier();
            prop_assert!(is_identifier(identifier.as_str()), "{identifier}");
            prop_assert_eq!(OrganizationName::parse(name.as_str()), Ok(name));
        }
    }

    #[test]
    fn identifier_ignores_case(text in "[\\p{L}\\p{N} .,!&_-]{2,40}") {
        let plain: String = text.chars().filter(|&c| has_plain_case(c)).collect();
        if let Ok(name) = OrganizationName::parse(&plain) {
            for twin in [plain.to_uppercase(), plain.to_lowercase()] {
                prop_assert_eq!(OrganizationName::parse(&twin).map(|twin| twin.identifier()), Ok(name.identifier()));
            }
        }
    }

    #[test]
    fn ascii_slug_equals_general_slug(text in "[ -~]{0,80}") {
        prop_assert_eq!(slug_of_ascii(&text), slug_of_any(&text));
    }
}
