//! Reads and writes everything that MongoDB keeps, for a transfer.

pub(crate) mod stored_collection;

use crate::connection::Connection;
use crate::engine_error::EngineResult;
use crate::names::{
    ACCOUNTS, API_KEYS, AUDIT_ENTRIES, AUDIT_OUTBOX, COLLECTION_SCHEMAS, EXPIRIES, IDENTITIES, INVITATIONS,
    MAILS, OPERATIONS, ORGANIZATIONS, SESSIONS,
};
use crate::placements::Placements;
use crate::record_codec::object_id;
use crate::records::Records;
use async_trait::async_trait;
use bson::{Document, RawDocumentBuf, doc};
use futures_util::stream::try_unfold;
use mongodb::Cursor;
use serde::de::DeserializeOwned;
use stored_collection::StoredCollection;
use tenantry_domain::account::Account;
use tenantry_domain::api_key::ApiKey;
use tenantry_domain::identity::Identity;
use tenantry_domain::ids::{
    AccountId, ApiKeyId, IdentityId, InvitationId, MailId, OperationId, OrganizationId, SessionId,
};
use tenantry_domain::invitation::Invitation;
use tenantry_domain::mail::QueuedMail;
use tenantry_domain::operation::OperationRecord;
use tenantry_domain::organization::Organization;
use tenantry_domain::session::Session;
use tenantry_domain::store::full_scan::{self, BYTES, DOCUMENTS, PAGE, Pages};
use tenantry_domain::{Error, Result};

/// See [`full_scan::FullScan`].
pub(crate) struct FullScan {
    connection: Connection,
    placements: Placements,
    organizations: Records,
    accounts: Records,
    sessions: Records,
    api_keys: Records,
    invitations: Records,
    mails: Records,
    identities: Records,
    expiries: Records,
    schemas: Records,
    operations: Records,
    audit_outbox: Records,
    audit_entries: Records,
}

impl FullScan {
    pub(crate) fn new(connection: &Connection, placements: Placements) -> Self {
        Self {
            connection: connection.clone(),
            placements,
            organizations: Records::new(connection, ORGANIZATIONS),
            accounts: Records::new(connection, ACCOUNTS),
            sessions: Records::new(connection, SESSIONS),
            api_keys: Records::new(connection, API_KEYS),
            invitations: Records::new(connection, INVITATIONS),
            mails: Records::new(connection, MAILS),
            identities: Records::new(connection, IDENTITIES),
            expiries: Records::new(connection, EXPIRIES),
            schemas: Records::new(connection, COLLECTION_SCHEMAS),
            operations: Records::new(connection, OPERATIONS),
            audit_outbox: Records::new(connection, AUDIT_OUTBOX),
            audit_entries: Records::new(connection, AUDIT_ENTRIES),
        }
    }

    async fn open_cursor(
        &self,
        organization: &Organization,
        collection: &str,
    ) -> EngineResult<(StoredCollection, Cursor<RawDocumentBuf>)> {
        let stored = self.placements.of(organization).find_stored(organization, collection).await?;
        let find = stored.collection.find(stored.filter.clone()).sort(doc! { "_id": 1 });
        let batch = u32::try_from(DOCUMENTS).unwrap_or(u32::MAX);
        let cursor = self.connection.call(async { find.batch_size(batch).await }).await?;
        Ok((stored, cursor))
    }

    async fn next_page(
        &self,
        stored: &StoredCollection,
        cursor: &mut Cursor<RawDocumentBuf>,
    ) -> EngineResult<Vec<RawDocumentBuf>> {
        let (mut page, mut bytes) = (Vec::new(), 0);
        while page.len() < DOCUMENTS && bytes < BYTES && self.connection.advance(cursor).await? {
            let document = stored.decode(cursor.current())?;
            bytes += document.as_bytes().len();
            page.push(document);
        }
        Ok(page)
    }
}

#[async_trait]
impl full_scan::FullScan for FullScan {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn organizations(&self, after: Option<OrganizationId>) -> Result<Vec<Organization>> {
        Ok(page(&self.organizations, after.map(|id| *id.as_bytes())).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn accounts(&self, after: Option<AccountId>) -> Result<Vec<Account>> {
        Ok(page(&self.accounts, after.map(|id| *id.as_bytes())).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn sessions(&self, after: Option<SessionId>) -> Result<Vec<Session>> {
        Ok(page(&self.sessions, after.map(|id| *id.as_bytes())).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn api_keys(&self, after: Option<ApiKeyId>) -> Result<Vec<ApiKey>> {
        Ok(page(&self.api_keys, after.map(|id| *id.as_bytes())).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn invitations(&self, after: Option<InvitationId>) -> Result<Vec<Invitation>> {
        Ok(page(&self.invitations, after.map(|id| *id.as_bytes())).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn mails(&self, after: Option<MailId>) -> Result<Vec<QueuedMail>> {
        Ok(page(&self.mails, after.map(|id| *id.as_bytes())).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn identities(&self, after: Option<IdentityId>) -> Result<Vec<Identity>> {
        Ok(page(&self.identities, after.map(|id| *id.as_bytes())).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn operations(&self, after: Option<OperationId>) -> Result<Vec<OperationRecord>> {
        Ok(page(&self.operations, after.map(|id| *id.as_bytes())).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn clear_records(&self) -> Result<()> {
        let Self { sessions, api_keys, invitations, operations, accounts, organizations, .. } = self;
        let (identities, mails, expiries) = (&self.identities, &self.mails, &self.expiries);
        let schemas = &self.schemas;
        let (outbox, entries) = (&self.audit_outbox, &self.audit_entries);
        for records in [
            sessions,
            api_keys,
            invitations,
            identities,
            mails,
            expiries,
            schemas,
            operations,
            outbox,
            entries,
            accounts,
            organizations,
        ] {
            records.call(records.collection().delete_many(doc! {})).await.map_err(Error::from)?;
        }
        Ok(())
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn collections(&self, organization: &Organization) -> Result<Vec<String>> {
        let mut names = self.placements.of(organization).list_stored(organization).await?;
        names.sort();
        Ok(names)
    }

    fn documents<'a>(&'a self, organization: &'a Organization, collection: &'a str) -> Pages<'a> {
        Box::pin(try_unfold(None, move |opened| async move {
            let (stored, mut cursor) = match opened {
                Some(opened) => opened,
                None => self.open_cursor(organization, collection).await.map_err(Error::from)?,
            };
            let page = self.next_page(&stored, &mut cursor).await.map_err(Error::from)?;
            Ok((!page.is_empty()).then_some((page, Some((stored, cursor)))))
        }))
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn put_documents(
        &self,
        organization: &Organization,
        collection: &str,
        documents: Vec<RawDocumentBuf>,
    ) -> Result<()> {
        let stored = self.placements.of(organization).adopt_stored(organization, collection).await?;
        let documents = documents.into_iter().map(|document| stored.encode(document));
        let documents = documents.collect::<Result<Vec<_>>>()?;
        // A duplicate comes from an earlier call whose reply was lost.
        match self.connection.call(stored.collection.insert_many(documents).ordered(false)).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_same_id() => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }
}

async fn page<T: DeserializeOwned>(records: &Records, after: Option<[u8; 12]>) -> EngineResult<Vec<T>> {
    let filter = after.map_or_else(Document::new, |after| doc! { "_id": { "$gt": object_id(&after) } });
    records.list(records.collection().find(filter).sort(doc! { "_id": 1 }), PAGE).await
}
