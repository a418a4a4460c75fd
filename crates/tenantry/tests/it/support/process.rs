//! The real binary, as a process of its own: for what happens to a process, not to a library. Signals, crashes,
//! exit codes, and what it prints.

use super::client::{Client, plain_http};
use super::test_env::StoredData;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a start, a clean end or a crash may take on a busy machine before the test gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the end of a process is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// How to start the service: flags and environment beside the data directory.
#[derive(Clone)]
pub struct Launch {
    data_dir: PathBuf,
    flags: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Launch {
    /// On what is kept there, on any free port, with throttling off.
    pub fn on(kept: &(impl StoredData + ?Sized)) -> Self {
        let mut flags = kept.flags();
        flags.extend(["--port=0".to_owned(), "--rate-limit=off".to_owned()]);
        Self { data_dir: kept.data_dir(), flags, environment: Vec::new() }
    }

    /// With this flag, as `--name=value`; one that was given before is replaced.
    pub fn with(mut self, flag: &str) -> Self {
        let name = flag.split('=').next().unwrap();
        self.flags.retain(|given| given.split('=').next() != Some(name));
        self.flags.push(flag.to_owned());
        self
    }

    /// Without that flag, if it was given.
    pub fn without(mut self, name: &str) -> Self {
        self.flags.retain(|given| given.split('=').next() != Some(name));
        self
    }

    /// With this variable in its environment, which is empty otherwise.
    pub fn env(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// Starts the process and does not wait for it.
    pub fn spawn(&self) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tenantry"))
            .args(&self.flags)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            // Not where a developer's `.env` may be.
            .current_dir(self.data_dir.parent().unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = Mutex::new(lines(child.stdout.take().unwrap()));
        let stderr = CollectedOutput::of(child.stderr.take().unwrap());
        Process { child, stdout, stderr, data_dir: self.data_dir.clone() }
    }

    /// Starts the service and waits until it listens.
    #[track_caller]
    pub fn start(&self) -> Server {
        self.spawn().listening()
    }

    /// Starts a service that refuses to run; what it says about that, once it has ended with exit code 1.
    pub async fn refused(&self) -> String {
        let ended = self.spawn().ended().await;
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        ended.stderr
    }
}

/// A process that may not listen yet.
pub struct Process {
    child: Child,
    stdout: Mutex<Receiver<String>>,
    stderr: CollectedOutput,
    data_dir: PathBuf,
}

/// A process that has ended.
#[derive(Debug)]
pub struct FinishedProcess {
    pub status: ExitStatus,
    pub stderr: String,
}

impl Process {
    /// Waits until it has said where it listens.
    #[track_caller]
    pub fn listening(self) -> Server {
        let line = self.stdout.lock().unwrap().recv_timeout(PATIENCE);
        let Ok(line) = line else { panic!("the service does not start: {}", self.stderr.text()) };
        // With `--log-format=json` it is the message of an object.
        let object = serde_json::from_str::<serde_json::Value>(&line);
        let message = object.map_or(line.clone(), |line| line["message"].as_str().unwrap().to_owned());
        let address = message.rsplit("://").next().unwrap().parse();
        let address = address.unwrap_or_else(|_| panic!("the first line names no address: {line}"));
        Server { process: self, address }
    }

    /// Waits until it has ended, for any reason.
    pub async fn ended(mut self) -> FinishedProcess {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return FinishedProcess { status, stderr: self.stderr.whole() };
            }
            assert!(Instant::now() < deadline, "the process does not end: {}", self.stderr.text());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends it as a power cut would, and waits until it has gone.
    pub async fn kill(self) {
        self.signal(Signal::KILL);
        self.crashed().await;
    }

    /// Waits until it has been killed by signal 9, as it does to itself at a crash point.
    pub async fn crashed(self) {
        let ended = self.ended().await;
        assert_eq!(ended.status.signal(), Some(9), "it did not crash: {ended:?}");
    }

    /// Whether it has been stopped, as it does to itself where it is told to.
    fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().starts_with('T')
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A service that listens.
pub struct Server {
    process: Process,
    address: SocketAddr,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client without a credential.
    pub fn client(&self) -> Client {
        Client::new(plain_http(), format!("http://{}", self.address))
    }

    /// A client over TLS, of a service for `localhost` whose certificate this authority has issued.
    pub fn tls_client(&self, authority: &str) -> Client {
        tls_client(authority, self.address.port())
    }

    /// A client with the operator key.
    pub fn operator(&self) -> Client {
        let key = std::fs::read_to_string(self.process.data_dir.join("operator.key")).unwrap();
        self.client().with_token(key.trim())
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.process.child.id()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.stderr.text()
    }

    /// Asks it to read its certificate again.
    pub fn hang_up(&self) {
        self.process.signal(Signal::HUP);
    }

    /// Asks it to end, as a service manager does.
    pub fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Ends it as a power cut would, and waits until it has gone.
    pub async fn kill(self) {
        self.process.kill().await;
    }

    /// Stops it: it keeps its connections and does nothing.
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Lets it go on after it was stopped.
    pub fn wake(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Waits until it has stopped itself at a crash point.
    pub async fn stopped(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.process.is_stopped() {
            assert!(Instant::now() < deadline, "it does not stop: {}", self.log());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until it has killed itself at a crash point.
    pub async fn crashed(self) {
        self.process.crashed().await;
    }

    /// Asks it to end, and waits until it has done so with exit code 0.
    pub async fn stop(self) {
        self.terminate();
        self.ended_well().await;
    }

    /// Asks it to end, and waits until it has done so with exit code 0; all that it has written to its log.
    pub async fn log_at_its_end(self) -> String {
        self.terminate();
        let ended = self.process.ended().await;
        assert!(ended.status.success(), "{ended:?}");
        ended.stderr
    }

    /// Waits until it has ended with exit code 0.
    pub async fn ended_well(self) {
        let ended = self.process.ended().await;
        assert!(ended.status.success(), "{ended:?}");
    }
}

/// A client over TLS, of a service on that port for `localhost` whose certificate this authority has issued.
pub fn tls_client(authority: &str, port: u16) -> Client {
    let authority = reqwest::Certificate::from_pem(authority.as_bytes()).unwrap();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap();
    Client::new(http, format!("https://localhost:{port}"))
}

/// The lines of `stream`, as they come.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        // To its end, also when nobody listens: a full pipe would stop the process.
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

/// The collected output of a stream.
struct CollectedOutput {
    text: Arc<Mutex<String>>,
    thread: Option<JoinHandle<()>>,
}

impl CollectedOutput {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&text);
        let thread = std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Self { text, thread: Some(thread) }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// Everything, after the stream has ended.
    fn whole(&mut self) -> String {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.text()
    }
}
