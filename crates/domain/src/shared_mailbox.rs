//! Old accounts whose addresses are the same mailbox, for `tenantry doctor`.

use crate::account::Account;
use crate::email::EmailKey;
use std::collections::BTreeMap;

/// The most duplicates that an inspection reads.
pub const DUPLICATES_MAX: u32 = 100;

/// Accounts with one mailbox, each of which signs in with its own spelling. Its `Debug` shows no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedMailbox {
    /// All of them; the one with the mailbox's own key first, if it still exists.
    pub accounts: Vec<Account>,
}

/// The mailboxes of these duplicates, in the order of their names.
pub fn mailboxes(duplicates: Vec<Account>) -> BTreeMap<String, Vec<Account>> {
    let mut mailboxes = BTreeMap::<String, Vec<Account>>::new();
    for duplicate in duplicates {
        let key = duplicate.email_key.as_ref().map(EmailKey::as_str);
        if let Some(mailbox) = key.and_then(EmailKey::mailbox_of_duplicate) {
            mailboxes.entry(mailbox.to_owned()).or_default().push(duplicate);
        }
    }
    mailboxes
}
