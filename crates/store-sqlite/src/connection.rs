//! How connections to the control database and to containers are set up.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OpenFlags};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a writer waits for a lock; only a backup tool can hold one.
const WRITER_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a reader waits for a lock. Readers of a write-ahead log hardly ever meet one.
const READER_BUSY_TIMEOUT: Duration = Duration::from_millis(500);
/// Statements each connection keeps prepared; more than there are.
const STATEMENTS: usize = 64;
/// Page cache of the writer, in KiB: writes to its indexes hit pages all over.
const WRITER_CACHE_KIB: i64 = 8 << 10;
/// Page cache of the writer of a container, in KiB; many containers are open at once.
pub(super) const CONTAINER_WRITER_CACHE_KIB: i64 = 1 << 10;
const CONTAINER_READER_CACHE_KIB: i64 = 512;
/// Size in bytes from which a write-ahead log is truncated.
const LOG_MAX_BYTES: i64 = 16 << 20;
/// How long to wait before trying again to truncate a log that was being read.
const TRUNCATE_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Opens `file`, which exists, for writing, and changes nothing in it.
pub(super) fn open_untouched(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(WRITER_BUSY_TIMEOUT)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    plan_once(&connection)?;
    Ok(connection)
}

/// Makes SQLite plan a statement once, when it is prepared. Otherwise it looks at the values of some
/// parameters and plans again each time they differ, which takes longer than most of our statements take to
/// run.
fn plan_once(connection: &Connection) -> rusqlite::Result<bool> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
}

/// Makes `connection` the writer: a write-ahead log, an fsync with every commit, foreign keys.
pub(super) fn configure_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // FULL fsyncs the log at every commit: what is acknowledged survives power loss. NORMAL would not.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Rollback data of savepoints stays in memory; in files it took half of a write's time.
    connection.pragma_update(None, "temp_store", "memory")?;
    set_cache(connection, WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "journal_size_limit", LOG_MAX_BYTES)
}

/// Makes `connection` the writer of a container. It counts in code what triggers count for other connections,
/// once per transaction and not per document: the triggers would take more than half of the time of an
/// insert.
pub(super) fn configure_container_writer(connection: &Connection) -> rusqlite::Result<()> {
    configure_writer(connection)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    set_cache(connection, CONTAINER_WRITER_CACHE_KIB)
}

/// Sets how much of a database a connection keeps in memory.
pub(super) fn set_cache(connection: &Connection, kib: i64) -> rusqlite::Result<()> {
    connection.pragma_update(None, "cache_size", -kib)
}

/// Opens the writer again, after an error that was fatal for the previous connection.
pub(super) fn reopen_writer(file: &Path) -> rusqlite::Result<Connection> {
    let connection = open_untouched(file)?;
    configure_writer(&connection)?;
    tracing::warn!(file = %file.display(), "the control database has been opened again after an error");
    Ok(connection)
}

/// Opens `file` for reading. No memory map: an I/O error under one is a signal that kills the process.
pub(super) fn open_reader(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(READER_BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "trusted_schema", false)?;
    plan_once(&connection)?;
    Ok(connection)
}

/// Opens the container `file` for reading, beside a writer that is there.
pub(super) fn open_container_reader(file: &Path) -> rusqlite::Result<Connection> {
    let connection = open_reader(file)?;
    set_cache(&connection, CONTAINER_READER_CACHE_KIB)?;
    Ok(connection)
}

/// Opens a database that is only these bytes, and that nothing can change.
pub(super) fn open_constant(content: &'static [u8]) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_in_memory_with_flags(flags)?;
    connection.deserialize_bytes(MAIN_DB, content)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "trusted_schema", false)?;
    plan_once(&connection)?;
    Ok(connection)
}

/// The size of a write-ahead log, checked after each group of writes: SQLite copies its contents into the
/// database, but keeps the file as large as the largest transaction has made it.
pub(super) struct LogSize {
    log: PathBuf,
    /// When to try again, after a reader kept it from being truncated.
    reschedule: Option<Instant>,
}

