//! Adopts the organizations of another program: of the four classic services, and of what is laid out as they are.
//!
//! A rehearsal reads everything and changes nothing. An adoption either copies into an empty target, and the source is
//! only read; or it leaves the data in place, and renames collections by their UUIDs. Both can be resumed after a crash,
//! and taken back until they are confirmed.
//!
//! # Pitfalls
//! Nothing of ours may be written to the source before its own records are out of the way: some have our names.

mod contents;
mod copy;
mod in_place;
mod layout;
mod plan;
mod report;
mod rules;
mod target;
mod values;
mod writers;

pub use report::{
    AdoptError, AdoptProgress, AdoptReport, Adopted, AdoptedOrganization, Conflict, ConflictKind,
    RecognizedField, RecognizedLayout,
};
pub use rules::{AdoptOptions, AdoptRules};

use crate::error::OpenError;
use layout::Layout;
use plan::Plan;
use tenantry_domain::organization::Status;
use tenantry_store_mongodb::SourceDatabase;
use writers::Namespace;

/// What `tell` is called with.
pub(crate) type Tell<'a> = &'a mut (dyn FnMut(AdoptProgress) + Send);

/// Says what an adoption would do, and every conflict. Changes nothing.
///
/// # Errors
/// See [`AdoptError`].
pub async fn rehearse(options: &AdoptOptions, tell: Tell<'_>) -> Result<AdoptReport, AdoptError> {
    let source = open_source(options).await?;
    target::check(&source, options).await?;
    target::require_new(options).await?;
    let rehearsal = Rehearsal::run(&source, options, tell).await?;
    Ok(rehearsal.report())
}

/// Carries it out, or goes on with one that was stopped. Begins only if a rehearsal finds no conflict.
///
/// # Errors
/// See [`AdoptError`]. Run it again, or [`undo`] it.
pub async fn adopt(options: &AdoptOptions, tell: Tell<'_>) -> Result<Adopted, AdoptError> {
    let source = open_source(options).await?;
    target::check(&source, options).await?;
    if options.in_place {
        in_place::adopt(&source, options, tell).await
    } else {
        copy::adopt(&source, options, tell).await
    }
}

/// Takes it back: the target of a copy is empty again, or the collections have their names of before.
///
/// # Errors
/// See [`AdoptError`]. Run it again: it goes on.
pub async fn undo(options: &AdoptOptions) -> Result<(), AdoptError> {
    let source = open_source(options).await?;
    if options.in_place { in_place::undo(&source, options).await } else { copy::undo(options).await }
}

/// Confirms it: from now on it cannot be taken back.
///
/// # Errors
/// See [`AdoptError`].
pub async fn confirm(options: &AdoptOptions) -> Result<(), AdoptError> {
    let source = open_source(options).await?;
    if options.in_place { in_place::confirm(&source, options).await } else { copy::confirm(options).await }
}

async fn open_source(options: &AdoptOptions) -> Result<SourceDatabase, AdoptError> {
    Ok(SourceDatabase::open(&options.source).await.map_err(OpenError::from)?)
}

/// What a rehearsal knows.
struct Rehearsal {
    layout: Layout,
    plan: Plan,
}

impl Rehearsal {
    async fn run(
        source: &SourceDatabase,
        options: &AdoptOptions,
        tell: Tell<'_>,
    ) -> Result<Self, AdoptError> {
        if source.is_ours().await? {
            return Err(AdoptError::OwnDatabase { database: source.name().to_owned() });
        }
        let collections = source.collections(source.name()).await?;
        let layout = layout::recognize(source, &options.rules, collections.clone()).await?;
        let mut plan = plan::plan(source.name(), &layout, options)?;
        if options.in_place {
            in_place::check(&layout, &mut plan, &collections, source.name())?;
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
    fn watched(&self, source: &SourceDatabase) -> Vec<Namespace> {
        let own = [&self.layout.registry, &self.layout.accounts];
        let records = own.into_iter().map(|name| (source.name().to_owned(), name.clone()));
        let stored = self.plan.organizations.iter().flat_map(|organization| &organization.stored);
        records.chain(stored.map(|stored| (stored.database.clone(), stored.name.clone()))).collect()
    }

    fn report(self) -> AdoptReport {
        let organizations = self.plan.organizations.iter().map(|planned| AdoptedOrganization {
            id: planned.record.id.to_string(),
            name: planned.record.naming.name.to_string(),
            status: match planned.record.status() {
                Status::Active => "active",
                Status::Suspended => "suspended",
                _ => "deleted",
            },
            members: planned.record.members,
            from: planned.stored.iter().map(plan::Stored::path).collect(),
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
