//! The schema of the control database, as the list of steps that lead to it.
//!
//! Each record is kept whole, as JSON; the columns beside it are what is searched, ordered or compared by,
//! and are set from the record in one place per noun.
//!
//! # Pitfalls
//! Never edit a step that has been released: a change is a new step.

mod mailboxes;

use super::engine_error::{EngineError, EngineResult};
use crate::error::OpenError;
use rusqlite::Connection;
use rusqlite::ffi::ErrorCode;
use std::path::Path;

/// "TNTY" in the file's header says whose database it is.
const APPLICATION_ID: i64 = 0x544e_5459;

/// Step n leads from schema version n to n + 1.
const STEPS: &[SchemaStep] = &[
    SchemaStep::Sql(STEP_1),
    SchemaStep::Records(mailboxes::upgrade),
    SchemaStep::Sql(STEP_3),
    SchemaStep::Sql(STEP_4),
    SchemaStep::Sql(STEP_5),
    SchemaStep::Sql(STEP_6),
    SchemaStep::Sql(STEP_7),
    SchemaStep::Sql(STEP_8),
    SchemaStep::Sql(STEP_9),
    SchemaStep::Sql(STEP_IDENTITIES),
    SchemaStep::Sql(STEP_EXPIRIES),
    SchemaStep::Sql(STEP_FILES),
];

/// What each step changes, for the page of schema steps.
pub(super) const STEP_TEXTS: [&str; STEPS.len()] = [
    "organizations, accounts, memberships, sessions, operations, idempotency keys, rate limits",
    "addresses of accounts become mailboxes",
    "who holds which idempotency keys",
    "API keys and invitations",
    "the audit trail",
    "sessions by account",
    "accounts that are being removed",
    "roles that an organization defines; earlier versions refuse to open it",
    "the queue of mails",
    "links of accounts to identity providers",
    "collections in which documents expire",
    "whether the container of an organization has a file; earlier versions refuse to open it",
];

