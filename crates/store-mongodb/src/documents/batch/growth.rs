//! How much larger or smaller each step of a batch makes what a quota counts.

use super::commands::BatchCollections;
use crate::collections::index_cache::IndexCache;
use crate::documents::sizes::sizes_of;
use crate::quota::limits::is_limited;
use crate::quota::size::Size;
use tenantry_documents::document::StoredDocument;
use tenantry_domain::error::{Error, ErrorCode, Result};
use tenantry_domain::limits::INDEX_ENTRIES_MAX_BYTES;
use tenantry_domain::quota::Quota;
use tenantry_domain::store::{BatchChange, BatchStep};

/// The growth by each step, in their order.
pub(super) struct BatchGrowth(Vec<Size>);

impl BatchGrowth {
    /// Measures the steps. Refuses a document that would have too many index entries.
    pub(super) async fn of(
        collections: &mut BatchCollections<'_>,
        indexes: &IndexCache,
        steps: &[BatchStep],
    ) -> Result<Self> {
        let mut growth = vec![Size::default(); steps.len()];
        for handle in collections.handles() {
            let own = |(_, step): &(usize, &BatchStep)| step.collection == *handle.name();
            let own: Vec<(usize, &BatchStep)> = steps.iter().enumerate().filter(own).collect();
            let (places, added): (Vec<usize>, Vec<&StoredDocument>) =
                own.iter().filter_map(|(place, step)| Some((*place, after(step)?))).unzip();
            let sizes = sizes_of(handle, indexes, &added).await.map_err(Error::from);
            let sizes = sizes.map_err(|error| match own.first() {
                Some((_, step)) => error.below(&step.pointer()),
                None => error,
            })?;
            for (place, size) in places.into_iter().zip(sizes) {
                growth[place] = size.map_err(|error| error.below(&steps[place].pointer()))?;
            }
            if !is_limited(handle.organization()) {
                continue;
            }
            let (places, removed): (Vec<usize>, Vec<&StoredDocument>) =
                own.iter().filter_map(|(place, step)| Some((*place, before(step)?))).unzip();
            for ((place, size), old) in
                places.into_iter().zip(sizes_of(handle, indexes, &removed).await?).zip(&removed)
            {
                // A document with too many entries was stored before there was a limit.
                let size = size
                    .unwrap_or_else(|_| Size::one(old.bytes()).with_entries(INDEX_ENTRIES_MAX_BYTES as u64));
                growth[place] = growth[place].plus(size.negative());
            }
        }
        Ok(Self(growth))
    }

    /// By how much all is larger at the end.
    pub(super) fn total(&self) -> Size {
        self.0.iter().fold(Size::default(), |sum, step| sum.plus(*step))
    }

    /// By how much it is larger at most, after any of the steps.
    pub(super) fn most(&self) -> Size {
        self.sums().fold(Size::default(), Size::max)
    }

    /// Whether a step adds something.
    pub(super) fn adds(&self) -> bool {
        self.0.iter().any(|step| step.growth() != Size::default())
    }

    /// The refusal of the first step for which there is not enough room.
    pub(super) fn refusal(&self, room: Size, quota: &Quota, steps: &[BatchStep]) -> Error {
        for (sum, step) in self.sums().zip(steps) {
            if let Some(refusal) = room.refuses(sum.growth(), quota) {
                return refusal.below(&step.pointer());
            }
        }
        ErrorCode::QuotaExceeded.into()
    }

    /// By how much it is larger after each step.
    fn sums(&self) -> impl Iterator<Item = Size> {
        self.0.iter().scan(Size::default(), |sum, step| {
            *sum = sum.plus(*step);
            Some(*sum)
        })
    }
}

const fn after(step: &BatchStep) -> Option<&StoredDocument> {
    match &step.change {
        BatchChange::Insert { document: after, .. } | BatchChange::Replace { after, .. } => Some(after),
        BatchChange::Check { .. } | BatchChange::Delete { .. } => None,
    }
}

const fn before(step: &BatchStep) -> Option<&StoredDocument> {
    match &step.change {
        BatchChange::Replace { before, .. } | BatchChange::Delete { before } => Some(before),
        BatchChange::Check { .. } | BatchChange::Insert { .. } => None,
    }
}
