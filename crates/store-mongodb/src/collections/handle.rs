//! A collection of an organization: the only way to its documents, and the retry where it has moved.
//!
//! In the placements `collection` and `database` it is a collection of the server, identified by its UUID: another
//! one may have the same name at another time. The UUID of the first collection is in the organization's record. The
//! others are looked up by name, while the organization holds the name, and cached. The cache may be out of date, but
//! every command carries the UUID, so the server reports a mismatch.
//!
//! # Pitfalls
//! If a command is refused because the collection is elsewhere, nothing has happened. The server returns the name
//! that this UUID has now, and the command may be sent there. If no collection has the UUID any more, another may
//! have been created under the name, which is looked up once.

pub(crate) mod fold;
pub(crate) mod select;
pub(crate) mod transaction;

use super::command::{Amount, Command, elsewhere};
use super::index_definition::caller_name;
use super::location::{CollectionLocation, CollectionLocator};
use super::shared_collection::SharedCollection;
use crate::connection::Connection;
use crate::containers::namespace::uuid;
use crate::documents::index_entries::EntrySum;
use crate::documents::layout::DocumentLayout;
use crate::engine_error::{EngineError, EngineResult, NAMESPACE_NOT_FOUND};
use bson::RawDocument;
use mongodb::bson::{Bson, Document, doc};
use std::time::Duration;
use tenantry_documents::index::IndexName;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::Organization;
use tenantry_domain::{Error, ErrorCode};

/// How often a collection may move before the command fails.
const MAX_ATTEMPTS: u32 = 8;

/// Bytes of documents whose index entries are summed up in one go.
const SUM_BATCH_BYTES: usize = 1 << 20;

/// A collection of an organization, and its last known location.
pub(crate) struct CollectionHandle<'a> {
    locator: &'a dyn CollectionLocator,
    organization: &'a Organization,
    name: &'a CollectionName,
    location: CollectionLocation,
    /// Whether it may be looked up once more.
    may_look_again: bool,
}

impl<'a> CollectionHandle<'a> {
    /// Finds the collection; `collection_not_found`.
    pub(crate) async fn resolve(
        locator: &'a dyn CollectionLocator,
        organization: &'a Organization,
        name: &'a CollectionName,
    ) -> EngineResult<Self> {
        let location = locate(locator, organization, name).await?;
        Ok(Self::at(locator, organization, name, location))
    }

    /// A collection whose location is known.
    pub(crate) const fn at(
        locator: &'a dyn CollectionLocator,
        organization: &'a Organization,
        name: &'a CollectionName,
        location: CollectionLocation,
    ) -> Self {
        Self { locator, organization, name, may_look_again: location.uuid.is_some(), location }
    }

    /// Looks the collection up once more, because what was read of it is out of date.
    pub(crate) async fn refresh(&mut self) -> EngineResult<()> {
        self.location = locate(self.locator, self.organization, self.name).await?;
        Ok(())
    }

    /// Looks the collection up where nothing of it is cached.
    pub(crate) async fn look_up_again(&mut self) -> EngineResult<()> {
        self.locator.invalidate_uuid(self.organization.id, self.name);
        self.refresh().await
    }

    /// What no other collection of the organization ever has: its UUID, or its key in the placement `shared`.
    pub(crate) fn identity(&self) -> Bson {
        match (self.location.uuid, &self.location.shared) {
            (Some(id), _) => uuid(id),
            (None, Some(shared)) => shared.key.as_str().into(),
            (None, None) => Bson::Null,
        }
    }

    pub(crate) fn connection(&self) -> &'a Connection {
        self.locator.connection()
    }

    pub(crate) const fn organization(&self) -> &'a Organization {
        self.organization
    }

    pub(crate) const fn name(&self) -> &'a CollectionName {
        self.name
    }

    pub(crate) const fn layout(&self) -> &DocumentLayout {
        &self.location.layout
    }

    /// The container's entry for it, in the placement `shared`.
    pub(crate) const fn shared(&self) -> Option<&SharedCollection> {
        self.location.shared.as_ref()
    }

    /// The organization's name for an index that has that name on the server.
    pub(crate) fn name_of_index<'b>(&'b self, physical: &'b str) -> &'b str {
        let shared = self.shared().and_then(|shared| shared.name_of(physical));
        shared.map_or_else(|| caller_name(physical), |name| name.as_str())
    }

    /// The organization's name for an index that has that name on the server; `None` if it is none that is listed.
    pub(crate) fn listed_name(&self, physical: &str) -> Option<IndexName> {
        match self.shared() {
            Some(shared) => shared.name_of(physical).cloned(),
            None => IndexName::parse(caller_name(physical)).ok(),
        }
    }

    /// Has the server give the collection's free space back. The command takes no UUID: if another collection has the
    /// name meanwhile, that one is compacted, which changes nothing that anybody could read.
    pub(crate) async fn compact(&self, time: Duration) -> EngineResult<()> {
        // A primary of a replica set refuses without `force`.
        let command = doc! { "compact": &self.location.namespace, "force": true };
        self.connection().call_within(time, self.location.database.run_command(command)).await.map(|_| ())
    }

    /// Its last known name on the server.
    pub(crate) fn namespace(&self) -> &str {
        &self.location.namespace
    }

    /// Whether the collection is still the one that was located. Ask after a write that would create it.
    pub(crate) async fn is_current(&self) -> EngineResult<bool> {
        self.locator.is_current(self.organization, self.name, &self.location).await
    }

    /// The definitions of the server's indexes, and the namespace they were listed under: `listIndexes` takes no
    /// UUID.
    pub(crate) async fn list_index_definitions(&self) -> (String, EngineResult<Vec<Document>>) {
        let namespace = self.location.namespace.clone();
        let list = self.location.database.run_cursor_command(doc! { "listIndexes": &namespace });
        let listed = self.connection().call(async {
            let mut cursor = list.await?;
            let mut all = Vec::new();
            while cursor.advance().await? {
                all.push(cursor.deserialize_current()?);
            }
            Ok(all)
        });
        (namespace, listed.await)
    }

    /// Whether `namespace` is its last known name on the server.
    pub(crate) fn is_at(&self, namespace: &str) -> bool {
        self.location.namespace == namespace
    }
}

