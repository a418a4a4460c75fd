//! Mails: what they say, and the record of one that waits to be sent.
//!
//! A mail carries a link, and an address. So the store has neither in clear: what a mail says is sealed (AES-256-GCM)
//! under a key that is derived from the secret of the installation, and bound to its record.

use crate::account::Role;
use crate::email::EmailAddress;
use crate::error::{Error, Result};
use crate::ids::{AccountId, Entropy, InvitationId, MailId, OrganizationId, random};
use crate::mac_keys::MacKeys;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// Tells the keys that mails are sealed with from all others of the same secret.
const PURPOSE: &[u8] = b"tenantry mail v1\0";

/// What a mail is about; each has a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailKind {
    /// An invitation into an organization.
    Invitation,
    /// A link that proves the address of an account.
    EmailVerification,
    /// A link to the new address of an account.
    EmailChange,
    /// Word to the old address of an account that it has another one.
    EmailChanged,
    /// A link for a new password.
    PasswordReset,
    /// Whether mail works.
    Test,
}

impl MailKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Invitation,
        Self::EmailVerification,
        Self::EmailChange,
        Self::EmailChanged,
        Self::PasswordReset,
        Self::Test,
    ];

    /// The name of its template.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::EmailVerification => "email_verification",
            Self::EmailChange => "email_change",
            Self::EmailChanged => "email_changed",
            Self::PasswordReset => "password_reset",
            Self::Test => "test",
        }
    }
}

/// What a mail says, apart from the words of its template. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// What it is about.
    pub kind: MailKind,
    /// Whom it is sent to.
    pub to: EmailAddress,
    /// The token of its link. A mail for a new password has none until it is sent: only then is looked whether the
    /// address has an account.
    #[serde(default)]
    pub token: Option<String>,
    /// When the link ends.
    #[serde(default)]
    pub link_expires_at: Option<Timestamp>,
    /// The organization that invites.
    #[serde(default)]
    pub organization_name: Option<String>,
    /// The role that it offers.
    #[serde(default)]
    pub role: Option<Role>,
    /// The invitation.
    #[serde(default)]
    pub invitation_id: Option<InvitationId>,
    /// The account that it is about.
    #[serde(default)]
    pub account_id: Option<AccountId>,
    /// The other address of a change.
    #[serde(default)]
    pub other_address: Option<EmailAddress>,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Mail {
    /// A mail without a link.
    #[must_use]
    pub const fn new(kind: MailKind, to: EmailAddress) -> Self {
        Self {
            kind,
            to,
            token: None,
            link_expires_at: None,
            organization_name: None,
            role: None,
            invitation_id: None,
            account_id: None,
            other_address: None,
        }
    }
}

/// The record of a mail that waits to be sent. One compare-and-set on `version` changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedMail {
    /// Never changes.
    pub id: MailId,
    /// The organization on whose behalf it is sent.
    pub organization_id: Option<OrganizationId>,
    /// What it says, sealed.
    #[serde(with = "hex::serde")]
    pub sealed: Vec<u8>,
    /// How often somebody began to send it.
    pub attempts: u32,
    /// When it is to be sent, or to be tried again.
    pub due_at: Timestamp,
    /// When it is given up.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// Counts the changes of this record.
    pub version: u64,
}

impl QueuedMail {
    /// A mail that is due at `due_at`.
    ///
    /// # Errors
    /// `internal`.
    pub fn new(
        mail: &Mail,
        organization_id: Option<OrganizationId>,
        (now, due_at, expires_at): (Timestamp, Timestamp, Timestamp),
        keys: &MacKeys,
        entropy: &dyn Entropy,
    ) -> Result<Self> {
        let id = MailId::new(now, entropy);
        Ok(Self {
            id,
            organization_id,
            sealed: seal(id, mail, keys, entropy)?,
            attempts: 0,
            due_at,
            expires_at,
            created_at: now,
            version: 1,
        })
    }

