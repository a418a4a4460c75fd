//! `$project` and `$addFields`.
//!
//! First the fields that stay, in the order of the document; then the computed ones, in the order of the request. A path
//! goes through every document of every array.
//!
//! # Pitfalls
//! A computed field below a value that is no document replaces that value, also within an array.

use super::build::{append, append_present, check_size};
use super::evaluate::evaluate;
use super::syntax::{ProjectItem, ProjectMode, ProjectNode};
use crate::document::{ID_FIELD, fields, items};
use crate::error::Result;
use crate::fuel::{self, Fuel};
use bson::raw::{RawArrayBuf, RawBson};
use bson::{RawArray, RawBsonRef, RawDocument, RawDocumentBuf};

/// Applies a projection.
pub struct Projector<'a> {
    pub mode: ProjectMode,
    pub root: &'a RawDocument,
    pub at: &'a str,
    pub fuel: &'a Fuel<'a>,
}

impl Projector<'_> {
    /// What is shown of the document.
    pub fn project(&self, node: &ProjectNode) -> Result<RawDocumentBuf> {
        let kept = self.keep(node, self.root, true)?;
        if node.computes { self.compute(node, &kept) } else { Ok(kept) }
    }

    /// The fields that stay.
    fn keep(&self, node: &ProjectNode, document: &RawDocument, is_top: bool) -> Result<RawDocumentBuf> {
        self.fuel.spend(document.as_bytes().len() as u64 / 2)?;
        if self.mode == ProjectMode::Keep {
            return Ok(document.to_owned());
        }
        let mut kept = RawDocumentBuf::new();
        for (name, value) in fields(document) {
            self.fuel.spend(fuel::FIELD)?;
            let stays = match node.item(name) {
                // Its `_id` is shown unless it is excluded, or computed.
                None => self.mode == ProjectMode::Exclude || (is_top && name == ID_FIELD),
                Some(ProjectItem::Include) => true,
                Some(ProjectItem::Exclude | ProjectItem::Compute(_)) => false,
                Some(ProjectItem::Nested(below)) => {
                    append_present(&mut kept, name, self.keep_value(below, value)?);
                    continue;
                }
            };
            if stays {
                append(&mut kept, name, value);
            }
        }
        Ok(kept)
    }

    fn keep_value(&self, node: &ProjectNode, value: RawBsonRef<'_>) -> Result<Option<RawBson>> {
        Ok(match value {
            RawBsonRef::Document(inner) => Some(RawBson::Document(self.keep(node, inner, false)?)),
            RawBsonRef::Array(array) => {
                let mut kept = RawArrayBuf::new();
                for item in items(array) {
                    if let Some(item) = self.keep_value(node, item)? {
                        kept.push(item);
                    }
                }
                Some(RawBson::Array(kept))
            }
            // What is computed below it takes its place.
            other => (self.mode != ProjectMode::Include || node.computes).then(|| other.into()),
        })
    }

    /// Sets the computed fields: existing ones in their places, new ones at the end.
    fn compute(&self, node: &ProjectNode, document: &RawDocument) -> Result<RawDocumentBuf> {
        let mut values: Vec<Option<Option<RawBson>>> = Vec::with_capacity(node.fields.len());
        for (name, item) in &node.fields {
            values.push(match item {
                ProjectItem::Compute(expression) => {
                    Some(evaluate(expression, self.root, self.fuel)?.into_owned())
                }
                ProjectItem::Nested(below) if below.computes => {
                    Some(Some(self.compute_value(below, crate::document::field(document, name))?))
                }
                _ => None,
            });
        }
        let bytes: usize = values
            .iter()
            .flatten()
            .flatten()
            .map(|value| crate::document::size(value.as_raw_bson_ref()))
            .sum();
        check_size(bytes + document.as_bytes().len(), self.at)?;
        self.fuel.spend((bytes + document.as_bytes().len()) as u64 / 2)?;
        let mut computed = RawDocumentBuf::new();
        for (name, value) in fields(document) {
            let place = node.fields.iter().position(|(own, _)| **own == *name);
            match place.and_then(|place| values[place].take()) {
                Some(new) => append_present(&mut computed, name, new),
                None => append(&mut computed, name, value),
            }
        }
        for ((name, _), value) in node.fields.iter().zip(values) {
            append_present(&mut computed, name, value.flatten());
        }
        Ok(computed)
    }

    fn compute_value(&self, node: &ProjectNode, value: Option<RawBsonRef<'_>>) -> Result<RawBson> {
        self.fuel.spend(fuel::VALUE)?;
        Ok(match value {
            Some(RawBsonRef::Document(inner)) => RawBson::Document(self.compute(node, inner)?),
            Some(RawBsonRef::Array(array)) => RawBson::Array(self.compute_items(node, array)?),
            _ => RawBson::Document(self.compute(node, crate::document::empty_document())?),
        })
    }

    fn compute_items(&self, node: &ProjectNode, array: &RawArray) -> Result<RawArrayBuf> {
        let (mut computed, mut bytes) = (RawArrayBuf::new(), 0);
        for item in items(array) {
            let item = self.compute_value(node, Some(item))?;
            bytes += crate::document::size(item.as_raw_bson_ref());
            check_size(bytes, self.at)?;
            computed.push(item);
        }
        Ok(computed)
    }
}

impl ProjectNode {
    fn item(&self, name: &str) -> Option<&ProjectItem> {
        self.fields.iter().find(|(own, _)| **own == *name).map(|(_, item)| item)
    }
}
