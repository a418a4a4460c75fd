//! Recognizes what was sent instead of JSON (a compressed file, a spreadsheet, UTF-16, a Python dictionary),
//! and says what to do about it.
//!
//! Nothing is repaired here, and nothing is checked before the JSON parser has refused the input: the result
//! is an explanation, never a decision. Two things are harmless and accepted everywhere: a byte order mark
//! before the text ([`without_mark`]), and CRLF at the ends of lines, which is white space in JSON.

/// A byte order mark in UTF-8, as Windows' editors put it in front of a text.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// What an input is instead of JSON, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputDiagnosis {
    what: &'static str,
    advice: &'static str,
    /// Whether it is the whole input that is something else, so that no line of it can be good.
    whole: bool,
}

impl InputDiagnosis {
    const fn file(what: &'static str, advice: &'static str) -> Self {
        Self { what, advice, whole: true }
    }

    const fn text(what: &'static str, advice: &'static str) -> Self {
        Self { what, advice, whole: false }
    }

    /// Whether the whole input is something else, so that no line of it can be good.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.whole
    }

    /// What it is, that it is not `wanted`, and what to do: the end of a sentence.
    #[must_use]
    pub fn explain(&self, wanted: &str) -> String {
        format!("is {}, not {wanted}: {}.", self.what, self.advice)
    }
}

/// `bytes` without the byte order mark in front of them.
#[must_use]
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}

const UNPACK: &str = "unpack it first";
const GZIP: InputDiagnosis =
    InputDiagnosis::file("compressed with gzip", "decompress it first (`gzip -dc FILE`)");
const ZLIB: InputDiagnosis = InputDiagnosis::file("compressed with zlib", "send it as it is, not compressed");
const BZIP2: InputDiagnosis =
    InputDiagnosis::file("compressed with bzip2", "decompress it first (`bzip2 -dc FILE`)");
const ZIP: InputDiagnosis = InputDiagnosis::file(
    "a ZIP archive (a spreadsheet in .xlsx or .ods is one, too)",
    "unpack it, or let the spreadsheet's program write text",
);
const UTF16: InputDiagnosis = InputDiagnosis::file(
    "in UTF-16",
    "save it as UTF-8 (`iconv -f UTF-16 -t UTF-8 FILE`; in PowerShell, `-Encoding utf8`)",
);
const UTF32: InputDiagnosis =
    InputDiagnosis::file("in UTF-32", "save it as UTF-8 (`iconv -f UTF-32 -t UTF-8 FILE`)");
const BSON: InputDiagnosis = InputDiagnosis::file(
    "BSON, as `mongodump` writes it",
    "print it as JSON, one document to a line (`bsondump FILE`)",
);
const TAR: InputDiagnosis = InputDiagnosis::file("a tar archive", "unpack it first (`tar -xf FILE`)");

/// The first bytes of files.
const BEGINNINGS: [(&[u8], InputDiagnosis); 19] = [
    (b"\x1f\x8b", GZIP),
    (
        b"\x28\xb5\x2f\xfd",
        InputDiagnosis::file("compressed with Zstandard", "decompress it first (`zstd -dc FILE`)"),
    ),
    (b"\xfd7zXZ\0", InputDiagnosis::file("compressed with xz", "decompress it first (`xz -dc FILE`)")),
    (
        b"\x04\x22\x4d\x18",
        InputDiagnosis::file("compressed with LZ4", "decompress it first (`lz4 -dc FILE`)"),
    ),
    (
        b"\x1f\x9d",
        InputDiagnosis::file("compressed with `compress`", "decompress it first (`gzip -dc FILE`)"),
    ),
    (b"x\x01", ZLIB),
    (b"x\x9c", ZLIB),
    (b"x\xda", ZLIB),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"7z\xbc\xaf\x27\x1c", InputDiagnosis::file("a 7-Zip archive", UNPACK)),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        InputDiagnosis::file("a file of an old Office program (.xls)", "write it as text"),
    ),
    (b"%PDF-", InputDiagnosis::file("a PDF file", "send the data that it was made from")),
    (
        b"SQLite format 3\0",
        InputDiagnosis::file("a SQLite database", "print its rows as JSON (`sqlite3 -json FILE`)"),
    ),
    (b"PAR1", InputDiagnosis::file("a Parquet file", "write its rows as JSON, one to a line")),
    (b"\x6d\xe2\x99\x81", InputDiagnosis::file("an archive of `mongodump`", BSON.advice)),
    (b"\xff\xfe\0\0", UTF32),
    (b"\0\0\xfe\xff", UTF32),
    (b"\xff\xfe", UTF16),
];

