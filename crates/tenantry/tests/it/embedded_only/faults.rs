//! What surrounds the service goes wrong: its directory, its disk, its port, its clock, its service manager. It
//! says so, in words and with the right status, and nothing that was acknowledged is lost.

use crate::support::app::{App, Setup};
use crate::support::checker::{Snapshot, put_documents, running_operations};
use crate::support::client::Answer;
use crate::support::disk::Disk;
use crate::support::fixtures::{
    PASSWORD, credentials, email_for, encoded, find, new_organization, organization, sign_in, with_access,
};
use crate::support::process::{Launch, Server};
use crate::support::raw::head;
use rusqlite::Connection;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tenantry_domain::limits::OPERATION_LEASE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HOUR: Duration = Duration::from_secs(3600);

/// A data directory in which an organization was made, and its service stopped.
async fn used_directory(data_dir: &Path) {
    let server = Launch::on(data_dir).start();
    create(&server, "Acme").await.created();
    server.stop().await;
}

async fn create(server: &Server, name: &str) -> Answer {
    server.client().post("/org/create", &new_organization(name, &email_for(name))).await
}

async fn look_up(server: &Server, name: &str) -> Answer {
    server.client().get(&format!("/org/get?organization_name={}", encoded(name))).await
}

/// Every file below `directory` with its bytes.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

