//! What is shipped: the stripped binary against an old glibc, its manual and completions, the list of what is in it
//! (SBOM), an archive with the samples of `deploy/`, a Debian package, the context of the image, and the checksums of all.
//!
//! Everything goes to `target/package`. Nothing is published here: `.github/workflows/release.yml` does that.

use crate::shell::{command, output, root, run as sh, target_directory};
use crate::tools;
use crate::tools::programs::{CYCLONEDX, DEB};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The newest glibc that a shipped binary may need: that of 2018, in Debian 10, Ubuntu 20.04, RHEL 8 and all later ones.
const GLIBC_FLOOR: (u32, u32) = (2, 28);

/// Folders whose files are in what is made, in another form.
const BUILT_IN: [&str; 3] = ["deploy/debian/", "deploy/docker/", "deploy/systemd/"];

/// What else the archive must have.
const ARCHIVED: [&str; 5] =
    ["tenantry", "tenantry.service", "tenantry.cdx.json", "completions/tenantry", "man/tenantry-serve.1.gz"];

/// The command.
#[derive(clap::Args, Default)]
pub struct Arguments {
    /// For which machines
    #[arg(long, value_enum, default_value_t)]
    target: Target,
    /// Pack this binary instead of building one; its glibc is checked all the same
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// A kind of machine, as its C library is.
#[derive(Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Target {
    /// 64-bit Intel and AMD, glibc
    #[default]
    #[value(name = "x86_64")]
    X86_64,
    /// 64-bit ARM, glibc
    Aarch64,
    /// 64-bit Intel and AMD, musl, linked statically; no test runs it
    #[value(name = "x86_64-musl")]
    X86_64Musl,
}

impl Target {
    const fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
            Self::X86_64Musl => "x86_64-unknown-linux-musl",
        }
    }

    /// In the names of files.
    const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux",
            Self::Aarch64 => "aarch64-linux",
            Self::X86_64Musl => "x86_64-linux-musl",
        }
    }

    /// Whether this machine runs its programs.
    fn is_native(self) -> bool {
        self == Self::X86_64Musl && cfg!(target_arch = "x86_64")
            || self.triple().starts_with(std::env::consts::ARCH)
    }
}

/// What was made.
pub struct Package {
    /// The binary, stripped.
    pub binary: PathBuf,
    /// The Debian package, unless the binary is not for Debian.
    pub deb: Option<PathBuf>,
    /// The context of the image: a folder with the binary alone.
    pub image: PathBuf,
}

/// Builds and packs.
pub fn run(arguments: &Arguments) -> Result<Package> {
    let target = arguments.target;
    // The binary prints its own manual.
    ensure!(target.is_native(), "this machine does not run programs for {}: build there", target.triple());
    let built = match &arguments.binary {
        Some(binary) => {
            fs::canonicalize(binary).with_context(|| format!("there is no {}", binary.display()))?
        }
        None => build(target)?,
    };
    if target != Target::X86_64Musl {
        check_glibc(&built)?;
    }
    let directory = root().join("target/package");
    let files = directory.join("files");
    let image = directory.join("image");
    for folder in [&files, &image] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
    }
    let binary = files.join("tenantry");
    install(&built, &binary, 0o755)?;
    install(&built, &image.join("tenantry"), 0o755)?;
    println!("tenantry: {} bytes, stripped", fs::metadata(&binary)?.len());
    manual_and_completions(&binary, &files)?;
    for name in ["LICENSE-MIT", "LICENSE-APACHE", "NOTICE", "README.md", "CHANGELOG.md"] {
        install(&root().join(name), &files.join(name), 0o644)?;
    }
    install(&root().join(crate::deploy::UNIT), &files.join("tenantry.service"), 0o644)?;
    let samples = samples()?;
    for sample in &samples {
        let to = files.join(sample);
        fs::create_dir_all(to.parent().unwrap_or(&files))?;
        install(&root().join(sample), &to, 0o644)?;
    }
    sbom(target, &files.join("tenantry.cdx.json"))?;
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("tenantry-{version}-{}", target.name());
    archive(&directory, &name)?;
    check_archive(&directory, &name, &samples)?;
    install(&files.join("tenantry.cdx.json"), &directory.join(format!("{name}.cdx.json")), 0o644)?;
    let deb = match target {
        Target::X86_64Musl => None,
        _ => Some(debian_package(target, &directory)?),
    };
    checksums(&directory)?;
    Ok(Package { binary, deb, image })
}

/// The files of `deploy/` that are for operators: without those that the archive, the package and the image are made with.
/// Only what is committed: who has tried the compose files has secrets beside them.
fn samples() -> Result<Vec<String>> {
    let files = String::from_utf8(output(command("git", &["ls-files", "deploy"]))?)?;
    let is_sample = |file: &&str| !BUILT_IN.iter().any(|folder| file.starts_with(folder));
    let samples: Vec<String> = files.lines().filter(is_sample).map(str::to_owned).collect();
    ensure!(!samples.is_empty(), "git knows no files of deploy/: build in a clone");
    Ok(samples)
}

