//! A session: one sign-in and the family of its refresh tokens.
//!
//! Access tokens name their session. If the session is gone, or began in an earlier epoch of its account,
//! membership or organization, all its tokens are invalid at once.

use crate::account::Account;
use crate::ids::{AccountId, Entropy, OrganizationId, SessionId, random};
use crate::organization::Organization;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The first epoch of an organization or a membership that may have been there before: a session of the
/// former one, which a slow sign-in may even save later, must not be valid here. Epochs count up from 0, so
/// none comes near this one.
#[must_use]
pub fn fresh_epoch(entropy: &dyn Entropy) -> u32 {
    const FIRST: u32 = 1 << 20;
    FIRST + (u32::from_be_bytes(random::<4>(entropy)) >> 1)
}

/// The SHA-256 of a refresh token.
pub type TokenHash = [u8; 32];

/// The refresh token before the current one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedToken {
    /// Its hash.
    pub hash: TokenHash,
    /// With the used token itself, this derives its successor again; without the token it is useless.
    pub salt: [u8; 32],
    /// When it was used.
    pub used_at: Timestamp,
}

/// The record of a session. One compare-and-set on `version` changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Never changes.
    pub id: SessionId,
    /// Who signed in.
    pub account_id: AccountId,
    /// Where.
    pub organization_id: OrganizationId,
    /// The account's epoch at the sign-in.
    pub credential_epoch: u32,
    /// The membership's epoch at the sign-in.
    pub membership_epoch: u32,
    /// The organization's epoch at the sign-in.
    pub organization_epoch: u32,
    /// When the password was given (`auth_time`).
    pub signed_in_at: Timestamp,
    /// When it ends, used or not.
    pub expires_at: Timestamp,
    /// When it ends unless used.
    pub idle_expires_at: Timestamp,
    /// How often the refresh token was exchanged.
    pub generation: u32,
    /// The hash of the current refresh token.
    pub token_hash: TokenHash,
    /// The one before it.
    pub used: Option<UsedToken>,
    /// Counts the changes of this record.
    pub version: u64,
}

impl Session {
    /// Whether it has ended because nobody used it: its refresh token is invalid.
    #[must_use]
    pub fn is_idle(&self, now: Timestamp) -> bool {
        now >= self.idle_expires_at
    }

    /// Whether its tokens are valid, given its current account and organization.
    #[must_use]
    pub fn is_good(&self, account: &Account, organization: &Organization, now: Timestamp) -> bool {
        let credentials =
            self.credential_epoch == account.credential_epoch || account.kept_session == Some(self.id);
        let membership =
            account.membership(self.organization_id).is_some_and(|m| m.epoch == self.membership_epoch);
        let organization = organization.id == self.organization_id
            && organization.is_usable()
            && organization.token_epoch == self.organization_epoch;
        self.account_id == account.id && credentials && membership && organization && now < self.expires_at
    }
}
