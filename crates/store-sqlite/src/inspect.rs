//! Inspects a data directory for `tenantry doctor` without changing it.
//!
//! # Pitfalls
//! Opening a database with a write-ahead log creates files beside it, even for reading. So an idle one is
//! opened as immutable, and one with a log left by a crash is read with the log's index in memory and without
//! locks.

mod containers;
mod files;
pub(super) mod records;

pub use containers::ContainerFiles;
pub(super) use containers::RowState;
pub(super) use files::{beside, entries, size};

use super::connection;
use super::directory::Directory;
use super::schema;
use crate::error::OpenError;
use containers::{ContainerListing, rows};
use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use tenantry_domain::organization::Status;
use tenantry_domain::shared_mailbox::SharedMailbox;

/// Bytes of a control database up to which every page of it is checked: a second or two of reading.
const CHECKED_MAX_BYTES: u64 = 256 << 20;

/// What is in a data directory.
#[derive(Debug)]
pub struct Inspection {
    /// Whether another process uses it.
    pub in_use: io::Result<bool>,
    /// What is known of the control database.
    pub control: ControlState,
}

/// What is known of a control database.
#[derive(Debug)]
pub enum ControlState {
    /// There is none, or it is empty.
    Empty,
    /// A schema upgrade was interrupted; the next start undoes it. Until then it cannot be read.
    Interrupted,
    /// It is not ours, from a newer version, damaged, or unreadable.
    Refused(OpenError),
    /// It could be read.
    Readable(Box<ControlDatabase>),
}

/// A control database that could be read.
#[derive(Debug)]
pub struct ControlDatabase {
    /// Its size.
    pub bytes: u64,
    /// The version of its schema.
    pub schema: i64,
    /// The version this program works with.
    pub newest_schema: i64,
    /// What a check of its pages found.
    pub quick_check: QuickCheck,
    /// What is in it, unless it is damaged or its schema is an older one.
    pub contents: Option<Contents>,
}

/// What a check of every page found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuickCheck {
    /// Nothing.
    Passed,
    /// It was skipped: the file is too big for it.
    Skipped,
    /// The first faults, as SQLite words them.
    Damaged(Vec<String>),
}

/// What the records say.
#[derive(Debug)]
pub struct Contents {
    /// How many organizations there are of each status that any has.
    pub organizations: Vec<(Status, u64)>,
    /// When the newest record was made, to the second.
    pub newest_record: Option<Timestamp>,
    /// The single values of the installation.
    pub installation: BTreeMap<String, Vec<u8>>,
    /// The files of containers.
    pub containers: io::Result<ContainerFiles>,
    /// Old accounts whose addresses are the same mailbox.
    pub shared_mailboxes: Vec<SharedMailbox>,
}

/// Refuses a data directory without records; makes and changes nothing.
///
/// # Errors
/// A sentence for the operator.
pub fn ensure_has_data(data_dir: &Path) -> Result<(), OpenError> {
    Directory::at(data_dir).ensure_has_data()
}

/// Inspects `data_dir` without changing it. Blocks; reads all records once.
#[must_use]
pub fn inspect(data_dir: &Path) -> Inspection {
    let directory = Directory::at(data_dir);
    let inspection = look(&directory);
    // A service that started or stopped meanwhile may have changed an idle database: inspect it once more.
    if in_use(&directory).ok() == inspection.in_use.as_ref().ok().copied() {
        inspection
    } else {
        look(&directory)
    }
}

fn look(directory: &Directory) -> Inspection {
    let in_use = in_use(directory);
    let control = control(directory, matches!(in_use, Ok(true)));
    Inspection { in_use, control }
}

/// Whether another process holds the lock. This takes the lock for a moment, in shared mode, which only a
/// start at that very moment would notice.
pub(super) fn in_use(directory: &Directory) -> io::Result<bool> {
    let file = match File::open(directory.lock_file()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn control(directory: &Directory, in_use: bool) -> ControlState {
    let file = directory.control_database();
    let bytes = match fs::metadata(&file) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return ControlState::Refused(directory.not_writable(&error)),
    };
    if bytes == 0 {
        return directory.refuse_orphans().map_or_else(ControlState::Refused, |()| ControlState::Empty);
    }
    if !in_use && size(&beside(&file, "-journal")) > 0 {
        return ControlState::Interrupted;
    }
    match read(directory, &file, bytes, in_use) {
        Ok(database) => ControlState::Readable(Box::new(database)),
        Err(error) => ControlState::Refused(error),
    }
}

fn read(directory: &Directory, file: &Path, bytes: u64, in_use: bool) -> Result<ControlDatabase, OpenError> {
    let refused = |error: rusqlite::Error| schema::refused(file, &error);
    let connection = open(file, in_use).map_err(refused)?;
    let version = schema::inspect(&connection, file)?;
    let quick_check = if bytes > CHECKED_MAX_BYTES {
        QuickCheck::Skipped
    } else {
        quick_check(&connection).map_err(refused)?
    };
    let is_damaged = matches!(quick_check, QuickCheck::Damaged(_));
    let contents = if version == schema::NEWEST_VERSION && !is_damaged {
        Some(contents(&connection, directory).map_err(refused)?)
    } else {
        None
    };
    Ok(ControlDatabase {
        bytes,
        schema: version,
        newest_schema: schema::NEWEST_VERSION,
        quick_check,
        contents,
    })
}

pub(super) fn open(file: &Path, in_use: bool) -> rusqlite::Result<Connection> {
    if in_use {
        // All its files exist, and one more reader does not disturb the process that uses it.
        connection::open_reader(file)
    } else if size(&beside(file, "-wal")) > 0 {
        open_with_log(file)
    } else {
        open_at_rest(file)
    }
}

/// Opens a database that nobody writes and whose log is empty.
fn open_at_rest(file: &Path) -> rusqlite::Result<Connection> {
    let path = file.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)
}

