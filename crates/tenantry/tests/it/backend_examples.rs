//! The examples of `docs/backend.md`, run as they are printed: in the shell, in Python, Node and Rust.

use crate::support::app::App;
use crate::support::fixtures::organization;
use crate::support::keys::service_key;
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
    // Beside the directory of this test's own program.
    let built = std::env::current_exe().unwrap();
    let built = built.parent().and_then(Path::parent).unwrap().join("examples/backend");
    [("python", python, in_python), ("node", node, in_node), ("rust", rust, Command::new(built))]
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

#[test]
fn backend_page_prints_the_examples_that_run() {
    let page = std::fs::read_to_string(root().join("docs/backend.md")).unwrap();
    for (language, file, _) in examples() {
        let code = std::fs::read_to_string(&file).unwrap();
        assert!(page.contains(code.trim_end()), "{language}: {} differs from the page", file.display());
    }
}
