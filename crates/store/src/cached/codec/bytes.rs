//! Numbers, texts and moments as bytes, one after the other.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};

/// Bytes being written.
pub(in crate::cached) struct ByteWriter(Vec<u8>);

impl ByteWriter {
    /// Begins with `first`.
    pub(in crate::cached) fn new(first: u8) -> Self {
        // Room for most records: growing would cost more than writing them.
        let mut bytes = Vec::with_capacity(256);
        bytes.push(first);
        Self(bytes)
    }

    pub(in crate::cached) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    pub(in crate::cached) fn bytes<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.0.extend_from_slice(bytes);
    }

    pub(in crate::cached) fn flag(&mut self, flag: bool) {
        self.0.push(flag.into());
    }

    /// Seven bits in each byte, the lowest first; the eighth says that there are more.
    pub(in crate::cached) fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub(in crate::cached) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// To the millisecond, which is all that records have.
    pub(in crate::cached) fn moment(&mut self, moment: Timestamp) {
        self.bytes(&moment.as_millisecond().to_le_bytes());
    }

    pub(in crate::cached) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }
}

/// Bytes being read; each method returns `None` if they are not what it expects.
pub(in crate::cached) struct ByteReader<'a>(&'a [u8]);

impl<'a> ByteReader<'a> {
    pub(in crate::cached) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (slice, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(slice)
    }

    pub(in crate::cached) fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(in crate::cached) fn flag(&mut self) -> Option<bool> {
        self.bytes().map(|[flag]| flag != 0)
    }

    pub(in crate::cached) fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let [byte] = self.bytes()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
            shift += 7;
        }
    }

    /// A number that fits into `T`.
    pub(in crate::cached) fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        self.number()?.try_into().ok()
    }

    pub(in crate::cached) fn text(&mut self) -> Option<&'a str> {
        let length = self.small()?;
        std::str::from_utf8(self.slice(length)?).ok()
    }

    /// A text of a type that validates it, as from an engine's JSON.
    pub(in crate::cached) fn parsed<T: Deserialize<'a>>(&mut self) -> Option<T> {
        let text: StrDeserializer<'_, Error> = self.text()?.into_deserializer();
        T::deserialize(text).ok()
    }

    pub(in crate::cached) fn moment(&mut self) -> Option<Timestamp> {
        Timestamp::from_millisecond(i64::from_le_bytes(self.bytes()?)).ok()
    }

    /// The outer option says whether the value could be read, the inner one whether there was one.
    pub(in crate::cached) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.flag()? { read(self).map(Some) } else { Some(None) }
    }
}
