//! One format where one was asked for, misspelt settings, and what is allowed and seldom meant.

use super::Shell;
use crate::support::process::Launch;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

fn json_lines(text: &str) -> Vec<Value> {
    let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    text.lines().map(read).collect()
}

/// Starts the service, waits for its first line, stops it; what it printed.
fn served(shell: &Shell, arguments: &[&str]) -> (String, String) {
    let mut child = shell.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut stdout = String::new();
    output.read_line(&mut stdout).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let (mut rest, mut stderr) = (String::new(), String::new());
    output.read_to_string(&mut rest).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    child.wait().unwrap();
    (stdout + &rest, stderr)
}

#[test]
fn serve_prints_only_json_with_json_log_format() {
    let shell = Shell::new().with("PORT", "0").with("LOG_FORMAT", "json").with("RATE_LIMIT", "off");
    let (stdout, stderr) = served(&shell, &[]);
    let started = &json_lines(&stdout)[0];
    assert!(started["message"].as_str().unwrap().contains("listens on http://127.0.0.1:"), "{started}");
    for member in ["timestamp", "level", "docs", "data", "operator_key"] {
        assert!(started[member].is_string(), "{started}");
    }
    let log = json_lines(&stderr);
    assert!(
        log.iter()
            .any(|line| line["level"] == "WARN" && line["message"].as_str().unwrap().contains("RATE_LIMIT"))
    );

    // Nor does it end in another format, for any error.
    for (name, value) in [("PORT", "none"), ("DATA_DIR", "/proc/nowhere")] {
        let shell = Shell::new().with("PORT", "0").with("LOG_FORMAT", "json").with(name, value);
        let refused = json_lines(&shell.run(&["serve"]).refused());
        let refused = refused.last().unwrap();
        assert_eq!(refused["level"], "ERROR", "{refused}");
    }
}

#[test]
fn command_error_is_json_with_json_flag() {
    // A port that nobody listens on.
    let shell =
        Shell::new().with("SERVER_URL", "http://127.0.0.1:9").with("OPERATOR_KEY", "tenantry_operator_x");
    let refused = json_lines(&shell.run(&["org", "show", "acme", "--json"]).refused());
    assert!(refused[0]["error"].as_str().unwrap().contains("127.0.0.1:9"), "{refused:?}");
    assert!(!shell.run(&["org", "show", "acme"]).refused().starts_with('{'));
}

#[tokio::test]
async fn command_problem_of_server_is_json_with_json_flag() {
    let shell = Shell::new();
    let server = Launch::on(&shell.data_dir()).start();
    let shell = shell.with("SERVER_URL", &format!("http://{}", server.address()));
    let refused = json_lines(&shell.run(&["org", "show", "nobody", "--json"]).refused());
    assert_eq!(refused[0]["code"], "organization_not_found", "{refused:?}");
    assert!(refused[0]["request_id"].is_string() && refused[0]["error"].is_string(), "{refused:?}");
    server.stop().await;
}

#[test]
fn misspelt_setting_in_env_file_is_refused_with_suggestion() {
    let shell = Shell::new().with("PORT", "0").with("SIGNUP", "operator");
    let env_file = shell.home.path().join(".env");
    for (line, meant) in
        [("LOG_LEVL=debug", "LOG_LEVEL"), ("TENANTRY_PORT=1", "PORT"), ("singup=operator", "SIGNUP")]
    {
        fs::write(&env_file, format!("{line}\n")).unwrap();
        let name = line.split('=').next().unwrap();
        let refused = shell.run(&["serve"]).refused();
        assert!(
            refused.contains(&format!("{name} in .env is no setting. Did you mean {meant}?")),
            "{refused}"
        );
        let checked = shell.run(&["doctor"]);
        assert!(checked.code == Some(1) && checked.stdout.contains("FAIL"), "{checked:?}");
    }
    // Names of other programs are not ours to judge.
    fs::write(&env_file, "DATABASE_URL=postgres://x\nREDIS_PORT=1\nDEBUG=1\nPORTS=1,2\n").unwrap();
    assert!(shell.run(&["doctor"]).done().contains("all are valid"));
}

#[test]
fn misspelt_setting_in_environment_is_warned_of() {
    let shell = Shell::new().with("PORT", "0").with("DATA_DIRR", "/x").with("TENANTRY_HOST", "0.0.0.0");
    let checked = shell.run(&["doctor"]).done();
    for sentence in [
        "DATA_DIRR in the environment is no setting. Did you mean DATA_DIR?",
        "TENANTRY_HOST in the environment",
    ] {
        let words = checked.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(sentence) && checked.contains("warn"), "{checked}");
    }
    let (_, log) = served(&shell, &[]);
    assert!(log.contains("WARN") && log.contains("Did you mean DATA_DIR?"), "{log}");
    let shell = Shell::new().with("PORT", "0").with("PATH", "/bin").with("PORTS", "1").with("HOSTNAME", "h");
    let shell = shell.with("SIGNUP", "operator");
    assert!(shell.run(&["doctor"]).done().contains("all are valid"));
}

/// The check and the server warn where the address is public.
#[test]
fn open_signup_with_public_lookup_is_warned_of() {
    let public = |shell: Shell| shell.with("PORT", "0").with("HOST", "0.0.0.0");
    let shell = public(Shell::new());
    let checked = shell.run(&["doctor"]).done();
    assert!(checked.contains("warn") && checked.contains("PUBLIC_LOOKUP=full"), "{checked}");
    let (_, log) = served(&shell, &[]);
    assert!(log.contains("WARN") && log.contains("PUBLIC_LOOKUP=full"), "{log}");
    for shell in [
        public(Shell::new()).with("SIGNUP", "operator"),
        public(Shell::new()).with("PUBLIC_LOOKUP", "card"),
        Shell::new().with("PORT", "0").with("HOST", "::1"),
    ] {
        let checked = shell.run(&["doctor"]).done();
        assert!(!checked.contains("PUBLIC_LOOKUP=full"), "{checked}");
    }
}
