//! Whether we may ship what we depend on: the licence of every dependency, on every platform, against the list
//! of those we accept.
//!
//! The expressions are SPDX (`MIT OR Apache-2.0`); the older `MIT/Apache-2.0` means the same. We need one side
//! of an `OR` and both of an `AND`.

use crate::shell::{command, output};
use anyhow::{Result, ensure};
use serde_json::Value;

/// Licences that let a permissively licensed binary contain the work: each asks for its notice to be kept, if for
/// anything. Only those that a dependency has today; a new one is worth a look.
const ACCEPTED: [&str; 8] =
    ["Apache-2.0", "BSD-3-Clause", "CC0-1.0", "CDLA-Permissive-2.0", "ISC", "MIT", "Unicode-3.0", "Zlib"];

/// Fails if a dependency's licence is missing or is none of [`ACCEPTED`], naming each such dependency.
pub fn check() -> Result<()> {
    let metadata =
        output(command("cargo", &["metadata", "--locked", "--all-features", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_slice(&metadata)?;
    let packages = metadata["packages"].as_array().map_or([].as_slice(), Vec::as_slice);
    ensure!(!packages.is_empty(), "`cargo metadata` lists no package");
    let mut refused = 0;
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("none named");
        if !is_accepted(licence) {
            println!("{} {}: {licence}", package["name"], package["version"]);
            refused += 1;
        }
    }
    ensure!(refused == 0, "{refused} dependencies have a licence we do not accept");
    println!("{} packages, each under a licence we accept", packages.len());
    Ok(())
}

/// Whether `expression` can be satisfied with licences of [`ACCEPTED`]. One that cannot be read cannot be.
fn is_accepted(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    either(&mut words) == Some(true) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>) -> Option<bool> {
    let mut accepted = both(words)?;
    while words.next_if_eq(&"OR").is_some() {
        accepted |= both(words)?;
    }
    Some(accepted)
}

fn both(words: &mut Words<'_>) -> Option<bool> {
    let mut accepted = one(words)?;
    while words.next_if_eq(&"AND").is_some() {
        accepted &= one(words)?;
    }
    Some(accepted)
}

fn one(words: &mut Words<'_>) -> Option<bool> {
    let word = words.next()?;
    if word == "(" {
        let accepted = either(words)?;
        return words.next_if_eq(&")").map(|_| accepted);
    }
    // An exception only permits more.
    if words.next_if_eq(&"WITH").is_some() {
        words.next()?;
    }
    Some(ACCEPTED.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_side_of_or_is_enough_and_both_of_and_are_needed() {
        for accepted in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "GPL-3.0-only OR MIT",
            "MIT AND ISC",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0-only",
            "(MIT OR GPL-3.0-only) AND Unicode-3.0",
            "ISC AND (Apache-2.0 OR ISC)",
        ] {
            assert!(is_accepted(accepted), "{accepted}");
        }
        for refused in [
            "",
            "none named",
            "GPL-3.0-only",
            "MIT AND GPL-3.0-only",
            "(MIT OR ISC) AND GPL-3.0-only",
            "GPL-3.0-only OR (MIT AND AGPL-3.0-only)",
            "MIT OR",
            "(MIT",
            "MIT)",
            "MIT ISC",
        ] {
            assert!(!is_accepted(refused), "{refused}");
        }
    }
}
