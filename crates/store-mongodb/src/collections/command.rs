//! Commands on one collection: each names it and carries its UUID.

use super::location::CollectionLocation;
use crate::containers::namespace::uuid;
use crate::engine_error::{COLLECTION_UUID_MISMATCH, EngineError, EngineResult};
use bson::raw::{CString, cstr};
use bson::{RawDocumentBuf, rawdoc};
use mongodb::bson::{Document, doc};
use std::time::Duration;
use tenantry_domain::Error;

/// How long the server continues with a read after its deadline, when the caller already has the error.
const SERVER_GRACE: Duration = Duration::from_secs(1);
/// A command on a collection.
pub(crate) struct Command {
    name: &'static str,
    /// The fields after the name of the collection.
    rest: RawDocumentBuf,
    /// If it is to be explained, the most milliseconds for that.
    explained: Option<i64>,
}

/// How much is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount {
    /// The most documents.
    pub(crate) documents: usize,
    /// After this many bytes no other document is read.
    pub(crate) bytes: usize,
}

impl Amount {
    /// No limit.
    pub(crate) const ALL: Self = Self { documents: usize::MAX, bytes: usize::MAX };
}

impl Command {
    pub(crate) fn new(name: &'static str, rest: &Document) -> EngineResult<Self> {
        let rest = RawDocumentBuf::try_from(rest).map_err(Error::internal)?;
        Ok(Self { name, rest, explained: None })
    }

    pub(crate) const fn raw(name: &'static str, rest: RawDocumentBuf) -> Self {
        Self { name, rest, explained: None }
    }

    /// The same command, explained: the server carries it out, and returns how. An explained command has neither a time
    /// limit nor a read concern of its own.
    pub(crate) fn explained(&self, time: Duration) -> Self {
        let mut rest = RawDocumentBuf::new();
        for (name, value) in self.rest.iter().map_while(Result::ok) {
            if !matches!(name.as_str(), "maxTimeMS" | "readConcern") {
                rest.append(name, value);
            }
        }
        Self { name: self.name, rest, explained: Some(millis(time)) }
    }

    /// A command that reads acknowledged data.
    pub(crate) fn reading(name: &'static str, mut rest: Document) -> EngineResult<Self> {
        rest.insert("readConcern", doc! { "level": "majority" });
        Self::new(name, &rest)
    }

    /// An aggregation.
    pub(crate) fn pipeline(stages: &[Document]) -> EngineResult<Self> {
        Self::reading("aggregate", doc! { "pipeline": stages, "cursor": {} })
    }

    /// The command with a time limit on the server. If the caller hangs up or gives up, the server ends the read soon
    /// after.
    pub(crate) fn timed(&self, at: &CollectionLocation, deadline: Duration) -> EngineResult<RawDocumentBuf> {
        let mut command = self.on(at)?;
        if command.get("maxTimeMS").ok().flatten().is_none() {
            let most = i64::from(i32::MAX);
            let millis =
                i64::try_from((deadline + SERVER_GRACE).as_millis()).map_or(most, |time| time.min(most));
            command.append(cstr!("maxTimeMS"), millis);
        }
        Ok(command)
    }

    /// The command on the collection at that location.
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
        let Some(time) = self.explained else { return Ok(command) };
        Ok(rawdoc! { "explain": command, "verbosity": "executionStats", "maxTimeMS": time })
    }
}

/// Whether a write was refused because the collection has moved: the server reports that among the errors of its
/// documents.
pub(super) fn elsewhere(answer: &Document) -> Option<EngineError> {
    let first = answer.get_array("writeErrors").ok()?.first()?.as_document()?;
    let is_elsewhere =
        matches!(first.get_i32("code"), Ok(COLLECTION_UUID_MISMATCH)) && matches!(answer.get_i32("n"), Ok(0));
    is_elsewhere
        .then(|| EngineError::Elsewhere { actual: first.get_str("actualCollection").ok().map(str::to_owned) })
}

/// A time as MongoDB takes it, where 0 would mean no limit.
pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).clamp(1, i64::from(i32::MAX))
}
