//! Commands on one collection: each names it and carries its UUID.

use super::location::CollectionLocation;
use crate::containers::namespace::uuid;
use crate::engine_error::{COLLECTION_UUID_MISMATCH, EngineError, EngineResult};
use bson::RawDocumentBuf;
use bson::raw::{CString, cstr};
use mongodb::bson::{Document, doc};
use std::time::Duration;
use tenantry_domain::Error;

/// How long the server goes on with a read after its deadline. By then it has been answered that it took too long.
const ABANDONED: Duration = Duration::from_secs(1);
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
    pub(super) fn timed(&self, at: &CollectionLocation, deadline: Duration) -> EngineResult<RawDocumentBuf> {
        let mut command = self.on(at)?;
        if command.get("maxTimeMS").ok().flatten().is_none() {
            let most = i64::from(i32::MAX);
            let millis =
                i64::try_from((deadline + ABANDONED).as_millis()).map_or(most, |time| time.min(most));
            command.append(cstr!("maxTimeMS"), millis);
        }
        Ok(command)
    }

    /// The command on the collection at that place.
    pub(super) fn on(&self, at: &CollectionLocation) -> EngineResult<RawDocumentBuf> {
        let mut command = RawDocumentBuf::new();
        let name = CString::try_from(self.name).map_err(Error::internal)?;
        command.append(name, at.namespace.as_str());
        for (name, value) in self.rest.iter().map_while(Result::ok) {
            command.append(name, value);
        }
        if let Some(id) = at.uuid {
            let id =
                RawDocumentBuf::try_from(&doc! { "collectionUUID": uuid(id) }).map_err(Error::internal)?;
            for (name, value) in id.iter().map_while(Result::ok) {
                command.append(name, value);
            }
        }
        Ok(command)
    }
}

/// Whether a write was refused because the collection is elsewhere: that stands among the errors of its documents.
pub(super) fn elsewhere(answer: &Document) -> Option<EngineError> {
    let first = answer.get_array("writeErrors").ok()?.first()?.as_document()?;
    let is_elsewhere =
        matches!(first.get_i32("code"), Ok(COLLECTION_UUID_MISMATCH)) && matches!(answer.get_i32("n"), Ok(0));
    is_elsewhere
        .then(|| EngineError::Elsewhere { actual: first.get_str("actualCollection").ok().map(str::to_owned) })
}

/// As MongoDB takes a time; to it, 0 would be no limit.
pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).clamp(1, i64::from(i32::MAX))
}
