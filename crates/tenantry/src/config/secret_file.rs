//! Reads the file that holds a secret, as container platforms and service managers hand secrets out.
//!
//! # Pitfalls
//! Errors name the file and never show what is in it. Nor do they show a secret that was given where the path
//! of its file belongs.

use super::value::{Limits, Unit, Value};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// The most bytes of such a file: no secret is longer, and `/dev/zero` never ends.
const MAX_BYTES: u64 = 64 << 10;
/// The length from which a word without a path separator looks like a secret.
const LONG_WORD: usize = 32;

/// The content of the file at `path`, without one line break at its end. `label` says where the path is given.
pub fn read(label: &str, path: &str) -> Result<String, String> {
    if is_like_a_secret(path) {
        return Err(format!(
            "{label} must be the path of a file, and looks like the secret itself: write the secret into a file, or \
             give it without the ending of the name."
        ));
    }
    let limits = Limits::new(0, 0, Unit::One);
    let file = PathBuf::parse(path, &limits)
        .ok_or_else(|| format!("{label} must be {}.", PathBuf::rule(&limits)))?;
    let bytes = read_bytes(&file).map_err(|error| {
        format!(
            "{path} cannot be read ({error}), and {label} says that it holds a secret: correct the path, or make the \
             file readable to the user of the service."
        )
    })?;
    let refuse = |why: &str| Err(format!("{path} ({label}) {why}."));
    if bytes.len() as u64 > MAX_BYTES {
        return refuse("is longer than 64 KiB, and no secret is: correct the path");
    }
    let Ok(text) = String::from_utf8(bytes) else { return refuse("must be text in UTF-8") };
    let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if text.trim().is_empty() { refuse("is empty: write the secret into it") } else { Ok(text.to_owned()) }
}

fn read_bytes(path: &PathBuf) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether a text is rather a secret of ours than the path of a file: a URL, a key, or a long random word.
fn is_like_a_secret(text: &str) -> bool {
    let is_word = !text.contains(['/', '.']) && (text.len() >= LONG_WORD || text.starts_with("tnt_"));
    let is_encoded = text.contains(['@', '+']) || text.ends_with('=');
    text.contains("://") || !text.starts_with(['/', '.']) && (is_word || is_encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: &str = "JWT_SECRET_FILE in the environment";

    fn content(bytes: &[u8]) -> Result<String, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, bytes).unwrap();
        read(LABEL, path.to_str().unwrap())
    }

    #[test]
    fn secret_file_loses_one_line_break_and_nothing_else() {
        for (bytes, secret) in [
            ("one", "one"),
            ("one\n", "one"),
            ("one\r\n", "one"),
            ("one\n\n", "one\n"),
            (" one \n", " one "),
            ("one\ntwo", "one\ntwo"),
            ("one\r", "one\r"),
        ] {
            assert_eq!(content(bytes.as_bytes()).as_deref(), Ok(secret), "{bytes:?}");
        }
    }

    #[test]
    fn secret_file_that_is_no_secret_is_refused_and_named() {
        for (bytes, why) in [
            (&b""[..], "is empty"),
            (b"\n", "is empty"),
            (b"  \n\n", "is empty"),
            (b"hunter2\xff", "must be text in UTF-8"),
            (&[b'x'; (64 << 10) + 1], "is longer than 64 KiB"),
        ] {
            let refused = content(bytes).unwrap_err();
            assert!(refused.contains(why) && refused.contains("/secret (JWT_SECRET_FILE in"), "{refused}");
            assert!(!refused.contains("hunter2"), "{refused}");
        }
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path().to_owned(), directory.path().join("missing")] {
            let path = path.to_str().unwrap();
            let refused = read(LABEL, path).unwrap_err();
            assert!(
                refused.starts_with(&format!("{path} cannot be read (")) && refused.contains(LABEL),
                "{refused}"
            );
        }
        assert!(read(LABEL, "~/secret").unwrap_err().contains("without `~`"));
        assert!(read(LABEL, "/dev/zero").unwrap_err().contains("is longer than"));
    }

    #[test]
    fn secret_in_place_of_its_path_is_refused_and_not_shown() {
        for text in [
            "mongodb://root:hunter2@localhost",
            "3q2+7w8bTZp0m1xYcVQhJ5n6RkLsUeAf",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "IFRoaXMgaXMgYSBzZWNyZXQ=",
            "tnt_operator_674f1c2e9b1d4a0c5e8f7a6b_0102",
        ] {
            let refused = read(LABEL, text).unwrap_err();
            assert!(refused.starts_with("JWT_SECRET_FILE in the environment must be the path"), "{refused}");
            assert!(!refused.contains(text), "{refused}");
        }
        for path in [
            "jwt-secret",
            "/run/secrets/a-file-with-a-very-long-name-in-here",
            "secrets/jwt.txt",
            "/run/credentials/tenantry@1.service/jwt+secret=",
            "./jwt@1",
        ] {
            assert!(!is_like_a_secret(path), "{path}");
        }
    }
}
