//! Organizations, their reserved keys, and the leases of their operations.

use super::Sqlite;
use super::engine_error::EngineResult;
use super::statement::{Statement, encode, integer, statements};
use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, named_params, params};
use std::collections::BTreeSet;
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::clock::after;
use tenantry_domain::ids::{OperationId, OrganizationId};
use tenantry_domain::limits::OPERATION_LEASE;
use tenantry_domain::name::Identifier;
use tenantry_domain::operation::Operation;
use tenantry_domain::organization::{Organization, ReservedKey, State, Status};
use tenantry_domain::store::{InsertOutcome, OrganizationQuery, Organizations, UpdateOutcome};

statements! {
    EXISTS = "SELECT 1 FROM organizations WHERE id = ?1";
    INSERT = "INSERT INTO organizations (id, version, identifier, status, hidden, purge_due, \
        operation_id, lease_owner, lease_until, has_file, record) \
        VALUES (:id, :version, :identifier, :status, :hidden, :purge_due, \
        :operation_id, :lease_owner, :lease_until, 0, :record)";
    UPDATE = "UPDATE organizations SET version = :version, identifier = :identifier, status = :status, \
        hidden = :hidden, purge_due = :purge_due, operation_id = :operation_id, \
        lease_owner = :lease_owner, lease_until = :lease_until, record = :record \
        WHERE id = :id AND version = :version - 1";
    DELETE = "DELETE FROM organizations WHERE id = ?1 AND version = ?2";
    HAS_FILE = "SELECT has_file FROM organizations WHERE id = ?1";
    // Also if it is set: then another call has been faster.
    SET_HAS_FILE = "UPDATE organizations SET has_file = 1 WHERE id = ?1 AND status <> 'purging'";
    KEYS = "SELECT key FROM reserved_keys WHERE organization_id = ?1";
    RESERVE = "INSERT INTO reserved_keys (key, organization_id) VALUES (?1, ?2)";
    RELEASE = "DELETE FROM reserved_keys WHERE key = ?1";
    GET = "SELECT record FROM organizations WHERE id = ?1";
    // Of those that are not hidden, at most one has the identifier reserved.
    FIND = "SELECT record FROM organizations \
        WHERE hidden = 0 AND identifier = ?1 AND status <> 'provisioning'";
    FIND_OF_OPERATION = "SELECT record FROM organizations WHERE operation_id = ?1";
    LIST_SHOWN = "SELECT record FROM organizations \
        WHERE hidden = 0 AND (identifier, id) > (?1, ?2) AND identifier < ?3 \
        ORDER BY identifier, id LIMIT ?4";
    LIST_ALL = "SELECT record FROM organizations \
        WHERE (identifier, id) > (?1, ?2) AND identifier < ?3 \
        ORDER BY identifier, id LIMIT ?4";
    LIST_OF_STATUS = "SELECT record FROM organizations \
        WHERE status = ?5 AND (identifier, id) > (?1, ?2) AND identifier < ?3 \
        ORDER BY identifier, id LIMIT ?4";
    COUNT_OF_STATUS = "SELECT count(*) FROM organizations WHERE status = ?1";
    LIST_DUE = "SELECT record FROM organizations WHERE purge_due <= ?1 ORDER BY purge_due LIMIT ?2";
    // Of other owners all; of this one those whose lease has run out, or ends later than any lease can: it was
    // given before the clock was set back.
    LIST_CLAIMABLE = "SELECT record FROM organizations WHERE lease_owner < ?1 \
        UNION ALL SELECT record FROM organizations WHERE lease_owner > ?1 \
        UNION ALL SELECT record FROM organizations WHERE lease_owner = ?1 AND lease_until <= ?2 \
        UNION ALL SELECT record FROM organizations WHERE lease_owner = ?1 AND lease_until > ?3 \
        LIMIT ?4";
}

/// Above every identifier, which is ASCII.
const ABOVE_IDENTIFIERS: &str = "\u{10ffff}";

