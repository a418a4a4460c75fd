//! Checks that neither rustfmt nor clippy makes: the length of files, module heads, left-over notes, the names of tests
//! ([`test_names`]), files that use each other in a circle ([`imports`]), missing spans ([`spans`]), pages that name files,
//! tests or types that do not exist ([`pages`]), and commands on pages that no test runs ([`printed`]).

mod imports;
mod pages;
mod printed;
mod retired;
mod spans;
mod test_filters;
mod test_names;

use crate::shell::root;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a source file; beyond them it has more than one subject.
const MAX_LINES: usize = 500;

/// Files below `crates/*/src` that may be longer, each with its reason.
const LONG_FILES: [(&str, &str); 0] = [];

/// Pages that stay short, each with its most lines: what does not fit belongs on a page of its own subject.
const SHORT_PAGES: [(&str, usize); 1] = [("ARCHITECTURE.md", 150)];

/// Notes to oneself. What is unfinished is an issue; what is finished needs none. (Split, so that this list
/// does not find itself.)
const NOTES: [&str; 4] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

/// Endings of the files we write by hand.
const TEXT_ENDINGS: [&str; 9] = ["rs", "toml", "md", "html", "css", "js", "py", "sh", "yml"];

/// Directories of the root that hold nothing written by hand.
const SKIPPED: [&str; 3] = ["target", "data", ".git"];

/// Checks every file; prints each finding as `file:line: what`.
pub fn check() -> Result<()> {
    let mut files = Vec::new();
    collect(root(), &mut files)?;
    files.sort();
    ensure!(!files.is_empty(), "no file found");
    let mut findings = stale_exemptions();
    let (mut sources, mut printed, mut readers) = (Vec::new(), Vec::new(), Vec::new());
    for file in &files {
        let text = fs::read_to_string(root().join(file))
            .with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.to_string_lossy();
        findings.extend(inspect(&name, &text));
        if name.ends_with(".md") {
            findings.extend(pages::inspect(root(), &name, &text));
        }
        if printed::is_checked(&name) {
            printed.push((name.clone().into_owned(), text.clone()));
        }
        if name.starts_with("xtask/src/deploy/") {
            readers.push((name.clone().into_owned(), text.clone()));
        }
        if name.starts_with("crates/") && name.ends_with(".rs") {
            sources.push((name.into_owned(), text));
        }
    }
    findings.extend(imports::circles(&sources));
    readers.extend(sources.iter().filter(|(name, _)| name.contains("/tests/")).cloned());
    findings.extend(printed::inspect(root(), &printed, &readers));
    let sources: Vec<String> = sources.into_iter().map(|(_, text)| text).collect();
    let concepts =
        fs::read_to_string(root().join(pages::CONCEPTS)).context("cannot read the page of concepts")?;
    findings.extend(pages::missing_types(&concepts, &sources));
    let filters = fs::read_to_string(root().join(test_filters::FILE))
        .context("cannot read the settings of the test runner")?;
    findings.extend(test_filters::inspect(&filters, &sources));
    for finding in &findings {
        println!("{finding}");
    }
    ensure!(findings.is_empty(), "{} findings", findings.len());
    println!("{} files are tidy", files.len());
    Ok(())
}

/// Adds every text file below `directory`, relative to the root.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        let relative = path.strip_prefix(root())?;
        if entry.file_type()?.is_dir() {
            if !SKIPPED.iter().any(|skipped| relative == Path::new(skipped)) {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|ending| TEXT_ENDINGS.iter().any(|text| ending == *text)) {
            files.push(relative.to_owned());
        }
    }
    Ok(())
}

/// Exemptions of files that need none.
fn stale_exemptions() -> Vec<String> {
    let is_long =
        |file| fs::read_to_string(root().join(file)).is_ok_and(|text| text.lines().count() > MAX_LINES);
    LONG_FILES
        .iter()
        .filter(|(file, _)| !is_long(file))
        .map(|(file, _)| format!("{file}: is not long (any more); take it off the list in xtask/src/tidy.rs"))
        .collect()
}

/// The findings in one file.
fn inspect(file: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.contains('\t') {
            findings.push(format!("{file}:{number}: a tab"));
        }
        if line.trim_end() != line {
            findings.push(format!("{file}:{number}: white space at the end"));
        }
        for note in NOTES.iter().filter(|note| has_word(line, note)) {
            findings.push(format!("{file}:{number}: {note}: do it, or open an issue"));
        }
    }
    let lines = text.lines().count();
    for (_, most) in SHORT_PAGES.iter().filter(|(page, most)| *page == file && lines > *most) {
        findings.push(format!("{file}: {lines} lines, more than {most}: give a subject a page of its own"));
    }
    if !text.is_empty() && !text.ends_with('\n') {
        findings.push(format!("{file}: no line break at the end"));
    }
    if file.ends_with(".rs") {
        findings.extend(inspect_rust(file, text));
    }
    findings
}

fn inspect_rust(file: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if !text.starts_with("//! ") {
        findings.push(format!("{file}:1: no head (`//! `) that says what the file is for"));
    }
    findings.extend((1..).zip(text.lines()).flat_map(|(number, line)| retired::inspect(file, number, line)));
    findings.extend(test_names::inspect(file, text));
    findings.extend(spans::inspect(file, text));
    let lines = text.lines().count();
    let is_exempt = LONG_FILES.iter().any(|(long, _)| *long == file);
    if file.starts_with("crates/") && file.contains("/src/") && lines > MAX_LINES && !is_exempt {
        findings.push(format!(
            "{file}: {lines} lines, more than {MAX_LINES}: split it by subject, or list it in xtask/src/tidy.rs with its reason"
        ));
    }
    findings
}

/// Whether `line` has `word` with no letter or digit beside it.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untidiness_of_each_kind_is_found_at_its_line() {
        let note = NOTES[0];
        let text = format!("fn a() {{}}\n\tlet b;\nlet c; \n// {note}: later");
        assert_eq!(
            inspect("crates/domain/src/a.rs", &text),
            [
                "crates/domain/src/a.rs:2: a tab",
                "crates/domain/src/a.rs:3: white space at the end",
                &format!("crates/domain/src/a.rs:4: {note}: do it, or open an issue"),
                "crates/domain/src/a.rs: no line break at the end",
                "crates/domain/src/a.rs:1: no head (`//! `) that says what the file is for",
            ]
        );
    }

    #[test]
    fn source_file_may_have_at_most_500_lines() {
        let text = format!("//! A head.\n{}", "//\n".repeat(MAX_LINES - 1));
        assert!(inspect("crates/domain/src/a.rs", &text).is_empty());
        assert_eq!(inspect("crates/domain/src/a.rs", &(text.clone() + "//\n")).len(), 1);
        assert!(inspect("crates/tenantry/tests/it/a.rs", &(text + "//\n")).is_empty());
    }

    #[test]
    fn page_of_the_architecture_may_have_at_most_150_lines() {
        let text = "line\n".repeat(150);
        assert!(inspect("ARCHITECTURE.md", &text).is_empty());
        assert_eq!(inspect("ARCHITECTURE.md", &(text.clone() + "line\n")).len(), 1);
        assert!(inspect("README.md", &(text + "line\n")).is_empty());
    }

    #[test]
    fn note_inside_a_word_is_ignored() {
        let note = NOTES[2];
        assert!(has_word(&format!("// {note}"), note));
        assert!(!has_word(&format!("FO{note}"), note));
    }
}
