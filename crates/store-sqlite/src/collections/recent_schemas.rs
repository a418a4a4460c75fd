//! The schemas of a container's collections in memory, so that a write to a collection costs no read for its schema.
//!
//! # Pitfalls
//! A read may have begun before a change and end after it. So what it has found is kept only if nothing has changed since
//! it began.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tenantry_documents::schema::SchemaDefinition;
use tenantry_domain::collection::CollectionName;

/// See [`self`].
#[derive(Default)]
pub(crate) struct RecentSchemas(Mutex<State>);

#[derive(Default)]
struct State {
    /// How many changes there were.
    changes: u64,
    /// `None` for collections without one.
    schemas: HashMap<CollectionName, Option<Arc<SchemaDefinition>>>,
}

impl RecentSchemas {
    /// The schema of a collection, or else the number that [`Self::insert`] needs, to be taken before it is read.
    pub(super) fn get(&self, name: &CollectionName) -> Result<Option<Arc<SchemaDefinition>>, u64> {
        let state = self.lock();
        state.schemas.get(name).cloned().ok_or(state.changes)
    }

    /// Keeps what was read.
    pub(super) fn insert(&self, name: &CollectionName, schema: Option<Arc<SchemaDefinition>>, changes: u64) {
        let mut state = self.lock();
        if state.changes == changes {
            state.schemas.insert(name.clone(), schema);
        }
    }

    /// Call after a change of schemas or collections, before it is acknowledged.
    pub(super) fn invalidate(&self) {
        let mut state = self.lock();
        state.changes += 1;
        state.schemas.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_schema_read_before_a_change_is_not_kept() {
        let (recent, name) = (RecentSchemas::default(), CollectionName::default());
        let early = recent.get(&name).unwrap_err();
        recent.invalidate();
        recent.insert(&name, None, early);
        let late = recent.get(&name).unwrap_err();
        recent.insert(&name, None, late);
        assert_eq!(recent.get(&name), Ok(None));
        recent.invalidate();
        assert!(recent.get(&name).is_err());
    }
}
