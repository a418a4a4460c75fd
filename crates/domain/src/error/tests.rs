//! The table of errors, and what an error says.

use super::*;
use std::collections::BTreeSet;

#[test]
fn error_codes_are_snake_case_and_unique() {
    let mut seen = BTreeSet::new();
    for row in ErrorCode::ALL {
        assert!(row.code().chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", row.code());
        assert!(seen.insert(row.code()), "{} is in the table twice", row.code());
        assert!(row.title().ends_with('.') && row.advice().ends_with('.'), "{}", row.code());
    }
}

/// A transport adds its own advice: what it calls a header, a path or a verb.
#[test]
fn error_table_holds_no_word_of_a_transport() {
    let foreign = [
        "HTTP",
        "GET ",
        "POST ",
        "PUT ",
        "PATCH ",
        "DELETE ",
        "/v1",
        "Retry-After",
        "Idempotency-Key",
        "ETag",
        "If-Match",
        "header",
        "Bearer",
        "Location",
        "query parameter",
    ];
    for row in ErrorCode::ALL {
        for text in [row.title(), row.advice()] {
            let found = foreign.iter().find(|word| text.contains(**word));
            assert_eq!(found, None, "{}: {text}", row.code());
        }
    }
}

#[test]
fn quoted_text_is_whole_up_to_its_limit() {
    assert_eq!(quoted("a b"), "`a b`");
    let longest = "é".repeat(QUOTED_MAX_CHARS);
    assert_eq!(quoted(&longest), format!("`{longest}`"));
    assert_eq!(quoted(&format!("{longest}x")), format!("`{longest}…`"));
}

#[test]
fn error_of_a_part_leads_its_fields_or_is_one() {
    let pointers =
        |error: Error| -> Vec<String> { error.fields().iter().map(|field| field.pointer.clone()).collect() };
    assert_eq!(pointers(Error::invalid_field("/a", "Is bad.").below("/operations/3")), ["/operations/3/a"]);
    let missing = Error::new(ErrorCode::DocumentNotFound).below("/operations/3");
    assert_eq!(missing.code(), ErrorCode::DocumentNotFound);
    assert_eq!(pointers(missing), ["/operations/3"]);
}

#[test]
fn error_cause_never_reaches_the_sentence() {
    let error = Error::internal("secret path");
    assert!(!error.sentence().contains("secret path"));
    assert_eq!(error.cause(), Some("secret path"));
}
