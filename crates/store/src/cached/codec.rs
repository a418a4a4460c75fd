//! Encodes records compactly, so that a hundred thousand organizations fit into little memory: about a third
//! of the size of the records themselves, which is mostly pointers, allocations and room for rare fields.
//!
//! Nothing here is ever stored, so the encoding may change at will. It need not represent everything: a
//! record that would not decode to itself (one with an operation under way, for example) is kept as the JSON
//! that engines store.

mod bytes;
mod records;

pub(super) use bytes::{ByteReader, ByteWriter};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A record with a compact encoding.
pub(super) trait Encode: PartialEq + Serialize + DeserializeOwned {
    /// Writes the fields in the order in which [`Self::unpack`] reads them.
    fn pack(&self, to: &mut ByteWriter);

    /// The record that was written; `None` if the bytes are not those of one.
    fn unpack(from: &mut ByteReader<'_>) -> Option<Self>;
}

/// The encoding of the bytes after the first.
const PACKED: u8 = 0;
const JSON: u8 = 1;

/// The bytes of `record`; `None` if no encoding decodes to it.
pub(super) fn pack<T: Encode>(record: &T) -> Option<Arc<[u8]>> {
    let mut packed = ByteWriter::new(PACKED);
    record.pack(&mut packed);
    if unpack_whole(packed.as_slice()).as_ref() == Some(record) {
        return Some(packed.as_slice().into());
    }
    let mut json = vec![JSON];
    serde_json::to_writer(&mut json, record).ok()?;
    Some(json.into())
}

/// The record with these bytes, which [`pack`] made.
pub(super) fn unpack<T: Encode>(bytes: &[u8]) -> Option<T> {
    match bytes.split_first()? {
        (&JSON, json) => serde_json::from_slice(json).ok(),
        _ => unpack_whole(bytes),
    }
}

fn unpack_whole<T: Encode>(bytes: &[u8]) -> Option<T> {
    let mut reader = ByteReader::new(bytes.strip_prefix(&[PACKED])?);
    T::unpack(&mut reader)
}

#[cfg(test)]
mod tests;
