//! The pages that are generated from the code: written here, and checked in CI to be up to date.
//!
//! The service's own binary prints them (`tenantry docs <page>`), because only it can read the tables they
//! show. After a change of an error, a setting or a route, run `cargo xtask generate` and commit the result.

use crate::shell::{command, output, root, run as run_program, service_program};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// The name of each page for `tenantry docs`, and its file.
const PAGES: [(&str, &str); 5] = [
    ("errors", "docs/errors.md"),
    ("settings", "docs/settings.md"),
    ("metrics", "docs/metrics.md"),
    ("schema", "docs/schema.md"),
    ("openapi", "docs/openapi.json"),
];

/// Writes every page or, with `check`, fails and names each that is stale.
pub fn run(check: bool) -> Result<()> {
    let program = service_program()?;
    let mut stale = Vec::new();
    for (page, file) in PAGES {
        let path = root().join(file);
        let fresh = render(&program, page)?;
        if fs::read_to_string(&path).is_ok_and(|kept| kept == fresh) {
            println!("{file}: fresh");
        } else if check {
            println!("{file}: STALE");
            stale.push(file);
        } else {
            fs::create_dir_all(root().join("docs"))?;
            fs::write(&path, fresh).with_context(|| format!("cannot write {file}"))?;
            println!("{file}: written");
        }
    }
    if !check {
        // Made of recorded results; a test of the benchmark compares it.
        run_program(command(program.with_file_name("tenantry-bench"), &["page"]))?;
    }
    if !stale.is_empty() {
        bail!("{} not what the code says: run `cargo xtask generate` and commit", stale.join(", "));
    }
    Ok(())
}

fn render(program: &Path, page: &str) -> Result<String> {
    let text = output(command(program, &["docs", page]))?;
    String::from_utf8(text).with_context(|| format!("the {page} page is not text"))
}
