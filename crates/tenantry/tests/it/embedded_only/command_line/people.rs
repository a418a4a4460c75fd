//! `tenantry member`, `tenantry invite`, `tenantry org owner` and `tenantry org operations`.

use super::Shell;
use super::org::{beside_a_server, create, talking_to};
use crate::support::process::Server;
use serde_json::{Value, json};
use std::net::TcpListener;

/// A shell beside a server with the organization `acme`, and the id of its owner.
fn beside_acme() -> (Shell, Server, String) {
    let (shell, server) = beside_a_server();
    create(&shell, "Acme", "admin@acme.com");
    let members = shell.run(&["member", "list", "acme", "--json"]).json();
    let owner = members[0]["account_id"].as_str().unwrap().to_owned();
    (shell, server, owner)
}

/// Makes somebody a member by an invitation; the account's id.
async fn join(shell: &Shell, server: &Server, email: &str, role: &str) -> String {
    let invited = shell.run(&["invite", "create", "acme", "--email", email, "--role", role, "--json"]).json();
    let body = json!({ "token": invited["token"], "password": "correct horse battery" });
    server.client().post("/v1/invitations/accept", &body).await.created();
    let members = shell.run(&["member", "list", "acme", "--json"]).json();
    let is_new = |member: &&Value| member["email"] == email;
    members.as_array().unwrap().iter().find(is_new).unwrap()["account_id"].as_str().unwrap().to_owned()
}

/// The words of each line of a table.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[tokio::test]
async fn member_commands_list_change_and_remove() {
    let (shell, server, owner) = beside_acme();
    let listed = shell.run(&["member", "list", "Acme"]).done();
    assert_eq!(rows(&listed)[0], ["ACCOUNT", "ROLE", "SINCE", "ADDRESS"]);
    assert_eq!((rows(&listed)[1][0], rows(&listed)[1][1]), (owner.as_str(), "owner"));
    let id = join(&shell, &server, "new@acme.com", "admin").await;

    let changed = shell.run(&["member", "set-role", "acme", "New@ACME.com", "viewer"]).done();
    assert_eq!(changed, "new@acme.com has the role viewer in acme now.\n");
    let changed = shell.run(&["member", "set-role", "acme", &id, "member", "--json"]).json();
    assert_eq!((&changed["account_id"], &changed["role"]), (&json!(id), &json!("member")));
    let again = shell.run(&["member", "set-role", "acme", &id, "member"]).done();
    assert_eq!(again, "new@acme.com has the role member in acme now.\n");

    let refused = shell.run(&["member", "remove", "acme", &owner]).refused();
    assert!(refused.contains("\ncode: last_owner\n"), "{refused}");
    let unknown = shell.run(&["member", "remove", "acme", "nobody@acme.com"]).refused();
    assert!(unknown.contains("`tenantry member list acme` lists them"), "{unknown}");
    let unknown = shell.run(&["member", "set-role", "acme", "674f1c2e9b1d4a0c5e8f7a6b", "viewer"]).refused();
    assert!(unknown.contains("\ncode: member_not_found\n"), "{unknown}");

    assert_eq!(
        shell.run(&["member", "remove", "acme", "new@acme.com"]).done(),
        "Removed new@acme.com from acme.\n"
    );
    assert_eq!(rows(&shell.run(&["member", "list", "acme"]).done()).len(), 2);
    let id = join(&shell, &server, "other@acme.com", "viewer").await;
    assert_eq!(shell.run(&["member", "remove", "acme", &id, "--json"]).json(), json!({ "removed": id }));
}

