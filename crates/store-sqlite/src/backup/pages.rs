//! The pages of a database as its last committed transaction left them, read from the database and its write-ahead log
//! (SQLite's file format, 4.1 and 4.2).
//!
//! Pages that are in the log come from there, in their latest committed form; all others from the database. What a
//! checkpoint copies meanwhile is in the log too, so it makes no difference. Only a log that is restarted would: that
//! changes its head, which is read again at the end.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Error, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

const HEAD_BYTES: usize = 32;
const FRAME_HEAD_BYTES: usize = 24;
const LOG_LITTLE_ENDIAN: u32 = 0x377f_0682;
const LOG_BIG_ENDIAN: u32 = 0x377f_0683;
const LOG_VERSION: u32 = 3_007_000;

/// See [`self`].
pub(super) struct Pages {
    database: File,
    log: Option<Log>,
    page_bytes: usize,
    count: u32,
    next: u32,
    page: Vec<u8>,
    /// How much of `page` was read.
    position: usize,
}

struct Log {
    file: File,
    head: [u8; HEAD_BYTES],
    /// Where the latest committed form of each page begins.
    latest: HashMap<u32, u64>,
    /// Pages of the database after the last commit; 0 if there is none in the log.
    count: u32,
    page_bytes: usize,
}

/// A state of a database: how far its log counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogPosition {
    /// The frames of the log that belong to it.
    pub(super) frames: u32,
    /// What tells this use of the log from others.
    pub(super) salts: [u8; 8],
}

impl Pages {
    /// Opens the database at `path`: its last commit, or the state at `position`.
    pub(super) fn open(path: &Path, log: &Path, position: Option<LogPosition>) -> io::Result<Self> {
        let database = File::open(path)?;
        let log = match File::open(log) {
            _ if position.is_some_and(|position| position.frames == 0) => None,
            Ok(file) => Log::read(file, position.map(|position| position.frames))?,
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let is_there = |position: LogPosition| {
            let head = log.as_ref().map(|log| &log.head[16..24]);
            position.frames == 0 || head == Some(&position.salts)
        };
        if !position.is_none_or(is_there) {
            return Err(Error::new(ErrorKind::Interrupted, "the log was restarted"));
        }
        let mut pages =
            Self { database, log, page_bytes: 0, count: 0, next: 1, page: Vec::new(), position: 0 };
        (pages.page_bytes, pages.count) = pages.shape()?;
        Ok(pages)
    }

    /// The bytes of the whole database.
    pub(super) fn len(&self) -> u64 {
        u64::from(self.count) * self.page_bytes as u64
    }

    /// The size of a page, and how many there are.
    fn shape(&self) -> io::Result<(usize, u32)> {
        if let Some(log) = self.log.as_ref().filter(|log| log.count > 0) {
            return Ok((log.page_bytes, log.count));
        }
        let length = self.database.metadata()?.len();
        if length == 0 {
            return Ok((0, 0));
        }
        let mut head = [0; 100];
        self.database.read_exact_at(&mut head, 0)?;
        let page_bytes = match u16::from_be_bytes([head[16], head[17]]) {
            1 => 1 << 16,
            bytes => usize::from(bytes),
        };
        if !head.starts_with(b"SQLite format 3\0") || !is_page_size(page_bytes) {
            return Err(Error::new(ErrorKind::InvalidData, "it is no SQLite database"));
        }
        // The count in the head holds only if the last writer has kept it.
        let count = number(&head, 28);
        let is_kept = count > 0 && number(&head, 24) == number(&head, 92);
        let by_length = u32::try_from(length / page_bytes as u64).unwrap_or(u32::MAX);
        Ok((page_bytes, if is_kept { count } else { by_length }))
    }

    fn read_page(&mut self) -> io::Result<()> {
        self.page.resize(self.page_bytes, 0);
        let in_log = self.log.as_ref().and_then(|log| Some((&log.file, *log.latest.get(&self.next)?)));
        match in_log {
            Some((file, offset)) => file.read_exact_at(&mut self.page, offset)?,
            None => {
                let offset = u64::from(self.next - 1) * self.page_bytes as u64;
                self.database.read_exact_at(&mut self.page, offset)?;
            }
        }
        (self.next, self.position) = (self.next + 1, 0);
        Ok(())
    }

    /// Whether the log was not restarted since it was opened: then what was read is one state.
    pub(super) fn is_consistent(&self) -> io::Result<bool> {
        let Some(log) = &self.log else { return Ok(true) };
        let mut head = [0; HEAD_BYTES];
        match log.file.read_exact_at(&mut head, 0) {
            Ok(()) => Ok(head == log.head),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Read for Pages {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position == self.page.len() {
            if self.next > self.count {
                return Ok(0);
            }
            self.read_page()?;
        }
        let bytes = buffer.len().min(self.page.len() - self.position);
        buffer[..bytes].copy_from_slice(&self.page[self.position..self.position + bytes]);
        self.position += bytes;
        Ok(bytes)
    }
}

impl Log {
    /// Reads the log up to its last commit, or `frames` of it, which end with a commit; `None` if it is empty. What comes
    /// after its last valid frame is of an earlier use of the file, or is being written.
    fn read(file: File, frames: Option<u32>) -> io::Result<Option<Self>> {
        let mut reader = BufReader::with_capacity(1 << 16, &file);
        let mut head = [0; HEAD_BYTES];
        if !fill(&mut reader, &mut head)? {
            return Ok(None);
        }
        let is_big_endian = match number(&head, 0) {
            LOG_LITTLE_ENDIAN => false,
            LOG_BIG_ENDIAN => true,
            _ => return Ok(None),
        };
        let page_bytes = number(&head, 8) as usize;
        let mut checksum = Checksum { is_big_endian, sums: (0, 0) };
        checksum.add(&head[..24]);
        let is_valid = number(&head, 4) == LOG_VERSION && is_page_size(page_bytes);
        if !is_valid || checksum.sums != (number(&head, 24), number(&head, 28)) {
            return Ok(None);
        }
        let (mut latest, mut pending, mut count) = (HashMap::new(), Vec::new(), 0);
        let mut frame = vec![0; FRAME_HEAD_BYTES + page_bytes];
        let (mut offset, mut found) = (HEAD_BYTES as u64, 0);
        while frames != Some(found) && fill(&mut reader, &mut frame)? {
            checksum.add(&frame[..8]);
            checksum.add(&frame[FRAME_HEAD_BYTES..]);
            let is_valid =
                frame[8..16] == head[16..24] && checksum.sums == (number(&frame, 16), number(&frame, 20));
            if !is_valid || number(&frame, 0) == 0 {
                break;
            }
            pending.push((number(&frame, 0), offset + FRAME_HEAD_BYTES as u64));
            offset += frame.len() as u64;
            found += 1;
            let pages_after_commit = number(&frame, 4);
            if pages_after_commit > 0 {
                latest.extend(pending.drain(..));
                count = pages_after_commit;
            }
        }
        let is_complete = frames.is_none_or(|frames| found == frames && pending.is_empty());
        if !is_complete {
            return Err(Error::new(ErrorKind::Interrupted, "the log was restarted"));
        }
        Ok(Some(Self { file, head, latest, count, page_bytes }))
    }
}

/// The checksum of a log, which goes on from frame to frame.
struct Checksum {
    is_big_endian: bool,
    sums: (u32, u32),
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        let (mut first, mut second) = self.sums;
        for words in bytes.chunks_exact(8) {
            let word = |at: usize| {
                let word = [words[at], words[at + 1], words[at + 2], words[at + 3]];
                if self.is_big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
            };
            first = first.wrapping_add(word(0)).wrapping_add(second);
            second = second.wrapping_add(word(4)).wrapping_add(first);
        }
        self.sums = (first, second);
    }
}

const fn is_page_size(bytes: usize) -> bool {
    bytes.is_power_of_two() && bytes >= 512 && bytes <= 1 << 16
}

/// The big-endian number at that offset.
fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Fills the buffer; false if there is less than that.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::beside;
    use rusqlite::Connection;
    use tempfile::TempDir;

    struct Database {
        directory: TempDir,
        connection: Connection,
    }

    impl Database {
        fn new() -> Self {
            let directory = TempDir::new().unwrap();
            let connection = Connection::open(directory.path().join("test.db")).unwrap();
            let setup = "PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; \
                         CREATE TABLE numbers (n INTEGER PRIMARY KEY, text TEXT) STRICT";
            connection.execute_batch(setup).unwrap();
            Self { directory, connection }
        }

        fn add(&self, from: u32, to: u32) {
            let sql = format!(
                "WITH RECURSIVE r (n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM r WHERE n < {to}) \
                 INSERT INTO numbers SELECT n, 'the text of number ' || n FROM r"
            );
            self.connection.execute_batch(&sql).unwrap();
        }

        fn pages(&self) -> Pages {
            let file = self.directory.path().join("test.db");
            Pages::open(&file, &beside(&file, "-wal"), None).unwrap()
        }

        /// What is in a copy of these pages.
        fn count_in(&self, pages: &mut Pages) -> u32 {
            let copy = self.directory.path().join("copy.db");
            let mut bytes = Vec::new();
            pages.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes.len() as u64, pages.len());
            std::fs::write(&copy, bytes).unwrap();
            let copied = Connection::open(&copy).unwrap();
            let check: String = copied.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(check, "ok");
            let counted = copied.query_row("SELECT count(*) FROM numbers", [], |row| row.get(0)).unwrap();
            copied.close().unwrap();
            counted
        }
    }

