//! Updates: a safe part of MongoDB's update language, with MongoDB's meaning.
//!
//! An update is parsed by allow-list: an unknown operator is refused, and so is what MongoDB would do differently. No
//! database executes it: both engines store what [`Update::apply`] returns, so that they do the same.
//!
//! # Pitfalls
//! MongoDB decides what an update means: a rule that looks odd here is odd there. The differential test compares both on
//! random documents.

mod apply;
mod arrays;
mod leaf;
mod operands;
mod operator;
mod parse;
mod paths;
mod syntax;
#[cfg(test)]
mod tests;
mod tree;
mod upsert;
mod values;

use crate::document::{DocumentId, ID_FIELD, encode, levels};
use crate::error::{Error, Result};
use crate::filter::FilterPrice;
use crate::limits::{DOCUMENT_MAX_LEVELS, INLINE_MAX_BYTES};
use apply::Applier;
use bson::{Bson, Document, RawDocument, RawDocumentBuf, Timestamp};
pub use syntax::{Update, UpdateContext, UpdatePointers};
pub use upsert::UpsertFields;

/// Paths of an update that is applied to a small document in some microseconds.
const SHORT_PATHS: usize = 64;

impl Update {
    /// Reads the operators, and the filters of arrays, from Extended JSON.
    ///
    /// # Errors
    /// `invalid_input` with every bad field.
    pub fn parse(update: &str, array_filters: Option<&str>, at: UpdatePointers<'_>) -> Result<Self> {
        parse::parse(update, array_filters, at)
    }

    /// Its bytes as JSON: applying it takes time in proportion to these and the document's, if it [`Self::is_short`].
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What its filters of arrays and of `$pull` cost.
    #[must_use]
    pub const fn price(&self) -> FilterPrice {
        self.price
    }

    /// Whether applying it to a small document takes no longer than handing it to another thread.
    #[must_use]
    pub const fn is_short(&self) -> bool {
        self.paths <= SHORT_PATHS && self.bytes <= INLINE_MAX_BYTES && self.price.is_short()
    }

    /// Whether it needs the position in an array that the filter has matched.
    #[must_use]
    pub const fn needs_position(&self) -> bool {
        self.needs_position
    }

    /// The document after the update; `None` if it stays the same.
    ///
    /// # Errors
    /// `invalid_input` if the update cannot be applied to the document, with the pointer of the path; `query_too_slow`.
    pub fn apply(
        &self,
        document: &RawDocument,
        context: UpdateContext<'_>,
    ) -> Result<Option<RawDocumentBuf>> {
        context.fuel.begin_document(document.as_bytes().len() as u64)?;
        let current = Document::try_from(document).map_err(Error::internal)?;
        let id = current.get(ID_FIELD).cloned();
        let changed = Applier::new(self, context, false).run(current)?;
        if let Some(pointer) = &self.id_pointer
            && !is_same(changed.get(ID_FIELD), id.as_ref())
        {
            return Err(Error::invalid_field(&**pointer, "The `_id` of a document cannot change."));
        }
        let next = self.encode(&changed, context.max_bytes)?;
        Ok((next.as_bytes() != document.as_bytes()).then_some(next))
    }

    /// The document that an upsert inserts: with the `_id` that `fields` or the update give it, else with `id`.
    ///
    /// # Errors
    /// As [`Self::apply`]; `invalid_input` for an `_id` that cannot be one.
    pub fn insert(
        &self,
        fields: UpsertFields,
        id: impl FnOnce() -> DocumentId,
        context: UpdateContext<'_>,
    ) -> Result<RawDocumentBuf> {
        let (fields, at) = fields.into_document();
        context.fuel.begin_document(0)?;
        let own = fields.get(ID_FIELD).cloned();
        let mut made = Applier::new(self, context, true).run(fields)?;
        let pointer = self.id_pointer.as_deref().unwrap_or(&at);
        if own.is_some() && !is_same(made.get(ID_FIELD), own.as_ref()) {
            return Err(Error::invalid_field(pointer, "The `_id` must stay the one of the filter."));
        }
        let id = match made.remove(ID_FIELD) {
            Some(value) => {
                let checked = DocumentId::new(&value);
                checked.map_err(|detail| Error::invalid_field(pointer, detail))?;
                value
            }
            None => id().to_bson(),
        };
        let mut document = Document::new();
        document.insert(ID_FIELD, id);
        document.extend(made);
        self.encode(&document, context.max_bytes)
    }

    fn encode(&self, document: &Document, max_bytes: usize) -> Result<RawDocumentBuf> {
        if levels(document) > DOCUMENT_MAX_LEVELS {
            let detail = format!("The document would be more than {DOCUMENT_MAX_LEVELS} levels deep.");
            return Err(Error::invalid_field(&*self.pointer, detail));
        }
        // MongoDB puts its own time in its place when the document is written.
        if document.values().any(|value| *value == Bson::Timestamp(Timestamp { time: 0, increment: 0 })) {
            let detail = "The document would have the timestamp 0 at its top, which MongoDB does not store.";
            return Err(Error::invalid_field(&*self.pointer, detail));
        }
        encode(document, max_bytes).map_err(|error| match error.fields().first() {
            Some(field) => {
                Error::invalid_field(&*self.pointer, format!("The document {}", lower(&field.detail)))
            }
            None => error,
        })
    }
}

/// `sentence` without the capital at its beginning.
fn lower(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Whether both are the same bytes: `5` and `5.0` are not.
fn is_same(a: Option<&Bson>, b: Option<&Bson>) -> bool {
    let bytes = |value: &Bson| {
        let mut holder = Document::new();
        holder.insert("", value.clone());
        RawDocumentBuf::try_from(&holder).map(RawDocumentBuf::into_bytes).unwrap_or_default()
    };
    match (a, b) {
        (Some(a), Some(b)) => bytes(a) == bytes(b),
        (a, b) => a.is_none() && b.is_none(),
    }
}
