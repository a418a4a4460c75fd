//! Follows a change that the server has accepted but not finished.

use crate::cli::client::ClientError;
use crate::cli::client::{Client, ClientResponse};
use crate::cli::terminal::Progress;
use reqwest::Method;
use serde::Deserialize;
use std::time::Duration;

/// The first pause between two looks; each is half as long again as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A change that has happened.
pub struct CompletedChange {
    /// What it has changed.
    pub organization_id: String,
    /// The operation as the server shows it at its end.
    pub answer: ClientResponse,
}

/// A multi-step change, as the server shows it.
#[derive(Deserialize)]
struct Operation {
    id: String,
    organization_id: String,
    kind: String,
    state: String,
    progress: Steps,
    error: Option<OperationFailure>,
}

#[derive(Deserialize)]
struct Steps {
    done: u32,
    total: u32,
}

#[derive(Deserialize)]
struct OperationFailure {
    code: String,
    detail: String,
}

/// Waits for the end of the operation that `answer` shows.
///
/// # Errors
/// Why it was undone; or why it can no longer be watched, in which case it goes on.
pub async fn follow(client: &Client, mut answer: ClientResponse) -> Result<CompletedChange, ClientError> {
    let progress = Progress::new();
    let mut pause = FIRST_PAUSE;
    loop {
        let operation: Operation = answer.read()?;
        if operation.state != "running" {
            return finished(operation, answer);
        }
        let Steps { done, total } = operation.progress;
        progress.show(&format!("{}: {done} of {total} steps", operation.kind));
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        answer = look(client, &operation.id).await?;
    }
}

fn finished(operation: Operation, answer: ClientResponse) -> Result<CompletedChange, ClientError> {
    match operation.error {
        Some(OperationFailure { code, detail }) => {
            Err(ClientError::Other(format!("{detail}\ncode: {code}\noperation: {}", operation.id)))
        }
        None => Ok(CompletedChange { organization_id: operation.organization_id, answer }),
    }
}

async fn look(client: &Client, id: &str) -> Result<ClientResponse, ClientError> {
    let request = client.request(Method::GET, &["v1", "operations", id], &[]);
    client.send(request).await.map_err(|failure| {
        ClientError::Other(format!("{failure}\nThe change goes on; check it at /v1/operations/{id}."))
    })
}
