//! Tokens whose signature has been checked, so that a token that comes with every request is decoded once.
//!
//! # Pitfalls
//! Only what can never change is kept: that the signature is ours, and what the token says. Whether the token is valid
//! at the moment, and the records that it names, must be checked each time.

use super::claims::Claims;
use crate::error::Result;
use aws_lc_rs::digest::{SHA256, digest};
use std::sync::{Arc, RwLock};
use subtle::ConstantTimeEq;

/// The number of slots; at most some 700 KiB of claims.
const SLOTS: usize = 1024;

type Hash = [u8; 32];

/// What a token of ours says.
#[derive(Clone)]
pub(super) struct VerifiedToken {
    pub(super) claims: Arc<Claims>,
    pub(super) nbf: Option<i64>,
}

/// At most one token per slot; its hash decides the slot. The text of a token is not kept.
pub(crate) struct VerifiedTokens<V>(Box<[Slot<V>]>);

/// The hash of a token, and what it says.
type Slot<V> = RwLock<Option<(Hash, V)>>;

impl<V: Clone> VerifiedTokens<V> {
    pub(crate) fn new() -> Self {
        Self((0..SLOTS).map(|_| RwLock::new(None)).collect())
    }

    /// What `token` says, from its slot or as `verify` finds it. A refusal is not kept. Never waits.
    pub(crate) fn get(&self, token: &str, verify: impl FnOnce() -> Result<V>) -> Result<V> {
        self.get_if(token, |_| true, verify)
    }

    /// As [`Self::get`], but what is in the slot counts only if `holds` says so.
    pub(crate) fn get_if(
        &self,
        token: &str,
        holds: impl FnOnce(&V) -> bool,
        verify: impl FnOnce() -> Result<V>,
    ) -> Result<V> {
        let mut hash = Hash::default();
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let slot = &self.0[usize::from(u16::from_le_bytes([hash[0], hash[1]])) % SLOTS];
        if let Ok(held) = slot.try_read()
            && let Some((of, verified)) = &*held
            && bool::from(of.ct_eq(&hash))
            && holds(verified)
        {
            return Ok(verified.clone());
        }
        let verified = verify()?;
        if let Ok(mut held) = slot.try_write() {
            *held = Some((hash, verified.clone()));
        }
        Ok(verified)
    }
}
