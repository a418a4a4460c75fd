//! `tenantry audit`.

use super::org::{beside_a_server, create};
use std::fs;

#[test]
fn audit_commands_list_export_and_verify_a_chain() {
    let (shell, _server) = beside_a_server();
    assert!(shell.run(&["audit", "verify"]).done().contains("no entry"));
    create(&shell, "Acme", "admin@acme.com");
    shell.run(&["key", "create", "--name", "billing", "--permission", "tokens:issue"]).done();

    let listed = shell.run(&["audit", "list", "acme"]).done();
    assert!(listed.contains("organization.created") && !listed.contains("key.created"), "{listed}");
    let installation = shell.run(&["audit", "list", "--action", "key.created"]).done();
    assert!(installation.contains("key.created") && installation.contains("name=billing"), "{installation}");
    let json = shell.run(&["audit", "list", "acme", "--json", "--limit", "1"]).json();
    assert_eq!(json[0]["action"], "organization.created");

    let verified = shell.run(&["audit", "verify", "acme"]).done();
    assert!(
        verified.contains("is whole: 1 entries") && verified.contains("Without a checkpoint"),
        "{verified}"
    );
    shell.run(&["org", "suspend", "acme"]).done();
    let checkpoint = shell.home.path().join("acme.checkpoint");
    fs::write(&checkpoint, shell.run(&["audit", "checkpoint", "acme"]).done()).unwrap();
    let checkpoint = checkpoint.to_str().unwrap();
    shell.run(&["org", "reactivate", "acme"]).done();
    let verified = shell.run(&["audit", "verify", "acme", "--checkpoint", checkpoint]).done();
    assert!(
        verified.contains("3 entries") && verified.contains("It agrees with the checkpoint"),
        "{verified}"
    );

    let chain = shell.run(&["audit", "export", "acme"]).done();
    let file = shell.home.path().join("acme.ndjson");
    let verify = |text: &str| {
        fs::write(&file, text).unwrap();
        shell.run(&["audit", "verify", "--file", file.to_str().unwrap(), "--checkpoint", checkpoint])
    };
    assert!(verify(&chain).done().contains("is whole"));
    let lines: Vec<&str> = chain.lines().collect();
    assert!(verify(&chain.replacen("operator", "anonymous", 1)).refused().contains("broken at entry 1"));
    assert!(verify(&[lines[0], lines[2]].join("\n")).refused().contains("broken at entry 3"));
    assert!(verify(lines[0]).refused().contains("cut off"));
    assert!(verify("not an entry\n").refused().contains("Line 1"));
    assert!(verify(&format!("\u{feff}{chain}")).done().contains("is whole"));
    let listed = verify(&format!("[{chain}]")).refused();
    assert!(listed.contains("is a JSON array, not an entry of an audit chain"), "{listed}");
    let zipped = verify("PK\u{3}\u{4}\n").refused();
    assert!(zipped.contains("is a ZIP archive") && !zipped.contains("the chain was changed"), "{zipped}");
}
