//! Says which member of a line is wrong, and what it must be.

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

/// Characters that are repeated of what the line says.
const SHOWN_MAX_CHARS: usize = 300;

/// What is wrong with `line`, which is to be a `T` and which `error` refuses.
///
/// The line is read once more, because keeping the path costs time that good lines need not take.
pub(super) fn explain<T: DeserializeOwned>(line: &[u8], error: &serde_json::Error) -> String {
    let mut reader = serde_json::Deserializer::from_slice(line);
    let found = serde_path_to_error::deserialize::<_, T>(&mut reader);
    let Err(found) = found else { return of_line(error) };
    let (path, error) = (found.path(), found.inner());
    let (Some(pointer), true) = (pointer(path), error.is_data()) else { return of_line(error) };
    let what = expectation(path).map_or_else(|| rule(&without_position(error)), str::to_owned);
    let what = what.trim_end_matches('.');
    format!("The member `{pointer}`: {what}.")
}

fn of_line(error: &serde_json::Error) -> String {
    format!("The text is not a line of an archive ({}).", without_position(error))
}

/// The sentence of `serde_json` without its line numbers, which would only confuse.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().chars().take(SHOWN_MAX_CHARS).collect()
}

/// The JSON pointer of a path; `None` for the line itself.
fn pointer(path: &Path) -> Option<String> {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { variant } => {
                pointer.push('/');
                pointer.push_str(variant);
            }
            Segment::Unknown => return None,
        }
    }
    let is_deep = pointer.matches('/').count() > 1;
    is_deep.then(|| pointer.chars().take(SHOWN_MAX_CHARS).collect())
}

/// What the last member of a path must be, where the parser of its type does not say it well.
fn expectation(path: &Path) -> Option<&'static str> {
    let Some(Segment::Map { key }) = path.iter().next_back() else { return None };
    match key.as_str() {
        "created_at" | "modified_at" | "expires_at" | "exported_at" | "since" | "at" => {
            Some("Must be a time as in RFC 3339, such as `2027-01-31T12:00:00Z`")
        }
        "hash" | "digest" | "previous" => Some("Must be 64 hexadecimal digits"),
        _ => None,
    }
}

/// A sentence of serde in the words of the format.
fn rule(text: &str) -> String {
    let is_type = text.starts_with("invalid type: ") || text.starts_with("invalid value: ");
    let Some((_, expected)) = text.split_once(", expected ").filter(|_| is_type) else {
        return text.strip_prefix("unknown variant ").map_or_else(
            || text.to_owned(),
            |rest| match rest.split_once(", expected ") {
                Some((_, expected)) => format!("Must be {expected}"),
                None => text.to_owned(),
            },
        );
    };
    let expected = match expected {
        "a boolean" => "true or false",
        "u64" | "u32" | "u8" | "usize" => "a whole number, 0 or more",
        "a sequence" => "an array",
        "a map" => "an object",
        other if other.starts_with("struct ") || other.starts_with("internally tagged") => "an object",
        other => other,
    };
    format!("Must be {expected}")
}
