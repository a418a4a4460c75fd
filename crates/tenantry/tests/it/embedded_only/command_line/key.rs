//! `tenantry key`.

use super::org::{beside_a_server, create};

#[test]
fn key_commands_cover_life_from_create_to_revoke() {
    let (shell, _server) = beside_a_server();
    assert_eq!(shell.run(&["key", "list"]).done(), "No keys.\n");
    let id = create(&shell, "Acme", "admin@acme.com");
    let arguments = [
        "key",
        "create",
        "--name",
        "billing",
        "--permission",
        "tokens:issue",
        "--permission",
        "documents:read",
        "--only",
        "acme",
        "--expires-in",
        "3600",
    ];
    let made = shell.run(&arguments).done();
    assert!(made.starts_with("Created the service key `billing`.\n\n"), "{made}");
    assert!(made.contains(&id) && made.contains("It is not shown again:\n\ntnt_service_"), "{made}");
    let key = made.split_whitespace().last().unwrap();
    let key_id = key.split('_').nth(2).unwrap().to_owned();

    let listed = shell.run(&["key", "list"]).done();
    assert!(listed.contains(&key_id) && !listed.contains(key), "{listed}");
    let rotated = shell.run(&["key", "rotate", &key_id, "--overlap", "60"]).done();
    assert!(rotated.contains("accepted for 60 seconds more"), "{rotated}");
    assert!(rotated.contains("tnt_service_") && !rotated.contains(key), "{rotated}");

    assert_eq!(shell.run(&["key", "revoke", &key_id]).done(), format!("Revoked {key_id}.\n"));
    assert!(shell.run(&["key", "revoke", &key_id]).refused().contains("key_not_found"));
    let json = shell.run(&["key", "list", "--json"]).json();
    assert_eq!(json, serde_json::json!([]));
    assert_eq!(shell.run(&["key", "list", "--organization", "acme"]).done(), "No keys.\n");
}

#[test]
fn key_command_refuses_unknown_permission_and_id() {
    let (shell, _server) = beside_a_server();
    let wrong = shell.run(&["key", "create", "--name", "x", "--permission", "keys:write"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("tokens:issue"), "{wrong:?}");
    assert_eq!(shell.run(&["key", "revoke", "acme"]).code, Some(2));
}
