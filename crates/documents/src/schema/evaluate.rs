//! Checks a value by a subschema.
//!
//! A check says all that is wrong, unless it is quiet: within `anyOf`, `oneOf`, `not`, `if` and `contains` only whether
//! anything is wrong matters, and the first violation ends it.

use super::canonical;
use super::compiled::{EvaluationError, Schema};
use super::evaluated::Evaluated;
use super::instance::{Shape, extended};
use super::keywords::{Composition, Keywords, Node, NodeId, Texts, Values};
use super::multiple::is_multiple;
use super::number::Number;
use super::violations::Violations;
use crate::document::{FieldErrors, size};
use crate::fuel::{Fuel, VALUE};
use crate::limits::SCHEMA_MAX_EVALUATION_LEVELS;
use bson::{RawBsonRef, RawDocument};

/// The cost of visiting a subschema.
const NODE: u64 = 40;

impl Schema {
    /// Everything that is wrong with a document.
    ///
    /// # Errors
    /// The check has to stop before its end.
    pub fn check(&self, document: &RawDocument, fuel: &Fuel<'_>) -> Result<Violations, EvaluationError> {
        let mut evaluation = Evaluation {
            schema: self,
            fuel,
            position: FieldErrors::new(""),
            violations: Violations::default(),
            is_quiet: false,
            levels: 0,
            depth: 0,
        };
        evaluation.evaluate(0, RawBsonRef::Document(document), None)?;
        Ok(evaluation.violations)
    }
}

/// A check while it runs.
pub(super) struct Evaluation<'a> {
    schema: &'a Schema,
    pub(super) fuel: &'a Fuel<'a>,
    /// Its pointer alone is used.
    position: FieldErrors,
    violations: Violations,
    is_quiet: bool,
    /// Subschemas that are being evaluated within one another.
    levels: usize,
    /// How deep the value is in the document; 0 for the document itself.
    depth: usize,
}

/// Whether a value is valid.
pub(super) type CheckResult = Result<bool, EvaluationError>;

impl<'a> Evaluation<'a> {
    /// Checks a value; notes in `evaluated` which of its members and items the subschema looks at.
    pub(super) fn evaluate(
        &mut self,
        node: NodeId,
        value: RawBsonRef<'_>,
        evaluated: Option<&mut Evaluated>,
    ) -> CheckResult {
        self.fuel.spend(NODE)?;
        let schema = self.schema;
        match schema.nodes.get(node) {
            Some(Node::Always) => Ok(true),
            Some(Node::Keywords(keywords)) => {
                self.levels += 1;
                if self.levels > SCHEMA_MAX_EVALUATION_LEVELS {
                    return Err(EvaluationError::TooDeep);
                }
                let is_valid = self.apply(keywords, value, evaluated)?;
                self.levels -= 1;
                Ok(is_valid)
            }
            Some(Node::Never) | None => Ok(self.refuse(|| "The schema allows no value here.".to_owned())),
        }
    }

    /// What applies to the value itself, and then what looks at its parts.
    fn apply(
        &mut self,
        keywords: &'a Keywords,
        value: RawBsonRef<'_>,
        evaluated: Option<&mut Evaluated>,
    ) -> CheckResult {
        let mut is_valid = self.of_any_type(keywords, value)?;
        if self.ends(is_valid) {
            return Ok(false);
        }
        let mut own = Evaluated::default();
        let is_tracked = evaluated.is_some() || keywords.has_unevaluated();
        for node in &keywords.references {
            is_valid &= self.within(*node, value, is_tracked, &mut own)?;
            if self.ends(is_valid) {
                return Ok(false);
            }
        }
        if let Some(composition) = &keywords.composition {
            is_valid &= self.compose(composition, value, is_tracked, &mut own)?;
            if self.ends(is_valid) {
                return Ok(false);
            }
        }
        is_valid &= match Shape::of(value) {
            Shape::Object(document) => self.object(keywords, document, value, is_tracked, &mut own)?,
            Shape::Special if keywords.object.is_some() => {
                let object = extended(value, self.fuel)?;
                self.object(keywords, &object, RawBsonRef::Document(&object), is_tracked, &mut own)?
            }
            Shape::Array(array) => self.array(keywords, array, is_tracked, &mut own)?,
            _ => true,
        };
        if let Some(evaluated) = evaluated {
            self.fuel.spend(own.places())?;
            evaluated.merge(&own);
        }
        Ok(is_valid)
    }

