//! What `tenantry adopt` prints.

use anyhow::Result;
use std::fmt::Write;
use tenantry_store::{AdoptProgress, AdoptReport, AdoptionTotals};

/// A line of progress.
pub fn line(step: &AdoptProgress) -> String {
    match step {
        AdoptProgress::Checked { organizations, of } => {
            format!("read the documents of {organizations} of {of} organizations")
        }
        AdoptProgress::Watching => "watching the source for writes".to_owned(),
        AdoptProgress::Adopted { organizations, of } => {
            format!("adopted {organizations} of {of} organizations")
        }
        AdoptProgress::Compared { organizations, of } => {
            format!("compared {organizations} of {of} organizations")
        }
    }
}

/// The report for programs.
///
/// # Errors
/// None that could happen.
pub fn json(report: &AdoptReport) -> Result<String> {
    Ok(serde_json::to_string_pretty(report)?)
}

/// The report for people.
pub fn text(report: &AdoptReport) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = write_report(report, &mut text);
    text
}

fn write_report(report: &AdoptReport, out: &mut String) -> std::fmt::Result {
    let AdoptReport { recognized, organizations, accounts, conflicts, notes } = report;
    writeln!(
        out,
        "Recognized: organizations in `{}`, accounts in `{}`, {}.",
        recognized.registry, recognized.accounts, recognized.data
    )?;
    for field in &recognized.fields {
        writeln!(out, "  {:22} {:24} {} of {}", field.role, field.field, field.count, field.of)?;
    }
    writeln!(out, "\nOrganizations: {}. Accounts: {accounts}.", organizations.len())?;
    for organization in organizations {
        let from =
            if organization.from.is_empty() { "(nothing)".to_owned() } else { organization.from.join(", ") };
        writeln!(
            out,
            "  {}  {:9} {:?}: {from} -> {}, documents: {}",
            organization.id,
            organization.status,
            organization.name,
            organization.tenant_collection,
            organization.documents
        )?;
    }
    if !notes.is_empty() {
        writeln!(out, "\nNotes:")?;
        notes.iter().try_for_each(|note| writeln!(out, "  {note}"))?;
    }
    if conflicts.is_empty() {
        return write!(out, "\nNo conflicts. Nothing was changed: --apply does it.");
    }
    writeln!(out, "\nConflicts:")?;
    for conflict in conflicts {
        writeln!(
            out,
            "  {}: {}. {} {}",
            conflict.kind.as_str(),
            conflict.records.join(", "),
            conflict.detail,
            conflict.advice
        )?;
    }
    write!(out, "\nConflicts: {}. Nothing was changed.", conflicts.len())
}

/// The result.
pub fn adopted(adopted: &AdoptionTotals, in_place: bool) -> String {
    let AdoptionTotals { organizations, accounts, documents } = adopted;
    let documents = documents.map_or_else(String::new, |documents| {
        format!(" Their {documents} documents are equal on both sides.")
    });
    let next = if in_place {
        "No service starts here before that is confirmed (--confirm) or taken back (--undo)."
    } else {
        "You may start the service and look. Then confirm it (--confirm), or take it back (--undo), with everything that \
         was written meanwhile."
    };
    format!("Adopted {organizations} organizations and {accounts} accounts.{documents}\n{next}")
}