async fn locate(
    locator: &dyn CollectionLocator,
    organization: &Organization,
    name: &CollectionName,
) -> EngineResult<CollectionLocation> {
    let location = locator.locate(organization, name).await?;
    location.ok_or_else(|| EngineError::from(Error::from(ErrorCode::CollectionNotFound)))
}

impl CollectionHandle<'_> {
    /// Runs a command that returns one document.
    pub(crate) async fn run(&mut self, command: &Command) -> EngineResult<Document> {
        self.run_within(command, self.connection().deadline()).await
    }

    /// Runs a command that returns one document and may take longer than the deadline.
    pub(crate) async fn run_within(
        &mut self,
        command: &Command,
        deadline: Duration,
    ) -> EngineResult<Document> {
        for _ in 0..MAX_ATTEMPTS {
            let run = self.location.database.run_raw_command(command.on(&self.location)?);
            let failure = match self.connection().call_within(deadline, run).await {
                Ok(answer) => match elsewhere(&answer) {
                    Some(failure) => failure,
                    None => return Ok(answer),
                },
                Err(failure) => failure,
            };
            self.follow(failure).await?;
        }
        Err(Error::unavailable("the collection keeps moving").into())
    }

    /// Runs a command that returns documents. Returns what `read` makes of them, and whether there are more.
    pub(crate) async fn read<T: Send>(
        &mut self,
        command: &Command,
        amount: Amount,
        deadline: Duration,
        read: impl Fn(&RawDocument) -> EngineResult<T> + Send + Sync,
    ) -> EngineResult<(Vec<T>, bool)> {
        for _ in 0..MAX_ATTEMPTS {
            let run = self.location.database.run_raw_cursor_command(command.timed(&self.location, deadline)?);
            let reading = async {
                let mut cursor = run.await?;
                let (mut found, mut bytes) = (Vec::new(), 0);
                while cursor.advance().await? {
                    if found.len() >= amount.documents || bytes >= amount.bytes {
                        return Ok(Ok((found, true)));
                    }
                    let document = cursor.current();
                    bytes += document.as_bytes().len();
                    match read(document) {
                        Ok(document) => found.push(document),
                        Err(failure) => return Ok(Err(failure)),
                    }
                }
                Ok(Ok((found, false)))
            };
            match self.connection().call_within(deadline, reading).await {
                Ok(found) => return found,
                Err(failure) => self.follow(failure).await?,
            }
        }
        Err(Error::unavailable("the collection keeps moving").into())
    }

    /// Runs a command that returns documents. Returns the bytes of their index entries, counted in batches.
    pub(crate) async fn sum_entries(
        &mut self,
        command: &Command,
        deadline: Duration,
        entries: &EntrySum,
    ) -> EngineResult<u64> {
        for _ in 0..MAX_ATTEMPTS {
            let run = self.location.database.run_raw_cursor_command(command.on(&self.location)?);
            let summing = async {
                let mut cursor = run.await?;
                let (mut page, mut bytes, mut sum) = (Vec::new(), 0, 0);
                loop {
                    let is_end = !cursor.advance().await?;
                    if !is_end {
                        let document = cursor.current();
                        bytes += document.as_bytes().len();
                        page.push(document.to_owned());
                    }
                    if is_end || bytes >= SUM_BATCH_BYTES {
                        bytes = 0;
                        match entries.of(std::mem::take(&mut page)).await {
                            Ok(more) => sum += more,
                            Err(failure) => return Ok(Err(failure)),
                        }
                    }
                    if is_end {
                        return Ok(Ok(sum));
                    }
                }
            };
            match self.connection().call_within(deadline, summing).await {
                Ok(sum) => return sum,
                Err(failure) => self.follow(failure).await?,
            }
        }
        Err(Error::unavailable("the collection keeps moving").into())
    }

    /// Updates the location, if a command failed because the collection has moved.
    pub(crate) async fn follow(&mut self, failure: EngineError) -> EngineResult<()> {
        match failure {
            // `$collStats` looks its collection up again by name alone, and the name may have changed since.
            EngineError::Interrupted | EngineError::ServerError { code: NAMESPACE_NOT_FOUND, .. } => Ok(()),
            EngineError::Elsewhere { actual: Some(actual) } if self.locator.is_called(self.name, &actual) => {
                if self.locator.is_container(self.name) {
                    self.locator.look_after_container(self.organization, &actual).await;
                }
                self.location.namespace = actual;
                Ok(())
            }
            EngineError::Elsewhere { .. } => self.look_again().await,
            failure => Err(failure),
        }
    }

    /// The collection is gone or has another name: another one may have been created.
    async fn look_again(&mut self) -> EngineResult<()> {
        if self.locator.is_container(self.name) {
            return Err(Error::unavailable("the organization's container is missing").into());
        }
        if !self.may_look_again {
            return Err(Error::from(ErrorCode::CollectionNotFound).into());
        }
        self.locator.invalidate_uuid(self.organization.id, self.name);
        self.refresh().await?;
        self.may_look_again = false;
        Ok(())
    }
}
