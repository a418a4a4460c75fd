//! A real mail server (aiosmtpd), which `cargo xtask tools` installs, and the mails that it gets.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long a mail may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long nothing must come, where nothing may.
const SILENCE: Duration = Duration::from_millis(1500);

/// A mail server. It ends with this value.
pub struct SmtpServer {
    child: Child,
    input: ChildStdin,
    lines: Mutex<Receiver<Value>>,
    /// Where it listens.
    pub port: u16,
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl SmtpServer {
    /// On any port.
    pub fn start() -> Self {
        Self::start_on(0, None)
    }

    /// On that port; with a password, only the user `mailer` may send.
    pub fn start_on(port: u16, password: Option<&str>) -> Self {
        Self::run(&[&port.to_string(), password.unwrap_or_default(), "plain"])
    }

    /// On any port, with `starttls` or `tls` and that file of a certificate and its key.
    pub fn start_with_tls(security: &str, password: &str, certificate: &Path) -> Self {
        Self::run(&["0", password, security, certificate.to_str().unwrap()])
    }

    fn run(arguments: &[&str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("../../target/tools/python");
        let mut child = Command::new(&python)
            .args(["-W", "ignore", "-c", include_str!("smtp_server.py")])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}: `cargo xtask tools` installs it", python.display()));
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        let begun: Value =
            lines.recv_timeout(PATIENCE).expect("aiosmtpd is not installed: `cargo xtask tools`");
        let port = u16::try_from(begun["port"].as_u64().unwrap()).unwrap();
        Self { input: child.stdin.take().unwrap(), child, lines: Mutex::new(lines), port }
    }

    /// The flags of a service that sends its mails here.
    pub fn flags(&self) -> Vec<String> {
        flags(self.port)
    }

    /// From now on it does that; see `smtp_server.py`.
    pub fn does(&mut self, mode: &str) {
        writeln!(self.input, "{mode}").unwrap();
        self.input.flush().unwrap();
        while self.next_line(PATIENCE).expect("it goes on")["mode"] != mode {}
    }

    /// What it says next.
    pub fn next_line(&self, time: Duration) -> Option<Value> {
        match self.lines.lock().unwrap().recv_timeout(time) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the mail server is gone"),
        }
    }

    /// The next mail.
    pub async fn mail(&self) -> Value {
        let next = || loop {
            let line = self.next_line(PATIENCE).expect("no mail came");
            if line["to"].is_array() {
                return line;
            }
        };
        tokio::task::block_in_place(next)
    }

    /// Waits a while, in which no mail may come.
    pub async fn no_mail(&self) {
        let found = tokio::task::block_in_place(|| self.next_line(SILENCE));
        assert_eq!(found, None);
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The flags of a service that sends its mails to that port.
pub fn flags(port: u16) -> Vec<String> {
    vec![
        format!("--smtp-url=smtp://127.0.0.1:{port}?tls=off"),
        "--mail-from=Acme Mail <no-reply@acme.example>".to_owned(),
        "--public-url=https://app.example/t".to_owned(),
    ]
}
