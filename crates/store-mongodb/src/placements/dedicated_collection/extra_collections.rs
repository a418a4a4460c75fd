//! The extra collections of a container that is a collection: `tenant_<identifier>.<name>` beside
//! `tenant_<identifier>`.
//!
//! Programs create them at any time, so no record has their UUIDs: they are found by name.
//!
//! # Pitfalls
//! A name is ours only while its reservation lasts, and this process may have been asleep since it began. So a list
//! is used only if the organization's record is unchanged afterwards, and each collection is then reached by the UUID
//! from the list.

use super::named_collections::NamedCollections;
use crate::containers::namespace::uuid_of;
use crate::engine_error::{EngineError, EngineResult};
use crate::organization_records::OrganizationRecords;
use mongodb::bson::doc;
use tenantry_domain::Error;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{ContainerId, Organization, ReservedKey};

/// How often a list is read while the organization's record changes.
const MAX_ATTEMPTS: u32 = 20;

/// An extra collection, as it was listed.
pub(super) struct ExtraCollection {
    /// The name of its container.
    namespace: String,
    /// The part of its name after that of the container and a dot.
    pub(super) name: String,
    pub(super) id: ContainerId,
}

impl ExtraCollection {
    /// Its name on the server.
    pub(super) fn full_name(&self) -> String {
        format!("{}.{}", self.namespace, self.name)
    }
}

/// See [`self`]. Cheap to clone.
#[derive(Clone)]
pub(super) struct ExtraCollections {
    named: NamedCollections,
    organizations: OrganizationRecords,
}

impl ExtraCollections {
    pub(super) const fn new(named: NamedCollections, organizations: OrganizationRecords) -> Self {
        Self { named, organizations }
    }

    /// Moves the extra collections along with the container.
    pub(super) async fn move_all(
        &self,
        organization: &Organization,
        from: &str,
        to: &str,
    ) -> EngineResult<()> {
        for extra in self.list_at(organization, from).await? {
            let (from, to) = (format!("{from}.{}", extra.name), format!("{to}.{}", extra.name));
            match self.named.rename(&from, &to, extra.id).await {
                Ok(()) => {}
                // Another process has moved or dropped it meanwhile.
                Err(EngineError::Elsewhere { actual })
                    if actual.as_ref().is_none_or(|actual| *actual == to) => {}
                Err(EngineError::NamespaceExists) => {
                    tracing::error!(collection = to, "a collection that is not ours has a reserved name");
                    return Err(Error::unavailable(format!("the collection {to} is in the way")).into());
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// How many documents they have.
    pub(super) async fn count(&self, organization: &Organization, namespace: &str) -> EngineResult<u64> {
        let (mut documents, listed) = (0, self.listed(namespace).await?);
        for extra in &listed {
            let name = format!("{namespace}.{}", extra.name);
            match self.named.at(&name, extra.id).count(None).await {
                Ok(count) => documents += count,
                // It has been moved again, or is gone.
                Err(EngineError::Elsewhere { .. }) => return Err(EngineError::Elsewhere { actual: None }),
                Err(failure) => return Err(failure),
            }
        }
        // Under a name that has changed hands, another organization's documents may have been counted.
        if !listed.is_empty() {
            self.organizations.verify_unchanged(organization).await?;
        }
        Ok(documents)
    }

    /// Removes them.
    pub(super) async fn drop_all(&self, organization: &Organization, namespace: &str) -> EngineResult<()> {
        let listed = self.listed(namespace).await?;
        if !listed.is_empty() {
            self.organizations.verify_owner(organization).await?;
        }
        for extra in listed {
            match self.named.drop(&format!("{namespace}.{}", extra.name), extra.id).await {
                Ok(()) | Err(EngineError::Elsewhere { actual: None }) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// The extra collections under a name that the organization holds.
    pub(super) async fn list_at(
        &self,
        organization: &Organization,
        namespace: &str,
    ) -> EngineResult<Vec<ExtraCollection>> {
        let listed = self.listed(namespace).await?;
        if !listed.is_empty() {
            self.organizations.verify_unchanged(organization).await?;
        }
        Ok(listed)
    }

    /// The extra collections of an organization as it is now, also while an operation moves them. Sorted by name.
    pub(super) async fn list(&self, id: OrganizationId) -> EngineResult<Vec<ExtraCollection>> {
        for _ in 0..MAX_ATTEMPTS {
            let organization = self.organizations.get(id).await?;
            let mut listed = Vec::new();
            for namespace in namespaces(&organization) {
                listed.extend(self.listed(&namespace).await?);
            }
            if organization.operation.is_some() {
                // A collection that is moved between two lists is in both or, in the other direction, in neither.
                for namespace in namespaces(&organization) {
                    listed.extend(self.listed(&namespace).await?);
                }
            }
            if self.organizations.is_unchanged(&organization).await? {
                listed.sort_by(|one, other| one.name.cmp(&other.name));
                listed.dedup_by(|one, other| one.name == other.name);
                return Ok(listed);
            }
        }
        Err(Error::unavailable("another process works on the same organization").into())
    }

    async fn listed(&self, namespace: &str) -> EngineResult<Vec<ExtraCollection>> {
        let prefix = format!("{namespace}.");
        // `/` is the character after `.`, so this range has the names that begin with the name and a dot.
        let names = doc! { "name": { "$gt": &prefix, "$lt": format!("{namespace}/") }, "type": "collection" };
        let connection = self.named.connection();
        let mut found = connection.call(connection.database().list_collections().filter(names)).await?;
        let mut listed = Vec::new();
        while let Some(collection) = connection.next(&mut found).await? {
            if let (Some(name), Some(id)) = (collection.name.strip_prefix(&prefix), uuid_of(&collection)) {
                listed.push(ExtraCollection { namespace: namespace.to_owned(), name: name.to_owned(), id });
            }
        }
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(listed)
    }
}

/// The names that the organization's container may have now: its own and, during an operation, those that it may be
/// moving between.
fn namespaces(organization: &Organization) -> Vec<String> {
    let mut all = vec![organization.naming.namespace.clone()];
    if organization.operation.is_some() {
        all.push(organization.trash_namespace());
        all.extend(organization.reserved.iter().filter_map(ReservedKey::to_namespace));
        all.sort();
        all.dedup();
    }
    all
}
