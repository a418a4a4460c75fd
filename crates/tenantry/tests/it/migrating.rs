//! The script of `docs/guides/migrating.md`, which writes an archive with what Python has, and the import of what it
//! writes.

use crate::support::app::App;
use crate::support::fixtures::{PASSWORD, credentials, with_access};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// A hash of the tests' password, as bcrypt 4.0 made it.
const HASH: &str = "$2b$04$DyRuQqfSZWDAXv1Wce7yqe2BDNdNX2h8xMssTOyvbUiMwfaCrip0q";

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/migrating.md"))
        .unwrap()
}

fn block<'a>(page: &'a str, language: &str, with: &str) -> &'a str {
    let begin = format!("```{language}\n");
    let mut blocks = page.split(&begin).skip(1).map(|block| block.split("```").next().unwrap());
    blocks.find(|block| block.contains(with)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn archive_of_printed_script_is_imported() {
    let page = page();
    let script = block(&page, "python", "tenantry-archive");
    assert!(script.lines().count() <= 25, "{}", script.lines().count());
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("archive.py"), script).unwrap();
    let documents = [
        json!({ "_id": 1, "text": "Grüße, 世界", "list": [1.5, null, true, [{}]], "large": 5_000_000_000_i64 }),
        json!({ "_id": { "$oid": "65a1b2c3d4e5f60718293a4d" }, "at": { "$date": "2026-11-20T10:00:00Z" } }),
        json!({ "_id": "x", "low": i32::MIN, "below": i64::from(i32::MIN) - 1, "nested": { "a": { "b": "" } } }),
    ];
    let mut lines = std::fs::File::create(directory.path().join("acme.ndjson")).unwrap();
    documents.iter().for_each(|document| writeln!(lines, "{document}").unwrap());
    let commands = block(&page, "sh", "python3 archive.py");
    let write = commands.lines().next().unwrap();
    let written = Command::new("bash")
        .args(["-euo", "pipefail", "-c", write])
        .current_dir(directory.path())
        .env("HASH", HASH)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(written.status.success(), "{written:?}");
    let archive = std::fs::read(directory.path().join("acme.archive.ndjson")).unwrap();

    let app = App::start().await;
    let body = Some(("application/x-ndjson", archive));
    let made = app.operator().send(Method::POST, "/v1/organizations/import", body).await.created();
    assert_eq!(made["id"], "65a1b2c3d4e5f60718293a4b");
    let tokens = app.client().post("/admin/login", &credentials("admin@acme.com", PASSWORD)).await.ok();
    let path = "/v1/organizations/acme-corp/collections/documents/documents";
    let found = with_access(&app, &tokens).get(path).await.ok();
    let found: Vec<&Value> = found["items"].as_array().unwrap().iter().collect();
    assert_eq!(found, [&documents[0], &documents[2], &documents[1]]);
}
