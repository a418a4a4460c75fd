//! The commands of `docs/guides/backup.md`, run as they are printed.

use super::{Backups, Printed, start};
use crate::support::fixtures::{email_for, new_organization};
use crate::support::printed::blocks;
use crate::support::test_env::{Engine, TestEnv};
use age::secrecy::ExposeSecret;
use std::path::Path;
use std::process::Command;

/// Runs commands in the directory of the backups, with those variables.
async fn run(backups: &Backups, test_env: &TestEnv, commands: &str, variables: &[(&str, &str)]) -> String {
    let bin = Path::new(env!("CARGO_BIN_EXE_tenantry")).parent().unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", commands]).current_dir(backups.home.path()).env_clear();
    shell.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("TMPDIR", backups.home.path());
    shell.env("DATA_DIR", test_env.data_dir()).env("PORT", "0").envs(variables.iter().copied());
    let output = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
    Printed::of(&output).done()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_backup_page_run_as_printed() {
    let all = blocks("docs/guides/backup.md", "sh");
    let [beside @ .., mark] = &all[..] else { panic!("{all:?}") };
    let (backups, test_env) = (Backups::new(), TestEnv::on(Engine::Embedded));
    let server = start(&test_env);
    let made =
        server.client().post("/org/create", &new_organization("Acme", &email_for("Acme"))).await.created();
    let key = age::x25519::Identity::generate();
    backups.file("backup-key.txt", key.to_string().expose_secret());
    let (recipient, url) = (key.to_public().to_string(), format!("http://{}", server.address()));
    let variables =
        [("RECIPIENT", &*recipient), ("SERVER_URL", &*url), ("ORGANIZATION", made["id"].as_str().unwrap())];
    let said = run(&backups, &test_env, &beside.concat(), &variables).await;
    for part in [
        "Backup 2",
        "  encrypted",
        "as they were written",
        "A restore would bring backup 2",
        "Restored backup 2",
        "credentials that were made up to",
        "A restore would bring Acme (",
        "Restored Acme before (",
        "The new operator key is in restored/operator.key",
        "is confirmed",
    ] {
        assert!(said.contains(part), "`{part}` is missing in\n{said}");
    }
    let listed = server.operator().get("/v1/organizations").await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{listed}");
    server.stop().await;
    // After a restore by other tools; no service runs then.
    let said = run(&backups, &test_env, mark, &[]).await;
    assert!(said.contains("are refused until") && said.contains("warn  restore"), "{said}");
}
