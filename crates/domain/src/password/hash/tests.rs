//! Which passwords stored hashes match, our own and those of other software, and when they are replaced.

use super::*;

const PASSWORD: &str = "securepassword123";
/// Longer than the 72 bytes bcrypt takes, which end in `b`.
const LONG: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx0123456789abcdefghijklmnop";
/// Not in NFKC.
const RAW: &str = "Cafe\u{301}-№5-secret";
const REHASH: PasswordCheck = PasswordCheck::Match { rehash: true };
const KEEP: PasswordCheck = PasswordCheck::Match { rehash: false };

fn check(password: &str, stored: &str) -> PasswordCheck {
    verify(&PresentedPassword::new(password), stored, &mut Argon2Memory::default()).unwrap()
}

/// Made by passlib 1.7.4, argon2-cffi 25.1 and bcrypt 4.0.1.
const FOREIGN: &[(&str, &str, PasswordCheck)] = &[
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
    // of which bcrypt has used 72 bytes
    (LONG, "$2b$04$FhOgznpZ8rSfYI5SlWJzXeeNfAy5HXqOwChLscye5J7xj3dHV6Req", KEEP),
    (PASSWORD, "$bcrypt-sha256$v=2,t=2b,r=4$bcZSTdJjVV.Ljjeh176C7e$0jU0Ivs0Qhwjy1OiFVRww1e02XUCY4C", REHASH),
    (LONG, "$bcrypt-sha256$v=2,t=2b,r=4$a2g1UwOf.ezlJMYe.8LjZe$sSuLqyRhk0wMSzaW.RYXWf.8i/qgpbO", REHASH),
    (PASSWORD, "$bcrypt-sha256$2a,4$Jyu9DqsereVDKgAHXeUPue$FqVzQFPz1iKYNRGTZd8B.q2nSRkzjgm", REHASH),
    (PASSWORD, "$bcrypt-sha256$2b,4$7/o5td91eFJmGTSzMmYr5.$KkohICRtM44LLbZHuRvX0kXX9nBJXW6", REHASH),
];

#[test]
fn password_hash_of_other_software_is_verified() {
    for (password, stored, expected) in FOREIGN {
        assert_eq!(check(password, stored), *expected, "{stored}");
        for wrong in ["", "securepassword124", &format!("x{password}"), "\0"] {
            assert_eq!(check(wrong, stored), PasswordCheck::NoMatch, "{stored}");
        }
    }
}

#[test]
fn password_hash_of_ours_is_verified_and_kept() {
    let mut memory = Argon2Memory::default();
    for password in [PASSWORD, RAW, LONG, &"é".repeat(256)] {
        let new = NewPassword::parse(password, 8).unwrap();
        let stored = hash(&new, *b"sixteen byte salt".first_chunk().unwrap(), &mut memory);
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$c2l4dGVlbiBieXRlIHNhbA$"), "{stored}");
        assert_eq!(check(password, &stored), KEEP);
        assert_eq!(check(&format!("{password} "), &stored), PasswordCheck::NoMatch);
    }
}

#[test]
fn password_hash_memory_leaves_no_trace_in_next_hash() {
    let mut memory = Argon2Memory::default();
    let password = NewPassword::parse(PASSWORD, 8).unwrap();
    let first = hash(&password, [1; SALT_BYTES], &mut memory);
    assert_ne!(hash(&password, [2; SALT_BYTES], &mut memory), first);
    assert_eq!(hash(&password, [1; SALT_BYTES], &mut memory), first);
    assert!(memory.is_held());
    memory.release();
    assert!(!memory.is_held());
    assert_eq!(hash(&password, [1; SALT_BYTES], &mut memory), first);
}