/// Builds it with zig as the C compiler and linker, which has the symbols of every glibc.
fn build(target: Target) -> Result<PathBuf> {
    let packages = tools::python_packages("xtask/src/dist/requirements.txt", "dist-python")?;
    let (major, minor) = GLIBC_FLOOR;
    let floor = if target == Target::X86_64Musl { String::new() } else { format!(".{major}.{minor}") };
    let triple = target.triple();
    let mut build = command(packages.join("bin/cargo-zigbuild"), &["zigbuild", "--locked", "--profile=dist"]);
    build.args(["--package=tenantry", "--bin=tenantry"]).arg(format!("--target={triple}{floor}"));
    build.env("CARGO_ZIGBUILD_ZIG_PATH", packages.join("ziglang/zig"));
    sh(build)?;
    Ok(target_directory()?.join(triple).join("dist/tenantry"))
}

/// Refuses a binary that an older system of those which we name would not start.
fn check_glibc(binary: &Path) -> Result<()> {
    let mut readelf = command("readelf", &["--version-info", "--wide"]);
    readelf.arg(binary).env("LC_ALL", "C");
    let text = String::from_utf8_lossy(&output(readelf)?).into_owned();
    let needed = newest_glibc(&text).context("it needs no glibc, or readelf has changed its output")?;
    let (major, minor) = needed;
    ensure!(
        needed <= GLIBC_FLOOR,
        "{} needs glibc {major}.{minor}, newer than {}.{}: build it with `cargo xtask dist`",
        binary.display(),
        GLIBC_FLOOR.0,
        GLIBC_FLOOR.1
    );
    println!("tenantry: needs glibc {major}.{minor} or newer");
    Ok(())
}