/// Names an input by the bytes that it begins with, if they are those of a file that holds no JSON text.
#[must_use]
pub fn recognize(bytes: &[u8]) -> Option<InputDiagnosis> {
    if let Some((_, diagnosis)) = BEGINNINGS.iter().find(|(beginning, _)| bytes.starts_with(beginning)) {
        return Some(*diagnosis);
    }
    match bytes {
        [b'B', b'Z', b'h', b'1'..=b'9', b'1', ..] => Some(BZIP2),
        // Without a mark, every other byte of Latin text is zero.
        [0xfe, 0xff, ..] | [1..=0x7f, 0, 1..=0x7f, 0, ..] | [0, 1..=0x7f, 0, 1..=0x7f, ..] => Some(UTF16),
        // The length of the first document, below 16 MiB, and the type of its first element.
        [low, middle, _, 0, 1..=0x13, ..] if u16::from_le_bytes([*low, *middle]) > 4 => Some(BSON),
        _ if bytes.get(257..262) == Some(b"ustar") => Some(TAR),
        _ => None,
    }
}

/// Names an input that is not UTF-8.
#[must_use]
pub fn not_utf8(bytes: &[u8]) -> InputDiagnosis {
    recognize(bytes).unwrap_or(InputDiagnosis::text(
        "text that is not UTF-8, such as Windows-1252 or Latin-1",
        "save it as UTF-8 (`iconv -f WINDOWS-1252 -t UTF-8 FILE`)",
    ))
}

const CSV: InputDiagnosis =
    InputDiagnosis::file("CSV, a table", "convert its rows to JSON objects, one to a line");
const XML: InputDiagnosis = InputDiagnosis::file("XML", "convert it to JSON");

/// Names a body by the media type that it comes with, where that says what it is and is none of JSON.
#[must_use]
pub fn of_media_type(essence: &str) -> Option<InputDiagnosis> {
    Some(match essence {
        "multipart/form-data" => MULTIPART,
        "text/csv" | "application/csv" | "text/tab-separated-values" => CSV,
        "text/xml" | "application/xml" => XML,
        "application/gzip" | "application/x-gzip" => GZIP,
        "application/zip" | "application/x-zip-compressed" => ZIP,
        "application/bson" => BSON,
        _ => return None,
    })
}

/// An array where one object is meant, or an object to each line.
pub(super) const ARRAY: InputDiagnosis = InputDiagnosis::file(
    "a JSON array",
    "send one object; `POST …/bulk` alone takes many documents: as an array, or each on a line of its own \
     (`jq -c '.[]' FILE`) with `Content-Type: application/x-ndjson`",
);
/// A string that holds JSON.
pub(super) const ENCODED_TWICE: InputDiagnosis =
    InputDiagnosis::text("JSON in a string, encoded twice", "call `JSON.stringify` or `json.dumps` once");
const ITEM: InputDiagnosis = InputDiagnosis::text(
    "an object with a comma behind it",
    "send it without the comma (`jq -c '.[]' FILE`)",
);
const PRETTY: InputDiagnosis = InputDiagnosis::file(
    "an object that goes over several lines",
    "write each document on one line (`jq -c . FILE`)",
);

/// Names an input that is read line by line by its first line, if no line of it can be good.
#[must_use]
pub fn recognize_lines(first: &[u8]) -> Option<InputDiagnosis> {
    recognize(first).or(match without_mark(first).trim_ascii() {
        [b'[', ..] => Some(ARRAY),
        b"{" => Some(PRETTY),
        _ => None,
    })
}

