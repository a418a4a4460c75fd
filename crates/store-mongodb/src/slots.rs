//! Exact bounds on how many records an owner has, without transactions.
//!
//! Beside the record, each document has a `slot`: a number below the bound that no other record of the same owner
//! has, by a unique index on owner and slot. So the database itself refuses one record too many, however many are
//! added at the same moment and by however many instances.
//!
//! # Pitfalls
//! An update must keep the slot: name it to [`Records::replace`].

use crate::engine_error::{EngineError, EngineResult};
use crate::records::Records;
use mongodb::bson::{Document, RawBsonRef, doc};
use mongodb::options::Hint;
use tenantry_domain::Error;
use tenantry_domain::store::BoundedInsert;

/// The field of a document with its slot.
pub(crate) const SLOT: &str = "slot";
/// How often a slot is looked for that others took first. Each time one of them has got it.
const ROUNDS: u32 = 100;
/// Free slots among which those who insert at the same moment choose, each another one.
const CHOICE: usize = 64;

/// The bound of one owner's records.
pub(crate) struct Bound<'a> {
    /// The records of all owners.
    pub(crate) records: &'a Records,
    /// The unique index on owner and slot.
    pub(crate) index: &'static str,
    /// Finds the records of the owner.
    pub(crate) owned: Document,
    /// Finds the record itself, and others that exclude it.
    pub(crate) same: Document,
    /// How many records the owner may have.
    pub(crate) limit: u32,
}

impl Bound<'_> {
    /// Adds the document of a record, unless there is one like it or the owner has no slot left. What breaks
    /// another unique index than those of the id and the slot is the caller's to judge.
    pub(crate) async fn insert(&self, id: [u8; 12], mut document: Document) -> EngineResult<BoundedInsert> {
        for _ in 0..ROUNDS {
            let taken = self.taken().await?;
            if taken.len() >= self.limit as usize {
                let is_there = self.records.exists(self.same.clone()).await?;
                return Ok(if is_there { BoundedInsert::Exists } else { BoundedInsert::Full });
            }
            document.insert(SLOT, free_slot(&taken, self.limit, id));
            let insert = self.records.collection().insert_one(&document);
            match self.records.call(insert).await {
                Ok(_) => return Ok(BoundedInsert::New),
                Err(failure) if failure.is_same_id() => return Ok(BoundedInsert::Exists),
                Err(EngineError::Duplicate { index }) if index == self.index => {}
                Err(failure) => return Err(failure),
            }
        }
        Err(Error::unavailable("too many records are added at the same moment").into())
    }

    /// The slots of the owner that are taken, in their order, up to as many as allowed.
    async fn taken(&self) -> EngineResult<Vec<i64>> {
        let find = self.records.collection().find(self.owned.clone());
        let find = find.projection(doc! { SLOT: 1, "_id": 0 }).sort(doc! { SLOT: 1 });
        let find = find.hint(Hint::Name(self.index.to_owned())).limit(i64::from(self.limit.max(1)));
        let taken = async {
            let mut cursor = find.await?;
            let mut taken = Vec::new();
            while cursor.advance().await? {
                let slot = cursor.current().get(SLOT).ok().flatten();
                taken.extend(slot.and_then(RawBsonRef::as_i64));
            }
            Ok(taken)
        };
        self.records.call(taken).await
    }
}

/// A slot below `limit` that is not `taken`; fewer than `limit` are. Those who look at the same moment rarely
/// choose the same one, because the end of an id is random.
fn free_slot(taken: &[i64], limit: u32, id: [u8; 12]) -> i64 {
    let seen = taken.len().saturating_add(CHOICE).min(limit as usize);
    let free: Vec<i64> = (0..seen as i64).filter(|slot| taken.binary_search(slot).is_err()).collect();
    let [.., one, two, three, four] = id;
    let number = u32::from_be_bytes([one, two, three, four]) as usize;
    free[number % free.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_slot_is_below_limit_and_not_taken() {
        for number in 0..=255_u8 {
            let id = [number; 12];
            assert_eq!(free_slot(&[0, 1, 3], 4, id), 2);
            assert_eq!(free_slot(&[7, 8], 1, id), 0, "others are from a time with a higher limit");
            let slot = free_slot(&[0, 2], u32::MAX, id);
            assert!(![0, 2].contains(&slot) && (0..66).contains(&slot), "{slot}");
        }
    }
}
