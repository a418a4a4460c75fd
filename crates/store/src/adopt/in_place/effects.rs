//! The effects of an adoption in place, each of which may be repeated.

use super::names::{ASIDE_ACCOUNTS, ASIDE_REGISTRY, BETWEEN};
use crate::adopt::plan::{Plan, PlannedOrganization};
use crate::adopt::report::{AdoptError, AdoptProgress, ProgressSink};
use crate::error::OpenError;
use crate::transfer::Side;
use crate::transfer::side::OpenSide;
use std::collections::BTreeMap;
use tenantry_domain::failpoints::point;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{ContainerId, Organization, Placement};
use tenantry_domain::store::{InsertOutcome, NewContainer};
use tenantry_domain::{Error, Result as StoreResult};
use tenantry_store_mongodb::{JournalEntry, MongoOptions, RECORD_COLLECTIONS, SourceDatabase};

/// The fence of containers that no operation creates.
const FENCE: u32 = 0;

pub(super) struct Effects<'a> {
    pub(super) source: &'a SourceDatabase,
    pub(super) entries: &'a [JournalEntry],
}

/// Whether it is one of the two collections with the records of the other program.
pub(super) fn is_aside(entry: &JournalEntry) -> bool {
    entry.to == ASIDE_REGISTRY || entry.to == ASIDE_ACCOUNTS
}

impl Effects<'_> {
    pub(super) async fn move_records_aside(&self) -> Result<(), AdoptError> {
        for entry in self.entries.iter().filter(|entry| is_aside(entry)) {
            self.source.rename(entry.id, &entry.from, &entry.to).await?;
            point("adopt", "aside", "done");
        }
        Ok(())
    }

    /// Gives each collection of an organization that name. One may get a name that another still has, so all of them
    /// leave their names first.
    pub(super) async fn rename_all(&self, name: impl Fn(&JournalEntry) -> &String) -> Result<(), AdoptError> {
        let moved = || self.entries.iter().filter(|entry| !is_aside(entry));
        for entry in moved() {
            let to = name(entry);
            if !self.source.is_called(entry.id, to).await? {
                self.source
                    .rename(entry.id, &entry.from, &format!("{BETWEEN}{}", hex::encode(entry.id.0)))
                    .await?;
                point("adopt", "between", "done");
            }
        }
        for entry in moved() {
            self.source.rename(entry.id, &entry.from, name(entry)).await?;
            point("adopt", "rename", "done");
        }
        Ok(())
    }

    pub(super) async fn add_metadata(
        &self,
        plan: &[PlannedOrganization],
        tell: ProgressSink<'_>,
    ) -> Result<(), AdoptError> {
        let created: BTreeMap<OrganizationId, _> =
            plan.iter().map(|planned| (planned.record.id, planned.record.created_at)).collect();
        let containers: Vec<_> =
            self.entries.iter().filter_map(|entry| Some((entry, entry.container_of?))).collect();
        let of = containers.len() as u64;
        for (done, (entry, organization)) in (1..).zip(containers) {
            // Left out since: that is refused before this.
            let Some(created_at) = created.get(&organization) else { continue };
            let indexes = self.source.indexes(self.source.name(), &entry.to).await?;
            let marker = entry.marker.as_ref();
            let collection = (entry.to.as_str(), entry.id);
            self.source.add_metadata(collection, (organization, *created_at), &indexes, marker).await?;
            point("adopt", "container", "done");
            tell(AdoptProgress::Adopted { organizations: done, of });
        }
        Ok(())
    }

    /// Creates the schema and the records. Nobody else can have written any: no service starts before the adoption is
    /// confirmed.
    pub(super) async fn write_records(&self, target: &Side, plan: &Plan) -> Result<(), AdoptError> {
        let target = open(target).await?;
        let outcome = async {
            target.scan.clear_records().await?;
            for planned in &plan.organizations {
                let record = self.located(&target, &planned.record).await?;
                require_new(target.ports.organizations.insert_organization(&record).await?)?;
                point("adopt", "organization", "done");
            }
            for account in &plan.accounts {
                require_new(target.ports.accounts.insert_account(account).await?)?;
            }
            Ok(())
        }
        .await;
        target.engine.close().await;
        outcome
    }

    /// The record with its container, which is created if the source has none.
    async fn located(&self, target: &OpenSide, record: &Organization) -> Result<Organization, AdoptError> {
        let own = self.entries.iter().find(|entry| entry.container_of == Some(record.id));
        let container = match own {
            Some(entry) => Some(entry.id),
            None => {
                let new = NewContainer {
                    organization_id: record.id,
                    fence: FENCE,
                    namespace: record.naming.namespace.clone(),
                    placement: Placement::Collection,
                    created_at: record.created_at,
                };
                target.ports.containers.create_container(&new).await?
            }
        };
        Ok(Organization { placement: Placement::Collection, container, ..record.clone() })
    }

    /// Whether there is a collection again under a name that one had before: only the old service makes it.
    pub(super) async fn require_none_recreated(&self) -> Result<(), AdoptError> {
        let collections = self.source.collections(self.source.name()).await?;
        let known: BTreeMap<&str, Option<ContainerId>> =
            collections.iter().map(|each| (each.name.as_str(), each.id)).collect();
        let is_ours = |id: &Option<ContainerId>| self.entries.iter().any(|entry| Some(entry.id) == *id);
        // The service itself has some of the names of the records.
        let mut names =
            self.entries.iter().filter(|entry| !RECORD_COLLECTIONS.contains(&entry.from.as_str()));
        match names.find(|entry| known.get(entry.from.as_str()).is_some_and(|id| !is_ours(id))) {
            Some(entry) => Err(AdoptError::Recreated { name: entry.from.clone() }),
            None => Ok(()),
        }
    }
}

/// Opens the target, which is checked to be a MongoDB.
pub(super) async fn open(target: &Side) -> Result<OpenSide, AdoptError> {
    let options = match target {
        Side::MongoDb(options) => MongoOptions { placement: Placement::Collection, ..options.clone() },
        Side::Embedded(_) => return Err(Error::internal("an adoption in place without a MongoDB").into()),
    };
    Ok(OpenSide::open(&Side::MongoDb(options)).await.map_err(|error: OpenError| error)?)
}

fn require_new(outcome: InsertOutcome) -> StoreResult<()> {
    match outcome {
        InsertOutcome::New => Ok(()),
        InsertOutcome::Exists => Err(Error::unavailable("somebody else writes to the target")),
    }
}
