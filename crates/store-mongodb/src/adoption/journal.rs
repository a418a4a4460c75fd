//! What an adoption in place has to do and to undo, in a collection of the database itself.
//!
//! It is complete before the first effect, and goes after the last. So after a crash it says what each collection was
//! called, and which document was taken out of it.

use super::SourceDatabase;
use super::names::{JOURNAL, LOCK};
use crate::containers::namespace::uuid;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Bson, Document, doc};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::ContainerId;
use tenantry_domain::{Error, Result};

/// The document with the state of the whole.
const HEAD: &str = "adoption";
/// Entries that are written at once.
const BATCH: usize = 500;

/// The state of an adoption in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// `moving`, `complete` or `undoing`.
    pub state: String,
    /// The options it was begun with, as text.
    pub options: String,
}

/// A collection that gets another name.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalEntry {
    /// Its UUID.
    pub id: ContainerId,
    /// Its name before.
    pub from: String,
    /// Its name afterwards.
    pub to: String,
    /// The organization whose container it is; `None` for the other program's records and for further collections.
    pub container_of: Option<OrganizationId>,
    /// The document of the other program that its metadata document replaces.
    pub marker: Option<Document>,
}

impl SourceDatabase {
    /// The journal, if there is one.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn journal(&self) -> Result<Option<Journal>> {
        let collection = self.server().collection(JOURNAL);
        let head = self.server().within(collection.find_one(doc! { "_id": HEAD })).await;
        let Some(head) = head.map_err(Error::from)? else { return Ok(None) };
        let text = |name: &str| head.get_str(name).unwrap_or_default().to_owned();
        Ok(Some(Journal { state: text("state"), options: text("options") }))
    }

    /// Its entries.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn journal_entries(&self) -> Result<Vec<JournalEntry>> {
        let documents = self.records(JOURNAL, None).await?;
        let entries = documents.into_iter().filter(|each| each.get_str("_id").is_err());
        entries
            .map(|entry| read(entry).ok_or_else(|| Error::unavailable(format!("{JOURNAL} cannot be read"))))
            .collect()
    }

    /// Writes the entries, and then the head, with which the journal is valid.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn begin_journal(&self, entries: &[JournalEntry], options: &str) -> Result<()> {
        // What an attempt without a head has left.
        if self.records(JOURNAL, None).await?.into_iter().any(|document| !is_ours(document)) {
            return Err(Error::unavailable(format!("the collection {JOURNAL} has something else")));
        }
        self.end_journal().await?;
        for batch in entries.chunks(BATCH) {
            let documents: Vec<Document> = batch.iter().map(write).collect();
            self.write(doc! { "insert": JOURNAL, "documents": documents }).await?;
        }
        self.set_journal_state("moving", Some(options)).await
    }

    /// Notes how far the adoption is.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn set_journal_state(&self, state: &str, options: Option<&str>) -> Result<()> {
        let mut set = doc! { "state": state };
        if let Some(options) = options {
            set.insert("options", options);
        }
        let update = doc! { "q": { "_id": HEAD }, "u": { "$set": set }, "upsert": true };
        Ok(self.write(doc! { "update": JOURNAL, "updates": [update] }).await?)
    }

    /// Removes what an adoption has left that stopped before its journal was complete; says whether there was something.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn drop_unfinished_journal(&self) -> Result<bool> {
        let documents = self.records(JOURNAL, None).await?;
        let has_entries = documents.iter().any(|document| document.get_str("_id").is_err());
        if !has_entries || !documents.into_iter().all(is_ours) {
            return Ok(false);
        }
        self.end_journal().await?;
        Ok(true)
    }

    /// Removes the journal. Its collection goes with the lock that is in it.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn end_journal(&self) -> Result<()> {
        // The head first: without it the rest is not a journal.
        let head = doc! { "q": { "_id": HEAD }, "limit": 1 };
        let rest = doc! { "q": { "_id": { "$ne": LOCK } }, "limit": 0 };
        Ok(self.write(doc! { "delete": JOURNAL, "deletes": [head, rest], "ordered": true }).await?)
    }

    /// Removes the collection of the journal, if nothing is in it.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub(super) async fn drop_empty_journal(&self) -> Result<()> {
        let Some(id) = self.find_uuid(JOURNAL).await? else { return Ok(()) };
        if self.records(JOURNAL, Some(1)).await?.is_empty() {
            self.drop_collection(JOURNAL, id).await
        } else {
            Ok(())
        }
    }
}

/// Whether it is an entry or the lock. A collection of that name may be somebody else's.
fn is_ours(document: Document) -> bool {
    document.get_str("_id").is_ok_and(|id| id == LOCK) || read(document).is_some()
}

fn write(entry: &JournalEntry) -> Document {
    let mut document = doc! { "_id": uuid(entry.id), "from": &entry.from, "to": &entry.to };
    if let Some(organization) = entry.container_of {
        document.insert("container_of", organization.to_string());
    }
    if let Some(marker) = &entry.marker {
        document.insert("marker", marker.clone());
    }
    document
}

fn read(mut entry: Document) -> Option<JournalEntry> {
    let Bson::Binary(id) = entry.get("_id")? else { return None };
    if id.subtype != BinarySubtype::Uuid {
        return None;
    }
    let id = ContainerId(id.bytes.as_slice().try_into().ok()?);
    let container_of = match entry.get_str("container_of") {
        Ok(text) => Some(text.parse().ok()?),
        Err(_) => None,
    };
    let marker = match entry.remove("marker") {
        Some(Bson::Document(marker)) => Some(marker),
        _ => None,
    };
    let text = |name: &str| entry.get_str(name).ok().map(str::to_owned);
    Some(JournalEntry { id, from: text("from")?, to: text("to")?, container_of, marker })
}
