//! `tenantry org`.

mod scripted_server;

use super::Shell;
use crate::support::process::{Launch, Server};
use crate::support::terminal::Terminal;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::Stdio;

const PASSWORD: &str = "correct horse battery";

/// A shell on the machine of a running server.
pub fn beside_a_server() -> (Shell, Server) {
    let shell = Shell::new();
    let server = Launch::on(&shell.data_dir()).start();
    let url = format!("http://{}", server.address());
    (shell.with("SERVER_URL", &url), server)
}

/// A shell whose commands talk to `url`, with a key that looks like one.
pub fn talking_to(url: &str) -> Shell {
    Shell::new().with("SERVER_URL", url).with("OPERATOR_KEY", "tenantry_operator_key-of-a-test")
}

/// Creates an organization; its id.
pub fn create(shell: &Shell, name: &str, email: &str) -> String {
    let arguments = ["org", "create", "--name", name, "--email", email, "--password-stdin", "--json"];
    let made = shell.run_with(&arguments, &format!("{PASSWORD}\n")).json();
    made["id"].as_str().unwrap().to_owned()
}

/// The value beside `label` in a list of details.
#[track_caller]
fn detail<'a>(text: &'a str, label: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix("  "));
    line.unwrap_or_else(|| panic!("there is no {label} in\n{text}")).trim_start()
}

#[test]
fn org_commands_cover_life_from_create_to_purge() {
    let (shell, _server) = beside_a_server();
    let arguments = ["org", "create", "--name", "Acme Corp", "--email", "admin@acme.com", "--password-stdin"];
    let made = shell.run_with(&arguments, &format!("{PASSWORD}\n")).done();
    assert!(made.starts_with("Created Acme Corp.\n\n"), "{made}");
    assert_eq!(detail(&made, "identifier"), "acme-corp");
    assert_eq!(detail(&made, "admin"), "admin@acme.com");
    assert!(detail(&made, "created").ends_with(" UTC"));
    let id = detail(&made, "id").to_owned();

    for name in [id.as_str(), "acme-corp", "Acme Corp", "  ACME   corp!"] {
        assert_eq!(detail(&shell.run(&["org", "show", name]).done(), "id"), id, "{name}");
    }
    let renamed = shell.run(&["org", "rename", "Acme Corp", "Acme Global Inc"]).done();
    assert_eq!(detail(&renamed, "container"), "tenant_acme_global_inc");

    assert_eq!(detail(&shell.run(&["org", "suspend", &id]).done(), "status"), "suspended");
    assert_eq!(detail(&shell.run(&["org", "reactivate", &id]).done(), "status"), "active");

    let protected = shell.run(&["org", "set", &id, "--delete-protection", "on"]).done();
    assert_eq!(detail(&protected, "delete protection"), "on");
    let refused = shell.run(&["org", "delete", &id, "--yes"]).refused();
    assert!(refused.contains("\ncode: delete_protected\nrequest id: "), "{refused}");
    shell.run(&["org", "set", &id, "--delete-protection", "off", "--legal-hold", "on"]).done();

    let limits = ["--documents", "1000", "--bytes", "2048", "--collections", "10", "--index-bytes", "4096"];
    shell.run(&[&["org", "quota", &id], &limits[..]].concat()).done();
    let limited = shell.run(&["org", "quota", "Acme Global Inc", "--bytes", "none"]).done();
    let quota = ["document quota", "byte quota", "collection quota", "index byte quota"];
    assert_eq!(quota.map(|label| detail(&limited, label)), ["1000", "none", "10", "4096"]);
    for number in ["18446744073709551615", "9007199254740993", "-1", "1.5", "many"] {
        let wrong = shell.run(&["org", "quota", &id, &format!("--documents={number}")]);
        assert_eq!(wrong.code, Some(2), "{wrong:?}");
        assert!(wrong.stderr.contains("9007199254740992"), "{wrong:?}");
    }

    let deleted = shell.run(&["org", "delete", "acme-global-inc", "--yes"]).done();
    assert!(deleted.contains(&format!("`tenantry org restore {id}` brings it back")), "{deleted}");
    assert!(shell.run(&["org", "show", "acme-global-inc"]).refused().contains("organization_not_found"));
    assert!(shell.run(&["org", "purge", &id, "--yes"]).refused().contains("code: legal_hold"));
    let restored =
        shell.run(&["org", "restore", &id, "--name", "Acme Again", "--email", "a@acme.com"]).done();
    assert_eq!((detail(&restored, "name"), detail(&restored, "admin")), ("Acme Again", "a@acme.com"));

    shell.run(&["org", "set", &id, "--legal-hold", "off"]).done();
    shell.run(&["org", "delete", &id, "--yes"]).done();
    assert_eq!(shell.run(&["org", "purge", &id, "--yes"]).done(), "Purged: nothing of it is left.\n");
    assert!(shell.run(&["org", "show", &id]).refused().contains("organization_not_found"));
}

