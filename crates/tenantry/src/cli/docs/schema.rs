//! The page of schema steps, from the lists that the engines run.

use std::fmt::Write;
#[cfg(feature = "mongodb")]
use tenantry_store::MONGODB_SCHEMA_STEPS;
use tenantry_store::{CONTAINER_SCHEMA_STEPS, CONTROL_SCHEMA_STEPS};

const HEAD: &str = "\
<!-- Generated from the lists of steps of the engines by `cargo xtask generate`: change them there. -->

# Schema steps

A start brings the schema to the newest version, step by step. [Upgrading](guides/upgrading.md) says how to rehearse that.
A step that was released never changes: a later version adds one.
";

/// The page.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    table(
        &mut page,
        "Embedded engine: control.db",
        "All steps run in one transaction at the start.",
        CONTROL_SCHEMA_STEPS,
    );
    table(
        &mut page,
        "Embedded engine: the file of an organization",
        "All steps run in one transaction when the file is opened.",
        CONTAINER_SCHEMA_STEPS,
    );
    #[cfg(feature = "mongodb")]
    table(
        &mut page,
        "MongoDB",
        "Each step may run twice, and on two instances at once; the version is saved after the last one.",
        MONGODB_SCHEMA_STEPS,
    );
    page
}

fn table(page: &mut String, title: &str, when: &str, steps: &[&str]) {
    let _ = write!(page, "\n## {title}\n\n{when}\n\n| to version | for |\n|---|---|\n");
    for (version, step) in (1..).zip(steps) {
        let _ = writeln!(page, "| {version} | {step} |");
    }
}