/// The newest version of glibc that the output of `readelf --version-info` names.
fn newest_glibc(text: &str) -> Option<(u32, u32)> {
    let names = text.split("GLIBC_").skip(1);
    let version = |name: &str| -> Option<(u32, u32)> {
        let digits = name.split(|c: char| c != '.' && !c.is_ascii_digit()).next()?;
        let mut numbers = digits.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    names.filter_map(version).max()
}

/// Asks the binary itself.
fn manual_and_completions(binary: &Path, files: &Path) -> Result<()> {
    fs::create_dir_all(files.join("completions"))?;
    fs::create_dir_all(files.join("man"))?;
    let mut manual = command(binary, &["man"]);
    manual.arg(files.join("man"));
    output(manual)?;
    for (shell, file) in [("bash", "tenantry"), ("zsh", "_tenantry"), ("fish", "tenantry.fish")] {
        let script = output(command(binary, &["completions", shell]))?;
        ensure!(!script.is_empty(), "there are no completions for {shell}");
        fs::write(files.join("completions").join(file), script)?;
    }
    for page in fs::read_dir(files.join("man"))? {
        let mut zip = command("gzip", &["--best", "--no-name"]);
        zip.arg(page?.path());
        output(zip)?;
    }
    Ok(())
}

/// What is compiled into the binary, in the format of CycloneDX.
fn sbom(target: Target, file: &Path) -> Result<()> {
    let mut list = CYCLONEDX.command("cyclonedx --format=json --spec-version=1.5 --all --no-build-deps --manifest-path=crates/tenantry/Cargo.toml --override-filename=tenantry.cdx")?;
    list.arg(format!("--target={}", target.triple()));
    // The same list for the same sources.
    list.env("SOURCE_DATE_EPOCH", source_date()?);
    sh(list)?;
    // The tool writes a list beside each manifest of the workspace.
    let mut found = false;
    for folder in ["crates", "."] {
        for entry in fs::read_dir(root().join(folder))? {
            let list = entry?.path().join("tenantry.cdx.json");
            if list.exists() {
                if list.starts_with(root().join("crates/tenantry")) {
                    // Where the sources happen to be says nothing about them.
                    let text = fs::read_to_string(&list)?.replace(&root().display().to_string(), "/tenantry");
                    fs::write(file, text)?;
                    found = true;
                }
                fs::remove_file(list)?;
            }
        }
    }
    ensure!(found, "cargo-cyclonedx has written no list for crates/tenantry");
    let text = fs::read(file)?;
    let bom: serde_json::Value = serde_json::from_slice(&text)?;
    let components = bom["components"].as_array().map_or(0, Vec::len);
    ensure!(components > 100, "the SBOM has only {components} components");
    println!("{}: {components} components", file.strip_prefix(root()).unwrap_or(file).display());
    Ok(())
}

/// When the sources were last changed, in seconds since 1970.
fn source_date() -> Result<String> {
    let date = output(command("git", &["log", "-1", "--format=%ct"]))?;
    Ok(String::from_utf8(date)?.trim().to_owned())
}

/// `name.tar.gz` out of the files, the same bytes for the same files.
fn archive(directory: &Path, name: &str) -> Result<()> {
    let mut pack =
        command("tar", &["--create", "--gzip", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    pack.arg(format!("--mtime=@{}", source_date()?)).arg(format!("--transform=s,^files,{name},"));
    pack.arg("--file")
        .arg(directory.join(format!("{name}.tar.gz")))
        .arg("--directory")
        .arg(directory)
        .arg("files");
    sh(pack)
}

/// Refuses an archive without a file that `docs/guides/install.md` promises.
fn check_archive(directory: &Path, name: &str, samples: &[String]) -> Result<()> {
    let mut list = command("tar", &["--list", "--gzip", "--file"]);
    list.arg(directory.join(format!("{name}.tar.gz")));
    let listed = String::from_utf8(output(list)?)?;
    for file in ARCHIVED.into_iter().chain(samples.iter().map(String::as_str)) {
        let path = format!("{name}/{file}");
        ensure!(listed.lines().any(|line| line == path), "the archive lacks {path}");
    }
    println!("{name}.tar.gz: {} files and folders", listed.lines().count());
    Ok(())
}

/// The Debian package, as `[package.metadata.deb]` of the binary's manifest says.
fn debian_package(target: Target, directory: &Path) -> Result<PathBuf> {
    for old in packages_in(directory)? {
        fs::remove_file(old)?;
    }
    let mut deb =
        DEB.command("deb --quiet --no-build --no-strip --locked --package=tenantry --profile=dist")?;
    deb.arg(format!("--target={}", target.triple())).arg("--output").arg(directory);
    deb.env("SOURCE_DATE_EPOCH", source_date()?);
    sh(deb)?;
    packages_in(directory)?.pop().context("cargo-deb has written no package")
}

fn packages_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(directory)?.collect::<std::io::Result<Vec<_>>>()?;
    let paths = files.into_iter().map(|file| file.path());
    Ok(paths.filter(|path| path.extension().is_some_and(|ending| ending == "deb")).collect())
}

/// The checksums of what is published.
fn checksums(directory: &Path) -> Result<()> {
    let mut files: Vec<String> = fs::read_dir(directory)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| [".tar.gz", ".deb", ".cdx.json"].iter().any(|ending| name.ends_with(ending)))
        .collect();
    files.sort();
    let mut sum: Command = command("sha256sum", &files);
    sum.current_dir(directory);
    let sums = output(sum)?;
    fs::write(directory.join("SHA256SUMS"), &sums)?;
    println!("{}", String::from_utf8_lossy(&sums).trim_end());
    Ok(())
}

fn install(from: &Path, to: &Path, mode: u32) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(mode))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_has_samples_that_operators_use() {
        let samples = samples().unwrap();
        for file in [
            "deploy/compose/mongodb.yaml",
            "deploy/kubernetes/embedded.yaml",
            "deploy/prometheus/alerts.yaml",
            "deploy/grafana/tenantry.json",
            "deploy/nginx.conf",
            "deploy/haproxy.cfg",
            "deploy/Caddyfile",
        ] {
            assert!(samples.iter().any(|sample| sample == file), "{file} is not among {samples:?}");
        }
        assert!(!samples.iter().any(|sample| sample.ends_with("Dockerfile")), "{samples:?}");
    }

    #[test]
    fn archive_that_lacks_a_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let samples = samples().unwrap();
        let make = |file: &str| {
            let path = directory.path().join("files").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        };
        ARCHIVED.into_iter().for_each(make);
        archive(directory.path(), "some").unwrap();
        let refused = check_archive(directory.path(), "some", &samples).unwrap_err().to_string();
        assert!(refused.contains("lacks some/deploy/"), "{refused}");
        samples.iter().for_each(|file| make(file));
        archive(directory.path(), "some").unwrap();
        check_archive(directory.path(), "some", &samples).unwrap();
    }

    /// Each file of `deploy/` is in the table of `docs/guides/install.md`, by itself or by its folder.
    #[test]
    fn artefact_table_names_every_file_of_deploy() {
        let page = fs::read_to_string(root().join("docs/guides/install.md")).unwrap();
        let rows: String = page.lines().filter(|line| line.starts_with('|')).collect();
        let files = String::from_utf8(output(command("git", &["ls-files", "deploy"])).unwrap()).unwrap();
        let is_named = |file: &str| {
            let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
            rows.contains(&format!("`{file}`")) || rows.contains(&format!("`{folder}/`"))
        };
        let missing: Vec<&str> = files.lines().filter(|file| !is_named(file)).collect();
        assert!(files.lines().count() > 10 && missing.is_empty(), "no row for {missing:?}");
    }

    #[test]
    fn newest_glibc_is_compared_as_numbers() {
        let text =
            "Name: GLIBC_2.9  Flags: none\n  Name: GLIBC_2.28  Flags\n Name: GLIBC_2.2.5 (GLIBC_PRIVATE)";
        assert_eq!(newest_glibc(text), Some((2, 28)));
        assert_eq!(newest_glibc("Name: GCC_3.0"), None);
    }
}
