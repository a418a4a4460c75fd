//! What a transfer asks of an engine beside its ports: everything, one page after the other.

use async_trait::async_trait;
use bson::RawDocumentBuf;
use futures_util::stream::BoxStream;
use tenantry_domain::Result;
use tenantry_domain::account::Account;
use tenantry_domain::ids::{AccountId, OperationId, OrganizationId, SessionId};
use tenantry_domain::operation::OperationRecord;
use tenantry_domain::organization::Organization;
use tenantry_domain::session::Session;

/// Records of a page.
pub(crate) const PAGE: u32 = 500;
/// Documents of a page, and the bytes from which one has fewer.
pub(crate) const DOCUMENTS: usize = 500;
/// See [`DOCUMENTS`]; a document has 16 MiB at most on MongoDB.
pub(crate) const BYTES: usize = 8 << 20;

/// The documents of a collection in the order of their ids, a page at a time.
pub(crate) type Pages<'a> = BoxStream<'a, Result<Vec<RawDocumentBuf>>>;

/// A whole engine. Nobody else writes to it.
#[async_trait]
pub(crate) trait Whole: Send + Sync {
    /// Organizations in the order of their ids, after `after`.
    async fn organizations(&self, after: Option<OrganizationId>) -> Result<Vec<Organization>>;

    /// Accounts in the order of their ids, after `after`.
    async fn accounts(&self, after: Option<AccountId>) -> Result<Vec<Account>>;

    /// Sessions in the order of their ids, after `after`.
    async fn sessions(&self, after: Option<SessionId>) -> Result<Vec<Session>>;

    /// Finished operations in the order of their ids, after `after`.
    async fn operations(&self, after: Option<OperationId>) -> Result<Vec<OperationRecord>>;

    /// Removes all of these records, and nothing else.
    async fn clear_records(&self) -> Result<()>;

    /// The names of the organization's collections, sorted.
    async fn collections(&self, organization: &Organization) -> Result<Vec<String>>;

    /// What is in one of them.
    fn documents<'a>(&'a self, organization: &'a Organization, collection: &'a str) -> Pages<'a>;

    /// Adds documents to one of them, which is made where it is not there; one of the same id is replaced.
    async fn put_documents(
        &self,
        organization: &Organization,
        collection: &str,
        documents: Vec<RawDocumentBuf>,
    ) -> Result<()>;
}

/// Gives every record to `visit`, page after page.
pub(super) async fn each<T, K: Copy, F: Future<Output = Result<Vec<T>>>>(
    list: impl Fn(Option<K>) -> F,
    id: impl Fn(&T) -> K,
    mut visit: impl AsyncFnMut(T) -> Result<()>,
) -> Result<()> {
    let mut after = None;
    loop {
        let page = list(after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(id(last));
        for record in page {
            visit(record).await?;
        }
    }
}
