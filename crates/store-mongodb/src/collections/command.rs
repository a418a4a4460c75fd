//! Commands on one collection: each names it and carries its UUID, and finds it again where it is now.
//!
//! What a newcomer gets wrong: that a command was refused because the collection is elsewhere means that nothing has
//! happened. Under the name that the server then gives it is still the same one, so the command may go there; where
//! there is no such collection any more, another may have been made under the name, which is looked for once.

mod sift;

pub(crate) use sift::Sieve;

use super::handle::CollectionHandle;
use crate::MongoDb;
use crate::containers::namespace::uuid;
use crate::documents::EntrySum;
use crate::engine_error::{COLLECTION_UUID_MISMATCH, EngineError, EngineResult, NAMESPACE_NOT_FOUND};
use bson::raw::{CString, cstr};
use bson::{RawDocument, RawDocumentBuf};
use mongodb::bson::{Document, doc};
use std::time::Duration;
use tenantry_domain::organization::Organization;
use tenantry_domain::{Error, ErrorCode};

/// How long the server goes on with a read after its deadline. By then it has been answered that it took too long.
const ABANDONED: Duration = Duration::from_secs(1);
/// How often a collection may be elsewhere before a command is given up.
const ROUNDS: u32 = 8;

/// Bytes of documents that are summed up in one go.
const SUMMED_BYTES: usize = 1 << 20;

/// A command on a collection.
pub(crate) struct Command {
    name: &'static str,
    /// What follows the name of the collection.
    rest: RawDocumentBuf,
}

/// How much is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount {
    /// Documents at most.
    pub(crate) documents: usize,
    /// Bytes after which it is enough.
    pub(crate) bytes: usize,
}

impl Amount {
    /// As many as there are.
    pub(crate) const ALL: Self = Self { documents: usize::MAX, bytes: usize::MAX };
}

impl Command {
    pub(crate) fn new(name: &'static str, rest: &Document) -> EngineResult<Self> {
        let rest = RawDocumentBuf::try_from(rest).map_err(Error::internal)?;
        Ok(Self { name, rest })
    }

    pub(crate) const fn raw(name: &'static str, rest: RawDocumentBuf) -> Self {
        Self { name, rest }
    }

    /// One that reads what has been acknowledged.
    pub(crate) fn reading(name: &'static str, mut rest: Document) -> EngineResult<Self> {
        rest.insert("readConcern", doc! { "level": "majority" });
        Self::new(name, &rest)
    }

    /// A pipeline.
    pub(crate) fn pipeline(stages: &[Document]) -> EngineResult<Self> {
        Self::reading("aggregate", doc! { "pipeline": stages, "cursor": {} })
    }

    /// The same for one that reads. The server ends it some time after nobody waits for it any more: who hangs up, or
    /// gives up, leaves nothing at work there.
    fn timed(&self, at: &CollectionHandle<'_>, deadline: Duration) -> EngineResult<RawDocumentBuf> {
        let mut command = self.on(at)?;
        if command.get("maxTimeMS").ok().flatten().is_none() {
            let most = i64::from(i32::MAX);
            let millis =
                i64::try_from((deadline + ABANDONED).as_millis()).map_or(most, |time| time.min(most));
            command.append(cstr!("maxTimeMS"), millis);
        }
        Ok(command)
    }

    fn on(&self, at: &CollectionHandle<'_>) -> EngineResult<RawDocumentBuf> {
        let mut command = RawDocumentBuf::new();
        let name = CString::try_from(self.name).map_err(Error::internal)?;
        command.append(name, at.namespace.as_str());
        for (name, value) in self.rest.iter().map_while(Result::ok) {
            command.append(name, value);
        }
        if let Some(id) = at.identity {
            let id =
                RawDocumentBuf::try_from(&doc! { "collectionUUID": uuid(id) }).map_err(Error::internal)?;
            for (name, value) in id.iter().map_while(Result::ok) {
                command.append(name, value);
            }
        }
        Ok(command)
    }
}

impl MongoDb {
    /// Carries out a command that answers with one document.
    pub(crate) async fn command_at(
        &self,
        at: &mut CollectionHandle<'_>,
        command: &Command,
    ) -> EngineResult<Document> {
        self.long_command_at(at, command, self.connection.server().deadline()).await
    }

    /// The same for one that may take longer.
    pub(crate) async fn long_command_at(
        &self,
        at: &mut CollectionHandle<'_>,
        command: &Command,
        deadline: Duration,
    ) -> EngineResult<Document> {
        for _ in 0..ROUNDS {
            let run = at.database.run_raw_command(command.on(at)?);
            let failure = match self.connection.call_within(deadline, run).await {
                Ok(answer) => match elsewhere(&answer) {
                    Some(failure) => failure,
                    None => return Ok(answer),
                },
                Err(failure) => failure,
            };
            self.follow(at, failure).await?;
        }
        Err(Error::unavailable("a collection moves all the time").into())
    }

