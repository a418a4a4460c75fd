//! Commands against a scripted server: lists of many pages, long operations, and broken connections.

use super::{PASSWORD, talking_to};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

/// An answer of a [`Script`]; none is a connection that breaks.
type Line = Option<(u16, Value)>;

/// A server that answers one request after the other as it is told, and keeps what it was asked.
struct Script {
    url: String,
    requests: JoinHandle<Vec<String>>,
}

impl Script {
    fn of(lines: Vec<Line>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = std::thread::spawn(move || {
            lines.into_iter().map(|line| answer(listener.accept().unwrap().0, line)).collect()
        });
        Self { url, requests }
    }

    fn requests(self) -> Vec<String> {
        self.requests.join().unwrap()
    }
}

/// Answers the request of a connection; the request.
fn answer(mut connection: TcpStream, line: Line) -> String {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut request).unwrap() > 0, "the request ends in its head: {request}");
    }
    let length = request
        .to_lowercase()
        .split_once("content-length: ")
        .map_or(0, |(_, rest)| rest.lines().next().unwrap().parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    request.push_str(&String::from_utf8(body).unwrap());
    if let Some((status, body)) = line {
        let body = body.to_string();
        let head =
            format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        connection.write_all((head + &body).as_bytes()).unwrap();
    }
    request
}

fn organization(name: &str) -> Value {
    json!({
        "id": "674f1c2e9b1d4a0c5e8f7a6b", "organization_name": name, "organization_identifier": name.to_lowercase(),
        "tenant_collection": "tenant_x", "admin_email": "a@x.example", "admin_id": "674f1c2e9b1d4a0c5e8f7a6c",
        "placement": "database", "status": "active", "created_at": "2026-01-02T03:04:05Z",
        "modified_at": "2026-01-02T03:04:05Z", "delete_protection": false, "legal_hold": false,
        "quota": { "documents": null, "bytes": null, "collections": null },
        "deleted_at": null, "purge_at": null,
    })
}

fn operation(state: &str, error: &Value) -> Value {
    json!({
        "id": "674f1c2e9b1d4a0c5e8f7a6d", "organization_id": "674f1c2e9b1d4a0c5e8f7a6b", "kind": "suspend",
        "state": state, "progress": { "done": 1, "total": 2 }, "error": error,
    })
}

fn page(names: &[&str], next_cursor: &Value) -> Line {
    let items: Vec<Value> = names.iter().map(|name| organization(name)).collect();
    Some((200, json!({ "items": items, "next_cursor": next_cursor })))
}

#[test]
fn list_command_fetches_every_page() {
    let script = Script::of(vec![page(&["A", "B"], &json!("c&1")), page(&["C"], &Value::Null)]);
    let list = talking_to(&script.url).run(&["org", "list", "--json", "--status", "active"]).json();
    assert_eq!(list, json!([organization("A"), organization("B"), organization("C")]));
    let requests = script.requests();
    assert!(requests[0].starts_with("GET /v1/organizations?limit=200&status=active HTTP"), "{}", requests[0]);
    assert!(
        requests[0].contains("authorization: Bearer tenantry_operator_key-of-a-test\r\n"),
        "{}",
        requests[0]
    );
    let second = "GET /v1/organizations?limit=200&status=active&cursor=c%261 HTTP";
    assert!(requests[1].starts_with(second), "{}", requests[1]);
}

#[test]
fn list_command_says_when_it_stops_early() {
    let script = Script::of(vec![page(&["A", "B"], &json!("c1")), page(&["C"], &json!("c2"))]);
    let ran = talking_to(&script.url).run(&["org", "list", "--limit", "3"]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 4), "{ran:?}");
    assert_eq!(ran.stderr, "Stopped after 3; there are more.\n");
    let requests = script.requests();
    assert!(requests[0].contains("?limit=3 ") && requests[1].contains("?limit=1&cursor=c1 "), "{requests:?}");
}

#[test]
fn org_command_follows_long_operation_to_its_end() {
    let script = Script::of(vec![
        Some((202, operation("running", &Value::Null))),
        Some((200, operation("running", &Value::Null))),
        Some((200, operation("succeeded", &Value::Null))),
        Some((200, organization("Acme"))),
    ]);
    let told = talking_to(&script.url).run(&["org", "suspend", "acme"]).done();
    assert!(told.starts_with("Suspended Acme.\n"), "{told}");
    let requests = script.requests();
    assert!(requests[0].starts_with("POST /v1/organizations/acme/suspend "), "{requests:?}");
    assert!(requests[2].starts_with("GET /v1/operations/674f1c2e9b1d4a0c5e8f7a6d "), "{requests:?}");
    assert!(requests[3].starts_with("GET /v1/organizations/674f1c2e9b1d4a0c5e8f7a6b "), "{requests:?}");
}

#[test]
fn org_command_fails_when_operation_fails_or_is_lost() {
    let error = json!({ "code": "email_taken", "detail": "This e-mail address is in use." });
    let script = Script::of(vec![
        Some((202, operation("running", &Value::Null))),
        Some((200, operation("failed", &error))),
    ]);
    let told = talking_to(&script.url).run(&["org", "suspend", "acme"]).refused();
    assert!(told.starts_with("tenantry: This e-mail address is in use.\ncode: email_taken\n"), "{told}");

    let script = Script::of(vec![Some((202, operation("running", &Value::Null))), None]);
    let told = talking_to(&script.url).run(&["org", "suspend", "acme"]).refused();
    assert!(told.contains("The change goes on; check it"), "{told}");
}

#[test]
fn create_command_retries_broken_connection_with_same_key() {
    let arguments = ["org", "create", "--name", "Acme", "--email", "a@x.example", "--password-stdin"];
    let script = Script::of(vec![None, Some((201, organization("Acme")))]);
    let told = talking_to(&script.url).run_with(&arguments, PASSWORD).done();
    assert!(told.starts_with("Created Acme.\n"), "{told}");
    let first = idempotency_key(&script.requests());
    assert_eq!(first.len(), 32);

    let script = Script::of(vec![None, None]);
    let told = talking_to(&script.url).run_with(&arguments, PASSWORD).refused();
    assert!(told.contains("broke before the response") && told.contains("may have been made"), "{told}");
    assert_ne!(idempotency_key(&script.requests()), first, "each command has its own");
}

/// The one key of all the requests.
#[track_caller]
fn idempotency_key(requests: &[String]) -> String {
    let key = |request: &String| {
        let (_, rest) = request.split_once("idempotency-key: ").unwrap();
        rest.lines().next().unwrap().to_owned()
    };
    let keys: Vec<String> = requests.iter().map(key).collect();
    assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "{keys:?}");
    keys[0].clone()
}

#[test]
fn org_changes_except_create_are_never_retried() {
    let script = Script::of(vec![None]);
    let told = talking_to(&script.url).run(&["org", "suspend", "acme"]).refused();
    assert!(told.contains("broke before the response"), "{told}");
    assert_eq!(script.requests().len(), 1);
}

#[test]
fn org_command_recognizes_another_kind_of_server() {
    for line in [(200, json!("hello")), (502, json!("bad gateway")), (301, json!(""))] {
        let script = Script::of(vec![Some(line.clone())]);
        let told = talking_to(&script.url).run(&["org", "show", "acme"]).refused();
        assert!(told.contains("not as Tenantry does"), "{line:?}: {told}");
    }
}
