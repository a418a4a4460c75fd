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

/// Fields for a placeholder in that collection, with a value that no other document has in each unique index, whoever has
/// created it.
pub(super) async fn distinct_fields(
    handle: &CollectionHandle<'_>,
    value: ObjectId,
) -> EngineResult<Document> {
    if handle.shared().is_some() {
        return Ok(Document::new());
    }
    let (_, indexes) = handle.list_index_definitions().await;
    let unique = indexes?.into_iter().filter(|index| matches!(index.get_bool("unique"), Ok(true)));
    let mut paths: Vec<String> = unique.filter_map(|index| distinct_path(&index)).collect();
    // The longest first: what is set below a field makes the field itself distinct as well.
    paths.sort_by_key(|path| std::cmp::Reverse(path.split('.').count()));
    let mut fields = Document::new();
    for path in paths {
        set(&mut fields, &path.split('.').collect::<Vec<_>>(), value);
    }
    Ok(fields)
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
        let mut fields = Document::new();
        for path in ["a.b.c", "a.b", "a", "d"] {
            set(&mut fields, &path.split('.').collect::<Vec<_>>(), value);
        }
        assert_eq!(fields, doc! { "a": { "b": { "c": value } }, "d": value });
        assert_eq!(distinct_path(&doc! { "key": { "_id.x": 1, "e": -1 } }), Some("e".to_owned()));
        assert_eq!(distinct_path(&doc! { "key": { "_id": 1 } }), None);
    }
}
