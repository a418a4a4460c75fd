//! The command line, as a person and a script use it: the real binary, its output, and its exit codes.

mod archives;
mod audit;
mod doctor;
mod formats;
mod generated;
mod healthcheck;
mod key;
mod mail;
mod mail_tls;
mod operator_key;
mod org;
mod people;
mod rehearsal;
mod signing_key;

use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A directory to run commands in, and the environment they have. Nothing of the machine's own settings is in it.
struct Shell {
    home: TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Shell {
    /// An empty one. The data directory is named and not made.
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let data_dir = home.path().join("data").display().to_string();
        Self { home, environment: vec![("DATA_DIR", data_dir)] }
    }

    /// With this variable in the environment.
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home.path());
        command
    }

    /// Runs a command without a terminal.
    fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.run_with(arguments, "")
    }

    /// Runs a command with `input` on standard input.
    fn run_with(&self, arguments: &[&str], input: &str) -> CommandOutput {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads nothing may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        CommandOutput {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A command that has ended.
#[derive(Debug)]
struct CommandOutput {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl CommandOutput {
    /// Its output, if it succeeded and reported no errors.
    #[track_caller]
    fn done(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self.stdout
    }

    /// Its output parsed as JSON, if it succeeded and reported no errors.
    #[track_caller]
    fn json(self) -> Value {
        let stdout = self.done();
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
    }

    /// Its error message, if it was refused and printed nothing else.
    #[track_caller]
    fn refused(self) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(1), ""), "{self:?}");
        self.stderr
    }

    /// Its error message, if it was called wrongly and printed nothing else.
    #[track_caller]
    fn misused(self) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(2), ""), "{self:?}");
        self.stderr
    }
}
