//! The Markdown files: their links and tables, and the book made from `docs`.
//!
//! `rumdl` checks every Markdown file of the repository (`.rumdl.toml` says for what), then `mdbook` builds the book.
//! Neither notices a page that the book leaves out, nor a link out of `docs`, which works in the repository and not in
//! the book; that is checked here.

use crate::shell::{root, run};
use crate::tools::programs::{MDBOOK, RUMDL};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The page that lists the others.
const SUMMARY: &str = "SUMMARY.md";

/// Checks the pages and builds the book into `target/book`.
pub fn build() -> Result<()> {
    run(RUMDL.command("check --no-cache .")?)?;
    let directory = root().join("docs");
    let mut pages = Vec::new();
    collect(&directory, &directory, &mut pages)?;
    pages.sort();
    let summary = fs::read_to_string(directory.join(SUMMARY)).context("cannot read docs/SUMMARY.md")?;
    let mut findings = unlisted(&pages, &summary);
    for page in &pages {
        let text = fs::read_to_string(directory.join(page))?;
        findings.extend(links_out_of_book(page, &text));
    }
    for finding in &findings {
        println!("{finding}");
    }
    ensure!(findings.is_empty(), "{} findings", findings.len());
    run(MDBOOK.command("build")?)?;
    println!("{} pages: target/book/index.html", pages.len());
    Ok(())
}

/// Adds every page below `directory`, relative to `docs`.
fn collect(docs: &Path, directory: &Path, pages: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(docs, &path, pages)?;
        } else if path.extension().is_some_and(|ending| ending == "md") && !path.ends_with(SUMMARY) {
            pages.push(path.strip_prefix(docs)?.to_owned());
        }
    }
    Ok(())
}

/// Pages that `summary` does not list.
fn unlisted(pages: &[PathBuf], summary: &str) -> Vec<String> {
    let listed: Vec<&str> = targets(summary).collect();
    let is_listed = |page: &&PathBuf| listed.iter().any(|target| Path::new(target) == page.as_path());
    pages
        .iter()
        .filter(|page| !is_listed(page))
        .map(|page| format!("docs/{}: not in docs/SUMMARY.md, so the book leaves it out", page.display()))
        .collect()
}

/// Links of a page to files that the book does not have.
fn links_out_of_book(page: &Path, text: &str) -> Vec<String> {
    let folder = page.parent().unwrap_or(Path::new(""));
    let leaves = |target: &&str| {
        let file = target.split('#').next().unwrap_or_default();
        !file.is_empty() && !file.contains("://") && escapes(&folder.join(file))
    };
    targets(text)
        .filter(leaves)
        .map(|target| {
            format!("docs/{}: links to {target}, outside of docs: name the file as `code`", page.display())
        })
        .collect()
}

/// Whether a relative path leads out of its start.
fn escapes(path: &Path) -> bool {
    let mut depth = 0_i32;
    path.components().any(|component| {
        depth += match component {
            Component::Normal(_) => 1,
            Component::ParentDir => -1,
            _ => 0,
        };
        depth < 0
    })
}

/// The targets of the inline links of `text`.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_missing_from_summary_is_found() {
        let pages = [PathBuf::from("a.md"), PathBuf::from("internals/b.md")];
        assert!(unlisted(&pages, "- [A](a.md)\n  - [B](internals/b.md)\n").is_empty());
        assert_eq!(
            unlisted(&pages, "- [A](a.md)\n"),
            ["docs/internals/b.md: not in docs/SUMMARY.md, so the book leaves it out"]
        );
    }

    #[test]
    fn link_out_of_docs_is_found() {
        let text = "[a](../a.md#x) [b](#here) [c](https://example.com/../..) [d](../../README.md#y)";
        assert_eq!(
            links_out_of_book(Path::new("internals/b.md"), text),
            ["docs/internals/b.md: links to ../../README.md#y, outside of docs: name the file as `code`"]
        );
        assert_eq!(links_out_of_book(Path::new("b.md"), text).len(), 2);
    }
}
