//! The audit trail. The event of a change is in the document that the change writes, in a list of those that are in
//! no chain yet ([`EVENTS`]); an event without a change is in a document of its own. A removed record that still has
//! such events leaves a document without anything else ([`crate::records`]) until they are in their chain.

use crate::connection::Connection;
use crate::engine_error::{EngineError, EngineResult};
use crate::names::{
    ACCOUNTS, ACCOUNTS_EVENTS, API_KEYS, API_KEYS_EVENTS, AUDIT_ENTRIES, AUDIT_ENTRIES_BY_ACTION,
    AUDIT_ENTRIES_BY_ACTOR, AUDIT_ENTRIES_BY_EVENT, AUDIT_OUTBOX, AUDIT_OUTBOX_EVENTS, IDENTITIES,
    IDENTITIES_EVENTS, INSTALLATION, INVITATIONS, INVITATIONS_EVENTS, OPERATIONS, OPERATIONS_EVENTS,
    SESSIONS, SESSIONS_EVENTS,
};
use crate::record_codec::{binary, integer, moment, object_id};
use crate::records::{EVENTS, GONE, Records, stored_event};
use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::action::Find;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::Hint;
use tenantry_domain::audit::{AuditAction, AuditChain, AuditEntry, AuditEvent};
use tenantry_domain::ids::AuditEventId;
use tenantry_domain::store::{self, AppendOutcome, AuditQuery};
use tenantry_domain::{Error, Result};

/// The collections whose documents carry events, each with its index on them. The values of the installation are so few
/// that their ids do.
const SOURCES: [(&str, &str); 8] = [
    (SESSIONS, SESSIONS_EVENTS),
    (API_KEYS, API_KEYS_EVENTS),
    (INVITATIONS, INVITATIONS_EVENTS),
    (IDENTITIES, IDENTITIES_EVENTS),
    (ACCOUNTS, ACCOUNTS_EVENTS),
    (OPERATIONS, OPERATIONS_EVENTS),
    (AUDIT_OUTBOX, AUDIT_OUTBOX_EVENTS),
    (INSTALLATION, "_id_"),
];

/// See [`store::Audit`].
pub(crate) struct Audit {
    entries: Records,
    outbox: Records,
    sources: Vec<(Records, &'static str)>,
}

impl Audit {
    pub(crate) fn new(connection: &Connection) -> Self {
        let sources = SOURCES.iter().map(|(name, index)| (Records::new(connection, name), *index));
        Self {
            entries: Records::new(connection, AUDIT_ENTRIES),
            outbox: Records::new(connection, AUDIT_OUTBOX),
            sources: sources.collect(),
        }
    }

    /// Removes events from the documents of one collection that carry them, and the documents that were kept for
    /// nothing else.
    async fn clear(&self, source: &Records, index: &'static str, ids: &[Bson]) -> EngineResult<()> {
        let carrying = doc! { EVENT_ID: { "$in": ids } };
        let find = source.collection().find(carrying.clone()).projection(doc! { "_id": 1 });
        let find = find.hint(Hint::Name(index.to_owned()));
        let found = source.documents(find, u32::try_from(ids.len()).unwrap_or(u32::MAX)).await?;
        if found.is_empty() {
            return Ok(());
        }
        let left = doc! { "$filter": {
            "input": format!("${EVENTS}"),
            "cond": { "$not": [{ "$in": ["$$this.id", ids] }] },
        } };
        let or_none =
            doc! { "$cond": [{ "$eq": [format!("${EVENTS}"), []] }, "$$REMOVE", format!("${EVENTS}")] };
        let update = vec![doc! { "$set": { EVENTS: left } }, doc! { "$set": { EVENTS: or_none } }];
        let update = source.collection().update_many(carrying, update).hint(Hint::Name(index.to_owned()));
        source.call(update).await?;
        let documents: Vec<Bson> = found.into_iter().filter_map(|mut found| found.remove("_id")).collect();
        let done = doc! { "_id": { "$in": documents }, GONE: true, EVENTS: { "$exists": false } };
        source.call(source.collection().delete_many(done)).await?;
        Ok(())
    }

    async fn clear_all(&self, ids: &[AuditEventId]) -> EngineResult<()> {
        let ids: Vec<Bson> = ids.iter().map(|id| object_id(id.as_bytes()).into()).collect();
        for (source, index) in &self.sources {
            self.clear(source, index, &ids).await?;
        }
        Ok(())
    }

