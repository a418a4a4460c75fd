//! Runs other programs, always from the root of the workspace, and prints the commands.

use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The directory of the tools for the tests that are not installed system-wide.
pub fn tools_directory() -> PathBuf {
    root().join("target/tools")
}

/// `program` with `arguments`, to be run from the root of the workspace.
pub fn command<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: &[A]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Prints the command, runs it with its output shown, and fails if it fails.
pub fn run(mut command: Command) -> Result<()> {
    println!("$ {}", line(&command));
    let status = command.status().with_context(|| format!("cannot start `{}`", line(&command)))?;
    ensure!(status.success(), "`{}` ended with {status}", line(&command));
    Ok(())
}

/// The standard output of the command; its standard error is shown.
pub fn output(mut command: Command) -> Result<Vec<u8>> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{}`", line(&command)))?;
    ensure!(output.status.success(), "`{}` ended with {}", line(&command), output.status);
    Ok(output.stdout)
}

/// Whether the command starts and succeeds; nothing is shown.
pub fn succeeds(mut command: Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// `cargo` with the words of `arguments`.
pub fn cargo(arguments: &str) -> Command {
    command("cargo", &arguments.split_ascii_whitespace().collect::<Vec<_>>())
}

/// `cargo nextest` with `arguments`, on the whole workspace with all features, so that no command compiles
/// anything a second time.
pub fn nextest(arguments: &str) -> Result<Command> {
    let mut nextest = command(crate::tools::programs::nextest()?, &["nextest"]);
    nextest.args(arguments.split_ascii_whitespace());
    nextest.args(["--locked", "--workspace", "--all-features"]);
    Ok(nextest)
}

/// The service's own program as the tests run it, compiled if need be.
pub fn service_program() -> Result<PathBuf> {
    // Built with the tests: without them, other features would make cargo compile the dependencies again.
    run(cargo("build --quiet --locked --workspace --all-features --bins --tests"))?;
    Ok(target_directory()?.join("debug/tenantry"))
}

/// The directory that cargo builds into.
pub fn target_directory() -> Result<PathBuf> {
    let metadata = output(cargo("metadata --format-version=1 --no-deps"))?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata)?;
    Ok(metadata["target_directory"].as_str().context("cargo metadata names no target directory")?.into())
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.strip_prefix(root()).unwrap_or(program);
    let mut words = vec![program.to_string_lossy()];
    words.extend(command.get_args().map(OsStr::to_string_lossy));
    words.join(" ")
}
