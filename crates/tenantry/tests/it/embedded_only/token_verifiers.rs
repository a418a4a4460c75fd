//! Our access tokens before the verifiers that resource servers in JavaScript use, in their strict form: oauth4webapi and
//! express-oauth2-jwt-bearer, which hold to RFC 9068.
//!
//! oauth4webapi takes published keys alone, so a token that is signed with a shared secret (HS256) is shown to the other.

use crate::support::fixtures::{credentials, new_organization};
use crate::support::process::{Launch, Server};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::tempdir;

const SECRET: &str = "a-secret-of-a-test-that-has-more-bytes-than-the-64-of-the-longest-one";
const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "https://api.example";
const EMAIL: &str = "owner@acme.example";

/// Something that `cargo xtask tools` installs.
fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools").join(name);
    assert!(path.exists(), "{} is missing: run `cargo xtask tools`", path.display());
    path
}

/// The findings of each verifier for the token in `request`.
fn verify(request: &Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/javascript/verify_tokens.mjs");
    let mut node = Command::new(tool("node"))
        .arg(script)
        .env("MODULES", tool("javascript"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    node.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A service that signs with that algorithm, and an access token of it.
async fn token_of(home: &Path, algorithm: &str) -> (Server, String) {
    let server = Launch::on(&home.join("data"))
        .with(&format!("--jwt-algorithm={algorithm}"))
        .with(&format!("--jwt-issuer={ISSUER}"))
        .with(&format!("--jwt-audience={AUDIENCE}"))
        .env("JWT_SECRET", SECRET)
        .start();
    server.client().post("/org/create", &new_organization("Acme", EMAIL)).await.created();
    let login = credentials(EMAIL, crate::support::fixtures::PASSWORD);
    let tokens = server.client().post("/admin/login", &login).await.ok();
    let token = tokens["access_token"].as_str().unwrap().to_owned();
    (server, token)
}

#[tokio::test]
async fn strict_verifiers_accept_tokens_of_published_key() {
    let home = tempdir().unwrap();
    let (server, token) = token_of(home.path(), "EdDSA").await;
    let found = verify(&json!({
        "jwks": format!("http://{}/.well-known/jwks.json", server.address()), "secret": null,
        "algorithm": "EdDSA", "issuer": ISSUER, "audience": AUDIENCE, "token": token,
    }));
    for verifier in ["oauth4webapi", "express-oauth2-jwt-bearer"] {
        let claims = &found[verifier];
        assert_eq!((&claims["client_id"], &claims["iss"]), (&json!("tenantry"), &json!(ISSUER)), "{found}");
    }
    server.stop().await;
}

#[tokio::test]
async fn strict_verifier_accepts_tokens_of_shared_secret() {
    for algorithm in ["HS256", "HS384", "HS512"] {
        let home = tempdir().unwrap();
        let (server, token) = token_of(home.path(), algorithm).await;
        let found = verify(&json!({
            "jwks": null, "secret": SECRET,
            "algorithm": algorithm, "issuer": ISSUER, "audience": AUDIENCE, "token": token,
        }));
        assert_eq!(found["express-oauth2-jwt-bearer"]["client_id"], "tenantry", "{found}");
        server.stop().await;
    }
}
