//! The service's lookup of an organization with nothing but SQLite behind it: two point reads, no cache.
//!
//! On the service's own runtime and accept loop, so that the transport is the same.

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rusqlite::{Connection, OpenFlags};
use serde::Deserialize;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Serves the organizations of that control database until the process is killed.
pub fn serve(file: &Path) -> Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Arc::new(Mutex::new(Connection::open_with_flags(file, flags)?));
    let router = Router::new()
        .route("/health", get(async || StatusCode::OK))
        .route("/org/get", get(look_up))
        .with_state(connection);
    super::bare::listen(router)
}

#[derive(Deserialize)]
struct RouteQuery {
    organization_name: String,
}

/// At once, on this thread: it takes less than handing it to another.
async fn look_up(
    State(connection): State<Arc<Mutex<Connection>>>,
    Query(query): Query<RouteQuery>,
) -> Response {
    let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
    match read(&connection, &query.organization_name) {
        Ok(record) => ([(header::CONTENT_TYPE, "application/json")], record).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response(),
    }
}

/// The organization and its owner, as the service reads them.
fn read(connection: &Connection, name: &str) -> Result<String> {
    let identifier = name.to_lowercase().replace(' ', "-");
    let find = "SELECT record, record ->> 'owner_id' FROM organizations WHERE hidden = 0 AND identifier = ?1";
    let (record, owner): (String, String) =
        connection.prepare_cached(find)?.query_row([identifier], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let owner = hex(&owner).context("an owner without an id")?;
    let get = "SELECT length(record) FROM accounts WHERE id = ?1";
    let _: i64 = connection.prepare_cached(get)?.query_row([owner], |row| row.get(0))?;
    Ok(record)
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect()
}
