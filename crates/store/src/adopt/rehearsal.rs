//! A rehearsal: reads the source, plans, and checks every document.

use super::contents;
use super::in_place::entries;
use super::layout::{Layout, recognize};
use super::plan::{OrganizationCollection, Plan, plan};
use super::report::{AdoptError, AdoptReport, AdoptedOrganization, ProgressSink};
use super::rules::AdoptOptions;
use super::writers::Namespace;
use tenantry_domain::organization::Status;
use tenantry_store_mongodb::SourceDatabase;

/// What a rehearsal knows.
pub(super) struct Rehearsal {
    pub(super) layout: Layout,
    pub(super) plan: Plan,
}

impl Rehearsal {
    pub(super) async fn run(
        source: &SourceDatabase,
        options: &AdoptOptions,
        tell: ProgressSink<'_>,
    ) -> Result<Self, AdoptError> {
        if source.is_ours().await? {
            return Err(AdoptError::OwnDatabase { database: source.name().to_owned() });
        }
        let collections = source.collections(source.name()).await?;
        let layout = recognize(source, &options.rules, collections.clone()).await?;
        let mut plan = plan(source.name(), &layout, options)?;
        if options.in_place {
            entries::check(&layout, &mut plan, &collections, source.name())?;
        }
        let checks =
            contents::check(source, &mut plan.organizations, options.document_max_bytes, tell).await?;
        plan.conflicts.extend(checks.conflicts);
        plan.notes.extend(checks.notes);
        if source.count_writes(source.name(), &layout.registry).await?.is_none() {
            plan.notes.push(
                "this server does not count writes: only the comparison at the end of a copy shows that somebody writes"
                    .to_owned(),
            );
        }
        Ok(Self { layout, plan })
    }

    /// The collections that nobody may write to any more.
    pub(super) fn watched(&self, source: &SourceDatabase) -> Vec<Namespace> {
        let own = [&self.layout.registry, &self.layout.accounts];
        let records = own.into_iter().map(|name| (source.name().to_owned(), name.clone()));
        let stored = self.plan.organizations.iter().flat_map(|organization| &organization.stored);
        records.chain(stored.map(|stored| (stored.database.clone(), stored.name.clone()))).collect()
    }

    /// What the operator is shown.
    pub(super) fn report(self) -> AdoptReport {
        let organizations = self.plan.organizations.iter().map(|planned| AdoptedOrganization {
            id: planned.record.id.to_string(),
            name: planned.record.naming.name.to_string(),
            status: match planned.record.status() {
                Status::Active => "active",
                Status::Suspended => "suspended",
                _ => "deleted",
            },
            members: planned.record.members,
            from: planned.stored.iter().map(OrganizationCollection::path).collect(),
            tenant_collection: planned.record.naming.namespace.clone(),
            documents: planned.documents,
            bytes: planned.bytes,
        });
        AdoptReport {
            recognized: self.layout.recognized(),
            organizations: organizations.collect(),
            accounts: self.plan.accounts.len() as u64,
            conflicts: self.plan.conflicts,
            notes: self.plan.notes,
        }
    }
}
