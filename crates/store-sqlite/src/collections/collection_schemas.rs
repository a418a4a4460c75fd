//! The schema of a collection, in its row.

use super::catalog;
use crate::collections::scope::Scope;
use crate::engine_error::EngineResult;
use crate::statement::statements;
use rusqlite::params;
use tenantry_documents::schema::SchemaDefinition;
use tenantry_domain::Error;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::store::SchemaChange;

statements! {
    SET = "UPDATE collections SET schema = ?2 WHERE id = ?1";
}

/// Sets or removes the schema, if it is the one that is expected.
pub(super) fn set(
    scope: Scope<'_>,
    name: &CollectionName,
    schema: Option<&SchemaDefinition>,
    expected: Option<&SchemaDefinition>,
) -> EngineResult<SchemaChange> {
    let before = scope.collection(name)?.schema.clone();
    if expected.is_some() && before.as_deref() != expected {
        return Ok(SchemaChange::Stale);
    }
    let was_there = before.is_some();
    if schema.is_some() || was_there {
        let json = schema.map(SchemaDefinition::to_json).transpose().map_err(Error::from)?;
        let (number, _) = scope.numbered(name)?;
        SET.execute(scope.connection, params![number, json])?;
        catalog::touch(scope.connection)?;
    }
    Ok(SchemaChange::Done { was_there })
}
