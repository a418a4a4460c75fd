//! Recently decoded records, so that a hot record is not decoded on each read.
//!
//! Nothing is ever evicted here, and need not be: a record counts only for the very bytes that it was decoded
//! from, and the memory that holds these bytes decides whether they are still valid.

use std::sync::{Arc, RwLock};

/// The number of slots; at most some 300 KiB of records.
const SLOTS: usize = 256;

/// At most one record per slot; the address of its bytes decides the slot.
pub(super) struct DecodedRecords<V>(Box<[Slot<V>]>);

type Slot<V> = RwLock<Option<(Arc<[u8]>, Arc<V>)>>;

impl<V> DecodedRecords<V> {
    pub(super) fn new() -> Self {
        Self((0..SLOTS).map(|_| RwLock::new(None)).collect())
    }

    /// The record of `bytes`, from its slot or decoded by `read`. Never waits.
    pub(super) fn get(&self, bytes: &Arc<[u8]>, read: impl FnOnce(&[u8]) -> V) -> Arc<V> {
        let slot = self.slot(bytes);
        if let Ok(held) = slot.try_read()
            && let Some((of, record)) = &*held
            && Arc::ptr_eq(of, bytes)
        {
            return record.clone();
        }
        let record = Arc::new(read(bytes));
        if let Ok(mut held) = slot.try_write() {
            *held = Some((bytes.clone(), record.clone()));
        }
        record
    }

    fn slot(&self, bytes: &Arc<[u8]>) -> &Slot<V> {
        // Fibonacci hashing: addresses differ in their middle bits, which all affect the highest bits of the
        // product.
        let mixed = (bytes.as_ptr().addr() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &self.0[(mixed >> 56) as usize % SLOTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn decoded_record_is_reused_only_for_the_same_allocation() {
        let recent = DecodedRecords::new();
        let reads = Cell::new(0);
        let read = |bytes: &[u8]| {
            reads.set(reads.get() + 1);
            bytes[0]
        };
        let first: Arc<[u8]> = Arc::from([7]);
        let second: Arc<[u8]> = Arc::from([7]);
        for _ in 0..3 {
            assert_eq!(*recent.get(&first, read), 7);
        }
        assert_eq!(reads.get(), 1);
        assert_eq!(*recent.get(&second, read), 7);
        assert_eq!(reads.get(), 2);
    }

    #[test]
    fn decoded_records_spread_over_slots() {
        let recent = DecodedRecords::new();
        let bytes: Vec<Arc<[u8]>> =
            (0..=u8::MAX).cycle().take(4 * SLOTS).map(|byte| Arc::from([byte])).collect();
        for _ in 0..2 {
            for bytes in &bytes {
                assert_eq!(*recent.get(bytes, |bytes| bytes[0]), bytes[0]);
            }
        }
        let used = recent.0.iter().filter(|slot| slot.read().unwrap().is_some()).count();
        assert!(used > SLOTS / 2, "{used} of {SLOTS}");
    }
}
