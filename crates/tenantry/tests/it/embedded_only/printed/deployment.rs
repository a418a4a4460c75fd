//! The commands in the heads of the files of `deploy`, run as they are printed: with programs in the place of `docker` and
//! `kubectl` that do what the commands ask of them.

use crate::support::printed::{Shell, root};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const COMPOSE: &str = "deploy/compose/mongodb.yaml";
const KUBERNETES: &str = "deploy/kubernetes/mongodb.yaml";
/// Heads with commands that no test here runs, and why.
const OTHERWISE: [(&str, &str); 5] = [
    ("deploy/Caddyfile", "settings, which the tests of the samples for proxies give"),
    ("deploy/compose/embedded.yaml", "starts containers; `cargo xtask ci package` starts the processes"),
    ("deploy/docker/Dockerfile", "builds an image; `cargo xtask ci package` runs its instructions"),
    ("deploy/haproxy.cfg", "settings, which the tests of the samples for proxies give"),
    ("deploy/nginx.conf", "settings, which the tests of the samples for proxies give"),
];

/// The commands in the head of a file: comment lines that are indented.
fn head(file: &str) -> String {
    let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
    let head = text.lines().take_while(|line| line.starts_with('#'));
    head.filter_map(|line| line.strip_prefix("#   ")).map(|line| format!("{line}\n")).collect()
}

/// A shell in which `name` is this script.
fn shell_with(name: &str, script: &str) -> Shell {
    let shell = Shell::new();
    let programs = shell.home().join("programs");
    std::fs::create_dir(&programs).unwrap();
    std::fs::write(programs.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(programs.join(name), Permissions::from_mode(0o755)).unwrap();
    let tenantry = Path::new(env!("CARGO_BIN_EXE_tenantry")).parent().unwrap();
    let path = format!("{}:{}:/usr/local/bin:/usr/bin:/bin", programs.display(), tenantry.display());
    shell.with("PATH", &path)
}

#[test]
fn heads_of_deploy_are_run_or_have_a_reason() {
    fn files(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                files(&entry.path(), found);
            } else {
                found.push(entry.path().strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut all = Vec::new();
    files(&root().join("deploy"), &mut all);
    let mut with_commands: Vec<String> = all.into_iter().filter(|file| !head(file).is_empty()).collect();
    with_commands.sort();
    let mut known: Vec<&str> = OTHERWISE.iter().map(|(file, _)| *file).chain([COMPOSE, KUBERNETES]).collect();
    known.sort_unstable();
    assert_eq!(with_commands, known);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_compose_file_are_made_as_printed() {
    // `docker run --rm IMAGE ARGUMENTS` is the binary with these arguments.
    let docker = r#"case "$1" in run) shift 3; exec tenantry "$@" ;; compose) echo "up $3" ;; esac"#;
    let shell = shell_with("docker", docker);
    std::fs::create_dir_all(shell.home().join("deploy/compose")).unwrap();
    let said = shell.run(&head(COMPOSE)).await;
    let file = said.trim().strip_prefix("up ").unwrap();
    assert_eq!(format!("deploy/compose/{file}"), COMPOSE);

    let secrets = shell.home().join("deploy/compose/secrets");
    let read = |name: &str| std::fs::read_to_string(secrets.join(name)).unwrap().trim().to_owned();
    let text = std::fs::read_to_string(root().join(COMPOSE)).unwrap();
    for entry in std::fs::read_dir(&secrets).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        assert!(text.contains(&format!("file: ./secrets/{name}\n")), "{COMPOSE} does not read {name}");
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o644, "{name}");
    }
    assert_eq!(text.matches("file: ./secrets/").count(), 3);
    let uri = read("mongo-uri");
    let hosts = uri.strip_prefix("mongodb://").and_then(|rest| rest.split_once('/')).unwrap().0;
    for host in hosts.split(',') {
        let service = host.strip_suffix(":27017").unwrap();
        assert!(text.contains(&format!("\n  {service}:\n")), "{COMPOSE} has no service {service}");
    }
    let serve =
        "cd deploy/compose/secrets\nJWT_SECRET_FILE=jwt-secret OPERATOR_KEY_FILE=operator-key tenantry";
    let served = shell.serve(serve).await;
    served.client().with_token(&read("operator-key")).get("/v1/organizations").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_manifest_are_made_as_printed() {
    let shell = shell_with("kubectl", r#"printf '%s\n' "$@""#);
    let said = shell.run(&head(KUBERNETES)).await;
    let arguments: Vec<&str> = said.lines().collect();
    let [create, secret, generic, name, literals @ ..] = &arguments[..] else { panic!("{said}") };
    assert_eq!((*create, *secret, *generic), ("create", "secret", "generic"));
    let text = std::fs::read_to_string(root().join(KUBERNETES)).unwrap();
    assert!(text.contains(&format!("secretName: {name}\n")), "{KUBERNETES} reads another secret than {name}");
    let mut names = Vec::new();
    for literal in literals {
        let (name, value) = literal.strip_prefix("--from-literal=").unwrap().split_once('=').unwrap();
        assert!(text.contains(&format!("/{name}}}")), "{KUBERNETES} does not read {name}");
        shell.file(name, value);
        names.push(name);
    }
    assert_eq!(names, ["mongo-uri", "jwt-secret", "operator-key"]);
    let served = shell.serve("JWT_SECRET_FILE=jwt-secret OPERATOR_KEY_FILE=operator-key tenantry").await;
    let key = std::fs::read_to_string(shell.home().join("operator-key")).unwrap();
    served.client().with_token(&key).get("/v1/organizations").await.ok();
}
