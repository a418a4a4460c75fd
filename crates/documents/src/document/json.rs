//! A JSON parser (RFC 8259) that keeps what others lose: the order of members, duplicate members, and the
//! digits of a number.
//!
//! `serde_json` would round an integer of more than 64 bits and drop the first of two members of one name before
//! we could refuse them. It knows nothing of BSON.

use super::diagnosis::{ARRAY, ENCODED_TWICE, InputDiagnosis, explain};
use crate::error::{Error, Result};
use crate::limits::JSON_MAX_LEVELS;
use std::borrow::Cow;

/// The members of an object in their order; a name may occur twice.
pub type JsonMembers<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// The digits, as they were sent.
    Number(&'a str),
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object.
    Object(JsonMembers<'a>),
}

impl<'a> Json<'a> {
    /// Reads one value.
    ///
    /// # Errors
    /// `invalid_json`, with what is wrong and at which byte.
    pub fn parse(text: &'a str) -> Result<Self> {
        Self::read(text).map_err(|(what, at)| Error::InvalidJson(malformed(text, what, at, "")))
    }

    /// Reads a value that is a part of a request, whose bytes are counted from its own beginning.
    ///
    /// # Errors
    /// What is wrong, and at which byte of the value.
    pub fn parse_part(text: &'a str) -> Result<Self, String> {
        Self::read(text).map_err(|(what, at)| malformed(text, what, at, " of this value"))
    }

    /// Reads one value, or says what is wrong and at which byte.
    pub(super) fn read(text: &'a str) -> Result<Self, (SyntaxError, usize)> {
        let mut parser = JsonParser { text, at: 0 };
        let value = parser.value(0).and_then(|value| parser.end().map(|()| value));
        value.map_err(|what| (what, parser.at))
    }

    /// Reads one object.
    ///
    /// # Errors
    /// `invalid_json`, as [`Self::parse`], or if it is something else.
    pub fn parse_object(text: &'a str) -> Result<JsonMembers<'a>> {
        Self::parse(text)?.into_object().map_err(Error::InvalidJson)
    }

    /// The members of an object, or what else it is.
    ///
    /// # Errors
    /// A sentence.
    pub fn into_object(self) -> Result<JsonMembers<'a>, String> {
        match self {
            Self::Object(members) => Ok(members),
            value => Err(of_value(&value).map_or_else(
                || "This must be a JSON object.".to_owned(),
                |diagnosis| format!("This {}", diagnosis.explain("a JSON object")),
            )),
        }
    }
}

/// What is wrong with a text that is not JSON, at byte `at` of it.
fn malformed(text: &str, what: SyntaxError, at: usize, of: &str) -> String {
    match explain(text, at) {
        Some(diagnosis) => format!("This {} As JSON, {what} at byte {at}{of}.", diagnosis.explain("JSON")),
        None => format!("This is not JSON: {what} at byte {at}{of}."),
    }
}

/// What is wrong with the text at the parser's position.
type SyntaxError = &'static str;

struct JsonParser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> JsonParser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Consumes `byte` if it comes next; returns whether it did.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn end(&mut self) -> Result<(), SyntaxError> {
        self.skip_white_space();
        if self.at == self.text.len() { Ok(()) } else { Err("something follows the value") }
    }

    fn value(&mut self, levels: usize) -> Result<Json<'a>, SyntaxError> {
        self.skip_white_space();
        match self.peek() {
            Some(b'{' | b'[') if levels == JSON_MAX_LEVELS => {
                Err("too many objects and arrays in one another")
            }
            Some(b'{') => self.object(levels + 1),
            Some(b'[') => self.array(levels + 1),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            _ => Err("a value is missing"),
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, SyntaxError> {
        if !self.text[self.at..].starts_with(word) {
            return Err("an unknown word");
        }
        self.at += word.len();
        Ok(value)
    }

    fn object(&mut self, levels: usize) -> Result<Json<'a>, SyntaxError> {
        self.at += 1;
        let mut members = Vec::new();
        self.skip_white_space();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_white_space();
            if self.peek() != Some(b'"') {
                return Err("a member's name is missing");
            }
            let name = self.string()?;
            self.skip_white_space();
            if !self.take(b':') {
                return Err("`:` is missing");
            }
            members.push((name, self.value(levels)?));
            self.skip_white_space();
            if self.take(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.take(b',') {
                return Err("`,` or `}` is missing");
            }
        }
    }

    fn array(&mut self, levels: usize) -> Result<Json<'a>, SyntaxError> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_white_space();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(levels)?);
            self.skip_white_space();
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            if !self.take(b',') {
                return Err("`,` or `]` is missing");
            }
        }
    }

    fn number(&mut self) -> Result<Json<'a>, SyntaxError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(Json::Number(&self.text[start..self.at]))
    }

    fn digits(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err("a digit is missing") } else { Ok(()) }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, SyntaxError> {
        self.at += 1;
        let mut unescaped = String::new();
        let mut start = self.at;
        loop {
            match self.peek() {
                None => return Err("a string has no end"),
                Some(0..=0x1f) => return Err("a control character in a string"),
                Some(b'"') => {
                    let tail = &self.text[start..self.at];
                    self.at += 1;
                    if unescaped.is_empty() {
                        return Ok(Cow::Borrowed(tail));
                    }
                    unescaped.push_str(tail);
                    return Ok(Cow::Owned(unescaped));
                }
                Some(b'\\') => {
                    unescaped.push_str(&self.text[start..self.at]);
                    self.at += 1;
                    unescaped.push(self.escape()?);
                    start = self.at;
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let byte = self.peek().ok_or("a string has no end")?;
        let plain = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err("an unknown escape"),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode(&mut self) -> Result<char, SyntaxError> {
        let lone = "half of a surrogate pair";
        let first = self.unit()?;
        if let 0xd800..=0xdbff = first {
            if !self.text[self.at..].starts_with("\\u") {
                return Err(lone);
            }
            self.at += 1;
            let second = self.unit()?;
            return char::decode_utf16([first, second]).next().and_then(Result::ok).ok_or(lone);
        }
        char::from_u32(first.into()).ok_or(lone)
    }

    /// The `u` and four hexadecimal digits of an escape.
    fn unit(&mut self) -> Result<u16, SyntaxError> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5).ok_or("a string has no end")?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err("an escape without four hexadecimal digits");
        }
        self.at += 5;
        let text = &self.text[self.at - 4..self.at];
        u16::from_str_radix(text, 16).map_err(|_| "an escape without four hexadecimal digits")
    }
}

