//! Checks an array by the keywords about arrays.

use super::canonical;
use super::evaluate::{CheckResult, Evaluation};
use super::evaluated::Evaluated;
use super::keywords::{Arrays, Keywords, NodeId};
use crate::document::{items, size};
use crate::fuel::FIELD;
use bson::{RawArray, RawBsonRef};
use std::collections::HashMap;

impl<'a> Evaluation<'a> {
    pub(super) fn array(
        &mut self,
        keywords: &'a Keywords,
        array: &RawArray,
        is_tracked: bool,
        own: &mut Evaluated,
    ) -> CheckResult {
        let Some(rules) = keywords.array.as_deref() else { return Ok(true) };
        let (mut is_valid, mut count, mut containing) = (true, 0_u64, 0_u64);
        for (place, item) in items(array).enumerate() {
            self.fuel.spend(FIELD + size(item) as u64 / 2)?;
            count += 1;
            if let Some(node) = rules.prefix.get(place).copied().or(rules.items) {
                is_valid &= self.item(node, place, item)?;
                if is_tracked {
                    own.mark(place);
                }
            }
            if let Some(node) = rules.contains
                && self.quietly(node, item, false, &mut Evaluated::default())?
            {
                containing += 1;
                if is_tracked {
                    own.mark(place);
                }
            }
            if self.ends(is_valid) {
                return Ok(false);
            }
        }
        is_valid &= self.bounds(count, rules.min, rules.max, "item")?;
        is_valid &= self.contains(rules, containing)?;
        if rules.is_unique {
            is_valid &= self.unique(array)?;
        }
        if self.ends(is_valid) {
            return Ok(false);
        }
        if let Some(unevaluated) = rules.unevaluated {
            is_valid &= self.unevaluated_items(unevaluated, array, own)?;
        }
        Ok(is_valid)
    }

    fn contains(&mut self, rules: &Arrays, containing: u64) -> CheckResult {
        if rules.contains.is_none() {
            return Ok(true);
        }
        let min = rules.min_contains.unwrap_or(1);
        let mut is_valid = containing >= min || self.refuse(|| {
            format!(
                "Must have at least {min} items that match the schema in `contains`, and has {containing}."
            )
        });
        if let Some(max) = rules.max_contains.filter(|max| containing > *max) {
            is_valid = self.refuse(|| {
                format!(
                    "Must have at most {max} items that match the schema in `contains`, and has {containing}."
                )
            });
        }
        Ok(is_valid)
    }

    /// The pointer of a violation is that of the second of two equal items.
    fn unique(&mut self, array: &RawArray) -> CheckResult {
        let (mut met, mut is_valid) = (HashMap::new(), true);
        for (place, item) in items(array).enumerate() {
            let mut encoded = Vec::new();
            canonical::encode(item, self.fuel, &mut encoded)?;
            self.fuel.spend(encoded.len() as u64)?;
            if let Some(first) = met.insert(encoded, place) {
                is_valid = self.refuse_item(place, || {
                    format!("Is equal to the item {first}; every item must be unique.")
                });
                if self.ends(is_valid) {
                    return Ok(false);
                }
            }
        }
        Ok(is_valid)
    }

    fn unevaluated_items(&mut self, node: NodeId, array: &RawArray, own: &mut Evaluated) -> CheckResult {
        let mut is_valid = true;
        for (place, item) in items(array).enumerate() {
            self.fuel.spend(FIELD + size(item) as u64 / 2)?;
            if !own.has(place) {
                own.mark(place);
                is_valid &= self.further_item(node, place, item)?;
            }
        }
        Ok(is_valid)
    }

    fn further_item(&mut self, node: NodeId, place: usize, item: RawBsonRef<'_>) -> CheckResult {
        if self.is_never(node) {
            return Ok(self.refuse_item(place, || "The schema has no such item.".to_owned()));
        }
        self.item(node, place, item)
    }
}
