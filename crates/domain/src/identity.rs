//! A link between an account and a person as an identity provider knows them: by issuer and subject.
//!
//! The link says who somebody is, and nothing about what they may do: that is in the memberships of the account.

use crate::account::Account;
use crate::clock;
use crate::ids::{AccountId, IdentityId};
use crate::limits::IDENTITY_SETTLE;
use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How a link came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityOrigin {
    /// An invitation was accepted with a token of the issuer.
    Invitation,
    /// The settings make the issuer the authority for the domain of the account's address.
    Address,
    /// The account itself showed a token of the issuer.
    Account,
}

impl IdentityOrigin {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::Address => "address",
            Self::Account => "account",
        }
    }
}

/// The record of a link. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Follows from issuer and subject, so that the database lets each pair be linked once.
    pub id: IdentityId,
    /// The `iss` of the issuer's tokens.
    pub issuer: String,
    /// The `sub` of the person.
    pub subject: String,
    /// The account.
    pub account_id: AccountId,
    /// The epoch of the account's credentials in which it was made: an account may void the links of before.
    pub credential_epoch: u32,
    /// How it came about.
    pub origin: IdentityOrigin,
    /// When.
    pub created_at: Timestamp,
}

impl Identity {
    /// Whether it is a link with that account, and not void.
    #[must_use]
    pub fn opens(&self, account: &Account) -> bool {
        self.account_id == account.id && self.credential_epoch >= account.identity_epoch
    }

    /// Whether it is so new that its account may still be made.
    #[must_use]
    pub fn is_settling(&self, now: Timestamp) -> bool {
        clock::apart(self.created_at, now) <= IDENTITY_SETTLE
    }

    /// Whether it is the link of that pair. Two pairs with one id would take some 2^96 attempts to find; if they
    /// were found, the second would not be linked.
    #[must_use]
    pub fn is_of(&self, issuer: &str, subject: &str) -> bool {
        self.issuer == issuer && self.subject == subject
    }
}

/// The id of the link of that pair.
#[must_use]
pub fn identity_id(issuer: &str, subject: &str) -> IdentityId {
    let mut hash = Context::new(&SHA256);
    for part in [issuer, subject] {
        // The length first, so that no two pairs are one text.
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finish();
    let mut bytes = [0; 12];
    bytes.copy_from_slice(&digest.as_ref()[..12]);
    IdentityId::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{CredentialChange, PasswordHash};
    use crate::email::EmailAddress;

    #[test]
    fn identity_is_void_before_the_epoch_of_its_account() {
        let now = Timestamp::UNIX_EPOCH;
        let email = EmailAddress::parse("a@example.com").unwrap();
        let account = Account::new(AccountId::from_bytes([1; 12]), email, PasswordHash(String::new()), now);
        let link = |account: &Account| Identity {
            id: identity_id("https://a", "b"),
            issuer: "https://a".into(),
            subject: "b".into(),
            account_id: account.id,
            credential_epoch: account.credential_epoch,
            origin: IdentityOrigin::Account,
            created_at: now,
        };
        let first = link(&account);
        assert!(first.opens(&account));
        assert!(!first.opens(&Account { id: AccountId::from_bytes([2; 12]), ..account.clone() }));
        let changed = account.with_credentials(&CredentialChange::default(), now);
        assert!(first.opens(&changed), "a new password keeps links");
        let proven = account.with_credentials(&CredentialChange::default(), now).without_identities();
        assert!(!first.opens(&proven) && link(&proven).opens(&proven));
        let later = proven.with_credentials(&CredentialChange::default(), now);
        assert!(!first.opens(&later) && link(&proven).opens(&later));
    }

    #[test]
    fn identity_id_tells_all_pairs_apart() {
        let pairs = [
            ("https://a", "b"),
            ("https://a", "B"),
            ("https://ab", ""),
            ("https://", "ab"),
            ("", "https://ab"),
        ];
        for (index, (issuer, subject)) in pairs.iter().enumerate() {
            assert_eq!(identity_id(issuer, subject), identity_id(issuer, subject));
            for (other_issuer, other_subject) in &pairs[index + 1..] {
                assert_ne!(identity_id(issuer, subject), identity_id(other_issuer, other_subject));
            }
        }
    }
}
