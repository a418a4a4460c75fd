//! The keys of a document's entries in an index, their size, and how many of them one document may have.
//!
//! Every engine counts index entries by what [`IndexKeys::of`] returns, so a quota means the same everywhere. The embedded
//! engine also stores these keys.
//!
//! # Pitfalls
//! A stored key may be cut ([`KeyFormat::Cut`]); count [`IndexKey::whole_bytes`], because MongoDB stores
//! whole values.

use super::order::Direction;
use super::{EntriesError, index_entries, key, meets_array};
use crate::error::Error;
use crate::fuel::{Fuel, Interruption};
use crate::index::Index;
use crate::limits::{
    DOCUMENT_MAX_STEPS, INDEX_ENTRIES_MAX, INDEX_ENTRIES_MAX_BYTES, INDEX_KEY_PART_MAX_BYTES,
};
use aws_lc_rs::digest::{SHA256, digest};
use bson::RawDocument;
use std::fmt;

/// How the keys of an index are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFormat {
    /// Every value whole: indexes made before 2026-11-29.
    Whole,
    /// A value that takes more than [`INDEX_KEY_PART_MAX_BYTES`] ends there in a hash of the whole ([`cut`]).
    Cut,
}

/// Why a document has no entries in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexKeysError {
    /// Its values cannot be indexed.
    NotIndexable(String),
    /// They exceed the [`EntryBudget`].
    BeyondBudget(String),
    /// They cost too much to find, or the time was over.
    Stopped(Interruption),
}

impl IndexKeysError {
    /// The error as a defect, for a document that was already in the index.
    #[must_use]
    pub fn unexpected(self) -> Error {
        match self {
            Self::NotIndexable(sentence) | Self::BeyondBudget(sentence) => Error::internal(sentence),
            Self::Stopped(stopped) => stopped.into(),
        }
    }
}

impl From<EntriesError> for IndexKeysError {
    fn from(error: EntriesError) -> Self {
        match error {
            EntriesError::Unsuitable(sentence) => Self::NotIndexable(sentence),
            EntriesError::Stopped(stopped) => Self::Stopped(stopped),
        }
    }
}

impl From<Interruption> for IndexKeysError {
    fn from(stopped: Interruption) -> Self {
        Self::Stopped(stopped)
    }
}

impl fmt::Display for IndexKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotIndexable(sentence) | Self::BeyondBudget(sentence) => f.write_str(sentence),
            Self::Stopped(_) => {
                write!(f, "The entries of one document may take at most {DOCUMENT_MAX_STEPS} steps to find.")
            }
        }
    }
}

impl std::error::Error for IndexKeysError {}

/// The key of one entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexKey {
    /// The key as it is stored.
    pub key: Vec<u8>,
    /// Bytes of the key with every value whole.
    pub whole_bytes: u64,
}

/// The keys of a document's entries in one index.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct IndexKeys {
    /// In ascending order, none twice.
    pub keys: Vec<IndexKey>,
    /// Whether an indexed path goes through an array.
    pub is_multikey: bool,
    /// Whether a value of a key is cut.
    pub has_cut: bool,
}

impl IndexKeys {
    /// The keys of `body` in `index`, charged to `budget`, for as much `fuel` as they cost. None if the index does not
    /// have the document.
    ///
    /// # Errors
    /// Why the document cannot be in this index.
    pub fn of(
        index: &Index,
        format: KeyFormat,
        body: &RawDocument,
        budget: &mut EntryBudget,
        fuel: &Fuel<'_>,
    ) -> Result<Self, IndexKeysError> {
        if !index.coverage.includes(body, fuel)? {
            return Ok(Self::default());
        }
        let paths = index.paths();
        let entries = index_entries(body, &paths, fuel)?;
        let is_multikey = entries.len() > 1 || meets_array(body, &paths);
        budget.take_entries(entries.len())?;
        let mut found = Self { keys: Vec::with_capacity(entries.len()), is_multikey, has_cut: false };
        for entry in &entries {
            let (mut stored, mut whole_bytes) = (Vec::with_capacity(entry.len() * 16), 0);
            for (value, sort) in entry.iter().zip(&index.keys) {
                let start = stored.len();
                key::append(*value, Direction::Ascending, &mut stored);
                let length = stored.len() - start;
                budget.take_bytes(length)?;
                // The cost of making it, and of its part in sorting.
                fuel.spend(4 * length as u64)?;
                whole_bytes += length as u64;
                if format == KeyFormat::Cut && cut(&mut stored, start) {
                    found.has_cut = true;
                }
                if sort.direction == Direction::Descending {
                    key::invert(&mut stored[start..]);
                }
            }
            found.keys.push(IndexKey { key: stored, whole_bytes });
        }
        found.keys.sort_unstable();
        Ok(found)
    }

    /// Bytes of these entries, as a quota counts them, of a document whose `_id` has a key of `id_bytes`.
    #[must_use]
    pub fn bytes(&self, id_bytes: usize) -> u64 {
        self.keys.iter().map(|key| entry_bytes(key, id_bytes)).sum()
    }

    /// Whether there is an entry of that key.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.keys.binary_search_by(|own| own.key.as_slice().cmp(key)).is_ok()
    }
}

/// Bytes of one entry, as a quota counts them: of its key, and of the key of the document's `_id`.
#[must_use]
pub const fn entry_bytes(key: &IndexKey, id_bytes: usize) -> u64 {
    key.whole_bytes + id_bytes as u64
}