/// Texts of other tools, as they were printed for [`PASSWORD`], with cheap parameters.
const ARGON2_OF_TOOLS: &[(&str, &str)] = &[
    (
        "argon2 0.45.0 for Node",
        "$argon2id$v=19$m=512,p=1,t=2$xUGFddWmeVnqkSVHI9lg1A$TQGFhkhLPG1UK+TfYftne1Gx3OxOxozrGhsmqcuGakU",
    ),
    ("the same, a hash of 4 bytes", "$argon2i$v=19$m=512,p=2,t=2$MTIzNDU2Nzg$BGpMRA"),
    (
        "the same, a salt of 100 bytes and a hash of 128",
        "$argon2d$v=19$m=512,p=1,t=2$BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw$OVLruzkgM+EW735OC7vyal52yyMElxZDnr7CZRyh/DeBfHo9XqXgGauA6mnOgv2OkIn+wXwCr1llv+0mVoWMf1ablwDxnlMm8bvu5G41w1ft7CoGI/1qSB/Go+Si+aQPpLuyJRnor9urM8c/xDD3D2ZmlbVsEKZ7qL4Ka2LQJko",
    ),
    (
        "the same, version 1.0",
        "$argon2id$v=16$m=512,p=1,t=2$qPX5qfncMwspG6q2E7WJXA$h6/Pi4+hmjGQgyC5HChHgXl9S/PRK8Uj4QFYPRIAsTo",
    ),
    (
        "the same, with associated data",
        "$argon2id$v=19$m=512,p=1,t=2,data=aGVsbG8$JEnvoZ++2BvD/0z8NYGNrg$Yb16jZvIZQ+dEnR1MXZrPfedZbSFQEaFgQmzoZYEIM4",
    ),
    (
        "hash-wasm 4.13.0",
        "$argon2id$v=19$m=512,t=2,p=1$c2FsdHNhbHRzYWx0$CV9GP2lpho7dJntky2B+arEl9DlCeUJJgxqqSiH6RZQ",
    ),
    (
        "@node-rs/argon2 2.2.1, in Rust",
        "$argon2id$v=19$m=512,t=2,p=1$SH7J+92KR7MGsbJpa9uuyQ$IVwRYHiINCJ36T3yI/SROCmsz9cC+3JEsYATjwRxvvM",
    ),
    (
        "the same, a hash of 100 bytes, version 1.0",
        "$argon2id$v=16$m=512,t=2,p=1$9zQWYFYRRRRCAN0+6eg5gw$7u/IinxSnItv28r4nujCfgUfmzT8tMj0iZ+WDm1y4lApmrjIp4t9NrBHzU48FMYJg2Nq1fMowGapyqQMGk7I2sgYLKVMiMfKSmaNARsXnjqA5Ajd+yhomQZy+9CxzVShXaoR8A",
    ),
    (
        "password_hash of PHP 8.2.31, PASSWORD_ARGON2ID",
        "$argon2id$v=19$m=512,t=2,p=1$aVBQQld4SkZsSllYWGIvNQ$NUCGKi2kAU8wGirgCXrKSxL02O+r6UZvGvlQAzDRehs",
    ),
    (
        "the same, PASSWORD_ARGON2I",
        "$argon2i$v=19$m=512,t=2,p=1$T1NKTzhjcTA3aXFGYVQzMw$yeocKFuS2DdXfUkSq78QKx3FZqmPGZth0oWqmHBjTQY",
    ),
    ("the argon2 command of Debian 12", "$argon2id$v=19$m=512,t=2,p=1$c2FsdHNhbHQ$tf8RjQ"),
    (
        "the same, version 1.0",
        "$argon2i$v=16$m=512,t=2,p=1$c2FsdHNhbHQ$50gBMzv3FiFUQb1KP/xH/xaBhZCMS0ShAf2mwlyUyQQ",
    ),
    (
        "libsodium's crypto_pwhash_str, by PyNaCl",
        "$argon2id$v=19$m=512,t=1,p=1$xJ1ht7/Y7QR/CA1d0xuWGQ$9M7ofvU2kGkgpMpv+U3q9qLuryehAERE4EYmVZLsRzw",
    ),
    (
        "passlib 1.7.4, a hash of 20 bytes",
        "$argon2id$v=19$m=512,t=2,p=1$IsT4f6/1fm8$lUCXuqJuQLx+3wXIgzMMoSO1lrQ",
    ),
    (
        "Django 5.2.19, without what it puts before it",
        "$argon2id$v=19$m=102400,t=2,p=8$bnhITndjZlhnQzNWMzNnUFdqUlEzTQ$GF883/aiF86z8VDTY3Xob7nwMtfq8NsrxWmPxO45qB8",
    ),
    (
        "a library that pads its Base64",
        "$argon2id$v=19$m=512,t=2,p=1$SH7J+92KR7MGsbJpa9uuyQ==$IVwRYHiINCJ36T3yI/SROCmsz9cC+3JEsYATjwRxvvM=",
    ),
];