#[tokio::test]
async fn owner_commands_make_and_unmake_owners() {
    let (shell, server, owner) = beside_acme();
    let id = join(&shell, &server, "new@acme.com", "member").await;
    let owners = |shell: &Shell| {
        let listed = shell.run(&["org", "owner", "list", "acme", "--json"]).json();
        listed.as_array().unwrap().iter().map(|owner| owner["account_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(owners(&shell), [json!(owner)]);
    let refused = shell.run(&["org", "owner", "remove", "acme", "new@acme.com"]).refused();
    assert!(refused.contains("is no owner, but has the role member"), "{refused}");
    let made = shell.run(&["org", "owner", "add", "acme", "new@acme.com"]).done();
    assert_eq!(made, "new@acme.com has the role owner in acme now.\n");
    assert!(owners(&shell).contains(&json!(id)) && owners(&shell).len() == 2);
    let table = shell.run(&["org", "owner", "list", "acme"]).done();
    assert_eq!(rows(&table).len(), 3);

    let unmade = shell.run(&["org", "owner", "remove", "acme", &owner, "--role", "viewer"]).done();
    assert_eq!(unmade, "admin@acme.com has the role viewer in acme now.\n");
    let last = shell.run(&["org", "owner", "remove", "acme", "new@acme.com"]).refused();
    assert!(last.contains("\ncode: last_owner\n"), "{last}");
    assert_eq!(shell.run(&["org", "owner", "add", "acme", &owner, "--json"]).json()["role"], "owner");
    let unmade = shell.run(&["org", "owner", "remove", "acme", &owner, "--json"]).json();
    assert_eq!(unmade["role"], "admin");
}

#[test]
fn invite_commands_cover_life_from_create_to_revoke() {
    let (shell, _server, _) = beside_acme();
    assert_eq!(shell.run(&["invite", "list", "acme"]).done(), "No invitations.\n");
    let arguments =
        ["invite", "create", "acme", "--email", "new@acme.com", "--role", "owner", "--expires-in", "3600"];
    let made = shell.run(&arguments).done();
    assert!(made.starts_with("Invited new@acme.com as owner.\n\n"), "{made}");
    assert!(made.contains("It is not shown again:\n\ntnt_invitation_"), "{made}");
    let token = made.split_whitespace().last().unwrap();
    let id = token.split('_').nth(2).unwrap();
    assert!(shell.run(&arguments).refused().contains("\ncode: invitation_exists\n"));

    let listed = shell.run(&["invite", "list", "acme"]).done();
    assert_eq!(rows(&listed)[0], ["ID", "ROLE", "CREATED", "EXPIRES", "INVITER", "ADDRESS"]);
    assert_eq!((rows(&listed)[1][0], rows(&listed)[1][1]), (id, "owner"));
    assert!(listed.contains("operator") && !listed.contains(token), "{listed}");
    let renewed = shell.run(&["invite", "renew", "acme", id]).done();
    assert!(renewed.contains("The earlier token is no longer valid"), "{renewed}");
    assert!(renewed.contains(&format!("tnt_invitation_{id}_")) && !renewed.contains(token), "{renewed}");
    let renewed = shell.run(&["invite", "renew", "acme", id, "--expires-in", "60", "--json"]).json();
    assert_eq!((&renewed["id"], renewed["token"].is_string()), (&json!(id), true));

    assert_eq!(shell.run(&["invite", "revoke", "acme", id]).done(), format!("Revoked {id}.\n"));
    assert!(
        shell.run(&["invite", "revoke", "acme", id]).refused().contains("\ncode: invitation_not_found\n")
    );
    assert_eq!(shell.run(&["invite", "list", "acme", "--json"]).json(), json!([]));
}

#[test]
fn invite_command_prints_link_below_public_url() {
    let shell = Shell::new();
    let launch = crate::support::process::Launch::on(&shell.data_dir());
    let server = launch.with("--public-url=https://acme.example/t").start();
    let shell = shell.with("SERVER_URL", &format!("http://{}", server.address()));
    create(&shell, "Acme", "admin@acme.com");
    let made = shell.run(&["invite", "create", "acme", "--email", "new@acme.com", "--role", "viewer"]).done();
    assert!(made.contains("The link that carries it:\n\nhttps://acme.example/t"), "{made}");
}

#[test]
fn operations_command_lists_log_newest_first() {
    let (shell, _server, _) = beside_acme();
    shell.run(&["org", "rename", "acme", "Acme Global"]).done();
    shell.run(&["org", "suspend", "acme-global"]).done();
    let listed = shell.run(&["org", "operations", "acme-global"]).done();
    let rows = rows(&listed);
    assert_eq!(rows[0], ["ID", "BEGAN", "KIND", "STATE", "BY", "ABOUT"]);
    let kinds: Vec<_> = rows[1..].iter().map(|row| (row[4], row[5], row[6])).collect();
    let expected = ["suspend", "rename", "create"].map(|kind| (kind, "succeeded", "operator"));
    assert_eq!(kinds, expected);
    let json = shell.run(&["org", "operations", "acme-global", "--json"]).json();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["kind"]), (3, &json!("suspend")));
    let first = shell.run(&["org", "operations", "acme-global", "--limit", "1"]);
    assert_eq!(
        (first.stdout.lines().count(), first.stderr.as_str()),
        (2, "Stopped after 1; there are more.\n")
    );
    assert!(shell.run(&["org", "operations", "unknown"]).refused().contains("organization_not_found"));
}

#[test]
fn commands_about_people_that_are_misused_exit_with_2() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let shell = talking_to(&format!("http://{closed}"));
    for arguments in [
        &["member"][..],
        &["member", "list"],
        &["member", "set-role", "acme", "new@acme.com"],
        &["member", "set-role", "acme", "new@acme.com", "King"],
        &["member", "remove", "acme", "nobody"],
        &["invite", "create", "acme", "--email", "new@acme.com"],
        &["invite", "create", "acme", "--email", "new@acme.com", "--role", "viewer", "--expires-in", "0"],
        &["invite", "revoke", "acme", "1"],
        &["role"],
        &["role", "create", "acme", "billing"],
        &["role", "create", "acme", "owner", "--permission", "documents:read"],
        &["role", "create", "acme", "billing", "--permission", "owners:write"],
        &["role", "update", "acme", "billing"],
        &["org", "owner"],
        &["org", "owner", "add", "acme"],
        &["org", "operations", "acme", "--limit", "0"],
    ] {
        shell.run(arguments).misused();
    }
    assert!(shell.run(&["member", "list", "acme"]).refused().starts_with("tenantry: No server answers at "));
    let json: Value =
        serde_json::from_str(&shell.run(&["org", "owner", "list", "acme", "--json"]).refused()).unwrap();
    assert!(json["error"].is_string(), "{json}");
}