/// Cuts the value whose ascending key begins at `start` if it is long: its first
/// [`INDEX_KEY_PART_MAX_BYTES`], then the SHA-256 of all of it. Returns whether it was cut.
///
/// Keys keep their order, except among values that agree in those first bytes. No key becomes a prefix of
/// another, since none was before.
pub fn cut(key: &mut Vec<u8>, start: usize) -> bool {
    if key.len() - start <= INDEX_KEY_PART_MAX_BYTES {
        return false;
    }
    let hash = digest(&SHA256, &key[start..]);
    key.truncate(start + INDEX_KEY_PART_MAX_BYTES);
    key.extend_from_slice(hash.as_ref());
    true
}

/// The remaining entries that one document may have, in all indexes of its collection together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryBudget {
    entries: usize,
    bytes: usize,
}

impl EntryBudget {
    /// The budget of a document that is written.
    #[must_use]
    pub const fn of_document() -> Self {
        Self { entries: INDEX_ENTRIES_MAX, bytes: INDEX_ENTRIES_MAX_BYTES }
    }

    /// No bound, for a document that was stored before the bound existed: its entries must be found again to
    /// remove or move them.
    #[must_use]
    pub const fn unbounded() -> Self {
        Self { entries: usize::MAX, bytes: usize::MAX }
    }

    fn take_entries(&mut self, entries: usize) -> Result<(), IndexKeysError> {
        self.entries = self.entries.checked_sub(entries).ok_or_else(|| {
            IndexKeysError::BeyondBudget(format!(
                "A document may have {INDEX_ENTRIES_MAX} entries in all indexes of its collection together: an array has \
                 one for each of its values. Shorten its arrays, or drop an index."
            ))
        })?;
        Ok(())
    }

    fn take_bytes(&mut self, bytes: usize) -> Result<(), IndexKeysError> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| {
            IndexKeysError::BeyondBudget(format!(
                "The entries of one document in all indexes of its collection together may take {} MiB. Shorten what is \
                 indexed, or drop an index.",
                INDEX_ENTRIES_MAX_BYTES >> 20
            ))
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{RawDocumentBuf, rawdoc};

    fn keys(keys: &str, body: &RawDocument) -> IndexKeys {
        let index = Index::parse(None, keys, false).unwrap();
        IndexKeys::of(&index, KeyFormat::Cut, body, &mut EntryBudget::of_document(), &Fuel::unlimited())
            .unwrap()
    }

    fn text(length: usize, last: char) -> RawDocumentBuf {
        rawdoc! { "_id": 1, "a": format!("{}{last}", "x".repeat(length)) }
    }

    #[test]
    fn index_keys_cut_to_bound_keep_order_and_stay_distinct() {
        for keys_text in ["a", "-a"] {
            let mut previous: Option<Vec<u8>> = None;
            // Around the bound, and far beyond it; the last character comes within the first 1,024 bytes or not.
            for length in [0, 1, 1019, 1020, 1021, 1022, 1023, 1024, 5000, 100_000] {
                for last in ['a', 'z'] {
                    let found = keys(keys_text, &text(length, last));
                    let [key] = found.keys.as_slice() else { panic!("{found:?}") };
                    assert!(key.key.len() <= INDEX_KEY_PART_MAX_BYTES + 32);
                    // Rank, text, and the two NULs that end it.
                    assert_eq!(key.whole_bytes, length as u64 + 4);
                    assert_eq!(found.has_cut, key.whole_bytes > INDEX_KEY_PART_MAX_BYTES as u64);
                    assert_ne!(previous.as_ref(), Some(&key.key), "{length} {last}");
                    previous = Some(key.key.clone());
                }
            }
            let (low, high) = (keys(keys_text, &text(900, 'a')), keys(keys_text, &text(900, 'b')));
            let long = keys(keys_text, &rawdoc! { "a": format!("{}aa", "x".repeat(900)).repeat(9) });
            let mut order = [&low, &long, &high].map(|keys| &keys.keys[0].key);
            if keys_text == "-a" {
                order.reverse();
            }
            assert!(order.is_sorted(), "{keys_text}");
        }
    }

    #[test]
    fn index_entries_of_document_are_bounded_over_all_indexes() {
        let array: bson::raw::RawArrayBuf = (0..1000).collect();
        let body = rawdoc! { "_id": 1, "a": array, "b": "x".repeat(15_000) };
        let index = |keys: &str| Index::parse(None, keys, false).unwrap();
        let mut budget = EntryBudget::of_document();
        // 1,000 entries of 15 kB each.
        IndexKeys::of(&index("a,b"), KeyFormat::Cut, &body, &mut budget, &Fuel::unlimited()).unwrap();
        let refused = IndexKeys::of(&index("-a,b"), KeyFormat::Cut, &body, &mut budget, &Fuel::unlimited())
            .unwrap_err()
            .to_string();
        assert!(refused.contains("16 MiB"), "{refused}");
        let mut unbounded = EntryBudget::unbounded();
        IndexKeys::of(&index("a,b"), KeyFormat::Cut, &body, &mut unbounded, &Fuel::unlimited()).unwrap();
        IndexKeys::of(&index("-a,b"), KeyFormat::Cut, &body, &mut unbounded, &Fuel::unlimited()).unwrap();

        let half = i32::try_from(INDEX_ENTRIES_MAX / 2 + 1).unwrap();
        let body = rawdoc! { "_id": 1, "a": (0..half).collect::<bson::raw::RawArrayBuf>() };
        let mut budget = EntryBudget::of_document();
        IndexKeys::of(&index("a"), KeyFormat::Cut, &body, &mut budget, &Fuel::unlimited()).unwrap();
        let refused = IndexKeys::of(&index("-a"), KeyFormat::Cut, &body, &mut budget, &Fuel::unlimited())
            .unwrap_err()
            .to_string();
        assert!(refused.contains(&format!("{INDEX_ENTRIES_MAX} entries")), "{refused}");
    }
}
