//! The links in an account's record: which are good, and what using them changes.

use super::Account;
use crate::account_link::{AccountLink, LinkKind, LinkToken};
use jiff::Timestamp;
use subtle::ConstantTimeEq;

impl Account {
    /// The links that can be used at `now`.
    pub fn good_links(&self, now: Timestamp) -> impl Iterator<Item = &AccountLink> {
        let own = self.email.key();
        self.links.iter().filter(move |link| {
            let is_bound = link.kind == LinkKind::EmailChange || link.email.key() == own;
            is_bound && !link.is_expired(now)
        })
    }

    /// The link of that token, if it can be used at `now`.
    #[must_use]
    pub fn link_of(&self, token: &LinkToken, now: Timestamp) -> Option<&AccountLink> {
        if token.account_id() != self.id || self.removing_since.is_some() {
            return None;
        }
        let hash = token.hash();
        self.good_links(now).find(|link| link.kind == token.kind() && link.secret_hash.ct_eq(&hash).into())
    }

    /// The next version with that link, in place of any other of its kind.
    #[must_use]
    pub fn with_link(&self, link: AccountLink, now: Timestamp) -> Self {
        let mut next = self.successor(now);
        next.links.retain(|other| other.kind != link.kind && !other.is_expired(now));
        next.links.push(link);
        next
    }

    /// The next version without a link of that kind.
    #[must_use]
    pub fn without_link(&self, kind: LinkKind, now: Timestamp) -> Self {
        let mut next = self.successor(now);
        next.links.retain(|link| link.kind != kind && !link.is_expired(now));
        next
    }

    /// The account with its address proven, which needs no link for that any more.
    #[must_use]
    pub fn with_proven_address(mut self, now: Timestamp) -> Self {
        self.email_verified_at = Some(now);
        self.links.retain(|link| link.kind != LinkKind::EmailVerification);
        self
    }

    /// The account with all its links to identity providers void.
    #[must_use]
    pub const fn without_identities(mut self) -> Self {
        self.identity_epoch = self.credential_epoch;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{CredentialChange, PasswordHash};
    use crate::account_link::LinkDelivery;
    use crate::email::EmailAddress;
    use crate::ids::{AccountId, Entropy};

    struct Repeating(u8);
    impl Entropy for Repeating {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    const ID: AccountId = AccountId::from_bytes([0xab; 12]);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn email(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    fn account() -> Account {
        Account::new(ID, email("a@example.com"), PasswordHash(String::new()), at(0))
    }

    fn link(kind: LinkKind, address: &str, token: &LinkToken) -> AccountLink {
        AccountLink {
            kind,
            email: email(address),
            delivery: LinkDelivery::Mail,
            secret_hash: token.hash(),
            created_at: at(0),
            expires_at: at(100),
        }
    }

    #[test]
    fn link_is_good_for_its_account_until_it_ends_or_is_replaced() {
        let kind = LinkKind::EmailVerification;
        let (token, second) =
            (LinkToken::generate(kind, ID, &Repeating(1)), LinkToken::generate(kind, ID, &Repeating(2)));
        let account = account().with_link(link(kind, "a@example.com", &token), at(1));
        assert!(account.link_of(&token, at(99)).is_some());
        assert!(account.link_of(&token, at(100)).is_none() && account.link_of(&second, at(99)).is_none());
        let other = Account { id: AccountId::from_bytes([1; 12]), ..account.clone() };
        assert!(other.link_of(&token, at(99)).is_none());
        let moved = Account { email: email("b@example.com"), ..account.clone() };
        assert!(moved.link_of(&token, at(99)).is_none());
        let removing = Account { removing_since: Some(at(2)), ..account.clone() };
        assert!(removing.link_of(&token, at(99)).is_none());
        let again = account.with_link(link(kind, "a@example.com", &second), at(2));
        assert!(again.link_of(&token, at(99)).is_none() && again.link_of(&second, at(99)).is_some());
        assert_eq!(again.links.len(), 1);
        assert!(again.without_link(kind, at(3)).links.is_empty());
        assert!(again.with_proven_address(at(3)).links.is_empty());
    }

    #[test]
    fn change_of_credentials_ends_links_and_new_address_is_unproven() {
        let token = LinkToken::generate(LinkKind::EmailChange, ID, &Repeating(1));
        let account = account().with_link(link(LinkKind::EmailChange, "b@example.com", &token), at(1));
        let account = account.with_proven_address(at(1));
        assert!(account.link_of(&token, at(99)).is_some());
        let change =
            CredentialChange { password_hash: Some(PasswordHash("x".into())), ..CredentialChange::default() };
        let changed = account.with_credentials(&change, at(2));
        assert!(changed.links.is_empty() && changed.email_verified_at == Some(at(1)));
        for (address, proven) in [("A@Example.com", Some(at(1))), ("b@example.com", None)] {
            let change = CredentialChange { email: Some(email(address)), ..CredentialChange::default() };
            assert_eq!(account.with_credentials(&change, at(2)).email_verified_at, proven, "{address}");
        }
    }
}
