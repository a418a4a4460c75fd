//! A proxy of the samples, as a process: its sample with the addresses and files of this test.

use crate::support::certificates::Certificates;
use reqwest::{Certificate, Client};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a machine that has much to do may take.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// A sample in `deploy`.
#[derive(Clone, Copy)]
pub enum Sample {
    Nginx,
    Caddy,
    HaProxy,
}

/// A running proxy.
pub struct Proxy {
    pub port: u16,
    child: Child,
    certificates: Certificates,
    folder: TempDir,
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Proxy {
    /// Starts it at that port, in front of the service at `target`.
    pub fn start(sample: Sample, port: u16, target: SocketAddr) -> Self {
        let (certificates, folder) = (Certificates::new(), tempfile::tempdir().unwrap());
        let text = sample.text(&certificates, port, target, folder.path());
        let file = folder.path().join("configuration");
        fs::write(&file, text).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut command = sample.command(&file);
        command.current_dir(folder.path()).env("HOME", folder.path()).stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Self { port, child, certificates, folder }
    }

    /// Where clients reach the service.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/tenantry", self.port)
    }

    /// A client that trusts its certificate.
    pub fn client(&self) -> Client {
        let authority = Certificate::from_pem(self.certificates.authority().as_bytes()).unwrap();
        Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap()
    }

    /// Waits until the service answers through it.
    pub async fn answers(&self, client: &Client) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = client.get(format!("{}/livez", self.url())).send().await;
            if answer.as_ref().is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
            assert!(Instant::now() < deadline, "{answer:?}\n{log}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sample {
    /// The sample with other addresses and files. What is to be replaced must be there.
    fn text(self, certificates: &Certificates, port: u16, target: SocketAddr, folder: &Path) -> String {
        let path = |path: PathBuf| path.display().to_string();
        let (certificate, key) = (path(certificates.certificate()), path(certificates.key()));
        let (target, folder_text) = (target.to_string(), folder.display().to_string());
        let (name, changes) = match self {
            Self::Nginx => (
                "nginx.conf",
                vec![
                    (
                        "pid /run/nginx.pid;",
                        format!("daemon off;\nmaster_process off;\npid {folder_text}/pid;"),
                    ),
                    ("/var/log/nginx/access.log", "/dev/null".to_owned()),
                    ("/var/log/nginx/error.log;", format!("stderr;\n{}", temporary_paths(&folder_text))),
                    ("listen 443 ssl;", format!("listen 127.0.0.1:{port} ssl;")),
                    ("server_name api.example.com;", "server_name localhost;".to_owned()),
                    ("/etc/ssl/api.example.com.pem", certificate),
                    ("/etc/ssl/private/api.example.com.key", key),
                    ("127.0.0.1:8000", target),
                ],
            ),
            Self::Caddy => (
                "Caddyfile",
                vec![
                    ("{\n\tservers {", "{\n\tadmin off\n\tauto_https off\n\tservers {".to_owned()),
                    (
                        "api.example.com {",
                        format!("localhost:{port} {{\n\tbind 127.0.0.1\n\ttls {certificate} {key}"),
                    ),
                    ("127.0.0.1:8000", target),
                ],
            ),
            Self::HaProxy => {
                let both = folder.join("both.pem");
                let text = [certificate, key].map(|file| fs::read_to_string(file).unwrap()).concat();
                fs::write(&both, text).unwrap();
                (
                    "haproxy.cfg",
                    vec![
                        ("bind :443", format!("bind 127.0.0.1:{port}")),
                        ("/etc/haproxy/api.example.com.pem", path(both)),
                        ("127.0.0.1:8000", target),
                    ],
                )
            }
        };
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name);
        let mut text = fs::read_to_string(file).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "{name} has no `{from}`");
            text = text.replace(from, &to);
        }
        text
    }

    fn command(self, file: &Path) -> Command {
        let mut command;
        match self {
            Self::Nginx => {
                command = tool("nginx");
                command.arg("-e").arg("stderr").arg("-p").arg(file.parent().unwrap()).arg("-c").arg(file);
            }
            Self::Caddy => {
                command = tool("caddy");
                command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
            }
            Self::HaProxy => {
                // Debian puts it where not every user's path leads.
                let installed = Path::new("/usr/sbin/haproxy");
                command = Command::new(if installed.exists() { installed } else { Path::new("haproxy") });
                command.arg("-db").arg("-f").arg(file);
            }
        }
        command
    }
}

/// Where nginx keeps what does not fit into memory, below this folder.
fn temporary_paths(folder: &str) -> String {
    let names = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    names.map(|name| format!("{name}_temp_path {folder}/{name};\n")).concat()
}

/// A program that `cargo xtask proxies` installs.
fn tool(name: &str) -> Command {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin").join(name);
    assert!(program.exists(), "{}: `cargo xtask proxies` installs it", program.display());
    Command::new(program)
}
