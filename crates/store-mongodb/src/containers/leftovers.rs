//! Leftovers of a killed or overtaken process: found by name, counted, and reported to the operator.

use tenantry_domain::store::CleanupReport;

/// Counts and logs a container that no organization has.
pub(crate) fn note_leftover(tidied: &mut CleanupReport, removed: bool, container: &str) {
    if removed {
        tidied.removed += 1;
        tracing::info!(container, "removed an empty container that no organization has");
    } else {
        tidied.quarantined += 1;
        tracing::warn!(container, "a container with documents belongs to no organization: check what it is");
    }
}

/// A regular expression that matches `text` literally.
pub(crate) fn escape_pattern(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_alphanumeric() || c == '_' { c.to_string() } else { format!("\\{c}") })
        .collect()
}
