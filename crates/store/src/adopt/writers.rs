//! Whether anybody still writes to the source: by the server's own counters of each collection.

use super::report::AdoptError;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeMap;
use std::time::Duration;
use tenantry_domain::failpoints::point;
use tenantry_store_mongodb::SourceDatabase;

/// Collections that are asked about at the same time.
const AT_ONCE: usize = 8;

/// A collection: database and name.
pub(super) type Namespace = (String, String);

/// How often each collection was written to; `None` if the server does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WriteCounts(BTreeMap<Namespace, Option<i64>>);

impl WriteCounts {
    pub(super) async fn read(source: &SourceDatabase, namespaces: &[Namespace]) -> Result<Self, AdoptError> {
        let counts = stream::iter(namespaces.iter().cloned()).map(|(database, name)| async move {
            let count = source.count_writes(&database, &name).await?;
            Ok::<_, AdoptError>(((database, name), count))
        });
        Ok(Self(counts.buffer_unordered(AT_ONCE).try_collect().await?))
    }

    /// Whether the server counts writes.
    pub(super) fn are_known(&self) -> bool {
        self.0.values().all(Option::is_some)
    }

    /// Refuses if a collection has been written to since.
    pub(super) fn require_same(&self, later: &Self) -> Result<(), AdoptError> {
        match self.0.iter().find(|(namespace, count)| later.0.get(*namespace) != Some(*count)) {
            None => Ok(()),
            Some(((database, name), _)) => {
                Err(AdoptError::StillWriting { what: format!("the collection {database}.{name}") })
            }
        }
    }
}

/// Watches the source for some time; returns the counts.
pub(super) async fn watch(
    source: &SourceDatabase,
    namespaces: &[Namespace],
    time: Duration,
) -> Result<WriteCounts, AdoptError> {
    let before = WriteCounts::read(source, namespaces).await?;
    point("adopt", "watch", "begun");
    tokio::time::sleep(time).await;
    let after = WriteCounts::read(source, namespaces).await?;
    before.require_same(&after)?;
    Ok(after)
}
