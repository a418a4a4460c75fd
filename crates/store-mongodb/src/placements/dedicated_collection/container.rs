//! A collection for each organization, beside the records: `tenant_<identifier>`.
//!
//! Its name is part of what users see and follows a rename; its UUID never changes, and every effect carries
//! it, so that a late one meets an error and never another's data. A new one is made under a name that carries
//! the organization's id and the operation's fence, and gets its own name when it is complete. Nothing is
//! ever renamed onto or dropped by name alone.

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

/// What the name of a container begins with until it is complete.
const BUILDING: &str = "building_";
/// How often somebody else may get ahead of a change before it is given up.
const ROUNDS: u32 = 5;

/// The collections that organizations' containers are, with those beside them. Cheap to clone.
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
        // What those have begun that were overtaken. One of them who wakes begins again, and finds this one.
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
        for _ in 0..ROUNDS {
            if let Some(there) = self.named.find_uuid(namespace).await? {
                if self.named.begins_with(namespace, there, *organization_id).await? {
                    self.remove_unfinished(container).await?;
                    return Ok(there);
                }
                self.make_way(namespace, there).await?;
            }
            match self.build(container).await {
                Err(EngineError::NamespaceExists | EngineError::Elsewhere { .. }) => {}
                done => return done,
            }
        }
        Err(overtaken())
    }

    /// Makes the collection under a name of its own, complete, and then gives it its visible name.
    async fn build(&self, container: &NewContainer) -> EngineResult<ContainerId> {
        let unfinished = unfinished_name(container.organization_id, container.fence);
        match self.named.create(&unfinished).await {
            // Of a try before, or of another who works under the same fence.
            Ok(()) | Err(EngineError::NamespaceExists) => {}
            Err(failure) => return Err(failure),
        }
        let first = metadata(container.organization_id, container.created_at);
        let _ = Records::new(self.named.connection(), &unfinished).insert(first).await?;
        // Gone: another has made it complete and has given it its name meanwhile.
        let Some(id) = self.named.find_uuid(&unfinished).await? else {
            return Err(EngineError::Elsewhere { actual: None });
        };
        self.named.rename(&unfinished, &container.namespace, id).await?;
        Ok(id)
    }

    /// Removes what is half made beside the complete container, by one who was a little later.
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
            // Somebody who was overtaken has taken it there. As long as nobody has overtaken us, it is ours to move.
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
        // First, so that the container itself says that there is still something to do; and once more, for one
        // that was made meanwhile.
        self.extra.move_all(organization, from, to).await?;
        self.move_first(from, to, id).await?;
        self.extra.move_all(organization, from, to).await
    }

    /// Moves the collection that the container is, without those beside it.
    async fn move_first(&self, from: &str, to: &str, id: ContainerId) -> EngineResult<()> {
        for _ in 0..ROUNDS {
            match self.named.rename(from, to, id).await {
                Err(EngineError::Elsewhere { actual: Some(actual) }) if actual == to => return Ok(()),
                Err(EngineError::NamespaceExists) => {
                    if let Some(there) = self.named.find_uuid(to).await? {
                        self.make_way(to, there).await?;
                    }
                }
                done => return done,
            }
        }
        Err(overtaken())
    }

    /// Its identity says which one it is, wherever it is.
    pub(super) async fn settle(&self, organization: &Organization) -> EngineResult<()> {
        let id = identity(organization)?;
        let home = organization.naming.namespace.as_str();
        let Some(actual) = self.named.find_name(home, id).await? else { return Ok(()) };
        tracing::warn!(organization = %organization.id, collection = actual, "bringing a container back");
        self.move_with_extra(organization, &actual, home, id).await
    }

    pub(super) async fn count(&self, organization: &Organization) -> EngineResult<u64> {
        let id = identity(organization)?;
        let mut namespace = organization.naming.namespace.clone();
        for _ in 0..ROUNDS {
            match self.named.at(&namespace, id).count(Some(organization.id)).await {
                // It moves, or has moved, and its record will say so.
                Err(EngineError::Elsewhere { actual: Some(actual) }) => namespace = actual,
                Ok(count) => return Ok(count + self.extra.count(organization, &namespace).await?),
                Err(failure) => return Err(failure),
            }
        }
        Err(overtaken())
    }

    pub(super) async fn drop(&self, organization: &Organization) -> EngineResult<()> {
        // Without an identity none was ever made.
        let Some(id) = organization.container else { return Ok(()) };
        let mut namespace = organization.naming.namespace.clone();
        self.extra.drop_all(organization, &namespace).await?;
        for _ in 0..ROUNDS {
            match self.named.drop(&namespace, id).await {
                Err(EngineError::Elsewhere { actual: Some(actual) }) => namespace = actual,
                done => return done,
            }
        }
        Err(overtaken())
    }

    /// Removes a collection under a name that is reserved for somebody else, if it is left over. Anything else
    /// is somebody's data: it stays, and whoever wanted the name waits until the operator has looked.
    async fn make_way(&self, namespace: &str, id: ContainerId) -> EngineResult<()> {
        if !matches!(self.judge(namespace, id).await?, Stray::LeftOver) {
            tracing::error!(collection = namespace, "a collection is in the way that is none of ours");
            return Err(Error::unavailable(format!("the collection {namespace} is in the way")).into());
        }
        tracing::warn!(collection = namespace, "removing an empty container that no organization has");
        match self.named.drop(namespace, id).await {
            Err(EngineError::Elsewhere { .. }) => Ok(()),
            done => done,
        }
    }

    /// Whether a collection of that name is none of ours.
    pub(super) async fn is_foreign(&self, namespace: &str) -> EngineResult<bool> {
        let Some(id) = self.named.find_uuid(namespace).await? else { return Ok(false) };
        let owner = self.organizations.find_by_container(uuid(id)).await?;
        Ok(owner.is_none() && matches!(self.judge(namespace, id).await?, Stray::Foreign))
    }

    /// What a collection is that is not where a record says.
    pub(super) async fn judge(&self, namespace: &str, id: ContainerId) -> EngineResult<Stray> {
        let two = [doc! { "$limit": 2 }, doc! { "$project": { "metadata": 1 } }];
        let first = match self.named.at(namespace, id).aggregate(&two).await {
            // Somebody is at work on it.
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
            // It is being made, unless it was made under an earlier fence.
            None => {
                owner.operation.is_some_and(|operation| fence.is_none_or(|fence| fence >= operation.fence))
            }
        });
        Ok(if is_owned { Stray::Owned } else { Stray::LeftOver })
    }
}

/// What a collection is that is not where a record says.
pub(super) enum Stray {
    /// An organization has it, or will in a moment.
    Owned,
    /// It is a container without documents, and its organization has another one or is gone.
    LeftOver,
    /// We did not make it, or there are documents in it.
    Foreign,
}

/// What an organization's container is called until it is complete.
fn unfinished_name(id: OrganizationId, fence: u32) -> String {
    format!("{BUILDING}{id}_{fence}")
}

/// Whose unfinished container is called so, and under which fence it was begun.
fn unfinished(namespace: &str) -> Option<(ObjectId, u32)> {
    let (id, fence) = namespace.strip_prefix(BUILDING)?.split_once('_')?;
    Some((ObjectId::parse_str(id).ok()?, fence.parse().ok()?))
}

fn identity(organization: &Organization) -> EngineResult<ContainerId> {
    organization.container.ok_or_else(|| Error::unavailable("the organization has no container").into())
}

fn overtaken() -> EngineError {
    Error::unavailable("others work on the same container").into()
}