#[test]
fn set_password_command_reads_pipe_and_shows_no_password() {
    const NEW_PASSWORD: &str = "another horse battery";
    let (shell, server) = beside_a_server();
    let id = create(&shell, "Acme Corp", "admin@acme.com");
    let arguments = ["org", "set-password", "Acme Corp", "--password-stdin"];
    let told = shell.run_with(&arguments, &format!("{NEW_PASSWORD}\r\n")).done();
    assert!(told.starts_with("admin@acme.com of Acme Corp has a new password;"), "{told}");
    assert_eq!(detail(&told, "id"), id);
    let refused = shell.run_with(&arguments, "short\n").refused();
    assert!(refused.contains("invalid_input"), "{refused}");
    assert!(shell.run(&["org", "set-password", "acme-corp"]).misused().contains("--password-stdin"));
    for text in [told, refused, server.log()] {
        assert!(!text.contains(NEW_PASSWORD), "{text}");
    }
    // Nor is there a flag that could show it to others.
    let help = shell.run(&["org", "set-password", "--help"]).done();
    assert!(!help.contains("--password "), "{help}");
}

#[test]
fn delete_command_with_purge_waits_until_nothing_is_left() {
    let (shell, _server) = beside_a_server();
    let id = create(&shell, "Acme", "admin@acme.com");
    let purged = shell.run(&["org", "delete", "Acme", "--purge", "--yes"]).done();
    assert_eq!(purged, "Purged: nothing of it is left.\n");
    assert!(shell.run(&["org", "show", &id]).refused().contains("organization_not_found"));
    assert_eq!(shell.run(&["org", "list", "--deleted"]).done(), "No organizations.\n");
}

#[test]
fn list_command_prints_table_or_json_array() {
    let (shell, _server) = beside_a_server();
    assert_eq!(shell.run(&["org", "list"]).done(), "No organizations.\n");
    assert_eq!(shell.run(&["org", "list", "--json"]).json(), json!([]));
    let techs = [("Tech B", "b@x.example"), ("tech a", "a@x.example")];
    let techs = techs.map(|(name, email)| create(&shell, name, email));
    let other = create(&shell, "株式会社", "z@x.example");
    shell.run(&["org", "delete", &other, "--yes"]).done();

    let table = shell.run(&["org", "list"]).done();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[0].starts_with("ID  ") && lines[0].ends_with("NAME"), "{table}");
    assert!(lines[1].starts_with(&techs[1]) && lines[1].ends_with("tech a"), "{table}");
    let name_at = lines[0].find("NAME").unwrap();
    assert!(lines[1..].iter().all(|line| line[name_at..].to_lowercase().starts_with("tech")), "{table}");

    let names = |arguments: &[&str]| {
        let list = shell.run(&[&["org", "list", "--json"], arguments].concat()).json();
        let names = list.as_array().unwrap().iter().map(|item| item["organization_name"].clone());
        Value::Array(names.collect())
    };
    assert_eq!(names(&[]), json!(["tech a", "Tech B"]));
    assert_eq!(names(&["--name-prefix", "TECH  b"]), json!(["Tech B"]));
    assert_eq!(names(&["--status", "deleted"]), json!(["株式会社"]));
    assert_eq!(names(&["--deleted"]).as_array().unwrap().len(), 3);
    assert_eq!(names(&["--status", "suspended"]), json!([]));
}