    async fn unchained(&self, limit: u32) -> EngineResult<Vec<AuditEvent>> {
        let mut events = Vec::new();
        for (source, index) in &self.sources {
            let find = source.collection().find(doc! { EVENT_ID: { "$exists": true } });
            let find = find.projection(doc! { EVENTS: 1 }).hint(Hint::Name((*index).to_owned()));
            for document in source.documents(find, limit).await? {
                let carried = document.get_array(EVENTS).map(Vec::as_slice).unwrap_or_default();
                for event in carried {
                    let text = event.as_document().and_then(|event| event.get_str("text").ok());
                    let text = text.ok_or_else(|| Error::internal("a stored event has no text"))?;
                    events.push(AuditEvent::parse(text)?);
                }
            }
        }
        events.sort_by_key(|event| event.id);
        events.truncate(limit as usize);
        Ok(events)
    }

    async fn read(&self, find: Find<'_, Document>, limit: u32) -> EngineResult<Vec<AuditEntry>> {
        self.entries.documents(find, limit).await?.iter().map(entry).collect()
    }

    async fn first(&self, filter: Document, order: i32) -> EngineResult<Option<AuditEntry>> {
        let find = self.entries.collection().find(filter).sort(doc! { "_id": order });
        Ok(self.read(find, 1).await?.pop())
    }

