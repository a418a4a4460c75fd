//! Sums over the documents of a collection, looked at one by one.

use super::command::{Amount, Command};
use super::handle::CollectionHandle;
use crate::documents::layout::count_in;
use crate::engine_error::EngineResult;
use crate::quota::size::Size;
use bson::{RawDocument, RawDocumentBuf};
use mongodb::bson::Document;
use std::time::Duration;

/// How long it may take to look at every document of a collection.
pub(crate) const COUNTING: Duration = Duration::from_secs(3600);

/// What comes out of a pipeline that sums up.
pub(crate) async fn sums(
    handle: &mut CollectionHandle<'_>,
    stages: &[Document],
) -> EngineResult<Vec<RawDocumentBuf>> {
    let command = Command::pipeline(stages)?;
    let read = |sum: &RawDocument| Ok(sum.to_owned());
    Ok(handle.read(&command, Amount::ALL, COUNTING, read).await?.0)
}

/// Its fields `documents` and `bytes`.
pub(crate) fn size_in(sum: &RawDocument) -> Size {
    let signed = |field| i64::try_from(count_in(sum, field)).unwrap_or(i64::MAX);
    Size { documents: signed("documents"), bytes: signed("bytes"), index_bytes: 0 }
}
