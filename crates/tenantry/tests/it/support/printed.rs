//! The commands that pages print, run as they are printed: in bash, with `tenantry` on the path.
//!
//! `cargo xtask tidy` reads the calls of [`block`], [`fenced`] and [`blocks`] in the tests: a block of a page that none of
//! them takes is refused.

use super::app::App;
use super::client::{Client, plain_http};
use super::process::tls_client;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The commands (`sh` or `console`) of the page whose first line begins with `first`.
#[track_caller]
pub fn block(page: &str, first: &str) -> String {
    let all = ["sh", "console"].into_iter().flat_map(|language| blocks(page, language));
    let found = all.into_iter().find(|block| block.starts_with(first));
    found.unwrap_or_else(|| panic!("{page} has no commands that begin with {first}"))
}

/// The block in that language whose first line begins with `first`.
#[track_caller]
pub fn fenced(page: &str, language: &str, first: &str) -> String {
    let found = blocks(page, language).into_iter().find(|block| block.starts_with(first));
    found.unwrap_or_else(|| panic!("{page} has no {language} that begins with {first}"))
}

/// Every block in that language, in the order of the page, without the indentation of a list.
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let (begin, mut found, mut open) = (format!("```{language}"), Vec::new(), None::<(usize, String)>);
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        match &mut open {
            None if line.trim_start() == begin => open = Some((indent, String::new())),
            None => {}
            Some(_) if line.trim() == "```" => found.extend(open.take().map(|(_, block)| block)),
            Some((indent, block)) => {
                block.push_str(line.get(*indent..).unwrap_or_default());
                block.push('\n');
            }
        }
    }
    found
}

/// The commands of a block: lines that are continued are one, comments and empty lines are none.
pub fn commands(block: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut is_continued = false;
    for line in block.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        match found.last_mut().filter(|_| is_continued || line.starts_with(' ')) {
            Some(command) => *command += &format!("\n{line}"),
            None => found.push(line.to_owned()),
        }
        is_continued = line.ends_with('\\');
    }
    found
}

/// A shell in a directory of its own.
pub struct Shell {
    home: TempDir,
    variables: Vec<(String, String)>,
    replaced: Vec<(String, String)>,
}

impl Shell {
    pub fn new() -> Self {
        let shell = Self { home: TempDir::new().unwrap(), variables: Vec::new(), replaced: Vec::new() };
        let bin = Path::new(env!("CARGO_BIN_EXE_tenantry")).parent().unwrap();
        let home = shell.home.path().display().to_string();
        shell
            .with("PATH", &format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()))
            .with("NO_PROXY", "*")
            .with("TMPDIR", &home)
            // Of a service that a command starts.
            .with("PORT", "0")
    }

    /// A shell whose commands find that service.
    pub fn of(app: &App) -> Self {
        Self::at(app.address(), &app.data_dir())
    }

    /// A shell whose commands find the service at `address` with that data directory.
    pub fn at(address: SocketAddr, data_dir: &Path) -> Self {
        let key = data_dir.join("operator.key").display().to_string();
        Self::new()
            .with("SERVER_URL", &format!("http://{address}"))
            .with("DATA_DIR", &data_dir.display().to_string())
            .replacing("localhost:8000", &address.to_string())
            .replacing("data/operator.key", &key)
    }

    /// With that variable; one that was given before is replaced.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(given, _)| given != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// What a reader puts in the place of `printed`.
    pub fn replacing(mut self, printed: &str, value: &str) -> Self {
        self.replaced.push((printed.to_owned(), value.to_owned()));
        self
    }

    /// Its directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes a file there.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let file = self.home().join(name);
        std::fs::write(&file, content).unwrap();
        file
    }

    #[track_caller]
    fn command(&self, commands: &str) -> Command {
        let commands = self.replaced.iter().fold(commands.to_owned(), |commands, (printed, value)| {
            commands.replace(printed.as_str(), value)
        });
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", &commands]).current_dir(self.home()).env_clear();
        command.envs(self.variables.iter().cloned()).stdin(Stdio::null());
        command
    }

    /// Runs the commands; what they print.
    pub async fn run(&self, commands: &str) -> String {
        let mut command = self.command(commands);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{commands}\n{stdout}{stderr}");
        stdout
    }

    /// Runs the commands, each of which prints one JSON answer or nothing; the answers.
    pub async fn answers(&self, commands: &str) -> Vec<Value> {
        let printed = self.run(commands).await;
        let lines = printed.lines().filter(|line| !line.is_empty());
        lines
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|_| panic!("no answer: {line}\n{commands}"))
            })
            .collect()
    }

    /// Runs the commands, of which the last one is a service, until that listens.
    pub async fn serve(&self, commands: &str) -> Served {
        let mut command = self.command(commands);
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut served = Served { child, address: ([127, 0, 0, 1], 0).into() };
        let said = commands.to_owned();
        let listening = tokio::task::spawn_blocking(move || {
            let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
            let line = lines.find(|line| line.contains(" listens on "));
            let line = line.unwrap_or_else(|| panic!("no service starts:\n{said}"));
            // To its end: a full pipe would stop the service.
            std::thread::spawn(move || lines.for_each(drop));
            line
        });
        let line = listening.await.unwrap();
        let address: SocketAddr = line.rsplit("://").next().unwrap().parse().unwrap();
        served.address.set_port(address.port());
        served
    }
}

/// A service that printed commands have started. It ends with this value.
pub struct Served {
    child: Child,
    pub address: SocketAddr,
}

impl Served {
    /// A client without a credential.
    pub fn client(&self) -> Client {
        Client::new(plain_http(), format!("http://{}", self.address))
    }

    /// A client over TLS, of a service for `localhost` whose certificate this authority has issued.
    pub fn tls_client(&self, authority: &str) -> Client {
        tls_client(authority, self.address.port())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // The shell and what it has started.
        let group = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}
