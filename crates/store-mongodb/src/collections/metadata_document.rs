//! The container's metadata document, where it is among the organization's own documents.
//!
//! No query finds it, but the server's indexes include it. A unique index treats it as a document without the indexed
//! fields, of which it allows only one. So the metadata document gets a value there that no other document has.

use super::command::{Amount, Command};
use super::handle::CollectionHandle;
use crate::engine_error::EngineResult;
use bson::RawDocument;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use tenantry_documents::document::ID_FIELD;
use tenantry_documents::index::Index;
use tenantry_domain::Error;

/// A subtype of binary data that nobody else uses.
const SUBTYPE: BinarySubtype = BinarySubtype::UserDefined(0x80);

/// Makes the metadata document distinct in a unique index that is about to be created.
pub(super) async fn make_distinct(handle: &mut CollectionHandle<'_>, index: &Index) -> EngineResult<()> {
    let Some(id) = handle.layout().first_id() else { return Ok(()) };
    let read = |document: &RawDocument| Ok(Document::try_from(document).map_err(Error::internal)?);
    let Some(first) = find(handle, id, read).await? else { return Ok(()) };
    let Some((field, value)) = distinct_value(&first, id, &paths(index)) else { return Ok(()) };
    let set = doc! { "updates": [{ "q": { "_id": id }, "u": { "$set": { field: value } } }] };
    let set = handle.connection().server().durably(set);
    handle.run(&Command::new("update", &set)?).await.map(|_| ())
}

/// Count and bytes of the metadata document, which is not the organization's.
pub(super) async fn measure(handle: &mut CollectionHandle<'_>) -> EngineResult<(u64, u64)> {
    let Some(id) = handle.layout().first_id() else { return Ok((0, 0)) };
    let bytes = find(handle, id, |document: &RawDocument| Ok(document.as_bytes().len() as u64)).await?;
    Ok(bytes.map_or((0, 0), |bytes| (1, bytes)))
}

async fn find<T: Send>(
    handle: &mut CollectionHandle<'_>,
    id: ObjectId,
    read: impl Fn(&RawDocument) -> EngineResult<T> + Send + Sync,
) -> EngineResult<Option<T>> {
    let find = Command::reading("find", doc! { "filter": { "_id": id }, "limit": 1 })?;
    let deadline = handle.connection().deadline();
    Ok(handle.read(&find, Amount::ALL, deadline, read).await?.0.pop())
}

fn paths(index: &Index) -> Vec<&str> {
    index.keys.iter().map(|key| key.path.as_str()).collect()
}

/// The field to set, and its value, so that `first` has a value in the index of these paths that no other document has;
/// `None` if it already has one.
pub(crate) fn distinct_value(first: &Document, id: ObjectId, paths: &[&str]) -> Option<(String, Bson)> {
    let mut best = None;
    for path in paths {
        let parts: Vec<&str> = path.split('.').collect();
        let (head, below) = parts.split_first()?;
        if *head == ID_FIELD {
            if below.is_empty() {
                return None;
            }
            continue;
        }
        let bytes = [b"tenantry", id.bytes().as_slice()].concat();
        let value = Bson::Binary(Binary { subtype: SUBTYPE, bytes });
        let mut field = first.get(head).cloned().unwrap_or(Bson::Null);
        match set_if_missing(&mut field, below, value) {
            FieldChange::Done => best = best.or_else(|| Some(((*head).to_owned(), field))),
            FieldChange::Taken => return None,
            FieldChange::Impossible => {}
        }
    }
    best
}

/// The result of setting a value.
enum FieldChange {
    Done,
    /// The field has a value.
    Taken,
    /// The path leads through a value that must not be replaced.
    Impossible,
}

/// Sets the field at the path `parts` below `field` to `value`, if it has none.
fn set_if_missing(field: &mut Bson, parts: &[&str], value: Bson) -> FieldChange {
    let Some((part, rest)) = parts.split_first() else {
        if !matches!(field, Bson::Null) {
            return FieldChange::Taken;
        }
        *field = value;
        return FieldChange::Done;
    };
    if matches!(field, Bson::Null | Bson::Binary(Binary { subtype: SUBTYPE, .. })) {
        *field = Document::new().into();
    }
    match field {
        Bson::Document(inner) => {
            set_if_missing(inner.entry((*part).to_owned()).or_insert(Bson::Null), rest, value)
        }
        _ => FieldChange::Impossible,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_document_is_unique_in_every_unique_index() {
        let id = ObjectId::from_bytes([7; 12]);
        let own = Bson::Binary(Binary { subtype: SUBTYPE, bytes: [b"tenantry", &[7; 12][..]].concat() });
        let mut first = doc! { "_id": id, "metadata": { "schema_version": "1.0" } };
        for (keys, expected) in [
            ("a", Some(("a", own.clone()))),
            ("-a", None),
            ("a.b", Some(("a", doc! { "b": &own }.into()))),
            ("a,c", None),
            ("metadata", None),
            ("metadata.schema_version", None),
            ("metadata.schema_version.x", None),
            ("metadata.x", Some(("metadata", doc! { "schema_version": "1.0", "x": &own }.into()))),
            ("_id.x", None),
            ("_id.x,d.e.f", Some(("d", doc! { "e": { "f": &own } }.into()))),
            ("g,_id", None),
        ] {
            let index = Index::parse(None, keys, true).unwrap();
            let set = distinct_value(&first, id, &paths(&index));
            let expected = expected.map(|(field, value)| (field.to_owned(), value));
            assert_eq!(set, expected, "{keys}");
            first.extend(set);
        }
    }
}
