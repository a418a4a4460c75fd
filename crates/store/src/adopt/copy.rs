//! An adoption by copy: the source is only read, the target is new.
//!
//! It may be interrupted anywhere. Run again, it writes all records again, and copies only the containers that differ.

use super::plan::{OrganizationCollection, PlannedOrganization};
use super::rehearsal::Rehearsal;
use super::report::{AdoptError, AdoptProgress, AdoptionTotals, ProgressSink};
use super::rules::AdoptOptions;
use super::trail::{note_adopted, note_confirmed};
use super::writers::{WriteCounts, watch};
use crate::adoption_state::{ADOPTION_MARK, AdoptionStage, AdoptionState};
use crate::run_lock::fill_exclusively;
use crate::transfer::compare::{self, Digest};
use crate::transfer::pages::each;
use crate::transfer::side::OpenSide;
use bson::{Bson, RawDocument};
use futures_util::TryStreamExt;
use std::collections::{BTreeMap, BTreeSet};
use tenantry_domain::account::Account;
use tenantry_domain::clock::to_millisecond;
use tenantry_domain::failpoints::point;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{Organization, Placement};
use tenantry_domain::store::{InsertOutcome, NewContainer};
use tenantry_domain::{Error, Result as StoreResult};
use tenantry_store_mongodb::SourceDatabase;

/// The fence of containers that no operation creates.
const FENCE: u32 = 0;

/// Copies everything, and compares it.
pub(super) async fn adopt(
    source: &SourceDatabase,
    options: &AdoptOptions,
    tell: ProgressSink<'_>,
) -> Result<AdoptionTotals, AdoptError> {
    let rehearsal = Rehearsal::run(source, options, tell).await?;
    if !rehearsal.plan.conflicts.is_empty() {
        return Err(AdoptError::Conflicts);
    }
    tell(AdoptProgress::Watching);
    let watched = rehearsal.watched(source);
    let counts = watch(source, &watched, options.watch).await?;
    let registry = source.find_uuid(&rehearsal.layout.registry).await?;
    let name = registry.map_or_else(|| source.name().to_owned(), |id| hex::encode(id.0));
    let target = OpenSide::open(&options.target).await?;
    let copy = Copy { source, target: &target, plan: &rehearsal.plan.organizations };
    let work = async {
        mark(&target, &name).await?;
        point("adopt", "mark", "done");
        let documents = copy.organizations(tell).await?;
        copy.records(&rehearsal.plan.accounts).await?;
        point("adopt", "records", "done");
        copy.compare(&rehearsal.plan.accounts, tell).await?;
        counts.require_same(&WriteCounts::read(source, &watched).await?)?;
        let adopted = AdoptionTotals {
            organizations: rehearsal.plan.organizations.len() as u64,
            accounts: rehearsal.plan.accounts.len() as u64,
            documents: Some(documents),
        };
        note_adopted(&target, options, &adopted).await?;
        set_stage(&target, &name, AdoptionStage::Complete).await?;
        Ok(adopted)
    };
    let outcome = fill_exclusively(&options.target, || AdoptError::AnotherRun, work).await;
    target.engine.close().await;
    outcome
}

/// Removes everything that an adoption has brought.
pub(super) async fn undo(options: &AdoptOptions) -> Result<(), AdoptError> {
    let target = OpenSide::open(&options.target).await?;
    let work = async {
        let Some(state) = state(&target).await? else {
            return Err(AdoptError::State(
                "There is no adoption to take back: none was begun, or it is confirmed.",
            ));
        };
        require_copy(&state)?;
        set_stage(&target, &state.source, AdoptionStage::Undoing).await?;
        for organization in organizations(&target).await?.into_values() {
            target.ports.containers.drop_container(&organization).await?;
            point("adopt", "undo_container", "done");
        }
        target.scan.clear_records().await?;
        point("adopt", "undo_records", "done");
        target.ports.installation.delete_value(ADOPTION_MARK).await?;
        Ok(())
    };
    let outcome = fill_exclusively(&options.target, || AdoptError::AnotherRun, work).await;
    target.engine.close().await;
    outcome
}

/// Makes an adoption final.
pub(super) async fn confirm(options: &AdoptOptions) -> Result<(), AdoptError> {
    let target = OpenSide::open(&options.target).await?;
    let work = async {
        let Some(state) = state(&target).await? else {
            return Err(AdoptError::State(
                "There is no adoption to confirm: none was begun, or it is confirmed.",
            ));
        };
        require_copy(&state)?;
        if state.stage != AdoptionStage::Complete {
            return Err(AdoptError::State(
                "The adoption is not complete: run it with --apply again, or take it back with --undo.",
            ));
        }
        note_confirmed(&target, options).await?;
        target.ports.installation.delete_value(ADOPTION_MARK).await?;
        Ok(())
    };
    let outcome = fill_exclusively(&options.target, || AdoptError::AnotherRun, work).await;
    target.engine.close().await;
    outcome
}