impl LogSize {
    /// The size of the log of `file`.
    pub(super) fn of(file: &Path) -> Self {
        let mut log = file.as_os_str().to_owned();
        log.push("-wal");
        Self { log: log.into(), reschedule: None }
    }

    /// Truncates a log that has grown, unless it is being read: then it tries again after a second at the
    /// earliest.
    pub(super) fn bound(&mut self, connection: &Connection) {
        let bytes = fs::metadata(&self.log).map_or(0, |log| log.len());
        let is_put_off = self.reschedule.is_some_and(|at| at.elapsed() < TRUNCATE_RETRY_DELAY);
        if bytes <= LOG_MAX_BYTES.unsigned_abs() || is_put_off {
            return;
        }
        match fold_unread_log(connection) {
            Ok(true) => self.reschedule = None,
            Ok(false) => self.reschedule = Some(Instant::now()),
            Err(error) => {
                self.reschedule = Some(Instant::now());
                tracing::warn!(%error, log = %self.log.display(), bytes, "a write-ahead log that has grown could not be cut");
            }
        }
    }
}

/// Copies the whole log and truncates it; false while it is being read. A writer never waits for a reader.
pub(super) fn fold_unread_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(Duration::ZERO)?;
    let is_busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    connection.busy_timeout(WRITER_BUSY_TIMEOUT)?;
    Ok(is_busy? == 0)
}

/// Copies the whole write-ahead log into the database and truncates it.
pub(super) fn fold_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::StatementStatus;
    use tempfile::TempDir;

    #[test]
    fn write_ahead_log_is_truncated_once_unread() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("test.db");
        drop(Connection::open(&file).unwrap());
        let writer = open_untouched(&file).unwrap();
        configure_writer(&writer).unwrap();
        writer.execute_batch("CREATE TABLE blobs (bytes BLOB) STRICT").unwrap();
        let log = || fs::metadata(directory.path().join("test.db-wal")).unwrap().len();
        let grow = || {
            let twenty = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20) \
                          INSERT INTO blobs SELECT zeroblob(1 << 20) FROM numbers";
            writer.execute_batch(twenty).unwrap();
        };
        let mut size = LogSize::of(&file);
        grow();
        assert!(log() > 20 << 20, "{}", log());
        size.bound(&writer);
        assert_eq!(log(), 0);

        let reader = open_reader(&file).unwrap();
        reader.execute_batch("BEGIN").unwrap();
        let count =
            || reader.query_row("SELECT count(*) FROM blobs", [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count(), 20);
        grow();
        let started = Instant::now();
        size.bound(&writer);
        assert!(started.elapsed() < WRITER_BUSY_TIMEOUT, "who writes does not wait for who reads");
        assert!(log() > 20 << 20 && size.reschedule.is_some());
        assert_eq!(count(), 20);
        reader.execute_batch("COMMIT").unwrap();
        size.reschedule = None;
        size.bound(&writer);
        assert_eq!((log(), count()), (0, 40));
    }

    #[test]
    fn statement_is_not_replanned_for_other_parameters() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("test.db");
        let schema =
            "CREATE TABLE names (owner INTEGER, name BLOB, PRIMARY KEY (owner, name)) STRICT, WITHOUT ROWID";
        Connection::open(&file).unwrap().execute_batch(schema).unwrap();
        for connection in [open_untouched(&file).unwrap(), open_reader(&file).unwrap()] {
            let sql = "SELECT name FROM names WHERE owner = ?1 AND name >= ?2 AND name < ?3 ORDER BY name";
            let mut statement = connection.prepare(sql).unwrap();
            for owner in 0..3 {
                assert!(!statement.exists((owner, [owner], [owner + 9])).unwrap());
            }
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
        }
    }
}
