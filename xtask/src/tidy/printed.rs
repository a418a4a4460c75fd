//! Every block of commands, code or settings on README, CONTRIBUTING and a page of `docs` is taken by a test, or is listed in [`OTHERWISE`]
//! with its reason.
//!
//! Tests take blocks by three functions (`crates/tenantry/tests/it/support/printed.rs`), whose calls are read here:
//! `block(page, first)` for commands, `fenced(page, language, first)` for any language, `blocks(page, language)` for all of
//! a page. `first` is how the block begins. The page is a literal, or a constant of the file.

use super::pages::defines;
use std::fs;
use std::path::Path;

/// The languages of what can be run or read by a program; the others show what is answered.
const LANGUAGES: [&str; 9] = ["sh", "console", "bash", "python", "js", "rust", "yaml", "ini", "json"];
/// What `block` means.
const COMMANDS: [&str; 2] = ["sh", "console"];

/// Why no test takes a block by those functions.
enum Reason {
    /// The test of that name in that file runs it in another way.
    Test(&'static str, &'static str),
    /// It is not run.
    NotRun(&'static str),
}

const CONTRIBUTING: &str = "CONTRIBUTING.md";
const BACKEND: &str = "docs/guides/backend.md";
const INSTALL: &str = "docs/guides/install.md";
const EXAMPLES: Reason =
    Reason::Test("crates/tenantry/tests/it/backend_examples.rs", "backend_page_prints_the_examples_that_run");
const BUILDS: Reason = Reason::NotRun("builds the binary; what it starts is what every test starts");
const BENCHMARK: Reason = Reason::NotRun("the benchmark itself, which takes hours");
const ON_THE_MACHINE: Reason = Reason::NotRun(
    "changes the machine and needs systemd: `cargo xtask ci package` installs the same files by its own steps, on a copy",
);

/// The page, how the block begins, and why no call takes it.
const OTHERWISE: [(&str, &str, Reason); 20] = [
    ("README.md", "cargo run --release", BUILDS),
    ("README.md", "cargo xtask ci", Reason::NotRun("the run of all tests itself")),
    (
        CONTRIBUTING,
        "cargo xtask ci  ",
        Reason::NotRun("the automation itself: what each command does is run by CI, or takes hours"),
    ),
    (CONTRIBUTING, "cargo nextest run", Reason::NotRun("runs a test, as CI runs all of them")),
    (
        CONTRIBUTING,
        "mkdir -p /tmp/mongod",
        Reason::NotRun("starts a server on a fixed port and leaves it running"),
    ),
    ("docs/start.md", "cargo run --release", BUILDS),
    ("docs/benchmarks.md", "cargo xtask bench  ", BENCHMARK),
    ("docs/benchmarks.md", "git worktree add", BENCHMARK),
    (BACKEND, "\"\"\"A backend beside Tenantry", EXAMPLES),
    (BACKEND, "// A backend beside Tenantry", EXAMPLES),
    (BACKEND, "//! A backend beside Tenantry", EXAMPLES),
    (BACKEND, "\"\"\"Checks", EXAMPLES),
    (BACKEND, "// Checks", EXAMPLES),
    (BACKEND, "//! Checks", EXAMPLES),
    (INSTALL, "cargo xtask dist", ON_THE_MACHINE),
    (INSTALL, "# systemctl edit tenantry", ON_THE_MACHINE),
    (INSTALL, "sudo install tenantry /usr/bin/tenantry", ON_THE_MACHINE),
    (
        INSTALL,
        "docker build",
        Reason::NotRun(
            "needs a container engine: `cargo xtask ci package` runs the instructions of the Dockerfile",
        ),
    ),
    (
        "docs/guides/archives.md",
        "{\"manifest\"",
        Reason::NotRun(
            "shows every kind of line with shortened hashes; the tests of archives read and write each kind",
        ),
    ),
    (
        "docs/guides/mongodb.md",
        "sh.enableSharding",
        Reason::NotRun("needs a sharded cluster and mongosh, which the tests do not have"),
    ),
];

/// A block of a page.
struct Block {
    line: usize,
    language: String,
    text: String,
}

/// A call that takes blocks: of which page, in which languages, and how they begin.
struct Taken {
    page: String,
    languages: Vec<String>,
    first: String,
}

/// Whether this page must have only blocks that are run.
pub fn is_checked(file: &str) -> bool {
    ["README.md", CONTRIBUTING].contains(&file) || (file.starts_with("docs/") && file.ends_with(".md"))
}

/// What is wrong with `pages`, where `sources` may take their blocks; both are paths with texts.
pub fn inspect(root: &Path, pages: &[(String, String)], sources: &[(String, String)]) -> Vec<String> {
    let taken: Vec<Taken> = sources.iter().flat_map(|(_, source)| calls(source)).collect();
    let mut findings = Vec::new();
    let mut used = [false; OTHERWISE.len()];
    for (page, text) in pages {
        for block in blocks(text) {
            let is_taken = taken.iter().any(|call| {
                call.page == *page
                    && call.languages.contains(&block.language)
                    && block.text.starts_with(&call.first)
            });
            let listed =
                OTHERWISE.iter().position(|(other, first, _)| other == page && block.text.starts_with(first));
            if let Some(index) = listed {
                used[index] = true;
            } else if !is_taken {
                let first = block.text.lines().next().unwrap_or_default();
                findings.push(format!(
                    "{page}:{}: no test runs `{first}`: take the block in a test \
                     (crates/tenantry/tests/it/support/printed.rs), or list it in xtask/src/tidy/printed.rs with its reason",
                    block.line
                ));
            }
        }
    }
    for ((page, first, reason), is_used) in OTHERWISE.iter().zip(used) {
        if !is_used {
            findings.push(format!(
                "{page}: no block begins with `{first}`; take it off xtask/src/tidy/printed.rs"
            ));
        }
        match reason {
            Reason::Test(file, test) => {
                let source = fs::read_to_string(root.join(file)).unwrap_or_default();
                if !defines(&source, &["fn"], test) {
                    findings.push(format!("{page}: {file} has no test {test}, which is to run `{first}`"));
                }
            }
            Reason::NotRun(why) => {
                if why.is_empty() {
                    findings.push(format!("{page}: nothing says why `{first}` is not run"));
                }
            }
        }
    }
    findings
}

/// The blocks of a page in one of [`LANGUAGES`], without the indentation of a list.
fn blocks(page: &str) -> Vec<Block> {
    let (mut found, mut open) = (Vec::new(), None::<(usize, Block)>);
    for (line, text) in (1..).zip(page.lines()) {
        let indent = text.len() - text.trim_start().len();
        match (&mut open, text.trim_start().strip_prefix("```")) {
            (None, Some(info)) => {
                let language = info.split(',').next().unwrap_or_default().to_owned();
                open = Some((indent, Block { line, language, text: String::new() }));
            }
            (Some(_), Some("")) => found.extend(open.take().map(|(_, block)| block)),
            (Some((indent, block)), _) => {
                block.text += text.get(*indent..).unwrap_or_default();
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    found.retain(|block| LANGUAGES.contains(&&*block.language));
    found
}

/// The calls that take blocks.
fn calls(source: &str) -> Vec<Taken> {
    let mut found = Vec::new();
    for name in ["block", "fenced", "blocks"] {
        let call = format!("{name}(");
        for (start, _) in source.match_indices(&call) {
            let before = source[..start].chars().next_back();
            if before.is_some_and(|before| before.is_alphanumeric() || before == '_') {
                continue;
            }
            let arguments = arguments(source, &source[start + call.len()..]);
            let commands = || COMMANDS.map(str::to_owned).to_vec();
            found.extend(match (name, &arguments[..]) {
                ("block", [page, first, ..]) => {
                    Some(Taken { page: page.clone(), languages: commands(), first: first.clone() })
                }
                ("fenced", [page, language, first, ..]) => Some(Taken {
                    page: page.clone(),
                    languages: vec![language.clone()],
                    first: first.clone(),
                }),
                ("blocks", [page, language, ..]) => Some(Taken {
                    page: page.clone(),
                    languages: vec![language.clone()],
                    first: String::new(),
                }),
                _ => None,
            });
        }
    }
    found.retain(|taken| taken.page.ends_with(".md"));
    found
}

/// The first arguments of a call that are texts: literals, and constants of the file.
fn arguments(source: &str, mut rest: &str) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches(|character: char| character.is_whitespace() || character == ',');
        let argument = match rest.strip_prefix('"') {
            Some(inner) => literal(inner),
            None => {
                let end = rest.find(|character: char| !character.is_alphanumeric() && character != '_');
                let name = &rest[..end.unwrap_or(0)];
                let definition = format!("const {name}: &str = \"");
                let value = source.split_once(&definition).filter(|_| !name.is_empty());
                value.and_then(|(_, value)| literal(value)).map(|(value, _)| (value, &rest[name.len()..]))
            }
        };
        let Some((value, after)) = argument else { return found };
        found.push(value);
        rest = after;
    }
}

/// The value of a literal after its first quotation mark, and what follows it.
fn literal(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A\n\n```sh\ncurl \"a\"\n```\n\n- b\n\n  ```console\n  tenantry b\n  ```\n\n```text\nc\n```\n\n```json\n{\"d\"\n```\n";

    fn unrun(sources: &str) -> Vec<String> {
        let pages = [("docs/a.md".to_owned(), PAGE.to_owned())];
        let all = inspect(Path::new("/nowhere"), &pages, &[("a.rs".to_owned(), sources.to_owned())]);
        all.into_iter()
            .filter_map(|finding| Some(finding.strip_prefix("docs/a.md:")?.get(..2)?.to_owned()))
            .collect()
    }

    #[test]
    fn block_that_no_test_takes_is_found() {
        assert_eq!(unrun("fn block(page: &str) {}"), ["3:", "9:", "17"]);
        assert_eq!(unrun("block(\"docs/a.md\", \"curl \\\"a\")"), ["9:", "17"]);
        assert_eq!(
            unrun("const PAGE: &str = \"docs/a.md\";\nblock(\n  PAGE,\n  \"tenantry\",\n)"),
            ["3:", "17"]
        );
        assert_eq!(unrun("fenced(\"docs/a.md\", \"json\", \"{\"); blocks(\"docs/a.md\", \"sh\")"), ["9:"]);
        // Another page, another beginning, another language, another function.
        let others = "block(\"docs/b.md\", \"curl\"); block(\"docs/a.md\", \"url\"); blocks(\"docs/a.md\", \"js\"); unblock(\"docs/a.md\", \"c\")";
        assert_eq!(unrun(others), ["3:", "9:", "17"]);
    }
}