/// Names what a reader of JSON stopped at, at byte `at` of `text`.
#[must_use]
pub fn explain(text: &str, at: usize) -> Option<InputDiagnosis> {
    recognize(text.as_bytes())
        .or_else(|| of_start(text))
        .or_else(|| of_place(text.get(..at)?, text.get(at..)?))
        .or_else(|| of_first_line(text))
}

const MULTIPART: InputDiagnosis =
    InputDiagnosis::file("a form with a file in it", "send the file itself (`curl --data-binary @FILE`)");
const CELLS: InputDiagnosis = InputDiagnosis::text(
    "JSON in quoted cells, as spreadsheets write CSV",
    "write the cells as plain text, without quotes around them",
);

/// The diagnosis of a text with a beginning that JSON cannot have.
fn of_start(text: &str) -> Option<InputDiagnosis> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let starts = |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    Some(match () {
        () if starts("<!doctype") || starts("<html") => {
            InputDiagnosis::file("a page of HTML", "look whether what made it failed, or was another address")
        }
        () if starts("<") => XML,
        () if starts("--") && text.contains("Content-Disposition:") => MULTIPART,
        () if starts("eyJ") || starts("H4sI") => {
            InputDiagnosis::file("Base64", "decode it first (`base64 -d FILE`)")
        }
        () if starts("%7B") || starts("%5B") => InputDiagnosis::file("percent-encoded", "send it as it is"),
        () if starts("\"{\"\"") || starts("\"[\"\"") => CELLS,
        () if starts("\u{1e}") => InputDiagnosis::text(
            "a JSON text sequence (RFC 7464)",
            "leave out the record separators (U+001E)",
        ),
        () => return None,
    })
}

const COMMENTS: InputDiagnosis = InputDiagnosis::text("JSON with comments", "remove them");
const QUOTES: InputDiagnosis = InputDiagnosis::text(
    "text with typographic quotes, as word processors make them",
    "write plain quotes (`\"`)",
);
const SINGLE: InputDiagnosis = InputDiagnosis::text(
    "text in single quotes, as Python prints a dictionary",
    "print it with `json.dumps`",
);
const SPACES: InputDiagnosis = InputDiagnosis::text(
    "text with a space that JSON does not know, such as the no-break space U+00A0",
    "write plain spaces outside of strings",
);
const PYTHON: InputDiagnosis =
    InputDiagnosis::text("a value as Python prints it", "print it with `json.dumps`");
const NOT_FINITE: InputDiagnosis = InputDiagnosis::text(
    "a number that JSON has no form for",
    "write Extended JSON, such as {\"$numberDouble\": \"NaN\"}",
);
const SHELL: InputDiagnosis = InputDiagnosis::text(
    "a value as MongoDB's shell prints it",
    "write Extended JSON, such as {\"$oid\": \"…\"} or {\"$date\": \"…\"} (`EJSON.stringify(document)`)",
);
const TRAILING_COMMA: InputDiagnosis =
    InputDiagnosis::text("JSON with a comma before a closing bracket", "remove the comma");
const BARE_NAMES: InputDiagnosis = InputDiagnosis::text(
    "an object with names without quotes, as in JavaScript",
    "print it with `JSON.stringify`",
);
const SEVERAL_LINES: InputDiagnosis =
    InputDiagnosis::text("a part of JSON that goes over several lines, or is cut off", PRETTY.advice);
const NUL: InputDiagnosis = InputDiagnosis::text("followed by NUL bytes", "send the text alone");
const CTRL_Z: InputDiagnosis =
    InputDiagnosis::text("followed by ^Z (U+001A), the end of a file in DOS", "remove it");
const CONTROL: InputDiagnosis = InputDiagnosis::text(
    "text with a control character in it",
    "remove it, or, within a string, write it as an escape such as \\u0000",
);
const MARK_INSIDE: InputDiagnosis =
    InputDiagnosis::text("text with a byte order mark (U+FEFF) inside it", "remove the mark");