/// Waits until no change is under way any more.
async fn wait_until_settled(data_dir: &Path) {
    let deadline = Instant::now() + 3 * OPERATION_LEASE;
    while running_operations(data_dir) > 0 {
        assert!(Instant::now() < deadline, "what had begun does not go on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asks until the answer has that status.
async fn wait_for_status(server: &Server, path: &str, status: u16) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let answer = server.client().get(path).await;
        if answer.status.as_u16() == status {
            return answer;
        }
        assert!(Instant::now() < deadline, "it stays {answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn data_directory_is_refused_to_second_process() {
    let directory = TempDir::new().unwrap();
    let data_dir = directory.path().join("data");
    let first = Launch::on(&data_dir).start();
    create(&first, "Acme").await.created();
    let said = Launch::on(&data_dir).refused().await;
    assert!(said.contains(&format!("{} is in use by another process", data_dir.display())), "{said}");
    look_up(&first, "Acme").await.ok();
    create(&first, "Beta").await.created();
    first.stop().await;
    assert_eq!(Snapshot::sound(&data_dir).organizations(), 2);
}

#[tokio::test]
async fn data_directory_of_newer_version_is_refused_unchanged() {
    let directory = TempDir::new().unwrap();
    let data_dir = directory.path().join("data");
    used_directory(&data_dir).await;
    let control = Connection::open(data_dir.join("control.db")).unwrap();
    let known: i64 = control.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    control.pragma_update(None, "user_version", 99).unwrap();
    control.close().unwrap();
    let before = files(&data_dir);
    let said = Launch::on(&data_dir).refused().await;
    assert!(said.contains(&format!("schema 99; this one knows up to {known}")), "{said}");
    assert!(said.contains("Run that newer version"), "{said}");
    assert_eq!(files(&data_dir), before);
}

#[tokio::test]
async fn control_database_that_is_damaged_is_named_and_unchanged() {
    let directory = TempDir::new().unwrap();
    let data_dir = directory.path().join("data");
    used_directory(&data_dir).await;
    let file = data_dir.join("control.db");
    let mut bytes = fs::read(&file).unwrap();
    bytes[..512].fill(b'x');
    fs::write(&file, &bytes).unwrap();
    let before = files(&data_dir);
    let said = Launch::on(&data_dir).refused().await;
    assert!(said.contains(&format!("{} is damaged", file.display())), "{said}");
    assert!(said.contains("Restore it from a backup"), "{said}");
    assert_eq!(files(&data_dir), before);
}

/// Also where it is empty: the service does not start, and the containers stay as they are.
#[tokio::test]
async fn control_database_that_is_missing_keeps_containers() {
    let directory = TempDir::new().unwrap();
    let data_dir = directory.path().join("data");
    used_directory(&data_dir).await;
    let (file, kept) = (data_dir.join("control.db"), data_dir.join("kept"));
    fs::rename(&file, &kept).unwrap();
    let before = files(&data_dir.join("containers"));
    for empty in [false, true] {
        if empty {
            fs::write(&file, b"").unwrap();
        }
        let said = Launch::on(&data_dir).refused().await;
        assert!(said.contains(&file.display().to_string()) && said.contains("containers"), "{said}");
        assert_eq!(files(&data_dir.join("containers")), before);
    }
    fs::rename(&kept, &file).unwrap();
    let server = Launch::on(&data_dir).start();
    look_up(&server, "Acme").await.ok();
    server.stop().await;
    Snapshot::sound(&data_dir);
}

#[tokio::test]
async fn read_only_disk_is_named_at_start() {
    let disk = Disk::of("8m");
    used_directory(&disk.data_dir()).await;
    disk.make_read_only();
    let said = Launch::on(&disk.data_dir()).refused().await;
    assert!(said.contains(&format!("{} cannot be written", disk.data_dir().display())), "{said}");
    assert!(said.to_lowercase().contains("read-only"), "{said}");
}

#[tokio::test]
async fn port_in_use_is_named_and_no_data_is_touched() {
    let directory = TempDir::new().unwrap();
    let data_dir = directory.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let said = Launch::on(&data_dir).with(&format!("--port={}", address.port())).refused().await;
    assert!(said.contains(&address.to_string()) && said.contains("--port"), "{said}");
    assert!(!data_dir.exists());
}

#[tokio::test]
async fn full_disk_refuses_writes_serves_reads_and_recovers() {
    let disk = Disk::of("6m");
    let server = Launch::on(&disk.data_dir()).start();
    let acme = create(&server, "Acme").await.created();
    let documents = put_documents(&disk.data_dir(), acme["id"].as_str().unwrap(), 50);
    let path = format!("/v1/organizations/{}", acme["id"].as_str().unwrap());
    let login = credentials(&email_for("Acme"), PASSWORD);

    disk.fill();
    let mut made = vec!["Acme".to_owned()];
    let mut refused = Vec::new();
    // Space that was allocated before may still take a few.
    while refused.len() < 3 {
        let name = format!("Org {}", made.len() + refused.len());
        let answer = create(&server, &name).await;
        if answer.status.is_success() {
            made.push(name);
        } else {
            answer.refused("store_unavailable");
            refused.push(name);
        }
        disk.fill();
    }
    wait_for_status(&server, "/readyz", 503).await.refused("store_unavailable");
    server.client().get("/livez").await.ok();
    server.client().post("/admin/login", &login).await.refused("store_unavailable");
    let rename = json!({ "organization_name": "Acme Renamed" });
    server.operator().patch(&path, &rename).await.refused("store_unavailable");
    for name in &made {
        look_up(&server, name).await.ok();
    }
    server.operator().get(&path).await.ok();

    disk.make_room();
    wait_for_status(&server, "/readyz", 200).await.ok();
    server.client().post("/admin/login", &login).await.ok();
    create(&server, "After").await.created();
    made.push("After".to_owned());
    server.operator().patch(&path, &json!({ "delete_protection": true })).await.ok();
    // An operation that had begun is finished once its lease has run out.
    wait_until_settled(&disk.data_dir()).await;
    server.stop().await;

    let found = Snapshot::sound(&disk.data_dir());
    for name in &made {
        assert!(found.named(name).is_some(), "{name} was acknowledged and is gone");
    }
    assert_eq!(found.documents(acme["id"].as_str().unwrap()), documents);
    let server = Launch::on(&disk.data_dir()).start();
    for name in &refused {
        let answer = create(&server, name).await;
        assert!([201, 409].contains(&answer.status.as_u16()), "{answer}");
    }
    server.stop().await;
    Snapshot::sound(&disk.data_dir());
}

#[tokio::test]
async fn missing_container_is_unavailable_not_empty() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    put_documents(&app.data_dir(), acme.id(), 12);
    let file = tenantry_store::container_file(&app.data_dir(), acme.id().parse().unwrap());
    let kept = app.data_dir().join("kept");
    fs::rename(&file, &kept).unwrap();
    let rename = json!({ "organization_name": "Acme", "new_organization_name": "Acme Two" });
    acme.owner.put("/org/update", &rename).await.refused("store_unavailable");
    assert!(!file.exists(), "an empty container was made in its place");
    find(&app, "Acme").await.ok();

    fs::rename(&kept, &file).unwrap();
    // The lease of the rename runs out, and its recovery finds everything there.
    app.clock.advance(OPERATION_LEASE);
    wait_until_settled(&app.data_dir()).await;
    assert_eq!(find(&app, "Acme Two").await.ok()["id"], acme.body["id"]);
    let again = json!({ "organization_name": "Acme Two" });
    assert_eq!(acme.owner.put("/org/update", &again).await.ok()["documents_migrated"], 12);
    Snapshot::sound(&app.data_dir());
}

/// An operation that could not go on resumes once it can, although the clock was set back.
#[tokio::test]
async fn interrupted_operation_resumes_although_clock_went_back() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    put_documents(&app.data_dir(), acme.id(), 1);
    let file = tenantry_store::container_file(&app.data_dir(), acme.id().parse().unwrap());
    let kept = app.data_dir().join("kept");
    fs::rename(&file, &kept).unwrap();
    let rename = json!({ "organization_name": "Acme Two" });
    acme.owner.put("/org/update", &rename).await.refused("store_unavailable");
    fs::rename(&kept, &file).unwrap();
    app.clock.set_back(HOUR);
    wait_until_settled(&app.data_dir()).await;
    assert_eq!(find(&app, "Acme Two").await.ok()["id"], acme.body["id"]);
}

/// A request whose head has arrived and been read, and whose body has not.
async fn begin_request(server: &Server, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let framing = format!("content-length: {}\r\nexpect: 100-continue", body.len());
    stream.write_all(head("POST /org/create", &framing).as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

async fn wait_until_nobody_is_let_in(server: &Server) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(server.address()).await.is_ok() {
        assert!(Instant::now() < deadline, "it still lets clients in");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn shutdown_finishes_running_requests() {
    let directory = TempDir::new().unwrap();
    let data_dir = directory.path().join("data");
    let server = Launch::on(&data_dir).start();
    create(&server, "Acme").await.created();
    let _idle = TcpStream::connect(server.address()).await.unwrap();
    let body = new_organization("Slow", &email_for("Slow")).to_string();
    let mut slow = begin_request(&server, &body).await;

    server.terminate();
    wait_until_nobody_is_let_in(&server).await;
    slow.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let answered = Instant::now();
    server.ended_well().await;
    assert!(answered.elapsed() < Duration::from_secs(5), "it waited for a client that asks for nothing");
    assert!(Snapshot::sound(&data_dir).named("Slow").is_some());
}

#[tokio::test]
async fn shutdown_waits_for_stuck_request_at_most_drain_timeout() {
    let directory = TempDir::new().unwrap();
    let data_dir = directory.path().join("data");
    let server = Launch::on(&data_dir).with("--drain-timeout=1").start();
    create(&server, "Acme").await.created();
    let _stuck = begin_request(&server, &new_organization("Stuck", &email_for("Stuck")).to_string()).await;
    let asked = Instant::now();
    server.terminate();
    server.ended_well().await;
    assert!(asked.elapsed() >= Duration::from_secs(1), "it did not wait at all");
    assert!(asked.elapsed() < Duration::from_secs(8), "it waited {:?}", asked.elapsed());
    assert_eq!(Snapshot::sound(&data_dir).organizations(), 1);
}

#[tokio::test]
async fn clock_set_back_an_hour_locks_nobody_out() {
    let app = Setup::default().start().await;
    let acme = organization(&app, "Acme").await;
    app.clock.set_back(HOUR);

    // Its own access token is in the future now; a new one is to be had.
    acme.owner.get(&acme.path()).await.refused("token_invalid");
    let refresh = json!({ "refresh_token": acme.tokens["refresh_token"] });
    let tokens = app.client().post("/v1/auth/refresh", &refresh).await.ok();
    let again = with_access(&app, &sign_in(&app, acme.email()).await);
    again.put("/org/update", &json!({ "organization_name": "Acme Two" })).await.ok();
    with_access(&app, &tokens).get(&acme.path()).await.ok();

    // When the clock is right again, everything is as before; tokens from the meantime have expired.
    app.clock.advance(HOUR);
    acme.owner.get(&acme.path()).await.ok();
    again.get(&acme.path()).await.refused("token_expired");
    Snapshot::sound(&app.data_dir());
}

/// Guesses are neither forgiven nor counted again.
#[tokio::test]
async fn clock_set_back_keeps_sign_in_limits_as_they_were() {
    let app = Setup::default().start().await;
    let acme = organization(&app, "Acme").await;
    let guess = credentials(acme.email(), "wrong horse");
    for _ in 0..3 {
        app.client().post("/admin/login", &guess).await.refused("invalid_credentials");
    }
    app.clock.set_back(HOUR);
    for body in [guess.clone(), guess, credentials(acme.email(), PASSWORD)] {
        // Each of the counters may ask for patience once.
        let mut waited = 0;
        let answer = loop {
            let answer = app.client().post("/admin/login", &body).await;
            if answer.status.as_u16() != 429 {
                break answer;
            }
            let told: u64 = answer.header("retry-after").parse().unwrap();
            waited += told;
            app.clock.advance(Duration::from_secs(told));
        };
        assert!((1..=150).contains(&waited), "{waited} s: {answer}");
        let right = body["password"] == PASSWORD;
        assert_eq!(answer.status.as_u16(), if right { 200 } else { 401 }, "{answer}");
    }
}

#[tokio::test]
async fn refresh_token_once_used_stays_invalid_when_clock_goes_back() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let refresh = json!({ "refresh_token": acme.tokens["refresh_token"] });
    app.client().post("/v1/auth/refresh", &refresh).await.ok();
    app.clock.set_back(HOUR);
    app.client().post("/v1/auth/refresh", &refresh).await.refused("refresh_token_invalid");
}
