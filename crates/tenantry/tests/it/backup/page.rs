//! The commands of `docs/guides/backup.md`, run as they are printed.

use super::{Backups, Printed, start};
use crate::support::fixtures::{email_for, new_organization};
use crate::support::test_env::{Engine, TestEnv};
use age::secrecy::ExposeSecret;
use std::path::Path;
use std::process::Command;

/// Every block of commands of the page, one after the other.
fn commands() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/backup.md");
    let text = std::fs::read_to_string(page).unwrap();
    let blocks: Vec<_> =
        text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 4, "a block of the page is not run");
    blocks.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_backup_page_run_as_printed() {
    let (backups, test_env) = (Backups::new(), TestEnv::on(Engine::Embedded));
    let server = start(&test_env);
    server.client().post("/org/create", &new_organization("Acme", &email_for("Acme"))).await.created();
    let key = age::x25519::Identity::generate();
    backups.file("backup-key.txt", key.to_string().expose_secret());
    let bin = Path::new(env!("CARGO_BIN_EXE_tenantry")).parent().unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &commands()]).current_dir(backups.home.path()).env_clear();
    shell.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("TMPDIR", backups.home.path());
    shell.env("DATA_DIR", test_env.data_dir()).env("RECIPIENT", key.to_public().to_string());
    let output = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
    let said = Printed::of(&output).done();
    for part in [
        "Backup 2",
        "  encrypted",
        "as they were written",
        "A restore would bring backup 2",
        "Restored backup 2",
        "credentials that were made up to",
        "The new operator key is in restored/operator.key",
        "is confirmed",
    ] {
        assert!(said.contains(part), "`{part}` is missing in\n{said}");
    }
    server.stop().await;
}
