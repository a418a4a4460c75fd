//! Everything that MongoDB keeps, for a transfer.

use super::MongoDb;
use super::containers::{DOCUMENTS as FIRST, METADATA};
use super::document::object_id;
use super::documents::layout::DocumentLayout;
use super::engine_error::{EngineError, EngineResult};
use super::records::Records;
use async_trait::async_trait;
use bson::{Bson, Document, RawDocument, RawDocumentBuf, cstr, doc, rawdoc};
use futures_util::stream::try_unfold;
use mongodb::{Collection, Cursor};
use serde::de::DeserializeOwned;
use tenantry_domain::account::Account;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::{AccountId, OperationId, OrganizationId, SessionId};
use tenantry_domain::operation::OperationRecord;
use tenantry_domain::organization::{Organization, Placement};
use tenantry_domain::session::Session;
use tenantry_domain::store::full_scan::{BYTES, DOCUMENTS, FullScan, PAGE, Pages};
use tenantry_domain::{Error, Result};

#[async_trait]
impl FullScan for MongoDb {
    async fn organizations(&self, after: Option<OrganizationId>) -> Result<Vec<Organization>> {
        Ok(page(self.organizations.records(), after.map(|id| *id.as_bytes())).await?)
    }

    async fn accounts(&self, after: Option<AccountId>) -> Result<Vec<Account>> {
        Ok(page(&self.accounts, after.map(|id| *id.as_bytes())).await?)
    }

    async fn sessions(&self, after: Option<SessionId>) -> Result<Vec<Session>> {
        Ok(page(&self.sessions, after.map(|id| *id.as_bytes())).await?)
    }

    async fn operations(&self, after: Option<OperationId>) -> Result<Vec<OperationRecord>> {
        Ok(page(&self.operations, after.map(|id| *id.as_bytes())).await?)
    }

    async fn clear_records(&self) -> Result<()> {
        for records in [&self.sessions, &self.operations, &self.accounts, self.organizations.records()] {
            records.call(records.collection().delete_many(doc! {})).await.map_err(Error::from)?;
        }
        Ok(())
    }

    async fn collections(&self, organization: &Organization) -> Result<Vec<String>> {
        let mut names = self.names_in(organization).await?;
        names.sort();
        Ok(names)
    }

    fn documents<'a>(&'a self, organization: &'a Organization, collection: &'a str) -> Pages<'a> {
        Box::pin(try_unfold(None, move |cursor| async move {
            let mut cursor = match cursor {
                Some(cursor) => cursor,
                None => self.open_cursor(organization, collection).await.map_err(Error::from)?,
            };
            let page = self.next_page(&mut cursor, organization.placement).await.map_err(Error::from)?;
            Ok((!page.is_empty()).then_some((page, Some(cursor))))
        }))
    }

    async fn put_documents(
        &self,
        organization: &Organization,
        collection: &str,
        documents: Vec<RawDocumentBuf>,
    ) -> Result<()> {
        let target = self.place_of(organization, collection);
        let key = match (organization.placement, CollectionName::parse(collection)) {
            (Placement::Shared, Ok(name)) => self.adopt_shared_collection(organization.id, &name).await?,
            _ => collection.to_owned(),
        };
        let wrap = |document: RawDocumentBuf| match organization.placement {
            Placement::Shared => shared(organization.id, &key, &document),
            Placement::Collection | Placement::Database => Ok(document),
        };
        let documents = documents.into_iter().map(wrap).collect::<Result<Vec<_>>>()?;
        // One that is there is of a call before, whose answer was lost.
        match self.connection.call(target.insert_many(documents).ordered(false)).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_same_id() => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }
}

impl MongoDb {
    pub(crate) async fn names_in(&self, organization: &Organization) -> Result<Vec<String>> {
        let id = organization.id;
        match organization.placement {
            Placement::Collection => {
                let further = self.extra_collections_of(organization, &organization.naming.namespace).await?;
                let mut names: Vec<String> = further.into_iter().map(|further| further.name).collect();
                if names.iter().any(|name| name == FIRST) {
                    let found = format!("{}.{FIRST}", organization.naming.namespace);
                    return Err(Error::unavailable(format!(
                        "the collection {found} has the name of the first one"
                    )));
                }
                names.push(FIRST.to_owned());
                Ok(names)
            }
            Placement::Database => {
                let mut names = self.connection.call(self.database_of(id).list_collection_names()).await?;
                names.retain(|name| name != METADATA && !name.starts_with("system."));
                Ok(names)
            }
            Placement::Shared => {
                let listed = self.shares(organization).await?;
                let mut names: Vec<String> = listed.keys().map(ToString::to_string).collect();
                let distinct = self
                    .shared_documents
                    .collection()
                    .distinct("collection", doc! { "org_id": object_id(id.as_bytes()) });
                let keys = self.connection.call(distinct).await?;
                // A program may have made one. What has a number is of a collection that was dropped.
                let unlisted = keys.iter().filter_map(Bson::as_str).filter(|key| !key.contains('.'));
                let unlisted = unlisted.filter(|key| listed.values().all(|share| share.key != **key));
                names.extend(unlisted.map(str::to_owned));
                names.sort();
                names.dedup();
                Ok(names)
            }
        }
    }

