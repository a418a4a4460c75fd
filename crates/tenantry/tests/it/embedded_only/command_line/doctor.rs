//! `tenantry doctor`.

use super::{CommandOutput, Shell};
use crate::support::certificates::Certificates;
use crate::support::process::Launch;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

impl CommandOutput {
    /// The lines of the checks, if none of them failed.
    #[track_caller]
    fn healthy(self) -> String {
        let text = self.done();
        assert!(!text.contains("FAIL"), "{text}");
        text
    }

    /// The lines of the checks, if one of them failed.
    #[track_caller]
    fn unhealthy(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(1), ""), "{self:?}");
        assert!(self.stdout.contains("FAIL"), "{self:?}");
        self.stdout
    }
}

/// Whether a line begins so (white space aside) and contains that.
fn has(text: &str, begin: &str, part: &str) -> bool {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().any(|line| words(line).starts_with(begin) && line.contains(part))
}

#[track_caller]
fn assert_has(text: &str, begin: &str, part: &str) {
    assert!(has(text, begin, part), "no line begins with `{begin}` and has `{part}`:\n{text}");
}

/// Every file with its bytes, and when it was last changed.
pub(super) fn snapshot(directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, i64, i64)> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let metadata = entry.metadata().unwrap();
        let bytes = if metadata.is_dir() {
            files.extend(snapshot(&entry.path()));
            Vec::new()
        } else {
            fs::read(entry.path()).unwrap()
        };
        files.insert(entry.path(), (bytes, metadata.mtime(), metadata.mtime_nsec()));
    }
    files
}

/// A shell where the service will take any free port.
fn shell() -> Shell {
    Shell::new().with("PORT", "0")
}

/// A shell with a data directory in which a service made one organization and was stopped.
async fn after_a_run() -> Shell {
    after_a_run_with(&[]).await
}

/// The same with these flags.
async fn after_a_run_with(flags: &[&str]) -> Shell {
    let shell = shell();
    let launch = flags.iter().fold(Launch::on(&shell.data_dir()), |launch, flag| launch.with(flag));
    let server = launch.start();
    let body = serde_json::json!({
        "organization_name": "Acme Corp", "email": "admin@acme.com", "password": "correct horse battery",
    });
    let made = server.client().post("/org/create", &body).await.created();
    // Its first document makes its file.
    let signed_in = server.client().post("/admin/login", &body).await.ok();
    let owner = server.client().with_token(signed_in["access_token"].as_str().unwrap());
    let id = made["id"].as_str().unwrap();
    let documents = format!("/v1/organizations/{id}/collections/documents/documents");
    owner.post(&documents, &serde_json::json!({ "_id": 1 })).await.created();
    server.stop().await;
    shell
}

#[test]
fn doctor_before_first_start_is_healthy_and_changes_nothing() {
    let shell = shell();
    let text = shell.run(&["doctor", "--signup=operator"]).healthy();
    assert_has(&text, "ok data directory", "does not exist yet; the first start creates it");
    assert_has(&text, "ok schema", "no records yet");
    assert!(text.ends_with("\nAll is well.\n"), "{text}");
    assert_eq!(fs::read_dir(shell.home.path()).unwrap().count(), 0, "nothing is made");
}

#[tokio::test]
async fn doctor_and_server_warn_of_open_signup_without_quotas() {
    let (shell, warning) = (shell(), "nothing limits what they store");
    let text = shell.run(&["doctor"]).healthy();
    assert_has(&text, "warn settings", warning);
    assert_has(
        &text,
        "warn settings",
        "DEFAULT_QUOTA_DOCUMENTS, DEFAULT_QUOTA_BYTES, DEFAULT_QUOTA_COLLECTIONS",
    );
    let quotas = ["documents", "bytes", "collections", "index-bytes"];
    let quotas = quotas.map(|name| format!("--default-quota-{name}=1000000"));
    let mut arguments = vec!["doctor"];
    arguments.extend(quotas.iter().map(String::as_str));
    assert!(!shell.run(&arguments).healthy().contains(warning));
    let server = Launch::on(&shell.data_dir()).start();
    server.client().get("/livez").await.ok();
    assert!(server.log().contains(warning));
    server.stop().await;
    let limited = quotas.iter().fold(Launch::on(&shell.data_dir()), |launch, quota| launch.with(quota));
    let server = limited.start();
    server.client().get("/livez").await.ok();
    assert!(!server.log().contains(warning));
    server.stop().await;
}

