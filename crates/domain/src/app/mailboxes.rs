//! The owners of mailboxes. One mailbox is one account, except for duplicates that earlier versions allowed.

use crate::account::Account;
use crate::email::EmailAddress;
use crate::error::{ErrorCode, Result};
use crate::ids::AccountId;
use crate::store::{self, Store};
use std::sync::Arc;

/// The mailboxes of accounts.
#[derive(Clone)]
pub(super) struct Mailboxes {
    accounts: Arc<dyn store::Accounts>,
}

impl Mailboxes {
    pub(super) fn new(store: &Store) -> Self {
        Self { accounts: store.accounts.clone() }
    }

    /// The account that signs in with that address: the one with exactly this spelling, if an older account
    /// shares its mailbox with another, else the account of the mailbox.
    pub(super) async fn find_account(&self, email: &EmailAddress) -> Result<Option<Arc<Account>>> {
        let (accounts, mailbox) = (&self.accounts, email.key());
        let Some(earlier) = email.earlier_keys() else { return accounts.find_account(&mailbox).await };
        // All three, no matter what the first finds: the time must not reveal which accounts exist.
        let (duplicate, spelled, holder) = tokio::try_join!(
            accounts.find_account(&earlier.duplicate),
            accounts.find_account(&earlier.spelled),
            accounts.find_account(&mailbox),
        )?;
        Ok(duplicate.or(spelled).or(holder))
    }

    /// Refuses an address whose mailbox belongs to an account other than `own`, in any spelling. If two
    /// accounts are created at the same moment, the database refuses one. It cannot see duplicates from
    /// before it had the rule, but their number never grows.
    ///
    /// # Errors
    /// `email_taken`.
    pub(super) async fn require_free(&self, email: &EmailAddress, own: Option<AccountId>) -> Result<()> {
        let is_another = |found: Option<Arc<Account>>| found.is_some_and(|found| Some(found.id) != own);
        let taken = is_another(self.find_account(email).await?)
            || is_another(self.accounts.find_duplicate_account(&email.key()).await?);
        if taken { Err(ErrorCode::EmailTaken.into()) } else { Ok(()) }
    }
}
