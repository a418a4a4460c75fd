//! Single values that belong to the installation as a whole.

use super::Sqlite;
use super::audit::save_event;
use super::startup;
use super::statement::statements;
use async_trait::async_trait;
use rusqlite::params;
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::store::{Installation, UpdateOutcome};
use tenantry_domain::{Error, Result};

statements! {
    GET = "SELECT value FROM installation WHERE name = ?1";
    INIT = "INSERT INTO installation (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
    PUT = "INSERT INTO installation (name, value) VALUES (?1, ?2) \
        ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    REPLACE = "UPDATE installation SET value = ?3 WHERE name = ?1 AND value = ?2";
    DELETE = "DELETE FROM installation WHERE name = ?1";
}

#[async_trait]
impl Installation for Sqlite {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn get_value(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let name = name.to_owned();
        self.readers.point(move |connection| Ok(GET.first(connection, [name], |row| row.get(0))?)).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn init_value(&self, name: &str, value: &[u8]) -> Result<Vec<u8>> {
        let (name, value) = (name.to_owned(), value.to_vec());
        self.write(move |connection| {
            INIT.execute(connection, params![name, value])?;
            let kept = GET.first(connection, [name], |row| row.get(0))?;
            Ok(kept.ok_or_else(|| Error::internal("a value that was just set is not there"))?)
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn put_value(&self, name: &str, value: &[u8]) -> Result<()> {
        let (name, value) = (name.to_owned(), value.to_vec());
        self.write(move |connection| Ok(PUT.execute(connection, params![name, value]).map(|_| ())?)).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn update_value(
        &self,
        name: &str,
        expected: Option<&[u8]>,
        value: &[u8],
        event: Option<&AuditEvent>,
    ) -> Result<UpdateOutcome> {
        let (name, value, event) = (name.to_owned(), value.to_vec(), event.cloned());
        let expected = expected.map(<[u8]>::to_vec);
        self.write(move |connection| {
            let changed = match expected {
                Some(expected) => REPLACE.execute(connection, params![name, expected, value])?,
                None => INIT.execute(connection, params![name, value])?,
            };
            if changed == 0 {
                return Ok(UpdateOutcome::Stale);
            }
            save_event(connection, event.as_ref())?;
            Ok(UpdateOutcome::Done)
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_value(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.write(move |connection| Ok(DELETE.execute(connection, [name]).map(|_| ())?)).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn check_writable(&self) -> Result<()> {
        self.write(|connection| Ok(startup::beat(connection)?)).await
    }
}
