//! `$unwind`: a document for each value of an array.
//!
//! # Pitfalls
//! Its path goes through documents only, never through arrays.

use super::build::append;
use super::syntax::Unwind;
use crate::document::{PathPart, field_within, fields, items_within};
use crate::error::Result;
use crate::fuel::{Fuel, Interruption};
use bson::raw::RawBson;
use bson::{RawBsonRef, RawDocument, RawDocumentBuf};
use std::ops::ControlFlow;

/// The next stages.
type NextStages<'a> = dyn FnMut(&RawDocument) -> Result<ControlFlow<()>> + 'a;

impl Unwind {
    /// Hands the documents that are made of `document` to `next`, until it has enough.
    pub fn unwind(
        &self,
        document: &RawDocument,
        fuel: &Fuel<'_>,
        next: &mut NextStages<'_>,
    ) -> Result<ControlFlow<()>> {
        let parts = self.path.parts();
        match value_at(document, parts, fuel)? {
            Some(RawBsonRef::Array(array)) => {
                let mut is_empty = true;
                for (position, item) in items_within(array, fuel).enumerate() {
                    let item = item?;
                    is_empty = false;
                    let index = RawBson::Int64(i64::try_from(position).unwrap_or(i64::MAX));
                    let changed = replaced(document, parts, Some(item), fuel)?;
                    if next(&self.indexed(changed, index))?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                if !is_empty || !self.keeps_empty {
                    return Ok(ControlFlow::Continue(()));
                }
                next(&self.indexed(replaced(document, parts, None, fuel)?, RawBson::Null))
            }
            None | Some(RawBsonRef::Null | RawBsonRef::Undefined) if !self.keeps_empty => {
                Ok(ControlFlow::Continue(()))
            }
            _ if self.index.is_none() => next(document),
            _ => next(&self.indexed(document.to_owned(), RawBson::Null)),
        }
    }

    /// The document with the position in its field.
    fn indexed(&self, document: RawDocumentBuf, index: RawBson) -> RawDocumentBuf {
        let Some(name) = &self.index else { return document };
        let (mut indexed, mut index) = (RawDocumentBuf::new(), Some(index));
        for (own, value) in fields(&document) {
            if *own == **name {
                if let Some(index) = index.take() {
                    append(&mut indexed, name, index.as_raw_bson_ref());
                }
            } else {
                append(&mut indexed, own, value);
            }
        }
        if let Some(index) = index {
            append(&mut indexed, name, index.as_raw_bson_ref());
        }
        indexed
    }
}

/// The value at a path that only goes through documents.
fn value_at<'a>(
    document: &'a RawDocument,
    parts: &[PathPart],
    fuel: &Fuel<'_>,
) -> Result<Option<RawBsonRef<'a>>, Interruption> {
    let Some((part, rest)) = parts.split_first() else { return Ok(None) };
    match field_within(document, &part.name, fuel)? {
        Some(RawBsonRef::Document(inner)) if !rest.is_empty() => value_at(inner, rest, fuel),
        value if rest.is_empty() => Ok(value),
        _ => Ok(None),
    }
}

/// The document with another value at a path that leads to one, or without it.
fn replaced(
    document: &RawDocument,
    parts: &[PathPart],
    new: Option<RawBsonRef<'_>>,
    fuel: &Fuel<'_>,
) -> Result<RawDocumentBuf, Interruption> {
    let mut changed = RawDocumentBuf::new();
    let Some((part, rest)) = parts.split_first() else { return Ok(changed) };
    for (name, value) in fields(document) {
        match value {
            RawBsonRef::Document(inner) if *name == *part.name && !rest.is_empty() => {
                append(&mut changed, name, RawBsonRef::Document(&replaced(inner, rest, new, fuel)?));
            }
            _ if *name == *part.name => {
                if let Some(new) = new {
                    append(&mut changed, name, new);
                }
            }
            _ => append(&mut changed, name, value),
        }
    }
    fuel.spend(changed.as_bytes().len() as u64)?;
    Ok(changed)
}
