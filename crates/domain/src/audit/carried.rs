//! Trails that an import brought along: each is kept as a chain of its own, whose entries are as they were, so that
//! they verify as before. The event of the import, in the organization's chain, names the last hash of each.
//!
//! # Pitfalls
//! A trail is kept under a name that follows from the import, not under the id that its hashes are made for: another
//! life of that id may have a chain already. Give what is read from there the name of its own chain back.

use super::place::{AuditChain, AuditHash, ChainHead};
use crate::ids::{OperationId, OrganizationId};
use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Tells these hashes from all others.
const PURPOSE: &[u8] = b"tenantry carried trail v1\0";

/// A trail that an import brought along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedTrail {
    /// The name that its entries are kept under.
    pub kept_as: AuditChain,
    /// The chain that its hashes are made for: the id of the organization as it was then.
    pub chain: AuditChain,
    /// How many entries it had.
    pub entries: u64,
    /// The number of the last one.
    pub last: u64,
    /// Its hash.
    #[serde(with = "hex")]
    pub hash: AuditHash,
}

impl CarriedTrail {
    /// The name under which the import with that id keeps its trail number `index`.
    #[must_use]
    pub fn name(import: OperationId, index: usize) -> AuditChain {
        let mut context = Context::new(&SHA256);
        context.update(PURPOSE);
        context.update(import.as_bytes());
        context.update(&(index as u64).to_be_bytes());
        let mut id = [0; 12];
        id.copy_from_slice(&context.finish().as_ref()[..12]);
        OrganizationId::from_bytes(id).into()
    }

    /// What the event of the import says of it: where it is kept, its chain, and the number and hash of its last entry.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{} {} {} {}", self.kept_as, self.chain, self.last, hex::encode(self.hash))
    }
}

/// What the event of an import says of a trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarriedTrailMark {
    /// The name that its entries are kept under.
    pub kept_as: AuditChain,
    /// The chain that its hashes are made for.
    pub chain: AuditChain,
    /// The number of its last entry.
    pub last: u64,
    /// The hash of that.
    pub hash: AuditHash,
}

impl CarriedTrailMark {
    /// Where it ends.
    #[must_use]
    pub const fn head(&self) -> ChainHead {
        ChainHead { sequence: self.last, hash: self.hash }
    }
}

impl FromStr for CarriedTrailMark {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<&str> = text.split(' ').collect();
        let [kept_as, chain, last, hash] = parts[..] else { return Err(()) };
        let mut bytes = [0; 32];
        hex::decode_to_slice(hash, &mut bytes).map_err(|_| ())?;
        Ok(Self {
            kept_as: AuditChain::parse(kept_as).ok_or(())?,
            chain: AuditChain::parse(chain).ok_or(())?,
            last: last.parse().map_err(|_| ())?,
            hash: bytes,
        })
    }
}

/// The name of the detail in which the event of an import tells of its trail number `index`.
#[must_use]
pub fn detail_name(index: usize) -> String {
    format!("trail_{}", index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carried_trail_is_read_from_what_the_event_says() {
        let import = OperationId::from_bytes([7; 12]);
        let chain = AuditChain::from(OrganizationId::from_bytes([1; 12]));
        let trail = CarriedTrail {
            kept_as: CarriedTrail::name(import, 0),
            chain,
            entries: 3,
            last: 5,
            hash: [9; 32],
        };
        let mark = CarriedTrailMark { kept_as: trail.kept_as, chain, last: 5, hash: [9; 32] };
        assert_eq!(trail.to_text().parse(), Ok(mark));
        assert_eq!(trail.to_text().replace("09", "xx").parse::<CarriedTrailMark>(), Err(()));
    }

    #[test]
    fn carried_trails_of_imports_have_names_of_their_own() {
        let [one, other] = [OperationId::from_bytes([7; 12]), OperationId::from_bytes([8; 12])];
        assert_ne!(CarriedTrail::name(one, 0), CarriedTrail::name(one, 1));
        assert_ne!(CarriedTrail::name(one, 0), CarriedTrail::name(other, 0));
    }
}
