//! The queue of mails.

use super::Sqlite;
use super::engine_error::EngineResult;
use super::organizations::written;
use super::statement::{encode, integer, statements};
use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, named_params, params};
use std::time::Duration;
use tenantry_domain::Result;
use tenantry_domain::clock;
use tenantry_domain::ids::MailId;
use tenantry_domain::mail::QueuedMail;
use tenantry_domain::store::{BoundedInsert, Mails, UpdateOutcome};

statements! {
    EXISTS = "SELECT 1 FROM mails WHERE id = ?1";
    COUNT = "SELECT count(*) FROM mails WHERE due_at >= ?1";
    INSERT = "INSERT INTO mails (id, version, due_at, lease_until, record) \
        VALUES (:id, :version, :due_at, 0, :record)";
    DUE = "SELECT record FROM mails WHERE due_at <= ?1 AND lease_until <= ?1 ORDER BY due_at LIMIT 1";
    CLAIM = "UPDATE mails SET version = :version, lease_until = :lease_until, record = :record \
        WHERE id = :id AND version = :version - 1";
    UPDATE = "UPDATE mails SET version = :version, due_at = :due_at, lease_until = 0, record = :record \
        WHERE id = :id AND version = :version - 1";
    DELETE = "DELETE FROM mails WHERE id = ?1 AND version = ?2";
}

#[async_trait]
impl Mails for Sqlite {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn insert_mail(&self, mail: &QueuedMail, limit: u32) -> Result<BoundedInsert> {
        let mail = mail.clone();
        self.write(move |connection| {
            if EXISTS.finds(connection, [mail.id.as_bytes()])? {
                return Ok(BoundedInsert::Exists);
            }
            if count(connection)? >= u64::from(limit) {
                return Ok(BoundedInsert::Full);
            }
            INSERT.execute(
                connection,
                named_params! {
                    ":id": mail.id.as_bytes(),
                    ":version": integer(mail.version),
                    ":due_at": mail.due_at.as_millisecond(),
                    ":record": encode(&mail)?,
                },
            )?;
            Ok(BoundedInsert::New)
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn claim_mail(&self, now: Timestamp, lease: Duration) -> Result<Option<QueuedMail>> {
        // So that the workers of an idle queue do not wake the writer.
        let found = self.readers.point(move |connection| due(connection, now)).await?;
        if found.is_none() {
            return Ok(None);
        }
        self.write(move |connection| claim(connection, now, lease)).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn update_mail(&self, mail: &QueuedMail) -> Result<UpdateOutcome> {
        let mail = mail.clone();
        self.write(move |connection| {
            written(UPDATE.execute(
                connection,
                named_params! {
                    ":id": mail.id.as_bytes(),
                    ":version": integer(mail.version),
                    ":due_at": mail.due_at.as_millisecond(),
                    ":record": encode(&mail)?,
                },
            )?)
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_mail(&self, id: MailId, version: u64) -> Result<UpdateOutcome> {
        self.write(move |connection| {
            written(DELETE.execute(connection, params![id.as_bytes(), integer(version)])?)
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn count_mails(&self) -> Result<u64> {
        self.readers.point(count).await
    }
}

fn count(connection: &Connection) -> EngineResult<u64> {
    let counted: Option<i64> = COUNT.first(connection, [i64::MIN], |row| row.get(0))?;
    Ok(u64::try_from(counted.unwrap_or_default()).unwrap_or_default())
}

fn due(connection: &Connection, now: Timestamp) -> EngineResult<Option<QueuedMail>> {
    DUE.record(connection, [now.as_millisecond()])
}

fn claim(connection: &Connection, now: Timestamp, lease: Duration) -> EngineResult<Option<QueuedMail>> {
    let Some(mail) = due(connection, now)? else { return Ok(None) };
    let mail = QueuedMail { attempts: mail.attempts + 1, version: mail.version + 1, ..mail };
    CLAIM.execute(
        connection,
        named_params! {
            ":id": mail.id.as_bytes(),
            ":version": integer(mail.version),
            ":lease_until": clock::after(now, lease).as_millisecond(),
            ":record": encode(&mail)?,
        },
    )?;
    Ok(Some(mail))
}
