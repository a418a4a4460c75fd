//! The commands of `docs/guides/archives.md` and `docs/guides/audit.md`, and lines that are sent compressed.

use super::run_with;
use crate::support::app::App;
use crate::support::fixtures::{email_for, organization, sign_in};
use crate::support::printed::{Shell, block, commands};
use serde_json::{Value, json};

/// The organization `acme-corp` with a document and an API key; the id of that key.
async fn acme(app: &App) -> (String, Value) {
    let acme = organization(app, "Acme Corp").await;
    acme.store(&[json!({ "_id": 1 })]).await;
    let key = json!({ "name": "job", "permissions": ["documents:read"] });
    let key = acme.owner.post(&format!("{}/keys", acme.path()), &key).await.created();
    (acme.id().to_owned(), key["id"].clone())
}

/// A shell of the owner of `acme-corp`.
async fn of_owner(app: &App, shell: Shell) -> Shell {
    let tokens = sign_in(app, &email_for("Acme Corp")).await;
    shell
        .with("TOKEN", tokens["access_token"].as_str().unwrap())
        .with("ORG", &format!("http://{}/v1/organizations/acme-corp", app.address()))
        .with("ACCOUNT", tokens["admin_id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn archive_commands_run_as_printed() {
    let (app, target) = (App::start().await, App::start().await);
    let (second, third) = (App::start().await, App::start().await);
    let (id, key) = acme(&app).await;
    let all = commands(&block("docs/guides/archives.md", "tenantry org export acme-corp  "));
    let [export, import, copy, compress, decompress, download, upload] = &all[..] else { panic!("{all:?}") };
    let operator = |app: &App| std::fs::read_to_string(app.data_dir().join("operator.key")).unwrap();
    let mut shell = Shell::of(&app).with("KEY", operator(&app).trim());
    let said = shell.run(&format!("{export}\n{copy}\n{compress}\n")).await;
    assert!(said.contains("documents 1,") && said.contains("Imported Acme Copy."), "{said}");
    let end = "tail -1 acme-corp.ndjson | grep -q '^{\"end\":'";
    shell.run(&format!("rm acme-corp.ndjson\n{download}\n{end}")).await;
    // The organization itself goes elsewhere, since it is still there.
    for (command, app) in [(import, &target), (decompress, &second)] {
        shell.set("SERVER_URL", &format!("http://{}", app.address()));
        shell.set("DATA_DIR", &app.data_dir().display().to_string());
        assert!(shell.run(command).await.contains("Imported Acme Corp."), "{command}");
    }
    let shell = shell
        .replacing(&app.address().to_string(), &third.address().to_string())
        .with("KEY", operator(&third).trim());
    let uploaded = shell.answers(upload).await;
    assert_eq!(uploaded[0]["id"], id.as_str(), "{uploaded:?}");

    let shell = of_owner(&target, Shell::of(&target)).await.with("KEY", key.as_str().unwrap());
    let answers =
        shell.answers(&run_with(&block("docs/guides/archives.md", "call $ORG/keys/$KEY/confirm"))).await;
    assert_eq!(answers[0]["confirmed"], true, "{answers:?}");
    let verified = shell.run("tenantry audit verify acme-corp").await;
    let trail = verified.lines().find_map(|line| line.strip_prefix("The trail ")).unwrap();
    let shell = shell.replacing("8c1f0a6e5d4b3c2a19087f6e", trail.split(' ').next().unwrap());
    let said = shell.run(&block("docs/guides/archives.md", "tenantry audit verify acme-corp")).await;
    assert!(said.contains("is whole"), "{said}");
    let before = std::fs::read_to_string(shell.home().join("acme-before.audit.ndjson")).unwrap();
    assert!(before.contains("organization.created"), "{before}");
}

#[tokio::test(flavor = "multi_thread")]
async fn audit_commands_run_as_printed() {
    let app = App::start().await;
    acme(&app).await;
    let shell = of_owner(&app, Shell::of(&app)).await;
    let answers = shell.answers(&run_with(&block("docs/guides/audit.md", "call $ORG/audit  "))).await;
    let [all, issued, of_account] = &answers[..] else { panic!("{answers:?}") };
    assert!(!all["items"].as_array().unwrap().is_empty());
    assert_eq!(issued["items"], json!([]));
    assert!(!of_account["items"].as_array().unwrap().is_empty());
    let said = shell.run(&block("docs/guides/audit.md", "tenantry audit verify acme-corp")).await;
    assert!(said.contains("It agrees with the checkpoint."), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_lines_are_sent_as_printed() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.owner.post(&acme.collections(), &json!({ "name": "orders" })).await.created();
    let tokens = sign_in(&app, acme.email()).await;
    let shell = Shell::of(&app)
        .with("TOKEN", tokens["access_token"].as_str().unwrap())
        .with("ORG", &format!("http://{}{}", app.address(), acme.path()));
    shell.file("orders.ndjson", "{\"_id\": 1}\n{\"_id\": 2}\n");
    let said = shell.answers(&block("docs/guides/tls.md", "gzip -c orders.ndjson")).await;
    assert_eq!(said.last().unwrap()["inserted"], 2, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_and_compaction_commands_run_as_printed() {
    const PAGE: &str = "docs/guides/documents.md";
    let app = App::start().await;
    let tech = organization(&app, "Tech Innovations Corp").await;
    tech.store(&[json!({ "_id": 1 })]).await;
    let shell = Shell::of(&app);
    shell.run(&block(PAGE, "tenantry org quota tech-innovations-corp")).await;
    let shown = tech.owner.get(&tech.path()).await.ok();
    let quota = json!({ "documents": 100_000, "bytes": 1_073_741_824, "collections": 20, "index_bytes": 536_870_912 });
    assert_eq!(shown["quota"], quota);
    shell.run(&block(PAGE, "tenantry org compact tech-innovations-corp")).await;
    assert_eq!(tech.owner.get(&tech.documents()).await.ok()["items"], json!([{ "_id": 1 }]));
}