#[async_trait]
impl Organizations for Sqlite {
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn insert_organization(&self, organization: &Organization) -> Result<InsertOutcome> {
        let (organization, clock) = (organization.clone(), self.clock.clone());
        self.write(move |connection| insert(connection, &organization, clock.now())).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %id))]
    async fn get_organization(&self, id: OrganizationId) -> Result<Option<Arc<Organization>>> {
        self.readers.point(move |connection| GET.record(connection, [id.as_bytes()])).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn find_organization(&self, identifier: &Identifier) -> Result<Option<Arc<Organization>>> {
        let identifier = identifier.clone();
        self.readers.point(move |connection| FIND.record(connection, [identifier.as_str()])).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn find_organization_of_operation(&self, id: OperationId) -> Result<Option<Arc<Organization>>> {
        self.readers.point(move |connection| FIND_OF_OPERATION.record(connection, [id.as_bytes()])).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_organizations(
        &self,
        query: &OrganizationQuery,
        limit: u32,
    ) -> Result<Vec<Arc<Organization>>> {
        let query = query.clone();
        self.readers.scan(move |connection| list(connection, &query, limit)).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn count_organizations(&self, status: Status) -> Result<u64> {
        let count = move |connection: &Connection| {
            let counted: Option<i64> =
                COUNT_OF_STATUS.first(connection, [status.as_str()], |row| row.get(0))?;
            Ok(u64::try_from(counted.unwrap_or_default()).unwrap_or_default())
        };
        self.readers.scan(count).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_organizations_to_purge(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Arc<Organization>>> {
        let now = now.as_millisecond();
        self.readers.scan(move |connection| LIST_DUE.records(connection, params![now, limit])).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn update_organization(&self, organization: &Organization) -> Result<UpdateOutcome> {
        let (organization, clock) = (organization.clone(), self.clock.clone());
        self.write(move |connection| update(connection, &organization, clock.now())).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %id))]
    async fn delete_organization(&self, id: OrganizationId, version: u64) -> Result<UpdateOutcome> {
        self.write(move |connection| {
            // Its reserved keys go with it, by their foreign key.
            written(DELETE.execute(connection, params![id.as_bytes(), integer(version)])?)
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn claim_operations(&self, owner: &str, limit: u32) -> Result<Vec<Arc<Organization>>> {
        let (owner, clock) = (owner.to_owned(), self.clock.clone());
        self.write(move |connection| claim(connection, &owner, limit, clock.now())).await
    }
}

impl Sqlite {
    /// Whether a record refers to that organization, in any state.
    pub(super) async fn knows(&self, id: OrganizationId) -> Result<bool> {
        self.readers.point(move |connection| Ok(EXISTS.finds(connection, [id.as_bytes()])?)).await
    }

    /// Whether its container has a file; an organization that no record knows may have one.
    pub(super) async fn has_file(&self, id: OrganizationId) -> Result<bool> {
        let row = self.readers.point(move |connection| {
            Ok(HAS_FILE.first(connection, [id.as_bytes()], |row| row.get::<_, bool>(0))?)
        });
        Ok(row.await?.unwrap_or(true))
    }

    /// Records that its container has a file; `false` if that is being purged, or is gone.
    pub(super) async fn set_has_file(&self, id: OrganizationId) -> Result<bool> {
        self.write(move |connection| Ok(SET_HAS_FILE.execute(connection, [id.as_bytes()])? > 0)).await
    }
}

fn insert(
    connection: &Connection,
    organization: &Organization,
    now: Timestamp,
) -> EngineResult<InsertOutcome> {
    if EXISTS.finds(connection, [organization.id.as_bytes()])? {
        return Ok(InsertOutcome::Exists);
    }
    save(connection, INSERT, organization, now)?;
    reserve(connection, organization)?;
    Ok(InsertOutcome::New)
}

fn update(
    connection: &Connection,
    organization: &Organization,
    now: Timestamp,
) -> EngineResult<UpdateOutcome> {
    let changed = save(connection, UPDATE, organization, now)?;
    if changed > 0 {
        reserve(connection, organization)?;
    }
    written(changed)
}

/// The outcome of a compare-and-set that changed `changed` rows.
pub(super) fn written(changed: usize) -> EngineResult<UpdateOutcome> {
    Ok(if changed == 0 { UpdateOutcome::Stale } else { UpdateOutcome::Done })
}

/// Writes the record and the columns that follow from it; a lease begins `now`.
fn save(
    connection: &Connection,
    statement: Statement,
    organization: &Organization,
    now: Timestamp,
) -> EngineResult<usize> {
    let operation = organization.operation.as_deref();
    let lease_until = after(now, OPERATION_LEASE).as_millisecond();
    let status = organization.status();
    let changed = statement.execute(
        connection,
        named_params! {
            ":id": organization.id.as_bytes(),
            ":version": integer(organization.version),
            ":identifier": organization.naming.identifier.as_str(),
            ":status": status.as_str(),
            ":hidden": matches!(status, Status::Deleted | Status::Purging),
            ":purge_due": purge_due(organization).map(Timestamp::as_millisecond),
            ":operation_id": operation.map(|operation| operation.id.as_bytes()),
            ":lease_owner": operation.map(|operation| &operation.owner),
            ":lease_until": operation.map(|_| lease_until),
            ":record": encode(organization)?,
        },
    )?;
    Ok(changed)
}

/// When it may be purged, if nothing prevents that.
fn purge_due(organization: &Organization) -> Option<Timestamp> {
    let free =
        organization.state == State::Deleted && !organization.legal_hold && organization.operation.is_none();
    organization.purge_at.filter(|_| free)
}

/// Updates the reserved keys of `organization` to match its record; most updates change none of them.
fn reserve(connection: &Connection, organization: &Organization) -> EngineResult<()> {
    let id = organization.id.as_bytes();
    let held: BTreeSet<String> = KEYS.all(connection, [id], |row| row.get(0))?.into_iter().collect();
    let wanted: BTreeSet<&str> = organization.reserved.iter().map(ReservedKey::as_str).collect();
    for key in held.iter().filter(|key| !wanted.contains(key.as_str())) {
        RELEASE.execute(connection, [key])?;
    }
    for key in wanted.iter().filter(|key| !held.contains(**key)) {
        RESERVE.execute(connection, params![key, id])?;
    }
    Ok(())
}

fn list(
    connection: &Connection,
    query: &OrganizationQuery,
    limit: u32,
) -> EngineResult<Vec<Arc<Organization>>> {
    let prefix = query.identifier_prefix.as_deref().unwrap_or_default();
    let end = format!("{prefix}{ABOVE_IDENTIFIERS}");
    // No id is empty, so (prefix, empty) sorts before the first one.
    let cursor = query.after.as_ref();
    let (identifier, id) = cursor
        .map(|after| (after.identifier.as_str(), after.id.as_bytes().as_slice()))
        .max(Some((prefix, &[])))
        .unwrap_or_default();
    match query.status {
        Some(status) => {
            LIST_OF_STATUS.records(connection, params![identifier, id, end, limit, status.as_str()])
        }
        None if query.show_deleted => LIST_ALL.records(connection, params![identifier, id, end, limit]),
        None => LIST_SHOWN.records(connection, params![identifier, id, end, limit]),
    }
}

/// Only this process can be at work here, so operations of other owners were left by a crash.
fn claim(
    connection: &Connection,
    owner: &str,
    limit: u32,
    now: Timestamp,
) -> EngineResult<Vec<Arc<Organization>>> {
    let latest = after(now, OPERATION_LEASE).as_millisecond();
    let claimable: Vec<Organization> =
        LIST_CLAIMABLE.records(connection, params![owner, now.as_millisecond(), latest, limit])?;
    let mut claimed = Vec::with_capacity(claimable.len());
    for mut organization in claimable {
        let Some(operation) = organization.operation.take() else { continue };
        let taken = Operation { owner: owner.to_owned(), fence: operation.fence + 1, ..*operation };
        organization.operation = Some(Box::new(taken));
        organization.version += 1;
        save(connection, UPDATE, &organization, now)?;
        claimed.push(Arc::new(organization));
    }
    Ok(claimed)
}
