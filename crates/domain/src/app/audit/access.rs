//! The right to a trail, and to those that an import has brought along with it.

use crate::audit::carried::CarriedTrail;
use crate::audit::{AuditChain, AuditEntry};
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// Proof of a right to one trail, and to those that an import has brought along.
#[derive(Debug, Clone)]
pub struct AuditAccess {
    /// Where the entries are kept.
    chain: AuditChain,
    carried: Vec<CarriedTrail>,
}

impl AuditAccess {
    pub(super) const fn new(chain: AuditChain, carried: Vec<CarriedTrail>) -> Self {
        Self { chain, carried }
    }

    /// The trail, as it is kept.
    #[must_use]
    pub const fn chain(&self) -> AuditChain {
        self.chain
    }

    /// The right to one of the carried trails alone.
    ///
    /// # Errors
    /// `invalid_input` at `?trail` for one that this organization does not have.
    pub fn carried(&self, kept_as: AuditChain) -> Result<Self> {
        if self.carried.iter().any(|trail| trail.kept_as == kept_as) {
            return Ok(Self { chain: kept_as, carried: self.carried.clone() });
        }
        let rule =
            "The organization has no such trail: the event `organization.imported` names those that it has.";
        Err(Error::invalid_field("?trail", rule))
    }

    /// All chains, as they are kept.
    pub(super) fn chains(&self) -> impl Iterator<Item = AuditChain> {
        std::iter::once(self.chain).chain(self.carried.iter().map(|trail| trail.kept_as))
    }

    /// An entry as it is shown.
    pub(super) fn shown(&self, entry: AuditEntry) -> AuditEntry {
        match self.carried.iter().find(|trail| trail.kept_as == entry.chain) {
            Some(trail) => AuditEntry { chain: trail.chain, ..entry },
            None => entry,
        }
    }

    /// The newest `limit` entries of pages of each chain. An event that was purged here and came back with an archive is
    /// in two of them: the one with its text is shown.
    pub(super) fn merged(&self, pages: Vec<Vec<AuditEntry>>, limit: usize) -> Vec<AuditEntry> {
        let mut by_id: BTreeMap<_, AuditEntry> = BTreeMap::new();
        for entry in pages.into_iter().flatten() {
            let is_better = by_id.get(&entry.id).is_none_or(|other| other.text.is_none());
            if is_better {
                by_id.insert(entry.id, self.shown(entry));
            }
        }
        by_id.into_values().rev().take(limit).collect()
    }
}
