//! What the command line makes of itself: completions and manual pages.

use super::Shell;
use std::fs;
use std::process::Command;

#[test]
fn completions_complete_commands_in_bash() {
    let shell = Shell::new();
    let script = shell.home.path().join("tenantry.bash");
    fs::write(&script, shell.run(&["completions", "bash"]).done()).unwrap();
    let ask = "source \"$1\"; COMP_WORDS=(tenantry org cre); COMP_CWORD=2; \
               _tenantry tenantry cre org; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = Command::new("bash").args(["-euc", ask, "bash"]).arg(&script).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "create\n");
    for name in ["zsh", "fish", "elvish", "powershell"] {
        assert!(shell.run(&["completions", name]).done().contains("healthcheck"), "{name}");
    }
    assert!(shell.run(&["completions", "csh"]).misused().contains("bash"));
}

#[test]
fn manual_has_a_page_for_every_command() {
    let shell = Shell::new();
    let directory = shell.home.path().join("share/man1");
    let path = directory.to_str().unwrap();
    assert_eq!(shell.run(&["man", path]).done(), format!("The pages are in {path}.\n"));
    for (page, parts) in [
        ("tenantry.1", &["healthcheck"][..]),
        ("tenantry-serve.1", &["MAX_CONNECTIONS", "JWT_SECRET_FILE"]),
        ("tenantry-org-create.1", &["tenantry org create"]),
        ("tenantry-healthcheck.1", &["readyz"]),
    ] {
        let text = fs::read_to_string(directory.join(page)).unwrap().replace("\\-", "-");
        for part in parts {
            assert!(text.contains(part), "{page} has no {part}:\n{text}");
        }
    }
    assert!(shell.run(&["man"]).done().starts_with(".ie"), "the page itself, in the language of roff");

    let file = shell.home.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(shell.run(&["man", file.to_str().unwrap()]).refused().contains("cannot be written"));
}
