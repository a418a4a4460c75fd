//! The further collections of a container that is a collection: `tenant_<identifier>.<name>` beside
//! `tenant_<identifier>`.
//!
//! Programs make them as they like, so no record has their UUIDs: they are found by name. What a newcomer gets
//! wrong: a name is only ever ours for the time that its reservation lasts, and this process may have been asleep
//! since it began. So a list is only used if the organization's record is afterwards still what it was before;
//! and each collection is then touched by the UUID that the list had.

use super::named_collections::NamedCollections;
use crate::containers::namespace::uuid_of;
use crate::engine_error::{EngineError, EngineResult};
use crate::organization_records::OrganizationRecords;
use mongodb::bson::doc;
use tenantry_domain::Error;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{ContainerId, Organization, ReservedKey};

/// How often a list is made anew because the organization's record has changed meanwhile.
const LOOKS: u32 = 20;

/// A further collection, as it was found.
pub(super) struct ExtraCollection {
    /// What the container is called that it is beside.
    namespace: String,
    /// Its name after that of the container and a dot.
    pub(super) name: String,
    pub(super) id: ContainerId,
}

impl ExtraCollection {
    /// The name that the server has it under.
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

    /// Brings the further collections along to the container's next name.
    pub(super) async fn move_all(
        &self,
        organization: &Organization,
        from: &str,
        to: &str,
    ) -> EngineResult<()> {
        for further in self.list_at(organization, from).await? {
            let (from, to) = (format!("{from}.{}", further.name), format!("{to}.{}", further.name));
            match self.named.rename(&from, &to, further.id).await {
                Ok(()) => {}
                // Somebody else has moved or dropped it meanwhile.
                Err(EngineError::Elsewhere { actual })
                    if actual.as_ref().is_none_or(|actual| *actual == to) => {}
                Err(EngineError::NamespaceExists) => {
                    tracing::error!(collection = to, "a collection is in the way that is none of ours");
                    return Err(Error::unavailable(format!("the collection {to} is in the way")).into());
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// How many documents are in them.
    pub(super) async fn count(&self, organization: &Organization, namespace: &str) -> EngineResult<u64> {
        let (mut documents, listed) = (0, self.listed(namespace).await?);
        for further in &listed {
            let name = format!("{namespace}.{}", further.name);
            match self.named.at(&name, further.id).count(None).await {
                Ok(count) => documents += count,
                // It moves on, or is gone.
                Err(EngineError::Elsewhere { .. }) => return Err(EngineError::Elsewhere { actual: None }),
                Err(failure) => return Err(failure),
            }
        }
        // What was counted under a name that has changed hands is another's.
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
        for further in listed {
            match self.named.drop(&format!("{namespace}.{}", further.name), further.id).await {
                Ok(()) | Err(EngineError::Elsewhere { actual: None }) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// The further collections under a name that the organization holds.
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

    /// The further collections of an organization as it is now, also while an operation moves them. Sorted by name.
    pub(super) async fn list(&self, id: OrganizationId) -> EngineResult<Vec<ExtraCollection>> {
        for _ in 0..LOOKS {
            let organization = self.organizations.get(id).await?;
            let mut listed = Vec::new();
            for namespace in namespaces(&organization) {
                listed.extend(self.listed(&namespace).await?);
            }
            if organization.operation.is_some() {
                // One that was moved between two lists is in both or, the other way round, in neither.
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
        Err(Error::unavailable("others work on the same organization").into())
    }

    async fn listed(&self, namespace: &str) -> EngineResult<Vec<ExtraCollection>> {
        let prefix = format!("{namespace}.");
        // Between the name with a dot and the name with what comes after a dot there is nothing else.
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

/// The names that the organization's container may have now: its own and, while an operation is under way, those that
/// it may be moving it from or to.
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