async fn state(target: &OpenSide) -> Result<Option<AdoptionState>, AdoptError> {
    let value = target.ports.installation.get_value(ADOPTION_MARK).await?;
    Ok(value.map(|value| AdoptionState::read(&value)).transpose()?)
}

fn require_copy(state: &AdoptionState) -> Result<(), AdoptError> {
    if state.in_place {
        return Err(AdoptError::OtherOptions {
            what: "An adoption in place was begun here (--in-place).".into(),
        });
    }
    Ok(())
}

async fn set_stage(target: &OpenSide, source: &str, stage: AdoptionStage) -> StoreResult<()> {
    let state = AdoptionState { source: source.to_owned(), stage, in_place: false };
    target.ports.installation.put_value(ADOPTION_MARK, &state.write()?).await
}

/// Marks the target as being filled from this source; refuses any other target that is not new.
async fn mark(target: &OpenSide, source: &str) -> Result<(), AdoptError> {
    match state(target).await? {
        Some(state) if state.source != source || state.in_place => {
            return Err(AdoptError::Occupied { what: "an adoption from another source".into() });
        }
        Some(AdoptionState { stage: AdoptionStage::Complete, .. }) => {
            return Err(AdoptError::State(
                "The adoption is complete: confirm it (--confirm), or take it back (--undo).",
            ));
        }
        Some(AdoptionState { stage: AdoptionStage::Undoing, .. }) => {
            return Err(AdoptError::State(
                "The adoption is being taken back: run it with --undo to the end first.",
            ));
        }
        Some(_) => return Ok(()),
        None => {}
    }
    let scan = &target.scan;
    let occupied = if !scan.organizations(None).await?.is_empty() {
        Some("organizations")
    } else if !scan.accounts(None).await?.is_empty() {
        Some("accounts")
    } else if !scan.api_keys(None).await?.is_empty() {
        Some("API keys")
    } else {
        None
    };
    if let Some(what) = occupied {
        return Err(AdoptError::Occupied { what: what.into() });
    }
    Ok(set_stage(target, source, AdoptionStage::Running).await?)
}

async fn organizations(target: &OpenSide) -> StoreResult<BTreeMap<OrganizationId, Organization>> {
    let mut all = BTreeMap::new();
    let visit = async |organization: Organization| {
        all.insert(organization.id, organization);
        Ok(())
    };
    each(|after| target.scan.organizations(after), |organization: &Organization| organization.id, visit)
        .await?;
    Ok(all)
}

struct Copy<'a> {
    source: &'a SourceDatabase,
    target: &'a OpenSide,
    plan: &'a [PlannedOrganization],
}

