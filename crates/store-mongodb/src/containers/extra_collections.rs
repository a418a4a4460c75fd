//! The further collections of a container that is a collection: `tenant_<identifier>.<name>` beside
//! `tenant_<identifier>`.
//!
//! Programs make them as they like, so no record has their UUIDs: they are found by name. What a newcomer gets
//! wrong: a name is only ever ours for the time that its reservation lasts, and this process may have been asleep
//! since it began. So a list is only used if the organization's record is afterwards still what it was before;
//! and each collection is then touched by the UUID that the list had.

use super::namespace::{Namespace, identity_of};
use crate::MongoDb;
use crate::engine_error::{EngineError, EngineResult};
use mongodb::bson::doc;
use tenantry_domain::Error;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{ContainerId, Organization, ReservedKey};

/// How often a list is made anew because the organization's record has changed meanwhile.
const LOOKS: u32 = 20;

/// A further collection, as it was found.
pub(crate) struct ExtraCollection {
    /// What the container is called that it is beside.
    namespace: String,
    /// Its name after that of the container and a dot.
    pub(crate) name: String,
    pub(crate) id: ContainerId,
}

impl ExtraCollection {
    /// The name that the server has it under.
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.namespace, self.name)
    }
}

impl MongoDb {
    /// Brings the further collections along to the container's next name.
    pub(super) async fn move_further(
        &self,
        organization: &Organization,
        from: &str,
        to: &str,
    ) -> EngineResult<()> {
        for further in self.extra_collections_of(organization, from).await? {
            let (from, to) = (format!("{from}.{}", further.name), format!("{to}.{}", further.name));
            match self.rename(&from, &to, further.id).await {
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
    pub(super) async fn count_extra_collections(
        &self,
        organization: &Organization,
        namespace: &str,
    ) -> EngineResult<u64> {
        let (mut documents, listed) = (0, self.listed(namespace).await?);
        for further in &listed {
            let name = format!("{namespace}.{}", further.name);
            let place = Namespace {
                database: self.connection.server().database(),
                namespace: &name,
                id: Some(further.id),
            };
            match self.count_at(place, None).await {
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
    pub(super) async fn drop_extra_collections(
        &self,
        organization: &Organization,
        namespace: &str,
    ) -> EngineResult<()> {
        let listed = self.listed(namespace).await?;
        if !listed.is_empty() {
            self.organizations.verify_owner(organization).await?;
        }
        for further in listed {
            match self.drop_at(&format!("{namespace}.{}", further.name), further.id).await {
                Ok(()) | Err(EngineError::Elsewhere { actual: None }) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// The further collections under a name that the organization holds.
    pub(crate) async fn extra_collections_of(
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
    pub(crate) async fn extra_collections_now(
        &self,
        id: OrganizationId,
    ) -> EngineResult<Vec<ExtraCollection>> {
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
        let mut found = self
            .connection
            .call(self.connection.server().database().list_collections().filter(names))
            .await?;
        let mut listed = Vec::new();
        while self.connection.call(found.advance()).await? {
            let collection = found.deserialize_current()?;
            if let (Some(name), Some(id)) = (collection.name.strip_prefix(&prefix), identity_of(&collection))
            {
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
