//! Accounts, and which organizations each is a member of.

use super::Sqlite;
use super::audit::save_event;
use super::engine_error::EngineResult;
use super::organizations::written;
use super::statement::{Statement, encode, integer, statements};
use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, Row, named_params, params};
use std::collections::BTreeMap;
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::account::{Account, MemberRecord, Membership};
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::email::EmailKey;
use tenantry_domain::ids::{AccountId, OrganizationId};
use tenantry_domain::role::RoleName;
use tenantry_domain::store::{Accounts, InsertOutcome, UpdateOutcome};

statements! {
    EXISTS = "SELECT 1 FROM accounts WHERE id = ?1";
    INSERT = "INSERT INTO accounts (id, version, email_key, removing_since, record) \
        VALUES (:id, :version, :email_key, :removing_since, :record)";
    UPDATE = "UPDATE accounts SET version = :version, email_key = :email_key, \
        removing_since = :removing_since, record = :record WHERE id = :id AND version = :version - 1";
    DELETE = "DELETE FROM accounts WHERE id = ?1 AND version = ?2";
    MEMBERSHIPS = "SELECT organization_id, own_role FROM memberships WHERE account_id = ?1";
    JOIN = "INSERT INTO memberships (organization_id, account_id, own_role) VALUES (?1, ?2, ?3)";
    LEAVE = "DELETE FROM memberships WHERE organization_id = ?1 AND account_id = ?2";
    ROLE_USED = "SELECT 1 FROM memberships WHERE organization_id = ?1 AND own_role = ?2 LIMIT 1";
    GET = "SELECT record FROM accounts WHERE id = ?1";
    FIND = "SELECT record FROM accounts WHERE email_key = ?1";
    FIND_DUPLICATE = "SELECT record FROM accounts WHERE email_key >= ?1 AND email_key < ?2 LIMIT 1";
    LIST_REMOVING = "SELECT record FROM accounts WHERE removing_since >= ?1 \
        ORDER BY removing_since LIMIT ?2";
    // CROSS JOIN: the members first, then the account of each.
    LIST_OF = "SELECT accounts.record FROM memberships \
        CROSS JOIN accounts ON accounts.id = memberships.account_id \
        WHERE memberships.organization_id = ?1 AND memberships.account_id > ?2 \
        ORDER BY memberships.account_id LIMIT ?3";
    LIST_IDS_OF = "SELECT account_id FROM memberships WHERE organization_id = ?1 AND account_id > ?2 \
        ORDER BY account_id LIMIT ?3";
}

