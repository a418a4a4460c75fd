//! Reads the text of a `.env` file as the dotenv tools of Python do.
//!
//! `NAME=value` per line, with `export` before it or not. Without quotes a value goes to the end of its line or to a
//! `#` after white space, and may have spaces in it. `'single'` quotes keep everything, `"double"` quotes know
//! `\n \r \t \" \\ \$`; both may go over several lines. Nothing is substituted: a `$` in a secret is a `$`.

/// The entries of a file, and the numbers of the lines that are not entries.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct EnvFile {
    /// Name and value, in the order of the file.
    pub entries: Vec<(String, String)>,
    /// Lines that cannot be read, counted from 1. Their text may hold a secret, so it is not kept.
    pub bad_lines: Vec<usize>,
}

impl EnvFile {
    /// Reads all of `text`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.trim_start_matches('\u{FEFF}');
        let mut file = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (line, next_line) = rest.split_once('\n').unwrap_or((rest, ""));
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                rest = next_line;
            } else if let Some((name, value, after)) = entry(rest) {
                file.entries.push((name.to_owned(), value));
                rest = after;
            } else {
                file.bad_lines.push(1 + text[..text.len() - rest.len()].matches('\n').count());
                rest = next_line;
            }
        }
        file
    }
}

/// Name and value of the entry that `text` begins with, and the text after it.
fn entry(text: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = text.split_once('=')?;
    let name = name.trim();
    let name = name.strip_prefix("export ").unwrap_or(name).trim_start();
    if !is_name(name) {
        return None;
    }
    let value = rest.trim_start_matches([' ', '\t']);
    let (value, after) = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(&value[1..], quote)?,
        _ => unquoted(rest),
    };
    Some((name, value, after))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"_.-".contains(&c))
}

fn unquoted(text: &str) -> (String, &str) {
    let (line, after) = text.split_once('\n').unwrap_or((text, ""));
    let comment = line.match_indices('#').find(|(at, _)| line[..*at].ends_with([' ', '\t']));
    let value = comment.map_or(line, |(at, _)| &line[..at]);
    (value.trim().to_owned(), after)
}

/// The value up to its closing quote, and the text after its line, which may only go on with a comment.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            _ if c == quote => {
                let (tail, after) = text[at + 1..].split_once('\n').unwrap_or((&text[at + 1..], ""));
                let tail = tail.trim();
                return (tail.is_empty() || tail.starts_with('#')).then_some((value, after));
            }
            '\\' if quote == '"' => push_escaped(&mut value, characters.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

fn push_escaped(value: &mut String, c: char) {
    match c {
        'n' => value.push('\n'),
        'r' => value.push('\r'),
        't' => value.push('\t'),
        '"' | '\\' | '$' => value.push(c),
        // Not ours: keep it as it is, as Python's reader does.
        _ => value.extend(['\\', c]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuzz_env_file() {
        let seeds = ["A=1\nexport B='x y' # c\nC=\"a\\nb\"\n", "# only\n\nD=\n", "E='two\nlines'\nF=1"];
        tenantry_test_fuzz::fuzz(&seeds, |input| {
            let text = String::from_utf8_lossy(input);
            let file = EnvFile::parse(&text);
            let lines = text.split('\n').count();
            assert!(file.entries.len() + file.bad_lines.len() <= lines);
            assert!(file.bad_lines.iter().all(|line| (1..=lines).contains(line)), "{file:?}");
            assert!(file.bad_lines.is_sorted(), "{file:?}");
        });
    }

    #[test]
    fn env_file_entry_is_read_in_every_notation() {
        for (text, value) in [
            ("NAME=value", "value"),
            ("  export NAME = value  ", "value"),
            ("NAME=Org Management Service", "Org Management Service"),
            ("NAME=value # a comment", "value"),
            ("NAME=a#b", "a#b"),
            ("NAME=#b", "#b"),
            ("NAME= # nothing yet", ""),
            ("NAME=", ""),
            ("NAME=a=b==", "a=b=="),
            ("NAME=a$HOME${X}", "a$HOME${X}"),
            ("NAME='it \\n $X # \"' # comment", "it \\n $X # \""),
            (r#"NAME="a \"b\" \\ \$ \n \d # c""#, "a \"b\" \\ $ \n \\d # c"),
            ("NAME=\"one\ntwo\"", "one\ntwo"),
            ("NAME=value\r", "value"),
            ("\u{FEFF}NAME=value", "value"),
        ] {
            let expected = EnvFile { entries: vec![("NAME".into(), value.into())], bad_lines: vec![] };
            assert_eq!(EnvFile::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn env_file_skips_blank_lines_and_comments() {
        assert_eq!(EnvFile::parse("\n# A=1\n   \n\t# B=2\n"), EnvFile::default());
    }

    #[test]
    fn env_file_reports_unreadable_lines() {
        let file = EnvFile::parse("A=\"1\n2\"\nnothing here\nB=2\nC D=3\nE='open\nF=\"x\" y\n=4\nG=5");
        let entries =
            [("A", "1\n2"), ("B", "2"), ("G", "5")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(file, EnvFile { entries: entries.into(), bad_lines: vec![3, 5, 6, 7, 8] });
    }
}
