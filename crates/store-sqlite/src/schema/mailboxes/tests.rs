//! Old databases, with addresses that are the same mailbox now.

use crate::schema::{APPLICATION_ID, NEWEST_VERSION, STEP_1, upgrade};
use crate::statement::integer;
use jiff::Timestamp;
use rusqlite::{Connection, params};
use std::path::Path;
use tenantry_domain::account::{Account, PasswordHash};
use tenantry_domain::email::EmailAddress;
use tenantry_domain::ids::AccountId;

fn account(number: u8, email: &str) -> Account {
    Account {
        id: AccountId::from_bytes([number; 12]),
        email: EmailAddress::parse_stored(email).unwrap(),
        email_key: serde_json::from_value(email.to_lowercase().into()).unwrap(),
        password_hash: PasswordHash(String::new()),
        credential_epoch: 0,
        identity_epoch: 0,
        kept_session: None,
        last_organization: None,
        memberships: Vec::new(),
        last_operation: None,
        removing_since: None,
        email_verified_at: None,
        links: Vec::new(),
        created_at: Timestamp::UNIX_EPOCH,
        modified_at: Timestamp::UNIX_EPOCH,
        version: 7,
    }
}

/// Key in the column, key in the record, address, version in the column, version in the record.
type AccountRow = (Option<String>, Option<String>, String, i64, i64);

/// A database of schema version 1.
fn of_version_1(accounts: &[Account]) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(STEP_1).unwrap();
    connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    for account in accounts {
        let key = account.email_key.as_ref().map(tenantry_domain::email::EmailKey::as_str);
        let record = serde_json::to_string(account).unwrap();
        let row = params![account.id.as_bytes(), integer(account.version), key, record];
        connection.execute("INSERT INTO accounts VALUES (?1, ?2, ?3, ?4)", row).unwrap();
    }
    connection
}

#[test]
fn mailbox_upgrade_gives_one_key_and_keeps_duplicates() {
    let without_key = Account { email_key: None, ..account(6, "gone@bücher.test") };
    let mut connection = of_version_1(&[
        account(1, "Ada@Example.com"),
        account(2, "ada@bücher.test"),
        account(3, "ada@xn--bcher-kva.test"),
        account(4, "eve@ｂücher.test"),
        account(5, "eve@bücher.test"),
        without_key,
        account(7, "用户@example.com"),
    ]);
    upgrade(&mut connection, Path::new("control.db")).unwrap();
    let mut statement = connection
        .prepare(
            "SELECT email_key, record ->> 'email_key', record ->> 'email', version, record ->> 'version' \
             FROM accounts ORDER BY id",
        )
        .unwrap();
    let rows: Vec<AccountRow> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let expected = [
        (Some("ada@example.com"), "Ada@Example.com", 7),
        (Some("ada@xn--bcher-kva.test ada@bücher.test"), "ada@bücher.test", 8),
        (Some("ada@xn--bcher-kva.test"), "ada@xn--bcher-kva.test", 7),
        (Some("eve@xn--bcher-kva.test"), "eve@ｂücher.test", 8),
        (Some("eve@xn--bcher-kva.test eve@bücher.test"), "eve@bücher.test", 8),
        (None, "gone@bücher.test", 7),
        (Some("用户@example.com"), "用户@example.com", 7),
    ];
    for ((key, in_record, email, version, version_in_record), expected) in rows.iter().zip(&expected) {
        assert_eq!((key.as_deref(), email.as_str(), *version), *expected);
        assert_eq!((in_record, version_in_record), (key, version), "{email}");
    }
    assert_eq!(rows.len(), expected.len());
}

#[test]
fn mailbox_upgrade_that_fails_changes_nothing() {
    let mut connection = of_version_1(&[account(2, "ada@bücher.test")]);
    connection.execute("UPDATE accounts SET record = '{}'", []).unwrap();
    upgrade(&mut connection, Path::new("control.db")).unwrap_err();
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert!(version == 1 && NEWEST_VERSION > 1);
}
