//! The calls that the reference services' own documents show, with their bytes, through our client, through
//! curl and through Python's requests.

use crate::support::app::App;
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

fn body(text: &str) -> Option<(&'static str, Vec<u8>)> {
    Some(("application/json", text.as_bytes().to_vec()))
}

#[tokio::test(flavor = "multi_thread")]
async fn reference_a_calls_work_in_order() {
    let app = App::start().await;
    let client = app.client();
    let created = client
        .send(
            Method::POST,
            "/org/create",
            body(r#"{"organization_name": "Acme Corp", "email": "admin@acme.com", "password": "securepassword123"}"#),
        )
        .await
        .created();
    assert_eq!(created["organization_name"], "Acme Corp");
    assert_eq!(created["admin_email"], "admin@acme.com");

    let old = r#"{"email": "admin@acme.com", "password": "securepassword123"}"#;
    let token = client.send(Method::POST, "/admin/login", body(old)).await.ok();
    let client_t = client.with_token(token["access_token"].as_str().unwrap());

    for query in ["Acme%20Corp", "Acme+Corp", "acme%20corp", "%20ACME%20%20corp%20"] {
        let found = client.get(&format!("/org/get?organization_name={query}")).await.ok();
        assert_eq!(found["id"], created["id"], "{query}");
    }

    let updated = client_t
        .send(
            Method::PUT,
            "/org/update",
            body(
                r#"{"organization_name": "Acme Corp", "email": "newadmin@acme.com", "password": "newpassword123", "new_organization_name": "Updated Corp Name"}"#,
            ),
        )
        .await
        .ok();
    assert_eq!(updated["organization_name"], "Updated Corp Name");
    assert_eq!(updated["admin_email"], "newadmin@acme.com");

    let new = r#"{"email": "newadmin@acme.com", "password": "newpassword123"}"#;
    let token = client.send(Method::POST, "/admin/login", body(new)).await.ok();
    client.send(Method::POST, "/admin/login", body(old)).await.refused("invalid_credentials");

    let client_t = client.with_token(token["access_token"].as_str().unwrap());
    client_t.delete("/org/delete?organization_name=Updated%20Corp%20Name").await.ok();
    client.get("/org/get?organization_name=Updated%20Corp%20Name").await.refused("organization_not_found");
}

/// One of the three flows that reference D shows.
struct Flow {
    name: &'static str,
    email: &'static str,
    password: &'static str,
    renamed: &'static str,
    collections: [&'static str; 2],
}

const FLOWS: [Flow; 3] = [
    Flow {
        name: "Tech Innovations Corp",
        email: "admin@techcorp.com",
        password: "SecurePassword123",
        renamed: "Tech Innovations Corp 2.0",
        collections: ["tenant_tech_innovations_corp", "tenant_tech_innovations_corp_2_0"],
    },
    Flow {
        name: "Acme Corporation",
        email: "admin@acme.com",
        password: "MySecurePassword123",
        renamed: "Acme Global Inc",
        collections: ["tenant_acme_corporation", "tenant_acme_global_inc"],
    },
    Flow {
        name: "StartUp Labs",
        email: "founder@startup.com",
        password: "SecurePass123",
        renamed: "StartUp Labs 2.0",
        collections: ["tenant_startup_labs", "tenant_startup_labs_2_0"],
    },
];

/// Sends one request: method, path, token, body; gives back status and body.
type Send<'a> = &'a dyn Fn(&str, &str, Option<&str>, Option<String>) -> (u16, Value);

fn run_flow(flow: &Flow, send: Send<'_>) {
    let credentials = json!({ "email": flow.email, "password": flow.password });
    let new = json!({ "organization_name": flow.name, "email": flow.email, "password": flow.password });
    let (status, created) = send("POST", "/org/create", None, Some(new.to_string()));
    assert_eq!(status, 201, "{created}");
    let id = created["id"].as_str().unwrap();
    assert!(id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    assert_eq!(created["organization_name"], flow.name);
    assert_eq!(created["tenant_collection"], flow.collections[0]);
    assert_eq!(created["admin_email"], flow.email);

    let query = flow.name.replace(' ', "%20");
    let (status, found) = send("GET", &format!("/org/get?organization_name={query}"), None, None);
    assert_eq!((status, &found), (200, &created));

    let (status, login) = send("POST", "/admin/login", None, Some(credentials.to_string()));
    assert_eq!(status, 200, "{login}");
    assert_eq!((&login["token_type"], &login["org_id"]), (&json!("bearer"), &created["id"]));
    assert_eq!(login["admin_id"], created["admin_id"]);
    let token = login["access_token"].as_str().unwrap();

    let rename = json!({ "organization_name": flow.renamed, "email": flow.email, "password": flow.password });
    let (status, renamed) = send("PUT", "/org/update", Some(token), Some(rename.to_string()));
    assert_eq!(status, 200, "{renamed}");
    assert_eq!(renamed["previous_collection"], flow.collections[0]);
    assert_eq!(renamed["current_collection"], flow.collections[1]);
    assert!(renamed["documents_migrated"].is_u64() && renamed["message"].is_string(), "{renamed}");

    let named = json!({ "organization_name": flow.renamed }).to_string();
    let (status, deleted) = send("DELETE", "/org/delete", Some(token), Some(named.clone()));
    assert!(status == 200 && deleted["message"].is_string(), "{status} {deleted}");
    let (status, refused) = send("DELETE", "/org/delete", Some(token), Some(named));
    assert_eq!((status, &refused["code"]), (401, &json!("token_revoked")), "the token died with the delete");

    let (status, health) = send("GET", "/health", None, None);
    let operational = json!({ "status": "operational", "service": "Organization Management API" });
    assert_eq!((status, health), (200, operational));
}

#[tokio::test(flavor = "multi_thread")]
async fn reference_d_calls_work_from_curl() {
    let app = App::start().await;
    let base = format!("http://{}", app.address());
    for flow in FLOWS {
        let base = base.clone();
        tokio::task::spawn_blocking(move || {
            run_flow(&flow, &|method, path, token, body| curl(&base, method, path, token, body.as_deref()));
        })
        .await
        .unwrap();
    }
}

fn curl(base: &str, method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> (u16, Value) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--noproxy", "*", "-X", method, "-w", "\n%{http_code}"]);
    if let Some(token) = token {
        command.arg("-H").arg(format!("Authorization: Bearer {token}"));
    }
    if let Some(body) = body {
        command.args(["-H", "Content-Type: application/json", "-d", body]);
    }
    let output = command
        .arg(format!("{base}{path}"))
        .output()
        .expect("curl is there: `cargo xtask tools` installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap())
}

/// Reads lines `[method, path, token, body]` and answers lines `[status, body]`, through `requests`.
const PYTHON: &str = r#"
import json, sys, requests
base = sys.argv[1]
for line in sys.stdin:
    method, path, token, body = json.loads(line)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    payload = json.loads(body) if body else None
    answer = requests.request(method, base + path, headers=headers, json=payload)
    print(json.dumps([answer.status_code, answer.json()]), flush=True)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn reference_d_calls_work_from_python_requests() {
    let app = App::start().await;
    let base = format!("http://{}", app.address());
    tokio::task::spawn_blocking(move || {
        let mut python = python(&base);
        let (mut input, output) = (python.stdin.take().unwrap(), python.stdout.take().unwrap());
        let lines =
            std::cell::RefCell::new((&mut input, std::io::BufRead::lines(std::io::BufReader::new(output))));
        for flow in &FLOWS {
            run_flow(flow, &|method, path, token, body| {
                let mut both = lines.borrow_mut();
                writeln!(both.0, "{}", json!([method, path, token, body])).unwrap();
                let line = both.1.next().expect("an answer: `cargo xtask tools` installs requests").unwrap();
                serde_json::from_str(&line).unwrap()
            });
        }
        drop(lines);
        drop(input);
        assert!(python.wait().unwrap().success());
    })
    .await
    .unwrap();
}

fn python(base: &str) -> std::process::Child {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/python");
    Command::new(&python)
        .args(["-c", PYTHON, base])
        .env("NO_PROXY", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}: `cargo xtask tools` installs it", python.display()))
}
