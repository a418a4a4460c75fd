//! The kinds of texts in public suites for JSON parsers: those that must be accepted, those that must be refused, and
//! those that RFC 8259 leaves open and we have decided.

use super::*;

#[test]
fn json_parser_accepts_what_every_parser_must_accept() {
    for text in [
        // Arrays and objects, with white space everywhere it is allowed.
        "[]",
        "[ ]",
        "[[]   ]",
        "[\"\"]",
        "[null, 1, \"1\", {}]",
        "{}",
        "{\"\":0}",
        "{\"a\":\"b\",\"a\":\"b\"}",
        "{\"a\\u0000\":1}",
        " [] ",
        "\t\r\n[\n1\n]\r\n",
        // Numbers.
        "[0]",
        "[-0]",
        "[-0.0]",
        "[1E22]",
        "[1E-2]",
        "[1E+2]",
        "[0e1]",
        "[123e65]",
        "[123.456e78]",
        "[-123]",
        "[20e1]",
        "[123456789012345678901234567890]",
        "[0.1234567890123456789012345678901234567890]",
        // Strings, and their escapes.
        "[\"\\u0060\\u012a\\u12AB\"]",
        "[\"\\uD801\\udc37\"]",
        "[\"\\ud83d\\ude39\\ud83d\\udc8d\"]",
        "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
        "[\"\\\\u0000\"]",
        "[\"\\u0000\"]",
        "[\"\\uDBFF\\uDFFF\"]",
        "[\"\\uFDD0\\uFFFE\\u200b\\u2028\"]",
        "[\"é€𝄞\u{7f}\u{2028}\u{2029}\u{feff}\"]",
        "[\"a/*b*/c//d#e\"]",
        // A value by itself.
        "\"\"",
        "42",
        "-0.1",
        "true",
        "false",
        "null",
    ] {
        assert!(Json::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn json_parser_rejects_what_every_parser_must_reject() {
    for text in [
        // Brackets and commas.
        "[",
        "]",
        "[1",
        "[1,",
        "[,1]",
        "[1,,2]",
        "[1 true]",
        "[\"\",]",
        "[\"x\"]]",
        "[3[4]]",
        "[1:2]",
        "[*]",
        "[\"a\",\n4\n,1,",
        "{",
        "}",
        "{\"a\"",
        "{\"a\":",
        "{\"a\" b}",
        "{\"a\":\"b\",}",
        "{\"a\":\"b\",,\"c\":\"d\"}",
        "{\"a\":1 2}",
        "{\"a\",\"b\"}",
        "{:\"b\"}",
        "{1:1}",
        "{null:null}",
        "{'a':0}",
        "{a: \"b\"}",
        "{\"a\":\"b\"}#",
        "{\"a\":\"b\"}/**/",
        "{\"a\":\"b\"}//",
        "{\"a\":/*x*/\"b\"}",
        "{}}",
        "[][]",
        "1]",
        "2@",
        // Numbers.
        "[+1]",
        "[-01]",
        "[012]",
        "[-]",
        "[- 1]",
        "[--2]",
        "[-1.0.]",
        "[.1]",
        "[-.1]",
        "[1.]",
        "[2.e3]",
        "[0.e1]",
        "[0e]",
        "[0e+]",
        "[1.0e-]",
        "[1eE2]",
        "[1e1.5]",
        "[0x1]",
        "[0xFF]",
        "[1 000.0]",
        "[1_000]",
        "[1a]",
        "[NaN]",
        "[Infinity]",
        "[-Infinity]",
        "[１]",
        // Words.
        "[nul]",
        "[tru]",
        "[fals]",
        "[True]",
        "[NULL]",
        "[nullx]",
        "[undefined]",
        // Strings.
        "[\"",
        "[\"a",
        "[\"\\",
        "[\"\\\"]",
        "[\"\\u\"]",
        "[\"\\u12\"]",
        "[\"\\u123g\"]",
        "[\"\\x00\"]",
        "[\"\\a\"]",
        "[\"\\'\"]",
        "[\"\\\u{e9}\"]",
        "['a']",
        "[\"a\nb\"]",
        "[\"a\tb\"]",
        "[\"\u{0}\"]",
        "[\"\u{1f}\"]",
        "[a\"]",
        "\\u0022a\\u0022",
        // White space that is none.
        "[\u{b}1]",
        "[\u{c}]",
        "[\u{a0}]",
        "[\u{2060}]",
        "\u{feff}",
        // Nothing, and something else.
        "",
        " ",
        "<null>",
        "abc",
        "[<null>]",
        "\u{0}",
    ] {
        assert!(Json::parse(text).is_err(), "{text:?} was taken");
    }
}

#[test]
fn json_parser_decides_what_the_standard_leaves_open() {
    for (text, taken) in [
        // Half of a surrogate pair is no character.
        ("[\"\\uD800\"]", false),
        ("[\"\\uDADA\\u0041\"]", false),
        ("[\"\\uDd1e\\uD834\"]", false),
        ("[\"\\ud800\\ud800\\n\"]", false),
        // Numbers keep their digits here, however large; their type is decided where they are read.
        ("[1e400]", true),
        ("[-1e400]", true),
        ("[123123e100000]", true),
        ("[0.4e00669999999999999999999999999999999999999999999999999999]", true),
        // A byte order mark is no part of the text; it is taken away before (`diagnosis::without_mark`).
        ("\u{feff}{}", false),
    ] {
        assert_eq!(Json::parse(text).is_ok(), taken, "{text}");
    }
}