#[test]
fn argon2_hash_of_common_tools_is_verified() {
    for (tool, stored) in ARGON2_OF_TOOLS {
        assert_eq!(check_readable(stored), Ok(()), "{tool}");
        assert_eq!(check(PASSWORD, stored), REHASH, "{tool}");
        assert_eq!(check("securepassword124", stored), PasswordCheck::NoMatch, "{tool}");
    }
}

/// Made from the first 71 bytes of [`LONG`] by bcrypt 5.0.0.
const OF_71: &str = "$2b$04$mp7LIuq2rhKxcJtONlZ3huezaPB.oBvdrBa/tVoinnA.oaWYHauhu";
/// Made from the first 72 bytes of [`LONG`] by bcrypt 5.0.0.
const OF_72: &str = "$2b$04$xXv.lJTZUjc6ErH/tCWlbuJHm5JOxSe4XYtpQocrKZrx.YD8WvlMm";
/// Made from `café` and 68 letters, 73 bytes in NFC, of which bcrypt takes 72, as
/// bcrypt 4.0.1 does.
const OF_ACCENT: &str = "$2b$04$yhaheZwaNTpZQx8ImBLTvOyVKKUv31xMtOiV6ave2SoG/kXl94Au2";

#[test]
fn bcrypt_hash_is_kept_from_72_bytes_on() {
    assert_eq!(check(&LONG[..71], OF_71), REHASH);
    assert_eq!(check(&LONG[..72], OF_72), KEEP);
    // The owner's password of 72 bytes; nothing after it counts.
    assert_eq!(check(&format!("{}-guessed", &LONG[..72]), OF_72), KEEP);
    assert_eq!(check(&LONG[..71], OF_72), PasswordCheck::NoMatch);
    // Bytes, not characters.
    let accent = format!("caf\u{e9}{}", "x".repeat(68));
    assert_eq!(accent.chars().count(), 72);
    assert_eq!(check(&accent, OF_ACCENT), KEEP);
    // Decomposed as it is typed elsewhere, it is normalized first.
    assert_eq!(check(&format!("cafe\u{301}{}", "x".repeat(68)), OF_ACCENT), KEEP);
}

#[test]
fn bcrypt_hash_is_kept_after_password_with_zero_byte() {
    let stored = "$2b$04$r8gnGXvLb9faaEPtrPyMne.rXcF51overz1qt/TrCZjeGbdsHuj0q";
    assert_eq!(check(PASSWORD, stored), REHASH);
    // bcrypt repeats its key with the zero that ends it, so it cannot tell this from the password.
    assert_eq!(check(&format!("{PASSWORD}\0{PASSWORD}"), stored), KEEP);
}

#[test]
fn bcrypt_sha256_hash_is_replaced_at_any_length() {
    let (_, stored, _) =
        FOREIGN.iter().find(|(password, stored, _)| *password == LONG && stored.contains("sha256")).unwrap();
    let presented = PresentedPassword::new(LONG);
    assert_eq!(verify(&presented, stored, &mut Argon2Memory::default()).unwrap(), REHASH);
    assert_eq!(check(&LONG[..72], stored), PasswordCheck::NoMatch);
    let rehashed = hash(&presented.into_verified(), [7; SALT_BYTES], &mut Argon2Memory::default());
    assert_eq!(check(LONG, &rehashed), KEEP);
    assert_eq!(check(&LONG[..72], &rehashed), PasswordCheck::NoMatch);
}

