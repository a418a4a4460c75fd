//! Documents in SQLite, as a program would keep them that has it all to itself.
//!
//! As durable as the service: a write-ahead log and an fsync with every commit. One connection writes, behind a
//! lock, and a commit is of one insert; as many connections read as there are cores.

use super::{BATCH, Operation};
use crate::data::documents::{self, LISTED, id, kind, spread, unnamed};
use anyhow::{Context, Result};
use bson::oid::ObjectId;
use rusqlite::{Connection, OptionalExtension, Transaction};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS documents (id BLOB PRIMARY KEY NOT NULL, kind TEXT, body TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS documents_by_kind ON documents (kind, id);
";

/// An open file of documents.
pub struct Documents {
    writer: Mutex<Connection>,
    readers: Box<[Mutex<Connection>]>,
}

/// A document that was inserted.
pub struct InsertOutcome {
    /// Its `_id`, as JSON.
    pub id: String,
    /// All of it.
    pub text: String,
}

impl Documents {
    /// Opens `file`, which need not be there.
    pub fn open(file: &Path) -> Result<Self> {
        let open = || -> Result<_> {
            let connection = Connection::open(file)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
            connection.pragma_update(None, "synchronous", "full")?;
            Ok(Mutex::new(connection))
        };
        let writer = open()?;
        lock(&writer).execute_batch(SCHEMA)?;
        let readers = (0..available_parallelism()?.get()).map(|_| open()).collect::<Result<_>>()?;
        Ok(Self { writer, readers })
    }

    /// The document of that id.
    pub fn get(&self, id: &str) -> Result<Option<String>> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached("SELECT body FROM documents WHERE id = ?1")?;
        Ok(statement.query_row([id.as_bytes()], |row| row.get(0)).optional()?)
    }

    /// The first documents of a kind in the order of their ids, as an array.
    pub fn list(&self, kind: &str) -> Result<String> {
        let reader = self.reader();
        let sql = "SELECT body FROM documents WHERE kind = ?1 ORDER BY id LIMIT ?2";
        let mut statement = reader.prepare_cached(sql)?;
        let mut rows = statement.query((kind, LISTED))?;
        let mut list = String::from("[");
        while let Some(row) = rows.next()? {
            if list.len() > 1 {
                list.push(',');
            }
            list.push_str(row.get_ref(0)?.as_str()?);
        }
        list.push(']');
        Ok(list)
    }

    /// Inserts a document, which is on disk then.
    pub fn insert(&self, text: &[u8]) -> Result<InsertOutcome> {
        Ok(self.insert_all(&[text])?.remove(0))
    }

    /// Inserts documents in one transaction.
    pub fn insert_all(&self, texts: &[&[u8]]) -> Result<Vec<InsertOutcome>> {
        let parsed: Vec<NewDocument> =
            texts.iter().map(|text| NewDocument::new(text)).collect::<Result<_>>()?;
        let mut writer = lock(&self.writer);
        let transaction = writer.transaction()?;
        parsed.iter().try_for_each(|document| document.insert(&transaction))?;
        transaction.commit()?;
        Ok(parsed.into_iter().map(|document| document.inserted).collect())
    }

    /// A free connection; if none is free, the first one as soon as it is.
    fn reader(&self) -> MutexGuard<'_, Connection> {
        let free = self.readers.iter().find_map(|reader| reader.try_lock().ok());
        free.unwrap_or_else(|| lock(&self.readers[0]))
    }
}

/// A document, ready to be inserted.
struct NewDocument {
    key: Vec<u8>,
    kind: Option<String>,
    inserted: InsertOutcome,
}

impl NewDocument {
    fn new(text: &[u8]) -> Result<Self> {
        let mut fields: Map<String, Value> = serde_json::from_slice(text)?;
        let key = match fields.get("_id") {
            Some(id) => id.as_str().context("an id that is no text")?.as_bytes().to_vec(),
            None => {
                let id = ObjectId::new();
                fields.insert("_id".to_owned(), json!({ "$oid": id.to_hex() }));
                id.bytes().to_vec()
            }
        };
        let kind = fields.get("kind").and_then(Value::as_str).map(str::to_owned);
        let inserted = InsertOutcome { id: fields["_id"].to_string(), text: serde_json::to_string(&fields)? };
        Ok(Self { key, kind, inserted })
    }

    fn insert(&self, transaction: &Transaction<'_>) -> Result<()> {
        let sql = "INSERT INTO documents (id, kind, body) VALUES (?1, ?2, ?3)";
        transaction.prepare_cached(sql)?.execute((&self.key, &self.kind, &self.inserted.text))?;
        Ok(())
    }
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Repeats it with the first `count` documents on as many threads as there are readers, with nothing around it; how
/// many documents, or lists, that was per second.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
pub fn measure(file: &Path, operation: Operation, count: u32, span: Duration) -> Result<f64> {
    let documents = Documents::open(file)?;
    let done = AtomicU64::new(0);
    if operation.inserts() {
        // The log is as long as it gets: to go on writing at its end would take the disk longer.
        documents.repeat(Operation::Bulk, count, Instant::now() + span / 2, &AtomicU64::new(0))?;
    }
    let began = Instant::now();
    let outcomes: Vec<Result<()>> = thread::scope(|scope| {
        let thread = |_| scope.spawn(|| documents.repeat(operation, count, began + span, &done));
        let running: Vec<_> = (0..documents.readers.len()).map(thread).collect();
        let ended = running.into_iter().map(thread::ScopedJoinHandle::join);
        ended.map(|ended| ended.unwrap_or_else(|_| Err(anyhow::anyhow!("a thread panicked")))).collect()
    });
    outcomes.into_iter().collect::<Result<()>>()?;
    Ok(done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}

impl Documents {
    fn repeat(&self, operation: Operation, count: u32, end: Instant, done: &AtomicU64) -> Result<()> {
        let text = documents::json(unnamed(count));
        let batch = vec![text.as_bytes(); BATCH];
        let mut turn = 0;
        while Instant::now() < end {
            match operation {
                Operation::Read => drop(self.get(&id(spread(turn, count)))?.context("it is missing")?),
                Operation::List => drop(self.list(&kind(spread(turn, count)))?),
                Operation::Insert => drop(self.insert(text.as_bytes())?),
                Operation::Bulk => drop(self.insert_all(&batch)?),
                Operation::Update => anyhow::bail!("updates are compared with the driver's alone"),
            }
            turn += 1;
            done.fetch_add(operation.counts(), Ordering::Relaxed);
        }
        Ok(())
    }
}
