//! The commands that our own pages print, run as they are printed: here those of README and of the tour of
//! `docs/guides/documents.md`, in the files of this folder those of other pages. Pages with much of their own have a
//! test beside that.

mod members;
mod organizations;

use crate::support::app::App;
use crate::support::fixtures::organization;
use crate::support::printed::{block, fenced, root};
use crate::support::transactions::app_with_transactions;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Command;

/// Commands after the function `call`, as the tour of documents defines it.
fn run_with(commands: &str) -> String {
    let tour = block("docs/guides/documents.md", "# An organization of its own");
    let call = tour.lines().find(|line| line.starts_with("call() {")).expect("the tour defines `call`");
    format!("{call}\n{commands}")
}

/// Runs commands that need the operator key, in a directory that has it.
async fn run_as_operator(commands: &str, app: &App) -> String {
    let key = app.data_dir().join("operator.key");
    let commands = commands.replace("data/operator.key", key.to_str().unwrap());
    run(&commands, app.address()).await
}

/// Runs commands against the service at `address`, in a directory that has `orders.ndjson`; what they print.
async fn run(commands: &str, address: SocketAddr) -> String {
    let commands = commands.replace("localhost:8000", &address.to_string());
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("orders.ndjson"),
        "{\"_id\": \"order-2\"}\n{\"_id\": \"order-2\", \"n\": 2}\n",
    )
    .unwrap();
    let printed = tokio::task::spawn_blocking(move || {
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &commands])
            .current_dir(directory.path())
            .env("NO_PROXY", "*")
            .output()
            .expect("bash and curl are there: `cargo xtask tools` installs curl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    });
    printed.await.unwrap()
}

