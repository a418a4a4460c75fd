//! Clients that public tools generate from the OpenAPI document: linted, generated, compiled or type-checked,
//! and run against the service.
//!
//! The tools are pinned in `clients/quick` and `clients/more`. Each client is used by a small program in
//! `clients` that creates an organization, signs in, inserts a document, reads a field of it back, lists,
//! renames and deletes. Never edit generated code: if a tool cannot cope with the document, fix the document.

use crate::process::Process;
use crate::shell::{cargo, command, output, root, run as sh, service_program, tools_directory};
use crate::tools;
use anyhow::{Context, Result};
use std::env::join_paths;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The folder of the programs and the lists of tools.
const SOURCES: &str = "xtask/src/clients";

/// A tool that generates a client, and the program that uses it.
struct Client {
    /// The tool, as its registry calls it.
    tool: &'static str,
    set: Set,
    /// The files of [`SOURCES`] for the folder of the client.
    files: &'static [&'static str],
    /// Generates the client and compiles or checks the program; returns the command that starts it.
    build: fn(&Workshop) -> Result<Command>,
}

/// Which list of packages a tool is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    Quick,
    More,
}

impl Set {
    const fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::More => "more",
        }
    }

    /// Its packages for Node and for Python, installed if need be.
    fn install(self) -> Result<Installed> {
        let (sources, name) = (format!("{SOURCES}/{}", self.name()), format!("clients-{}", self.name()));
        Ok(Installed {
            node: tools::npm_packages(&sources, &name)?,
            python: tools::python_packages(
                &format!("{sources}/requirements.txt"),
                &format!("{name}-python"),
            )?,
        })
    }

    /// The version of a package that its lists name.
    fn version(self, package: &str) -> Result<String> {
        let folder = root().join(SOURCES).join(self.name());
        let lists = fs::read_to_string(folder.join("package.json"))?
            + &fs::read_to_string(folder.join("requirements.txt"))?;
        let starts = [format!("\"{package}\": \""), format!("\n{package}==")];
        let rest = starts.iter().find_map(|start| Some(lists.split_once(start.as_str())?.1));
        let version = rest.and_then(|rest| rest.split(['"', '\n']).next());
        Ok(version.with_context(|| format!("no version of {package}"))?.to_owned())
    }
}

/// The clients; the first two are generated for every change.
const CLIENTS: [Client; 6] = [
    Client {
        tool: "openapi-typescript",
        set: Set::Quick,
        files: &["openapi_typescript.ts", "tsconfig.json"],
        build: |workshop| {
            workshop.node("openapi-typescript", &["openapi.json", "-o", "generated/api.ts"])?;
            workshop.typescript("openapi_typescript")
        },
    },
    Client {
        tool: "openapi-python-client",
        set: Set::Quick,
        files: &["openapi_python_client.py", "openapi_python_client.yaml"],
        build: |workshop| {
            let mut generate = workshop.python(&["-m", "openapi_python_client", "generate"]);
            generate.args(["--fail-on-warning", "--overwrite", "--meta", "none"]);
            generate.arg("--path").arg(workshop.folder.join("openapi.json"));
            generate.arg("--config").arg(workshop.folder.join("openapi_python_client.yaml"));
            generate.arg("--output-path").arg(workshop.folder.join("generated"));
            sh(generate)?;
            workshop.checked_python("openapi_python_client.py")
        },
    },
    Client {
        tool: "@hey-api/openapi-ts",
        set: Set::More,
        files: &["hey_api.ts", "hey_api.config.js", "tsconfig.json"],
        build: |workshop| {
            workshop.node("openapi-ts", &["-f", "hey_api.config.js", "--silent", "--no-log-file"])?;
            workshop.typescript("hey_api")
        },
    },
    Client {
        tool: "orval",
        set: Set::More,
        files: &["orval.ts", "orval.config.js", "tsconfig.json"],
        build: |workshop| {
            workshop.node("orval", &["--config", "orval.config.js"])?;
            workshop.typescript("orval")
        },
    },
    Client {
        tool: "datamodel-code-generator",
        set: Set::More,
        files: &["datamodel_code_generator.py"],
        build: |workshop| {
            let generated = workshop.folder.join("generated");
            fs::create_dir_all(&generated)?;
            fs::write(generated.join("__init__.py"), "")?;
            let mut generate = workshop.python(&["-m", "datamodel_code_generator"]);
            generate.args(["--input-file-type=openapi", "--output-model-type=pydantic_v2.BaseModel"]);
            generate.args(["--use-annotated", "--formatters=builtin"]);
            generate.arg("--input").arg(workshop.folder.join("openapi.json"));
            generate.arg("--output").arg(generated.join("models.py"));
            sh(generate)?;
            workshop.checked_python("datamodel_code_generator.py")
        },
    },
    Client {
        tool: "openapi-generator-cli",
        set: Set::More,
        files: &["rust/Cargo.toml", "rust/Cargo.lock", "rust/main.rs"],
        build: |workshop| {
            let mut generate = workshop.python(&["-c", "from openapi_generator_cli import cli; cli()"]);
            generate.args(["generate", "--generator-name=rust"]);
            generate.arg("--input-spec").arg(workshop.folder.join("openapi.json"));
            generate.arg("--output").arg(workshop.folder.join("generated"));
            // It prints a line for each file that it writes.
            generate.stdout(std::process::Stdio::null());
            sh(generate)?;
            let target = tools_directory().join("clients-more/rust-target");
            let mut build = cargo("build --locked --quiet --manifest-path");
            build.arg(workshop.folder.join("Cargo.toml")).arg("--target-dir").arg(&target);
            sh(build)?;
            Ok(command::<&str>(target.join("debug/client"), &[]))
        },
    },
];

