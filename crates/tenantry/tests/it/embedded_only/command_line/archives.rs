//! `tenantry org export` and `tenantry org import`.

use super::Shell;
use super::org::{beside_a_server, create, talking_to};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::thread;

/// The files in the shell's directory, without what belongs to the server.
fn files(shell: &Shell) -> Vec<String> {
    let entries = fs::read_dir(shell.home.path()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "data");
    names.sort();
    names
}

#[test]
fn export_and_import_commands_round_trip_through_file() {
    let (shell, _server) = beside_a_server();
    create(&shell, "Acme Corp", "admin@acme.com");
    let told = shell.run(&["org", "export", "Acme Corp"]).done();
    let (people, entries) = told.trim_end().rsplit_once(' ').unwrap();
    let expected = "Exported to acme-corp.ndjson: collections 1, documents 0, members 1, roles 0, API keys 0, audit entries";
    assert_eq!(people, expected);
    assert!(entries.trim_end_matches('.').parse::<u64>().unwrap() >= 2, "{told}");
    assert_eq!(files(&shell), ["acme-corp.ndjson"]);
    let file = shell.home.path().join("acme-corp.ndjson");
    // The hash of a password is in it.
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let json = shell.run(&["org", "export", "acme-corp", "--output", "again", "--json"]).json();
    assert_eq!((&json["file"], &json["documents"]), (&"again".into(), &0.into()));
    let printed = shell.run(&["org", "export", "acme-corp", "--output", "-"]).done();
    let lines = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let written = fs::read_to_string(&file).unwrap();
    // All but the time in the first line, and the checksum over that.
    assert_eq!(lines(&printed)[..3], lines(&written)[..3]);
    assert!(printed.lines().last().unwrap().starts_with("{\"end\":"), "{printed}");

    let refused = shell.run(&["org", "import", "acme-corp.ndjson"]).refused();
    assert!(refused.contains("\ncode: organization_exists\nrequest id: "), "{refused}");
    let arguments =
        ["--new-id", "--name", "Copy", "--owner-email", "copy@acme.com", "--placement", "database"];
    let told = shell.run(&[&["org", "import", "acme-corp.ndjson"][..], &arguments].concat()).done();
    let counts = "Imported Copy.\nMembers 1, invitations 0, roles 0, API keys 0, audit entries ";
    assert!(told.starts_with(counts) && told.contains("copy@acme.com"), "{told}");
    let verified = shell.run(&["audit", "verify", "copy"]).done();
    assert!(
        verified.contains("The trail ") && verified.contains("that an import has brought along"),
        "{verified}"
    );
    let none =
        shell.run(&["org", "export", "acme-corp", "--output", "silent", "--no-audit", "--json"]).json();
    assert_eq!((&none["audit_entries"], &none["members"]), (&0.into(), &1.into()));
    shell.run(&["org", "delete", "acme-corp", "--purge", "--yes"]).done();
    let told = shell.run_with(&["org", "import", "-", "--json"], &printed).json();
    assert_eq!(told["organization_name"], "Acme Corp");
}

#[test]
fn export_file_is_written_whole_or_not_at_all() {
    let (shell, _server) = beside_a_server();
    create(&shell, "Acme", "admin@acme.com");
    shell.run(&["org", "export", "acme", "--output", "kept"]).done();
    let before = fs::read(shell.home.path().join("kept")).unwrap();
    let refused = shell.run(&["org", "export", "acme", "--output", "kept"]).refused();
    assert_eq!(refused, "tenantry: kept is there already: name another file.\n");
    assert_eq!(fs::read(shell.home.path().join("kept")).unwrap(), before);
    let refused = shell.run(&["org", "export", "nobody"]).refused();
    assert!(refused.contains("code: organization_not_found"), "{refused}");
    let refused = shell.run(&["org", "export", "acme", "--output", "no/where"]).refused();
    assert!(refused.starts_with("tenantry: no/where cannot be written: "), "{refused}");
    assert_eq!(files(&shell), ["kept"]);
}

#[test]
fn export_that_breaks_off_leaves_no_file() {
    let (shell, _server) = beside_a_server();
    create(&shell, "Acme", "admin@acme.com");
    let archive = shell.run(&["org", "export", "acme", "--output", "-"]).done();
    for cut in [0, 10, archive.len() / 2, archive.len() - 2] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sent = archive[..cut].to_owned();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n";
            stream.write_all(format!("{head}{sent}").as_bytes()).unwrap();
        });
        let shell = talking_to(&url);
        let refused = shell.run(&["org", "export", "acme"]).refused();
        assert!(refused.starts_with("tenantry: Line "), "{refused}");
        assert_eq!(files(&shell), [""; 0]);
        server.join().unwrap();
    }
}

/// The server refuses it by its second line, while most of it is still to be sent.
#[test]
fn import_of_large_archive_refused_early_shows_reason() {
    let (shell, _server) = beside_a_server();
    create(&shell, "Acme", "admin@acme.com");
    let archive = shell.run(&["org", "export", "acme", "--output", "-"]).done();
    let document = format!("{{\"document\":{{\"text\":\"{}\"}}}}\n", "x".repeat(1000));
    let mut lines: Vec<&str> = archive.split_inclusive('\n').collect();
    let many = document.repeat(20_000);
    lines.insert(3, &many);
    fs::write(shell.home.path().join("large"), lines.concat()).unwrap();
    for _ in 0..5 {
        let refused = shell.run(&["org", "import", "large"]).refused();
        assert!(refused.contains("\ncode: organization_exists\n"), "{refused}");
    }
}

/// The server refuses it by its head, before it has read anything of the archive.
#[test]
fn import_refused_by_its_head_shows_reason_and_no_broken_pipe() {
    let (shell, server) = beside_a_server();
    let document = format!("{{\"document\":{{\"text\":\"{}\"}}}}\n", "x".repeat(1000));
    for round in 0..20 {
        fs::write(shell.home.path().join("large"), document.repeat(1000 * (1 + round % 5))).unwrap();
        let unknown_network =
            Shell { environment: shell.environment.clone(), home: tempfile::tempdir().unwrap() }
                .with("OPERATOR_KEY", "tenantry_operator_key-of-another-server");
        let path = shell.home.path().join("large").display().to_string();
        let refused = unknown_network.run(&["org", "import", &path]).refused();
        assert!(refused.contains("\ncode: operator_key_invalid\n"), "{refused}");
        let refused = shell.run(&["org", "import", "large", "--owner-email", "nobody"]).refused();
        assert!(refused.contains("\ncode: invalid_input\n"), "{refused}");
    }
    drop(server);
}

#[test]
fn import_that_is_refused_shows_reason_and_leaves_nothing() {
    let (shell, _server) = beside_a_server();
    create(&shell, "Acme", "admin@acme.com");
    let archive = shell.run(&["org", "export", "acme", "--output", "-"]).done();
    shell.run(&["org", "delete", "acme", "--purge", "--yes"]).done();
    fs::write(shell.home.path().join("cut"), &archive[..archive.len() - 20]).unwrap();
    let refused = shell.run(&["org", "import", "cut"]).refused();
    assert!(refused.starts_with("tenantry: Line 9 of the archive: "), "{refused}");
    assert!(refused.contains("\ncode: archive_invalid\n"), "{refused}");
    let refused = shell.run(&["org", "import", "nowhere"]).refused();
    assert!(refused.starts_with("tenantry: nowhere cannot be read: "), "{refused}");
    assert_eq!(shell.run(&["org", "list", "--deleted"]).done(), "No organizations.\n");
    shell.run_with(&["org", "import", "-"], &archive).done();
}
