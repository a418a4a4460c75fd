//! The script of `docs/guides/migrating.md`, which writes an archive with what Python has, and the import of what it
//! writes.

use crate::support::app::App;
use crate::support::fixtures::{PASSWORD, credentials, with_access};
use crate::support::printed::{Shell, block, fenced};
use serde_json::{Value, json};

const PAGE: &str = "docs/guides/migrating.md";
/// A hash of the tests' password, as bcrypt 4.0 made it.
const HASH: &str = "$2b$04$DyRuQqfSZWDAXv1Wce7yqe2BDNdNX2h8xMssTOyvbUiMwfaCrip0q";

#[tokio::test(flavor = "multi_thread")]
async fn archive_of_printed_script_is_imported() {
    let script = fenced(PAGE, "python", "import datetime");
    assert!(script.lines().count() <= 25, "{}", script.lines().count());
    let app = App::start().await;
    let shell = Shell::of(&app).with("HASH", HASH);
    shell.file("archive.py", &script);
    let documents = [
        json!({ "_id": 1, "text": "Grüße, 世界", "list": [1.5, null, true, [{}]], "large": 5_000_000_000_i64 }),
        json!({ "_id": { "$oid": "65a1b2c3d4e5f60718293a4d" }, "at": { "$date": "2026-11-20T10:00:00Z" } }),
        json!({ "_id": "x", "low": i32::MIN, "below": i64::from(i32::MIN) - 1, "nested": { "a": { "b": "" } } }),
    ];
    shell.file("acme.ndjson", &documents.iter().map(|document| format!("{document}\n")).collect::<String>());
    let said = shell.run(&block(PAGE, "python3 archive.py")).await;
    assert!(said.contains("Imported Acme Corp."), "{said}");
    let made = app.operator().get("/v1/organizations/acme-corp").await.ok();
    assert_eq!(made["id"], "65a1b2c3d4e5f60718293a4b");
    let tokens = app.client().post("/admin/login", &credentials("admin@acme.com", PASSWORD)).await.ok();
    let path = "/v1/organizations/acme-corp/collections/documents/documents";
    let found = with_access(&app, &tokens).get(path).await.ok();
    let found: Vec<&Value> = found["items"].as_array().unwrap().iter().collect();
    assert_eq!(found, [&documents[0], &documents[2], &documents[1]]);
}
