//! Extracts the scripts and styles of the two documentation pages from the crates that ship them, and writes
//! them to `OUT_DIR` as separate files, where `src/docs.rs` embeds them.
//!
//! This happens at build time because a Content-Security-Policy without inline scripts needs the scripts as
//! files, the crates ship them inside a page or an archive, and third-party code stays out of our repository.
#![expect(clippy::disallowed_methods, reason = "this is how cargo speaks to a build script")]

use aide::redoc::Redoc;
use anyhow::{Context, Result, ensure};
use std::io::{Cursor, Read};
use std::path::Path;
use std::{env, fs};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let directory = env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?;
    swagger_ui(Path::new(&directory)).context("Swagger UI")?;
    redoc(Path::new(&directory)).context("ReDoc")
}

/// Swagger UI ships as its release archive. The page needs 1.7 MB of the 4 MB in it that are for browsers.
fn swagger_ui(directory: &Path) -> Result<()> {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for name in ["swagger-ui-bundle.js", "swagger-ui.css"] {
        let suffix = format!("/dist/{name}");
        let path = archive
            .file_names()
            .filter_map(Result::ok)
            .find(|path| path.ends_with(&suffix))
            .with_context(|| format!("{name} is not in the archive"))?
            .into_owned();
        let mut bytes = Vec::new();
        archive.by_name(&path)?.read_to_end(&mut bytes)?;
        fs::write(directory.join(name), bytes)?;
    }
    Ok(())
}

/// ReDoc ships inside a page, as its first script, followed by the call that starts it.
fn redoc(directory: &Path) -> Result<()> {
    let page = Redoc::new("").html();
    let (_, script) = page.split_once("<script>").context("no script in the page")?;
    let (script, _) = script.rsplit_once("Redoc.init(").context("the page does not call the script")?;
    ensure!(script.matches(REDOC_LOGO).count() == 1, "the script has not one logo at {REDOC_LOGO}");
    let script = script.trim().replace(REDOC_LOGO, EMPTY_PICTURE);
    fs::write(directory.join("redoc.standalone.js"), script)?;
    Ok(())
}

/// The only request that ReDoc makes to another host: for the picture beside "API docs by Redocly".
const REDOC_LOGO: &str = "https://cdn.redoc.ly/redoc/logo-mini.svg";
const EMPTY_PICTURE: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E";