#[tokio::test]
async fn doctor_of_good_directory_is_healthy_and_changes_nothing() {
    let shell = after_a_run().await;
    let before = snapshot(&shell.data_dir());
    let text = shell.run(&["doctor", "--signup=operator"]).healthy();
    for (check, part) in [
        ("settings", ""),
        ("data directory", "private"),
        ("disk space", "free"),
        ("lock", "no process"),
        ("schema", "the newest"),
        ("integrity", "is sound"),
        ("organizations", "1 active"),
        ("containers", "1 files"),
        ("clock", "UTC"),
        ("keys", "jwt-secret"),
        ("keys", "operator.key"),
    ] {
        assert_has(&text, &format!("ok {check}"), part);
    }
    assert_eq!(snapshot(&shell.data_dir()), before);
}

#[tokio::test]
async fn doctor_reads_state_after_crash_and_changes_nothing() {
    let shell = after_a_run().await;
    let server = Launch::on(&shell.data_dir()).start();
    let body = serde_json::json!({
        "organization_name": "Other", "email": "admin@other.com", "password": "correct horse battery",
    });
    server.client().post("/org/create", &body).await.created();
    server.kill().await;
    let before = snapshot(&shell.data_dir());
    assert!(before.iter().any(|(path, (bytes, ..))| path.ends_with("control.db-wal") && !bytes.is_empty()));
    let text = shell.run(&["doctor"]).healthy();
    assert_has(&text, "ok organizations", "2 active");
    assert_eq!(snapshot(&shell.data_dir()), before);
}

#[tokio::test]
async fn doctor_asks_running_server_and_tries_its_key() {
    let shell = Shell::new();
    let server = Launch::on(&shell.data_dir()).start();
    let shell = shell.with("PORT", &server.address().port().to_string());
    let text = shell.run(&["doctor"]).healthy();
    assert_has(&text, "ok lock", "a running process");
    assert_has(&text, "ok address", concat!("Tenantry ", env!("CARGO_PKG_VERSION"), " answers"));
    assert_has(&text, "ok operator key", "accepts it");

    let wrong = "tenantry_operator_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let text = shell.run(&["doctor", "--operator-key", wrong]).unhealthy();
    assert_has(&text, "FAIL operator key", "operator_key_invalid");
    let elsewhere = shell.home.path().join("elsewhere").display().to_string();
    let text = shell.run(&["doctor", "--data-dir", &elsewhere]).healthy();
    assert_has(&text, "warn address", "another data directory");
    server.stop().await;
}

#[test]
fn doctor_fails_when_another_program_has_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let text = Shell::new().with("PORT", &port).run(&["doctor"]).unhealthy();
    assert_has(&text, "FAIL address", "another program listens on 127.0.0.1:");
    let text = Shell::new().with("HOST", "192.0.2.1").run(&["doctor"]).unhealthy();
    assert_has(&text, "FAIL address", "cannot listen on 192.0.2.1:8000");
}

