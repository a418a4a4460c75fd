//! The audit trail: events as changes wrote them, and the entries of the chains.

use super::Sqlite;
use super::engine_error::EngineResult;
use super::statement::{Statement, integer, statements};
use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, Row, named_params, params};
use tenantry_domain::audit::{AuditAction, AuditChain, AuditEntry, AuditEvent};
use tenantry_domain::ids::AuditEventId;
use tenantry_domain::store::{AppendOutcome, Audit, AuditQuery};
use tenantry_domain::{Error, Result};

statements! {
    SAVE = "INSERT INTO audit_outbox (id, event) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";
    UNCHAINED = "SELECT event FROM audit_outbox WHERE id > ?1 ORDER BY id LIMIT ?2";
    CLEAR = "DELETE FROM audit_outbox WHERE id = ?1";
    IS_CHAINED = "SELECT 1 FROM audit_entries WHERE chain = ?1 AND id = ?2";
    APPEND = "INSERT INTO audit_entries \
        (chain, sequence, id, at, action, actor, event, digest, previous, hash) \
        VALUES (:chain, :sequence, :id, :at, :action, :actor, :event, :digest, :previous, :hash)";
    RESTORE = "INSERT INTO audit_entries \
        (chain, sequence, id, at, action, actor, event, digest, previous, hash) \
        VALUES (:chain, :sequence, :id, :at, :action, :actor, :event, :digest, :previous, :hash) \
        ON CONFLICT (chain, sequence) DO NOTHING";
    LAST = "SELECT chain, sequence, id, at, action, actor, event, digest, previous, hash FROM audit_entries \
        WHERE chain = ?1 ORDER BY sequence DESC LIMIT 1";
    NEXT_CHAIN = "SELECT chain, sequence, id, at, action, actor, event, digest, previous, hash \
        FROM audit_entries WHERE chain > ?1 ORDER BY chain, sequence LIMIT 1";
    IN_ORDER = "SELECT chain, sequence, id, at, action, actor, event, digest, previous, hash \
        FROM audit_entries WHERE chain = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3";
    LIST = "SELECT chain, sequence, id, at, action, actor, event, digest, previous, hash FROM audit_entries \
        INDEXED BY audit_entries_by_event \
        WHERE chain = ?1 AND id >= ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4";
    LIST_ACTION = "SELECT chain, sequence, id, at, action, actor, event, digest, previous, hash \
        FROM audit_entries INDEXED BY audit_entries_by_action \
        WHERE chain = ?1 AND action = ?5 AND id >= ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4";
    LIST_ACTOR = "SELECT chain, sequence, id, at, action, actor, event, digest, previous, hash \
        FROM audit_entries INDEXED BY audit_entries_by_actor \
        WHERE chain = ?1 AND actor = ?5 AND id >= ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4";
    LIST_BOTH = "SELECT chain, sequence, id, at, action, actor, event, digest, previous, hash \
        FROM audit_entries INDEXED BY audit_entries_by_actor \
        WHERE chain = ?1 AND actor = ?5 AND action = ?6 AND id >= ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4";
    REDACT = "UPDATE audit_entries SET event = NULL, actor = NULL \
        WHERE chain = ?1 AND sequence BETWEEN ?2 AND ?3";
    DELETE = "DELETE FROM audit_entries WHERE chain = ?1 AND sequence <= ?2";
}

/// Below every name of a chain.
const BELOW_CHAINS: &str = "";
/// Below every id: none is empty.
const BELOW_IDS: &[u8] = &[];
/// Above every id, which has 12 bytes.
const ABOVE_IDS: &[u8] = &[0xff; 13];

