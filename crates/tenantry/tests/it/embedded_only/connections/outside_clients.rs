//! Refusals of large bodies through the clients that people have: each reads every one of them, 20 of 20.

use crate::support::app::App;
use reqwest::Method;
use std::path::Path;
use std::process::Command;

/// How often each request is sent.
const ROUNDS: usize = 20;

/// A tool that `cargo xtask tools` installs.
fn tool(name: &str) -> Command {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools").join(name);
    assert!(program.exists(), "{}: `cargo xtask tools` installs it", program.display());
    Command::new(program)
}

/// Runs a client that complains of each refusal it did not get.
async fn run(mut client: Command) {
    let app = App::start().await;
    client.arg(format!("http://{}", app.address())).arg(ROUNDS.to_string()).env("NO_PROXY", "*");
    let output = tokio::task::spawn_blocking(move || client.output()).await.unwrap().unwrap();
    let (told, complaints) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{complaints}");
    assert_eq!(told.trim(), "all refusals arrived");
}

#[tokio::test(flavor = "multi_thread")]
async fn node_fetch_reads_every_early_refusal() {
    let mut node = tool("node");
    node.args(["--input-type=module", "-e", include_str!("early_refusals.mjs"), "--"]);
    run(node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_clients_read_every_early_refusal() {
    let mut python = tool("python");
    python.args(["-c", include_str!("early_refusals.py")]);
    run(python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reqwest_reads_every_early_refusal() {
    let app = App::start().await;
    for round in 0..ROUNDS {
        let body = vec![b' '; (1 + round % 5) << 20];
        for (method, path, code) in [
            (Method::POST, "/v1/organizations", "operator_key_required"),
            (Method::POST, "/v1/organizations/import", "operator_key_required"),
            (Method::POST, "/nothing", "route_not_found"),
            (Method::PUT, "/livez", "method_not_allowed"),
            (Method::POST, "/org/create", "body_too_large"),
        ] {
            let sent = Some(("application/json", body.clone()));
            app.client().send(method, path, sent).await.refused(code);
        }
        let compressed = app.client().with_header("content-encoding", "br");
        let sent = Some(("application/json", body));
        compressed.send(Method::POST, "/org/create", sent).await.refused("unsupported_media_type");
    }
}
