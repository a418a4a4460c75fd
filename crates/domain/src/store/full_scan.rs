//! The port of a transfer: reads everything in an engine, page by page.

use crate::account::Account;
use crate::api_key::ApiKey;
use crate::error::Result;
use crate::identity::Identity;
use crate::ids::{
    AccountId, ApiKeyId, IdentityId, InvitationId, MailId, OperationId, OrganizationId, SessionId,
};
use crate::invitation::Invitation;
use crate::mail::QueuedMail;
use crate::operation::OperationRecord;
use crate::organization::Organization;
use crate::session::Session;
use async_trait::async_trait;
use bson::RawDocumentBuf;
use futures_util::stream::BoxStream;

/// Records of a page.
pub const PAGE: u32 = 500;
/// The most documents of a page; it ends earlier after [`BYTES`].
pub const DOCUMENTS: usize = 500;
/// Bytes of documents after which a page ends; a document has at most 16 MiB on MongoDB.
pub const BYTES: usize = 8 << 20;

/// The documents of a collection in the order of their ids, a page at a time.
pub type Pages<'a> = BoxStream<'a, Result<Vec<RawDocumentBuf>>>;

/// Everything in an engine. Nobody else may write to it during the scan.
#[async_trait]
pub trait FullScan: Send + Sync {
    /// Organizations in the order of their ids, after `after`.
    async fn organizations(&self, after: Option<OrganizationId>) -> Result<Vec<Organization>>;

    /// Accounts in the order of their ids, after `after`.
    async fn accounts(&self, after: Option<AccountId>) -> Result<Vec<Account>>;

    /// Sessions in the order of their ids, after `after`.
    async fn sessions(&self, after: Option<SessionId>) -> Result<Vec<Session>>;

    /// API keys in the order of their ids, after `after`.
    async fn api_keys(&self, after: Option<ApiKeyId>) -> Result<Vec<ApiKey>>;

    /// Invitations in the order of their ids, after `after`.
    async fn invitations(&self, after: Option<InvitationId>) -> Result<Vec<Invitation>>;

    /// Mails that wait to be sent in the order of their ids, after `after`.
    async fn mails(&self, after: Option<MailId>) -> Result<Vec<QueuedMail>>;

    /// Identities in the order of their ids, after `after`.
    async fn identities(&self, after: Option<IdentityId>) -> Result<Vec<Identity>>;

    /// Finished operations in the order of their ids, after `after`.
    async fn operations(&self, after: Option<OperationId>) -> Result<Vec<OperationRecord>>;

    /// Removes all of these records, and nothing else.
    async fn clear_records(&self) -> Result<()>;

    /// The names of the organization's collections, sorted.
    async fn collections(&self, organization: &Organization) -> Result<Vec<String>>;

    /// The documents of one of them.
    fn documents<'a>(&'a self, organization: &'a Organization, collection: &'a str) -> Pages<'a>;

    /// Adds documents to one of them, which is created if it is missing; a document of the same id is
    /// replaced.
    async fn put_documents(
        &self,
        organization: &Organization,
        collection: &str,
        documents: Vec<RawDocumentBuf>,
    ) -> Result<()>;
}
