//! An invitation: the offer of a role in an organization to the person who has an address and the link.

use crate::actor::Actor;
use crate::email::EmailAddress;
use crate::ids::{AccountId, ApiKeyId, Entropy, InvitationId, OperationId, OrganizationId};
use crate::role::{OwnRoles, Role};
use crate::secret_text;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The kind of secret that the link of an invitation carries.
const KIND: &str = "invitation";

/// The secret in the link of an invitation, well-formed but not known to be valid. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct InvitationToken {
    id: InvitationId,
    text: Zeroizing<String>,
}

impl InvitationToken {
    /// A new one.
    #[must_use]
    pub fn generate(id: InvitationId, entropy: &dyn Entropy) -> Self {
        Self { id, text: secret_text::generate(KIND, id, entropy) }
    }

    /// Reads one.
    ///
    /// # Errors
    /// The sentence for the field.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const RULE: &str = "Is not the token of an invitation: copy all of it, from `tnt_invitation_` on.";
        let (kind, id) = secret_text::parse(text).map_err(|_| RULE)?;
        let id = id.parse().map_err(|_| RULE)?;
        if kind == KIND { Ok(Self { id, text: Zeroizing::new(text.to_owned()) }) } else { Err(RULE) }
    }

    /// The id of its invitation.
    #[must_use]
    pub const fn id(&self) -> InvitationId {
        self.id
    }

    /// The text, to be shown once.
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

impl fmt::Debug for InvitationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvitationToken({}, ..)", self.id)
    }
}

/// The use of an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationAcceptance {
    /// The operation that used it, so that a repeated step sees its own work.
    pub operation_id: OperationId,
    /// The account that joined.
    pub account_id: AccountId,
    /// When.
    pub accepted_at: Timestamp,
}

/// The record of an invitation. One compare-and-set on `version` changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Never changes.
    pub id: InvitationId,
    /// Into which organization.
    pub organization_id: OrganizationId,
    /// The only address that can use it.
    pub email: EmailAddress,
    /// The role it offers.
    pub role: Role,
    /// Of a role that the organization has defined, [`crate::role::OwnRole::made_at_version`]: a later one of its name is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_made_at: Option<u64>,
    /// The SHA-256 of the secret in its link.
    #[serde(with = "hex::serde")]
    pub secret_hash: [u8; 32],
    /// The account that invites; `None` for the operator or a key.
    pub inviter: Option<AccountId>,
    /// The key that invites. (Earlier versions did not note it.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inviter_key: Option<ApiKeyId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whether its token was mailed to the address, and nobody else has seen it: then using it proves the address.
    #[serde(default, skip_serializing_if = "is_false")]
    pub mailed: bool,
    /// Its use: an invitation is good for one.
    pub acceptance: Option<InvitationAcceptance>,
    /// Counts the changes of this record.
    pub version: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's `skip_serializing_if` takes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Invitation {
    /// Whether it can be used with that token at `now`.
    #[must_use]
    pub fn accepts(&self, token: &InvitationToken, now: Timestamp) -> bool {
        let is_its_token: bool = self.secret_hash.ct_eq(&token.hash()).into();
        is_its_token && self.is_pending() && !self.is_expired(now)
    }

    /// Whether nobody uses it. (What was used is removed soon after.)
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        self.acceptance.is_none()
    }

    /// Whether the role that it offers is there.
    #[must_use]
    pub fn offers_role_of(&self, roles: &OwnRoles) -> bool {
        let own = self.role.own_name().map(|name| roles.get(name).map(|role| role.made_at_version));
        own.is_none_or(|made_at| made_at.is_some() && made_at == self.role_made_at)
    }

    /// Whether its time has ended.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }

    /// The next version, with another token, which is `mailed` or not, and another end, for which `renewer` answers: the
    /// token of before is no longer valid.
    #[must_use]
    pub fn renewed(
        &self,
        token: &InvitationToken,
        mailed: bool,
        expires_at: Timestamp,
        renewer: Actor,
    ) -> Self {
        let (inviter, inviter_key) = (renewer.account_id(), renewer.key_id());
        let version = self.version + 1;
        Self { secret_hash: token.hash(), mailed, expires_at, inviter, inviter_key, version, ..self.clone() }
    }

    /// The next version, in use by that operation.
    #[must_use]
    pub fn with_acceptance(&self, acceptance: InvitationAcceptance) -> Self {
        Self { acceptance: Some(acceptance), version: self.version + 1, ..self.clone() }
    }

    /// Whether that operation uses it.
    #[must_use]
    pub fn is_used_by(&self, operation: OperationId) -> bool {
        self.acceptance.as_ref().is_some_and(|acceptance| acceptance.operation_id == operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;
    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for (byte, value) in bytes.iter_mut().zip(1..) {
                *byte = value;
            }
        }
    }

    struct Zeros;
    impl Entropy for Zeros {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    const ID: InvitationId = InvitationId::from_bytes([0xab; 12]);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn invitation(token: &InvitationToken) -> Invitation {
        Invitation {
            id: ID,
            organization_id: OrganizationId::from_bytes([1; 12]),
            email: EmailAddress::parse("new@example.com").unwrap(),
            role: Role::Member,
            role_made_at: None,
            secret_hash: token.hash(),
            inviter: None,
            inviter_key: None,
            created_at: at(0),
            expires_at: at(100),
            mailed: false,
            acceptance: None,
            version: 1,
        }
    }

    #[test]
    fn invitation_token_parse_rejects_any_changed_character() {
        let token = InvitationToken::generate(ID, &Counting);
        assert!(
            token.as_str().starts_with("tnt_invitation_abababababababababababab_0102"),
            "{}",
            token.as_str()
        );
        assert_eq!(InvitationToken::parse(token.as_str()).unwrap().id(), ID);
        assert!(!format!("{token:?}").contains("0102"));
        for position in 0..token.as_str().len() {
            let mut changed = token.as_str().to_owned().into_bytes();
            changed[position] = if changed[position] == b'0' { b'1' } else { b'0' };
            assert!(InvitationToken::parse(std::str::from_utf8(&changed).unwrap()).is_err(), "{position}");
        }
        let of_another_kind = secret_text::generate("service", ID, &Counting);
        assert!(InvitationToken::parse(&of_another_kind).is_err());
    }

    #[test]
    fn invitation_accepts_its_token_until_it_ends() {
        let (token, other) =
            (InvitationToken::generate(ID, &Counting), InvitationToken::generate(ID, &Zeros));
        let invitation = invitation(&token);
        assert!(invitation.accepts(&token, at(99)));
        assert!(!invitation.accepts(&token, at(100)) && !invitation.accepts(&other, at(99)));
        let renewed = invitation.renewed(&other, false, at(200), Actor::Operator);
        assert!(renewed.accepts(&other, at(199)) && !renewed.accepts(&token, at(99)));
        let acceptance = InvitationAcceptance {
            operation_id: OperationId::from_bytes([2; 12]),
            account_id: AccountId::from_bytes([3; 12]),
            accepted_at: at(1),
        };
        let used = invitation.with_acceptance(acceptance);
        assert!(!used.accepts(&token, at(2)) && used.is_used_by(OperationId::from_bytes([2; 12])));
    }
}