    /// The next version, to be tried at `due_at`.
    #[must_use]
    pub fn rescheduled(&self, due_at: Timestamp) -> Self {
        Self { due_at, version: self.version + 1, ..self.clone() }
    }

    /// The next version, which says something else.
    ///
    /// # Errors
    /// `internal`.
    pub fn rewritten(&self, mail: &Mail, keys: &MacKeys, entropy: &dyn Entropy) -> Result<Self> {
        let sealed = seal(self.id, mail, keys, entropy)?;
        Ok(Self { sealed, version: self.version + 1, ..self.clone() })
    }

    /// What it says; `None` if it was sealed under another secret, or changed since.
    #[must_use]
    pub fn open(&self, keys: &MacKeys) -> Option<Mail> {
        let (nonce, sealed) = self.sealed.split_at_checked(NONCE_LEN)?;
        let nonce: [u8; NONCE_LEN] = nonce.try_into().ok()?;
        keys.accepted().find_map(|key| {
            let mut text = Zeroizing::new(sealed.to_vec());
            let aad = Aad::from(self.id.as_bytes());
            let opened =
                sealing_key(key)?.open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut text).ok()?;
            serde_json::from_slice(opened).ok()
        })
    }
}

fn seal(id: MailId, mail: &Mail, keys: &MacKeys, entropy: &dyn Entropy) -> Result<Vec<u8>> {
    let refused = || Error::internal("a mail could not be sealed");
    let nonce: [u8; NONCE_LEN] = random(entropy);
    let mut text = serde_json::to_vec(mail).map_err(|_| refused())?;
    let key = sealing_key(keys.current()).ok_or_else(refused)?;
    let aad = Aad::from(id.as_bytes());
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
        .map_err(|_| refused())?;
    Ok([&nonce[..], &text].concat())
}

fn sealing_key(mac_key: &[u8; 32]) -> Option<LessSafeKey> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, mac_key), PURPOSE);
    UnboundKey::new(&AES_256_GCM, tag.as_ref()).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct FixedEntropy;
    impl Entropy for FixedEntropy {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn queued(keys: &MacKeys) -> (Mail, QueuedMail) {
        let mail = Mail {
            token: Some("tnt_reset_canary".to_owned()),
            ..Mail::new(MailKind::PasswordReset, EmailAddress::parse("who@example.com").unwrap())
        };
        let at = Timestamp::UNIX_EPOCH;
        (mail.clone(), QueuedMail::new(&mail, None, (at, at, at), keys, &FixedEntropy).unwrap())
    }

    #[test]
    fn sealed_mail_is_opened_by_either_secret_and_shows_nothing() {
        let keys = MacKeys::new([1; 32], None);
        let (mail, queued) = queued(&keys);
        let stored = serde_json::to_string(&queued).unwrap();
        let shown = format!("{mail:?} {stored} {}", String::from_utf8_lossy(&queued.sealed));
        for secret in ["canary", "who@", "example.com"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(queued.open(&keys) == Some(mail.clone()));
        assert!(queued.open(&MacKeys::new([2; 32], Some([1; 32]))) == Some(mail));
        assert!(queued.open(&MacKeys::new([2; 32], None)).is_none());
    }

    #[test]
    fn sealed_mail_that_was_changed_or_moved_stays_closed() {
        let keys = MacKeys::new([1; 32], None);
        let (mail, queued) = queued(&keys);
        for index in 0..queued.sealed.len() {
            let mut changed = queued.clone();
            changed.sealed[index] ^= 1;
            assert!(changed.open(&keys).is_none(), "{index}");
        }
        let moved = QueuedMail { id: MailId::from_bytes([9; 12]), ..queued.clone() };
        assert!(moved.open(&keys).is_none());
        assert!(QueuedMail { sealed: vec![1; 3], ..queued.clone() }.open(&keys).is_none());
        let other = Mail { token: None, ..mail };
        let rewritten = queued.rewritten(&other, &keys, &FixedEntropy).unwrap();
        assert!(rewritten.version == 2 && rewritten.open(&keys) == Some(other));
    }
}