    async fn insert(&self, entries: &[AuditEntry]) -> EngineResult<AppendOutcome> {
        let documents = entries.iter().map(document);
        match self.entries.call(self.entries.collection().insert_many(documents).ordered(true)).await {
            Ok(_) => Ok(AppendOutcome::Done),
            Err(EngineError::Duplicate { .. }) => Ok(AppendOutcome::Taken),
            Err(failure) => Err(failure),
        }
    }
}

/// The id of an event in the list of a document.
const EVENT_ID: &str = "events.id";

#[async_trait]
impl store::Audit for Audit {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn insert_event(&self, event: &AuditEvent) -> Result<()> {
        let id = object_id(event.id.as_bytes());
        let _ = self.outbox.insert(doc! { "_id": id, GONE: true, EVENTS: [stored_event(event)?] }).await?;
        Ok(())
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_unchained(&self, limit: u32) -> Result<Vec<AuditEvent>> {
        Ok(self.unchained(limit).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%chain))]
    async fn list_chained(&self, chain: AuditChain, ids: &[AuditEventId]) -> Result<Vec<AuditEventId>> {
        let wanted: Vec<Bson> = ids.iter().map(|id| object_id(id.as_bytes()).into()).collect();
        let find =
            self.entries.collection().find(doc! { "chain": chain.to_string(), "id": { "$in": wanted } });
        let find = find.projection(doc! { "_id": 0, "id": 1 });
        let find = find.hint(Hint::Name(AUDIT_ENTRIES_BY_EVENT.to_owned()));
        let found = self.entries.documents(find, u32::try_from(ids.len()).unwrap_or(u32::MAX)).await?;
        let ids = found.iter().filter_map(|found| found.get_object_id("id").ok());
        Ok(ids.map(|id| AuditEventId::from_bytes(id.bytes())).collect())
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn append_entries(&self, entries: &[AuditEntry]) -> Result<AppendOutcome> {
        if entries.is_empty() {
            return Ok(AppendOutcome::Done);
        }
        let outcome = self.insert(entries).await?;
        if outcome == AppendOutcome::Done {
            self.clear_all(&entries.iter().map(|entry| entry.id).collect::<Vec<_>>()).await?;
        }
        Ok(outcome)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn restore_entries(&self, entries: &[AuditEntry]) -> Result<()> {
        let documents: Vec<Document> = entries.iter().map(document).collect();
        let insert = self.entries.collection().insert_many(documents).ordered(false);
        match self.entries.call(insert).await {
            Ok(_) | Err(EngineError::Duplicate { .. }) => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn clear_events(&self, ids: &[AuditEventId]) -> Result<()> {
        Ok(self.clear_all(ids).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%chain))]
    async fn get_last_entry(&self, chain: AuditChain) -> Result<Option<AuditEntry>> {
        Ok(self.first(doc! { "_id": { "$gt": above(chain, 0), "$lt": behind(chain) } }, -1).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn get_next_chain(&self, after: Option<AuditChain>) -> Result<Option<AuditEntry>> {
        let after = after.map_or_else(String::new, behind);
        Ok(self.first(doc! { "_id": { "$gt": after } }, 1).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(chain = %query.chain))]
    async fn list_entries(&self, query: &AuditQuery, limit: u32) -> Result<Vec<AuditEntry>> {
        let mut filter = doc! { "chain": query.chain.to_string() };
        let mut ids = Document::new();
        if let Some(from) = query.from {
            ids.insert("$gte", object_id(from.as_bytes()));
        }
        if let Some(before) = query.before {
            ids.insert("$lt", object_id(before.as_bytes()));
        }
        if !ids.is_empty() {
            filter.insert("id", ids);
        }
        let mut index = AUDIT_ENTRIES_BY_EVENT;
        if let Some(action) = query.action {
            filter.insert("action", action.as_str());
            index = AUDIT_ENTRIES_BY_ACTION;
        }
        if let Some(actor) = &query.actor {
            filter.insert("actor", actor);
            index = AUDIT_ENTRIES_BY_ACTOR;
        }
        let find = self.entries.collection().find(filter).sort(doc! { "id": -1 });
        Ok(self.read(find.hint(Hint::Name(index.to_owned())), limit).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%chain))]
    async fn list_chain(&self, chain: AuditChain, after: u64, limit: u32) -> Result<Vec<AuditEntry>> {
        let filter = doc! { "_id": { "$gt": above(chain, after), "$lt": behind(chain) } };
        let find = self.entries.collection().find(filter).sort(doc! { "_id": 1 });
        Ok(self.read(find, limit).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%chain))]
    async fn redact_entries(&self, chain: AuditChain, from: u64, to: u64) -> Result<()> {
        let filter = doc! { "_id": { "$gte": above(chain, from), "$lte": above(chain, to) } };
        let update = doc! { "$unset": { "event": "", "actor": "" } };
        self.entries.call(self.entries.collection().update_many(filter, update)).await?;
        Ok(())
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%chain))]
    async fn delete_entries(&self, chain: AuditChain, to: u64) -> Result<()> {
        let filter = doc! { "_id": { "$gt": above(chain, 0), "$lte": above(chain, to) } };
        self.entries.call(self.entries.collection().delete_many(filter)).await?;
        Ok(())
    }
}

/// The `_id` of an entry: it sorts by chain and number.
fn above(chain: AuditChain, sequence: u64) -> String {
    format!("{chain}:{sequence:020}")
}

/// Behind all entries of that chain: the next character after the colon.
fn behind(chain: AuditChain) -> String {
    format!("{chain};")
}

fn document(entry: &AuditEntry) -> Document {
    let mut document = doc! {
        "_id": above(entry.chain, entry.sequence),
        "chain": entry.chain.to_string(),
        "sequence": integer(entry.sequence),
        "id": object_id(entry.id.as_bytes()),
        "at": moment(entry.at),
        "action": entry.action.as_str(),
        "digest": binary(&entry.digest),
        "previous": binary(&entry.previous),
        "hash": binary(&entry.hash),
    };
    if let Some(actor) = &entry.actor {
        document.insert("actor", actor);
    }
    if let Some(text) = &entry.text {
        document.insert("event", text);
    }
    document
}

/// The entry in a document, as it is stored: whether it is right is for the verifier to say.
fn entry(document: &Document) -> EngineResult<AuditEntry> {
    let unreadable = |what: &str| Error::internal(format!("a stored audit entry has an unreadable {what}"));
    let text = |name: &str| document.get_str(name).ok();
    let hash = |name: &str| {
        let bytes = document.get_binary_generic(name).ok();
        bytes.and_then(|bytes| bytes.as_slice().try_into().ok()).ok_or_else(|| unreadable(name))
    };
    let at = document.get_datetime("at").map_err(|_| unreadable("time"))?.timestamp_millis();
    let sequence = document.get_i64("sequence").ok().and_then(|number| u64::try_from(number).ok());
    let id = document.get_object_id("id").map_err(|_| unreadable("id"))?;
    Ok(AuditEntry {
        chain: text("chain").and_then(AuditChain::parse).ok_or_else(|| unreadable("chain"))?,
        sequence: sequence.ok_or_else(|| unreadable("number"))?,
        id: AuditEventId::from_bytes(id.bytes()),
        at: Timestamp::from_millisecond(at).map_err(Error::internal)?,
        action: AuditAction::of_stored(text("action").unwrap_or_default()),
        actor: text("actor").map(str::to_owned),
        text: text("event").map(str::to_owned),
        digest: hash("digest")?,
        previous: hash("previous")?,
        hash: hash("hash")?,
    })
}
