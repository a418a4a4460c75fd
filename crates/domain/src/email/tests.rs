//! Which texts are addresses, and which addresses are the same mailbox.

use super::*;

fn key(text: &str) -> EmailKey {
    EmailAddress::parse(text).unwrap_or_else(|rule| panic!("{text}: {rule}")).key()
}

#[test]
fn email_address_is_kept_as_given() {
    let label = "a".repeat(63);
    let longest = format!("{}@{label}.{label}.{}.de", "a".repeat(64), &label[..58]);
    assert_eq!(longest.len(), EMAIL_MAX_BYTES);
    let longest_before = format!("{}@b.co", "a".repeat(EMAIL_MAX_BYTES - 5));
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
        &longest_before,
        // What HTML takes.
        "o'brien@example.com",
        "`a`@example.com",
        ".a@example.com",
        "a.@example.com",
        "a..b@example.com",
        "a@localhost",
        "a@\u{2603}.com",
        "a@127.0.0.1",
        "a@ab--cd.com",
        "a@xn--0.com",
        "A@XN--BCHER-KVA.TEST",
    ] {
        let address = EmailAddress::parse(text).unwrap_or_else(|rule| panic!("{text}: {rule}"));
        assert_eq!(address.as_str(), text);
    }
    assert_eq!(EmailAddress::parse(" \tadmin@tech.com\n").unwrap().as_str(), "admin@tech.com");
}

#[test]
fn email_address_parse_rejects_invalid_texts() {
    let label = "a".repeat(63);
    let long_in_ascii = format!("a@{}.com", "\u{fc}".repeat(60));
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
        &long_in_ascii,
        "a@\u{5d0}a.com",
        "a@b\u{fc}cher.test\u{3002}",
        "a@\u{ad}.test",
        &long_label,
        &long_address,
        &huge,
    ] {
        let rule = EmailAddress::parse(text).expect_err(text);
        assert!(rule.starts_with("Must ") && rule.ends_with('.'), "{rule}");
    }
}

#[test]
fn email_keys_ignore_case() {
    assert_eq!(key("Admin@Tech.COM").as_str(), "admin@tech.com");
    assert_eq!(key("JOSÉ@EXAMPLE.COM"), key("jose\u{301}@example.com"));
    assert_eq!(key("ΣΊΣΥΦΟΣ@example.gr"), key("σίσυφος@example.gr"));
    assert_ne!(key("ada+1@example.com"), key("ada@example.com"));
}

#[test]
fn email_key_of_invalid_address_belongs_to_no_account() {
    let impossible = EmailKey::impossible("no address");
    assert!(EmailAddress::parse(impossible.as_str()).is_err());
    assert_eq!(impossible, EmailKey::impossible("no address"));
    assert_ne!(impossible, EmailKey::impossible("another"));
    assert_eq!(EmailKey::impossible(&"x".repeat(1_000_000)).as_str().len(), 64);
}

#[test]
fn email_address_is_hidden_in_debug_output() {
    let address = EmailAddress::parse("admin@tech.com").unwrap();
    assert_eq!(format!("{address:?} {:?}", address.key()), "EmailAddress(..) EmailKey(..)");
}

#[test]
fn email_address_is_checked_when_deserialized() {
    let address = EmailAddress::parse("Admin@tech.com").unwrap();
    assert_eq!(serde_json::to_string(&address).unwrap(), r#""Admin@tech.com""#);
    assert_eq!(serde_json::from_str::<EmailAddress>(r#""Admin@tech.com""#).unwrap(), address);
    assert!(serde_json::from_str::<EmailAddress>(r#""admin""#).is_err());
}

#[test]
fn email_domains_compare_by_uts_46() {
    let mailbox = key("ada@xn--bcher-kva.test");
    for spelling in [
        "ada@b\u{fc}cher.test",
        "Ada@B\u{dc}CHER.test",
        "ada@bu\u{308}cher.test",
        "ada@XN--BCHER-KVA.Test",
        "ada@xn--bcher-kva.\u{ff54}\u{ff45}\u{ff53}\u{ff54}",
        "ada@\u{ff42}\u{fc}\u{ff43}\u{ff48}\u{ff45}\u{ff52}.test",
        "ada@b\u{fc}cher\u{3002}test",
        "ada@b\u{fc}\u{ad}cher.test",
    ] {
        assert_eq!(key(spelling), mailbox, "{spelling}");
    }
    assert_eq!(mailbox.as_str(), "ada@xn--bcher-kva.test");
    // Non-transitional: these are two domains.
    assert_ne!(key("ada@fa\u{df}.test"), key("ada@fass.test"));
    assert_ne!(key("ada@b\u{fc}cher.test"), key("ada@bucher.test"));
    // Full-width letters before the @ are another mailbox: that is for the domain to say.
    assert_ne!(key("\u{ff41}da@example.com"), key("ada@example.com"));
}

#[test]
fn email_address_stored_by_earlier_version_keeps_its_key() {
    // A domain that mixes directions, which UTS #46 refuses.
    let text = "Ada@\u{5d0}a.com";
    assert!(EmailAddress::parse(text).is_err());
    let address = EmailAddress::parse_stored(text).unwrap();
    assert_eq!(address.key().as_str(), "ada@\u{5d0}a.com");
    assert_eq!(address.earlier_keys(), None);
    assert!(serde_json::from_value::<EmailAddress>(text.into()).is_ok());
    assert!(EmailAddress::parse_stored("a@exam ple.com").is_err());
}

#[test]
fn email_earlier_keys_exist_only_for_domains_beyond_ascii() {
    for text in ["Ada@Example.com", "ada@xn--bcher-kva.test", "\u{7528}\u{6237}@example.com"] {
        assert_eq!(EmailAddress::parse(text).unwrap().earlier_keys(), None, "{text}");
    }
    let earlier = EmailAddress::parse("Ada@B\u{fc}cher.test").unwrap().earlier_keys().unwrap();
    assert_eq!(earlier.spelled.as_str(), "ada@b\u{fc}cher.test");
    assert_eq!(earlier.duplicate.as_str(), "ada@xn--bcher-kva.test ada@b\u{fc}cher.test");
    assert_eq!(EmailKey::mailbox_of_duplicate(earlier.duplicate.as_str()), Some("ada@xn--bcher-kva.test"));
    let (from, to) = key("ada@b\u{fc}cher.test").duplicates();
    assert!((from..to).contains(&earlier.duplicate.as_str().to_owned()));
}
