//! Commands of pages that start a service on MongoDB, or move an installation there.

use crate::support::app::App;
use crate::support::fixtures::organization;
use crate::support::mongodb::Database;
use crate::support::printed::{Shell, block, commands};
use crate::support::test_env::{Engine, TestEnv};

const JWT_SECRET: &str = "a secret of 32 bytes for these tests";

#[tokio::test(flavor = "multi_thread")]
async fn service_takes_secrets_from_files_as_printed() {
    let database = Database::new();
    let shell = Shell::new().with("MASTER_DB", database.name());
    shell.file("mongo-uri", database.uri());
    shell.file("jwt-secret", JWT_SECRET);
    let key = shell.run("tenantry operator-key generate").await;
    shell.file("operator-key", &key);
    let run_secrets = shell.home().display().to_string();
    let shell = shell.replacing("/run/secrets", &run_secrets);
    let served = shell.serve(&block("docs/guides/secrets.md", "MONGO_URI_FILE=/run/secrets/mongo-uri")).await;
    served.client().with_token(key.trim()).get("/v1/organizations").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn service_on_mongodb_starts_and_moves_there_as_printed() {
    const PAGE: &str = "docs/guides/mongodb.md";
    let database = Database::new();
    let printed = "mongodb://user:password@db1,db2,db3/?replicaSet=rs0&tls=true";
    let shell = Shell::new().with("MASTER_DB", database.name()).replacing(printed, database.uri());
    let served = shell.serve(&block(PAGE, "export JWT_SECRET=")).await;
    served.client().get("/readyz").await.ok();

    let app = App::at(TestEnv::on(Engine::Embedded)).await;
    organization(&app, "Acme").await;
    let source = app.stop().await;
    let database = Database::new();
    let shell = Shell::new()
        .with("MASTER_DB", database.name())
        .replacing("MONGO_URI='mongodb://…'", &format!("MONGO_URI='{}'", database.uri()))
        .replacing("JWT_SECRET='…'", &format!("JWT_SECRET='{JWT_SECRET}'"))
        .replacing("/var/lib/tenantry", &source.data_dir().display().to_string());
    let all = commands(&block(PAGE, "systemctl stop tenantry"));
    let [stop, transfer] = &all[..] else { panic!("{all:?}") };
    assert_eq!(stop, "systemctl stop tenantry", "the service is stopped already");
    let said = shell.run(transfer).await;
    assert!(said.contains("Both sides have the same 1 organizations"), "{said}");
}