#[tokio::test]
async fn reset_link_command_gives_a_new_password() {
    let (shell, server, _) = beside_acme();
    let link = shell.run(&["member", "reset-link", "acme", "admin@acme.com", "--expires-in", "600"]).done();
    assert!(link.starts_with("A link for a new password of admin@acme.com."), "{link}");
    let token = link.split_whitespace().last().unwrap();
    assert!(token.starts_with("tnt_reset_"), "{link}");
    let body = json!({ "token": token, "new_password": "correct horse battery" });
    server.client().post("/v1/auth/reset-password", &body).await.done();
    let sign_in = json!({ "email": "admin@acme.com", "password": "correct horse battery" });
    server.client().post("/admin/login", &sign_in).await.ok();
    let json = shell.run(&["member", "reset-link", "acme", "admin@acme.com", "--json"]).json();
    assert!(json["token"].as_str().unwrap().starts_with("tnt_reset_") && json["url"].is_null(), "{json}");
    assert_eq!(
        shell.run(&["member", "reset-link", "acme", "admin@acme.com", "--expires-in", "0"]).code,
        Some(2)
    );
}

#[tokio::test]
async fn role_commands_define_change_and_delete() {
    let (shell, server, _) = beside_acme();
    assert_eq!(shell.run(&["role", "list", "acme"]).done(), "No roles of its own.\n");
    let made = shell
        .run(&[
            "role",
            "create",
            "acme",
            "billing",
            "--permission",
            "documents:read",
            "--permission",
            "audit:read",
        ])
        .done();
    assert_eq!(made, "Created the role billing of acme. It allows documents:read, audit:read.\n");
    let id = join(&shell, &server, "new@acme.com", "billing").await;
    let changed = shell.run(&["member", "set-role", "acme", &id, "viewer"]).done();
    assert_eq!(changed, "new@acme.com has the role viewer in acme now.\n");
    let changed = shell.run(&["member", "set-role", "acme", &id, "billing", "--json"]).json();
    assert_eq!(changed["role"], "billing");

    let flags = ["--permission", "documents:read", "--description", "Reads invoices"];
    let changed = shell.run(&[&["role", "update", "acme", "billing"][..], &flags].concat()).done();
    assert_eq!(changed, "Changed the role billing of acme. It allows documents:read.\n");
    let listed = shell.run(&["role", "list", "acme"]).done();
    assert_eq!(rows(&listed)[0], ["NAME", "CHANGED", "PERMISSIONS", "DESCRIPTION"]);
    assert!(listed.contains("documents:read  Reads invoices"), "{listed}");
    assert_eq!(shell.run(&["role", "list", "acme", "--json"]).json()[0]["name"], "billing");

    let refused = shell.run(&["role", "delete", "acme", "billing"]).refused();
    assert!(refused.contains("\ncode: role_in_use\n"), "{refused}");
    let refused = shell.run(&["member", "set-role", "acme", &id, "nothing"]).refused();
    assert!(refused.contains("The organization has no role `nothing`."), "{refused}");
    shell.run(&["member", "remove", "acme", &id]).done();
    assert_eq!(
        shell.run(&["role", "delete", "acme", "billing"]).done(),
        "Deleted the role billing of acme.\n"
    );
    let logged = shell.run(&["org", "operations", "acme"]).done();
    let last = &rows(&logged)[1];
    assert_eq!((last[4], last[7]), ("delete_role", "billing"), "{logged}");
}
