//! A collection for each organization, beside the records: `tenant_<identifier>`.
//!
//! Its name is part of what users see and follows a rename; its UUID never changes, and every effect carries
//! it, so that a late one meets an error and never another's data. A new one is made under a name that carries
//! the organization's id and the operation's fence, and gets its own name when it is complete. Nothing is
//! ever renamed onto or dropped by name alone.

use super::metadata;
use super::namespace::{Namespace, identity_of, uuid};
use crate::MongoDb;
use crate::document::object_id;
use crate::engine_error::{EngineError, EngineResult};
use crate::records::Records;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use tenantry_domain::Error;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{ContainerId, Organization};
use tenantry_domain::store::NewContainer;

/// What the name of a container begins with until it is complete.
const BUILDING: &str = "building_";
/// How often somebody else may get ahead of a change before it is given up.
const ROUNDS: u32 = 5;

impl MongoDb {
    pub(super) async fn create_collection(&self, container: &NewContainer) -> EngineResult<ContainerId> {
        let made = self.find_or_build(container).await?;
        // What those have begun that were overtaken. One of them who wakes begins again, and finds this one.
        for fence in 1..container.fence {
            let unfinished = unfinished_name(container.organization_id, fence);
            if let Some(id) = self.uuid_of(&unfinished).await? {
                self.drop_at(&unfinished, id).await?;
            }
        }
        Ok(made)
    }

