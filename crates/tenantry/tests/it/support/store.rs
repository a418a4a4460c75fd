//! The store behind a service, for records that no call of the API makes. Only while the service is stopped.

use super::mongodb::uri;
use super::test_env::TestEnv;
use jiff::Timestamp;
use std::sync::Arc;
use tenantry::system::SystemClock;
use tenantry_domain::account::Role;
use tenantry_domain::api_key::{ApiKey, ApiKeyHash, ApiKeyOwner};
use tenantry_domain::email::EmailAddress;
use tenantry_domain::ids::{ApiKeyId, InvitationId, OrganizationId};
use tenantry_domain::invitation::Invitation;
use tenantry_domain::permission::ORGANIZATION_KEY_PERMISSIONS;
use tenantry_domain::store::{BoundedInsert, Store};
use tenantry_store::{EmbeddedOptions, MongoOptions, StoreOptions, open, open_mongodb};

/// Lets `work` have the store of `test_env`.
pub async fn with_store<T>(test_env: &TestEnv, work: impl AsyncFnOnce(Store) -> T) -> T {
    let options = StoreOptions::default();
    let opened = match test_env.database() {
        None => {
            open(&EmbeddedOptions::new(test_env.data_dir(), Arc::new(SystemClock)), &options).await.unwrap()
        }
        Some(database) => open_mongodb(&MongoOptions::new(uri(), database.name()), &options).await.unwrap(),
    };
    let outcome = work(opened.store.clone()).await;
    opened.close().await;
    outcome
}

/// A key, told from others by its number.
pub fn api_key(number: u8, owner: ApiKeyOwner) -> ApiKey {
    ApiKey {
        id: ApiKeyId::from_bytes([number; 12]),
        owner,
        name: format!("key {number}"),
        hash: ApiKeyHash::from_bytes([number; 32]),
        unconfirmed: None,
        generation: 0,
        replaced: None,
        permissions: ORGANIZATION_KEY_PERMISSIONS,
        organizations: None,
        maker: None,
        created_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        last_used_at: Some(Timestamp::UNIX_EPOCH),
        version: 1,
    }
}

/// An invitation that ends then, told from others by its number.
pub fn invitation(number: u8, organization_id: OrganizationId, expires_at: Timestamp) -> Invitation {
    Invitation {
        id: InvitationId::from_bytes([number; 12]),
        organization_id,
        email: EmailAddress::parse(&format!("guest-{number}@example.com")).unwrap(),
        role: Role::Member,
        role_made_at: None,
        secret_hash: [number; 32],
        inviter: None,
        inviter_key: None,
        created_at: Timestamp::UNIX_EPOCH,
        expires_at,
        mailed: false,
        acceptance: None,
        version: 1,
    }
}

/// Adds both, in that order.
pub async fn insert(store: &Store, keys: &[ApiKey], invitations: &[Invitation]) {
    for key in keys {
        assert_eq!(store.api_keys.insert_api_key(key, 100, None).await.unwrap(), BoundedInsert::New);
    }
    for invitation in invitations {
        let inserted = store.invitations.insert_invitation(invitation, 100, None).await.unwrap();
        assert_eq!(inserted, BoundedInsert::New);
    }
}
