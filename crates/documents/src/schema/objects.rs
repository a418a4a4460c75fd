//! Checks an object by the keywords about objects.

use super::evaluate::{CheckResult, Evaluation};
use super::evaluated::Evaluated;
use super::keywords::{Keywords, NodeId, Objects};
use crate::document::{RESERVED_FIELD, fields, size};
use crate::fuel::FIELD;
use bson::{RawBsonRef, RawDocument};

impl<'a> Evaluation<'a> {
    pub(super) fn object(
        &mut self,
        keywords: &'a Keywords,
        document: &RawDocument,
        value: RawBsonRef<'_>,
        is_tracked: bool,
        own: &mut Evaluated,
    ) -> CheckResult {
        let Some(object) = keywords.object.as_deref() else { return Ok(true) };
        let mut present = vec![false; object.watched.len()];
        let (mut is_valid, mut members) = (true, 0);
        for (place, (name, member)) in self.members(document).enumerate() {
            self.fuel.spend(FIELD + (size(member) as u64 + name.len() as u64) / 2)?;
            members += 1;
            if let Some(watched) = object.watched.get(name) {
                present[*watched] = true;
            }
            is_valid &= self.one_member(object, place, name, member, is_tracked, own)?;
            if self.ends(is_valid) {
                return Ok(false);
            }
        }
        is_valid &= self.bounds(members, object.min, object.max, "field")?;
        let has = |name: &str| object.watched.get(name).is_some_and(|watched| present[*watched]);
        self.fuel.spend(FIELD * object.required.len() as u64)?;
        for name in object.required.iter().filter(|name| !has(name)) {
            is_valid = self.refuse_member(name, || "Is required.".to_owned());
        }
        for (name, others) in object.dependent_required.iter().filter(|(name, _)| has(name)) {
            self.fuel.spend(FIELD * others.len() as u64)?;
            for other in others.iter().filter(|other| !has(other)) {
                is_valid = self.refuse_member(other, || format!("Is required where there is `{name}`."));
            }
        }
        for (_, node) in object.dependent_schemas.iter().filter(|(name, _)| has(name)) {
            is_valid &= self.within(*node, value, is_tracked, own)?;
        }
        if self.ends(is_valid) {
            return Ok(false);
        }
        if let Some(unevaluated) = object.unevaluated {
            is_valid &= self.unevaluated_members(unevaluated, document, own)?;
        }
        Ok(is_valid)
    }

    /// The members of an object; of the document itself, without what the service keeps in it.
    fn members<'b>(
        &self,
        document: &'b RawDocument,
    ) -> impl Iterator<Item = (&'b str, RawBsonRef<'b>)> + use<'b> {
        let is_top = self.is_at_top();
        fields(document).filter(move |(name, _)| !is_top || *name != RESERVED_FIELD)
    }

    fn one_member(
        &mut self,
        object: &'a Objects,
        place: usize,
        name: &str,
        member: RawBsonRef<'_>,
        is_tracked: bool,
        own: &mut Evaluated,
    ) -> CheckResult {
        let (mut is_valid, mut is_known) = (true, false);
        if let Some(names) = object.names {
            is_valid &= self.name(names, name)?;
        }
        if let Some(node) = object.properties.get(name) {
            is_known = true;
            is_valid &= self.member(*node, name, member)?;
        }
        for (pattern, node) in &object.patterns {
            if pattern.is_match(name, self.fuel)? {
                is_known = true;
                is_valid &= self.member(*node, name, member)?;
            }
        }
        if !is_known && let Some(additional) = object.additional {
            is_known = true;
            is_valid &= self.further_member(additional, name, member)?;
        }
        if is_tracked && is_known {
            own.mark(place);
        }
        Ok(is_valid)
    }

    /// A member that no other keyword knows.
    fn further_member(&mut self, node: NodeId, name: &str, member: RawBsonRef<'_>) -> CheckResult {
        if self.is_never(node) {
            return Ok(self.refuse_member(name, || "The schema has no such field.".to_owned()));
        }
        self.member(node, name, member)
    }

    /// A name is a value of its own; what is wrong with it is said of the member.
    fn name(&mut self, node: NodeId, name: &str) -> CheckResult {
        let is_valid = self.quietly(node, RawBsonRef::String(name), false, &mut Evaluated::default())?;
        Ok(is_valid
            || self
                .refuse_member(name, || "Its name does not match the schema in `propertyNames`.".to_owned()))
    }

    fn unevaluated_members(
        &mut self,
        node: NodeId,
        document: &RawDocument,
        own: &mut Evaluated,
    ) -> CheckResult {
        let mut is_valid = true;
        for (place, (name, member)) in self.members(document).enumerate() {
            self.fuel.spend(FIELD + (size(member) as u64) / 2)?;
            if !own.has(place) {
                own.mark(place);
                is_valid &= self.further_member(node, name, member)?;
            }
        }
        Ok(is_valid)
    }
}
