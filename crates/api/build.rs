//! Takes the scripts and the style of the two documentation pages out of the crates that carry them, and puts
//! them as files of their own into `OUT_DIR`, where `src/docs.rs` embeds them.
//!
//! Why at build time: a Content-Security-Policy without inline scripts needs the scripts as files, the crates
//! bring them inside a page or an archive, and nothing of this third-party code belongs into our repository.
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

/// Swagger UI comes as the archive of its release; of the 4 MB that are for browsers the page needs 1.7.
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

/// ReDoc comes inside a page, as its first script, followed by a call of it.
fn redoc(directory: &Path) -> Result<()> {
    let page = Redoc::new("").html();
    let (_, script) = page.split_once("<script>").context("no script in the page")?;
    let (script, _) = script.rsplit_once("Redoc.init(").context("the page does not call the script")?;
    ensure!(script.matches(REDOC_LOGO).count() == 1, "the script has not one logo at {REDOC_LOGO}");
    let script = script.trim().replace(REDOC_LOGO, EMPTY_PICTURE);
    fs::write(directory.join("redoc.standalone.js"), script)?;
    Ok(())
}

/// The only thing ReDoc asks another host for: the picture beside "API docs by Redocly".
const REDOC_LOGO: &str = "https://cdn.redoc.ly/redoc/logo-mini.svg";
const EMPTY_PICTURE: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E";
