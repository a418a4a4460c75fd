//! The packages of the projects that the report compares the service with, as `benches/peers` pins them.

use crate::shell::root;
use crate::tools;
use anyhow::Result;
use std::fs;
use std::path::Path;

/// Where each has a folder with its list of packages.
const PEERS: &str = "benches/peers";
/// What the benchmark reads why a peer is not there.
const NOT_INSTALLED: &str = "not-installed.txt";

/// Installs them, each into a folder of `directory`. One that cannot be installed is left out, with the reason.
pub fn install(directory: &Path) -> Result<()> {
    tools::python()?;
    tools::node()?;
    tools::mongod()?;
    for entry in fs::read_dir(root().join(PEERS))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let (sources, folder) = (format!("{PEERS}/{name}"), directory.join(&name));
        let reason = folder.join(NOT_INSTALLED);
        let installed = if root().join(&sources).join("package.json").exists() {
            tools::npm_packages_in(&sources, folder)
        } else {
            tools::python_packages_in(&format!("{sources}/requirements.txt"), folder)
        };
        match installed {
            Ok(_) if reason.exists() => fs::remove_file(reason)?,
            Ok(_) => {}
            Err(error) => {
                println!("{name} cannot be installed: {error:#}");
                fs::create_dir_all(directory.join(&name))?;
                fs::write(reason, format!("its packages cannot be installed: {error:#}\n"))?;
            }
        }
    }
    Ok(())
}
