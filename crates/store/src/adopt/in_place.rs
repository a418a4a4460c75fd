//! An adoption in place: collections get other names, and no document is copied.
//!
//! The journal in the database has the UUID and the names of each collection before anything is renamed; every effect
//! names the collection by it. The records of the other program are moved aside first: from then on it finds no
//! organization any more.

mod effects;
pub(super) mod entries;
mod names;
mod start;
mod undo;

pub(super) use undo::{confirm, undo};

use super::layout;
use super::plan::{self, Plan};
use super::rehearsal::Rehearsal;
use super::report::{AdoptError, AdoptProgress, AdoptionTotals, ConflictKind, ProgressSink};
use super::rules::{AdoptOptions, AdoptRules};
use super::trail::note_adopted;
use super::writers::watch;
use crate::adoption_state::AdoptionStage;
use effects::{Effects, open};
use entries::{entries, fresh};
use names::{ASIDE_ACCOUNTS, ASIDE_REGISTRY};
use start::{StartOptions, set_stage};
use std::collections::HashMap;
use tenantry_domain::Error;
use tenantry_domain::failpoints::point;
use tenantry_domain::organization::ContainerId;
use tenantry_store_mongodb::{Journal, JournalEntry, RECORD_COLLECTIONS, SourceDatabase};

/// Moves everything.
pub(super) async fn adopt(
    source: &SourceDatabase,
    options: &AdoptOptions,
    tell: ProgressSink<'_>,
) -> Result<AdoptionTotals, AdoptError> {
    let begun = match source.journal().await? {
        Some(journal) => resume(&journal, options)?,
        None => begin(source, options, tell).await?,
    };
    let now = AdoptOptions {
        rules: begun.rules,
        tenant_prefix: begun.tenant_prefix,
        retention: std::time::Duration::from_secs(begun.retention),
        now: begun.now,
        ..options.clone()
    };
    run(source, &now, tell).await
}

/// The options of an adoption that goes on.
fn resume(journal: &Journal, options: &AdoptOptions) -> Result<StartOptions, AdoptError> {
    match journal.state.as_str() {
        "moving" => {}
        "complete" => {
            return Err(AdoptError::State(
                "The adoption is complete: confirm it (--confirm), or take it back (--undo).",
            ));
        }
        "undoing" => {
            return Err(AdoptError::State(
                "The adoption is being taken back: run it with --undo to the end first.",
            ));
        }
        _ => return Err(AdoptError::State("The adoption is being confirmed: run it with --confirm again.")),
    }
    let begun: StartOptions = serde_json::from_str(&journal.options).map_err(Error::internal)?;
    if begun.rules != options.rules || begun.tenant_prefix != options.tenant_prefix {
        return Err(AdoptError::OtherOptions {
            what: "An adoption was begun here with other options.".into(),
        });
    }
    Ok(begun)
}

async fn begin(
    source: &SourceDatabase,
    options: &AdoptOptions,
    tell: ProgressSink<'_>,
) -> Result<StartOptions, AdoptError> {
    if !source.supports_uuids().await? {
        return Err(AdoptError::NotInPlace {
            reason: "This MongoDB is older than 6.0 and cannot rename a collection by its UUID.".to_owned(),
        });
    }
    let rehearsal = Rehearsal::run(source, options, tell).await?;
    if !rehearsal.plan.conflicts.is_empty() {
        return Err(AdoptError::Conflicts);
    }
    tell(AdoptProgress::Watching);
    if !watch(source, &rehearsal.watched(source), options.watch).await?.are_known() {
        return Err(AdoptError::NotInPlace {
            reason: "This server does not count writes, so a service that still writes would not be seen."
                .to_owned(),
        });
    }
    let begun = StartOptions {
        rules: options.rules.clone(),
        tenant_prefix: options.tenant_prefix.clone(),
        retention: options.retention.as_secs(),
        now: options.now,
        fresh: fresh(&rehearsal.plan.organizations),
    };
    let collections = source.collections(source.name()).await?;
    let entries = entries(&rehearsal.layout, &rehearsal.plan.organizations, &collections)?;
    point("adopt", "journal", "before");
    source.begin_journal(&entries, &serde_json::to_string(&begun).map_err(Error::internal)?).await?;
    point("adopt", "journal", "done");
    Ok(begun)
}

async fn run(
    source: &SourceDatabase,
    options: &AdoptOptions,
    tell: ProgressSink<'_>,
) -> Result<AdoptionTotals, AdoptError> {
    let entries = source.journal_entries().await?;
    set_stage(source, AdoptionStage::Running).await?;
    point("adopt", "mark", "done");
    let effects = Effects { source, entries: &entries };
    effects.move_records_aside().await?;
    effects.rename_all(|entry| &entry.to).await?;
    point("adopt", "renamed", "done");
    let plan = plan_again(source, options, &entries).await?;
    effects.add_metadata(&plan.organizations, tell).await?;
    point("adopt", "metadata", "done");
    effects.write_records(&options.target, &plan).await?;
    point("adopt", "records", "done");
    effects.require_none_recreated().await?;
    let adopted = AdoptionTotals {
        organizations: plan.organizations.len() as u64,
        accounts: plan.accounts.len() as u64,
        documents: None,
    };
    let target = open(&options.target).await?;
    let noted = note_adopted(&target, options, &adopted).await;
    target.engine.close().await;
    noted?;
    source.set_journal_state("complete", None).await?;
    set_stage(source, AdoptionStage::Complete).await?;
    Ok(adopted)
}

/// The plan, from the records that nobody can change any more.
async fn plan_again(
    source: &SourceDatabase,
    options: &AdoptOptions,
    entries: &[JournalEntry],
) -> Result<Plan, AdoptError> {
    let names: HashMap<ContainerId, &str> =
        entries.iter().map(|entry| (entry.id, entry.from.as_str())).collect();
    let mut collections = source.collections(source.name()).await?;
    // Those that the service has created are of no interest here.
    collections.retain(|each| {
        each.id.is_some_and(|id| names.contains_key(&id)) || !RECORD_COLLECTIONS.contains(&each.name.as_str())
    });
    for collection in &mut collections {
        match collection.id.and_then(|id| names.get(&id)) {
            Some(name) if collection.name != ASIDE_REGISTRY && collection.name != ASIDE_ACCOUNTS => {
                collection.name = (*name).to_owned();
            }
            _ => {}
        }
    }
    collections.sort_by(|one, other| one.name.cmp(&other.name));
    let rules = AdoptRules {
        registry: Some(ASIDE_REGISTRY.to_owned()),
        accounts: Some(ASIDE_ACCOUNTS.to_owned()),
        ..options.rules.clone()
    };
    let layout = layout::recognize(source, &rules, collections).await?;
    let mut plan = plan::plan(source.name(), &layout, options)?;
    // The containers of organizations that had none already have names of ours.
    plan.conflicts.retain(|conflict| conflict.kind != ConflictKind::CollectionWithoutOrganization);
    let mut stored = plan.organizations.iter().flat_map(|planned| &planned.stored);
    let is_known = stored.all(|stored| stored.id.is_some_and(|id| names.contains_key(&id)));
    if !plan.conflicts.is_empty() || !is_known {
        return Err(AdoptError::State(
            "The old service has changed its organizations since the adoption began. Take it back (--undo), stop the old \
             service, and begin again.",
        ));
    }
    Ok(plan)
}
