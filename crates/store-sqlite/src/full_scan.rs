//! Everything that the embedded engine keeps, for a transfer.

use super::Sqlite;
use super::api_keys::read;
use super::statement::{Statement, statements};
use async_trait::async_trait;
use bson::RawDocumentBuf;
use futures_util::stream::try_unfold;
use rusqlite::{Connection, OptionalExtension, params};
use serde::de::DeserializeOwned;
use tenantry_documents::document::{DocumentId, ID_FIELD};
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
use tenantry_domain::store::full_scan::{BYTES, DOCUMENTS, FullScan, PAGE, Pages};
use tenantry_domain::{Error, Result};

statements! {
    ORGANIZATIONS = "SELECT record FROM organizations WHERE id > ?1 ORDER BY id LIMIT ?2";
    ACCOUNTS = "SELECT record FROM accounts WHERE id > ?1 ORDER BY id LIMIT ?2";
    SESSIONS = "SELECT record FROM sessions WHERE id > ?1 ORDER BY id LIMIT ?2";
    API_KEYS = "SELECT record, last_used_at FROM api_keys WHERE id > ?1 ORDER BY id LIMIT ?2";
    INVITATIONS = "SELECT record FROM invitations WHERE id > ?1 ORDER BY id LIMIT ?2";
    MAILS = "SELECT record FROM mails WHERE id > ?1 ORDER BY id LIMIT ?2";
    IDENTITIES = "SELECT record FROM identities WHERE id > ?1 ORDER BY id LIMIT ?2";
    OPERATIONS = "SELECT record FROM operations WHERE id > ?1 ORDER BY id LIMIT ?2";
}

/// Rows that belong to other records are deleted with them, by their foreign keys.
const CLEAR: &str = "DELETE FROM sessions; DELETE FROM api_keys; DELETE FROM invitations; DELETE FROM mails; \
    DELETE FROM identities; DELETE FROM expiries; DELETE FROM operations; DELETE FROM audit_outbox; DELETE FROM audit_entries; \
    DELETE FROM accounts; DELETE FROM organizations";
/// Without those that are being removed: their names are below `0`.
const COLLECTIONS: &str = "SELECT name FROM collections WHERE name >= '0' ORDER BY name";
const BODIES: &str = "SELECT documents.id, body FROM documents JOIN collections ON collections.id = collection \
    WHERE name = ?1 AND documents.id > ?2 ORDER BY documents.id LIMIT ?3";
const FIND_COLLECTION: &str = "SELECT id FROM collections WHERE name = ?1";
const ADD_COLLECTION: &str = "INSERT INTO collections (name) VALUES (?1) RETURNING id";
const PUT: &str = "INSERT INTO documents (collection, id, revision, body) VALUES (?1, ?2, 1, ?3) \
    ON CONFLICT (collection, id) DO UPDATE SET body = excluded.body";

