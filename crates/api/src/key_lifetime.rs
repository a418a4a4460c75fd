//! How long a key or token may last, as requests say it: in whole seconds.

use std::time::Duration;
use tenantry_domain::limits::KEY_OVERLAP_MAX;

/// The fewest seconds until a key ends.
pub const KEY_LIFETIME_MIN: u64 = 60;
/// The most: ten years.
pub const KEY_LIFETIME_MAX: u64 = 10 * 365 * 24 * 3600;

/// Seconds until a key ends.
///
/// # Errors
/// The sentence for the field.
pub fn parse_lifetime(text: &str) -> Result<Duration, String> {
    parse_seconds(text, KEY_LIFETIME_MIN, KEY_LIFETIME_MAX)
}

/// Seconds for which the old secret of a key is still accepted.
///
/// # Errors
/// The sentence for the field.
pub fn parse_overlap(text: &str) -> Result<Duration, String> {
    parse_seconds(text, 0, KEY_OVERLAP_MAX.as_secs())
}

/// A whole number of seconds within bounds.
///
/// # Errors
/// The sentence for the field.
pub fn parse_seconds(text: &str, least: u64, most: u64) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(seconds) if (least..=most).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("Must be a whole number of seconds from {least} to {most}.")),
    }
}