/// One step from a version to the next.
enum SchemaStep {
    /// SQL alone.
    Sql(&'static str),
    /// A change of records that SQL cannot express.
    Records(fn(&Connection) -> EngineResult<()>),
}

const STEP_1: &str = "
-- `status` is the wire name. `hidden` is 1 for what lists show only when asked (deleted, purging). `purge_due`
-- is set while it may be purged, `operation_id` and the lease while an operation is under way. Moments are
-- milliseconds since 1970.
CREATE TABLE organizations (
    id BLOB PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL,
    identifier TEXT NOT NULL,
    status TEXT NOT NULL,
    hidden INTEGER NOT NULL,
    purge_due INTEGER,
    operation_id BLOB,
    lease_owner TEXT,
    lease_until INTEGER,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX organizations_by_name ON organizations (identifier, id);
CREATE INDEX organizations_shown ON organizations (identifier, id) WHERE hidden = 0;
CREATE INDEX organizations_by_status ON organizations (status, identifier, id);
CREATE INDEX organizations_due ON organizations (purge_due) WHERE purge_due IS NOT NULL;
CREATE UNIQUE INDEX organizations_by_operation ON organizations (operation_id) WHERE operation_id IS NOT NULL;
CREATE INDEX organizations_leased ON organizations (lease_owner, lease_until) WHERE lease_owner IS NOT NULL;

CREATE TABLE reserved_keys (
    key TEXT PRIMARY KEY NOT NULL,
    organization_id BLOB NOT NULL REFERENCES organizations (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX reserved_keys_of ON reserved_keys (organization_id);

CREATE TABLE accounts (
    id BLOB PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL,
    email_key TEXT,
    record TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX accounts_by_email ON accounts (email_key) WHERE email_key IS NOT NULL;

CREATE TABLE memberships (
    organization_id BLOB NOT NULL,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    PRIMARY KEY (organization_id, account_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_of ON memberships (account_id);

-- `ends_at` is when it ends, idle or absolutely, whichever comes first.
CREATE TABLE sessions (
    id BLOB PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL,
    organization_id BLOB NOT NULL,
    ends_at INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_of ON sessions (organization_id);
CREATE INDEX sessions_ending ON sessions (ends_at);

CREATE TABLE operations (
    id BLOB PRIMARY KEY NOT NULL,
    organization_id BLOB NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX operations_of ON operations (organization_id, id);

-- The three columns of the answer are set together.
CREATE TABLE requests (
    key BLOB PRIMARY KEY NOT NULL,
    fingerprint BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    lease_until INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    status INTEGER,
    headers TEXT,
    body BLOB
) STRICT;
CREATE INDEX requests_expiring ON requests (expires_at);
CREATE INDEX requests_unanswered ON requests (lease_until) WHERE status IS NULL;

CREATE TABLE throttles (
    key BLOB PRIMARY KEY NOT NULL,
    arrival INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX throttles_idle ON throttles (arrival);

CREATE TABLE installation (
    name TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One row that is written to see whether writing works.
CREATE TABLE heartbeat (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    beats INTEGER NOT NULL
) STRICT;
";

/// Whose keys they are, and how many each holder has: triggers count, so that nothing has to be counted for a claim. A
/// record of before has no holder.
const STEP_3: &str = "
ALTER TABLE requests ADD COLUMN holder BLOB;
CREATE INDEX requests_held ON requests (holder, expires_at) WHERE holder IS NOT NULL;

CREATE TABLE request_holders (
    holder BLOB PRIMARY KEY NOT NULL,
    keys INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER request_added AFTER INSERT ON requests WHEN new.holder IS NOT NULL BEGIN
    INSERT INTO request_holders (holder, keys) VALUES (new.holder, 1)
        ON CONFLICT (holder) DO UPDATE SET keys = keys + 1;
END;
CREATE TRIGGER request_removed AFTER DELETE ON requests WHEN old.holder IS NOT NULL BEGIN
    UPDATE request_holders SET keys = keys - 1 WHERE holder = old.holder;
    DELETE FROM request_holders WHERE holder = old.holder AND keys <= 0;
END;
";

const STEP_4: &str = "
-- `organization_id` is null for keys of the installation. `last_used_at` is not in the record.
CREATE TABLE api_keys (
    id BLOB PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL,
    organization_id BLOB,
    last_used_at INTEGER,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX api_keys_of ON api_keys (organization_id, id);

CREATE TABLE invitations (
    id BLOB PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL,
    organization_id BLOB NOT NULL,
    email_key TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX invitations_of ON invitations (organization_id, id);
CREATE UNIQUE INDEX invitations_by_address ON invitations (organization_id, email_key);
CREATE INDEX invitations_expiring ON invitations (expires_at);
";

const STEP_5: &str = "
-- Events that are in no chain yet, as the changes that they are about wrote them.
CREATE TABLE audit_outbox (
    id BLOB PRIMARY KEY NOT NULL,
    event TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- `chain` is the id of an organization, or `installation`. `event` and `actor` are null after a purge.
CREATE TABLE audit_entries (
    chain TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    id BLOB NOT NULL,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    actor TEXT,
    event TEXT,
    digest BLOB NOT NULL,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (chain, sequence)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX audit_entries_by_event ON audit_entries (chain, id);
CREATE INDEX audit_entries_by_action ON audit_entries (chain, action, id);
CREATE INDEX audit_entries_by_actor ON audit_entries (chain, actor, id) WHERE actor IS NOT NULL;
";

/// Whose each session is.
const STEP_6: &str = "
ALTER TABLE sessions ADD COLUMN account_id BLOB NOT NULL DEFAULT x'';
UPDATE sessions SET account_id = unhex(record ->> 'account_id');
CREATE INDEX sessions_by_account ON sessions (account_id, id);
CREATE INDEX sessions_by_end ON sessions (account_id, ends_at);
";

/// Which accounts are being removed, since when.
const STEP_7: &str = "
ALTER TABLE accounts ADD COLUMN removing_since INTEGER;
CREATE INDEX accounts_removing ON accounts (removing_since) WHERE removing_since IS NOT NULL;
";

/// Who has a role that the organization has defined. Versions of before do not open what has it: they know no such
/// roles, and would lose them.
const STEP_8: &str = "
ALTER TABLE memberships ADD COLUMN own_role TEXT;
CREATE INDEX memberships_by_role ON memberships (organization_id, own_role) WHERE own_role IS NOT NULL;
";

/// The mails that wait to be sent, and until when somebody sends each.
const STEP_9: &str = "
CREATE TABLE mails (
    id BLOB PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX mails_due ON mails (due_at, lease_until);
";

/// The links of accounts to identity providers.
const STEP_IDENTITIES: &str = "
-- `id` follows from issuer and subject.
CREATE TABLE identities (
    id BLOB PRIMARY KEY NOT NULL,
    account_id BLOB NOT NULL,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX identities_of ON identities (account_id, id);
";

/// The collections in which documents may expire, and when somebody looks for expired ones next.
const STEP_EXPIRIES: &str = "
CREATE TABLE expiries (
    organization_id BLOB NOT NULL,
    collection TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    announced_at INTEGER NOT NULL,
    PRIMARY KEY (organization_id, collection)
) STRICT, WITHOUT ROWID;
CREATE INDEX expiries_due ON expiries (due_at);
";

/// Whether the container of an organization has a file, which is made before the first write; those of before have one.
/// Versions of before do not open what has it: they would take an organization without a file for a damaged one.
const STEP_FILES: &str = "
ALTER TABLE organizations ADD COLUMN has_file INTEGER NOT NULL DEFAULT 1;
";

/// The newest version this program knows.
pub(super) const NEWEST_VERSION: i64 = STEPS.len() as i64;

/// Brings the database behind `connection` to the newest version, in one transaction; refuses a database that
/// is not ours or comes from a newer version, and leaves it unchanged.
pub(super) fn upgrade(connection: &mut Connection, file: &Path) -> Result<(), OpenError> {
    let found = inspect(connection, file)?;
    if found == NEWEST_VERSION {
        return Ok(());
    }
    tracing::info!(from = found, to = NEWEST_VERSION, "upgrading the schema of the control database");
    execute_steps(connection, found).map_err(|failure| match failure {
        EngineError::Engine(error) => refused(file, &error),
        EngineError::Refused(error) => OpenError::Corrupt {
            file: file.into(),
            cause: error.cause().unwrap_or("a record is unreadable").to_owned(),
        },
    })
}

/// The schema version; 0 for an empty file.
pub(super) fn inspect(connection: &Connection, file: &Path) -> Result<i64, OpenError> {
    let (application, version, objects) = header(connection).map_err(|error| refused(file, &error))?;
    let is_empty = application == 0 && version == 0 && objects == 0;
    if application != APPLICATION_ID && !is_empty {
        return Err(OpenError::Foreign { file: file.into() });
    }
    if version > NEWEST_VERSION {
        return Err(OpenError::NewerSchema { file: file.into(), found: version, known: NEWEST_VERSION });
    }
    Ok(version)
}

/// The application id, the schema version, and the number of tables and indexes.
fn header(connection: &Connection) -> rusqlite::Result<(i64, i64, i64)> {
    let number = |sql| connection.query_row(sql, [], |row| row.get(0));
    let objects = number("SELECT count(*) FROM sqlite_schema")?;
    Ok((number("PRAGMA application_id")?, number("PRAGMA user_version")?, objects))
}

fn execute_steps(connection: &mut Connection, from: i64) -> EngineResult<()> {
    let transaction = connection.transaction()?;
    for step in STEPS.iter().skip(usize::try_from(from).unwrap_or(0)) {
        match step {
            SchemaStep::Sql(sql) => transaction.execute_batch(sql)?,
            SchemaStep::Records(upgrade) => upgrade(&transaction)?,
        }
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", NEWEST_VERSION)?;
    Ok(transaction.commit()?)
}

/// What an error while opening `file` means for the operator.
pub(super) fn refused(file: &Path, error: &rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenError::Corrupt { file: file.into(), cause: error.to_string() }
        }
        _ => OpenError::NotWritable {
            directory: file.parent().unwrap_or(file).into(),
            cause: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::tests::check_plans;
    use crate::{
        accounts, api_keys, audit, expiries, idempotency, identities, installation, invitations, mails,
        operations, organizations, rate_limits, sessions, startup,
    };

    fn upgraded() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        upgrade(&mut connection, Path::new("control.db")).unwrap();
        connection
    }

    #[test]
    fn control_statements_use_an_index() {
        let lists = [
            organizations::STATEMENTS,
            accounts::STATEMENTS,
            sessions::STATEMENTS,
            api_keys::STATEMENTS,
            identities::STATEMENTS,
            invitations::STATEMENTS,
            mails::STATEMENTS,
            expiries::STATEMENTS,
            operations::STATEMENTS,
            audit::STATEMENTS,
            idempotency::STATEMENTS,
            rate_limits::STATEMENTS,
            installation::STATEMENTS,
            startup::STATEMENTS,
            crate::full_scan::STATEMENTS,
        ];
        lists.iter().for_each(|list| check_plans(&upgraded(), list));

        // The containers have a schema of their own, and check theirs there.
        let sources = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
        let declaring = sources
            .filter_map(|source| std::fs::read_to_string(source.unwrap().path()).ok())
            .filter(|source| source.contains("\nstatements! {"));
        assert_eq!(declaring.count(), lists.len(), "a file declares statements and is not in the list");
    }

    #[test]
    fn schema_upgrade_is_idempotent() {
        let mut connection = upgraded();
        let before = connection.total_changes();
        upgrade(&mut connection, Path::new("control.db")).unwrap();
        assert_eq!(connection.total_changes(), before);
        assert_eq!(header(&connection).unwrap().1, NEWEST_VERSION);
    }
}
