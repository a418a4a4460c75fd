//! Readers of an export that pause: they have a limit of their own, and it is told why they were cut off.

use crate::support::client::Client;
use crate::support::fixtures::{PASSWORD, credentials, email_for, insert_lines, new_organization};
use crate::support::process::{Launch, Server};
use crate::support::test_env::TestEnv;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// More than what the buffers on the way take in.
const DOCUMENTS: usize = 24;
const DOCUMENT_BYTES: usize = 1_000_000;
/// How long a machine that has much to do may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A service with a large organization: its path.
async fn filled(server: &Server) -> String {
    let anybody = server.client();
    let acme = anybody.post("/org/create", &new_organization("Acme", &email_for("Acme"))).await.created();
    let tokens = anybody.post("/admin/login", &credentials(&email_for("Acme"), PASSWORD)).await.ok();
    let owner: Client = anybody.with_token(tokens["access_token"].as_str().unwrap());
    let path = format!("/v1/organizations/{}", acme["id"].as_str().unwrap());
    let line = format!("{{\"text\":\"{}\"}}\n", "x".repeat(DOCUMENT_BYTES));
    let documents = format!("{path}/collections/documents/documents");
    let answer = insert_lines(&owner, &documents, &line.repeat(DOCUMENTS)).await;
    assert_eq!(answer.lines().last().unwrap()["inserted"], DOCUMENTS, "{answer}");
    path
}

/// Asks for an export, over a connection that takes in little by itself, and reads its beginning.
async fn begin(server: &Server, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let mut stream = socket.connect(server.address()).await.unwrap();
    let operator = server.operator();
    let request = format!(
        "GET {path}/export HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: {}\r\n\r\n",
        operator.header("authorization").unwrap()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn export_resumes_after_pause_within_its_limit() {
    let test_env = TestEnv::new();
    let server = Launch::on(&test_env).with("--request-timeout=2").with("--export-pause-timeout=60").start();
    let path = filled(&server).await;
    let mut stream = begin(&server, &path).await;
    // Longer than the reader of any other answer has.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() > DOCUMENTS * DOCUMENT_BYTES, "{} bytes", rest.len());
    let end = String::from_utf8_lossy(&rest[rest.len() - 500..]).into_owned();
    assert!(end.contains("{\"end\":") && end.ends_with("\r\n0\r\n\r\n"), "{end}");
    assert!(!server.log().contains("an export was cut off"), "{}", server.log());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn export_whose_reader_pauses_too_long_is_cut_and_logged() {
    let test_env = TestEnv::new();
    let server = Launch::on(&test_env).with("--export-pause-timeout=1").start();
    let path = filled(&server).await;
    let mut paused = begin(&server, &path).await;
    logs(&server, "EXPORT_PAUSE_TIMEOUT").await;
    let mut rest = Vec::new();
    let _ = paused.read_to_end(&mut rest).await;
    assert!(rest.len() < DOCUMENTS * DOCUMENT_BYTES, "all of it came");
    // The command line knows how long it took nothing itself.
    let (read, stderr) = export_by_command(&server, &path).await;
    assert!(read < DOCUMENTS * DOCUMENT_BYTES, "all of it came");
    assert!(stderr.contains("took nothing for ") && stderr.contains("EXPORT_PAUSE_TIMEOUT"), "{stderr}");
    assert!(stderr.contains("delete it"), "{stderr}");
    // One that hangs up is told of otherwise.
    drop(begin(&server, &path).await);
    logs(&server, "its reader hung up").await;
    server.stop().await;
}

/// Exports into a pipe from which nothing is read until the server has given up; how many bytes came, and what was said.
async fn export_by_command(server: &Server, path: &str) -> (usize, String) {
    let key = server.operator().header("authorization").unwrap().replace("Bearer ", "");
    let cut_off = |log: String| log.matches("EXPORT_PAUSE_TIMEOUT").count();
    let before = cut_off(server.log());
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
    command
        .args(["org", "export", path.rsplit('/').next().unwrap(), "--output", "-"])
        .env_clear()
        .env("SERVER_URL", format!("http://{}", server.address()))
        .env("OPERATOR_KEY", key)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    until("the export of the command is cut off", || cut_off(server.log()) > before).await;
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    (output.stdout.len(), String::from_utf8(output.stderr).unwrap())
}

/// Waits until the log says so.
async fn logs(server: &Server, text: &str) {
    until(&format!("the log says `{text}`"), || server.log().contains(text)).await;
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it is waited for in vain that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
