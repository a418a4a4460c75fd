//! `tenantry backup` and `tenantry restore`, on both engines, with the real binary.

mod credentials;
mod damage;
mod directory;
mod drill;
mod encrypted;
mod organization;
mod page;

use crate::support::process::Launch;
use crate::support::test_env::TestEnv;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// A directory for backups, and how commands are run on it.
pub(crate) struct Backups {
    home: TempDir,
}

/// What a command has printed, with success or not.
#[derive(Debug)]
pub(crate) struct Printed {
    is_success: bool,
    stdout: String,
    stderr: String,
}

impl Printed {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let is_success = output.status.success();
        Self { is_success, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert!(self.is_success, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    #[track_caller]
    fn refused(self) -> String {
        assert!(!self.is_success, "{}{}", self.stdout, self.stderr);
        self.stderr
    }
}

impl Backups {
    pub(crate) fn new() -> Self {
        Self { home: TempDir::new().unwrap() }
    }

    /// The directory of the backups.
    pub(crate) fn directory(&self) -> PathBuf {
        self.home.path().join("backups")
    }

    /// A file with that content.
    fn file(&self, name: &str, content: &str) -> PathBuf {
        let file = self.home.path().join(name);
        std::fs::write(&file, content).unwrap();
        file
    }

    /// A command of the binary on what is kept there.
    fn command(&self, test_env: &TestEnv, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
        let directory = self.directory();
        let arguments = arguments.iter().map(|argument| match *argument {
            "DIR" => directory.to_str().unwrap(),
            other => other,
        });
        command.args(arguments).args(test_env.flags()).env_clear().current_dir(self.home.path());
        command.env("TMPDIR", self.home.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command on what is kept there; `DIR` stands for the directory of the backups.
    pub(crate) async fn run(&self, test_env: &TestEnv, arguments: &[&str]) -> Printed {
        let mut command = self.command(test_env, arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        Printed::of(&output.await.unwrap())
    }

    /// Starts a command that may be killed.
    fn spawn(&self, test_env: &TestEnv, arguments: &[&str]) -> Child {
        self.command(test_env, arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Makes a backup that is not encrypted.
    pub(crate) async fn back_up(&self, test_env: &TestEnv) -> String {
        self.run(test_env, &["backup", "DIR", "--unencrypted"]).await.done()
    }

    /// Restores the newest backup into an empty place.
    async fn restore(&self) -> TestEnv {
        let target = TestEnv::new();
        self.run(&target, &["restore", "DIR"]).await.done();
        target
    }

    /// The backups as `tenantry backup list` knows them.
    async fn list(&self) -> Vec<Value> {
        let command = Command::new(env!("CARGO_BIN_EXE_tenantry"))
            .args(["backup", "list", "--json"])
            .arg(self.directory())
            .env_clear()
            .output()
            .unwrap();
        serde_json::from_str(&Printed::of(&command).done()).unwrap()
    }

    /// Verifies all backups.
    fn verify(&self) -> Printed {
        self.run_on_directory(&["backup", "verify", "DIR"])
    }

    /// Runs a command that needs no installation.
    fn run_on_directory(&self, arguments: &[&str]) -> Printed {
        let directory = self.directory();
        let arguments = arguments
            .iter()
            .map(|argument| if *argument == "DIR" { directory.to_str().unwrap() } else { argument });
        let output = Command::new(env!("CARGO_BIN_EXE_tenantry")).args(arguments).env_clear().output();
        Printed::of(&output.unwrap())
    }

    /// The temporary directories of commands.
    fn temporary(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.home.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("tenantry-")).collect()
    }

    /// The files with the contents of backups.
    fn objects(&self) -> Vec<PathBuf> {
        let shards = std::fs::read_dir(self.directory().join("objects")).unwrap();
        let files = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap());
        files.map(|file| file.unwrap().path()).collect()
    }
}

/// The checks of `tenantry doctor` that fail there.
pub(crate) async fn failed_checks(backups: &Backups, test_env: &TestEnv) -> Vec<String> {
    let printed = backups.run(test_env, &["doctor", "--json", "--port=0"]).await;
    let report: Value = serde_json::from_str(&printed.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let failed = checks.iter().filter(|check| check["verdict"] == "fail").map(ToString::to_string);
    // The shared server of the tests is a standalone one, which is no fault of the backup.
    failed.filter(|check| !check.contains("journal")).collect()
}

/// Changes a byte in the middle of a file.
fn flip_byte(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

/// A service on what is kept there.
pub(crate) fn start(test_env: &TestEnv) -> crate::support::process::Server {
    Launch::on(test_env).start()
}