impl Copy<'_> {
    /// Copies the containers, and writes the records of their organizations; returns the number of documents.
    async fn organizations(&self, tell: ProgressSink<'_>) -> Result<u64, AdoptError> {
        let mut earlier = organizations(self.target).await?;
        let wanted: BTreeSet<OrganizationId> = self.plan.iter().map(|planned| planned.record.id).collect();
        // An earlier try had other options.
        for organization in earlier.values().filter(|organization| !wanted.contains(&organization.id)) {
            self.target.ports.containers.drop_container(organization).await?;
        }
        self.target.scan.clear_records().await?;
        let (mut documents, of) = (0, self.plan.len() as u64);
        for (done, planned) in (1..).zip(self.plan) {
            let placement = earlier.remove(&planned.record.id).map(|organization| organization.placement);
            documents += self.organization(planned, placement).await?;
            point("adopt", "container", "done");
            tell(AdoptProgress::Adopted { organizations: done, of });
        }
        Ok(documents)
    }

    async fn organization(
        &self,
        planned: &PlannedOrganization,
        placement: Option<Placement>,
    ) -> Result<u64, AdoptError> {
        let ports = &self.target.ports;
        let mut copied = self.make_container(&planned.record, placement).await?;
        require_new(ports.organizations.insert_organization(&copied).await?)?;
        let there = compare::container(self.target, &copied).await?;
        if there.count > 0 {
            if there == self.digest(planned).await? {
                self.collections(planned, &copied).await?;
                return Ok(there.count);
            }
            // Its copy was cut off.
            ports.containers.drop_container(&copied).await?;
            copied = self.make_container(&planned.record, Some(copied.placement)).await?;
            let _ = ports.organizations.delete_organization(copied.id, copied.version).await?;
            require_new(ports.organizations.insert_organization(&copied).await?)?;
        }
        let mut count = 0;
        for stored in &planned.stored {
            let mut pages = self.source.documents(&stored.database, &stored.name);
            while let Some(mut page) = pages.try_next().await? {
                page.retain(|document| !stored.is_marker(document));
                if !page.is_empty() {
                    count += page.len() as u64;
                    self.target.scan.put_documents(&copied, stored.target.as_str(), page).await?;
                    point("adopt", "documents", "part");
                }
            }
        }
        self.collections(planned, &copied).await?;
        Ok(count)
    }

    async fn make_container(
        &self,
        record: &Organization,
        placement: Option<Placement>,
    ) -> Result<Organization, AdoptError> {
        let containers = &self.target.ports.containers;
        let placement = match placement {
            Some(placement) => placement,
            None => containers.choose_placement(None).await?,
        };
        let new = NewContainer {
            organization_id: record.id,
            fence: FENCE,
            namespace: record.naming.namespace.clone(),
            placement,
            created_at: to_millisecond(record.created_at),
        };
        // Elsewhere it is made before the first write, once the record is there.
        let container = match containers.named() {
            Some(_) => containers.create_container(&new).await?,
            None => None,
        };
        Ok(Organization { placement, container, ..record.clone() })
    }

    /// Creates the collections that are empty, and the indexes of all.
    async fn collections(
        &self,
        planned: &PlannedOrganization,
        copied: &Organization,
    ) -> Result<(), AdoptError> {
        let collections = &self.target.ports.collections;
        for stored in &planned.stored {
            let _ = collections.insert_collection(copied, &stored.target).await?;
            for index in self.source.indexes(&stored.database, &stored.name).await?.known {
                if index.expire_after_seconds.is_some() {
                    let expiries = &self.target.ports.expiries;
                    expiries.insert_expiry(copied.id, &stored.target, copied.created_at).await?;
                }
                let _ = collections.restore_index(copied, &stored.target, &index).await?;
            }
        }
        Ok(())
    }

    async fn records(&self, accounts: &[Account]) -> Result<(), AdoptError> {
        for account in accounts {
            require_new(self.target.ports.accounts.insert_account(account).await?)?;
        }
        Ok(())
    }

    /// Reads both sides once more.
    async fn compare(&self, accounts: &[Account], tell: ProgressSink<'_>) -> Result<(), AdoptError> {
        let differs = |what: String| AdoptError::Differs { what };
        let mut kept = Vec::new();
        let visit = async |account: Account| {
            kept.push(account);
            Ok(())
        };
        each(|after| self.target.scan.accounts(after), |account: &Account| account.id, visit).await?;
        if kept != accounts {
            return Err(differs("An account".to_owned()));
        }
        let copied = organizations(self.target).await?;
        let of = self.plan.len() as u64;
        for (done, planned) in (1..).zip(self.plan) {
            let id = planned.record.id;
            let organization = copied.get(&id).ok_or_else(|| differs(format!("The organization {id}")))?;
            let (one, other) =
                (self.digest(planned).await?, compare::container(self.target, organization).await?);
            if one != other {
                return Err(differs(format!("A document of {id}")));
            }
            tell(AdoptProgress::Compared { organizations: done, of });
        }
        Ok(())
    }

    /// As [`compare::container`] computes it of a target.
    async fn digest(&self, planned: &PlannedOrganization) -> Result<Digest, AdoptError> {
        let mut digest = Digest::default();
        let mut stored: Vec<&OrganizationCollection> = planned.stored.iter().collect();
        stored.sort_by(|one, other| one.target.cmp(&other.target));
        for stored in stored {
            let mut pages = self.source.documents(&stored.database, &stored.name);
            let mut is_named = false;
            while let Some(page) = pages.try_next().await? {
                for document in page.iter().filter(|document| !stored.is_marker(document)) {
                    if !is_named {
                        digest.add_part(stored.target.as_str().as_bytes());
                        is_named = true;
                    }
                    digest.add(document.as_bytes());
                }
            }
        }
        Ok(digest)
    }
}

impl OrganizationCollection {
    /// Whether it is the document that only says when the collection was created.
    fn is_marker(&self, document: &RawDocument) -> bool {
        let Some(marker) = self.marker.as_ref().and_then(|marker| marker.get("_id")) else { return false };
        let own = document.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
        own.as_ref() == Some(marker)
    }
}

/// A new target has no record of that id; an earlier try's are removed before.
fn require_new(outcome: InsertOutcome) -> StoreResult<()> {
    match outcome {
        InsertOutcome::New => Ok(()),
        InsertOutcome::Exists => Err(Error::unavailable("somebody else writes to the target")),
    }
}