    async fn find_or_build(&self, container: &NewContainer) -> EngineResult<ContainerId> {
        let NewContainer { organization_id, namespace, .. } = container;
        for _ in 0..ROUNDS {
            if let Some(there) = self.uuid_of(namespace).await? {
                if self.begins_with(namespace, there, *organization_id).await? {
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
        match self.command(doc! { "create": &unfinished }).await {
            // Of a try before, or of another who works under the same fence.
            Ok(_) | Err(EngineError::NamespaceExists) => {}
            Err(failure) => return Err(failure),
        }
        let first = metadata(container.organization_id, container.created_at);
        let _ = Records::new(&self.connection, &unfinished).insert(first).await?;
        // Gone: another has made it complete and has given it its name meanwhile.
        let Some(id) = self.uuid_of(&unfinished).await? else {
            return Err(EngineError::Elsewhere { actual: None });
        };
        self.rename(&unfinished, &container.namespace, id).await?;
        Ok(id)
    }

    /// Removes what is half made beside the complete container, by one who was a little later.
    async fn remove_unfinished(&self, container: &NewContainer) -> EngineResult<()> {
        let unfinished = unfinished_name(container.organization_id, container.fence);
        match self.uuid_of(&unfinished).await? {
            Some(id) => match self.drop_at(&unfinished, id).await {
                Err(EngineError::Elsewhere { .. }) => Ok(()),
                done => done,
            },
            None => Ok(()),
        }
    }

    pub(super) async fn move_collection(&self, organization: &Organization, to: &str) -> EngineResult<()> {
        let id = identity(organization)?;
        let from = organization.naming.namespace.as_str();
        if from == to {
            return Ok(());
        }
        let from = match self.name_of(from, id).await? {
            // Somebody who was overtaken has taken it there. As long as nobody has overtaken us, it is ours to move.
            Some(actual) if actual != to => {
                self.organizations.verify_unchanged(organization).await?;
                actual
            }
            _ => from.to_owned(),
        };
        self.move_all(organization, &from, to, id).await
    }

    async fn move_all(
        &self,
        organization: &Organization,
        from: &str,
        to: &str,
        id: ContainerId,
    ) -> EngineResult<()> {
        // First, so that the container itself says that there is still something to do; and once more, for one
        // that was made meanwhile.
        self.move_further(organization, from, to).await?;
        self.move_first(from, to, id).await?;
        self.move_further(organization, from, to).await
    }

    /// Moves the collection that the container is, without those beside it.
    async fn move_first(&self, from: &str, to: &str, id: ContainerId) -> EngineResult<()> {
        for _ in 0..ROUNDS {
            match self.rename(from, to, id).await {
                Err(EngineError::Elsewhere { actual: Some(actual) }) if actual == to => return Ok(()),
                Err(EngineError::NamespaceExists) => {
                    if let Some(there) = self.uuid_of(to).await? {
                        self.make_way(to, there).await?;
                    }
                }
                done => return done,
            }
        }
        Err(overtaken())
    }

    /// Its identity says which one it is, wherever it is.
    pub(crate) async fn settle_collection(&self, organization: &Organization) -> EngineResult<()> {
        let id = identity(organization)?;
        let home = organization.naming.namespace.as_str();
        let Some(actual) = self.name_of(home, id).await? else { return Ok(()) };
        tracing::warn!(organization = %organization.id, collection = actual, "bringing a container back");
        self.move_all(organization, &actual, home, id).await
    }

    pub(super) async fn count_collection(&self, organization: &Organization) -> EngineResult<u64> {
        let id = identity(organization)?;
        let mut namespace = organization.naming.namespace.clone();
        for _ in 0..ROUNDS {
            match self.count_at(self.at(&namespace, id), Some(organization.id)).await {
                // It moves, or has moved, and its record will say so.
                Err(EngineError::Elsewhere { actual: Some(actual) }) => namespace = actual,
                Ok(count) => return Ok(count + self.count_extra_collections(organization, &namespace).await?),
                Err(failure) => return Err(failure),
            }
        }
        Err(overtaken())
    }

    pub(super) async fn drop_collection(&self, organization: &Organization) -> EngineResult<()> {
        // Without an identity none was ever made.
        let Some(id) = organization.container else { return Ok(()) };
        let mut namespace = organization.naming.namespace.clone();
        self.drop_extra_collections(organization, &namespace).await?;
        for _ in 0..ROUNDS {
            match self.drop_at(&namespace, id).await {
                Err(EngineError::Elsewhere { actual: Some(actual) }) => namespace = actual,
                done => return done,
            }
        }
        Err(overtaken())
    }

    /// Removes the collection of that UUID, if it has that name; one that is not there is not an error.
    pub(super) async fn drop_at(&self, namespace: &str, id: ContainerId) -> EngineResult<()> {
        match self.command(doc! { "drop": namespace, "collectionUUID": uuid(id) }).await {
            Ok(()) | Err(EngineError::Elsewhere { actual: None }) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Gives the collection of that UUID another name, if it has the one that is expected and the other is
    /// free.
    pub(super) async fn rename(&self, from: &str, to: &str, id: ContainerId) -> EngineResult<()> {
        let database = self.connection.server().database().name();
        let rename = doc! {
            "renameCollection": format!("{database}.{from}"),
            "to": format!("{database}.{to}"),
            "dropTarget": false,
            "collectionUUID": uuid(id),
        };
        let admin = self.connection.server().other_database("admin");
        self.connection.call(admin.run_command(self.connection.server().durably(rename))).await?;
        Ok(())
    }

    fn at<'a>(&'a self, namespace: &'a str, id: ContainerId) -> Namespace<'a> {
        Namespace { database: self.connection.server().database(), namespace, id: Some(id) }
    }

    /// Carries out a command that changes collections.
    async fn command(&self, command: Document) -> EngineResult<()> {
        self.connection
            .call(self.connection.server().database().run_command(self.connection.server().durably(command)))
            .await?;
        Ok(())
    }

    /// What the collection of that UUID is called, if not `expected`.
    async fn name_of(&self, expected: &str, id: ContainerId) -> EngineResult<Option<String>> {
        match self.aggregate(self.at(expected, id), &[doc! { "$limit": 1 }]).await {
            Ok(_) => Ok(None),
            Err(EngineError::Elsewhere { actual: Some(actual) }) => Ok(Some(actual)),
            Err(failure) => Err(failure),
        }
    }

    /// The identity of the collection that has that name now.
    async fn uuid_of(&self, namespace: &str) -> EngineResult<Option<ContainerId>> {
        let list = self.connection.server().database().list_collections().filter(doc! { "name": namespace });
        let mut collections = self.connection.call(list).await?;
        if !self.connection.call(collections.advance()).await? {
            return Ok(None);
        }
        Ok(identity_of(&collections.deserialize_current()?))
    }

    /// Whether the collection is that organization's container.
    async fn begins_with(
        &self,
        namespace: &str,
        id: ContainerId,
        owner: OrganizationId,
    ) -> EngineResult<bool> {
        let first =
            doc! { "$match": { "_id": object_id(owner.as_bytes()), "metadata": { "$exists": true } } };
        Ok(!self.aggregate(self.at(namespace, id), &[first]).await?.is_empty())
    }

    /// Removes a collection under a name that is reserved for somebody else, if it is left over. Anything else
    /// is somebody's data: it stays, and whoever wanted the name waits until the operator has looked.
    async fn make_way(&self, namespace: &str, id: ContainerId) -> EngineResult<()> {
        if !matches!(self.judge(namespace, id).await?, Stray::LeftOver) {
            tracing::error!(collection = namespace, "a collection is in the way that is none of ours");
            return Err(Error::unavailable(format!("the collection {namespace} is in the way")).into());
        }
        tracing::warn!(collection = namespace, "removing an empty container that no organization has");
        match self.drop_at(namespace, id).await {
            Err(EngineError::Elsewhere { .. }) => Ok(()),
            done => done,
        }
    }

    /// Whether a collection of that name is none of ours.
    pub(super) async fn is_foreign_collection(&self, namespace: &str) -> EngineResult<bool> {
        let Some(id) = self.uuid_of(namespace).await? else { return Ok(false) };
        let owner = self.organizations.find_by_container(uuid(id)).await?;
        Ok(owner.is_none() && matches!(self.judge(namespace, id).await?, Stray::Foreign))
    }

    /// What a collection is that is not where a record says.
    pub(super) async fn judge(&self, namespace: &str, id: ContainerId) -> EngineResult<Stray> {
        let two = [doc! { "$limit": 2 }, doc! { "$project": { "metadata": 1 } }];
        let first = match self.aggregate(self.at(namespace, id), &two).await {
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
