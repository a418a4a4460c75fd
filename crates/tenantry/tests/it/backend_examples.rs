//! The examples of `docs/guides/backend.md`, run as they are printed: in Python, Node and Rust.

use crate::support::app::App;
use crate::support::fixtures::{credentials, new_organization, organization};
use crate::support::keys::service_key;
use crate::support::process::Launch;
use crate::support::test_env::TestEnv;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The commands that run each example, and the file it is in.
fn examples() -> [(&'static str, PathBuf, Command); 3] {
    let file = |path: &str| root().join(path);
    let (python, node) = (file("examples/python/backend.py"), file("examples/node/backend.mjs"));
    let mut in_python = Command::new("python3");
    in_python.arg(&python);
    let mut in_node = Command::new(file("target/tools/node"));
    in_node.arg(&node);
    let rust = file("crates/tenantry/examples/backend.rs");
    [("python", python, in_python), ("node", node, in_node), ("rust", rust, built_example("backend"))]
}

/// An example in Rust, which is beside the directory of this test's own program.
fn built_example(name: &str) -> Command {
    let built = std::env::current_exe().unwrap();
    Command::new(built.parent().and_then(Path::parent).unwrap().join("examples").join(name))
}

/// As [`examples`], for those that check a token, each with the verifier that its language has.
fn verifiers(home: &Path) -> [(&'static str, PathBuf, Command); 3] {
    let file = |path: &str| root().join(path);
    let (python, node) = (file("examples/python/verify.py"), file("examples/node/verify.mjs"));
    let mut in_python = Command::new(file("target/tools/python"));
    in_python.arg(&python);
    // Node looks for packages beside the file.
    let copy = home.join("verify.mjs");
    std::fs::copy(&node, &copy).unwrap();
    let packages = std::fs::canonicalize(file("target/tools/javascript/node_modules")).unwrap();
    std::os::unix::fs::symlink(packages, home.join("node_modules")).unwrap();
    let mut in_node = Command::new(file("target/tools/node"));
    in_node.arg(copy);
    let rust = file("crates/tenantry/examples/verify.rs");
    [("python", python, in_python), ("node", node, in_node), ("rust", rust, built_example("verify"))]
}

async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn backend_example_writes_to_two_organizations_in_each_language() {
    let app = App::start().await;
    organization(&app, "Acme").await;
    organization(&app, "Globex").await;
    let key = service_key(&app, &["tokens:issue", "documents:read", "documents:write"]).await;
    for (number, (language, _, mut command)) in (1..).zip(examples()) {
        command
            .args(["acme", "globex"])
            .env("TENANTRY_URL", format!("http://{}", app.address()))
            .env("TENANTRY_KEY", key["key"].as_str().unwrap())
            .env("NO_PROXY", "*");
        let output = run(command).await;
        assert!(output.status.success(), "{language}: {}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        let expected = format!("acme has {number} documents\nglobex has {number} documents\n");
        assert_eq!(printed, expected, "{language}");
    }
}

/// With the clock of this machine, as the verifiers have it.
#[tokio::test(flavor = "multi_thread")]
async fn token_is_checked_by_its_public_key_in_each_language() {
    let test_env = TestEnv::new();
    let server = Launch::on(&test_env).with("--jwt-algorithm=EdDSA").start();
    let email = "owner@acme.example";
    let acme = server.client().post("/org/create", &new_organization("Acme", email)).await.created();
    let login = credentials(email, crate::support::fixtures::PASSWORD);
    let tokens = server.client().post("/admin/login", &login).await.ok();
    let good = tokens["access_token"].as_str().unwrap();
    let mut signature = good.to_owned().into_bytes();
    let changed = signature.len() - 10;
    signature[changed] = if signature[changed] == b'A' { b'B' } else { b'A' };
    let bad = String::from_utf8(signature).unwrap();
    let expected = format!("{} in {}\n", acme["admin_id"].as_str().unwrap(), acme["id"].as_str().unwrap());
    let check = async |token: &str| {
        let home = tempfile::tempdir().unwrap();
        let mut found = Vec::new();
        for (language, _, mut command) in verifiers(home.path()) {
            command
                .arg(token)
                .env("TENANTRY_URL", format!("http://{}", server.address()))
                .env("NO_PROXY", "*");
            found.push((language, run(command).await));
        }
        found
    };
    for (language, output) in check(good).await {
        assert!(output.status.success(), "{language}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{language}");
    }
    for (language, output) in check(&bad).await {
        assert!(!output.status.success(), "{language} takes a changed token");
    }
    // Once its key is retired, who reads the key set refuses it.
    let keys = server.operator().get("/v1/signing-keys").await.ok();
    let current = keys["items"].as_array().unwrap().iter().find(|key| key["state"] == "current").unwrap();
    server.operator().delete(&format!("/v1/signing-keys/{}", current["kid"].as_str().unwrap())).await.ok();
    for (language, output) in check(good).await {
        assert!(!output.status.success(), "{language} takes a token of a retired key");
    }
    server.stop().await;
}

#[test]
fn backend_page_prints_the_examples_that_run() {
    let page = std::fs::read_to_string(root().join("docs/guides/backend.md")).unwrap();
    let home = tempfile::tempdir().unwrap();
    for (language, file, _) in examples().into_iter().chain(verifiers(home.path())) {
        let code = std::fs::read_to_string(&file).unwrap();
        assert!(page.contains(code.trim_end()), "{language}: {} differs from the page", file.display());
    }
}
