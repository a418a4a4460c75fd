//! What is printed about backups.

use super::arguments::place;
use crate::cli::print::say;
use anyhow::Result;
use clap::ArgMatches;
use jiff::Timestamp;
use std::path::Path;
use tenantry_domain::ids::OrganizationId;
use tenantry_store::backup::{
    BackupError, BackupFile, BackupManifest, BackupSummary, Damage, KEY_FILES, Repository,
};

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

/// The sentence about a backup whose manifest is damaged.
pub fn damaged_manifest(place: &Path, id: &str) -> String {
    let place = place.display();
    format!(
        "tenantry: the manifest of the backup {id} is damaged, so it cannot be restored, and no room is made where old \
         backups were. Set it aside with `tenantry backup verify {place} --repair`."
    )
}

/// The sentence about a container that was damaged when the backup was made.
pub fn damaged_container(id: OrganizationId, file: &BackupFile, damage: &Damage) -> String {
    let Damage { fault, is_earlier } = damage;
    let kept = if *is_earlier {
        format!("The backup keeps its last good copy, as of {}.", file.moment)
    } else {
        "There is no good copy in the backup before, so the backup has the damaged file, and no older backup was removed. A \
         restore leaves it out with `--without`."
            .to_owned()
    };
    format!(
        "tenantry: the data of the organization {id} is damaged ({fault}). {kept} Check the disk, and bring the organization \
         back from a good backup with `tenantry restore --organization {id}`."
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
/// The directory cannot be read.
pub fn list(matches: &ArgMatches) -> Result<()> {
    let repository = Repository::open(place(matches))?;
    let mut listed = Vec::new();
    for id in repository.ids()? {
        let summary = match repository.manifest(Some(&id)) {
            Ok(manifest) => Ok(manifest.summary),
            // The others are as good as before.
            Err(error @ (BackupError::Damaged { .. } | BackupError::NewerFormat { .. })) => {
                Err(error.to_string())
            }
            Err(error) => return Err(error.into()),
        };
        listed.push((id, summary));
    }
    if matches.get_flag("json") {
        let listed = listed.iter().map(|(id, summary)| match summary {
            Ok(summary) => serde_json::to_value(summary),
            Err(fault) => Ok(serde_json::json!({ "id": id, "damaged": fault })),
        });
        say(&serde_json::to_string_pretty(&listed.collect::<serde_json::Result<Vec<_>>>()?)?);
        return Ok(());
    }
    if listed.is_empty() {
        say("There is no complete backup.");
    }
    for (id, summary) in &listed {
        let summary = match summary {
            Ok(summary) => summary,
            Err(fault) => {
                say(&format!("{id}  unusable  {fault}"));
                continue;
            }
        };
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
