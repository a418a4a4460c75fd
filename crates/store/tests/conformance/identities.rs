//! What a store owes the records of identities.

use crate::engines::{Subject, in_parallel, on_every_engine};
use crate::given::{self, START};
use std::sync::Arc;
use tenantry_domain::identity::{Identity, IdentityOrigin, identity_id};
use tenantry_domain::ids::AccountId;
use tenantry_domain::store::BoundedInsert::{Exists, Full, New};

const LIMIT: u32 = 5;

fn identity(account_id: AccountId, subject: &str) -> Identity {
    let issuer = "https://login.example.com/$record";
    let id = identity_id(issuer, &format!("{account_id}/{subject}"));
    let (issuer, subject) = (issuer.to_owned(), format!("{account_id}/{subject}"));
    Identity {
        id,
        issuer,
        subject,
        account_id,
        credential_epoch: 2,
        origin: IdentityOrigin::Account,
        created_at: START,
    }
}

fn account() -> AccountId {
    AccountId::from_bytes(given::id())
}

impl Subject {
    async fn identity(&self, of: &Identity) -> Option<Identity> {
        let recent = self.store.identities.get_recent_identity(of.id).await.unwrap();
        let now = self.store.identities.get_identity(of.id).await.unwrap();
        assert_eq!(recent, now, "who has changed it sees that at once");
        now.map(Arc::unwrap_or_clone)
    }
}

#[test]
fn identity_is_linked_once_and_found_again() {
    on_every_engine(|subject| async move {
        let identities = &subject.store.identities;
        let linked = identity(account(), "ada");
        assert_eq!(subject.identity(&linked).await, None);
        assert_eq!(identities.insert_identity(&linked, LIMIT, None).await.unwrap(), New);
        let stolen = Identity { account_id: account(), ..linked.clone() };
        assert_eq!(identities.insert_identity(&stolen, LIMIT, None).await.unwrap(), Exists);
        assert_eq!(subject.identity(&linked).await, Some(linked.clone()));
        let others = identities.list_identities(stolen.account_id, 10).await.unwrap();
        assert!(others.is_empty());
        assert!(!identities.delete_identity(linked.id, stolen.account_id, None).await.unwrap());
        assert!(identities.delete_identity(linked.id, linked.account_id, None).await.unwrap());
        assert!(!identities.delete_identity(linked.id, linked.account_id, None).await.unwrap());
        assert_eq!(subject.identity(&linked).await, None);
        assert_eq!(identities.insert_identity(&stolen, LIMIT, None).await.unwrap(), New);
    });
}

#[test]
fn identities_of_an_account_are_bounded_and_listed_in_order() {
    on_every_engine(|subject| async move {
        let account = account();
        let all: Vec<_> = (0..12).map(|number| identity(account, &number.to_string())).collect();
        let store = subject.store.clone();
        let outcomes = in_parallel(all.len(), move |number| {
            let (identities, identity) = (store.identities.clone(), all[number].clone());
            async move { identities.insert_identity(&identity, LIMIT, None).await.unwrap() }
        })
        .await;
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == New).count(), 5, "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Full).count(), 7, "{outcomes:?}");
        let listed = subject.store.identities.list_identities(account, 10).await.unwrap();
        assert_eq!(listed.len(), 5);
        assert!(listed.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert_eq!(subject.store.identities.list_identities(account, 2).await.unwrap(), listed[..2]);
    });
}
