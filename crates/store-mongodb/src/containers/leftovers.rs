//! What a process has left that was killed or overtaken: found by its name, counted, and told to the operator.

use tenantry_domain::store::CleanupReport;

/// Counts a container that no organization has, and says so.
pub(crate) fn note_leftover(tidied: &mut CleanupReport, removed: bool, container: &str) {
    if removed {
        tidied.removed += 1;
        tracing::info!(container, "removed an empty container that no organization has");
    } else {
        tidied.quarantined += 1;
        tracing::warn!(container, "a container with documents belongs to no organization: look what it is");
    }
}

/// `text` as a regular expression that finds it and nothing else.
pub(crate) fn escape_pattern(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_alphanumeric() || c == '_' { c.to_string() } else { format!("\\{c}") })
        .collect()
}
