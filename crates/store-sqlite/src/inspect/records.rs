//! Findings in the records: the time of the newest one, and old accounts whose addresses are the same
//! mailbox.

use jiff::Timestamp;
use rusqlite::Connection;
use tenantry_domain::account::Account;
use tenantry_domain::shared_mailbox::{DUPLICATES_MAX, SharedMailbox, mailboxes};

/// Ids begin with the second they were made in, and sort by it.
pub(crate) fn newest_record(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let newest: Option<Vec<u8>> = connection.query_row(
        "SELECT max(id) FROM (SELECT max(id) AS id FROM organizations UNION ALL SELECT max(id) FROM accounts \
         UNION ALL SELECT max(id) FROM sessions UNION ALL SELECT max(id) FROM api_keys \
         UNION ALL SELECT max(id) FROM invitations UNION ALL SELECT max(id) FROM operations)",
        [],
        |row| row.get(0),
    )?;
    let second = newest.and_then(|id| Some(u32::from_be_bytes(*id.first_chunk()?)));
    Ok(second.and_then(|second| Timestamp::from_second(second.into()).ok()))
}

/// Duplicates are few; their keys alone have a space.
pub(super) fn shared_mailboxes(connection: &Connection) -> rusqlite::Result<Vec<SharedMailbox>> {
    let sql = "SELECT record FROM accounts WHERE instr(email_key, ' ') > 0 ORDER BY email_key LIMIT ?1";
    let holder = "SELECT record FROM accounts WHERE email_key = ?1";
    let mut shared = Vec::new();
    for (mailbox, duplicates) in mailboxes(accounts(connection, sql, [DUPLICATES_MAX])?) {
        let mut accounts = accounts(connection, holder, [mailbox])?;
        accounts.extend(duplicates);
        shared.push(SharedMailbox { accounts });
    }
    Ok(shared)
}

fn accounts(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Vec<Account>> {
    let mut statement = connection.prepare(sql)?;
    let records = statement.query_map(params, |row| row.get::<_, String>(0))?;
    let read = |record: rusqlite::Result<String>| Ok(serde_json::from_str(&record?).ok());
    records.filter_map(|record| read(record).transpose()).collect()
}