#[async_trait]
impl Audit for Sqlite {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn insert_event(&self, event: &AuditEvent) -> Result<()> {
        let event = event.clone();
        self.write(move |connection| save_event(connection, Some(&event))).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_unchained(&self, limit: u32) -> Result<Vec<AuditEvent>> {
        self.readers.scan(move |connection| UNCHAINED.records(connection, params![BELOW_IDS, limit])).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%chain))]
    async fn list_chained(&self, chain: AuditChain, ids: &[AuditEventId]) -> Result<Vec<AuditEventId>> {
        let ids = ids.to_vec();
        self.readers
            .scan(move |connection| {
                let chain = chain.to_string();
                let mut chained = Vec::new();
                for id in ids {
                    if IS_CHAINED.finds(connection, params![chain, id.as_bytes()])? {
                        chained.push(id);
                    }
                }
                Ok(chained)
            })
            .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn append_entries(&self, entries: &[AuditEntry]) -> Result<AppendOutcome> {
        let entries = entries.to_vec();
        self.write(move |connection| append(connection, &entries)).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn restore_entries(&self, entries: &[AuditEntry]) -> Result<()> {
        let entries = entries.to_vec();
        self.write(move |connection| {
            for entry in &entries {
                insert(connection, RESTORE, entry)?;
            }
            Ok(())
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn clear_events(&self, ids: &[AuditEventId]) -> Result<()> {
        let ids = ids.to_vec();
        self.write(move |connection| {
            for id in ids {
                CLEAR.execute(connection, [id.as_bytes()])?;
            }
            Ok(())
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%chain))]
    async fn get_last_entry(&self, chain: AuditChain) -> Result<Option<AuditEntry>> {
        self.readers
            .scan(move |connection| Ok(LAST.read(connection, [chain.to_string()], entry)?.pop()))
            .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn get_next_chain(&self, after: Option<AuditChain>) -> Result<Option<AuditEntry>> {
        let after = after.map_or(BELOW_CHAINS.to_owned(), |chain| chain.to_string());
        self.readers.scan(move |connection| Ok(NEXT_CHAIN.read(connection, [after], entry)?.pop())).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(chain = %query.chain))]
    async fn list_entries(&self, query: &AuditQuery, limit: u32) -> Result<Vec<AuditEntry>> {
        let query = query.clone();
        self.readers.scan(move |connection| list(connection, &query, limit)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%chain))]
    async fn list_chain(&self, chain: AuditChain, after: u64, limit: u32) -> Result<Vec<AuditEntry>> {
        self.readers
            .scan(move |connection| {
                IN_ORDER.read(connection, params![chain.to_string(), integer(after), limit], entry)
            })
            .await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%chain))]
    async fn redact_entries(&self, chain: AuditChain, from: u64, to: u64) -> Result<()> {
        self.write(move |connection| {
            REDACT.execute(connection, params![chain.to_string(), integer(from), integer(to)])?;
            Ok(())
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%chain))]
    async fn delete_entries(&self, chain: AuditChain, to: u64) -> Result<()> {
        self.write(move |connection| {
            DELETE.execute(connection, params![chain.to_string(), integer(to)])?;
            Ok(())
        })
        .await
    }
}

/// Saves the event of a change in its transaction.
pub(super) fn save_event(connection: &Connection, event: Option<&AuditEvent>) -> EngineResult<()> {
    if let Some(event) = event {
        SAVE.execute(connection, params![event.id.as_bytes(), event.to_text()?])?;
    }
    Ok(())
}

/// Appends all entries or none: of those that append at the same moment, the first one wins.
fn append(connection: &Connection, entries: &[AuditEntry]) -> EngineResult<AppendOutcome> {
    let Some(first) = entries.first() else { return Ok(AppendOutcome::Done) };
    let last = LAST.read(connection, [first.chain.to_string()], entry)?.pop();
    if last.map_or(0, |last| last.sequence) + 1 != first.sequence {
        return Ok(AppendOutcome::Taken);
    }
    for entry in entries {
        insert(connection, APPEND, entry)?;
        CLEAR.execute(connection, [entry.id.as_bytes()])?;
    }
    Ok(AppendOutcome::Done)
}

fn insert(connection: &Connection, statement: Statement, entry: &AuditEntry) -> EngineResult<()> {
    statement.execute(
        connection,
        named_params! {
            ":chain": entry.chain.to_string(),
            ":sequence": integer(entry.sequence),
            ":id": entry.id.as_bytes(),
            ":at": entry.at.as_millisecond(),
            ":action": entry.action.as_str(),
            ":actor": entry.actor,
            ":event": entry.text,
            ":digest": entry.digest,
            ":previous": entry.previous,
            ":hash": entry.hash,
        },
    )?;
    Ok(())
}

fn list(connection: &Connection, query: &AuditQuery, limit: u32) -> EngineResult<Vec<AuditEntry>> {
    let chain = query.chain.to_string();
    let from = query.from.as_ref().map_or(&[][..], |id| id.as_bytes());
    let before = query.before.as_ref().map_or(ABOVE_IDS, |id| id.as_bytes());
    match (query.action.map(AuditAction::as_str), &query.actor) {
        (None, None) => LIST.read(connection, params![chain, from, before, limit], entry),
        (Some(action), None) => {
            LIST_ACTION.read(connection, params![chain, from, before, limit, action], entry)
        }
        (None, Some(actor)) => LIST_ACTOR.read(connection, params![chain, from, before, limit, actor], entry),
        (Some(action), Some(actor)) => {
            LIST_BOTH.read(connection, params![chain, from, before, limit, actor, action], entry)
        }
    }
}

/// The entry in a row, as it is stored: whether it is right is for the verifier to say.
pub(super) fn entry(row: &Row<'_>) -> EngineResult<AuditEntry> {
    let chain: String = row.get(0)?;
    let sequence: i64 = row.get(1)?;
    let action: String = row.get(4)?;
    let unreadable = |what: &str| Error::internal(format!("a stored audit entry has an unreadable {what}"));
    Ok(AuditEntry {
        chain: AuditChain::parse(&chain).ok_or_else(|| unreadable("chain"))?,
        sequence: u64::try_from(sequence).map_err(|_| unreadable("number"))?,
        id: AuditEventId::from_bytes(row.get(2)?),
        at: Timestamp::from_millisecond(row.get(3)?).map_err(Error::internal)?,
        action: AuditAction::of_stored(&action),
        actor: row.get(5)?,
        text: row.get(6)?,
        digest: row.get(7)?,
        previous: row.get(8)?,
        hash: row.get(9)?,
    })
}
