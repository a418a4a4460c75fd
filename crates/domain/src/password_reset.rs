//! The tokens of links for a new password that earlier versions made, which are good until their end.
//!
//! Nothing is stored of these: such a token is authenticated, and names the state of the account that it is for. What
//! is made now is in the account's record ([`crate::account_link`]).

use crate::account::Account;
use crate::ids::AccountId;
use crate::secret_text::{self, MalformedSecret};
use aws_lc_rs::hmac;
use jiff::Timestamp;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The kind of these secrets.
const KIND: &str = "reset";
/// Tells these tags from all others of the same key.
const PURPOSE: &[u8] = b"tenantry password reset v1\0";
/// Bytes of the time at which the token ends.
const TIME_BYTES: usize = 4;

/// A token. Its `Debug` shows no secret.
pub struct PasswordResetToken {
    text: Zeroizing<String>,
    account_id: AccountId,
    secret: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for PasswordResetToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordResetToken").field("account", &self.account_id).finish_non_exhaustive()
    }
}

impl PasswordResetToken {
    /// The token for `account`, as it is now, until `expires_at`, to the second.
    #[cfg(test)]
    fn new(account: &Account, expires_at: Timestamp, mac_key: &[u8; 32]) -> Self {
        let seconds = u32::try_from(expires_at.as_second()).unwrap_or(u32::MAX).to_be_bytes();
        let mut secret = Zeroizing::new([0; 32]);
        secret[..TIME_BYTES].copy_from_slice(&seconds);
        secret[TIME_BYTES..].copy_from_slice(&tag(account, &seconds, mac_key));
        Self { text: secret_text::of_secret(KIND, account.id, &secret), account_id: account.id, secret }
    }

    /// Reads a text. Whether the token is good is for [`Self::is_good_for`] to say.
    ///
    /// # Errors
    /// [`MalformedSecret`].
    pub fn parse(text: &str) -> Result<Self, MalformedSecret> {
        let (kind, id) = secret_text::parse(text)?;
        let account_id = id.parse().map_err(|_| MalformedSecret)?;
        if kind != KIND {
            return Err(MalformedSecret);
        }
        let secret = Zeroizing::new(secret_text::secret_of(text).ok_or(MalformedSecret)?);
        Ok(Self { text: Zeroizing::new(text.to_owned()), account_id, secret })
    }

    /// The account that it is for.
    #[must_use]
    pub const fn account_id(&self) -> AccountId {
        self.account_id
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it gives `account`, as it is, a new password at `now`.
    #[must_use]
    pub fn is_good_for(&self, account: &Account, now: Timestamp, mac_key: &[u8; 32]) -> bool {
        let (seconds, given) = self.secret.split_at(TIME_BYTES);
        let ends_at = seconds.iter().fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
        let is_authentic: bool = tag(account, seconds, mac_key)[..].ct_eq(given).into();
        is_authentic && account.id == self.account_id && now.as_second() < ends_at
    }
}

fn tag(account: &Account, seconds: &[u8], mac_key: &[u8; 32]) -> [u8; 32 - TIME_BYTES] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, mac_key));
    let address = account.email.key();
    for part in [
        PURPOSE,
        account.id.as_bytes(),
        &account.credential_epoch.to_be_bytes(),
        seconds,
        address.as_str().as_bytes(),
    ] {
        context.update(part);
    }
    let mut tag = [0; 32 - TIME_BYTES];
    tag.copy_from_slice(&context.sign().as_ref()[..32 - TIME_BYTES]);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::PasswordHash;
    use crate::email::EmailAddress;

    const KEY: [u8; 32] = [3; 32];

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn account() -> Account {
        let email = EmailAddress::parse("new@example.com").unwrap();
        Account::new(AccountId::from_bytes([0xab; 12]), email, PasswordHash(String::new()), at(0))
    }

    #[test]
    fn reset_token_is_good_for_its_account_until_it_ends() {
        let token = PasswordResetToken::new(&account(), at(60), &KEY);
        let token = PasswordResetToken::parse(token.as_str()).unwrap();
        assert_eq!(token.account_id(), account().id);
        assert!(token.is_good_for(&account(), at(59), &KEY));
        assert!(!token.is_good_for(&account(), at(60), &KEY));
        assert!(!token.is_good_for(&account(), at(59), &[4; 32]));
        let other = Account { id: AccountId::from_bytes([1; 12]), ..account() };
        assert!(!token.is_good_for(&other, at(59), &KEY));
        let changed = Account { credential_epoch: 1, ..account() };
        assert!(!token.is_good_for(&changed, at(59), &KEY));
        let moved = Account { email: EmailAddress::parse("other@example.com").unwrap(), ..account() };
        assert!(!token.is_good_for(&moved, at(59), &KEY));
    }

    #[test]
    fn reset_token_with_changed_character_is_rejected() {
        let token = PasswordResetToken::new(&account(), at(60), &KEY);
        assert!(token.as_str().starts_with("tnt_reset_abababababababababababab_"), "{}", token.as_str());
        for position in 0..token.as_str().len() {
            let mut changed = token.as_str().to_owned().into_bytes();
            changed[position] = if changed[position] == b'0' { b'1' } else { b'0' };
            assert!(PasswordResetToken::parse(std::str::from_utf8(&changed).unwrap()).is_err(), "{position}");
        }
    }

    #[test]
    fn reset_token_with_later_end_is_not_good() {
        let token = PasswordResetToken::new(&account(), at(60), &KEY);
        let mut secret = *token.secret;
        secret[..TIME_BYTES].copy_from_slice(&u32::MAX.to_be_bytes());
        let forged = secret_text::of_secret(KIND, account().id, &secret);
        let forged = PasswordResetToken::parse(&forged).unwrap();
        assert!(!forged.is_good_for(&account(), at(59), &KEY));
    }
}