    /// Carries out a command that answers with documents; what `read` makes of them, and whether there are others.
    pub(crate) async fn read_at<T: Send>(
        &self,
        at: &mut CollectionHandle<'_>,
        command: &Command,
        amount: Amount,
        deadline: Duration,
        read: impl Fn(&RawDocument) -> EngineResult<T> + Send + Sync,
    ) -> EngineResult<(Vec<T>, bool)> {
        for _ in 0..ROUNDS {
            let run = at.database.run_raw_cursor_command(command.timed(at, deadline)?);
            let reading = async {
                let mut cursor = run.await?;
                let (mut found, mut bytes) = (Vec::new(), 0);
                while cursor.advance().await? {
                    if found.len() >= amount.documents || bytes >= amount.bytes {
                        return Ok(Ok((found, true)));
                    }
                    let document = cursor.current();
                    bytes += document.as_bytes().len();
                    match read(document) {
                        Ok(document) => found.push(document),
                        Err(failure) => return Ok(Err(failure)),
                    }
                }
                Ok(Ok((found, false)))
            };
            match self.connection.call_within(deadline, reading).await {
                Ok(found) => return found,
                Err(failure) => self.follow(at, failure).await?,
            }
        }
        Err(Error::unavailable("a collection moves all the time").into())
    }

    /// Carries out a command that answers with documents; the bytes of their index entries, counted some documents at a
    /// time.
    pub(crate) async fn sum_entries_at(
        &self,
        at: &mut CollectionHandle<'_>,
        command: &Command,
        deadline: Duration,
        entries: &EntrySum,
    ) -> EngineResult<u64> {
        for _ in 0..ROUNDS {
            let run = at.database.run_raw_cursor_command(command.on(at)?);
            let summing = async {
                let mut cursor = run.await?;
                let (mut page, mut bytes, mut sum) = (Vec::new(), 0, 0);
                loop {
                    let is_end = !cursor.advance().await?;
                    if !is_end {
                        let document = cursor.current();
                        bytes += document.as_bytes().len();
                        page.push(document.to_owned());
                    }
                    if is_end || bytes >= SUMMED_BYTES {
                        bytes = 0;
                        match entries.of(std::mem::take(&mut page)).await {
                            Ok(more) => sum += more,
                            Err(failure) => return Ok(Err(failure)),
                        }
                    }
                    if is_end {
                        return Ok(Ok(sum));
                    }
                }
            };
            match self.connection.call_within(deadline, summing).await {
                Ok(sum) => return sum,
                Err(failure) => self.follow(at, failure).await?,
            }
        }
        Err(Error::unavailable("a collection moves all the time").into())
    }

    /// Goes where the collection is now, if that is why a command has failed.
    async fn follow(&self, at: &mut CollectionHandle<'_>, failure: EngineError) -> EngineResult<()> {
        match failure {
            // `$collStats` looks for its collection once more, by the name alone, and that may have been changed by then.
            EngineError::Interrupted | EngineError::Answered { code: NAMESPACE_NOT_FOUND, .. } => Ok(()),
            EngineError::Elsewhere { actual: Some(actual) } if at.is_called(&actual) => {
                if at.is_container() {
                    self.look_after_container(at.organization, &actual).await;
                }
                at.namespace = actual;
                Ok(())
            }
            EngineError::Elsewhere { .. } => self.look_again(at).await,
            failure => Err(failure),
        }
    }

    /// The collection is gone, or is called otherwise: perhaps another has been made.
    async fn look_again(&self, at: &mut CollectionHandle<'_>) -> EngineResult<()> {
        if at.is_container() {
            return Err(Error::unavailable("the organization's container is not there").into());
        }
        if !at.again {
            return Err(Error::from(ErrorCode::CollectionNotFound).into());
        }
        self.invalidate_uuid(at.organization.id, at.name);
        *at = CollectionHandle { again: false, ..self.resolve_collection(at.organization, at.name).await? };
        Ok(())
    }

    /// Brings a container back to where its record says, if it is elsewhere and no operation is moving it: a late
    /// effect of one that was overtaken has taken it there. That it does not succeed is no reason to refuse what is
    /// asked of the container.
    async fn look_after_container(&self, organization: &Organization, actual: &str) {
        let Ok(Some(now)) = self.organizations.find(organization.id).await else { return };
        if now.operation.is_none()
            && now.naming.namespace != actual
            && let Err(failure) = self.settle_collection(&now).await
        {
            tracing::warn!(organization = %now.id, error = %Error::from(failure), "a container was not brought back");
        }
    }
}

/// Whether a write was refused because the collection is elsewhere: that stands among the errors of its documents.
fn elsewhere(answer: &Document) -> Option<EngineError> {
    let first = answer.get_array("writeErrors").ok()?.first()?.as_document()?;
    let is_elsewhere =
        matches!(first.get_i32("code"), Ok(COLLECTION_UUID_MISMATCH)) && matches!(answer.get_i32("n"), Ok(0));
    is_elsewhere
        .then(|| EngineError::Elsewhere { actual: first.get_str("actualCollection").ok().map(str::to_owned) })
}
