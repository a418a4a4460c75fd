//! Taking an adoption in place back, and confirming it.

use super::effects::{Effects, is_aside, open};
use super::names::UNFINISHED;
use super::start::{StartOptions, set_stage};
use crate::adopt::report::AdoptError;
use crate::adopt::rules::AdoptOptions;
use crate::adopt::trail::note_confirmed;
use crate::adoption_state::{ADOPTION_MARK, AdoptionStage};
use crate::transfer::Side;
use crate::transfer::pages::each;
use std::collections::HashSet;
use tenantry_domain::Error;
use tenantry_domain::failpoints::point;
use tenantry_domain::organization::{ContainerId, Organization};
use tenantry_store_mongodb::{JournalEntry, SourceDatabase};

/// Gives every collection its name of before, and removes all records of the service.
pub(in crate::adopt) async fn undo(
    source: &SourceDatabase,
    options: &AdoptOptions,
) -> Result<(), AdoptError> {
    let Some(journal) = source.journal().await? else {
        // One that stopped while it wrote its journal has changed nothing else.
        if source.drop_unfinished_journal().await? {
            return Ok(());
        }
        return Err(AdoptError::State(
            "There is no adoption to take back: none was begun, or it is confirmed.",
        ));
    };
    if journal.state == "confirming" {
        return Err(AdoptError::State("The adoption is being confirmed: run it with --confirm again."));
    }
    let entries = source.journal_entries().await?;
    let effects = Effects { source, entries: &entries };
    source.set_journal_state("undoing", None).await?;
    set_stage(source, AdoptionStage::Undoing).await?;
    let begun: StartOptions = serde_json::from_str(&journal.options).map_err(Error::internal)?;
    drop_new_containers(source, &options.target, &entries, &begun.fresh).await?;
    point("adopt", "undo_containers", "done");
    for entry in &entries {
        let Some(organization) = entry.container_of else { continue };
        let name = source.current_name(entry.id, &entry.to).await?;
        source.remove_metadata((&name, entry.id), organization, entry.marker.as_ref()).await?;
        point("adopt", "undo_metadata", "done");
    }
    effects.rename_all(|entry| &entry.from).await?;
    let kept: Vec<ContainerId> = entries.iter().map(|entry| entry.id).collect();
    source.drop_records(&kept).await?;
    point("adopt", "undo_records", "done");
    for entry in entries.iter().filter(|entry| is_aside(entry)) {
        source.rename(entry.id, &entry.to, &entry.from).await?;
        point("adopt", "undo_aside", "done");
    }
    source.drop_values().await?;
    point("adopt", "undo_values", "done");
    Ok(source.end_journal().await?)
}

/// Removes the containers of organizations that had none.
async fn drop_new_containers(
    source: &SourceDatabase,
    target: &Side,
    entries: &[JournalEntry],
    fresh: &[String],
) -> Result<(), AdoptError> {
    if source.is_ours().await? {
        let moved: HashSet<ContainerId> = entries.iter().map(|entry| entry.id).collect();
        let target = open(target).await?;
        let drop_new = async |organization: Organization| {
            if organization.container.is_some_and(|id| !moved.contains(&id)) {
                target.ports.containers.drop_container(&organization).await?;
            }
            Ok(())
        };
        let id = |organization: &Organization| organization.id;
        let dropped = each(|after| target.scan.organizations(after), id, drop_new).await;
        target.engine.close().await;
        dropped?;
    }
    // One that was created and has no record yet.
    for collection in source.collections(source.name()).await? {
        let Some(id) = collection.id else { continue };
        let is_ours = collection.name.starts_with(UNFINISHED)
            || fresh.contains(&collection.name) && source.is_new_container(&collection.name, id).await?;
        if is_ours {
            source.drop_collection(&collection.name, id).await?;
        }
    }
    Ok(())
}

/// Removes the records of the other program and the journal.
pub(in crate::adopt) async fn confirm(
    source: &SourceDatabase,
    options: &AdoptOptions,
) -> Result<(), AdoptError> {
    let (journal, mark) = (source.journal().await?, source.get_value(ADOPTION_MARK).await?);
    if journal.is_none() && mark.is_none() {
        return Err(AdoptError::State(
            "There is no adoption to confirm: none was begun, or it is confirmed.",
        ));
    }
    if let Some(journal) = journal {
        if !["complete", "confirming"].contains(&journal.state.as_str()) {
            return Err(AdoptError::State(
                "The adoption is not complete: run it with --apply again, or take it back with --undo.",
            ));
        }
        let entries = source.journal_entries().await?;
        if journal.state == "complete" {
            Effects { source, entries: &entries }.require_none_recreated().await?;
            source.set_journal_state("confirming", None).await?;
        }
        for entry in entries.iter().filter(|entry| is_aside(entry)) {
            source.drop_collection(&entry.to, entry.id).await?;
            point("adopt", "confirm_aside", "done");
        }
        source.end_journal().await?;
        point("adopt", "confirm_journal", "done");
    }
    let target = open(&options.target).await?;
    let noted = note_confirmed(&target, options).await;
    target.engine.close().await;
    noted?;
    Ok(source.delete_value(ADOPTION_MARK).await?)
}
