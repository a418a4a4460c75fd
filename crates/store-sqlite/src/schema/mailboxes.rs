//! Schema step 2: accounts are unique by mailbox, with the domain of their address in ASCII (UTS #46).
//!
//! Of the accounts of one mailbox, the first in the order of their ids gets its key; the others are
//! duplicates: each keeps a key of its own, which only its spelling finds.

use crate::engine_error::EngineResult;
use crate::statement::{encode, integer};
use rusqlite::{Connection, params};
use tenantry_domain::Error;
use tenantry_domain::account::Account;
use tenantry_domain::email::EmailKey;

/// Those whose key has a character beyond ASCII.
const NON_ASCII_ACCOUNTS: &str = "SELECT record FROM accounts WHERE email_key GLOB '*[^ -~]*' ORDER BY id";
const HAS_KEY: &str = "SELECT 1 FROM accounts WHERE email_key = ?1";
const UPDATE: &str = "UPDATE accounts SET version = ?2, email_key = ?3, record = ?4 WHERE id = ?1";

/// Gives old accounts today's keys, within the transaction of the upgrade.
pub(super) fn upgrade(connection: &Connection) -> EngineResult<()> {
    let mut duplicates = 0_u32;
    for mut account in non_ascii_accounts(connection)? {
        let Some((mailbox, duplicate)) = account.upgraded_keys() else { continue };
        let is_taken = connection.prepare_cached(HAS_KEY)?.exists([mailbox.as_str()])?;
        duplicates += u32::from(is_taken);
        account.email_key = Some(if is_taken { duplicate } else { mailbox });
        account.version += 1;
        save(connection, &account)?;
    }
    if duplicates > 0 {
        tracing::warn!(
            duplicates,
            "accounts have the same mailbox as another account: `tenantry doctor` lists them"
        );
    }
    Ok(())
}

fn non_ascii_accounts(connection: &Connection) -> EngineResult<Vec<Account>> {
    let mut statement = connection.prepare(NON_ASCII_ACCOUNTS)?;
    let records = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    let read = |record: &String| {
        let account = serde_json::from_str(record);
        Ok(account.map_err(|error| Error::internal(format!("a stored account is unreadable: {error}")))?)
    };
    records.iter().map(read).collect()
}

fn save(connection: &Connection, account: &Account) -> EngineResult<()> {
    let key = account.email_key.as_ref().map(EmailKey::as_str);
    let record = encode(account)?;
    connection.prepare_cached(UPDATE)?.execute(params![
        account.id.as_bytes(),
        integer(account.version),
        key,
        record
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests;