#[test]
fn password_that_is_too_long_matches_no_hash() {
    let stored =
        hash(&PresentedPassword::new("").into_verified(), [7; SALT_BYTES], &mut Argon2Memory::default());
    assert_eq!(check("", &stored), KEEP);
    assert_eq!(check(&"x".repeat(257), &stored), PasswordCheck::NoMatch);
}

#[test]
fn hash_of_no_password_is_checked_like_any_other() {
    let stored = of_no_password([7; SALT_BYTES], [9; OUTPUT_BYTES]);
    assert!(StoredHash::parse(&stored).is_ok_and(|stored| stored.is_current()));
    assert_eq!(check(PASSWORD, &stored), PasswordCheck::NoMatch);
    assert_eq!(check("", &stored), PasswordCheck::NoMatch);
}

#[test]
fn decoy_hash_costs_as_much_as_a_hash_of_ours() {
    assert!(StoredHash::parse(decoy()).is_ok_and(|stored| stored.is_current()));
    assert_eq!(check(PASSWORD, decoy()), PasswordCheck::NoMatch);
}

/// A hash that cannot be read matches no password, and the reason is a sentence.
#[test]
fn password_hash_that_is_unreadable_matches_nothing() {
    let argon2 = |rest: &str| format!("$argon2id${rest}");
    let end = "UP53+xp/VZw7KyMd045eEg$/XnwlmKpm+R/fOEJ8jVkWcYazO0VD0fQf6Bpd+rmP1U";
    let long = STANDARD_NO_PAD.encode([7; 1025]);
    for (stored, part) in [
        (String::new(), "Cannot be checked: only Argon2"),
        ("securepassword123".into(), "Cannot be checked: only Argon2"),
        ("$1$salt$hash".into(), "Cannot be checked: only Argon2"),
        ("$argon2id".into(), "Must end in"),
        (argon2("v=19$m=19456,t=2,p=1$Q7CmCRqLzi8z5M3povfOZg"), "Must end in"),
        (argon2(&format!("v=19$m=64,t=1,p=1${end}$")), "Must end in"),
        (argon2(&format!("v=20$m=64,t=1,p=1${end}")), "version"),
        (format!("$argon2x$v=19$m=64,t=1,p=1${end}"), "`$argon2id$`"),
        (argon2(&format!("v=19$t=1,p=1${end}")), "Must say `m=`"),
        (argon2(&format!("v=19$m=64,p=1${end}")), "Must say `t=`"),
        (argon2(&format!("v=19$m=64,t=1${end}")), "Must say `p=`"),
        (argon2(&format!("v=19${end}")), "is not `m`, `t`, `p` or `data`"),
        (argon2(&format!("v=19$m=64,t=1,p=1,m=65${end}")), "`m` twice"),
        (argon2(&format!("v=19$m=64,t=1,p=1,x=1${end}")), "a parameter that is not"),
        (argon2(&format!("v=19$m=+64,t=1,p=1${end}")), "a whole number for `m`"),
        (argon2(&format!("v=19$m=4294967296,t=1,p=1${end}")), "a whole number for `m`"),
        (argon2(&format!("v=19$m=64,t=1,p=1,keyid=Zm9v${end}")), "secret key"),
        (argon2(&format!("v=19$m=64,t=1,p=1,data={}${end}", &long[..60])), "32 bytes of associated data"),
        (argon2(&format!("v=19$m=15,t=1,p=2${end}")), "m is at least 8 times p"),
        (argon2(&format!("v=19$m=64,t=0,p=1${end}")), "does not take"),
        (
            argon2("v=19$m=64,t=1,p=1$YWJj$/XnwlmKpm+R/fOEJ8jVkWcYazO0VD0fQf6Bpd+rmP1U"),
            "bytes of salt, and has 3",
        ),
        (argon2(&format!("v=19$m=64,t=1,p=1$UP53+xp/VZw7KyMd045eEg${long}")), "bytes of hash, and has 1025"),
        (argon2("v=19$m=64,t=1,p=1$UP53+xp/VZw7KyMd045eEg$YWJj"), "bytes of hash, and has 3"),
        (argon2("v=19$m=64,t=1,p=1$UP53+xp/VZw7KyMd045eEg$not base64"), "hash in Base64"),
        ("$2b$04$r8gnGXvLb9faaEPtrPyMne.rXcF51overz1qt/TrCZjeGbdsHuj0".into(), "31 of hash"),
        ("$2b$04$r8gnGXvLb9faaEPtrPyMne.rXcF51overz1qt/TrCZjeGbdsHuj0qq".into(), "31 of hash"),
        ("$2b$04$r8gnGXvLb9faaEPtrPyMn\u{e9}.rXcF51overz1qt/TrCZjeGbdsHuj0q".into(), "31 of hash"),
        ("$2x$04$r8gnGXvLb9faaEPtrPyMne.rXcF51overz1qt/TrCZjeGbdsHuj0q".into(), "`$2b$`"),
        ("$2b$03$r8gnGXvLb9faaEPtrPyMne.rXcF51overz1qt/TrCZjeGbdsHuj0q".into(), "cost of 3"),
        ("$2b$17$r8gnGXvLb9faaEPtrPyMne.rXcF51overz1qt/TrCZjeGbdsHuj0q".into(), "cost of 17"),
        (
            "$bcrypt-sha256$v=3,t=2b,r=4$bcZSTdJjVV.Ljjeh176C7e$0jU0Ivs0Qhwjy1OiFVRww1e02XUCY4C".into(),
            "passlib",
        ),
        (
            "$bcrypt-sha256$v=2,t=2x,r=4$bcZSTdJjVV.Ljjeh176C7e$0jU0Ivs0Qhwjy1OiFVRww1e02XUCY4C".into(),
            "passlib",
        ),
        (
            "$bcrypt-sha256$v=2,t=2b,r=4$bcZSTdJjVV.Ljjeh176C7e$0jU0Ivs0Qhwjy1OiFVRww1e02XUCY4C$".into(),
            "passlib",
        ),
        ("$bcrypt-sha256$".into(), "passlib"),
        // As Django 5.2 and Spring write them.
        (format!("argon2$argon2id$v=19$m=64,t=1,p=1${end}"), "remove all that comes before `$argon2`"),
        ("bcrypt$$2b$12$s0qRSjSc1huivkFtcaOYdOc/L49wFKrcnx.HB.1J20xI38H7rmH1e".into(), "before `$2b$`"),
        ("{bcrypt}$2a$04$0Y/wJ5D0spf.BO7ZCd2D/O0tIwgIEhFg14kL8/8jUP9Yc0X2SY/2.".into(), "before `$2a$`"),
        (
            "bcrypt_sha256$$2b$12$mHSImQvUZ3f514kSbzekX.ijb9GBu6XCaKJuzsJVuPt0TtU1bg1zC".into(),
            "`bcrypt_sha256` of Django",
        ),
    ] {
        let reason = check_readable(&stored).expect_err(&stored);
        assert!(reason.contains(part) && reason.ends_with('.'), "{stored}: {reason}");
        assert_eq!(check(PASSWORD, &stored), PasswordCheck::NoMatch, "{stored}");
    }
}

#[test]
fn password_hash_with_excessive_cost_is_not_computed() {
    let rest = "UP53+xp/VZw7KyMd045eEg$/XnwlmKpm+R/fOEJ8jVkWcYazO0VD0fQf6Bpd+rmP1U";
    for params in ["m=1048577,t=1,p=1", "m=1048576,t=5,p=1", "m=64,t=4294967295,p=1", "m=4294967295,t=1,p=1"]
    {
        let reason = check_readable(&format!("$argon2id$v=19${params}${rest}")).expect_err(params);
        assert!(reason.starts_with("Asks for ") && reason.contains("are supported"), "{params}: {reason}");
    }
    assert!(check_readable(&format!("$argon2id$v=19$m=1048576,t=4,p=1${rest}")).is_ok());
    assert!(check_readable("$2b$16$r8gnGXvLb9faaEPtrPyMne.rXcF51overz1qt/TrCZjeGbdsHuj0q").is_ok());
}
