//! For tests that write into a container beside the service, as programs of users do.

use super::connection;
use super::containers::Files;
use super::directory::Directory;
use jiff::Timestamp;
use rusqlite::OptionalExtension;
use std::path::Path;
use tenantry_domain::ids::OrganizationId;

/// Makes the file of the container as the first write does, unless there is one.
///
/// # Panics
/// If that fails.
pub fn make_container_file(data_dir: &Path, id: OrganizationId) {
    let directory = Directory::at(data_dir);
    let control = connection::open_untouched(&directory.control_database()).expect("the database is there");
    let made = "SELECT has_file FROM organizations WHERE id = ?1";
    let has_file: Option<bool> =
        control.query_row(made, [id.as_bytes()], |row| row.get(0)).optional().expect("the table is there");
    if has_file == Some(false) {
        let files = Files::open(directory).expect("a schema is made in memory");
        files.make_file(id, Timestamp::UNIX_EPOCH, true).expect("the directory is there");
        let set = "UPDATE organizations SET has_file = 1 WHERE id = ?1";
        control.execute(set, [id.as_bytes()]).expect("the row is there");
    }
}