/// The answers of calls, one to a line, none of which is a refusal.
fn answers(printed: &str) -> Vec<Value> {
    assert!(printed.ends_with('\n'), "the last answer does not end its line: {printed}");
    let read = |line: &str| -> Value {
        let answer: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not one answer: {line}"));
        assert!(answer["code"].is_null(), "refused: {line}");
        answer
    };
    printed.lines().map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn readme_calls_lead_into_the_tour_of_documents() {
    let app = App::start().await;
    let first = answers(&run(&block("README.md", "# 1. Create"), app.address()).await);
    let [created, found, renamed, deleted] = &first[..] else { panic!("{first:?}") };
    assert_eq!(created, found);
    assert_eq!(renamed["organization_name"], "Tech Innovations Corp 2.0");
    assert!(deleted["purge_at"].is_string(), "{deleted}");

    let tour = block("docs/guides/documents.md", "# An organization of its own");
    let answers = answers(&run(&tour, app.address()).await);
    let [_, collection, index, document, changed, totals, statuses, page, count, deleted, usage] =
        &answers[..]
    else {
        panic!("{answers:?}")
    };
    assert_eq!(
        (&collection["name"], &index["keys"]),
        (&Value::from("orders"), &Value::from("status,-placed"))
    );
    assert_eq!((&document["status"], &changed["status"]), (&Value::from("open"), &Value::from("paid")));
    let total = json!({ "_id": "paid", "orders": 1, "total": { "$numberDecimal": "12.50" }, "last": document["placed"] });
    assert_eq!((&totals["items"][0], &statuses["items"]), (&total, &json!(["paid"])));
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
    assert_eq!((&count["count"], &deleted["deleted"]), (&Value::from(0), &Value::from(1)));
    assert_eq!(usage["collections"], 2, "{usage}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tour_of_updates_goes_on_with_that_of_documents() {
    let app = App::start().await;
    let tour = block("docs/guides/documents.md", "# An organization of its own");
    let variables = tour.split("# A collection, and an index").next().unwrap();
    let updates = block("docs/guides/documents.md", "# A counter, made by its first update");
    let answers = answers(&run(&format!("{variables}{updates}"), app.address()).await);
    let [_, counter, cart, discount, found, _, taken, deleted, all] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!((&counter["document"]["count"], &counter["upserted_id"]), (&1.into(), &"visits".into()));
    assert_eq!((&cart["upserted_id"], &discount["modified"]), (&"cart-1".into(), &1.into()));
    assert_eq!((&found["modified"], &taken["document"]["by"]), (&1.into(), &"worker-7".into()));
    assert_eq!((&deleted["document"]["_id"], &all["modified"]), (&"task-1".into(), &1.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn tour_of_batches_goes_on_with_that_of_documents() {
    let (app, _set) = app_with_transactions().await;
    let tour = block("docs/guides/documents.md", "# An organization of its own");
    let variables = tour.split("# A collection, and an index").next().unwrap();
    let batches = block("docs/guides/documents.md", "# Stock, and an order that takes from it");
    let answers = answers(&run(&format!("{variables}{batches}"), app.address()).await);
    let [_, _, ordered, canceled] = &answers[..] else { panic!("{answers:?}") };
    let statuses = |answer: &Value| -> Vec<u64> {
        let results = answer["results"].as_array().unwrap();
        results.iter().map(|result| result["status"].as_u64().unwrap()).collect()
    };
    assert_eq!((statuses(ordered), statuses(canceled)), (vec![201, 200, 200, 201], vec![200, 204]));
}

#[tokio::test(flavor = "multi_thread")]
async fn tour_of_indexes_goes_on_with_that_of_documents() {
    let app = App::start().await;
    let tour = block("docs/guides/documents.md", "# An organization of its own");
    let variables = tour.split("# A collection, and an index").next().unwrap();
    let indexes = block("docs/guides/documents.md", "# Unique where present");
    let answers = answers(&run(&format!("{variables}{indexes}"), app.address()).await);
    let [_, sparse, partial, _, expiring, explained] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((&sparse["sparse"], &partial["name"]), (&true.into(), &"open_cart".into()));
    assert_eq!(expiring["expire_after_seconds"], 1_209_600);
    // Of two documents MongoDB may as well read all.
    assert_eq!(explained["explanation"]["matched"], 1, "{explained}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tour_of_schemas_goes_on_with_that_of_documents() {
    let app = App::start().await;
    let tour = block("docs/guides/documents.md", "# An organization of its own");
    let variables = tour.split("# A collection, and an index").next().unwrap();
    let schemas = block("docs/guides/documents.md", "# People have a name");
    let printed = run(&format!("{variables}{schemas}"), app.address()).await;
    let answers: Vec<Value> = printed
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [_, _, schema, ada, refused, violating, totals] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((&schema["level"], &ada["_id"]), (&"strict".into(), &"ada".into()));
    let errors = refused["errors"].as_array().unwrap();
    let pointers: Vec<&str> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    assert_eq!(
        (&refused["code"], &pointers[..]),
        (&"schema_violation".into(), &["/age", "/age", "/name"][..])
    );
    assert_eq!((&violating["errors"][0]["pointer"], &totals["violating"]), (&"/mail".into(), &1.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn pipeline_of_documents_page_computes_its_totals() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.owner.post(&acme.collections(), &json!({ "name": "orders" })).await.created();
    let orders = format!("{}/orders", acme.collections());
    let line = json!({ "sku": "a", "quantity": 2, "price": 5 });
    for (id, status) in [(1, "paid"), (2, "paid"), (3, "open")] {
        let placed = json!({ "$date": "2026-11-21T09:00:00Z" });
        let order = json!({ "_id": id, "status": status, "placed": placed, "lines": [line] });
        acme.owner.post(&format!("{orders}/documents"), &order).await.created();
    }
    let pipeline = fenced("docs/guides/documents.md", "json", "{\"pipeline\": [");
    let pipeline = serde_json::from_str(&pipeline).unwrap();
    let answer = acme.owner.post(&format!("{orders}/aggregate"), &pipeline).await.ok();
    let [total] = &answer["items"].as_array().unwrap()[..] else { panic!("{answer}") };
    assert_eq!((&total["sold"], &total["revenue"]), (&4.into(), &20.into()), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn backend_in_readme_reaches_documents_of_two_organizations() {
    let app = App::start().await;
    let commands = block("README.md", "# The operator makes a service key");
    let answers = answers(&run_as_operator(&commands, &app).await);
    let [acme, _, of_acme, globex, _, of_globex] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(
        (&acme["organization_name"], &globex["organization_name"]),
        (&"acme".into(), &"globex".into())
    );
    assert_eq!((&of_acme["customer"], &of_globex["customer"]), (&"acme".into(), &"globex".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn backend_page_calls_exchange_a_key_and_use_the_token() {
    let app = App::start().await;
    let commands = block("docs/guides/backend.md", "# The operator makes a service key");
    let answers = answers(&run_as_operator(&commands, &app).await);
    let [_, _, read] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(read["total"], 42, "{read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tour_of_documents_runs_alone_and_twice() {
    let app = App::start().await;
    let tour = block("docs/guides/documents.md", "# An organization of its own");
    let many = block(
        "docs/guides/documents.md",
        "curl -s -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/x-ndjson'",
    );
    answers(&run(&tour, app.address()).await);
    let printed = run(&format!("{tour}\n{many}"), app.address()).await;
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // What is there already is refused by its name, and the sign-in goes on.
    let codes: Vec<&str> = lines.iter().filter_map(|line| line["code"].as_str()).collect();
    assert_eq!(codes, ["name_taken", "collection_exists", "document_exists"], "{printed}");
    assert_eq!(lines.last().unwrap()["inserted"], 1, "{printed}");
}

#[test]
fn readme_names_rust_version_of_manifest() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let needs = format!("(needs [Rust](https://rustup.rs) {} or newer", version.trim_matches('"'));
    assert!(readme.contains(&needs), "{needs}");
}
