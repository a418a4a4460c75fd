//! A real `mongod` for tests, or a replica set of three: found, started on a free port with an empty
//! directory, and stopped when the process that started it ends, even by a crash.
//!
//! It is a crate of its own because the tests of the store, those of the server, the benchmark and `xtask` need it, and
//! `xtask` must build without the rest. Nothing here relies on destructors: a shell script keeps `mongod`, and kills it
//! and removes the directory when its standard input ends. The operating system closes that pipe even if the process
//! that holds it is killed.

mod replica_set;
mod wire;

pub use replica_set::ReplicaSet;

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Names the server that [`shared_uri`] gives, if there is one already.
pub const SHARED_URI_VARIABLE: &str = "TENANTRY_TEST_MONGO_URI";
/// Names the `mongod` to run, where it is neither in `PATH` nor installed by `cargo xtask tools`.
pub const PROGRAM_VARIABLE: &str = "MONGOD";

/// Somebody else may take the free port before `mongod` does.
const ATTEMPTS: u32 = 5;

/// Keeps `mongod` and obeys the words on its standard input, each of which it answers with a line.
const KEEPER: &str = r#"
# Nobody may be there any more to read an answer.
trap '' PIPE
directory=$1; shift
begin() {
    "$@" >"$directory/log" 2>&1 & pid=$!
    until grep -q '"Waiting for connections"' "$directory/log"; do
        kill -0 $pid 2>/dev/null || { echo failed; return; }
        sleep 0.02
    done
    echo ready
}
begin "$@"
while read -r word; do
    case $word in
        start) begin "$@" ;;
        kill) kill -KILL $pid; wait $pid 2>/dev/null; echo killed ;;
        pause)
            kill -STOP $pid
            # On a busy machine some of its threads run on for a moment.
            while grep -L '^State:.T' /proc/$pid/task/*/status 2>/dev/null | grep -q .; do sleep 0.01; done
            echo paused ;;
        resume) kill -CONT $pid; echo resumed ;;
    esac
done
kill -KILL $pid 2>/dev/null
wait
rm -rf "$directory"
"#;

/// Settings that make it small and quiet; none changes what it promises.
const USUAL_FLAGS: [&str; 6] = [
    "--bind_ip=127.0.0.1",
    "--nounixsocket",
    "--wiredTigerCacheSizeGB=0.25",
    "--setParameter=diagnosticDataCollectionEnabled=false",
    "--setParameter=ttlMonitorEnabled=false",
    "--quiet",
];

/// A `mongod` that runs, or was killed and may be started again.
pub struct Mongod {
    keeper: Child,
    /// Closed to end it.
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    port: u16,
    /// Neither killed nor frozen.
    is_up: bool,
}

impl Mongod {
    /// Starts a standalone server.
    ///
    /// # Panics
    /// If there is no `mongod`, or it does not start; the message says what to do.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with these flags beside the usual ones.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn start_with(flags: &[&str]) -> Self {
        let program = program().unwrap_or_else(|| {
            panic!("there is no mongod: run `cargo xtask tools`, or name one in {PROGRAM_VARIABLE}")
        });
        let mut log = String::new();
        for _ in 0..ATTEMPTS {
            let directory = new_directory();
            let mut mongod = Self::spawn(&program, &directory, flags);
            if mongod.answer() == "ready" {
                return mongod;
            }
            log = fs::read_to_string(directory.join("log")).unwrap_or_default();
        }
        panic!("{} does not start:\n{log}", program.display());
    }

    fn spawn(program: &Path, directory: &Path, flags: &[&str]) -> Self {
        let port = free_port();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(directory)
            .arg(program)
            .arg(format!("--dbpath={}", directory.display()))
            .arg(format!("--port={port}"))
            .args(USUAL_FLAGS)
            .args(flags)
            // So that Ctrl-C in a terminal leaves the keeper time to clear up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("every system we test on has sh");
        let words = keeper.stdin.take();
        let answers = BufReader::new(keeper.stdout.take().expect("it was asked for above"));
        Self { keeper, words, answers, port, is_up: true }
    }

    /// Where it listens, with nothing but its address.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}", self.port)
    }

    /// The port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether it can be expected to answer: it was neither killed nor frozen.
    pub(crate) const fn answers(&self) -> bool {
        self.is_up
    }

    /// Ends it as a power cut would. What it has on disk stays.
    pub fn kill(&mut self) {
        self.is_up = false;
        self.obey("kill", "killed");
    }

    /// Starts it again after [`Self::kill`], on the same port and directory.
    pub fn restart(&mut self) {
        self.obey("start", "ready");
        self.is_up = true;
    }

    /// Freezes it: it keeps its connections and answers nobody.
    pub fn pause(&mut self) {
        self.is_up = false;
        self.obey("pause", "paused");
    }

    /// Lets it go on after [`Self::pause`].
    pub fn resume(&mut self) {
        self.obey("resume", "resumed");
        self.is_up = true;
    }

    fn obey(&mut self, word: &str, expected: &str) {
        let words = self.words.as_mut().expect("it is closed in `drop` alone");
        writeln!(words, "{word}").expect("the keeper lives as long as its input is open");
        assert_eq!(self.answer(), expected, "after `{word}`");
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the keeper writes plain words");
        line.trim_end().to_owned()
    }
}

/// Waits until it is gone, so that nothing is left when a test has ended.
impl Drop for Mongod {
    fn drop(&mut self) {
        drop(self.words.take());
        // If that is not possible the keeper clears up all the same.
        let _ = self.keeper.wait();
    }
}

/// A standalone server for all tests that need none of their own: the one that `cargo xtask ci` has started
/// for all test processes, else one that this process starts when first asked.
///
/// # Panics
/// As [`Mongod::start`].
#[must_use]
pub fn shared_uri() -> String {
    static SHARED: OnceLock<Mongod> = OnceLock::new();
    variable(SHARED_URI_VARIABLE).unwrap_or_else(|| SHARED.get_or_init(Mongod::start).uri())
}

/// The `mongod` to run: the one named in the environment, else the one in `PATH`, else the one that
/// `cargo xtask tools` has installed.
#[must_use]
pub fn program() -> Option<PathBuf> {
    if let Some(named) = variable(PROGRAM_VARIABLE) {
        return Some(named.into());
    }
    [PathBuf::from("mongod"), installed_program()].into_iter().find(|program| starts(program))
}

/// Where `cargo xtask tools` installs it.
#[must_use]
pub fn installed_program() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."));
    workspace.join("target/tools/mongod")
}

/// Whether `program` is a `mongod` that runs on this machine.
fn starts(program: &Path) -> bool {
    let version = Command::new(program).arg("--version").stderr(Stdio::null()).output();
    version.is_ok_and(|output| output.status.success())
}

#[expect(clippy::disallowed_methods, reason = "which server the tests use is no setting of the service")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}

/// A directory that was not there: one that is, with the number of a former process, may be in use.
fn new_directory() -> PathBuf {
    static MADE: AtomicU32 = AtomicU32::new(0);
    loop {
        let name = format!("tenantry-test-mongod-{}-{}", process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        match fs::create_dir(&directory) {
            Ok(()) => return directory,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => panic!("cannot make {}: {error}", directory.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    fn listens(port: u16) -> bool {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    }

    #[test]
    fn mongod_ends_with_its_owner_and_restarts_after_kill() {
        let mut mongod = Mongod::start();
        let port = mongod.port();
        assert!(listens(port));
        mongod.kill();
        assert!(!listens(port));
        mongod.restart();
        assert!(listens(port));
        drop(mongod);
        assert!(!listens(port));
    }
}
