//! The commands of `docs/guides/migrating.md`, run as they are printed.

use super::in_place::both;
use super::source::{Classic, Source};
use crate::support::app::App;
use crate::support::mongodb;
use crate::support::test_env::{Engine, StoredData, TestEnv};
use std::path::Path;
use std::process::Command;

/// The lines of the page that adopt, with these words.
fn commands(with: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/migrating.md");
    let page = std::fs::read_to_string(page).unwrap();
    let lines = page.lines().filter(|line| line.starts_with("tenantry adopt") && line.contains(with));
    lines.map(str::to_owned).collect()
}

/// Runs one where the page says that one is; what it prints.
fn run(command: &str, source: &Source, directory: &Path) -> String {
    let database = source.database.name();
    let command = command.replace("master_db ", &format!("{database} ")).replace("enterprise_db", database);
    // It is not watched for as long as is usual.
    let command = command.replace(" --apply", " --apply --watch 0.1");
    let program = Path::new(env!("CARGO_BIN_EXE_tenantry")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", program.display());
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &command])
        .current_dir(directory)
        .env_clear()
        .env("PATH", path)
        .env("MONGO_URI", mongodb::uri())
        .env("JWT_SECRET", "a secret of 32 bytes for these tests")
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn printed_adoptions_run_as_printed() {
    let (source, target) = (Source::seeded(Classic::A), TestEnv::on(Engine::Embedded));
    let directory = StoredData::data_dir(&target).parent().unwrap().to_owned();
    let copy = commands("--to ./data");
    let [rehearse, apply, confirm] = &copy[..] else { panic!("{copy:?}") };
    assert!(run(rehearse, &source, &directory).contains("No conflicts."));
    assert!(run(apply, &source, &directory).contains("Adopted 3 organizations"));
    assert!(run(confirm, &source, &directory).contains("The adoption is confirmed."));
    let app = App::at(target).await;
    super::signed_in(&app, 0).await;

    let (source, target) = both(Classic::D);
    let in_place = commands("--in-place");
    assert_eq!(in_place.len(), 3);
    let directory = StoredData::data_dir(&target).parent().unwrap().to_owned();
    let printed: Vec<String> = in_place.iter().map(|command| run(command, &source, &directory)).collect();
    assert!(printed[2].contains("The adoption is confirmed."), "{printed:?}");
    let app = App::at(target).await;
    super::signed_in(&app, 1).await;
}