#[async_trait]
impl FullScan for Sqlite {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn organizations(&self, after: Option<OrganizationId>) -> Result<Vec<Organization>> {
        self.page(ORGANIZATIONS, after.map(|id| *id.as_bytes())).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn accounts(&self, after: Option<AccountId>) -> Result<Vec<Account>> {
        self.page(ACCOUNTS, after.map(|id| *id.as_bytes())).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn sessions(&self, after: Option<SessionId>) -> Result<Vec<Session>> {
        self.page(SESSIONS, after.map(|id| *id.as_bytes())).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn api_keys(&self, after: Option<ApiKeyId>) -> Result<Vec<ApiKey>> {
        self.readers
            .scan(move |connection| {
                let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
                read(connection, API_KEYS, params![after, PAGE])
            })
            .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn invitations(&self, after: Option<InvitationId>) -> Result<Vec<Invitation>> {
        self.page(INVITATIONS, after.map(|id| *id.as_bytes())).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn mails(&self, after: Option<MailId>) -> Result<Vec<QueuedMail>> {
        self.page(MAILS, after.map(|id| *id.as_bytes())).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn identities(&self, after: Option<IdentityId>) -> Result<Vec<Identity>> {
        self.page(IDENTITIES, after.map(|id| *id.as_bytes())).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn operations(&self, after: Option<OperationId>) -> Result<Vec<OperationRecord>> {
        self.page(OPERATIONS, after.map(|id| *id.as_bytes())).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn clear_records(&self) -> Result<()> {
        self.write(|connection| Ok(connection.execute_batch(CLEAR)?)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn collections(&self, organization: &Organization) -> Result<Vec<String>> {
        let id = organization.id;
        let has_file = self.has_file(id).await?;
        self.on_files(move |files| {
            if !has_file && !files.is_there(id)? {
                return Ok(Vec::new());
            }
            files.with(id, |container| {
                container.prepare(COLLECTIONS)?.query_map([], |row| row.get(0))?.collect()
            })
        })
        .await
    }

    fn documents<'a>(&'a self, organization: &'a Organization, collection: &'a str) -> Pages<'a> {
        let first = Some(Vec::new());
        Box::pin(try_unfold(first, move |after| async move {
            let Some(after) = after else { return Ok(None) };
            let (id, name) = (organization.id, collection.to_owned());
            let page = self.on_files(move |files| files.with(id, |found| page(found, &name, &after))).await?;
            Ok(page.map(|(documents, last)| (documents, Some(last))))
        }))
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn put_documents(
        &self,
        organization: &Organization,
        collection: &str,
        documents: Vec<RawDocumentBuf>,
    ) -> Result<()> {
        let (id, name) = (organization.id, collection.to_owned());
        let keyed: Vec<_> =
            documents.into_iter().map(|document| Ok((key(&document)?, document))).collect::<Result<_>>()?;
        self.container_with_file(organization).await?;
        self.on_files(move |files| files.with(id, |container| put(container, &name, &keyed))).await
    }
}

impl Sqlite {
    async fn page<T: DeserializeOwned + Send + 'static>(
        &self,
        statement: Statement,
        after: Option<[u8; 12]>,
    ) -> Result<Vec<T>> {
        self.readers
            .scan(move |connection| {
                let after = after.as_ref().map_or(&[][..], <[u8; 12]>::as_slice);
                statement.records(connection, params![after, PAGE])
            })
            .await
    }
}

/// The next documents and the key of the last; `None` at the end.
type DocumentPage = Option<(Vec<RawDocumentBuf>, Vec<u8>)>;

fn page(container: &Connection, collection: &str, after: &[u8]) -> rusqlite::Result<DocumentPage> {
    let mut statement = container.prepare(BODIES)?;
    let limit = i64::try_from(DOCUMENTS).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![collection, after, limit])?;
    let (mut documents, mut last, mut bytes) = (Vec::new(), Vec::new(), 0);
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        let body: Vec<u8> = row.get(1)?;
        bytes += body.len();
        let broken = |error| {
            rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Blob, Box::new(error))
        };
        documents.push(RawDocumentBuf::from_bytes(body).map_err(broken)?);
        if bytes >= BYTES {
            break;
        }
    }
    Ok((!documents.is_empty()).then_some((documents, last)))
}

fn put(
    container: &Connection,
    collection: &str,
    documents: &[(Vec<u8>, RawDocumentBuf)],
) -> rusqlite::Result<()> {
    container.pragma_update(None, "synchronous", "FULL")?;
    let transaction = container.unchecked_transaction()?;
    let found =
        transaction.query_row(FIND_COLLECTION, [collection], |row| row.get::<_, i64>(0)).optional()?;
    let number = match found {
        Some(number) => number,
        None => transaction.query_row(ADD_COLLECTION, [collection], |row| row.get(0))?,
    };
    {
        let mut put = transaction.prepare(PUT)?;
        for (key, document) in documents {
            put.execute(params![number, key, document.as_bytes()])?;
        }
    }
    transaction.commit()
}

/// The key of a document's `_id`.
fn key(document: &RawDocumentBuf) -> Result<Vec<u8>> {
    let id = document.get(ID_FIELD).ok().flatten();
    let id = id.ok_or_else(|| Error::internal("a document without an _id"))?;
    let id = bson::Bson::try_from(id).map_err(Error::internal)?;
    Ok(DocumentId::new(&id).map_err(Error::internal)?.key())
}
