//! `tenantry signing-key`.

use super::org::beside_a_server;
use serde_json::Value;

fn kids(list: &Value, state: &str) -> Vec<String> {
    let items = list["items"].as_array().unwrap().iter();
    items.filter(|key| key["state"] == state).map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn signing_key_commands_list_rotate_and_retire() {
    let (shell, _server) = beside_a_server();
    let list = || shell.run(&["signing-key", "list", "--json"]).json();
    let (current, next) = (kids(&list(), "current").remove(0), kids(&list(), "next").remove(0));
    let table = shell.run(&["signing-key", "list"]).done();
    assert!(table.contains(&current) && table.contains("ACCEPTED UNTIL"), "{table}");
    assert!(shell.run(&["signing-key", "rotate"]).refused().contains("signing_key_unready"));
    let retired = shell.run(&["signing-key", "retire", &current]).done();
    assert!(retired.starts_with("Retired, with every token"), "{retired}");
    assert_eq!(kids(&list(), "current"), [next.as_str()]);
    shell.run(&["signing-key", "retire", "--all"]).done();
    let left = list();
    let in_use = [kids(&left, "current"), kids(&left, "next")].concat();
    assert!(in_use.len() == 2 && !in_use.contains(&next), "{left}");
    assert!(shell.run(&["signing-key", "retire", "unknown"]).refused().contains("signing_key_not_found"));
    assert_eq!(shell.run(&["signing-key", "retire"]).code, Some(2));
}
