//! `tenantry doctor` where the service runs on MongoDB.

use crate::support::app::{App, Setup};
use crate::support::data_set::DataSet;
use crate::support::fixtures::organization;
use crate::support::test_env::TestEnv;
use std::process::Command;

/// What it prints with these flags instead of, or beside, those that lead to `test_env`; and whether nothing failed.
fn doctor(test_env: &TestEnv, more: &[&str]) -> (String, bool) {
    let name = |flag: &str| flag.split('=').next().map(str::to_owned);
    let is_replaced = |flag: &String| more.iter().any(|other| name(other) == name(flag));
    let run = Command::new(env!("CARGO_BIN_EXE_tenantry"))
        .arg("doctor")
        .args(test_env.flags().into_iter().filter(|flag| !is_replaced(flag)))
        .args(more)
        .arg("--port=0")
        .env_clear()
        .current_dir(test_env.data_dir().parent().unwrap())
        .output()
        .unwrap();
    assert!(run.stderr.is_empty(), "{}", String::from_utf8_lossy(&run.stderr));
    (String::from_utf8(run.stdout).unwrap(), run.status.success())
}

#[track_caller]
fn assert_has(text: &str, verdict: &str, check: &str, part: &str) {
    let is_it = |line: &str| {
        let mut words = line.split_whitespace();
        words.next() == Some(verdict) && words.next() == Some(check) && line.contains(part)
    };
    assert!(text.lines().any(is_it), "no line is `{verdict} {check}` with `{part}`:\n{text}");
}

#[tokio::test]
async fn doctor_reports_database_and_changes_nothing() {
    let test_env = TestEnv::new();
    let (text, well) = doctor(&test_env, &[]);
    assert!(well, "{text}");
    assert_has(&text, "ok", "schema", "there are no records");
    assert_eq!(test_env.database().unwrap().collections(), Vec::<String>::new());

    let app = App::start().await;
    organization(&app, "Acme").await;
    let (text, well) = doctor(app.test_env(), &[]);
    assert!(well, "{text}");
    assert_has(&text, "ok", "mongodb", "6.0.5, standalone");
    assert_has(&text, "ok", "fence", "by their identity");
    assert_has(&text, "ok", "schema", "version 13, the newest");
    assert_has(&text, "ok", "capacity", "of 10000 collections and indexes");
    assert_has(&text, "ok", "organizations", "1 active");
    assert_has(&text, "ok", "keys", "operator.key is private and sound");
}

#[tokio::test]
async fn doctor_warns_until_a_restore_is_confirmed() {
    let app = App::start().await;
    let restore = |action: &str| {
        let run = Command::new(env!("CARGO_BIN_EXE_tenantry"))
            .args(["restore", action])
            .args(app.test_env().flags())
            .env_clear()
            .current_dir(app.data_dir().parent().unwrap())
            .output()
            .unwrap();
        assert!(run.status.success(), "{run:?}");
    };
    restore("mark");
    let (text, well) = doctor(app.test_env(), &[]);
    assert!(well, "{text}");
    assert_has(&text, "warn", "restore", "run `tenantry restore confirm`");
    restore("confirm");
    let (text, _) = doctor(app.test_env(), &[]);
    assert!(!text.contains("restore confirm"), "{text}");
}

#[tokio::test]
async fn rehearsal_says_that_listed_steps_are_not_run() {
    let data = DataSet::open();
    let (text, well) = doctor(data.test_env(), &["--rehearse-upgrade"]);
    assert!(well, "{text}");
    assert_has(&text, "warn", "rehearsal", "listed here and not run");
    assert_has(&text, "ok", "rehearsal", "not run: step to version 6: the audit trail");
    data.start().await.stop().await;
    let (text, _) = doctor(data.test_env(), &["--rehearse-upgrade"]);
    assert_has(&text, "ok", "rehearsal", "no step would run");
    assert!(!text.contains("not run:"), "{text}");
}

/// The settings alone decide there, and a forgotten one changes what signs.
#[tokio::test]
async fn doctor_warns_of_signing_keys_that_settings_do_not_use() {
    let app = Setup::unlimited().with("--jwt-algorithm=EdDSA").start().await;
    let (text, well) = doctor(app.test_env(), &["--jwt-algorithm=EdDSA"]);
    assert!(well, "{text}");
    assert_has(&text, "ok", "keys", "open with the secret");
    let (text, well) = doctor(app.test_env(), &[]);
    assert!(well, "{text}");
    assert_has(&text, "warn", "keys", "EdDSA keys that rotate");
    let (text, _) = doctor(app.test_env(), &["--jwt-algorithm=HS256"]);
    assert!(!text.contains("keys that rotate"), "{text}");
}

#[tokio::test]
async fn doctor_reports_problems_and_shows_no_password() {
    let app = App::start().await;
    let (text, well) = doctor(app.test_env(), &["--max-namespaces=5"]);
    assert!(well, "{text}");
    assert_has(&text, "warn", "capacity", "of 5 collections and indexes");

    std::fs::write(app.data_dir().join("operator.key"), "tenantry_operator_of_another").unwrap();
    let (text, well) = doctor(app.test_env(), &[]);
    assert!(!well, "{text}");
    assert_has(&text, "FAIL", "keys", "is not the operator key");

    let nowhere = ["--mongo-timeout=1", "--mongo-uri=mongodb://someone:hunter2@127.0.0.1:9"];
    let (text, well) = doctor(app.test_env(), &nowhere);
    assert!(!well, "{text}");
    assert_has(&text, "FAIL", "mongodb", "check MONGO_URI");
    assert!(!text.contains("hunter2"), "{text}");
}
