//! One try of a transaction: all commands, and the commit.

use super::commands::{BatchCollections, CommandKind, StepGroup, groups};
use super::placeholders::PlaceholderPaths;
use crate::collections::handle::CollectionHandle;
use crate::documents::write::{number, write_errors};
use crate::engine_error::{COLLECTION_UUID_MISMATCH, EngineError};
use crate::quota::claim::PendingClaim;
use mongodb::ClientSession;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document};
use mongodb::error::{TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::options::{ReadConcern, ReadPreference, SelectionCriteria};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::{Error, ErrorCode};
use tenantry_domain::failpoints;
use tenantry_domain::store::{BatchChange, BatchStep};

/// How often the commit is sent until the server says what became of it.
const MAX_COMMITS: u32 = 4;

/// Codes of errors of single documents that mean another transaction: LockTimeout, WriteConflict, SnapshotUnavailable,
/// NoSuchTransaction.
const CONFLICT_CODES: [i32; 4] = [24, 112, 246, 251];

/// Why a transaction failed.
#[derive(Debug)]
pub(super) enum TransactionFailure {
    /// Another write came first. Nothing was written, and another try may succeed.
    Conflict,
    /// A collection is not called as it was; `actual` is what it is called now. Nothing was written.
    Moved { collection: CollectionName, actual: Option<String> },
    /// It was refused. Nothing was written.
    Refused(Error),
    /// Nobody knows whether it was committed.
    Unknown(Error),
}

impl From<Error> for TransactionFailure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<EngineError> for TransactionFailure {
    fn from(failure: EngineError) -> Self {
        Self::Refused(failure.into())
    }
}

impl From<TransactionFailure> for Error {
    fn from(failure: TransactionFailure) -> Self {
        match failure {
            TransactionFailure::Conflict => ErrorCode::DocumentBusy.into(),
            TransactionFailure::Moved { actual, .. } => EngineError::Elsewhere { actual }.into(),
            TransactionFailure::Refused(error) | TransactionFailure::Unknown(error) => error,
        }
    }
}

/// Writes all steps in one transaction, or none. `claim` is on the room for them.
pub(super) async fn run(
    collections: &mut BatchCollections<'_>,
    steps: &[BatchStep],
    claim: &PendingClaim,
) -> Result<(), TransactionFailure> {
    let groups = groups(steps.iter().filter(|step| !collections.is_void(step)));
    let mark = ObjectId::new();
    // Indexes cannot be listed within a transaction.
    let mut commands = Vec::with_capacity(groups.len());
    for group in &groups {
        let handle = &*collections.handle(group.collection)?;
        let paths = match group.kind {
            CommandKind::CheckMissing => PlaceholderPaths::of(handle).await?,
            _ => PlaceholderPaths::default(),
        };
        commands.push(group.commands(handle.layout(), mark, &paths)?);
    }
    let Some(first) = groups.first() else { return Ok(()) };
    let connection = collections.handle(first.collection)?.connection();
    let mut session = connection.call(connection.database().client().start_session()).await?;
    let begin = session
        .start_transaction()
        .read_concern(ReadConcern::snapshot())
        .write_concern(connection.server().durable())
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    connection.call(begin).await?;
    for (group, commands) in groups.iter().zip(&commands) {
        let handle = &*collections.handle(group.collection)?;
        for command in commands {
            let sent = match handle.run_in_transaction(&mut session, command).await {
                Ok(Ok(answer)) => check(handle, group, &answer),
                Ok(Err(error)) => Err(failure_of(group, error)),
                Err(failure) => Err(failure.into()),
            };
            if let Err(failure) = sent {
                // Where this fails, the server ends it itself.
                let _ = connection.call(session.abort_transaction()).await;
                return Err(failure);
            }
        }
    }
    if let Err(late) = claim.check() {
        let _ = connection.call(session.abort_transaction()).await;
        return Err(late.into());
    }
    failpoints::point("batch", "transaction", "before");
    let committed = commit(&mut session, connection).await;
    failpoints::point("batch", "transaction", "committed");
    committed
}

async fn commit(
    session: &mut ClientSession,
    connection: &crate::connection::Connection,
) -> Result<(), TransactionFailure> {
    let mut commits = 0;
    loop {
        commits += 1;
        let sent = async { Ok(session.commit_transaction().await) };
        match connection.call(sent).await.map_err(|failure| TransactionFailure::Unknown(failure.into()))? {
            Ok(()) => return Ok(()),
            Err(error) if error.contains_label(TRANSIENT_TRANSACTION_ERROR) => {
                return Err(TransactionFailure::Conflict);
            }
            Err(error)
                if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) && commits < MAX_COMMITS => {}
            Err(error) => return Err(TransactionFailure::Unknown(EngineError::from(error).into())),
        }
    }
}

/// What the error of a whole command means.
fn failure_of(group: &StepGroup<'_>, error: mongodb::error::Error) -> TransactionFailure {
    let is_transient = error.contains_label(TRANSIENT_TRANSACTION_ERROR);
    match EngineError::from(error) {
        EngineError::Elsewhere { actual } => {
            TransactionFailure::Moved { collection: group.collection.clone(), actual }
        }
        _ if is_transient => TransactionFailure::Conflict,
        failure => failure.into(),
    }
}

/// Whether the command has done all that it should.
fn check(
    handle: &CollectionHandle<'_>,
    group: &StepGroup<'_>,
    answer: &Document,
) -> Result<(), TransactionFailure> {
    let errors = answer.get_array("writeErrors").into_iter().flatten().filter_map(Bson::as_document);
    for error in errors {
        match error.get_i32("code") {
            Ok(COLLECTION_UUID_MISMATCH) => {
                let actual = error.get_str("actualCollection").ok().map(str::to_owned);
                return Err(TransactionFailure::Moved { collection: group.collection.clone(), actual });
            }
            Ok(code) if CONFLICT_CODES.contains(&code) => return Err(TransactionFailure::Conflict),
            _ => {}
        }
    }
    if let Some((place, error)) = write_errors(handle, answer).into_iter().next() {
        return Err(match group.steps.get(place) {
            Some(step) => refusal(step, error).below(&step.pointer()),
            None => error,
        }
        .into());
    }
    if number(answer, "n") == group.steps.len() as u64 {
        return Ok(());
    }
    // One has changed since it was read; which one, the next try finds.
    Err(Error::from(ErrorCode::DocumentBusy).into())
}

/// What the error of a step means.
fn refusal(step: &BatchStep, error: Error) -> Error {
    match &step.change {
        // Somebody else has inserted it since.
        BatchChange::Check { .. } | BatchChange::Insert { was_missing: true, .. }
            if error.code() == ErrorCode::DocumentExists =>
        {
            ErrorCode::DocumentBusy.into()
        }
        BatchChange::Check { .. } => {
            Error::unavailable(format!("an index takes no document that is not there yet: {error}"))
        }
        _ => error,
    }
}