    /// Checks the same value by another subschema, and adds what it evaluates if the value is valid.
    pub(super) fn within(
        &mut self,
        node: NodeId,
        value: RawBsonRef<'_>,
        is_tracked: bool,
        own: &mut Evaluated,
    ) -> CheckResult {
        if !is_tracked {
            return self.evaluate(node, value, None);
        }
        let mut theirs = Evaluated::default();
        let is_valid = self.evaluate(node, value, Some(&mut theirs))?;
        if is_valid {
            self.fuel.spend(theirs.places())?;
            own.merge(&theirs);
        }
        Ok(is_valid)
    }

    /// The same, and says nothing of what is wrong.
    pub(super) fn quietly(
        &mut self,
        node: NodeId,
        value: RawBsonRef<'_>,
        is_tracked: bool,
        own: &mut Evaluated,
    ) -> CheckResult {
        let was_quiet = std::mem::replace(&mut self.is_quiet, true);
        let is_valid = self.within(node, value, is_tracked, own);
        self.is_quiet = was_quiet;
        is_valid
    }

    /// Whether nothing more can change the result.
    pub(super) const fn ends(&self, is_valid: bool) -> bool {
        self.is_quiet && !is_valid
    }

    /// Notes that the value at the current position is wrong; `false`.
    pub(super) fn refuse(&mut self, sentence: impl FnOnce() -> String) -> bool {
        if !self.is_quiet {
            self.violations.add(self.position.pointer(), sentence());
        }
        false
    }

    /// The same of a member of the value.
    pub(super) fn refuse_member(&mut self, name: &str, sentence: impl FnOnce() -> String) -> bool {
        let length = self.position.push(name);
        let is_valid = self.refuse(sentence);
        self.position.pop(length);
        is_valid
    }

    /// The same of an item of the value.
    pub(super) fn refuse_item(&mut self, place: usize, sentence: impl FnOnce() -> String) -> bool {
        let length = self.position.push_index(place);
        let is_valid = self.refuse(sentence);
        self.position.pop(length);
        is_valid
    }

    /// Checks a member of the value.
    pub(super) fn member(&mut self, node: NodeId, name: &str, value: RawBsonRef<'_>) -> CheckResult {
        let length = self.position.push(name);
        self.part(node, value, length)
    }

    /// Checks an item of the value.
    pub(super) fn item(&mut self, node: NodeId, place: usize, value: RawBsonRef<'_>) -> CheckResult {
        let length = self.position.push_index(place);
        self.part(node, value, length)
    }

    fn part(&mut self, node: NodeId, value: RawBsonRef<'_>, length: usize) -> CheckResult {
        self.depth += 1;
        let is_valid = self.evaluate(node, value, None)?;
        self.depth -= 1;
        self.position.pop(length);
        Ok(is_valid)
    }

    /// Whether the value is the document itself.
    pub(super) const fn is_at_top(&self) -> bool {
        self.depth == 0
    }

    /// Whether a subschema allows nothing at all.
    pub(super) fn is_never(&self, node: NodeId) -> bool {
        matches!(self.schema.nodes.get(node), Some(Node::Never))
    }

    fn of_any_type(&mut self, keywords: &'a Keywords, value: RawBsonRef<'_>) -> CheckResult {
        let mut is_valid = true;
        if let Some(types) = keywords.types
            && !types.allow(value)
        {
            is_valid = self.refuse(|| types.sentence());
            if self.is_quiet {
                return Ok(false);
            }
        }
        for values in keywords.one_of_values.iter().chain(&keywords.constant) {
            is_valid &= self.is_one_of(values, value)?;
        }
        match Shape::of(value) {
            Shape::Number(number) => {
                self.fuel.spend(VALUE * keywords.number.bounds.len() as u64)?;
                for bound in &keywords.number.bounds {
                    is_valid &= bound.allows(number) || self.refuse(|| bound.sentence());
                }
                if let Some(unit) = keywords.number.multiple_of {
                    is_valid &= self.is_multiple(number, unit)?;
                }
            }
            Shape::Text(text) => is_valid &= self.text(&keywords.text, text)?,
            _ => {}
        }
        Ok(is_valid)
    }

