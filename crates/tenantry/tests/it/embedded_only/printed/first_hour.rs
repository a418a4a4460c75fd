//! The guide `docs/guides/first-hour.md`, from its first command to its last.

use crate::support::printed::{Shell, blocks};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn first_hour_runs_as_printed() {
    let all = blocks("docs/guides/first-hour.md", "sh");
    let [start, steps @ ..] = &all[..] else { panic!("{all:?}") };
    let started = Shell::new();
    let served = started.serve(start).await;
    let shell = Shell::at(served.address, &started.home().join("data"))
        .with("PORT", &served.address.port().to_string());
    let said = shell.run(&steps.concat()).await;
    let answers: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let [_, _, found, refused, of_person] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(
        (found["items"].as_array().unwrap().len(), &refused["code"]),
        (1, &"organization_not_found".into())
    );
    assert_eq!(of_person["customer"], "Ada");
    for part in [
        "Created Acme Corp.",
        "Deleted Globex.",
        "Restored Globex.",
        "organization.restored",
        "are as they were written",
        "A restore would bring",
        "the running server accepts it",
    ] {
        assert!(said.contains(part), "`{part}` is missing in\n{said}");
    }
}
