//! Counts and hashes of a side's data, so that two sides can be compared without holding either in memory.

use super::pages::each;
use super::side::OpenSide;
use aws_lc_rs::digest::{Context, SHA256};
use futures_util::TryStreamExt;
use serde::Serialize;
use tenantry_domain::organization::{Organization, Placement};
use tenantry_domain::store::CollectionInfo;
use tenantry_domain::store::full_scan::PAGE;
use tenantry_domain::{Error, Result};

/// How many there are, and a hash over all of them in their order.
#[derive(Clone)]
pub(crate) struct Digest {
    pub(crate) count: u64,
    hash: Context,
}

impl Default for Digest {
    fn default() -> Self {
        Self { count: 0, hash: Context::new(&SHA256) }
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        let hash = |digest: &Self| digest.hash.clone().finish();
        self.count == other.count && hash(self).as_ref() == hash(other).as_ref()
    }
}

impl Digest {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.count += 1;
        self.add_part(bytes);
    }

    /// Adds the length first, so that two neighbours cannot be confused with one longer part.
    pub(crate) fn add_part(&mut self, bytes: &[u8]) {
        self.hash.update(&(bytes.len() as u64).to_be_bytes());
        self.hash.update(bytes);
    }

    fn add_record(&mut self, record: &impl Serialize) -> Result<()> {
        self.add(&serde_json::to_vec(record).map_err(Error::internal)?);
        Ok(())
    }
}

/// The records of a side.
#[derive(Default)]
pub(crate) struct Records {
    pub(crate) organizations: Digest,
    pub(crate) accounts: Digest,
    pub(crate) sessions: Digest,
    pub(crate) api_keys: Digest,
    pub(crate) invitations: Digest,
    pub(crate) mails: Digest,
    pub(crate) identities: Digest,
    pub(crate) operations: Digest,
    pub(crate) audit_entries: Digest,
}

impl Records {
    /// Each kind of record with its name, of both sides.
    pub(crate) fn pairs<'a>(&'a self, other: &'a Self) -> [(&'static str, &'a Digest, &'a Digest); 9] {
        [
            ("the organizations", &self.organizations, &other.organizations),
            ("the accounts", &self.accounts, &other.accounts),
            ("the sessions", &self.sessions, &other.sessions),
            ("the API keys", &self.api_keys, &other.api_keys),
            ("the invitations", &self.invitations, &other.invitations),
            ("the mails that wait", &self.mails, &other.mails),
            ("the identities", &self.identities, &other.identities),
            ("the finished operations", &self.operations, &other.operations),
            ("the audit trail", &self.audit_entries, &other.audit_entries),
        ]
    }
}

/// All records but those that only serve the engine.
pub(crate) async fn records(side: &OpenSide) -> Result<Records> {
    let mut records = Records::default();
    let Records {
        organizations,
        accounts,
        sessions,
        api_keys,
        invitations,
        mails,
        identities,
        operations,
        audit_entries,
    } = &mut records;
    let add = async |organization| organizations.add_record(&without_location(organization));
    each(|after| side.scan.organizations(after), |organization| organization.id, add).await?;
    let add = async |account| accounts.add_record(&account);
    each(|after| side.scan.accounts(after), |account| account.id, add).await?;
    let add = async |session| sessions.add_record(&session);
    each(|after| side.scan.sessions(after), |session| session.id, add).await?;
    let add = async |key| api_keys.add_record(&key);
    each(|after| side.scan.api_keys(after), |key| key.id, add).await?;
    let add = async |invitation| invitations.add_record(&invitation);
    each(|after| side.scan.invitations(after), |invitation| invitation.id, add).await?;
    let add = async |mail| mails.add_record(&mail);
    each(|after| side.scan.mails(after), |mail| mail.id, add).await?;
    let add = async |identity| identities.add_record(&identity);
    each(|after| side.scan.identities(after), |identity| identity.id, add).await?;
    let add = async |record| operations.add_record(&record);
    each(|after| side.scan.operations(after), |record| record.id, add).await?;
    trails(side, audit_entries).await?;
    Ok(records)
}

async fn trails(side: &OpenSide, digest: &mut Digest) -> Result<()> {
    let mut chain = None;
    while let Some(first) = side.ports.audit.get_next_chain(chain).await? {
        chain = Some(first.chain);
        let mut after = first.sequence - 1;
        loop {
            let page = side.ports.audit.list_chain(first.chain, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.sequence;
            page.iter().try_for_each(|entry| digest.add_record(entry))?;
        }
    }
    Ok(())
}

/// Removes the location of the data, which a transfer changes.
fn without_location(organization: Organization) -> Organization {
    Organization { placement: Placement::Shared, container: None, ..organization }
}

/// The documents of an organization: their collections, their order, their bytes.
pub(crate) async fn container(side: &OpenSide, organization: &Organization) -> Result<Digest> {
    let mut digest = Digest::default();
    for collection in side.scan.collections(organization).await? {
        let mut pages = side.scan.documents(organization, &collection);
        // Not every engine lists a collection without documents.
        let mut is_named = false;
        while let Some(page) = pages.try_next().await? {
            for document in &page {
                if !is_named {
                    digest.add_part(collection.as_bytes());
                    is_named = true;
                }
                digest.add(document.as_bytes());
            }
        }
    }
    Ok(digest)
}

/// The schemas that an organization's collections have: each with its collection's name, its level and its action.
pub(crate) async fn schemas(side: &OpenSide, organization: &Organization) -> Result<Digest> {
    let (collections, mut digest) = (&side.ports.collections, Digest::default());
    let mut after = None;
    loop {
        let page = collections.list_collections(organization, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(digest) };
        after = Some(last.name.clone());
        for CollectionInfo { name, .. } in page {
            if let Some(schema) = collections.get_schema(organization, &name).await? {
                digest.add_part(name.as_str().as_bytes());
                digest.add_record(&*schema)?;
            }
        }
    }
}