    /// What stands in each document of a collection of a share.
    async fn key_of(&self, organization: &Organization, collection: &str) -> EngineResult<String> {
        if organization.placement == Placement::Shared
            && let Ok(name) = CollectionName::parse(collection)
            && let Some(share) = self.shares(organization).await?.remove(&name)
        {
            return Ok(share.key);
        }
        Ok(collection.to_owned())
    }

    /// The collection of the server with the documents of one of the organization's.
    fn place_of(&self, organization: &Organization, collection: &str) -> Collection<RawDocumentBuf> {
        match organization.placement {
            Placement::Collection => {
                let namespace = &organization.naming.namespace;
                let name =
                    if collection == FIRST { namespace.clone() } else { format!("{namespace}.{collection}") };
                self.connection.server().database().collection(&name)
            }
            Placement::Database => self.database_of(organization.id).collection(collection),
            Placement::Shared => self.shared_documents.collection().clone_with_type(),
        }
    }

    async fn open_cursor(
        &self,
        organization: &Organization,
        collection: &str,
    ) -> EngineResult<Cursor<RawDocumentBuf>> {
        let id = object_id(organization.id.as_bytes());
        let filter = match organization.placement {
            // The document that the container begins with is none of the user's.
            Placement::Collection if collection == FIRST => doc! { "_id": { "$ne": id } },
            Placement::Collection | Placement::Database => doc! {},
            Placement::Shared => {
                doc! { "org_id": id, "collection": self.key_of(organization, collection).await? }
            }
        };
        let find = self.place_of(organization, collection);
        let find = find.find(filter).sort(doc! { "_id": 1 });
        self.connection
            .call(async { find.batch_size(u32::try_from(DOCUMENTS).unwrap_or(u32::MAX)).await })
            .await
    }

    async fn next_page(
        &self,
        cursor: &mut Cursor<RawDocumentBuf>,
        placement: Placement,
    ) -> EngineResult<Vec<RawDocumentBuf>> {
        let (mut page, mut bytes) = (Vec::new(), 0);
        while page.len() < DOCUMENTS && bytes < BYTES && self.connection.call(cursor.advance()).await? {
            let document = match placement {
                Placement::Shared => own(cursor.current())?,
                Placement::Collection | Placement::Database => {
                    DocumentLayout::Plain { first: None }.unwrap(cursor.current())?.body
                }
            };
            bytes += document.as_bytes().len();
            page.push(document);
        }
        Ok(page)
    }
}

async fn page<T: DeserializeOwned>(records: &Records, after: Option<[u8; 12]>) -> EngineResult<Vec<T>> {
    let filter = after.map_or_else(Document::new, |after| doc! { "_id": { "$gt": object_id(&after) } });
    records.list(records.collection().find(filter).sort(doc! { "_id": 1 }), PAGE).await
}

/// A document as it stands among those of others.
fn shared(id: OrganizationId, collection: &str, document: &RawDocumentBuf) -> Result<RawDocumentBuf> {
    let own_id = document.get("_id").ok().flatten();
    let own_id = own_id.ok_or_else(|| Error::internal("a document without an _id"))?;
    let id = object_id(id.as_bytes());
    let mut key = rawdoc! { "org_id": id, "collection": collection };
    key.append(cstr!("id"), own_id);
    let mut shared = RawDocumentBuf::new();
    shared.append(cstr!("_id"), key);
    shared.append(cstr!("org_id"), id);
    shared.append(cstr!("collection"), collection);
    shared.append(cstr!("document"), document.clone());
    Ok(shared)
}

/// The user's document of a share's.
fn own(document: &RawDocument) -> EngineResult<RawDocumentBuf> {
    match document.get_document("document") {
        Ok(own) => Ok(own.to_owned()),
        Err(_) => {
            let id = document.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
            let cause = format!("in shared_documents, the document {id:?} has no field `document`");
            Err(EngineError::Refused(Error::unavailable(cause)))
        }
    }
}
