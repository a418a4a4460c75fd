//! Checks that the files, tests and types that pages name exist.
//!
//! On every Markdown page, `` `crates/…` `` is a path that must exist (`*` matches any part of a name,
//! `{a,b}` for either; `<noun>` is a gap that is not checked), and `` `name` in `crates/….rs` `` a test or
//! function that the file must have. On [`CONCEPTS`], each name in the last column of the table is a type
//! that the crates must define.

use std::fs;
use std::path::Path;

/// The page of words, each with its type.
pub const CONCEPTS: &str = "docs/concepts.md";

/// Pages that tell what was: what they name may be gone.
const HISTORY: [&str; 1] = ["CHANGELOG.md"];

/// The page that answers questions with a file and a test, and how many tests it names at least.
const QUESTIONS: (&str, usize) = ("CONTRIBUTING.md", 5);

/// What the paths that are checked begin with.
const ROOTS: [&str; 5] = ["crates/", "deploy/", "xtask/", "docs/", "examples/"];

/// What is wrong on the page `file`, of which the paths begin at `root`.
pub fn inspect(root: &Path, file: &str, text: &str) -> Vec<String> {
    if HISTORY.contains(&file) {
        return Vec::new();
    }
    let (mut findings, mut functions) = (Vec::new(), 0);
    for (number, line) in (1..).zip(text.lines()) {
        let parts: Vec<&str> = line.split('`').collect();
        for (index, path) in parts.iter().enumerate().skip(1).step_by(2).filter(|(_, part)| is_path(part)) {
            let found = files(root, path);
            if found.is_empty() {
                findings.push(format!("{file}:{number}: there is no {path}"));
            } else if index >= 3 && parts[index - 1] == " in " {
                let function = parts[index - 2];
                functions += 1;
                if !found
                    .iter()
                    .any(|path| defines(&fs::read_to_string(path).unwrap_or_default(), &["fn"], function))
                {
                    findings.push(format!("{file}:{number}: {path} has no function {function}"));
                }
            }
        }
    }
    if file == QUESTIONS.0 && functions < QUESTIONS.1 {
        findings.push(format!("{file}: names {functions} tests, fewer than {}", QUESTIONS.1));
    }
    findings
}

/// Types on the page of words that none of the `sources` defines.
pub fn missing_types(page: &str, sources: &[String]) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(page.lines()).filter(|(_, line)| line.starts_with('|')) {
        let last = line.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        for name in last.split('`').skip(1).step_by(2).filter(|name| is_type(name)) {
            if !sources.iter().any(|source| defines(source, &["struct", "enum", "trait", "type"], name)) {
                findings.push(format!("{CONCEPTS}:{number}: no crate has a type {name}"));
            }
        }
    }
    findings
}

fn is_path(part: &str) -> bool {
    ROOTS.iter().any(|root| part.starts_with(root)) && !part.contains(['<', '…', ' '])
}

fn is_type(name: &str) -> bool {
    name.starts_with(char::is_uppercase) && name.chars().all(char::is_alphanumeric)
}

/// Whether `source` defines `name` with one of the `keywords`.
pub fn defines(source: &str, keywords: &[&str], name: &str) -> bool {
    keywords.iter().any(|keyword| {
        let definition = format!("{keyword} {name}");
        source.match_indices(&definition).any(|(start, _)| {
            let next = source[start + definition.len()..].chars().next();
            !next.is_some_and(|next| next.is_alphanumeric() || next == '_')
        })
    })
}

/// The files and folders below `root` that `pattern` means.
fn files(root: &Path, pattern: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for path in alternatives(pattern) {
        let mut level = vec![root.to_owned()];
        for part in path.trim_end_matches('/').split('/') {
            level = level.iter().flat_map(|folder| matching(folder, part)).collect();
        }
        if level.is_empty() {
            return Vec::new();
        }
        found.append(&mut level);
    }
    found
}

/// `a/{b,c}` as `a/b` and `a/c`.
fn alternatives(pattern: &str) -> Vec<String> {
    let Some((head, rest)) = pattern.split_once('{') else { return vec![pattern.to_owned()] };
    let Some((choices, tail)) = rest.split_once('}') else { return vec![pattern.to_owned()] };
    choices.split(',').flat_map(|choice| alternatives(&format!("{head}{choice}{tail}"))).collect()
}

/// The entries of `folder` that `part` means, which may have one `*`.
fn matching(folder: &Path, part: &str) -> Vec<std::path::PathBuf> {
    let Some((head, tail)) = part.split_once('*') else {
        let path = folder.join(part);
        return if path.exists() { vec![path] } else { Vec::new() };
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
        })
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_tests_that_are_missing_are_found() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("crates/a/src");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("one.rs"), "fn is_there() {}\n").unwrap();
        fs::write(folder.join("two.rs"), "").unwrap();
        let inspect = |text| inspect(root.path(), "a.md", text);
        for right in [
            "`crates/a/src/one.rs`, `crates/a/src/{one,two}.rs`, `crates/a/src/*.rs`, `crates/a/`",
            "`is_there` in `crates/a/src/one.rs`; `anything` before `crates/a/src/two.rs`",
            "`crates/a/src/<noun>.rs`, `crates/a/src/…`, `elsewhere/b.rs`, crates/b",
        ] {
            assert!(inspect(right).is_empty(), "{right}");
        }
        for wrong in [
            "`crates/a/src/three.rs`",
            "`crates/a/src/{one,three}.rs`",
            "`crates/a/src/*.toml`",
            "`is` in `crates/a/src/one.rs`",
        ] {
            assert_eq!(inspect(wrong).len(), 1, "{wrong}");
        }
    }

    #[test]
    fn type_that_no_crate_defines_is_found() {
        let sources = ["pub struct Lease {\n".to_owned(), "enum Step;\ntrait Store<T> {}".to_owned()];
        let page = "| word | meaning | type |\n|---|---|---|\n| a | `Nothing` | `Lease`, `Step`, `Store` |\n| b | | `Leas` |\n";
        assert_eq!(missing_types(page, &sources), ["docs/concepts.md:4: no crate has a type Leas"]);
    }
}
