//! Schema step 3: accounts are unique by mailbox, with the domain of their address in ASCII (UTS #46).
//!
//! Of accounts with the same mailbox, the first by id gets its key. The others are duplicates: each keeps a key of
//! its own, under which only its exact spelling finds it. Several instances may do this at once, and each may stop in
//! the middle: every account is changed only if its version is unchanged, and skipped otherwise.

use crate::client::Server;
use crate::engine_error::{EngineError, EngineResult};
use crate::names::{ACCOUNTS, ACCOUNTS_BY_EMAIL};
use crate::record_codec::{decode, integer, object_id};
use mongodb::bson::{Document, doc};
use tenantry_domain::account::Account;
use tenantry_domain::email::EmailKey;

/// Keys with a character beyond ASCII.
const NON_ASCII: &str = "[^\\x00-\\x7F]";

/// Gives old accounts their new keys.
pub(super) async fn upgrade(server: &Server) -> EngineResult<()> {
    let mut duplicates = 0_u32;
    for account in spelled(server).await? {
        let Some((mailbox, duplicate)) = account.upgraded_keys() else { continue };
        match change_key(server, &account, &mailbox).await {
            Err(EngineError::Duplicate { index }) if index == ACCOUNTS_BY_EMAIL => {
                change_key(server, &account, &duplicate).await?;
                duplicates += 1;
            }
            result => result?,
        }
    }
    if duplicates > 0 {
        tracing::warn!(
            duplicates,
            "accounts have the same mailbox as another account: `tenantry doctor` lists them"
        );
    }
    Ok(())
}

async fn spelled(server: &Server) -> EngineResult<Vec<Account>> {
    let filter = doc! { "email_key": { "$regex": NON_ASCII } };
    let accounts = server.collection(ACCOUNTS);
    let find = accounts.find(filter).sort(doc! { "_id": 1 });
    let documents = server
        .within(async {
            let mut cursor = find.await?;
            let mut documents: Vec<Document> = Vec::new();
            while cursor.advance().await? {
                documents.push(cursor.deserialize_current()?);
            }
            Ok(documents)
        })
        .await?;
    documents.into_iter().map(decode).collect()
}

/// Changes the key of an account, unless it has been changed meanwhile.
async fn change_key(server: &Server, account: &Account, key: &EmailKey) -> EngineResult<()> {
    let filter = doc! { "_id": object_id(account.id.as_bytes()), "version": integer(account.version) };
    let update = doc! { "$set": { "email_key": key.as_str() }, "$inc": { "version": 1_i64 } };
    server.within(server.collection(ACCOUNTS).update_one(filter, update)).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
