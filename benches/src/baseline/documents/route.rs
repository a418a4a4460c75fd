//! The service's routes of documents with nothing but SQLite behind them: no sign-in, no organizations, no limits.
//!
//! On the service's own runtime and accept loop, so that the transport is the same.

use super::BATCH;
use super::sqlite::Documents;
use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use std::fmt::Write;
use std::sync::Arc;

/// Serves the documents in `file` until the process is killed.
pub fn serve(file: &std::path::Path) -> Result<()> {
    let documents = Arc::new(Documents::open(file)?);
    let collection = "/v1/organizations/{organization}/collections/{collection}/documents";
    let router = Router::new()
        .route("/health", get(async || StatusCode::OK))
        .route(collection, get(list).post(insert))
        .route(&format!("{collection}/{{id}}"), get(read))
        .layer(DefaultBodyLimit::disable())
        .with_state(documents);
    crate::baseline::bare::listen(router)
}

/// A failure, shown to the client.
struct RouteError(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for RouteError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for RouteError {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("{:#}", self.0)).into_response()
    }
}

type RouteResponse = Result<Response, RouteError>;

/// At once, on this thread: it takes less than handing it to another.
async fn read(
    State(documents): State<Arc<Documents>>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> RouteResponse {
    let document = documents.get(&id)?.context("there is no such document")?;
    Ok(json(StatusCode::OK, document))
}

#[derive(Deserialize)]
struct RouteQuery {
    filter: String,
}

#[derive(Deserialize)]
struct Filter {
    kind: String,
}

async fn list(State(documents): State<Arc<Documents>>, Query(asked): Query<RouteQuery>) -> RouteResponse {
    let filter: Filter = serde_json::from_str(&asked.filter)?;
    let items = tokio::task::spawn_blocking(move || documents.list(&filter.kind)).await??;
    Ok(json(StatusCode::OK, format!("{{\"items\":{items}}}")))
}

/// One document, or one in each line.
async fn insert(State(documents): State<Arc<Documents>>, headers: HeaderMap, body: Bytes) -> RouteResponse {
    if headers.get(header::CONTENT_TYPE).is_some_and(|media| media == "application/x-ndjson") {
        let outcomes = tokio::task::spawn_blocking(move || insert_lines(&documents, &body)).await??;
        return Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], outcomes).into_response());
    }
    let inserted = tokio::task::spawn_blocking(move || documents.insert(&body)).await??;
    Ok(json(StatusCode::CREATED, inserted.text))
}

fn insert_lines(documents: &Documents, body: &[u8]) -> Result<String> {
    let lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let (mut outcomes, mut line) = (String::new(), 0);
    for batch in lines.chunks(BATCH) {
        for inserted in documents.insert_all(batch)? {
            line += 1;
            writeln!(outcomes, "{{\"line\":{line},\"status\":201,\"id\":{}}}", inserted.id)?;
        }
    }
    writeln!(outcomes, "{{\"inserted\":{line}}}")?;
    Ok(outcomes)
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
