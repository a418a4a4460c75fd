//! Members of one organization, and one account in all of them, in little time: through the store's ports, with one
//! password hash for all.

use super::organizations::{AT_ONCE, account, password_hash};
use crate::runtime::block_on;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::sync::Arc;
use tenantry::system::SystemClock;
use tenantry_domain::account::{Membership, PasswordHash, Role};
use tenantry_domain::clock::Clock;
use tenantry_domain::email::EmailAddress;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::store::{Store, UpdateOutcome};
use tenantry_store::{EmbeddedOptions, MongoOptions, OpenStore, StoreOptions};
use tokio::task::JoinSet;

/// The address of the account that belongs to every organization.
pub const EVERYWHERE: &str = "everywhere@example.com";

/// How many members there are to be.
#[derive(Clone, Copy)]
pub struct Members {
    /// Organizations that were made before, numbered from 0.
    pub organizations: u32,
    /// Further members of the first.
    pub of_the_first: u32,
}

/// Adds members to the organizations in `data_dir`.
pub fn add_embedded(data_dir: &Path, members: Members) -> Result<()> {
    block_on(async {
        let options = EmbeddedOptions::new(data_dir, Arc::new(SystemClock));
        add(tenantry_store::open(&options, &StoreOptions::default()).await?, members).await
    })
}

/// Adds members to the organizations in a database of MongoDB.
pub fn add_mongodb(uri: &str, database: &str, members: Members) -> Result<()> {
    block_on(async {
        let options = MongoOptions::new(uri, database);
        add(tenantry_store::open_mongodb(&options, &StoreOptions::default()).await?, members).await
    })
}

async fn add(opened: OpenStore, members: Members) -> Result<()> {
    let store = &opened.store;
    let hash = password_hash()?;
    let mut ids = Vec::new();
    for number in 0..members.organizations {
        ids.push(organization_of(store, number).await?);
    }
    insert(store, EVERYWHERE, hash.clone(), &ids).await?;
    for (number, id) in ids.iter().enumerate() {
        count(store, *id, if number == 0 { members.of_the_first + 1 } else { 1 }).await?;
    }
    let first = [*ids.first().context("there is no organization")?];
    let mut running = JoinSet::new();
    for number in 0..members.of_the_first {
        if running.len() == AT_ONCE {
            running.join_next().await.context("none is running")???;
        }
        let (store, hash) = (store.clone(), hash.clone());
        running
            .spawn(async move { insert(&store, &format!("member{number}@example.com"), hash, &first).await });
    }
    while let Some(inserted) = running.join_next().await {
        inserted??;
    }
    opened.close().await;
    Ok(())
}

/// The organization of that number, found by its owner.
async fn organization_of(store: &Store, number: u32) -> Result<OrganizationId> {
    let owner = address(&format!("admin{number}@example.com"))?;
    let owner =
        store.accounts.find_account(&owner.key()).await?.context("an organization without an owner")?;
    Ok(owner.memberships.first().context("an owner of nothing")?.organization_id)
}

async fn insert(store: &Store, email: &str, hash: PasswordHash, ids: &[OrganizationId]) -> Result<()> {
    let now = SystemClock.now();
    let memberships = ids.iter().map(|id| Membership::new(*id, Role::Member, 0, now)).collect();
    let account = account(address(email)?, hash, memberships, now);
    let _ = store.accounts.insert_account(&account).await?;
    Ok(())
}

/// Says in an organization's record that it has `more` members.
async fn count(store: &Store, id: OrganizationId, more: u32) -> Result<()> {
    let organization = store.organizations.get_organization(id).await?.context("it is gone")?;
    let mut organization = Arc::unwrap_or_clone(organization);
    organization.members += more;
    organization.version += 1;
    let outcome = store.organizations.update_organization(&organization).await?;
    ensure!(outcome == UpdateOutcome::Done, "somebody else changed it");
    Ok(())
}

fn address(text: &str) -> Result<EmailAddress> {
    EmailAddress::parse(text).map_err(|rule| anyhow::anyhow!("{rule}"))
}
