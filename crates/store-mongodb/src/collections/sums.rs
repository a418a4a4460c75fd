//! Sums over the documents of a collection.

use super::command::{Amount, Command};
use super::handle::CollectionHandle;
use crate::documents::layout::count_in;
use crate::engine_error::EngineResult;
use crate::quota::size::Size;
use bson::{RawDocument, RawDocumentBuf};
use mongodb::bson::Document;
use std::time::Duration;

/// How long a scan of all documents of a collection may take.
pub(crate) const SCAN_TIMEOUT: Duration = Duration::from_secs(3600);

/// The result of a pipeline that sums up.
pub(crate) async fn sums(
    handle: &mut CollectionHandle<'_>,
    stages: &[Document],
) -> EngineResult<Vec<RawDocumentBuf>> {
    let command = Command::pipeline(stages)?;
    let read = |sum: &RawDocument| Ok(sum.to_owned());
    Ok(handle.read(&command, Amount::ALL, SCAN_TIMEOUT, read).await?.0)
}

/// The fields `documents` and `bytes` of a sum.
pub(crate) fn size_in(sum: &RawDocument) -> Size {
    let signed = |field| i64::try_from(count_in(sum, field)).unwrap_or(i64::MAX);
    Size { documents: signed("documents"), bytes: signed("bytes"), index_bytes: 0 }
}
