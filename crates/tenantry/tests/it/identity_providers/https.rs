//! Keys over TLS: the certificate of the provider must be of an authority that the machine trusts, and for its name.

use super::Provider;
use crate::support::fixtures::{email_for, new_organization};
use crate::support::process::Launch;
use crate::support::test_env::TestEnv;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use tenantry::system::SystemClock;

/// A server with the keys, which ends with this.
struct HttpsServer {
    process: Child,
    port: u16,
    directory: TempDir,
}

impl HttpsServer {
    fn start(keys: &Path) -> Self {
        let directory = TempDir::new().unwrap();
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/python");
        let mut process = Command::new(&python)
            .args(["-c", include_str!("../support/https_server.py")])
            .args([keys, &directory.path().join("authority.pem")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}: `cargo xtask tools` installs it", python.display()));
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let begun: Value = serde_json::from_str(&line).expect("it needs `cargo xtask tools`");
        let port = begun["port"].as_u64().unwrap().try_into().unwrap();
        Self { process, port, directory }
    }

    /// The certificate of its authority.
    fn authority(&self) -> PathBuf {
        self.directory.path().join("authority.pem")
    }
}

impl Drop for HttpsServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn keys_come_over_tls_from_a_trusted_server_alone() {
    let provider = Provider::new();
    let test_env = TestEnv::new().flag(&provider.flag());
    let server = Launch::on(&test_env).start();
    let body = new_organization("Acme", &email_for("Acme"));
    let acme = server.client().post("/org/create", &body).await.created()["id"].clone();
    let path = format!("/v1/organizations/{}", acme.as_str().unwrap());
    let body = json!({ "email": "ada@people.example", "role": "viewer" });
    let invited = server.operator().post(&format!("{path}/invitations"), &body).await.created();
    let invitation = json!({ "token": invited["token"] });
    server.stop().await;

    let keys = HttpsServer::start(&provider.file().with_file_name("keys.json"));
    let authority = keys.authority().display().to_string();
    for (host, trusts, is_accepted) in [
        ("127.0.0.1", None, false),
        ("localhost", Some(&authority), false),
        ("127.0.0.1", Some(&authority), true),
    ] {
        let mut entry = provider.entry(acme.as_str().unwrap());
        entry.as_object_mut().unwrap().remove("jwks_file");
        entry["jwks_url"] = format!("https://{host}:{}/keys", keys.port).into();
        provider.configure(&entry);
        let mut launch = Launch::on(&test_env);
        if let Some(authority) = trusts {
            launch = launch.env("SSL_CERT_FILE", authority);
        }
        let server = launch.start();
        let ada = server.client().with_token(&provider.token_at(&SystemClock, "ada"));
        let answer = ada.post("/v1/invitations/accept", &invitation).await;
        match is_accepted {
            true => drop(answer.ok()),
            false => drop(answer.refused("token_invalid")),
        }
        let log = server.log_at_its_end().await;
        let is_told =
            log.contains("keys of an identity provider could not be got") && log.contains("certificate");
        assert_eq!(is_told, !is_accepted, "{host}: {log}");
    }
}
