//! What is printed about backups.

use super::arguments::place;
use crate::cli::print::say;
use anyhow::Result;
use clap::ArgMatches;
use jiff::Timestamp;
use tenantry_store::backup::{BackupManifest, BackupSummary, KEY_FILES, Repository};

pub use crate::cli::doctor::size;

/// The sentences about a backup that was made.
pub fn summary(manifest: &BackupManifest) -> String {
    let BackupSummary { id, organizations, bytes, added, began, .. } = &manifest.summary;
    format!(
        "Backup {id} has {organizations} organizations, {}, of which {} are new. Every write that was acknowledged before \
         {began} is in it. {}",
        size(*bytes),
        size(*added),
        keys(&manifest.summary)
    )
}

/// Which keys are in a backup, and how it is protected.
pub fn keys(summary: &BackupSummary) -> String {
    let named = summary.keys.iter().map(|name| {
        let known = KEY_FILES.iter().find(|key| key.name == name);
        known.map_or(name.clone(), |key| format!("{} ({name})", key.what))
    });
    let named: Vec<_> = named.collect();
    let keys = if named.is_empty() {
        "It has no key files.".to_owned()
    } else {
        format!("It has {}.", named.join(" and "))
    };
    match summary.recipients.as_slice() {
        [] => keys,
        recipients => format!("{keys} Its files are encrypted to {}.", recipients.join(" and ")),
    }
}

/// The earliest and the latest moment of organizations.
pub fn moments(
    times: impl Iterator<Item = (Timestamp, Option<Timestamp>)>,
) -> Option<(Timestamp, Timestamp)> {
    times.fold(None, |range, (moment, until)| {
        let (first, last) = range.unwrap_or((moment, moment));
        Some((first.min(moment), last.max(until.unwrap_or(moment))))
    })
}

/// Lists the backups of a directory, the oldest first.
///
/// # Errors
/// The directory cannot be read, or a manifest is damaged.
pub fn list(matches: &ArgMatches) -> Result<()> {
    let repository = Repository::open(place(matches))?;
    let mut summaries = Vec::new();
    for id in repository.ids()? {
        summaries.push(repository.manifest(Some(&id))?.summary);
    }
    if matches.get_flag("json") {
        say(&serde_json::to_string_pretty(&summaries)?);
        return Ok(());
    }
    if summaries.is_empty() {
        say("There is no complete backup.");
    }
    for summary in &summaries {
        let BackupSummary { id, engine, began, organizations, bytes, added, recipients, .. } = summary;
        let protection = if recipients.is_empty() { "not encrypted" } else { "encrypted" };
        say(&format!(
            "{id}  began {began}  {engine}  organizations: {organizations}  {}, new: {}  {protection}",
            size(*bytes),
            size(*added)
        ));
    }
    Ok(())
}
