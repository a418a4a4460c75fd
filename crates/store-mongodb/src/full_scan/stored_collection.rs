//! A collection as a transfer reads and writes it: under any name that a program gave it, and without revisions.

use crate::documents::layout::DocumentLayout;
use crate::engine_error::{EngineError, EngineResult};
use crate::record_codec::object_id;
use bson::{Bson, Document, RawDocument, RawDocumentBuf, cstr, doc, rawdoc};
use mongodb::{Collection, Database};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::{Error, Result};

/// See [`self`].
pub(crate) struct StoredCollection {
    /// The collection of the server that has its documents.
    pub(super) collection: Collection<RawDocumentBuf>,
    /// Matches its documents.
    pub(super) filter: Document,
    /// In the shared collection: the organization, and the key in each document.
    shared: Option<(OrganizationId, String)>,
}

impl StoredCollection {
    /// A collection of the organization's own; `filter` leaves out documents that are not the user's.
    pub(crate) fn dedicated(database: &Database, name: &str, filter: Document) -> Self {
        Self { collection: database.collection(name), filter, shared: None }
    }

    /// A collection in the shared collection, identified by `key`.
    pub(crate) fn shared(collection: Collection<RawDocumentBuf>, id: OrganizationId, key: String) -> Self {
        let filter = doc! { "org_id": object_id(id.as_bytes()), "collection": &key };
        Self { collection, filter, shared: Some((id, key)) }
    }

    /// The user's document in a stored one.
    pub(super) fn decode(&self, stored: &RawDocument) -> EngineResult<RawDocumentBuf> {
        if self.shared.is_none() {
            return Ok(DocumentLayout::Plain { first: None }.decode(stored)?.body);
        }
        match stored.get_document("document") {
            Ok(own) => Ok(own.to_owned()),
            Err(_) => {
                let id = stored.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
                let cause = format!("in shared_documents, the document {id:?} has no field `document`");
                Err(EngineError::Refused(Error::unavailable(cause)))
            }
        }
    }

    /// Encodes a document for storage.
    pub(super) fn encode(&self, document: RawDocumentBuf) -> Result<RawDocumentBuf> {
        let Some((id, key)) = &self.shared else { return Ok(document) };
        let own_id = document.get("_id").ok().flatten();
        let own_id = own_id.ok_or_else(|| Error::internal("a document without an _id"))?;
        let id = object_id(id.as_bytes());
        let mut full_id = rawdoc! { "org_id": id, "collection": key.as_str() };
        full_id.append(cstr!("id"), own_id);
        let mut stored = RawDocumentBuf::new();
        stored.append(cstr!("_id"), full_id);
        stored.append(cstr!("org_id"), id);
        stored.append(cstr!("collection"), key.as_str());
        stored.append(cstr!("document"), document.clone());
        Ok(stored)
    }
}
