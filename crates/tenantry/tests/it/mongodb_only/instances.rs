//! Several instances on one database: their secrets, their operator key, and no directory of their own.

use crate::documents::updates::post_until_done;
use crate::support::app::{App, Setup};
use crate::support::fixtures::{again, organization, sign_in, with_access};
use crate::support::test_env::TestEnv;
use futures_util::future::join_all;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use tenantry::system::SystemEntropy;
use tenantry_domain::app::operator;
use tokio::task::JoinSet;

fn new_key() -> String {
    operator::generate(&SystemEntropy).to_string()
}

fn with_key(key: &str) -> Setup {
    Setup::unlimited().with(&format!("--operator-key={key}"))
}

/// One directory cannot be made, and one cannot be written.
const NO_DIRECTORIES: [&str; 2] = ["/dev/null/data", "/proc"];

#[tokio::test]
async fn service_with_given_key_needs_no_data_directory() {
    for directory in NO_DIRECTORIES {
        let (test_env, key) = (TestEnv::new(), new_key());
        for algorithm in ["HS256", "EdDSA"] {
            let setup = with_key(&key)
                .with(&format!("--data-dir={directory}"))
                .with(&format!("--jwt-algorithm={algorithm}"));
            let app = setup.start_on(test_env.clone()).await;
            app.client().with_token(&key).get("/v1/organizations").await.ok();
            let acme = organization(&app, &format!("Acme {algorithm}")).await;
            acme.owner.post(&acme.documents(), &json!({ "_id": 1 })).await.created();
            app.maintain().await;
            app.stop().await;
        }
        assert!(!Path::new(directory).join("operator.key").exists());
        assert!(!test_env.data_dir().exists(), "another directory is made");
    }
}

#[tokio::test]
async fn doctor_with_given_key_asks_for_no_data_directory() {
    let (test_env, key) = (TestEnv::new(), new_key());
    with_key(&key).start_on(test_env.clone()).await.stop().await;
    let doctor = |key: &str| {
        let flags = test_env.flags().into_iter().filter(|flag| !flag.starts_with("--data-dir="));
        let run = Command::new(env!("CARGO_BIN_EXE_tenantry"))
            .arg("doctor")
            .args(flags)
            .args(["--data-dir=/dev/null/data", "--port=0"])
            .env_clear()
            .env("OPERATOR_KEY", key)
            .current_dir("/")
            .output()
            .unwrap();
        (String::from_utf8(run.stdout).unwrap(), run.status.success())
    };
    let (text, well) = doctor(&key);
    assert!(well && text.contains("it is not used: everything is in MongoDB"), "{text}");
    assert!(text.contains("OPERATOR_KEY is the one of these records") && !text.contains(&key), "{text}");
    let other = new_key();
    let (text, well) = doctor(&other);
    assert!(!well && text.contains("OPERATOR_KEY is not the operator key of these records"), "{text}");
    assert!(!text.contains(&other), "{text}");
}

#[tokio::test]
async fn instances_that_start_at_once_agree_on_one_key() {
    let (test_env, key) = (TestEnv::new(), new_key());
    let apps = join_all((0..3).map(|_| with_key(&key).start_on(test_env.clone()))).await;
    for app in &apps {
        app.client().with_token(&key).get("/v1/organizations").await.ok();
    }
}

/// Whoever comes second has another key than the installation, whatever the order.
#[tokio::test]
async fn instances_that_start_with_two_keys_are_not_both_taken() {
    let test_env = TestEnv::new();
    let (first, second) = (new_key(), new_key());
    let app = with_key(&first).start_on(test_env.clone()).await;
    let refusal = App::refused_at(&test_env.flag(&format!("--operator-key={second}"))).await;
    assert!(refusal.contains("is not the operator key of this installation"), "{refusal}");
    app.client().with_token(&first).get("/v1/organizations").await.ok();
}

/// Half of the instances sign with the new secret already; requests go to any of them.
#[tokio::test]
async fn instances_accept_each_other_while_secret_is_replaced() {
    const OLD: &str = "the first secret of this test: 40 bytes!";
    const NEW: &str = "the second secret of this test: 41 bytes!";
    let test_env = TestEnv::new();
    for algorithm in ["HS256", "EdDSA"] {
        let start = async |secret: &str, other: &str| {
            let flags = [
                format!("--jwt-secret={secret}"),
                format!("--jwt-secret-previous={other}"),
                format!("--jwt-algorithm={algorithm}"),
            ];
            let setup = flags.iter().fold(Setup::unlimited(), |setup, flag| setup.with(flag));
            setup.start_on(test_env.clone()).await
        };
        let (early, late) = (start(OLD, NEW).await, start(NEW, OLD).await);
        let acme = organization(&early, &format!("Acme {algorithm}")).await;
        again(&late, &acme.owner).get(&acme.path()).await.ok();
        let tokens = sign_in(&late, acme.email()).await;
        with_access(&early, &tokens).get(&acme.path()).await.ok();
        let refresh = json!({ "refresh_token": tokens["refresh_token"] });
        early.client().post("/v1/auth/refresh", &refresh).await.ok();
        let keys = |document: serde_json::Value| document["keys"].as_array().map(Vec::len);
        let published = if algorithm == "EdDSA" { 2 } else { 0 };
        for app in [&early, &late] {
            let jwks = app.client().get("/.well-known/jwks.json").await.ok();
            assert_eq!(keys(jwks), Some(published));
        }
    }
}

/// A hundred callers, every other one through the other instance: what locks documents in one process does nothing there.
#[tokio::test(flavor = "multi_thread")]
async fn queue_of_two_instances_hands_out_documents_once() {
    const CALLERS: i64 = 100;
    // How long all of them take depends on what else the machine does.
    let setup = || Setup::unlimited().with("--request-timeout=120");
    let app = setup().start().await;
    let acme = organization(&app, "Acme").await;
    let other = setup().start_on(app.test_env().clone()).await;
    acme.store(&(0..CALLERS).map(|n| json!({ "_id": n, "state": "new", "due": n % 7 })).collect::<Vec<_>>())
        .await;
    let instances = [acme.owner.clone(), again(&other, &acme.owner)];
    for (path, returned) in [("update", Some("before")), ("find-one-and-delete", None)] {
        let mut calls = JoinSet::new();
        for caller in 0..CALLERS {
            let client = instances[usize::from(caller % 2 == 1)].clone();
            let path = acme.about(path);
            let body = match returned {
                Some(returned) => json!({
                    "filter": { "state": "new" }, "update": { "$set": { "state": "taken", "by": caller } },
                    "sort": "due", "return": returned,
                }),
                None => json!({ "filter": { "state": "taken" }, "sort": "due" }),
            };
            calls.spawn(async move { post_until_done(&client, &path, &body).await });
        }
        let mut taken = BTreeSet::new();
        for answer in calls.join_all().await {
            let document = answer.ok()["document"].take();
            let id = document["_id"].as_i64().unwrap_or_else(|| panic!("{path}: nothing was left"));
            assert!(taken.insert(id), "{path}: {id} was handed out twice");
        }
        assert_eq!(taken, (0..CALLERS).collect(), "{path}");
    }
}
