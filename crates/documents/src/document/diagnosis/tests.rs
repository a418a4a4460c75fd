//! Each input is the output of a real program for `{"a":1}`, or the beginning of it.

use super::*;
use crate::document::NewDocument;
use crate::document::json::Json;

fn named(text: &str) -> String {
    NewDocument::parse(text, 1 << 20).map(|_| "taken".to_owned()).unwrap_or_else(|error| error.to_string())
}

#[test]
fn file_type_is_recognized_by_its_first_bytes() {
    let utf16 = |mark: &[u8]| [mark, b"{\0\"\0a\0\"\0"].concat();
    let cases: [(&[u8], &str); 17] = [
        (b"\x1f\x8b\x08\x08\0\0\0\0\0\x03l.ndjson", "gzip -dc"),
        (b"\x28\xb5\x2f\xfd\x24\x10\x81\0\0", "zstd -dc"),
        (b"\xfd7zXZ\0\0\x04\xe6\xd6", "xz -dc"),
        (b"BZh91AY&SY", "bzip2 -dc"),
        (b"\x04\x22\x4d\x18\x64\x40", "lz4 -dc"),
        (b"x\x9c\xabVJT\xb22\xac", "zlib"),
        (b"PK\x03\x04\x0a\0\0\0", "ZIP"),
        (b"7z\xbc\xaf\x27\x1c\0\x04", "7-Zip"),
        (b"%PDF-1.7\n", "PDF"),
        (b"SQLite format 3\0\x10\0", "SQLite"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"\x6d\xe2\x99\x81\x72\0\0\0", "bsondump"),
        (b"\x0c\0\0\0\x10a\0\x01\0\0\0\0", "bsondump"),
        (&utf16(b"\xff\xfe"), "UTF-16"),
        (&utf16(b""), "UTF-16"),
        (b"\xfe\xff\0{\0\"\0a", "UTF-16"),
        (b"\xff\xfe\0\0{\0\0\0", "UTF-32"),
    ];
    for (bytes, expected) in cases {
        let diagnosis = recognize(bytes).unwrap_or_else(|| panic!("{expected}: not recognized"));
        let sentence = diagnosis.explain("JSON");
        assert!(diagnosis.is_whole() && sentence.contains(expected), "{expected}: {sentence}");
        assert_eq!(not_utf8(bytes), diagnosis);
    }
    assert!(not_utf8(b"{\"a\":\"\xe9\"}").explain("JSON").contains("WINDOWS-1252"));
    let tar = [b"l.ndjson".as_slice(), &[0; 249], b"ustar  \0"].concat();
    assert!(recognize(&tar).unwrap().explain("JSON").contains("tar -xf"));
}

#[test]
fn json_mistake_is_explained_by_text_at_error_position() {
    for (text, expected) in [
        ("{'a': 1}", "single quotes"),
        ("{\"a\": None, \"b\": True}", "json.dumps"),
        ("{\"a\": NaN}", "$numberDouble"),
        ("{\"a\": -Infinity}", "$numberDouble"),
        ("{ a: 1, b: 'x' }", "JSON.stringify"),
        ("{\"a\": 1, b: 2}", "JSON.stringify"),
        ("{\"a\": undefined}", "JavaScript"),
        ("{\"_id\": ObjectId(\"674f1c2e9b1d4a0c5e8f7a6b\")}", "EJSON.stringify"),
        ("{\"a\": NumberLong(\"1\")}", "EJSON.stringify"),
        ("{“a”: 1}", "typographic"),
        ("{\"a\":\u{a0}1}", "no-break space"),
        ("\u{a0}{\"a\": 1}", "no-break space"),
        ("{\"a\": 1}\u{200b}", "no-break space"),
        ("{\"a\":1}\0\0\0", "NUL"),
        ("{\"a\":\"x\0y\"}", "a control character"),
        ("{\"a\":\"\u{1a}\"}", "a control character"),
        ("sep=;\na;b\n1;2\n", "CSV"),
        ("{\"a\":1}\r\n\u{1a}", "^Z"),
        ("{\"a\":1}\r\n\u{feff}{\"a\":2}", "byte order mark"),
        ("// an order\n{\"a\":1}", "comments"),
        ("{\"a\":1 /* one */}", "comments"),
        ("{\"a\":1, # one\n}", "comments"),
        ("{\"a\":1,}", "remove the comma"),
        ("{\"a\":[1,]}", "remove the comma"),
        ("{", "jq -c ."),
        ("{\"a\": 1,", "jq -c ."),
        ("  \"a\": 1,", "jq -c ."),
        ("}", "jq -c ."),
        ("{\"a\":1},", "jq -c '.[]'"),
        ("{\"a\":1}\n{\"a\":2}\n", "application/x-ndjson"),
        ("{\"a\":1}{\"a\":2}", "--data-binary"),
        ("{\"a\":1}\r{\"a\":2}\r", "tr '\\r' '\\n'"),
        ("\"{\"\"a\"\": 1}\"", "spreadsheets"),
        ("\"{\\\"a\\\":1}\"", "encoded twice"),
        ("[{\"a\":1}]", "array"),
        ("id,name\n1,Ann\n", "CSV"),
        ("\"id\";\"name\"\r\n", "CSV"),
        ("name\tid", "CSV"),
        ("a=1&b=2", "form"),
        ("<!DOCTYPE html><html>", "HTML"),
        ("<?xml version=\"1.0\"?>", "XML"),
        ("--x\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n{\"a\":1}", "--data-binary"),
        ("eyJhIjoxfQ==", "base64 -d"),
        ("%7B%22a%22%3A1%7D", "percent-encoded"),
        ("\u{1e}{\"a\":1}\n", "RFC 7464"),
    ] {
        let sentence = named(text);
        assert!(sentence.contains(expected), "{text:?}: {sentence}");
    }
}

#[test]
fn json_mistake_without_known_cause_stays_a_plain_error() {
    for text in ["", "nul", "{\"a\" 1}", "{\"a\":01}", "{\"a\":\"\\x\"}", "[1 2]", "hello", "{\"a\":1} x"] {
        let Err(error) = Json::parse(text) else { panic!("{text:?} was taken") };
        assert!(error.to_string().starts_with("This is not JSON: "), "{text:?}: {error}");
    }
}

#[test]
fn json_with_byte_order_mark_and_crlf_is_accepted() {
    assert_eq!(without_mark(b"\xEF\xBB\xBF{}"), b"{}");
    assert_eq!(without_mark(b"{}"), b"{}");
    assert_eq!(named("{\"a\":1}\r\n"), "taken");
}

#[test]
fn ndjson_is_rejected_whole_when_no_line_can_be_valid() {
    for first in ["[", "[{\"a\":1},", "{", "\u{feff}[", "  {  "] {
        assert!(recognize_lines(first.as_bytes()).is_some(), "{first}");
    }
    for first in ["{}", "{\"a\":1}", "", "id,name", "\"a\": 1,", "{ \"a\": 1,"] {
        assert_eq!(recognize_lines(first.as_bytes()), None, "{first}");
    }
}
