//! The document that a container begins with, where it is among the organization's own.
//!
//! No query finds it, but the server's indexes have it. A unique one would take it for a document without the fields,
//! of which it lets one be: so it is given a value there that nobody else's document has.

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

/// The subtype of binary data that others have no use for.
const SUBTYPE: BinarySubtype = BinarySubtype::UserDefined(0x80);

/// Makes the first document one of a kind in a unique index that is about to be made.
pub(super) async fn set_apart(handle: &mut CollectionHandle<'_>, index: &Index) -> EngineResult<()> {
    let Some(id) = handle.layout().first_id() else { return Ok(()) };
    let read = |document: &RawDocument| Ok(Document::try_from(document).map_err(Error::internal)?);
    let Some(first) = find(handle, id, read).await? else { return Ok(()) };
    let Some((field, value)) = apart(&first, id, index) else { return Ok(()) };
    let set = doc! { "updates": [{ "q": { "_id": id }, "u": { "$set": { field: value } } }] };
    let set = handle.connection().server().durably(set);
    handle.run(&Command::new("update", &set)?).await.map(|_| ())
}

/// Documents and bytes of the first document, which are none of the organization's.
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

/// The field to set, and its value, so that `first` has a value in the index that no other document has; `None` if it has
/// one.
fn apart(first: &Document, id: ObjectId, index: &Index) -> Option<(String, Bson)> {
    let mut best = None;
    for key in &index.keys {
        let parts: Vec<&str> = key.path.as_str().split('.').collect();
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
        match put(&mut field, below, value) {
            Put::Done => best = best.or_else(|| Some(((*head).to_owned(), field))),
            Put::Taken => return None,
            Put::Impossible => {}
        }
    }
    best
}

/// What came of putting a value somewhere.
enum Put {
    Done,
    /// There is one.
    Taken,
    /// Something is in the way that is not ours to replace.
    Impossible,
}

/// Puts `value` where `parts` lead from `field`, if there is nothing.
fn put(field: &mut Bson, parts: &[&str], value: Bson) -> Put {
    let Some((part, rest)) = parts.split_first() else {
        if !matches!(field, Bson::Null) {
            return Put::Taken;
        }
        *field = value;
        return Put::Done;
    };
    if matches!(field, Bson::Null | Bson::Binary(Binary { subtype: SUBTYPE, .. })) {
        *field = Document::new().into();
    }
    match field {
        Bson::Document(inner) => put(inner.entry((*part).to_owned()).or_insert(Bson::Null), rest, value),
        _ => Put::Impossible,
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
            let set = apart(&first, id, &Index::parse(None, keys, true).unwrap());
            let expected = expected.map(|(field, value)| (field.to_owned(), value));
            assert_eq!(set, expected, "{keys}");
            first.extend(set);
        }
    }
}
