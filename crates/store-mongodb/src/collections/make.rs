//! Making and dropping the collections that are collections of the server's.

use super::command::Command;
use super::handle::CollectionHandle;
use crate::MongoDb;
use crate::engine_error::{EngineError, EngineResult};
use crate::quota::Creation;
use mongodb::bson::{Document, doc};
use tenantry_domain::Error;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::{ContainerId, Organization, Placement};
use tenantry_domain::store::InsertOutcome;

/// How often a collection is made anew because the organization has changed meanwhile.
const ROUNDS: u32 = 8;

impl MongoDb {
    pub(super) async fn make_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> EngineResult<InsertOutcome> {
        let Some(creation) = self.begin_creation(organization, name).await? else {
            return Ok(InsertOutcome::Exists);
        };
        let made = match self.room_for_collection().await {
            Ok(()) => self.make_announced(organization, name, &creation).await,
            Err(error) => Err(error.into()),
        };
        self.end_creation(organization, creation).await;
        made
    }

    async fn make_announced(
        &self,
        organization: &Organization,
        name: &CollectionName,
        creation: &Creation,
    ) -> EngineResult<InsertOutcome> {
        if organization.placement == Placement::Database {
            creation.check()?;
            return match self.create_in_database(organization.id, name.as_str()).await {
                Ok(()) => Ok(InsertOutcome::New),
                Err(EngineError::NamespaceExists) => Ok(InsertOutcome::Exists),
                Err(failure) => Err(failure),
            };
        }
        for round in 0.. {
            let now = self.organizations.get(organization.id).await?;
            if now.keeps_its_place()
                && let Some(made) = self.make_beside(&now, name, creation).await?
            {
                return Ok(made);
            }
            self.wait_for_operation(round).await?;
        }
        Err(Error::internal("there is no last round").into())
    }

    /// Makes the collection under the name that the organization holds. None if it no longer held it at the end: then the
    /// collection is empty and under a name that may be another's by now, where nothing is dropped.
    async fn make_beside(
        &self,
        organization: &Organization,
        name: &CollectionName,
        creation: &Creation,
    ) -> EngineResult<Option<InsertOutcome>> {
        creation.check()?;
        let create = doc! { "create": format!("{}.{name}", organization.naming.namespace) };
        let create =
            self.connection.server().database().run_command(self.connection.server().durably(create));
        let made = match self.connection.call(create).await {
            Ok(_) => InsertOutcome::New,
            Err(EngineError::NamespaceExists) => InsertOutcome::Exists,
            Err(failure) => return Err(failure),
        };
        Ok(self.organizations.is_unchanged(organization).await?.then_some(made))
    }

    pub(super) async fn drop_collection_of(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> EngineResult<bool> {
        let mut at = match self.resolve_collection(organization, name).await {
            Err(failure) if super::is_missing(&failure) => return Ok(false),
            at => at?,
        };
        let dropped = self.drop_at_once(&mut at).await;
        self.invalidate_uuid(organization.id, name);
        match dropped {
            Ok(_) => Ok(true),
            Err(failure) if super::is_missing(&failure) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn drop_at_once(&self, at: &mut CollectionHandle<'_>) -> EngineResult<Document> {
        for _ in 0..ROUNDS {
            let drop = Command::new("drop", &self.connection.server().durably(Document::new()))?;
            match self.command_at(at, &drop).await {
                // Somebody is at work on it.
                Err(EngineError::Interrupted) => {}
                done => return done,
            }
        }
        Err(EngineError::Interrupted)
    }

    /// Which collection it is that is called so, for later.
    pub(super) fn cache_uuid(&self, organization: &Organization, name: &CollectionName, id: ContainerId) {
        self.identities.insert(organization.id, name, id);
    }
}
