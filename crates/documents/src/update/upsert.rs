//! The fields that an upsert takes from its filter: those for which the filter demands one value.

use crate::document::{DocumentId, ID_FIELD};
use crate::error::{Error, Result};
use crate::filter::Filter;
use bson::{Bson, Document};
use std::collections::BTreeMap;

/// What the document of an upsert begins with.
#[derive(Debug, Clone)]
pub struct UpsertFields {
    document: Document,
    /// The JSON pointer of the filter, or the empty text.
    pointer: Box<str>,
}

impl UpsertFields {
    /// The `_id` alone.
    #[must_use]
    pub fn of_id(id: &DocumentId) -> Self {
        let mut document = Document::new();
        document.insert(ID_FIELD, id.to_bson());
        Self { document, pointer: "".into() }
    }

    /// The values that `filter`, which is at that pointer, demands.
    ///
    /// # Errors
    /// `invalid_input` if it has a condition on an empty list, or demands two values of one path, or of paths of which one leads to the other.
    pub fn of_filter(filter: &Filter, pointer: &str) -> Result<Self> {
        if filter.has_empty_list() {
            let detail = "An upsert takes no filter with an empty list, which no document matches.";
            return Err(Error::invalid_field(pointer, detail));
        }
        let mut values = BTreeMap::new();
        for (path, value) in filter.equalities() {
            if values.insert(path.as_str(), value).is_some() {
                let detail = format!("An upsert cannot take two values of `{path}` from its filter.");
                return Err(Error::invalid_field(pointer, detail));
            }
        }
        for path in values.keys() {
            let mut above = path.rmatch_indices('.').map(|(end, _)| &path[..end]);
            if let Some(above) = above.find(|above| values.contains_key(above)) {
                let detail = format!("An upsert cannot take both `{above}` and `{path}` from its filter.");
                return Err(Error::invalid_field(pointer, detail));
            }
        }
        let mut document = Document::new();
        for (path, value) in values {
            let value = Bson::try_from(value.clone()).map_err(Error::internal)?;
            insert(&mut document, &path.split('.').collect::<Vec<_>>(), value);
        }
        Ok(Self { document, pointer: pointer.into() })
    }

    pub(super) fn into_document(self) -> (Document, Box<str>) {
        (self.document, self.pointer)
    }
}

/// Inserts a value at a path, with the objects above it.
fn insert(document: &mut Document, names: &[&str], value: Bson) {
    match names {
        [] => {}
        [last] => {
            document.insert(*last, value);
        }
        [first, rest @ ..] => {
            let inner = document.entry((*first).to_owned()).or_insert_with(|| Document::new().into());
            if let Bson::Document(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