/// Names a value that is sent in place of an object.
pub(super) fn of_value(value: &Json<'_>) -> Option<InputDiagnosis> {
    match value {
        Json::Array(_) => Some(ARRAY),
        Json::String(text) if text.trim_start().starts_with(['{', '[']) => Some(ENCODED_TWICE),
        _ => None,
    }
}

#[cfg(test)]
mod kinds;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As `serde_json` reads it, but with numbers as they were sent.
    fn plain(json: &Json<'_>) -> serde_json::Value {
        match json {
            Json::Null => serde_json::Value::Null,
            Json::Bool(value) => (*value).into(),
            Json::Number(digits) => serde_json::from_str(digits).unwrap(),
            Json::String(text) => text.as_ref().into(),
            Json::Array(items) => items.iter().map(plain).collect(),
            Json::Object(members) => {
                members.iter().map(|(name, value)| (name.to_string(), plain(value))).collect()
            }
        }
    }

    #[test]
    fn json_object_keeps_member_order_and_number_digits() {
        let text = r#"{"b":1.50,"a":[123456789012345678901,-0],"b":"\u00e9\ud83d\ude00\n"}"#;
        let number = |digits| Json::Number(digits);
        assert_eq!(
            Json::parse_object(text).unwrap(),
            [
                ("b".into(), number("1.50")),
                ("a".into(), Json::Array(vec![number("123456789012345678901"), number("-0")])),
                ("b".into(), Json::String("é😀\n".into())),
            ]
        );
    }

    #[test]
    fn json_parser_rejects_malformed_text_with_position() {
        for (text, at) in [
            ("", 0),
            ("{", 1),
            ("[1,]", 3),
            ("{\"a\" 1}", 5),
            ("01", 1),
            ("1.", 2),
            ("-", 1),
            ("+1", 0),
            ("\"\\ud800\"", 7),
            ("\"\\ud800\\u0041\"", 13),
            ("\"\\udc00\"", 7),
            ("\"\u{1}\"", 1),
            ("nul", 0),
            ("1 2", 2),
            (&"[".repeat(1_000_000), JSON_MAX_LEVELS),
        ] {
            let error = Json::parse(text).unwrap_err();
            assert!(matches!(error, Error::InvalidJson(_)));
            assert!(
                error.to_string().ends_with(&format!("at byte {at}.")),
                "{}: {error}",
                &text[..text.len().min(20)]
            );
        }
        assert!(matches!(Json::parse_object("[]"), Err(Error::InvalidJson(_))));
    }

    proptest! {
        #[test]
        fn json_parser_agrees_with_serde_json(text in r#"[\[\]{}:," \\unr0-9eE.+\-dabftls\PC]{0,12}"#) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            match (Json::parse(&text), theirs) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(plain(&ours), theirs),
                // It has no room for 1e999.
                (Ok(_), Err(error)) => prop_assert!(error.to_string().contains("out of range"), "{}", error),
                (ours, theirs) => prop_assert_eq!(ours.is_ok(), theirs.is_ok()),
            }
        }
    }
}
