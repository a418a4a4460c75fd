//! The page of recorded results, and of results that are made up.

use super::*;
use crate::results::{Machine, SystemRecord};
use std::collections::BTreeMap;

fn docs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn system(name: &str, not_run: Option<&str>) -> SystemRecord {
    SystemRecord { name: name.to_owned(), version: "1.2.3".to_owned(), not_run: not_run.map(str::to_owned) }
}

/// Two systems that ran, of which one has no such work and one failed with the second number of connections.
fn made_up() -> Results {
    let values = [("per_second", 12_345.6), ("p50_ms", 0.5), ("p99_ms", 3.21), ("processor_us", 40.0)];
    let read = vec![
        Row::new("Tenantry", 1.0, &values),
        Row::new("Tenantry", 16.0, &values),
        Row::new("PocketBase", 1.0, &[values.as_slice(), &[("failed_percent", 2.5)]].concat()),
        Row::new("PocketBase", 16.0, &[("failed_percent", 100.0)]),
    ];
    let memory = [(0.0, 30.0), (1.0, 80.0), (2.0, 45.0)]
        .map(|(at, mb)| Row::new("Tenantry", at, &[("mb", mb)]))
        .to_vec();
    Results {
        quick: true,
        date: "2026-01-02".to_owned(),
        machine: Machine { cores: 2, processor: None, system: None, mongod: Some("7.0.0".to_owned()) },
        systems: vec![
            system("Tenantry", None),
            system("PocketBase", None),
            system("Eve", Some("pip: no | such\npackage")),
        ],
        sections: BTreeMap::from([("read".to_owned(), read), ("memory".to_owned(), memory)]),
    }
}

fn page(files: &[File]) -> &str {
    &files.iter().find(|(path, _)| path == PAGE).unwrap().1
}

#[test]
fn committed_report_is_made_of_recorded_results() {
    let directory = docs();
    for (path, text) in render(&recorded(&directory).unwrap()) {
        let kept = fs::read_to_string(directory.join(&path)).unwrap();
        assert!(kept == text, "docs/{path} is not what its results give: run `cargo xtask generate`");
    }
}

#[test]
fn recorded_results_name_every_system_and_section() {
    let results = recorded(&docs()).unwrap();
    let names: Vec<&str> = results.systems.iter().map(|system| system.name.as_str()).collect();
    let expected: Vec<&str> = crate::comparison::SYSTEMS.iter().map(|definition| definition.name).collect();
    assert_eq!(names, expected);
    for section in &SECTIONS {
        assert!(results.sections.contains_key(section.name), "{}", section.name);
    }
}

#[test]
fn report_says_why_a_system_did_not_run() {
    let files = render(&made_up());
    assert!(page(&files).contains("| Eve | 1.2.3 | not run: pip: no \\| such package |"));
    assert!(page(&files).contains("shortened run"));
}

#[test]
fn report_shows_values_failures_and_gaps() {
    let files = render(&made_up());
    let page = page(&files);
    assert!(page.contains("| Tenantry | 12,350/s, 0.5 ms, 3.21 ms | 12,350/s, 0.5 ms, 3.21 ms |"), "{page}");
    assert!(page.contains("| PocketBase | 12,350/s, 0.5 ms, 3.21 ms (2.5 % failed) | failed |"), "{page}");
    assert!(page.contains("| read | 12,350/s | failed |\n| list of 20 | – | – |"), "{page}");
    assert!(page.contains("| Tenantry | 30 MB | 80 MB | 45 MB |"), "{page}");
    assert!(!page.contains("Listing"), "a section without results");
}

#[test]
fn report_has_a_well_formed_plot_for_each_section() {
    let files = render(&made_up());
    let plots: Vec<&File> = files.iter().filter(|(path, _)| path != PAGE).collect();
    assert_eq!(plots.len(), 2);
    for (path, text) in plots {
        let document = roxmltree::Document::parse(text).unwrap();
        assert!(document.descendants().any(|node| node.has_tag_name("polyline")), "{path}");
        assert!(page(&files).contains(&format!("]({path})")), "{path}");
    }
}

#[test]
fn results_survive_their_file() {
    let text = serde_json::to_string(&made_up()).unwrap();
    let read: Results = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
}

#[test]
fn number_has_three_digits_and_commas() {
    let texts = [0.0, 0.1234, 5.0, 12.34, 123.4, 1234.5, 1_000_000.0].map(number);
    assert_eq!(texts, ["0", "0.123", "5", "12.3", "123", "1,234", "1,000,000"]);
}
