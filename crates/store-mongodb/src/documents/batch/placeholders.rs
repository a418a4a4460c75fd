//! The fields of a placeholder: a document that a transaction inserts and removes again, so that it conflicts with
//! everybody else who inserts one of the same `_id`.
//!
//! A unique index has it, too, while it is there, and takes it for a document without the indexed fields, of which it
//! allows only one. So it gets a value there that no other document has.

use crate::collections::handle::CollectionHandle;
use crate::engine_error::EngineResult;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document};
use tenantry_documents::document::ID_FIELD;

/// The fields that a placeholder needs in a collection: of each unique index one, whoever has created it.
#[derive(Debug, Default)]
pub(super) struct PlaceholderPaths(Vec<String>);

impl PlaceholderPaths {
    /// Those of that collection. In the shared collection, no unique index has a placeholder.
    pub(super) async fn of(handle: &CollectionHandle<'_>) -> EngineResult<Self> {
        if handle.shared().is_some() {
            return Ok(Self::default());
        }
        let (_, indexes) = handle.list_index_definitions().await;
        let unique = indexes?.into_iter().filter(|index| matches!(index.get_bool("unique"), Ok(true)));
        Ok(Self::new(unique.filter_map(|index| distinct_path(&index)).collect()))
    }

    /// The longest first: what is set below a field makes the field itself distinct as well.
    fn new(mut paths: Vec<String>) -> Self {
        paths.sort_by_key(|path| std::cmp::Reverse(path.split('.').count()));
        Self(paths)
    }

    /// The fields of one placeholder; `value` is its own.
    pub(super) fn fields(&self, value: ObjectId) -> Document {
        let mut fields = Document::new();
        for path in &self.0 {
            set(&mut fields, &path.split('.').collect::<Vec<_>>(), value);
        }
        fields
    }
}

/// A path of an index that is not in the `_id`.
fn distinct_path(index: &Document) -> Option<String> {
    let keys = index.get_document("key").ok()?;
    keys.keys().find(|path| path.split('.').next() != Some(ID_FIELD)).cloned()
}

fn set(fields: &mut Document, parts: &[&str], value: ObjectId) {
    let Some((head, below)) = parts.split_first() else { return };
    if below.is_empty() {
        fields.entry((*head).to_owned()).or_insert(Bson::ObjectId(value));
    } else if let Bson::Document(inner) =
        fields.entry((*head).to_owned()).or_insert_with(|| Document::new().into())
    {
        set(inner, below, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    #[test]
    fn placeholder_is_distinct_in_every_unique_index() {
        let value = ObjectId::from_bytes([7; 12]);
        let paths = PlaceholderPaths::new(["a", "a.b.c", "d", "a.b"].map(str::to_owned).to_vec());
        assert_eq!(paths.fields(value), doc! { "a": { "b": { "c": value } }, "d": value });
        assert_eq!(distinct_path(&doc! { "key": { "_id.x": 1, "e": -1 } }), Some("e".to_owned()));
        assert_eq!(distinct_path(&doc! { "key": { "_id": 1 } }), None);
    }
}