/// Opens a database that nobody writes and whose log has not been checkpointed. The connection has the
/// database to itself, so SQLite builds the index of the log in memory; it takes no locks, which would need a
/// file open for writing; and the log stays as it is at the end.
fn open_with_log(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags_and_vfs(file, flags, c"unix-none")?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update_and_check(None, "locking_mode", "exclusive", |_| Ok(()))?;
    Ok(connection)
}

pub(super) fn quick_check(connection: &Connection) -> rusqlite::Result<QuickCheck> {
    let mut statement = connection.prepare("PRAGMA quick_check(3)")?;
    let lines = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    Ok(if lines == ["ok"] { QuickCheck::Passed } else { QuickCheck::Damaged(lines) })
}

fn contents(connection: &Connection, directory: &Directory) -> rusqlite::Result<Contents> {
    // Read the files before the records: a record exists before its container, and longer.
    let files = ContainerListing::below(directory);
    let rows = rows(connection)?;
    let mut counts = BTreeMap::<&str, u64>::new();
    for row in rows.values() {
        *counts.entry(&row.status).or_default() += 1;
    }
    Ok(Contents {
        organizations: Status::ALL
            .into_iter()
            .filter_map(|status| Some((status, *counts.get(status.as_str())?)))
            .collect(),
        newest_record: records::newest_record(connection)?,
        installation: installation(connection)?,
        containers: match files {
            Ok(files) => Ok(files.compare(directory, &rows, connection)?),
            Err(error) => Err(error),
        },
        shared_mailboxes: records::shared_mailboxes(connection)?,
    })
}