    #[test]
    fn pages_are_those_of_the_last_commit() {
        let database = Database::new();
        database.add(1, 1000);
        assert_eq!(database.count_in(&mut database.pages()), 1000, "all of it is in the log");
        database.connection.execute_batch("BEGIN").unwrap();
        database.add(1001, 60_000);
        // More than the cache holds, so that some of it is in the log already.
        assert_eq!(database.count_in(&mut database.pages()), 1000, "nothing of it is committed");
        database.connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        assert_eq!(database.count_in(&mut database.pages()), 60_000, "the log is empty");
        database.connection.execute_batch("DELETE FROM numbers WHERE n > 10; VACUUM").unwrap();
        assert_eq!(database.count_in(&mut database.pages()), 10, "the database has become smaller");
    }

    #[test]
    fn pages_ignore_checkpoints_and_later_commits() {
        let database = Database::new();
        database.add(1, 1000);
        let mut pages = database.pages();
        database.connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
        assert_eq!(database.count_in(&mut pages), 1000);
        assert!(pages.is_consistent().unwrap());
    }

    #[test]
    fn pages_notice_a_log_that_is_restarted() {
        let database = Database::new();
        database.add(1, 1000);
        let pages = database.pages();
        database.connection.execute_batch("PRAGMA wal_checkpoint(RESTART)").unwrap();
        database.add(1001, 1100);
        assert!(!pages.is_consistent().unwrap());
        let pages = database.pages();
        database.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        assert!(!pages.is_consistent().unwrap());
    }

    #[test]
    fn pages_of_another_file_are_refused() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("test.db");
        std::fs::write(&file, "no database at all ".repeat(40)).unwrap();
        assert!(Pages::open(&file, &beside(&file, "-wal"), None).is_err());
        std::fs::write(&file, "").unwrap();
        assert_eq!(Pages::open(&file, &beside(&file, "-wal"), None).unwrap().len(), 0);
    }
}