#[tokio::test]
async fn doctor_fails_when_others_can_read_a_key() {
    let shell = after_a_run().await;
    for file in ["operator.key", "jwt-secret"] {
        let path = shell.data_dir().join(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let text = shell.run(&["doctor"]).unhealthy();
        assert_has(&text, "FAIL keys", &format!("{} can be read by other users (mode 0644)", path.display()));
        assert_has(&text, "FAIL keys", "chmod 600");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    shell.run(&["doctor"]).healthy();
}

#[tokio::test]
async fn doctor_fails_when_a_key_has_changed() {
    let shell = after_a_run().await;
    let path = |file: &str| shell.data_dir().join(file);
    fs::write(path("jwt-secret"), "short").unwrap();
    fs::write(path("operator.key"), "tenantry_operator_another").unwrap();
    let text = shell.run(&["doctor"]).unhealthy();
    assert_has(&text, "FAIL keys", "jwt-secret is damaged");
    assert_has(&text, "FAIL keys", "is not the operator key of these records");
    fs::remove_file(path("jwt-secret")).unwrap();
    fs::remove_file(path("operator.key")).unwrap();
    let text = shell.run(&["doctor"]).healthy();
    assert_has(&text, "warn keys", "jwt-secret is missing");
    assert_has(&text, "ok keys", "operator.key is missing");

    // A key that does not rotate, as in an installation that began with another algorithm.
    let ed25519 = after_a_run_with(&["--jwt-algorithm=HS256"]).await.with("JWT_ALGORITHM", "EdDSA");
    assert_has(&ed25519.run(&["doctor"]).healthy(), "warn keys", "jwt-ed25519.pk8 is missing");
    Launch::on(&ed25519.data_dir()).env("JWT_ALGORITHM", "EdDSA").start().stop().await;
    assert_has(&ed25519.run(&["doctor"]).healthy(), "ok keys", "jwt-ed25519.pk8 is private and sound");
    fs::write(ed25519.data_dir().join("jwt-ed25519.pk8"), "no key").unwrap();
    assert_has(&ed25519.run(&["doctor"]).unhealthy(), "FAIL keys", "jwt-ed25519.pk8 is damaged");
}

#[tokio::test]
async fn doctor_fails_on_records_of_newer_version_unchanged() {
    let shell = after_a_run().await;
    let file = shell.data_dir().join("control.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    connection.close().unwrap();
    let before = snapshot(&shell.data_dir());
    let text = shell.run(&["doctor"]).unhealthy();
    assert_has(&text, "FAIL schema", "was written by a newer version (schema 99;");
    assert_has(&text, "FAIL schema", "Run that newer version");
    assert_eq!(snapshot(&shell.data_dir()), before);
}

#[tokio::test]
async fn doctor_fails_on_missing_container() {
    let shell = after_a_run().await;
    let containers = shell.data_dir().join("containers");
    let (path, _) = snapshot(&containers)
        .into_iter()
        .find(|(path, _)| path.extension().is_some_and(|end| end == "db"))
        .unwrap();
    let id = path.file_stem().unwrap().to_str().unwrap();
    fs::rename(&path, path.with_file_name(format!("{}.db", "0".repeat(24)))).unwrap();
    let text = shell.run(&["doctor"]).unhealthy();
    assert_has(&text, "FAIL containers", &format!("1 are missing, of the organizations {id}"));
}

#[test]
fn doctor_reports_all_settings_errors_and_checks_the_rest() {
    let shell = Shell::new().with("PORT", "x").with("MONGO_URI", "mongodb://localhost");
    let text = shell.run(&["doctor"]).unhealthy();
    assert_has(&text, "FAIL settings PORT in the environment must be", "");
    assert_has(&text, "FAIL settings MONGO_URI is set", "");
    assert_has(&text, "ok data directory", "does not exist yet");
    let text = shell.with("DATA_DIR", "~/data").run(&["doctor"]).unhealthy();
    assert_has(&text, "FAIL settings DATA_DIR in the environment must be", "");
    assert_has(&text, "warn data directory", "unknown");
}

#[tokio::test]
async fn doctor_json_has_every_check_with_its_verdict() {
    let shell = after_a_run().await;
    let report = shell.run(&["doctor", "--json"]).json();
    assert_eq!(report["ok"], true);
    fs::set_permissions(shell.data_dir(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(shell.data_dir().join("operator.key"), fs::Permissions::from_mode(0o604)).unwrap();
    let ran = shell.run(&["doctor", "--json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["ok"], false);
    let verdicts = |wanted: &str| {
        let checks = report["checks"].as_array().unwrap().iter();
        checks
            .filter(|check| check["verdict"] == wanted)
            .map(|check| check["check"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (verdicts("fail"), verdicts("warn")),
        (vec!["keys".into()], vec!["settings".into(), "data directory".into()])
    );
    for check in report["checks"].as_array().unwrap() {
        assert!(
            check["found"].is_string() && (check["verdict"] == "ok" || check["advice"].is_string()),
            "{check}"
        );
    }
}

/// A shell whose service has the pair of these files.
fn with_tls(certificates: &Certificates) -> Shell {
    let file = |path: PathBuf| path.display().to_string();
    let (certificate, key) = (file(certificates.certificate()), file(certificates.key()));
    Shell::new().with("TLS_CERT_FILE", &certificate).with("TLS_KEY_FILE", &key)
}

#[test]
fn doctor_checks_certificate_and_key() {
    let certificates = Certificates::new();
    let shell = with_tls(&certificates).with("PORT", "0");
    let arguments = ["doctor", "--signup=operator"];
    assert_has(&shell.run(&arguments).healthy(), "ok tls", "key and certificate belong together");
    certificates.write(&certificates.issue(|server| server.not_after = rcgen::date_time_ymd(2020, 1, 2)));
    fs::set_permissions(certificates.key(), fs::Permissions::from_mode(0o640)).unwrap();
    let text = shell.run(&arguments).healthy();
    assert_has(&text, "warn tls", "has expired (2020-01-02T00:00:00Z): renew it");
    assert_has(&text, "warn tls", "can be read by other users (mode 0640)");
    let (certificate, _) = certificates.issue(|_| {});
    fs::write(certificates.certificate(), certificate).unwrap();
    assert_has(&shell.run(&arguments).unhealthy(), "FAIL tls", "does not belong to the first certificate");
}

/// It trusts the certificate in the service's own file, for any name.
#[tokio::test]
async fn doctor_finds_running_service_with_tls() {
    let certificates = Certificates::new();
    let shell = with_tls(&certificates);
    let server = certificates.launch(Launch::on(&shell.data_dir())).start();
    let port = server.address().port().to_string();
    let shell = shell.with("PORT", &port);
    let text = tokio::task::spawn_blocking(move || shell.run(&["doctor", "--signup=operator"]).healthy())
        .await
        .unwrap();
    assert_has(&text, "ok address", "answers at 127.0.0.1:");
    assert_has(&text, "ok operator key", "the running server accepts it");
    server.stop().await;
}
