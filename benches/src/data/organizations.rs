//! Many organizations in little time: through the store's ports, many at once so that they share commits, and
//! with one password hash for all of them.

use crate::runtime::block_on;
use anyhow::{Context, Result, anyhow};
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use tenantry::system::{SystemClock, SystemEntropy};
use tenantry_domain::account::{Account, Membership, PasswordHash, Role};
use tenantry_domain::clock::Clock;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::email::EmailAddress;
use tenantry_domain::ids::{AccountId, OperationId, OrganizationId, random};
use tenantry_domain::name::OrganizationName;
use tenantry_domain::operation::{Actor, OperationKind, OperationRecord, OperationState};
use tenantry_domain::organization::{Naming, Organization, Placement, State};
use tenantry_domain::password::hash::{self, Argon2Memory};
use tenantry_domain::password::policy::NewPassword;
use tenantry_domain::store::{InsertOutcome, NewContainer, Store};
use tenantry_store::{EmbeddedOptions, MongoOptions, OpenStore, StoreOptions};
use tokio::task::JoinSet;

/// The password of every admin.
pub const PASSWORD: &str = "correct horse battery staple";
/// How many are made at the same time.
pub const AT_ONCE: usize = 256;

/// Makes `count` organizations in `data_dir`: `Organization {n}`, whose owner is `admin{n}@example.com`, n from 0.
pub fn seed_embedded(data_dir: &Path, count: u32) -> Result<()> {
    block_on(async {
        let opened = tenantry_store::open(
            &EmbeddedOptions::new(data_dir, Arc::new(SystemClock)),
            &StoreOptions::default(),
        )
        .await?;
        seed(opened, 0, count, AT_ONCE).await
    })
}

/// Makes organizations in a database of MongoDB, in that placement, numbered from `first`.
pub fn seed_mongodb(uri: &str, database: &str, placement: Placement, first: u32, count: u32) -> Result<()> {
    block_on(async {
        let options = MongoOptions { placement, ..MongoOptions::new(uri, database) };
        // A new collection keeps others waiting.
        seed(
            tenantry_store::open_mongodb(&options, &StoreOptions::default()).await?,
            first,
            count,
            AT_ONCE / 8,
        )
        .await
    })
}

/// Makes the collection of that name, and with it the file of that organization; the service must not run.
pub fn make_collection(data_dir: &Path, organization: OrganizationId, name: &str) -> Result<()> {
    block_on(async {
        let options = EmbeddedOptions::new(data_dir, Arc::new(SystemClock));
        let opened = tenantry_store::open(&options, &StoreOptions::default()).await?;
        let organization = opened.store.organizations.get_organization(organization).await?;
        let organization = organization.context("there is no such organization")?;
        let name = CollectionName::parse(name).map_err(anyhow::Error::msg)?;
        let made = opened.store.collections.insert_collection(&organization, &name).await?;
        anyhow::ensure!(made == InsertOutcome::New, "there is one already");
        opened.close().await;
        Ok(())
    })
}

async fn seed(opened: OpenStore, first: u32, count: u32, at_once: usize) -> Result<()> {
    let password_hash = password_hash()?;
    let placement = opened.store.containers.choose_placement(None).await?;
    let mut running = JoinSet::new();
    for number in first..first + count {
        if running.len() == at_once {
            running.join_next().await.context("none is running")???;
        }
        running.spawn(make(opened.store.clone(), number, placement, password_hash.clone()));
    }
    while let Some(made) = running.join_next().await {
        made??;
    }
    opened.close().await;
    Ok(())
}

/// The hash of [`PASSWORD`].
pub fn password_hash() -> Result<PasswordHash> {
    let password = NewPassword::parse(PASSWORD, 8).map_err(|rule| anyhow!(rule))?;
    Ok(PasswordHash(hash::hash(&password, random(&SystemEntropy), &mut Argon2Memory::default())))
}

/// Makes one, as a finished create leaves it.
async fn make(store: Store, number: u32, placement: Placement, password_hash: PasswordHash) -> Result<()> {
    let now = SystemClock.now();
    let account = owner(number, password_hash, now)?;
    let id = account.memberships[0].organization_id;
    let name =
        OrganizationName::parse(&format!("Organization {number}")).map_err(|rule| anyhow!("{rule}"))?;
    let naming = Naming::new(name, "tenant_");
    let container = NewContainer {
        organization_id: id,
        fence: 1,
        namespace: naming.namespace.clone(),
        placement,
        created_at: now,
    };
    let organization = Organization {
        id,
        reserved: naming.reserved(),
        naming,
        state: State::Active,
        suspended: false,
        placement: container.placement,
        // The embedded engine makes a file before the first write.
        container: match store.containers.named() {
            Some(_) => store.containers.create_container(&container).await?,
            None => None,
        },
        owner_id: account.id,
        owners: vec![account.id],
        members: 1,
        roles: tenantry_domain::role::OwnRoles::default(),
        trails: Vec::new(),
        token_epoch: 0,
        token_epoch_since: None,
        delete_protection: false,
        legal_hold: false,
        quota: tenantry_domain::organization::Quota::default(),
        created_at: now,
        modified_at: now,
        deleted_at: None,
        purge_at: None,
        version: 4,
        operation: None,
    };
    let _ = store.organizations.insert_organization(&organization).await?;
    let _ = store.accounts.insert_account(&account).await?;
    let _ = store.operations.insert_operation(&log_entry(id, now), None).await?;
    Ok(())
}

fn owner(number: u32, password_hash: PasswordHash, now: Timestamp) -> Result<Account> {
    let email =
        EmailAddress::parse(&format!("admin{number}@example.com")).map_err(|rule| anyhow!("{rule}"))?;
    let organization_id = OrganizationId::new(now, &SystemEntropy);
    Ok(account(email, password_hash, vec![Membership::new(organization_id, Role::Owner, 0, now)], now))
}

/// An account with that password.
pub fn account(
    email: EmailAddress,
    password_hash: PasswordHash,
    memberships: Vec<Membership>,
    now: Timestamp,
) -> Account {
    Account {
        id: AccountId::new(now, &SystemEntropy),
        email_key: Some(email.key()),
        email,
        password_hash,
        credential_epoch: 0,
        identity_epoch: 0,
        kept_session: None,
        last_organization: None,
        memberships,
        last_operation: None,
        removing_since: None,
        email_verified_at: None,
        links: Vec::new(),
        created_at: now,
        modified_at: now,
        version: 1,
    }
}

fn log_entry(organization_id: OrganizationId, now: Timestamp) -> OperationRecord {
    OperationRecord {
        id: OperationId::new(now, &SystemEntropy),
        organization_id,
        kind: OperationKind::Create,
        state: OperationState::Succeeded,
        actor: Actor::Anonymous,
        done: 3,
        steps: 3,
        refused: None,
        documents: None,
        member: None,
        role: None,
        imported: None,
        started_at: now,
        finished_at: Some(now),
    }
}