#[test]
fn org_commands_print_json_of_server_with_json_flag() {
    let (shell, _server) = beside_a_server();
    let id = create(&shell, "Acme", "admin@acme.com");
    let shown = shell.run(&["org", "show", &id, "--json"]).json();
    assert_eq!((&shown["id"], &shown["legal_hold"]), (&json!(id), &json!(false)));
    let changed = shell.run(&["org", "--json", "rename", &id, "Acme B"]).json();
    assert_eq!(changed["organization_identifier"], "acme-b");
    let deleted = shell.run(&["org", "delete", &id, "--yes", "--json"]).json();
    assert_eq!(deleted["status"], "deleted");
    let purged = shell.run(&["org", "purge", &id, "--yes", "--json"]).json();
    assert_eq!((&purged["kind"], &purged["state"]), (&json!("purge"), &json!("succeeded")));
}

#[test]
fn org_command_lists_every_refused_field() {
    let (shell, _server) = beside_a_server();
    let arguments = ["org", "create", "--name", "x", "--email", "nobody", "--password-stdin"];
    let told = shell.run_with(&arguments, "short\r\n").refused();
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("tenantry: The request has invalid fields."), "{told}");
    for (line, field) in lines[1..4].iter().zip(["organization_name", "email", "password"]) {
        assert!(line.starts_with(&format!("  {field}: ")), "{told}");
    }
    assert_eq!(lines[4], "code: invalid_input");
    assert!(lines[5].starts_with("request id: ") && lines.len() == 6, "{told}");
    assert!(!told.contains("short\r"), "{told}");
}

#[test]
fn create_command_password_from_pipe_signs_in() {
    let (shell, server) = beside_a_server();
    for (number, input) in
        [PASSWORD.to_owned(), format!("{PASSWORD}\n"), format!("{PASSWORD}\r\n")].iter().enumerate()
    {
        let (name, email) = (format!("Acme {number}"), format!("admin{number}@acme.com"));
        let arguments = ["org", "create", "--name", &name, "--email", &email, "--password-stdin"];
        shell.run_with(&arguments, input).done();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let credentials = json!({ "email": email, "password": PASSWORD });
        runtime.block_on(async { server.client().post("/admin/login", &credentials).await.ok() });
    }
}

/// A wrong key is refused; what is no key at all is not sent.
#[test]
fn operator_key_that_is_wrong_is_refused_or_not_sent() {
    let (shell, _server) = beside_a_server();
    let shell = shell.with("OPERATOR_KEY", "tenantry_operator_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert!(shell.run(&["org", "list"]).refused().contains("\ncode: operator_key_invalid\n"));
    let token = shell.run(&["org", "list", "--operator-key", "eyJ.a.token"]).refused();
    assert!(token.contains("one begins with tnt_operator_") && !token.contains("eyJ"), "{token}");
}

#[test]
fn org_command_without_key_says_where_to_find_one() {
    let shell = Shell::new();
    let told = shell.run(&["org", "list"]).refused();
    assert!(told.contains("OPERATOR_KEY") && told.contains("data/operator.key cannot be read"), "{told}");
}

#[test]
fn org_command_without_server_says_how_to_start_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let told = talking_to(&url).run(&["org", "list"]).refused();
    assert!(told.contains(&format!("No server answers at {url}/")), "{told}");
    assert!(told.contains("`tenantry serve`") && told.contains("SERVER_URL"), "{told}");
}

#[test]
fn org_command_ignores_errors_in_service_settings() {
    let (shell, _server) = beside_a_server();
    std::fs::write(shell.home.path().join(".env"), "MONGO_URI=mongodb://localhost\nPORT=x\n").unwrap();
    shell.run(&["org", "list"]).done();
    let told = shell.with("SERVER_URL", "localhost").run(&["org", "list"]).refused();
    assert!(told.starts_with("tenantry: SERVER_URL in the environment must be "), "{told}");
}