#[async_trait]
impl Accounts for Sqlite {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn insert_account(&self, account: &Account) -> Result<InsertOutcome> {
        let account = account.clone();
        self.write(move |connection| insert(connection, &account)).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn get_account(&self, id: AccountId) -> Result<Option<Arc<Account>>> {
        self.readers.point(move |connection| GET.record(connection, [id.as_bytes()])).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn find_account(&self, email: &EmailKey) -> Result<Option<Arc<Account>>> {
        let email = email.clone();
        self.readers.point(move |connection| FIND.record(connection, [email.as_str()])).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn find_duplicate_account(&self, mailbox: &EmailKey) -> Result<Option<Arc<Account>>> {
        let (from, to) = mailbox.duplicates();
        self.readers.point(move |connection| FIND_DUPLICATE.record(connection, [from, to])).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn list_accounts_of(
        &self,
        organization_id: OrganizationId,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<Arc<Account>>> {
        self.readers
            .scan(move |connection| {
                // No id is empty, so an empty key sorts before the first one.
                let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
                LIST_OF.records(connection, params![organization_id.as_bytes(), after, limit])
            })
            .await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn list_account_ids_of(
        &self,
        organization_id: OrganizationId,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<AccountId>> {
        self.readers
            .scan(move |connection| {
                let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
                let id = |row: &Row<'_>| row.get(0).map(AccountId::from_bytes);
                Ok(LIST_IDS_OF.all(connection, params![organization_id.as_bytes(), after, limit], id)?)
            })
            .await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn get_members(
        &self,
        organization_id: OrganizationId,
        accounts: &[AccountId],
    ) -> Result<Vec<MemberRecord>> {
        let accounts = accounts.to_vec();
        self.readers
            .scan(move |connection| {
                let mut members = Vec::with_capacity(accounts.len());
                for id in accounts {
                    let account: Option<Account> = GET.record(connection, [id.as_bytes()])?;
                    members.extend(account.and_then(|account| MemberRecord::of(&account, organization_id)));
                }
                Ok(members)
            })
            .await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn is_role_used(&self, organization_id: OrganizationId, role: RoleName) -> Result<bool> {
        self.readers
            .point(move |connection| {
                Ok(ROLE_USED.finds(connection, params![organization_id.as_bytes(), role.as_str()])?)
            })
            .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_accounts_being_removed(&self, limit: u32) -> Result<Vec<Arc<Account>>> {
        // Any time is later: null is not.
        self.readers.scan(move |connection| LIST_REMOVING.records(connection, params![i64::MIN, limit])).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn update_account(&self, account: &Account, event: Option<&AuditEvent>) -> Result<UpdateOutcome> {
        let (account, event) = (account.clone(), event.cloned());
        self.write(move |connection| update(connection, &account, event.as_ref())).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_account(&self, id: AccountId, version: u64) -> Result<UpdateOutcome> {
        self.write(move |connection| {
            // Its memberships go with it, by their foreign key.
            written(DELETE.execute(connection, params![id.as_bytes(), integer(version)])?)
        })
        .await
    }
}

fn insert(connection: &Connection, account: &Account) -> EngineResult<InsertOutcome> {
    if EXISTS.finds(connection, [account.id.as_bytes()])? {
        return Ok(InsertOutcome::Exists);
    }
    save(connection, INSERT, account)?;
    join(connection, account)?;
    Ok(InsertOutcome::New)
}

fn update(
    connection: &Connection,
    account: &Account,
    event: Option<&AuditEvent>,
) -> EngineResult<UpdateOutcome> {
    let changed = save(connection, UPDATE, account)?;
    if changed > 0 {
        join(connection, account)?;
        save_event(connection, event)?;
    }
    written(changed)
}

fn save(connection: &Connection, statement: Statement, account: &Account) -> EngineResult<usize> {
    let changed = statement.execute(
        connection,
        named_params! {
            ":id": account.id.as_bytes(),
            ":version": integer(account.version),
            ":email_key": account.email_key.as_ref().map(EmailKey::as_str),
            ":removing_since": account.removing_since.map(Timestamp::as_millisecond),
            ":record": encode(account)?,
        },
    )?;
    Ok(changed)
}

/// Updates the membership rows of `account` to match its record; most updates change none of them.
fn join(connection: &Connection, account: &Account) -> EngineResult<()> {
    let id = account.id.as_bytes();
    let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let held = MEMBERSHIPS.all(connection, [id], row)?;
    let held: BTreeMap<[u8; 12], Option<String>> = held.into_iter().collect();
    let own_role = |membership: &Membership| membership.role.own_name().map(|name| name.to_string());
    let wanted = account.memberships.iter();
    let wanted = wanted.map(|membership| (*membership.organization_id.as_bytes(), own_role(membership)));
    let wanted: BTreeMap<[u8; 12], Option<String>> = wanted.collect();
    // One with another role is removed first, and added again.
    for (organization, _) in held.iter().filter(|(id, role)| wanted.get(*id) != Some(role)) {
        LEAVE.execute(connection, params![organization, id])?;
    }
    for (organization, role) in wanted.iter().filter(|(id, role)| held.get(*id) != Some(role)) {
        JOIN.execute(connection, params![organization, id, role])?;
    }
    Ok(())
}
