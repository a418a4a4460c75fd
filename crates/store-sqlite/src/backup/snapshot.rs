//! One state of a database file, while others may write to it.
//!
//! A file that nobody has open is read as it is; if it is the same afterwards, that was one state. For a file that the
//! service has open, a reader of SQLite holds the state meanwhile: checkpoints go on, but nothing that belongs to it is
//! overwritten.
//!
//! # Pitfalls
//! The files are opened beside SQLite, and closing them ends the locks that this process has on them. So they are closed
//! after the reader; and no other connection of this process may be open to them.

use super::pages::{LogPosition, Pages};
use super::state::FileState;
use crate::connection;
use crate::inspect::beside;
use jiff::Timestamp;
use rusqlite::Connection;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How often to try to begin between two commits of others.
const HOLD_ATTEMPTS: u32 = 1000;
/// The head of the index of a log, of which there are two copies.
const INDEX_HEAD_BYTES: usize = 48;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is no database, or the disk fails.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// SQLite cannot read it.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// See [`self`].
pub struct Snapshot {
    path: PathBuf,
    state: FileState,
    shows_changes: bool,
    // Dropped in this order.
    reader: Option<Connection>,
    pages: Pages,
    _index: Option<File>,
}

impl Snapshot {
    /// Begins to read `path` at `now`; `None` if there is no such file. With `is_held`, the state is held by a reader
    /// even if nobody seems to have the file open: after an attempt that met a change.
    ///
    /// # Errors
    /// It is no database, or cannot be read.
    pub fn open(path: &Path, now: Timestamp, is_held: bool) -> Result<Option<Self>, SnapshotError> {
        let Some(state) = FileState::of(path)? else { return Ok(None) };
        let shows_changes = state.shows_changes_after(now);
        let reader = if state.is_open() || is_held { Some(hold(path)?) } else { None };
        match Pages::open(path, &beside(path, "-wal"), None) {
            Ok(pages) => {
                Ok(Some(Self { path: path.to_owned(), state, shows_changes, reader, pages, _index: None }))
            }
            // Removed since.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Begins to read `path`, which a process has open, with what `read` finds in exactly the state that is read.
    ///
    /// # Errors
    /// It is no database, or cannot be read; `Interrupted` if others write all the time.
    pub fn open_with<T>(
        path: &Path,
        read: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<(Self, T), SnapshotError> {
        let state = FileState::of(path)?.ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
        let reader = connection::open_reader(path)?;
        // The reader makes the index of the log, if it is missing.
        reader.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        let index = File::open(beside(path, "-shm"))?;
        for _ in 0..HOLD_ATTEMPTS {
            let before = position(&index)?;
            begin(&reader)?;
            // Nothing was committed meanwhile, so this is what the reader sees.
            if before.is_some() && position(&index)? == before {
                let found = read(&reader)?;
                let pages = Pages::open(path, &beside(path, "-wal"), before.map(|(position, _)| position))?;
                let path = path.to_owned();
                let snapshot = Self {
                    path,
                    state,
                    shows_changes: false,
                    reader: Some(reader),
                    pages,
                    _index: Some(index),
                };
                return Ok((snapshot, found));
            }
            reader.execute_batch("COMMIT")?;
        }
        Err(io::Error::new(ErrorKind::Interrupted, "it is written all the time").into())
    }

    /// How many bytes there are to read.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.pages.len()
    }

    /// Whether the file is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a change would show in the state of the file; if not, read it again a moment later.
    #[must_use]
    pub const fn shows_changes(&self) -> bool {
        self.shows_changes || self.reader.is_some()
    }

    /// Whether all that was read is one state, and the state of the file by which a later backup knows that nothing has
    /// been written since, if it does.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn finish(self) -> io::Result<Option<(FileState, bool)>> {
        if !self.pages.is_consistent()? {
            return Ok(None);
        }
        if self.reader.is_none() {
            let after = FileState::of(&self.path)?;
            let is_same =
                after.is_some_and(|after| !after.is_open() && after.is_unchanged_since(&self.state));
            if !is_same {
                return Ok(None);
            }
        }
        Ok(Some((self.state.clone(), self.shows_changes)))
    }

    /// The state of the file, if it exists.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn state_of(path: &Path) -> io::Result<Option<FileState>> {
        FileState::of(path)
    }
}

impl Read for Snapshot {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.pages.read(buffer)
    }
}

/// A reader in a transaction.
fn hold(path: &Path) -> rusqlite::Result<Connection> {
    let reader = connection::open_reader(path)?;
    begin(&reader)?;
    Ok(reader)
}

/// Begins a transaction that reads: its state is fixed by the first read.
fn begin(reader: &Connection) -> rusqlite::Result<()> {
    reader.execute_batch("BEGIN")?;
    reader.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)).map(|_| ())
}

/// The state that the index of the log describes, with all of its head, which changes with every commit; `None` while it
/// is being written (SQLite's WAL-index format, 2.1).
fn position(index: &File) -> io::Result<Option<(LogPosition, [u8; INDEX_HEAD_BYTES])>> {
    let (mut head, mut copy) = ([0; INDEX_HEAD_BYTES], [0; INDEX_HEAD_BYTES]);
    index.read_exact_at(&mut head, 0)?;
    index.read_exact_at(&mut copy, INDEX_HEAD_BYTES as u64)?;
    if head != copy {
        return Ok(None);
    }
    let frames = u32::from_ne_bytes([head[16], head[17], head[18], head[19]]);
    let mut salts = [0; 8];
    salts.copy_from_slice(&head[32..40]);
    Ok(Some((LogPosition { frames, salts }, head)))
}
