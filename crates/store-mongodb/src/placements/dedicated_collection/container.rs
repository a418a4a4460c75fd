//! A collection for each organization, beside the records: `tenant_<identifier>`.
//!
//! Its name is visible to users and follows a rename. Its UUID never changes, and every effect carries it, so that a
//! late effect gets an error instead of reaching another organization's data. A new container is created under a name
//! with the organization's id and the operation's fence, and is renamed when it is complete. A
//! rename never overwrites a collection, and nothing is dropped by its name alone.

use super::extra_collections::ExtraCollections;
use super::named_collections::NamedCollections;
use crate::containers::metadata::metadata;
use crate::containers::namespace::uuid;
use crate::engine_error::{EngineError, EngineResult};
use crate::organization_records::OrganizationRecords;
use crate::records::Records;
use mongodb::bson::doc;
use mongodb::bson::oid::ObjectId;
use tenantry_domain::Error;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{ContainerId, Organization};
use tenantry_domain::store::NewContainer;

/// The prefix of the name of an unfinished container.
const UNFINISHED_PREFIX: &str = "building_";
/// How often a change is tried while others get ahead of it.
const MAX_ATTEMPTS: u32 = 5;

/// The collections that are organizations' containers, with their extra collections. Cheap to clone.
#[derive(Clone)]
pub(super) struct CollectionContainers {
    named: NamedCollections,
    extra: ExtraCollections,
    organizations: OrganizationRecords,
}

impl CollectionContainers {
    pub(super) const fn new(
        named: NamedCollections,
        extra: ExtraCollections,
        organizations: OrganizationRecords,
    ) -> Self {
        Self { named, extra, organizations }
    }

    pub(super) async fn create(&self, container: &NewContainer) -> EngineResult<ContainerId> {
        let made = self.find_or_build(container).await?;
        // Unfinished containers of overtaken processes. If one of them wakes, it begins again, and finds this
        // container.
        for fence in 1..container.fence {
            let unfinished = unfinished_name(container.organization_id, fence);
            if let Some(id) = self.named.find_uuid(&unfinished).await? {
                self.named.drop(&unfinished, id).await?;
            }
        }
        Ok(made)
    }

    async fn find_or_build(&self, container: &NewContainer) -> EngineResult<ContainerId> {
        let NewContainer { organization_id, namespace, .. } = container;
        for _ in 0..MAX_ATTEMPTS {
            if let Some(there) = self.named.find_uuid(namespace).await? {
                if self.named.begins_with(namespace, there, *organization_id).await? {
                    self.remove_unfinished(container).await?;
                    return Ok(there);
                }
                self.free_name(namespace, there).await?;
            }
            match self.build(container).await {
                Err(EngineError::NamespaceExists | EngineError::Elsewhere { .. }) => {}
                done => return done,
            }
        }
        Err(overtaken())
    }

    /// Creates the collection under a temporary name, completes it, and then gives it its visible name.
    async fn build(&self, container: &NewContainer) -> EngineResult<ContainerId> {
        let unfinished = unfinished_name(container.organization_id, container.fence);
        match self.named.create(&unfinished).await {
            // Left by an earlier try, or by another process that works under the same fence.
            Ok(()) | Err(EngineError::NamespaceExists) => {}
            Err(failure) => return Err(failure),
        }
        let first = metadata(container.organization_id, container.created_at);
        let _ = Records::new(self.named.connection(), &unfinished).insert(first).await?;
        // Gone: another process has completed and renamed it meanwhile.
        let Some(id) = self.named.find_uuid(&unfinished).await? else {
            return Err(EngineError::Elsewhere { actual: None });
        };
        self.named.rename(&unfinished, &container.namespace, id).await?;
        Ok(id)
    }

    /// Removes an unfinished collection that a slightly later process created beside the complete container.
    async fn remove_unfinished(&self, container: &NewContainer) -> EngineResult<()> {
        let unfinished = unfinished_name(container.organization_id, container.fence);
        match self.named.find_uuid(&unfinished).await? {
            Some(id) => match self.named.drop(&unfinished, id).await {
                Err(EngineError::Elsewhere { .. }) => Ok(()),
                done => done,
            },
            None => Ok(()),
        }
    }

    pub(super) async fn rename(&self, organization: &Organization, to: &str) -> EngineResult<()> {
        let id = identity(organization)?;
        let from = organization.naming.namespace.as_str();
        if from == to {
            return Ok(());
        }
        let from = match self.named.find_name(from, id).await? {
            // An overtaken process has moved it there. While nobody has overtaken this one, it may move it.
            Some(actual) if actual != to => {
                self.organizations.verify_unchanged(organization).await?;
                actual
            }
            _ => from.to_owned(),
        };
        self.move_with_extra(organization, &from, to, id).await
    }

    async fn move_with_extra(
        &self,
        organization: &Organization,
        from: &str,
        to: &str,
        id: ContainerId,
    ) -> EngineResult<()> {
        // Before the container, so that the container itself shows that there is still something to do; and once
        // more, for a collection that was created meanwhile.
        self.extra.move_all(organization, from, to).await?;
        self.move_collection(from, to, id).await?;
        self.extra.move_all(organization, from, to).await
    }