    fn is_one_of(&mut self, values: &Values, value: RawBsonRef<'_>) -> CheckResult {
        // A larger value is none of them, and need not be copied: an item of an array takes up to 8 bytes of BSON for each
        // byte of its encoded form.
        let is_candidate = size(value) <= 16 + 8 * values.longest;
        let mut encoded = Vec::new();
        if is_candidate {
            canonical::encode(value, self.fuel, &mut encoded)?;
        }
        Ok((is_candidate && values.encoded.contains(&encoded)) || self.refuse(|| values.sentence.clone()))
    }

    fn is_multiple(&mut self, number: Number, unit: Number) -> CheckResult {
        self.fuel.spend(20 * VALUE)?;
        Ok(is_multiple(number, unit) || self.refuse(|| format!("Must be a multiple of {unit}.")))
    }

    pub(super) fn text(&mut self, keywords: &'a Texts, text: &str) -> CheckResult {
        let mut is_valid = true;
        if keywords.min.is_some() || keywords.max.is_some() {
            self.fuel.spend(text.len() as u64)?;
            let characters = text.chars().count() as u64;
            is_valid &= self.bounds(characters, keywords.min, keywords.max, "character")?;
        }
        if let Some(pattern) = &keywords.pattern
            && !pattern.is_match(text, self.fuel)?
        {
            is_valid = self.refuse(|| format!("Must match the pattern `{}`.", pattern.text()));
        }
        Ok(is_valid)
    }

    /// Checks how many of something there are.
    pub(super) fn bounds(
        &mut self,
        count: u64,
        min: Option<u64>,
        max: Option<u64>,
        what: &str,
    ) -> CheckResult {
        let plural = |number: u64| if number == 1 { "" } else { "s" };
        let mut is_valid = true;
        if let Some(min) = min.filter(|min| count < *min) {
            is_valid = self.refuse(|| format!("Must have at least {min} {what}{}.", plural(min)));
        }
        if let Some(max) = max.filter(|max| count > *max) {
            is_valid = self.refuse(|| format!("Must have at most {max} {what}{}.", plural(max)));
        }
        Ok(is_valid)
    }

    fn compose(
        &mut self,
        composition: &'a Composition,
        value: RawBsonRef<'_>,
        is_tracked: bool,
        own: &mut Evaluated,
    ) -> CheckResult {
        let mut is_valid = true;
        for node in &composition.all_of {
            is_valid &= self.within(*node, value, is_tracked, own)?;
            if self.ends(is_valid) {
                return Ok(false);
            }
        }
        if !composition.any_of.is_empty() {
            is_valid &= self.any_of(&composition.any_of, value, is_tracked, own)?;
        }
        if !composition.one_of.is_empty() {
            is_valid &= self.one_of(&composition.one_of, value, is_tracked, own)?;
        }
        if let Some(not) = composition.not
            && self.quietly(not, value, false, own)?
        {
            is_valid = self.refuse(|| "Must not match the schema in `not`.".to_owned());
        }
        if let Some(condition) = composition.condition {
            let then = self.quietly(condition, value, is_tracked, own)?;
            let branch = if then { composition.consequence } else { composition.alternative };
            if let Some(branch) = branch {
                is_valid &= self.within(branch, value, is_tracked, own)?;
            }
        }
        Ok(is_valid)
    }

    fn any_of(
        &mut self,
        nodes: &[NodeId],
        value: RawBsonRef<'_>,
        is_tracked: bool,
        own: &mut Evaluated,
    ) -> CheckResult {
        let mut is_any = false;
        for node in nodes {
            is_any |= self.quietly(*node, value, is_tracked, own)?;
            // All that match count as having evaluated something.
            if is_any && !is_tracked {
                return Ok(true);
            }
        }
        Ok(is_any
            || self.refuse(|| {
                format!("Must match one of the {} schemas in `anyOf`, and matches none.", nodes.len())
            }))
    }

    fn one_of(
        &mut self,
        nodes: &[NodeId],
        value: RawBsonRef<'_>,
        is_tracked: bool,
        own: &mut Evaluated,
    ) -> CheckResult {
        let mut matching = 0;
        for node in nodes {
            matching += usize::from(self.quietly(*node, value, is_tracked, own)?);
        }
        let number = nodes.len();
        Ok(matching == 1
            || self.refuse(|| {
                format!("Must match exactly one of the {number} schemas in `oneOf`, and matches {matching}.")
            }))
    }
}
