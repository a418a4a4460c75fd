//! Space on disk: what a container takes, and what of it is given back to the file system.
//!
//! What is deleted leaves free pages in the file, which later documents use again. If there are many, they are given back
//! in slices between the writes of the container (`auto_vacuum`, which a file has from its beginning or from its first
//! compaction). A compaction rewrites the file, without the gaps within its pages.

use crate::engine_error::EngineResult;
use rusqlite::Connection;
use std::fs;
use std::path::Path;

/// The value of `auto_vacuum` with which free pages can be given back at any time.
pub(super) const INCREMENTAL: i64 = 2;
/// Pages that one slice gives back: 512 KiB, some milliseconds.
const SLICE_PAGES: i64 = 128;
/// Bytes of free pages that stay for later documents.
const KEPT_BYTES: i64 = 1 << 20;
/// Free pages are given back if they are more than one of so many.
const KEPT_SHARE: i64 = 8;

/// Bytes of the container `file` on disk, with its write-ahead log.
pub(crate) fn disk_bytes(file: &Path) -> u64 {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    let bytes = |file: &Path| fs::metadata(file).map_or(0, |found| found.len());
    bytes(file) + bytes(Path::new(&log))
}

/// Whether the file has more free pages than it should keep, and can give them back.
pub(super) fn has_surplus(connection: &Connection) -> rusqlite::Result<bool> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let free = number("freelist_count")?;
    if free == 0 || number("auto_vacuum")? != INCREMENTAL {
        return Ok(false);
    }
    Ok(free * number("page_size")? > KEPT_BYTES && free * KEPT_SHARE > number("page_count")?)
}

/// Gives one slice of free pages back; whether there is another one.
pub(super) fn give_back_slice(connection: &Connection) -> EngineResult<bool> {
    // Each step of the statement frees a page.
    let mut slice = connection.prepare(&format!("PRAGMA incremental_vacuum({SLICE_PAGES})"))?;
    let mut rows = slice.query([])?;
    while rows.next()?.is_some() {}
    Ok(has_surplus(connection)?)
}

/// Rewrites the file, without free pages. Blocks; an interrupt ends it, and nothing has changed then.
pub(super) fn compact(connection: &Connection) -> rusqlite::Result<()> {
    // The copy goes to a file: in memory it would take as much as the whole container.
    connection.pragma_update(None, "temp_store", "file")?;
    let compacted = (connection.pragma_update(None, "auto_vacuum", INCREMENTAL))
        .and_then(|()| connection.execute_batch("VACUUM"))
        .and_then(|()| crate::connection::fold_log(connection));
    connection.pragma_update(None, "temp_store", "memory")?;
    compacted
}

#[cfg(test)]
mod tests {
    use super::super::queue::Queue;
    use super::super::source::Source;
    use super::super::tenant_schema::TenantSchema;
    use super::*;
    use jiff::Timestamp;
    use rusqlite::ffi::ErrorCode;
    use tempfile::TempDir;
    use tenantry_domain::ids::OrganizationId;

    /// A file as the service makes it.
    fn make_file(file: &Path) {
        let id: OrganizationId = "65f0a1b2c3d4e5f601234567".parse().unwrap();
        let bytes = TenantSchema::new().unwrap().fill(id, Timestamp::UNIX_EPOCH).unwrap();
        fs::write(file, bytes).unwrap();
    }

    /// A file as earlier versions have made it.
    fn make_file_of_before(file: &Path) {
        let new = Connection::open(file).unwrap();
        new.pragma_update(None, "auto_vacuum", 0).unwrap();
        new.execute_batch("CREATE TABLE documents (body BLOB) STRICT").unwrap();
    }

    /// A file in which most of 8 MiB have been deleted.
    fn with_gaps(make: fn(&Path)) -> (TempDir, std::path::PathBuf, Connection) {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("test.db");
        make(&file);
        let writer = crate::connection::open_untouched(&file).unwrap();
        crate::connection::configure_writer(&writer).unwrap();
        writer.execute_batch("CREATE TABLE blobs (bytes BLOB) STRICT").unwrap();
        let fill = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 800) \
                    INSERT INTO blobs SELECT zeroblob(10000) FROM numbers";
        writer.execute_batch(fill).unwrap();
        writer.execute_batch("DELETE FROM blobs WHERE rowid > 8").unwrap();
        crate::connection::fold_log(&writer).unwrap();
        assert!(disk_bytes(&file) > 8_000_000);
        (directory, file, writer)
    }

    fn count(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM blobs", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn free_pages_are_given_back_in_slices() {
        let (_directory, file, writer) = with_gaps(make_file);
        assert!(has_surplus(&writer).unwrap());
        let mut slices = 0;
        loop {
            writer.execute_batch("BEGIN IMMEDIATE").unwrap();
            let is_more = give_back_slice(&writer).unwrap();
            writer.execute_batch("COMMIT").unwrap();
            slices += 1;
            if !is_more {
                break;
            }
        }
        assert!(slices > 5, "{slices}");
        crate::connection::fold_log(&writer).unwrap();
        let bytes = i64::try_from(disk_bytes(&file)).unwrap();
        assert!(bytes < KEPT_BYTES + 400_000, "{bytes}");
        assert_eq!(count(&writer), 8);
    }

    #[test]
    fn file_without_page_map_gives_back_after_compaction() {
        let (_directory, file, writer) = with_gaps(make_file_of_before);
        assert!(!has_surplus(&writer).unwrap());
        compact(&writer).unwrap();
        assert!(disk_bytes(&file) < 200_000, "{}", disk_bytes(&file));
        let mode: i64 = writer.pragma_query_value(None, "auto_vacuum", |row| row.get(0)).unwrap();
        let stored: i64 = writer.pragma_query_value(None, "temp_store", |row| row.get(0)).unwrap();
        assert_eq!((mode, stored, count(&writer)), (INCREMENTAL, 2, 8));
    }

    #[test]
    fn compaction_is_refused_once_container_closes() {
        let (_directory, file, writer) = with_gaps(make_file_of_before);
        let queue = Queue::new(Source::File(file.clone()), writer);
        queue.interrupt();
        let refused = queue.run_alone(compact).unwrap_err();
        assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::OperationInterrupted));
        assert!(disk_bytes(&file) > 8_000_000);
    }
}