fn installation(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Vec<u8>>> {
    let mut statement = connection.prepare("SELECT name, value FROM installation")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::path::PathBuf;
    use tenantry_domain::ids::OrganizationId;

    /// A control database as a process leaves it: `closed` in order, or dead with writes in the log.
    fn directory_after(closed: bool) -> (tempfile::TempDir, Directory) {
        let temp = tempfile::tempdir().unwrap();
        let (directory, lock) = Directory::take(temp.path()).unwrap();
        let file = directory.control_database();
        let mut connection = connection::open_untouched(&file).unwrap();
        schema::upgrade(&mut connection, &file).unwrap();
        connection::configure_writer(&connection).unwrap();
        connection.execute("INSERT INTO installation (name, value) VALUES ('color', x'2a')", []).unwrap();
        if closed {
            drop((connection, lock));
            return (temp, directory);
        }
        // A copy of the files in the middle of it is what a dead process leaves.
        let dead = tempfile::tempdir().unwrap();
        let copy = Directory::at(dead.path());
        fs::copy(&file, copy.control_database()).unwrap();
        fs::copy(beside(&file, "-wal"), beside(&copy.control_database(), "-wal")).unwrap();
        (dead, copy)
    }

    /// Every file with its bytes, and when each was last changed.
    fn snapshot(directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, i64, i64)> {
        let mut files = BTreeMap::new();
        for entry in entries(directory).unwrap() {
            let metadata = entry.metadata().unwrap();
            let content = if metadata.is_dir() {
                files.extend(snapshot(&entry.path()));
                Vec::new()
            } else {
                fs::read(entry.path()).unwrap()
            };
            files.insert(entry.path(), (content, metadata.mtime(), metadata.mtime_nsec()));
        }
        files
    }

    fn readable(inspection: Inspection) -> ControlDatabase {
        match inspection.control {
            ControlState::Readable(database) => *database,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn inspection_reads_everything_and_changes_nothing() {
        for closed in [true, false] {
            let (temp, _directory) = directory_after(closed);
            let before = snapshot(temp.path());
            let inspection = inspect(temp.path());
            assert!(matches!(inspection.in_use, Ok(false)));
            let database = readable(inspection);
            assert_eq!((database.schema, database.quick_check), (schema::NEWEST_VERSION, QuickCheck::Passed));
            let contents = database.contents.unwrap();
            assert_eq!(contents.installation["color"], [0x2a], "what is only in the log counts too");
            assert!(contents.organizations.is_empty() && contents.newest_record.is_none());
            assert_eq!(snapshot(temp.path()), before, "closed: {closed}");
        }
    }

    #[test]
    fn inspection_reads_database_in_use() {
        let temp = tempfile::tempdir().unwrap();
        let (directory, _lock) = Directory::take(temp.path()).unwrap();
        let file = directory.control_database();
        let mut connection = connection::open_untouched(&file).unwrap();
        schema::upgrade(&mut connection, &file).unwrap();
        connection::configure_writer(&connection).unwrap();
        connection.execute("INSERT INTO installation (name, value) VALUES ('color', x'2a')", []).unwrap();
        let inspection = inspect(temp.path());
        assert!(matches!(inspection.in_use, Ok(true)));
        assert_eq!(readable(inspection).contents.unwrap().installation["color"], [0x2a]);
        connection.execute("DELETE FROM installation", []).unwrap();
    }

    #[test]
    fn inspection_tells_empty_from_interrupted_upgrade() {
        let temp = tempfile::tempdir().unwrap();
        assert!(matches!(inspect(&temp.path().join("missing")).control, ControlState::Empty));
        assert!(matches!(inspect(temp.path()).control, ControlState::Empty));
        assert_eq!(entries(temp.path()).unwrap().len(), 0);

        let (temp, directory) = directory_after(true);
        fs::write(beside(&directory.control_database(), "-journal"), "half a journal").unwrap();
        assert!(matches!(inspect(temp.path()).control, ControlState::Interrupted));
    }

    #[test]
    fn inspection_refuses_what_a_start_would_refuse() {
        let (temp, directory) = directory_after(true);
        let file = directory.control_database();
        let change = |sql| Connection::open(&file).unwrap().execute_batch(sql).unwrap();
        change("PRAGMA user_version = 99");
        let newer = inspect(temp.path()).control;
        assert!(
            matches!(newer, ControlState::Refused(OpenError::NewerSchema { found: 99, .. })),
            "{newer:?}"
        );
        change("PRAGMA application_id = 7");
        let foreign = inspect(temp.path()).control;
        assert!(matches!(foreign, ControlState::Refused(OpenError::Foreign { .. })), "{foreign:?}");
        fs::write(&file, "no database at all, but longer than the header of one would be: ".repeat(20))
            .unwrap();
        let corrupt = inspect(temp.path()).control;
        assert!(matches!(corrupt, ControlState::Refused(OpenError::Corrupt { .. })), "{corrupt:?}");
    }

    #[test]
    fn inspection_finds_damage() {
        let (temp, directory) = directory_after(true);
        let file = directory.control_database();
        let mut bytes = fs::read(&file).unwrap();
        let page = 4096;
        bytes[page * 4..page * 5].fill(0x5a);
        fs::write(&file, bytes).unwrap();
        let database = readable(inspect(temp.path()));
        assert!(matches!(database.quick_check, QuickCheck::Damaged(_)), "{database:?}");
        assert!(database.contents.is_none());
    }

    #[test]
    fn inspection_names_mismatched_files_and_records() {
        let (temp, directory) = directory_after(true);
        let id = |last: u8| OrganizationId::from_bytes([0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, last]);
        let connection = Connection::open(directory.control_database()).unwrap();
        for (last, status) in [(1, "active"), (2, "suspended"), (3, "provisioning"), (4, "purging")] {
            connection
                .execute(
                    "INSERT INTO organizations (id, version, identifier, status, hidden, record) \
                     VALUES (?1, 1, ?2, ?2, 0, '{}')",
                    rusqlite::params![id(last).as_bytes(), status],
                )
                .unwrap();
        }
        let nothing_written = "INSERT INTO organizations (id, version, identifier, status, hidden, has_file, record) \
             VALUES (?1, 1, 'new', 'active', 0, 0, '{}')";
        connection.execute(nothing_written, [id(5).as_bytes()]).unwrap();
        connection.close().unwrap();
        for last in [1, 9] {
            directory.make_shard_of(id(last)).unwrap();
            fs::write(directory.container(id(last)), "").unwrap();
        }
        directory.make_shard_of(id(3)).unwrap();
        fs::write(directory.unfinished_container(id(3), 0), "").unwrap();
        fs::write(directory.quarantine().join(format!("{}.db", id(8))), "").unwrap();

        let contents = readable(inspect(temp.path())).contents.unwrap();
        assert_eq!(contents.organizations.len(), 4);
        assert_eq!(contents.newest_record, Timestamp::from_second(9).ok());
        assert_eq!(
            contents.containers.unwrap(),
            ContainerFiles {
                found: 2,
                without_file: 1,
                missing: vec![id(2)],
                orphans: vec![directory.container(id(9))],
                unfinished: 1,
                quarantined: 1,
            }
        );
    }
}
