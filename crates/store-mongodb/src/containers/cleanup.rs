//! Removing what a process left that was killed or overtaken: containers without documents that no organization
//! has. What has documents is somebody's; it stays where it is and is reported.

use super::collection::Stray;
use super::namespace::{identity_of, uuid};
use crate::MongoDb;
use crate::engine_error::EngineResult;
use mongodb::bson::{Document, doc};
use mongodb::options::Hint;
use tenantry_domain::Result;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::ContainerId;
use tenantry_domain::store::Tidied;

impl MongoDb {
    /// Removes what a crash has left half made and counts containers that no organization refers to.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn tidy(&self) -> Result<Tidied> {
        let mut tidied = Tidied::default();
        self.tidy_collections(&mut tidied).await?;
        self.tidy_databases(&mut tidied).await?;
        self.tidy_shares(&mut tidied).await?;
        self.tidy_shared_indexes().await?;
        self.tidy_usage().await?;
        Ok(tidied)
    }

    async fn tidy_collections(&self, tidied: &mut Tidied) -> EngineResult<()> {
        let pattern = format!("^({}|deleted_|building_)", escaped(&self.tenant_prefix));
        let list = self
            .connection
            .server()
            .database()
            .list_collections()
            .filter(doc! { "name": { "$regex": pattern } });
        let mut collections = self.connection.call(list).await?;
        while self.connection.call(collections.advance()).await? {
            let collection = collections.deserialize_current()?;
            if let Some(id) = identity_of(&collection) {
                self.tidy_collection(&collection.name, id, tidied).await?;
            }
        }
        Ok(())
    }

    async fn tidy_collection(&self, name: &str, id: ContainerId, tidied: &mut Tidied) -> EngineResult<()> {
        let owner = self.organizations.find_by_container(uuid(id));
        if let Some(owner) = owner.await? {
            if owner.operation.is_none() && owner.naming.namespace != name {
                self.settle_collection(&owner).await?;
            }
            return Ok(());
        }
        if self.is_further(name).await? {
            return Ok(());
        }
        match self.judge(name, id).await? {
            Stray::Owned => {}
            Stray::LeftOver => {
                self.drop_at(name, id).await?;
                note(tidied, true, name);
            }
            Stray::Foreign => note(tidied, false, name),
        }
        Ok(())
    }

    /// Whether it is beside the container of an organization.
    async fn is_further(&self, name: &str) -> EngineResult<bool> {
        let Some((namespace, _)) = name.split_once('.') else { return Ok(false) };
        if let Some(id) = namespace.strip_prefix("deleted_").and_then(|id| id.parse().ok()) {
            return self.organizations.exists(id).await;
        }
        self.organizations.is_reserved(namespace).await
    }

    async fn tidy_databases(&self, tidied: &mut Tidied) -> EngineResult<()> {
        let pattern = format!("^{}[0-9a-f]{{24}}$", escaped(&self.tenant_prefix));
        let client = self.connection.server().database().client();
        let list = client.list_database_names().filter(doc! { "name": { "$regex": pattern } });
        for name in self.connection.call(list).await? {
            let Ok(id) = name[self.tenant_prefix.len()..].parse::<OrganizationId>() else { continue };
            let database = self.database_of(id);
            // First: what is listed before nobody has the id is not of one that gets it later.
            let listed = self.listed_in(&database).await?;
            if self.organizations.exists(id).await? || !self.is_ours(&database).await? {
                continue;
            }
            let is_empty = self.documents_in(&database).await? == 0;
            // The documents may have taken long to count.
            if is_empty && !self.organizations.exists(id).await? {
                self.drop_listed(&database, &listed).await?;
            }
            note(tidied, is_empty, &name);
        }
        Ok(())
    }

    async fn tidy_shares(&self, tidied: &mut Tidied) -> EngineResult<()> {
        let find = self.shared_containers.collection().find(doc! {}).hint(Hint::Name("_id_".to_owned()));
        let mut shares = self.connection.call(find).await?;
        while self.connection.call(shares.advance()).await? {
            let share: Document = shares.deserialize_current()?;
            let Ok(id) = share.get_object_id("_id") else { continue };
            let id = OrganizationId::from_bytes(id.bytes());
            if self.organizations.exists(id).await? {
                self.finish_drops(id, &share).await?;
                continue;
            }
            let is_empty = self.documents_of(id).await? == 0;
            // An id that comes back into a share has rested for longer than this look is old (`ID_REST`).
            if is_empty {
                self.drop_share(id).await?;
            }
            note(tidied, is_empty, &format!("the share of {id}"));
        }
        Ok(())
    }

    /// Forgets how much organizations have that are no more.
    async fn tidy_usage(&self) -> EngineResult<()> {
        let mut all = self.usage.cursor().await?;
        while self.connection.call(all.advance()).await? {
            let Ok(id) = all.deserialize_current()?.get_object_id("_id") else { continue };
            let id = OrganizationId::from_bytes(id.bytes());
            if !self.organizations.exists(id).await? {
                self.usage.delete(id).await?;
            }
        }
        Ok(())
    }
}

/// Counts a container that no organization has, and says so.
fn note(tidied: &mut Tidied, removed: bool, container: &str) {
    if removed {
        tidied.removed += 1;
        tracing::info!(container, "removed an empty container that no organization has");
    } else {
        tidied.quarantined += 1;
        tracing::warn!(container, "a container with documents belongs to no organization: look what it is");
    }
}

/// `text` as a regular expression that finds it and nothing else.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_alphanumeric() || c == '_' { c.to_string() } else { format!("\\{c}") })
        .collect()
}
