//! `tenantry operator-key`, and the service with a key and secrets in files.

use super::Shell;
use crate::support::process::Launch;
use std::fs;

const JWT_SECRET: &str = "3q2+7w8bTZp0m1xYcVQhJ5n6RkLsUeAf";

/// A shell with a new key in the file `name`, and the key.
fn generated(shell: &Shell, name: &str) -> String {
    let key = shell.run(&["operator-key", "generate"]).done();
    fs::write(shell.home.path().join(name), &key).unwrap();
    key.trim_end().to_owned()
}

#[test]
fn generate_command_prints_key_and_touches_nothing() {
    let shell = Shell::new().with("PORT", "not a port");
    let keys = [(); 2].map(|()| shell.run(&["operator-key", "generate"]).done());
    for key in &keys {
        assert!(tenantry_domain::app::operator::has_checksum(key.trim_end()), "{key}");
        assert_eq!(key.lines().count(), 1);
    }
    assert_ne!(keys[0], keys[1]);
    assert_eq!(fs::read_dir(shell.home.path()).unwrap().count(), 0, "nothing is made");
}

#[tokio::test]
async fn service_takes_secrets_from_files_and_shows_none() {
    let shell = Shell::new();
    let key = generated(&shell, "operator-key");
    fs::write(shell.home.path().join("jwt-secret"), format!("{JWT_SECRET}\n")).unwrap();
    fs::write(shell.home.path().join(".env"), "JWT_SECRET_FILE=jwt-secret\n").unwrap();
    let launch =
        Launch::on(&shell.data_dir()).env("OPERATOR_KEY_FILE", "operator-key").with("--log-level=debug");
    let server = launch.start();
    server.client().with_token(&key).get("/v1/organizations").await.ok();
    let log = server.log_at_its_end().await;
    assert!(!log.contains(&key) && !log.contains(JWT_SECRET), "{log}");
    for file in ["operator.key", "jwt-secret"] {
        assert!(!shell.data_dir().join(file).exists(), "{file} is made");
    }

    // The commands and the doctor read the same file.
    let shell = shell.with("OPERATOR_KEY_FILE", "operator-key").with("PORT", "0");
    let server = launch.start();
    let there = format!("--server-url=http://{}", server.address());
    assert_eq!(shell.run(&["org", "list", &there]).done(), "No organizations.\n");
    server.stop().await;
    let doctor = shell.run(&["doctor", "--signup=operator"]).done();
    let words = doctor.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "ok settings JWT_SECRET is read from jwt-secret",
        "ok settings OPERATOR_KEY is read from operator-key",
        "ok operator key OPERATOR_KEY is the one of these records",
    ] {
        assert!(words.contains(part), "{part} is missing in\n{doctor}");
    }
    assert!(!doctor.contains(&key) && !doctor.contains(JWT_SECRET), "{doctor}");
    fs::remove_file(shell.home.path().join("jwt-secret")).unwrap();
    let refused = launch.refused().await;
    assert!(
        refused.contains("jwt-secret cannot be read (") && refused.contains("JWT_SECRET_FILE"),
        "{refused}"
    );
}

#[tokio::test]
async fn operator_key_command_puts_given_key_in_place() {
    let shell = Shell::new();
    let launch = Launch::on(&shell.data_dir());
    let server = launch.start();
    let made = fs::read_to_string(shell.data_dir().join("operator.key")).unwrap();
    server.stop().await;

    let key = generated(&shell, "operator-key.new");
    let refused = launch.clone().env("OPERATOR_KEY", &key).refused().await;
    assert!(refused.contains("`tenantry operator-key`") && !refused.contains(&key), "{refused}");
    let shell = shell.with("OPERATOR_KEY_FILE", "operator-key.new");
    let replaced = shell.run(&["operator-key"]).done();
    assert!(replaced.contains("is now the one of the settings") && !replaced.contains(&key), "{replaced}");
    assert!(!shell.data_dir().join("operator.key").exists(), "the old key is still there");
    let again = shell.run(&["operator-key"]).refused();
    assert!(again.contains("is the operator key already") && !again.contains(&key), "{again}");

    let server = launch.clone().env("OPERATOR_KEY", &key).start();
    server.client().with_token(&key).get("/v1/organizations").await.ok();
    server.client().with_token(made.trim()).get("/v1/organizations").await.refused("operator_key_invalid");
    server.stop().await;
    // Without one in the settings, a new one is written as ever.
    let data_dir = format!("--data-dir={}", shell.data_dir().display());
    let written = Shell::new().run(&["operator-key", &data_dir]).done();
    assert!(written.contains("operator.key. The old one"), "{written}");
    let server = launch.start();
    server.operator().get("/v1/organizations").await.ok();
    server.client().with_token(&key).get("/v1/organizations").await.refused("operator_key_invalid");
    server.stop().await;
}
