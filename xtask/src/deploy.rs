//! What `deploy/` has, checked by the tools that are made for it: hadolint, kubernetes-validate, the Compose Specification,
//! Caddy, systemd-analyze, promtool, and a Prometheus that runs every query of the dashboard against the service.
//!
//! Nothing here needs a container engine. What a check can't run is said in `docs/guides/install.md`.

use crate::process::Process;
use crate::shell::{command, output, root, run as sh, service_program, succeeds, tools_directory};
use crate::tools;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the scripts and the list of tools.
const SOURCES: &str = "xtask/src/deploy";
const DOCKERFILE: &str = "deploy/docker/Dockerfile";
const CADDYFILE: &str = "deploy/compose/Caddyfile";
const COMPOSE_FILES: [&str; 2] = ["deploy/compose/embedded.yaml", "deploy/compose/mongodb.yaml"];
const MANIFESTS: [&str; 2] = ["deploy/kubernetes/embedded.yaml", "deploy/kubernetes/mongodb.yaml"];
/// The oldest version of Kubernetes that the manifests are for, and the newest that the tool knows.
const KUBERNETES_VERSIONS: [&str; 2] = ["1.30", "1.37"];
pub const UNIT: &str = "deploy/systemd/tenantry.service";
/// How exposed `systemd-analyze security` may find the unit, in tenths; a service that does nothing for it has 96.
const MAX_EXPOSURE: &str = "13";

/// Checks every file of `deploy/`.
pub fn check() -> Result<()> {
    versions()?;
    let packages = packages()?;
    sh(packages.program("hadolint", &[DOCKERFILE]))?;
    for version in KUBERNETES_VERSIONS {
        let arguments = [["--strict", "-k", version].as_slice(), &MANIFESTS].concat();
        sh(packages.program("kubernetes-validate", &arguments))?;
    }
    sh(packages.script("compose.py", &COMPOSE_FILES))?;
    let mut proxy = packages.program("caddy", &["validate", "--adapter", "caddyfile", "--config", CADDYFILE]);
    // It says a lot about a configuration that is good.
    proxy.stderr(std::process::Stdio::null());
    sh(proxy)?;
    let program = service_program()?;
    if has_systemd() {
        unit(&program)?;
    } else {
        println!("NOT RUN: {UNIT} is not verified, because this machine has no systemd-analyze");
    }
    alerts_and_dashboard(&packages, &program)
}

/// Every place that names our image or package names this version of it.
fn versions() -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let files = [&COMPOSE_FILES[..], &MANIFESTS, &["docs/guides/install.md"]].concat();
    for file in files {
        let text = fs::read_to_string(root().join(file))?;
        let after = text.split("tenantry:").skip(1);
        let tags = after.filter_map(|rest| rest.split(|c: char| c != '.' && !c.is_ascii_digit()).next());
        // A port is no version.
        let tags: Vec<&str> = tags.filter(|tag| tag.contains('.')).collect();
        ensure!(!tags.is_empty(), "{file} names no image");
        ensure!(tags.iter().all(|tag| *tag == version), "{file}: the image is {tags:?}, not {version}");
    }
    Ok(())
}

/// The tools out of Python packages.
pub struct Packages(PathBuf);

/// Installs the tools.
pub fn packages() -> Result<Packages> {
    Ok(Packages(tools::python_packages(&format!("{SOURCES}/requirements.txt"), "deploy-python")?))
}

impl Packages {
    /// The file of a program among them.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join("bin").join(name)
    }

    /// One of our scripts, with these packages.
    pub fn script(&self, name: &str, arguments: &[&str]) -> Command {
        let script = root().join(SOURCES).join(name);
        let mut python = command(tools_directory().join("python"), &[script]);
        python.args(arguments).env("PYTHONPATH", &self.0);
        python
    }

    fn program(&self, name: &str, arguments: &[&str]) -> Command {
        let mut program = command(self.path(name), arguments);
        program.env("PYTHONPATH", &self.0);
        program
    }
}

fn has_systemd() -> bool {
    succeeds(command("systemd-analyze", &["--version"]))
}