/// Words that begin no JSON value, but one somewhere else.
const WORDS: [(&str, InputDiagnosis); 16] = [
    ("None", PYTHON),
    ("True", PYTHON),
    ("False", PYTHON),
    ("NaN", NOT_FINITE),
    ("nan", NOT_FINITE),
    ("Infinity", NOT_FINITE),
    ("inf", NOT_FINITE),
    ("ObjectId(", SHELL),
    ("ISODate(", SHELL),
    ("Number", SHELL),
    ("Long(", SHELL),
    ("Int32(", SHELL),
    ("Double(", SHELL),
    ("Decimal128(", SHELL),
    ("UUID(", SHELL),
    ("undefined", InputDiagnosis::text("a value as JavaScript has it", "print it with `JSON.stringify`")),
];

/// The diagnosis at the position where the text stops being JSON: `before` could be parsed, `rest` could not.
fn of_place(before: &str, rest: &str) -> Option<InputDiagnosis> {
    if let Some((_, diagnosis)) = WORDS.iter().find(|(word, _)| rest.starts_with(word)) {
        return Some(*diagnosis);
    }
    let read = before.trim_end();
    let last = read.chars().next_back();
    let Some(next) = rest.chars().next() else {
        return matches!(last, Some('{' | '[' | ',' | ':')).then_some(SEVERAL_LINES);
    };
    Some(match next {
        '“' | '”' | '„' | '‘' | '’' | '«' | '»' => QUOTES,
        '\'' => SINGLE,
        '\u{a0}'
        | '\u{2000}'..='\u{200b}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{202f}'
        | '\u{2060}'
        | '\u{3000}' => SPACES,
        '\0' if rest.trim_matches('\0').trim().is_empty() => NUL,
        '\u{1a}' if rest.trim_matches(['\u{1a}', '\0']).trim().is_empty() => CTRL_Z,
        '\0' | '\u{1a}' => CONTROL,
        '\u{feff}' => MARK_INSIDE,
        '#' => COMMENTS,
        '/' if rest.starts_with("//") || rest.starts_with("/*") => COMMENTS,
        '}' | ']' if last == Some(',') => TRAILING_COMMA,
        '}' | ']' if read.is_empty() => SEVERAL_LINES,
        ':' if !read.contains('{') => SEVERAL_LINES,
        '{' if last == Some('}') => several_objects(&before[read.len()..]),
        ',' if last == Some('}') => ITEM,
        _ if next.is_alphabetic() && matches!(last, Some('{' | ',')) => BARE_NAMES,
        _ => return None,
    })
}

/// Objects that follow each other, with this white space between them.
fn several_objects(between: &str) -> InputDiagnosis {
    if between.contains('\n') {
        let what = "more than one object";
        InputDiagnosis::text(
            what,
            "send one; `POST …/bulk` alone takes many documents (`Content-Type: application/x-ndjson`)",
        )
    } else if between.contains('\r') {
        let what = "several lines that end with a carriage return alone";
        InputDiagnosis::file(what, "end them with line feeds (`tr '\\r' '\\n' < FILE`)")
    } else {
        let what = "several objects on one line, as `curl -d @FILE` sends a file of lines";
        InputDiagnosis::text(what, "keep its line feeds (`curl --data-binary @FILE`)")
    }
}

/// A table or a form.
fn of_first_line(text: &str) -> Option<InputDiagnosis> {
    let line = text.trim_start_matches('\u{feff}').lines().next()?;
    let name = line.trim_start_matches('"');
    let is_name = name.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    if !is_name || line.contains(['{', '[']) {
        return None;
    }
    // The line by which Excel is told what separates the columns.
    if matches!(line.trim_end().as_bytes(), [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', _]) {
        return Some(CSV);
    }
    let word = |c: char| c.is_alphanumeric() || "_-.%+[]".contains(c);
    if line.trim_start_matches(word).starts_with('=') {
        let advice = "send JSON, with `Content-Type: application/json`";
        return Some(InputDiagnosis::file("the fields of a form (`name=value`)", advice));
    }
    let separated = [',', ';', '\t'].into_iter().any(|separator| line.contains(separator));
    separated.then_some(CSV)
}

#[cfg(test)]
mod tests;