/// The packages of a set, by the kind of their registry.
struct Installed {
    node: PathBuf,
    python: PathBuf,
}

/// The folder and the packages for generating one client.
struct Workshop {
    folder: PathBuf,
    /// What has the packages of its set for Node.
    node: PathBuf,
    /// The packages for Python.
    python_path: OsString,
}

/// Lints the document and runs the clients of every change, or all of them; fails if a tool reports anything,
/// or a client does not do what it should.
pub fn run(all: bool) -> Result<()> {
    tools::install()?;
    let quick = Set::Quick.install()?;
    let more = if all { Some(Set::More.install()?) } else { None };
    let program = service_program()?;
    let document = output(command(&program, &["docs", "openapi"]))?;
    let directory = tempfile::tempdir()?;
    lint(&document, directory.path(), &quick, more.as_ref())?;
    let server = Process::service::<&str>(&program, &directory.path().join("data"), &[])?;
    let operator_key = fs::read_to_string(directory.path().join("data/operator.key"))?;
    let mut lines = Vec::new();
    for client in CLIENTS.iter().filter(|client| all || client.set == Set::Quick) {
        let began = Instant::now();
        let of_set = if client.set == Set::Quick { Some(&quick) } else { more.as_ref() };
        let node = of_set.context("a set that is not installed")?.node.clone();
        let pythons = more.iter().map(|set| &set.python).chain([&quick.python]);
        let workshop = Workshop::open(client, node, join_paths(pythons)?, &document)?;
        let mut program = (client.build)(&workshop)?;
        program.arg(format!("http://{}", server.address)).env("OPERATOR_KEY", operator_key.trim());
        sh(program)?;
        let (version, seconds) = (client.set.version(client.tool)?, began.elapsed().as_secs_f64());
        lines
            .push(format!("{:<26} {version:<8} its client compiles and works ({seconds:.0} s)", client.tool));
    }
    server.stop()?;
    println!("\n{}", lines.join("\n"));
    Ok(())
}

/// Runs the linters with their recommended rules; a warning fails, too.
fn lint(document: &[u8], folder: &Path, quick: &Installed, more: Option<&Installed>) -> Result<()> {
    let file = folder.join("openapi.json");
    fs::write(&file, document)?;
    let mut redocly = node_program(&quick.node, "redocly");
    redocly.args(["lint", "--extends=recommended-strict"]).arg(&file);
    redocly.env("REDOCLY_TELEMETRY", "off").env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
    sh(redocly)?;
    if let Some(more) = more {
        let mut spectral = node_program(&more.node, "spectral");
        spectral.args(["lint", "--fail-severity=hint", "--ruleset"]);
        spectral.arg(root().join(SOURCES).join("spectral.yaml")).arg(&file);
        sh(spectral)?;
    }
    Ok(())
}

/// A program of a package that is installed in `packages`.
fn node_program(packages: &Path, name: &str) -> Command {
    command(tools_directory().join("node"), &[packages.join("node_modules/.bin").join(name)])
}

impl Workshop {
    /// An empty folder for `client` with the document and its files. It is below the packages of Node, which are found so.
    fn open(client: &Client, node: PathBuf, python_path: OsString, document: &[u8]) -> Result<Self> {
        let folder = node.join("work").join(client.tool.replace(['@', '/'], ""));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("openapi.json"), document)?;
        fs::write(folder.join("package.json"), "{\"type\":\"module\"}\n")?;
        for file in client.files {
            let source = root().join(SOURCES).join(file);
            fs::copy(&source, folder.join(source.file_name().unwrap_or(OsStr::new(file))))?;
        }
        Ok(Self { folder, node, python_path })
    }

    /// Runs a program of a package in the folder of the client.
    fn node(&self, name: &str, arguments: &[&str]) -> Result<()> {
        let mut program = node_program(&self.node, name);
        program.args(arguments).current_dir(&self.folder);
        sh(program)
    }

    /// Compiles the folder; returns the command that starts its program.
    fn typescript(&self, program: &str) -> Result<Command> {
        self.node("tsc", &["--project", "."])?;
        let compiled = self.folder.join("out").join(program).with_extension("js");
        Ok(command(tools_directory().join("node"), &[compiled]))
    }

    /// Python with the packages. It runs outside of the folder, whose program is called like the package of its tool.
    fn python(&self, arguments: &[&str]) -> Command {
        let mut python = command(tools_directory().join("python"), arguments);
        python.env("PYTHONPATH", &self.python_path);
        python
    }

    /// Checks the types of a program; returns the command that starts it.
    fn checked_python(&self, program: &str) -> Result<Command> {
        let program = self.folder.join(program);
        let mut check = self.python(&["-m", "mypy", "--strict", "--cache-dir"]);
        check.arg(self.folder.join(".mypy_cache")).arg(&program).arg(self.folder.join("generated"));
        sh(check)?;
        let mut start = self.python(&[]);
        start.arg(program);
        Ok(start)
    }
}
