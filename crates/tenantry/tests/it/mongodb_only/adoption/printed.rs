//! The commands of `docs/guides/migrating.md`, run as they are printed.

use super::in_place::both;
use super::source::{Classic, Source};
use crate::support::app::App;
use crate::support::mongodb;
use crate::support::printed::{Shell, block};
use crate::support::test_env::{Engine, StoredData, TestEnv};

const PAGE: &str = "docs/guides/migrating.md";

/// A shell whose commands find that source.
fn shell(source: &Source) -> Shell {
    let database = source.database.name();
    Shell::new()
        .with("MONGO_URI", &mongodb::uri())
        .replacing("mongodb://127.0.0.1:27017", &mongodb::uri())
        .replacing("master_db ", &format!("{database} "))
        .replacing("enterprise_db", database)
        // It is not watched for as long as is usual.
        .replacing(" --apply", " --apply --watch 0.1")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn printed_adoptions_run_as_printed() {
    let (source, target) = (Source::seeded(Classic::A), TestEnv::on(Engine::Embedded));
    let shell_of_copy = shell(&source);
    let rehearse = block(PAGE, "export MONGO_URI='mongodb://127.0.0.1:27017'");
    assert!(shell_of_copy.run(&rehearse).await.contains("No conflicts."));
    let apply = block(PAGE, "tenantry adopt --from MONGO_URI --database master_db --to ./data --apply");
    assert!(shell_of_copy.run(&apply).await.contains("Adopted 3 organizations"));
    let confirm = block(PAGE, "tenantry adopt --from MONGO_URI --database master_db --to ./data --confirm");
    assert!(shell_of_copy.run(&confirm).await.contains("The adoption is confirmed."));
    std::fs::rename(shell_of_copy.home().join("data"), StoredData::data_dir(&target)).unwrap();
    let app = App::at(target).await;
    super::signed_in(&app, 0).await;

    let (source, target) = both(Classic::D);
    let in_place = block(PAGE, "tenantry adopt --from MONGO_URI --database enterprise_db");
    assert_eq!(in_place.lines().count(), 3);
    let said = shell(&source).run(&in_place).await;
    assert!(said.contains("No conflicts.") && said.contains("The adoption is confirmed."), "{said}");
    let app = App::at(target).await;
    super::signed_in(&app, 1).await;
}
