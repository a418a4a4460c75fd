//! Counts what documents take in the indexes of their collection, as every engine does ([`IndexKeys`]).
//!
//! MongoDB keeps the entries; this only counts them, and refuses a document that would have too many. It uses the
//! cached indexes, which are at most some seconds old ([`IndexCache`]): the entries of a new index are counted when
//! it is built, and once more soon after.
//!
//! [`IndexCache`]: crate::collections::index_cache::IndexCache

use crate::engine_error::EngineResult;
use bson::raw::{CString, RawBson};
use bson::{RawDocument, RawDocumentBuf};
use mongodb::bson::{Document, doc};
use std::collections::BTreeSet;
use std::sync::Arc;
use tenantry_documents::document::order::Direction;
use tenantry_documents::document::{EntryBudget, ID_FIELD, IndexKeys, IndexKeysError, KeyFormat, key};
use tenantry_documents::fuel::{Fuel, Interruption};
use tenantry_documents::index::Index;
use tenantry_domain::error::{Error, Result};
use tenantry_domain::limits::{INDEX_ENTRIES_MAX_BYTES, INLINE_MAX_STEPS};

/// Up to this many bytes of documents, times the number of indexes, are counted on an async thread.
const INLINE_BYTES: usize = 32 << 10;

/// Counts entries by the indexes of a collection.
#[derive(Clone)]
pub(crate) struct EntryCounter {
    indexes: Arc<[Index]>,
}

impl EntryCounter {
    pub(crate) const fn new(indexes: Arc<[Index]>) -> Self {
        Self { indexes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.indexes.is_empty()
    }

    /// Bytes of the entries of a document, which has its `_id`. A document that cannot be indexed is left to MongoDB
    /// to refuse: the index may have been dropped meanwhile.
    fn count(&self, body: &RawDocument, fuel: &Fuel<'_>) -> Result<u64, IndexKeysError> {
        let id = body.get(ID_FIELD).ok().flatten();
        let id_bytes = id.map_or(0, |id| key::encode(&[(id, Direction::Ascending)]).len());
        let (mut budget, mut bytes) = (EntryBudget::of_document(), 0);
        for index in &*self.indexes {
            match IndexKeys::of(index, KeyFormat::Whole, body, &mut budget, fuel) {
                Ok(keys) => bytes += keys.bytes(id_bytes),
                Err(IndexKeysError::NotIndexable(_)) => {}
                Err(beyond) => return Err(beyond),
            }
        }
        Ok(bytes)
    }

    /// Counts many documents on this thread; `None` if that costs more than their bytes suggest.
    fn count_inline(&self, bodies: &[&RawDocument]) -> Option<Vec<Result<u64, IndexKeysError>>> {
        let fuel = Fuel::unlimited().up_to(INLINE_MAX_STEPS);
        let count = |body: &&RawDocument| match self.count(body, &fuel) {
            Err(IndexKeysError::Stopped(Interruption::BudgetSpent)) => None,
            counted => Some(counted),
        };
        bodies.iter().map(count).collect()
    }

    /// Counts many documents, on a blocking thread if that may take long.
    pub(crate) async fn count_all(
        &self,
        bodies: Vec<&RawDocument>,
    ) -> Result<Vec<Result<u64, IndexKeysError>>> {
        let bytes: usize = bodies.iter().map(|body| body.as_bytes().len()).sum();
        if bytes * self.indexes.len() <= INLINE_BYTES
            && let Some(counts) = self.count_inline(&bodies)
        {
            return Ok(counts);
        }
        let bodies: Vec<RawDocumentBuf> = bodies.into_iter().map(ToOwned::to_owned).collect();
        let counter = self.clone();
        let counting = tokio::task::spawn_blocking(move || {
            bodies.iter().map(|body| counter.count(body, &Fuel::for_document())).collect()
        });
        counting.await.map_err(|_| Error::unavailable("the runtime is shutting down"))
    }

    /// The top-level fields that the indexes use.
    fn fields(&self) -> BTreeSet<&str> {
        let paths = self.indexes.iter().flat_map(|index| &index.keys);
        let first = paths.filter_map(|key| key.path.as_str().split('.').next());
        let filters = self.indexes.iter().filter_map(|index| index.coverage.filter());
        let deciding = filters.flat_map(|partial| partial.filter().heads());
        first.chain(deciding).filter(|field| *field != ID_FIELD).collect()
    }

    /// The expression that reduces a document `root` to what is counted: a list, in which field names cannot
    /// conflict. Each field is a list there, too, which is empty if the field is missing.
    pub(crate) fn projection(&self, root: &str) -> Vec<Document> {
        let field = |name: &str| {
            let value = doc! { "$getField": { "field": { "$literal": name }, "input": root } };
            doc! { "$cond": [{ "$eq": [{ "$type": &value }, "missing"] }, [], [value]] }
        };
        std::iter::once(ID_FIELD).chain(self.fields()).map(field).collect()
    }

    /// Rebuilds the counted part of a document from such a list.
    pub(crate) fn rebuild(&self, list: &RawDocument) -> EngineResult<RawDocumentBuf> {
        let names = std::iter::once(ID_FIELD).chain(self.fields());
        let mut body = RawDocumentBuf::new();
        for (name, value) in names.zip(list.iter().map_while(std::result::Result::ok)) {
            let value = value.1.as_array().and_then(|field| field.into_iter().next());
            if let Some(value) = value.transpose().map_err(Error::internal)? {
                let name = CString::try_from(name).map_err(Error::internal)?;
                body.append(name, RawBson::from(value));
            }
        }
        Ok(body)
    }
}

/// Sums up the entries of documents as [`EntryCounter::projection`] reduces them, in the field `list`.
pub(crate) struct EntrySum {
    pub(crate) counter: EntryCounter,
    /// The pointer at which a document with too many entries is refused. If `None`, it counts for the maximum
    /// instead: it was stored before there was a limit.
    pub(crate) refused_at: Option<&'static str>,
}

impl EntrySum {
    pub(crate) async fn of(&self, page: Vec<RawDocumentBuf>) -> EngineResult<u64> {
        let rebuild = |found: &RawDocumentBuf| {
            let list = found.get_array("list").map_err(Error::internal)?;
            self.counter.rebuild(RawDocument::from_bytes(list.as_bytes()).map_err(Error::internal)?)
        };
        let bodies = page.iter().map(rebuild).collect::<EngineResult<Vec<_>>>()?;
        let mut sum = 0;
        for entries in self.counter.count_all(bodies.iter().map(|body| &**body).collect()).await? {
            sum += match (entries, self.refused_at) {
                (Ok(bytes), _) => bytes,
                (Err(why), Some(pointer)) => return Err(beyond(pointer, &why).into()),
                (Err(_), None) => INDEX_ENTRIES_MAX_BYTES as u64,
            };
        }
        Ok(sum)
    }
}

/// The error for a document that has too many entries, at `pointer`.
pub(crate) fn beyond(pointer: &str, why: &IndexKeysError) -> Error {
    Error::invalid_field(pointer, why.to_string())
}
