//! Encrypted backups and streams, on both engines.

use super::{Backups, Printed, start};
use crate::support::fixtures::{PASSWORD, credentials, email_for, new_organization};
use crate::support::test_env::TestEnv;
use age::secrecy::ExposeSecret;
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

const SECRET: &str = "a text that nobody else may read";

/// An installation with a document.
async fn installation() -> TestEnv {
    let test_env = TestEnv::new();
    let server = start(&test_env);
    let client = server.client();
    let acme = client.post("/org/create", &new_organization("Acme", &email_for("Acme"))).await.created();
    let tokens = client.post("/admin/login", &credentials(&email_for("Acme"), PASSWORD)).await.ok();
    let path = format!("/v1/organizations/{}/collections/documents/documents", acme["id"].as_str().unwrap());
    let owner = client.with_token(tokens["access_token"].as_str().unwrap());
    owner.post(&path, &json!({ "_id": 1, "text": SECRET })).await.created();
    server.stop().await;
    test_env
}

/// The document is there.
async fn assert_restored(target: &TestEnv) {
    let server = start(target);
    let client = server.client();
    let tokens = client.post("/admin/login", &credentials(&email_for("Acme"), PASSWORD)).await.ok();
    let owner = client.with_token(tokens["access_token"].as_str().unwrap());
    let found = owner.get("/v1/organizations/acme/collections/documents/documents/~1").await.ok();
    assert_eq!(found["text"], SECRET);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_to_recipient_opens_with_its_identity_alone() {
    let (test_env, backups) = (installation().await, Backups::new());
    let key = age::x25519::Identity::generate();
    let recipient = format!("--recipient={}", key.to_public());
    let said = backups.run(&test_env, &["backup", "DIR", &recipient]).await.done();
    assert!(said.contains("the operator key (operator.key)") && said.contains("age1"), "{said}");
    // The next one is encrypted as well, and needs no secret for it.
    backups.run(&test_env, &["backup", "DIR"]).await.done();
    assert!(backups.verify().is_success);
    for object in backups.objects() {
        let bytes = std::fs::read(&object).unwrap();
        assert!(bytes.starts_with(b"age-encryption.org/"), "{}", object.display());
        assert!(!bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
    }
    let other = age::x25519::Identity::generate();
    let other = backups.file("other.txt", other.to_string().expose_secret());
    let key = backups.file("key.txt", &format!("# mine\n{}\n", key.to_string().expose_secret()));
    let target = TestEnv::new();
    let wrong = ["restore", "DIR", "--identity", other.to_str().unwrap()];
    let said = backups.run(&target, &wrong).await.refused();
    assert!(said.contains("does not open it"), "{said}");
    let right = ["restore", "DIR", "--identity", key.to_str().unwrap()];
    let rehearsed = backups.run(&target, &[&right[..], &["--rehearse"]].concat()).await.done();
    assert!(
        rehearsed.contains("1 organizations as of") && rehearsed.contains("Every page was checked"),
        "{rehearsed}"
    );
    backups.run(&target, &right).await.done();
    assert_restored(&target).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_with_passphrase_is_restored_and_refused_if_cut() {
    let (test_env, backups) = (installation().await, Backups::new());
    let passphrase = backups.file("passphrase", "a long passphrase\n");
    let with = ["--passphrase-file", passphrase.to_str().unwrap()];
    let stream = backups.home.path().join("stream");
    let mut command = backups.command(&test_env, &[&["backup", "-"][..], &with].concat());
    let output = command.stdout(File::create(&stream).unwrap()).stderr(Stdio::piped()).output().unwrap();
    let said = Printed::of(&output);
    assert!(said.is_success && said.stderr.contains("1 organizations"), "{said:?}");
    let restore = |target: &TestEnv, file: &std::path::Path| {
        let mut command = backups.command(target, &[&["restore", "-"][..], &with].concat());
        Printed::of(&command.stdin(File::open(file).unwrap()).output().unwrap())
    };
    let bytes = std::fs::read(&stream).unwrap();
    let cut = backups.home.path().join("cut");
    std::fs::write(&cut, &bytes[..bytes.len() - 2000]).unwrap();
    let said = restore(&TestEnv::new(), &cut).refused();
    assert!(said.contains("is damaged"), "{said}");
    let target = TestEnv::new();
    restore(&target, &stream).done();
    assert_restored(&target).await;
}

/// As the page says: `age` opens a stream with the identity, and `tar` lists what is in it, the manifest last.
#[tokio::test(flavor = "multi_thread")]
async fn stream_is_an_age_file_of_a_tar_archive() {
    let (test_env, backups) = (installation().await, Backups::new());
    let key = age::x25519::Identity::generate();
    let recipient = format!("--recipient={}", key.to_public());
    let stream = backups.home.path().join("tenantry.backup");
    let mut command = backups.command(&test_env, &["backup", "-", &recipient]);
    let output = command.stdout(File::create(&stream).unwrap()).stderr(Stdio::piped()).output().unwrap();
    Printed::of(&output).done();
    let opened = age::decrypt(&key, &std::fs::read(&stream).unwrap()).unwrap();
    let mut tar = Command::new("tar").arg("-t").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut archive = tar.stdin.take().unwrap();
    let writing = std::thread::spawn(move || archive.write_all(&opened).unwrap());
    let output = tar.wait_with_output().unwrap();
    writing.join().unwrap();
    let listed = Printed::of(&output).done();
    let names: Vec<&str> = listed.lines().collect();
    assert!(names.len() > 1 && names.last().unwrap().contains("manifest"), "{names:?}");
    assert!(age::decrypt(&age::x25519::Identity::generate(), &std::fs::read(&stream).unwrap()).is_err());
}
