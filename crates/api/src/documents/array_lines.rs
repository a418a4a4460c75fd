//! Makes lines of the elements of a JSON array as they arrive, so that an array of documents is read as lines are.
//!
//! It looks at brackets, commas and strings alone: whether an element is good JSON shows when its line is parsed.
//!
//! # Pitfalls
//! Nothing that is no element may become an empty line, which nobody would hear of: it becomes a line that is bad JSON.

use axum::body::Bytes;
use tenantry_documents::document::diagnosis;

/// Where in the array the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ArrayState {
    /// Before its bracket.
    Start,
    /// Behind the bracket that begins it.
    BeforeFirst,
    /// Behind a comma.
    BeforeNext,
    /// In an element, within so many brackets of its own.
    Within(u64),
    /// In a string of an element; behind a backslash or not.
    Text { depth: u64, is_escaped: bool },
    /// Behind the bracket that ends it.
    End,
    /// In what follows that, where nothing may.
    Rest,
}

/// Whether a body that begins so is a JSON array.
fn is_array(first: &[u8]) -> bool {
    diagnosis::without_mark(first).trim_ascii_start().starts_with(b"[")
}

/// Whether a body that begins so is an array of documents: its first element is an object.
pub fn is_array_of_documents(first: &[u8]) -> bool {
    let text = diagnosis::without_mark(first).trim_ascii_start();
    text.strip_prefix(b"[").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"{"))
}

/// An array that is arriving.
pub struct ArrayLines(ArrayState);

impl ArrayLines {
    /// If `first`, the first bytes of a body, begin an array.
    pub fn begun_by(first: &[u8]) -> Option<Self> {
        is_array(first).then_some(Self(ArrayState::Start))
    }

    /// Whether the bracket that ends it has arrived.
    pub fn is_whole(&self) -> bool {
        matches!(self.0, ArrayState::End | ArrayState::Rest)
    }

    /// The next bytes as lines.
    pub fn pass(&mut self, bytes: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(bytes.len() + 2);
        for byte in bytes {
            self.0 = step(self.0, *byte, &mut out);
        }
        Bytes::from(out)
    }
}

fn step(position: ArrayState, byte: u8, out: &mut Vec<u8>) -> ArrayState {
    match position {
        ArrayState::Text { .. } => in_text(position, byte, out),
        ArrayState::Within(depth) => within(depth, byte, out),
        ArrayState::Rest => {
            out.push(if byte == b'\n' { b' ' } else { byte });
            position
        }
        _ if byte.is_ascii_whitespace() => position,
        // A byte order mark may come first.
        ArrayState::Start if byte == b'[' => ArrayState::BeforeFirst,
        ArrayState::Start => position,
        ArrayState::BeforeFirst if byte == b']' => ArrayState::End,
        ArrayState::BeforeFirst | ArrayState::BeforeNext => before_element(byte, out),
        ArrayState::End => {
            out.extend([b']', byte]);
            ArrayState::Rest
        }
    }
}

fn before_element(byte: u8, out: &mut Vec<u8>) -> ArrayState {
    match byte {
        b',' => {
            out.extend(b",\n");
            ArrayState::BeforeNext
        }
        b']' => {
            out.extend(b"]\n");
            ArrayState::End
        }
        _ => within(0, byte, out),
    }
}

fn within(depth: u64, byte: u8, out: &mut Vec<u8>) -> ArrayState {
    match (byte, depth) {
        (b',', 0) => {
            out.push(b'\n');
            return ArrayState::BeforeNext;
        }
        (b']', 0) => {
            out.push(b'\n');
            return ArrayState::End;
        }
        (b'\n', _) => out.push(b' '),
        _ => out.push(byte),
    }
    match byte {
        b'"' => ArrayState::Text { depth, is_escaped: false },
        b'{' | b'[' => ArrayState::Within(depth + 1),
        b'}' | b']' => ArrayState::Within(depth.saturating_sub(1)),
        _ => ArrayState::Within(depth),
    }
}

fn in_text(position: ArrayState, byte: u8, out: &mut Vec<u8>) -> ArrayState {
    let ArrayState::Text { depth, is_escaped } = position else { return position };
    // A line break in a string is bad JSON, and so is the other control character.
    out.push(if byte == b'\n' { b'\r' } else { byte });
    match byte {
        _ if is_escaped => ArrayState::Text { depth, is_escaped: false },
        b'\\' => ArrayState::Text { depth, is_escaped: true },
        b'"' => ArrayState::Within(depth),
        _ => position,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of `array`, which arrives in pieces of so many bytes, and whether it is whole.
    fn lines(array: &str, piece: usize) -> (String, bool) {
        let mut lines = ArrayLines::begun_by(array.as_bytes()).unwrap();
        let pieces: Vec<u8> = array.as_bytes().chunks(piece).flat_map(|piece| lines.pass(piece)).collect();
        (String::from_utf8(pieces).unwrap(), lines.is_whole())
    }

    #[test]
    fn array_elements_become_lines_in_any_pieces() {
        for (array, expected) in [
            ("[]", ""),
            (" [ ] \n", ""),
            ("[{}]", "{}\n"),
            ("\u{feff}[{}]", "{}\n"),
            ("[{\"a\": [1, 2]},\n {\"b\": {}}]\n", "{\"a\": [1, 2]}\n{\"b\": {}}\n"),
            ("[{\n  \"a\": \"x],\\\"[{\"\n}, 1]", "{   \"a\": \"x],\\\"[{\" }\n1\n"),
            (r#"["\\", "]"]"#, "\"\\\\\"\n\"]\"\n"),
            // What is bad JSON stays bad, in a line of its own.
            ("[,{}]", ",\n{}\n"),
            ("[{},]", "{}\n]\n"),
            ("[{},,{}]", "{}\n,\n{}\n"),
            ("[\"a\nb\"]", "\"a\rb\"\n"),
            ("[{}}, {}]", "{}}\n{}\n"),
            ("[{}] {\"a\":\n1}", "{}\n]{\"a\": 1}"),
        ] {
            for piece in [1, 2, 3, 100] {
                assert_eq!(lines(array, piece), (expected.to_owned(), true), "{array} {piece}");
            }
        }
    }

    #[test]
    fn array_of_documents_begins_with_one() {
        for (text, expected) in [
            ("[{}]", true),
            (" [\n{", true),
            ("\u{feff}[{", true),
            ("[]", false),
            ("[[{", false),
            ("{}", false),
        ] {
            assert_eq!(is_array_of_documents(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn array_without_its_end_is_not_whole() {
        for array in ["[", "[{}", "[{},", "[{}, {\"a\": \"]", "[{\"a\": ]"] {
            assert!(!lines(array, 1).1, "{array}");
        }
        for other in ["", " ", "{}", "x["] {
            assert!(ArrayLines::begun_by(other.as_bytes()).is_none(), "{other}");
        }
    }
}