#[test]
fn org_command_misuse_exits_with_2() {
    let shell = talking_to("http://127.0.0.1:1");
    let create = ["org", "create", "--name", "Acme", "--email", "a@acme.com"];
    assert!(shell.run(&create).misused().contains("--password-stdin"));
    for (arguments, part) in [
        (&["org", "delete", "acme"][..], "--yes"),
        (&["org", "purge", "674f1c2e9b1d4a0c5e8f7a6b"], "--yes"),
        (&["org", "purge", "acme", "--yes"], "24 hex digits"),
        (&["org", "restore", "acme"], "24 hex digits"),
        (&["org", "show", "!"], "2 to 120 characters"),
        (&["org", "set", "acme"], "--legal-hold"),
        (&["org", "set", "acme", "--legal-hold", "yes"], "`on` or `off`"),
        (&["org", "list", "--status", "gone"], "suspended"),
        (&["org", "list", "--limit", "0"], "--limit"),
        (&["org", "create", "--password", "secret"], "--password"),
        (&["org"], "Usage: tenantry org"),
    ] {
        let told = shell.run(arguments).misused();
        assert!(told.contains(part), "{arguments:?}: {told}");
    }
}

#[test]
fn list_command_with_closed_stdout_is_no_error() {
    let (shell, _server) = beside_a_server();
    let mut child =
        shell.command(&["org", "list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
}

#[test]
fn create_command_asks_for_password_twice_and_hides_it() {
    let (shell, _server) = beside_a_server();
    let create = ["org", "create", "--name", "Acme", "--email", "admin@acme.com"];

    let mut terminal = Terminal::start(shell.command(&create));
    terminal.expect("Password of the admin: ");
    terminal.type_line(PASSWORD);
    terminal.expect("Repeat it: ");
    terminal.type_line("another one");
    let (status, shown) = terminal.ended();
    assert_eq!(status.code(), Some(1), "{shown}");
    assert!(shown.contains("The two passwords differ.") && !shown.contains("horse"), "{shown}");

    let mut terminal = Terminal::start(shell.command(&create));
    terminal.expect("Password of the admin: ");
    terminal.press("half of it\x03");
    let (status, shown) = terminal.ended();
    assert_eq!(status.code(), Some(1), "{shown}");
    assert!(shown.contains("cancelled") && !shown.contains("half"), "{shown}");

    let mut terminal = Terminal::start(shell.command(&create));
    for question in ["Password of the admin: ", "Repeat it: "] {
        terminal.expect(question);
        terminal.type_line(PASSWORD);
    }
    terminal.expect("Created Acme.");
    let (status, shown) = terminal.ended();
    assert!(status.success() && !shown.contains(PASSWORD), "{shown}");
}

#[test]
fn set_password_command_asks_twice_and_shows_nothing() {
    let (shell, server) = beside_a_server();
    create(&shell, "Acme", "admin@acme.com");
    let mut terminal = Terminal::start(shell.command(&["org", "set-password", "acme"]));
    for question in ["New password of the owner: ", "Repeat it: "] {
        terminal.expect(question);
        terminal.type_line("another horse battery");
    }
    terminal.expect("admin@acme.com of Acme has a new password;");
    let (status, shown) = terminal.ended();
    assert!(status.success() && !shown.contains("horse") && !server.log().contains("horse"), "{shown}");
}

#[test]
fn delete_command_asks_for_identifier_first() {
    let (shell, _server) = beside_a_server();
    let id = create(&shell, "Acme Corp", "admin@acme.com");
    let delete = ["org", "delete", "Acme Corp"];
    for typed in ["yes", "", "acme"] {
        let mut terminal = Terminal::start(shell.command(&delete));
        terminal.expect("Type acme-corp to go on: ");
        terminal.type_line(typed);
        let (status, shown) = terminal.ended();
        assert!(status.code() == Some(1) && shown.contains("Nothing was changed."), "{shown}");
    }
    assert_eq!(shell.run(&["org", "show", &id, "--json"]).json()["status"], "active");

    for command in ["delete", "purge"] {
        let mut terminal = Terminal::start(shell.command(&["org", command, &id]));
        terminal.expect("Type acme-corp to go on: ");
        terminal.type_line("acme-corp");
        let (status, shown) = terminal.ended();
        assert!(status.success(), "{shown}");
    }
    assert!(shell.run(&["org", "show", &id]).refused().contains("organization_not_found"));
}
