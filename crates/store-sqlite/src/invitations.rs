//! Invitations.

use super::Sqlite;
use super::audit::save_event;
use super::engine_error::EngineResult;
use super::idempotency::count;
use super::organizations::written;
use super::statement::{encode, integer, statements};
use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, named_params, params};
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::ids::{InvitationId, OrganizationId};
use tenantry_domain::invitation::Invitation;
use tenantry_domain::store::{BoundedInsert, Invitations, UpdateOutcome};

statements! {
    EXISTS = "SELECT 1 FROM invitations WHERE id = ?1";
    IS_INVITED = "SELECT 1 FROM invitations WHERE organization_id = ?1 AND email_key = ?2";
    COUNT_OF = "SELECT count(*) FROM invitations WHERE organization_id = ?1";
    INSERT = "INSERT INTO invitations (id, version, organization_id, email_key, expires_at, record) \
        VALUES (:id, :version, :organization_id, :email_key, :expires_at, :record)";
    UPDATE = "UPDATE invitations SET version = :version, expires_at = :expires_at, record = :record \
        WHERE id = :id AND version = :version - 1";
    GET = "SELECT record FROM invitations WHERE id = ?1";
    LIST_OF = "SELECT record FROM invitations WHERE organization_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    DELETE = "DELETE FROM invitations WHERE id = ?1 AND version = ?2";
    DELETE_OF = "DELETE FROM invitations WHERE rowid IN \
        (SELECT rowid FROM invitations WHERE organization_id = ?1 LIMIT ?2)";
    DELETE_EXPIRED = "DELETE FROM invitations WHERE rowid IN \
        (SELECT rowid FROM invitations WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)";
}

#[async_trait]
impl Invitations for Sqlite {
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %invitation.organization_id))]
    async fn insert_invitation(
        &self,
        invitation: &Invitation,
        limit: u32,
        event: Option<&AuditEvent>,
    ) -> Result<BoundedInsert> {
        let (invitation, event) = (invitation.clone(), event.cloned());
        self.write(move |connection| {
            let outcome = insert(connection, &invitation, limit)?;
            if outcome == BoundedInsert::New {
                save_event(connection, event.as_ref())?;
            }
            Ok(outcome)
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn get_invitation(&self, id: InvitationId) -> Result<Option<Arc<Invitation>>> {
        self.readers.point(move |connection| GET.record(connection, [id.as_bytes()])).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn list_invitations(
        &self,
        organization_id: OrganizationId,
        after: Option<InvitationId>,
        limit: u32,
    ) -> Result<Vec<Arc<Invitation>>> {
        self.readers
            .scan(move |connection| {
                // No id is empty, so an empty key sorts before the first one.
                let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
                LIST_OF.records(connection, params![organization_id.as_bytes(), after, limit])
            })
            .await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %invitation.organization_id))]
    async fn update_invitation(
        &self,
        invitation: &Invitation,
        event: Option<&AuditEvent>,
    ) -> Result<UpdateOutcome> {
        let (invitation, event) = (invitation.clone(), event.cloned());
        self.write(move |connection| {
            let outcome = update(connection, &invitation)?;
            if outcome == UpdateOutcome::Done {
                save_event(connection, event.as_ref())?;
            }
            Ok(outcome)
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_invitation(
        &self,
        id: InvitationId,
        version: u64,
        event: Option<&AuditEvent>,
    ) -> Result<UpdateOutcome> {
        let event = event.cloned();
        self.write(move |connection| {
            let outcome = written(DELETE.execute(connection, params![id.as_bytes(), integer(version)])?)?;
            if outcome == UpdateOutcome::Done {
                save_event(connection, event.as_ref())?;
            }
            Ok(outcome)
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn delete_invitations_of(&self, organization_id: OrganizationId, limit: u32) -> Result<u32> {
        self.write(move |connection| {
            count(DELETE_OF.execute(connection, params![organization_id.as_bytes(), limit])?)
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_expired_invitations(&self, now: Timestamp, limit: u32) -> Result<u32> {
        let now = now.as_millisecond();
        self.write(move |connection| count(DELETE_EXPIRED.execute(connection, params![now, limit])?)).await
    }
}

fn insert(connection: &Connection, invitation: &Invitation, limit: u32) -> EngineResult<BoundedInsert> {
    let organization_id = invitation.organization_id.as_bytes();
    let email_key = invitation.email.key();
    if EXISTS.finds(connection, [invitation.id.as_bytes()])?
        || IS_INVITED.finds(connection, params![organization_id, email_key.as_str()])?
    {
        return Ok(BoundedInsert::Exists);
    }
    let held: Option<u32> = COUNT_OF.first(connection, [organization_id], |row| row.get(0))?;
    if held.unwrap_or_default() >= limit {
        return Ok(BoundedInsert::Full);
    }
    INSERT.execute(
        connection,
        named_params! {
            ":id": invitation.id.as_bytes(),
            ":version": integer(invitation.version),
            ":organization_id": organization_id,
            ":email_key": email_key.as_str(),
            ":expires_at": invitation.expires_at.as_millisecond(),
            ":record": encode(invitation)?,
        },
    )?;
    Ok(BoundedInsert::New)
}

fn update(connection: &Connection, invitation: &Invitation) -> EngineResult<UpdateOutcome> {
    written(UPDATE.execute(
        connection,
        named_params! {
            ":id": invitation.id.as_bytes(),
            ":version": integer(invitation.version),
            ":expires_at": invitation.expires_at.as_millisecond(),
            ":record": encode(invitation)?,
        },
    )?)
}
