//! Links that are sent to a person: to prove an address, to change it, or to get a new password.
//!
//! What is kept of them is in the account's record, at most one of each kind. So using one, and what it changes, are
//! one write: of several who use it at once, one does. A further link of a kind replaces the one before, and every
//! change of the account's password or address ends them all.

use crate::email::EmailAddress;
use crate::ids::{AccountId, Entropy};
use crate::secret_text::{self, MalformedSecret};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// A new password for who has forgotten the old one.
    PasswordReset,
    /// Proof that the account's address is its person's.
    EmailVerification,
    /// Another address for the account, and the proof of it.
    EmailChange,
}

impl LinkKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::PasswordReset, Self::EmailVerification, Self::EmailChange];

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PasswordReset => "password_reset",
            Self::EmailVerification => "email_verification",
            Self::EmailChange => "email_change",
        }
    }

    /// What its tokens have after `tnt_`.
    const fn token_kind(self) -> &'static str {
        match self {
            Self::PasswordReset => "reset",
            Self::EmailVerification => "verify",
            Self::EmailChange => "address",
        }
    }

    /// The path, below `PUBLIC_URL`, of the page that takes the token.
    #[must_use]
    pub const fn page(self) -> &'static str {
        match self {
            Self::PasswordReset => "/reset-password",
            Self::EmailVerification => "/verify-email",
            Self::EmailChange => "/confirm-email",
        }
    }
}

impl FromStr for LinkKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| format!("Must be one of {}.", Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// The token of a link, well-formed but not known to be good. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct LinkToken {
    kind: LinkKind,
    account_id: AccountId,
    text: Zeroizing<String>,
}

impl fmt::Debug for LinkToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkToken")
            .field("kind", &self.kind)
            .field("account", &self.account_id)
            .finish_non_exhaustive()
    }
}

impl LinkToken {
    /// A new one for that account.
    #[must_use]
    pub fn generate(kind: LinkKind, account_id: AccountId, entropy: &dyn Entropy) -> Self {
        Self { kind, account_id, text: secret_text::generate(kind.token_kind(), account_id, entropy) }
    }

    /// Reads the token of a link of that kind.
    ///
    /// # Errors
    /// [`MalformedSecret`].
    pub fn parse(kind: LinkKind, text: &str) -> Result<Self, MalformedSecret> {
        let (found, id) = secret_text::parse(text)?;
        let account_id = id.parse().map_err(|_| MalformedSecret)?;
        if found != kind.token_kind() {
            return Err(MalformedSecret);
        }
        Ok(Self { kind, account_id, text: Zeroizing::new(text.to_owned()) })
    }

    /// What it is for.
    #[must_use]
    pub const fn kind(&self) -> LinkKind {
        self.kind
    }

    /// The account that it is for.
    #[must_use]
    pub const fn account_id(&self) -> AccountId {
        self.account_id
    }

    /// The text, to be shown or sent once.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the store keeps.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        secret_text::hash(&self.text)
    }
}

/// How a link reaches its person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkDelivery {
    /// The operator has seen it and brings it.
    Operator,
    /// The service has mailed it to its address, and nobody else has seen it.
    Mail,
}

impl LinkDelivery {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Mail => "mail",
        }
    }
}

/// What the account's record keeps of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLink {
    /// What it is for.
    pub kind: LinkKind,
    /// The address that it is bound to: the account's own, or the new one.
    pub email: EmailAddress,
    /// How it reaches its person.
    pub delivery: LinkDelivery,
    /// The SHA-256 of its token.
    #[serde(with = "hex::serde")]
    pub secret_hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl AccountLink {
    /// Whether its time has ended.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }

    /// Whether using it proves the address that it is bound to. A link for a new password may be carried to who says
    /// that they are the account's person; so only one that was mailed proves their address.
    #[must_use]
    pub const fn proves_address(&self) -> bool {
        !matches!((self.kind, self.delivery), (LinkKind::PasswordReset, LinkDelivery::Operator))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Repeating(u8);
    impl Entropy for Repeating {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    const ID: AccountId = AccountId::from_bytes([0xab; 12]);

    #[test]
    fn link_token_parse_rejects_changed_character_and_kind() {
        for (kind, prefix) in
            LinkKind::ALL.into_iter().zip(["tnt_reset_abab", "tnt_verify_abab", "tnt_address_abab"])
        {
            let token = LinkToken::generate(kind, ID, &Repeating(1));
            assert!(token.as_str().starts_with(prefix), "{}", token.as_str());
            assert!(!format!("{token:?}").contains("0101"));
            assert_eq!(LinkToken::parse(kind, token.as_str()).unwrap().account_id(), ID);
            for other in LinkKind::ALL.into_iter().filter(|other| *other != kind) {
                assert!(LinkToken::parse(other, token.as_str()).is_err(), "{other:?}");
            }
            for position in 0..token.as_str().len() {
                let mut changed = token.as_str().to_owned().into_bytes();
                changed[position] = if changed[position] == b'0' { b'1' } else { b'0' };
                let changed = std::str::from_utf8(&changed).unwrap();
                assert!(LinkToken::parse(kind, changed).is_err(), "{position}");
            }
        }
    }

    #[test]
    fn carried_link_for_new_password_proves_no_address() {
        for kind in LinkKind::ALL {
            let mailed = AccountLink {
                kind,
                email: EmailAddress::parse("a@example.com").unwrap(),
                delivery: LinkDelivery::Mail,
                secret_hash: [1; 32],
                created_at: Timestamp::UNIX_EPOCH,
                expires_at: Timestamp::MAX,
            };
            let carried = AccountLink { delivery: LinkDelivery::Operator, ..mailed.clone() };
            assert!(mailed.proves_address());
            assert_eq!(carried.proves_address(), kind != LinkKind::PasswordReset);
        }
    }
}
