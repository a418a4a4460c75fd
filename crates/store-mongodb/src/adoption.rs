//! Reads the database of another program, from which organizations are adopted, and renames collections in it.
//!
//! Nothing here creates the schema: the database belongs to another program until the adoption says otherwise.
//!
//! # Pitfalls
//! Every method but those of [`journal`], [`metadata`], [`renames`] and [`run_lock`] only reads.

mod counters;
mod journal;
mod metadata;
mod names;
mod renames;
mod run_lock;

pub use journal::{Journal, JournalEntry};
pub use metadata::is_marker;
pub use renames::RECORD_COLLECTIONS;
pub use run_lock::{LockPlace, RunLock};

use crate::client::{MongoOptions, Server};
use crate::collections::index_definition;
use crate::containers::namespace::uuid_of;
use crate::engine_error::{EngineError, EngineResult, NAMESPACE_NOT_FOUND};
use crate::error::OpenError;
use crate::schema;
use bson::{Document, RawDocumentBuf, doc};
use futures_util::stream::{BoxStream, try_unfold};
use mongodb::results::{CollectionSpecification, CollectionType};
use mongodb::{Cursor, Database};
use tenantry_documents::index::Index;
use tenantry_domain::organization::ContainerId;
use tenantry_domain::store::full_scan::{BYTES, DOCUMENTS};
use tenantry_domain::{Error, Result};

/// Records of the other program that are read at once.
const BATCH: u32 = 500;
/// "CommandNotSupportedOnView".
const COMMAND_NOT_SUPPORTED_ON_VIEW: i32 = 166;

/// A collection of the other program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCollection {
    /// Its name.
    pub name: String,
    /// Its UUID; a view and a time series have none.
    pub id: Option<ContainerId>,
    /// Whether it is a plain collection.
    pub is_plain: bool,
    /// The names of the options that it was created with.
    pub options: Vec<String>,
}

/// The indexes of a collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceIndexes {
    /// Those that this service has too.
    pub known: Vec<Index>,
    /// The names of the others.
    pub others: Vec<String>,
    /// Their definitions, as the server has them.
    definitions: Vec<Document>,
}

/// A database of another program.
#[derive(Clone)]
pub struct SourceDatabase {
    server: Server,
}

impl SourceDatabase {
    /// Prepares the client; sends nothing yet.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn open(options: &MongoOptions) -> Result<Self, OpenError> {
        Ok(Self { server: Server::new(options).await? })
    }

    /// The name of the database.
    #[must_use]
    pub fn name(&self) -> &str {
        self.server.database().name()
    }

    /// Whether the database has the records of this service.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn is_ours(&self) -> Result<bool> {
        Ok(schema::version(&self.server).await? > 0)
    }

    /// The names of all databases that the user may see, without the server's own.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn database_names(&self) -> Result<Vec<String>> {
        let client = self.server.database().client();
        let mut names = self.server.within(client.list_database_names()).await.map_err(Error::from)?;
        names.retain(|name| !["admin", "local", "config"].contains(&name.as_str()));
        names.sort();
        Ok(names)
    }

    /// The collections of a database, in the order of their names, without the server's own.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn collections(&self, database: &str) -> Result<Vec<SourceCollection>> {
        Ok(self.list(&self.server.other_database(database)).await?)
    }

    async fn list(&self, database: &Database) -> EngineResult<Vec<SourceCollection>> {
        let mut cursor = self.server.within(database.list_collections()).await?;
        let mut listed = Vec::new();
        while self.server.within(cursor.advance()).await? {
            let collection: CollectionSpecification = cursor.deserialize_current()?;
            if collection.name.starts_with("system.") {
                continue;
            }
            let is_plain = matches!(collection.collection_type, CollectionType::Collection);
            let options = cursor.current().get_document("options").into_iter().flatten();
            let options = options.map_while(|field| Some(field.ok()?.0.as_str().to_owned())).collect();
            let id = uuid_of(&collection);
            listed.push(SourceCollection { id, name: collection.name, is_plain, options });
        }
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(listed)
    }

    /// All documents of a collection of this database, or the first `limit`, in the order of their ids.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn records(&self, collection: &str, limit: Option<u32>) -> Result<Vec<Document>> {
        let mut records = Vec::new();
        let read = async {
            let collection = self.server.collection(collection);
            let find = collection.find(doc! {}).sort(doc! { "_id": 1 });
            let find = find.batch_size(BATCH).limit(i64::from(limit.unwrap_or(0)));
            let mut cursor = self.server.within(find).await?;
            while self.server.within(cursor.advance()).await? {
                records.push(cursor.deserialize_current()?);
            }
            EngineResult::Ok(())
        };
        read.await.map_err(Error::from)?;
        Ok(records)
    }

    /// The documents of a collection in the order of their ids, a page at a time.
    #[must_use]
    pub fn documents<'a>(
        &'a self,
        database: &'a str,
        collection: &'a str,
    ) -> BoxStream<'a, Result<Vec<RawDocumentBuf>>> {
        Box::pin(try_unfold(None, move |cursor| async move {
            let mut cursor = match cursor {
                Some(cursor) => cursor,
                None => self.open_cursor(database, collection).await.map_err(Error::from)?,
            };
            let page = self.next_page(&mut cursor).await.map_err(Error::from)?;
            Ok((!page.is_empty()).then_some((page, Some(cursor))))
        }))
    }

    async fn open_cursor(&self, database: &str, collection: &str) -> EngineResult<Cursor<RawDocumentBuf>> {
        let collection = self.server.other_database(database).collection::<RawDocumentBuf>(collection);
        let batch = u32::try_from(DOCUMENTS).unwrap_or(u32::MAX);
        self.server.within(collection.find(doc! {}).sort(doc! { "_id": 1 }).batch_size(batch)).await
    }

    async fn next_page(&self, cursor: &mut Cursor<RawDocumentBuf>) -> EngineResult<Vec<RawDocumentBuf>> {
        let (mut page, mut bytes) = (Vec::new(), 0);
        while page.len() < DOCUMENTS && bytes < BYTES && self.server.within(cursor.advance()).await? {
            let document = cursor.current().to_owned();
            bytes += document.as_bytes().len();
            page.push(document);
        }
        Ok(page)
    }

    /// The indexes of a collection, without the one on the `_id`.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn indexes(&self, database: &str, collection: &str) -> Result<SourceIndexes> {
        let list = doc! { "listIndexes": collection, "cursor": { "batchSize": 1000 } };
        let database = self.server.other_database(database);
        let reply = match self.server.within(database.run_command(list)).await {
            Err(failure) if is_missing(&failure) => return Ok(SourceIndexes::default()),
            reply => reply.map_err(Error::from)?,
        };
        let batch = reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
        let mut indexes = SourceIndexes::default();
        for definition in batch.into_iter().flatten().filter_map(|each| each.as_document()) {
            let name = definition.get_str("name").unwrap_or_default();
            if name == "_id_" {
                continue;
            }
            match index_definition::read(definition) {
                Some(index) => indexes.known.push(index),
                None => indexes.others.push(name.to_owned()),
            }
            indexes.definitions.push(definition.clone());
        }
        Ok(indexes)
    }

    pub(crate) const fn server(&self) -> &Server {
        &self.server
    }
}

/// Whether a collection is missing, or is a view.
fn is_missing(failure: &EngineError) -> bool {
    failure.is_missing_collection()
        || matches!(
            failure,
            EngineError::ServerError { code: NAMESPACE_NOT_FOUND | COMMAND_NOT_SUPPORTED_ON_VIEW, .. }
        )
}