/// The unit is right for `program`, and closes what that does not need.
pub fn unit(program: &Path) -> Result<()> {
    ensure!(has_systemd(), "{UNIT} cannot be verified: install systemd, which has systemd-analyze");
    let directory = tempfile::tempdir()?;
    let unit = directory.path().join("tenantry.service");
    let text = fs::read_to_string(root().join(UNIT))?;
    ensure!(text.contains("ExecStart=/usr/bin/tenantry "), "{UNIT} starts another program");
    // The program has to exist.
    fs::write(&unit, text.replace("/usr/bin/tenantry", &program.display().to_string()))?;
    let mut verify = command("systemd-analyze", &["verify", "--man=no"]);
    verify.arg(&unit);
    let verified = verify.output().context("cannot start systemd-analyze")?;
    let said = String::from_utf8_lossy(&verified.stderr);
    // It also verifies units of the machine that this one comes after.
    let about: Vec<&str> = said.lines().filter(|line| line.contains("tenantry.service")).collect();
    ensure!(about.is_empty(), "{UNIT}: {}", about.join("\n"));
    let threshold = format!("--threshold={MAX_EXPOSURE}");
    let mut security = command("systemd-analyze", &["security", "--offline=yes", "--no-pager", &threshold]);
    security.arg(&unit);
    let table = output(security).with_context(|| format!("{UNIT} is more exposed than {MAX_EXPOSURE}"))?;
    let table = String::from_utf8_lossy(&table);
    println!("{UNIT}: {}", table.lines().last().unwrap_or_default());
    Ok(())
}

/// The alerts fire when they should, and every query has an answer.
fn alerts_and_dashboard(packages: &Packages, program: &Path) -> Result<()> {
    let prometheus = tools::programs::prometheus()?;
    let promtool = prometheus.with_file_name("promtool");
    sh(command(&promtool, &["check", "rules", "deploy/prometheus/alerts.yaml"]))?;
    sh(command(&promtool, &["test", "rules", "deploy/prometheus/alerts-test.yaml"]))?;
    let directory = tempfile::tempdir()?;
    let data = directory.path().join("data");
    let server = Process::service::<&str>(program, &data, &[])?;
    let mut queries = packages.script("queries.py", &[]);
    queries.arg(&prometheus).arg(server.address.to_string()).arg(directory.path());
    sh(queries)?;
    server.stop()
}

/// Starts the processes of each compose file, with `tenantry` as the program of the service.
pub fn processes(program: &Path) -> Result<()> {
    let packages = packages()?;
    for file in COMPOSE_FILES {
        let directory = tempfile::tempdir()?;
        let programs = directory.path().join("programs");
        fs::create_dir(&programs)?;
        let mongod =
            tenantry_test_mongod::program().context("there is no mongod: run `cargo xtask tools`")?;
        let mongod = fs::canonicalize(mongod)?;
        for (name, path) in [("tenantry", program), ("mongod", &mongod), ("caddy", &packages.path("caddy"))] {
            std::os::unix::fs::symlink(path, programs.join(name))?;
        }
        let script = packages.script("processes.py", &[file]);
        let mut alone = command("unshare", &["--net", "--mount", "--"]);
        alone.arg(script.get_program()).args(script.get_args()).arg(&programs).arg(directory.path());
        alone.envs(script.get_envs().filter_map(|(name, value)| Some((name, value?))));
        sh(alone)?;
    }
    Ok(())
}

/// Installs the Debian package on a copy of this machine, and runs what the Dockerfile says there.
pub fn install(deb: &Path, image: &Path) -> Result<()> {
    let packages = packages()?;
    let dockerfile = root().join(DOCKERFILE);
    for (script, arguments) in [("package.py", [deb].as_slice()), ("image.py", &[&dockerfile, image])] {
        let directory = tempfile::tempdir()?;
        let script = packages.script(script, &[]);
        let mut alone = command("unshare", &["--mount", "--"]);
        alone.arg(script.get_program()).args(script.get_args()).args(arguments).arg(directory.path());
        sh(alone)?;
    }
    Ok(())
}
