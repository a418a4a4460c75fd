//! Commands of pages that look after an installation: keys that sign tokens, the rehearsal of an upgrade, and what the
//! binary prints about itself.

use crate::support::app::App;
use crate::support::fixtures::{email_for, new_organization};
use crate::support::printed::{Shell, block};
use crate::support::process::Launch;
use crate::support::test_env::{Engine, TestEnv};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn signing_key_commands_run_as_printed() {
    let app = App::at(TestEnv::on(Engine::Embedded)).await;
    let listed = app.operator().get("/v1/signing-keys").await.ok();
    let kid = |list: &Value, state: &str| {
        let keys = list["items"].as_array().unwrap();
        keys.iter().find(|key| key["state"] == state).unwrap()["kid"].as_str().unwrap().to_owned()
    };
    let next = kid(&listed, "next");
    // The next key was published for a day.
    app.advance_days(2);
    let shell = Shell::of(&app).replacing("KID", &next);
    let said = shell.run(&block("docs/guides/secrets.md", "tenantry signing-key list")).await;
    assert!(said.contains(&next) && said.contains("Retired"), "{said}");
    let left = app.operator().get("/v1/signing-keys").await.ok();
    assert_ne!(kid(&left, "current"), next);
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_rehearsal_runs_as_printed() {
    let test_env = TestEnv::on(Engine::Embedded);
    let server = Launch::on(&test_env).start();
    server.client().post("/org/create", &new_organization("Acme", &email_for("Acme"))).await.created();
    let shell = Shell::new()
        .replacing("/var/lib/tenantry", &test_env.data_dir().display().to_string())
        .replacing("/var/tmp", "$TMPDIR");
    let said = shell.run(&block("docs/guides/upgrading.md", "tenantry doctor --rehearse-upgrade")).await;
    assert!(said.contains("rehearsal") && !said.contains("FAIL"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_and_manual_are_written_as_printed() {
    let shell = Shell::new().replacing("/usr/share", "$PWD/share");
    shell.run("mkdir -p share/bash-completion/completions share/man/man1").await;
    shell.run(&block("docs/guides/install.md", "tenantry completions bash")).await;
    let completions = shell.home().join("share/bash-completion/completions/tenantry");
    assert!(std::fs::read_to_string(completions).unwrap().contains("_tenantry"));
    assert!(shell.home().join("share/man/man1/tenantry-serve.1").exists());
}
