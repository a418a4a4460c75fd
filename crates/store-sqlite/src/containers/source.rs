//! What an open container reads and writes: its file or, before its first write, an empty one in memory.
//!
//! An organization that has written nothing has no file. It reads a copy of the empty container that nothing can change:
//! a write that comes here is refused by SQLite.

use crate::connection;
use rusqlite::Connection;
use std::fmt;
use std::path::PathBuf;

/// Where the contents of an open container are.
#[derive(Clone)]
pub(super) enum Source {
    /// In this file.
    File(PathBuf),
    /// There are none yet; these are the bytes of an empty container.
    Empty(&'static [u8]),
}

impl Source {
    pub(super) const fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Opens it for its writer.
    pub(super) fn open_writer(&self) -> rusqlite::Result<Connection> {
        match self {
            Self::File(file) => {
                let connection = connection::open_untouched(file)?;
                connection::configure_container_writer(&connection)?;
                Ok(connection)
            }
            Self::Empty(content) => connection::open_constant(content),
        }
    }

    /// Opens it for reading, beside its writer.
    pub(super) fn open_reader(&self) -> rusqlite::Result<Connection> {
        match self {
            Self::File(file) => connection::open_container_reader(file),
            Self::Empty(content) => connection::open_constant(content),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(f),
            Self::Empty(_) => f.write_str("no file yet"),
        }
    }
}
