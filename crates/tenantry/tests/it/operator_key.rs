//! The operator key that the settings give: taken at the first start, checked at each later one, written nowhere.

use crate::support::app::{App, Setup};
use crate::support::test_env::TestEnv;
use serde_json::json;
use std::process::Command;
use tenantry::system::SystemEntropy;
use tenantry_domain::app::operator;

const OLD_FORM: &str = "tenantry_operator_9f86d081884c7d659a2feaa0c55ad015";

fn new_key() -> String {
    operator::generate(&SystemEntropy).to_string()
}

fn with_key(key: &str) -> Setup {
    Setup::unlimited().with(&format!("--operator-key={key}"))
}

async fn accepts(app: &App, key: &str) {
    app.client().with_token(key).get("/v1/organizations").await.ok();
}

/// What a start with that key is refused with.
async fn refusal(test_env: &TestEnv, key: &str) -> String {
    let refusal = App::refused_at(&test_env.clone().flag(&format!("--operator-key={key}"))).await;
    assert!(!refusal.contains(key), "{refusal}");
    refusal
}

#[tokio::test]
async fn given_operator_key_is_taken_and_written_nowhere() {
    let key = new_key();
    let app = with_key(&key).start().await;
    accepts(&app, &key).await;
    app.client().with_token(&new_key()).get("/v1/organizations").await.refused("operator_key_invalid");
    assert!(!app.data_dir().join("operator.key").exists());
    let app = app.restart().await;
    accepts(&app, &key).await;
    // A start without it leaves it what it is.
    let app = App::at(app.stop().await).await;
    accepts(&app, &key).await;
    assert!(!app.data_dir().join("operator.key").exists());
}

#[tokio::test]
async fn operator_key_of_another_installation_is_refused() {
    let app = App::start().await;
    let made = std::fs::read_to_string(app.data_dir().join("operator.key")).unwrap();
    let test_env = app.stop().await;
    for other in [new_key(), OLD_FORM.to_owned()] {
        let refusal = refusal(&test_env, &other).await;
        assert!(refusal.contains("is not the operator key of this installation"), "{refusal}");
        assert!(refusal.contains("`tenantry operator-key`") && !refusal.contains(made.trim()), "{refusal}");
    }
    // The one that the first start has made is as good in the settings.
    let app = with_key(made.trim()).start_on(test_env).await;
    accepts(&app, made.trim()).await;
}

#[tokio::test]
async fn malformed_operator_key_is_refused_at_start() {
    let test_env = TestEnv::new();
    let key = new_key();
    let mistyped = format!("{}x", &key[..key.len() - 1]);
    for text in
        ["tnt_operator_1", &key[..key.len() - 1], &mistyped, "a-password-of-somebody", "tenantry_operator_"]
    {
        let refusal = refusal(&test_env, text).await;
        assert!(
            refusal.contains("OPERATOR_KEY (or the content of OPERATOR_KEY_FILE) is no operator key"),
            "{refusal}"
        );
        assert!(refusal.contains("`tenantry operator-key generate`"), "{refusal}");
    }
    let app = with_key(&key).start_on(test_env).await;
    accepts(&app, &key).await;
}

/// The trail of the installation tells that its strongest key was replaced, and shows neither key.
#[tokio::test]
async fn replaced_operator_key_is_in_the_audit_trail() {
    let test_env = App::start().await.stop().await;
    let path = test_env.data_dir().join("operator.key");
    let made = std::fs::read_to_string(&path).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_tenantry"))
        .arg("operator-key")
        .args(test_env.flags())
        .env_clear()
        .current_dir(test_env.data_dir().parent().unwrap())
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let new = std::fs::read_to_string(&path).unwrap();
    let app = App::at(test_env).await;
    app.client().with_token(made.trim()).get("/v1/audit").await.refused("operator_key_invalid");
    let trail = app.client().with_token(new.trim()).get("/v1/audit?action=operator_key.replaced").await.ok();
    let events = trail["items"].as_array().unwrap();
    assert_eq!(events.len(), 1, "{trail}");
    assert_eq!(
        (&events[0]["actor"]["type"], &events[0]["outcome"]),
        (&json!("operator"), &json!("succeeded"))
    );
    assert!(![&made, &new].into_iter().any(|key| trail.to_string().contains(key.trim())), "{trail}");
}

/// A key of the first versions stays good where it is the installation's, and becomes that of no other.
#[tokio::test]
async fn operator_key_of_old_form_is_kept_and_not_taken() {
    let test_env = TestEnv::new();
    let refusal = refusal(&test_env, OLD_FORM).await;
    assert!(refusal.contains("`tenantry operator-key generate`"), "{refusal}");
    std::fs::create_dir_all(test_env.data_dir()).unwrap();
    let file = test_env.data_dir().join("operator.key");
    std::fs::write(&file, OLD_FORM).unwrap();
    let app = App::at(test_env).await;
    accepts(&app, OLD_FORM).await;
    let test_env = app.stop().await;
    std::fs::remove_file(file).unwrap();
    let app = with_key(OLD_FORM).start_on(test_env).await;
    accepts(&app, OLD_FORM).await;
}