    /// Moves the collection that is the container, without the extra collections.
    async fn move_collection(&self, from: &str, to: &str, id: ContainerId) -> EngineResult<()> {
        for _ in 0..MAX_ATTEMPTS {
            match self.named.rename(from, to, id).await {
                Err(EngineError::Elsewhere { actual: Some(actual) }) if actual == to => return Ok(()),
                Err(EngineError::NamespaceExists) => {
                    if let Some(there) = self.named.find_uuid(to).await? {
                        self.free_name(to, there).await?;
                    }
                }
                done => return done,
            }
        }
        Err(overtaken())
    }

    /// The UUID identifies it under any name.
    pub(super) async fn settle(&self, organization: &Organization) -> EngineResult<()> {
        let id = identity(organization)?;
        let home = organization.naming.namespace.as_str();
        let Some(actual) = self.named.find_name(home, id).await? else { return Ok(()) };
        tracing::warn!(organization = %organization.id, collection = actual, "moving a container back to its name");
        self.move_with_extra(organization, &actual, home, id).await
    }

    pub(super) async fn count(&self, organization: &Organization) -> EngineResult<u64> {
        let id = identity(organization)?;
        let mut namespace = organization.naming.namespace.clone();
        for _ in 0..MAX_ATTEMPTS {
            match self.named.at(&namespace, id).count(Some(organization.id)).await {
                // It is being moved or has been, and its record will say so.
                Err(EngineError::Elsewhere { actual: Some(actual) }) => namespace = actual,
                Ok(count) => return Ok(count + self.extra.count(organization, &namespace).await?),
                Err(failure) => return Err(failure),
            }
        }
        Err(overtaken())
    }

    pub(super) async fn drop(&self, organization: &Organization) -> EngineResult<()> {
        // Without a UUID none was ever created.
        let Some(id) = organization.container else { return Ok(()) };
        let mut namespace = organization.naming.namespace.clone();
        self.extra.drop_all(organization, &namespace).await?;
        for _ in 0..MAX_ATTEMPTS {
            match self.named.drop(&namespace, id).await {
                Err(EngineError::Elsewhere { actual: Some(actual) }) => namespace = actual,
                done => return done,
            }
        }
        Err(overtaken())
    }

    /// Removes a collection under a name that is reserved for another organization, if it is a leftover. Anything
    /// else is somebody's data: it stays, and the organization does not get the name before the operator has dealt
    /// with it.
    async fn free_name(&self, namespace: &str, id: ContainerId) -> EngineResult<()> {
        if !matches!(self.classify(namespace, id).await?, Stray::LeftOver) {
            tracing::error!(collection = namespace, "a collection that is not ours has a reserved name");
            return Err(Error::unavailable(format!("the collection {namespace} is in the way")).into());
        }
        tracing::warn!(collection = namespace, "removing an empty container that no organization has");
        match self.named.drop(namespace, id).await {
            Err(EngineError::Elsewhere { .. }) => Ok(()),
            done => done,
        }
    }

    /// Whether a collection of that name exists and is not ours.
    pub(super) async fn is_foreign(&self, namespace: &str) -> EngineResult<bool> {
        let Some(id) = self.named.find_uuid(namespace).await? else { return Ok(false) };
        let has_owner = self.organizations.has_container(uuid(id)).await?;
        Ok(!has_owner && matches!(self.classify(namespace, id).await?, Stray::Foreign))
    }

    /// Classifies a collection that is not where a record says.
    pub(super) async fn classify(&self, namespace: &str, id: ContainerId) -> EngineResult<Stray> {
        let two = [doc! { "$limit": 2 }, doc! { "$project": { "metadata": 1 } }];
        let first = match self.named.at(namespace, id).aggregate(&two).await {
            // Another process is working on it.
            Err(EngineError::Elsewhere { .. }) => return Ok(Stray::Owned),
            first => first?,
        };
        let (building, fence) = unfinished(namespace).unzip();
        let owner = match first.as_slice() {
            [] => building,
            [only] if only.contains_key("metadata") => only.get_object_id("_id").ok(),
            _ => None,
        };
        let Some(owner) = owner else { return Ok(Stray::Foreign) };
        let owner = self.organizations.find(OrganizationId::from_bytes(owner.bytes())).await?;
        let is_owned = owner.is_some_and(|owner| match owner.container {
            Some(container) => container == id,
            // It is being created, unless it was begun under an earlier fence.
            None => {
                owner.operation.is_some_and(|operation| fence.is_none_or(|fence| fence >= operation.fence))
            }
        });
        Ok(if is_owned { Stray::Owned } else { Stray::LeftOver })
    }
}

/// A collection that is not where a record says.
pub(super) enum Stray {
    /// An organization has it, or will in a moment.
    Owned,
    /// A container without documents whose organization has another one or is gone.
    LeftOver,
    /// We did not create it, or it has documents.
    Foreign,
}

/// The name of an organization's container until it is complete.
fn unfinished_name(id: OrganizationId, fence: u32) -> String {
    format!("{UNFINISHED_PREFIX}{id}_{fence}")
}

/// The organization of the unfinished container of that name, and the fence it was begun under.
fn unfinished(namespace: &str) -> Option<(ObjectId, u32)> {
    let (id, fence) = namespace.strip_prefix(UNFINISHED_PREFIX)?.split_once('_')?;
    Some((ObjectId::parse_str(id).ok()?, fence.parse().ok()?))
}

fn identity(organization: &Organization) -> EngineResult<ContainerId> {
    organization.container.ok_or_else(|| Error::unavailable("the organization has no container").into())
}

fn overtaken() -> EngineError {
    Error::unavailable("another process works on the same container").into()
}
