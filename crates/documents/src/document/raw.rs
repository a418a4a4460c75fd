//! The fields of BSON as bytes, for code that goes through a whole document and looks at each field once.
//!
//! The iterator of `bson` does the same and is the right choice nearly everywhere else. It checks each name
//! and text and makes a value of each field, which was a fifth of the time that a page of documents took.

use bson::RawDocumentBuf;
use bson::spec::ElementType;

/// A field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) kind: ElementType,
    pub(super) name: &'a [u8],
    /// As BSON has it: a text with its length before it and the NUL behind it.
    pub(super) value: &'a [u8],
}

/// The fields of a document, up to the first invalid one.
pub(super) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// The fields of a document or an array.
    pub(super) fn of(document: &'a [u8]) -> Self {
        Self(document.get(LENGTH_BYTES..).unwrap_or_default())
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (kind, rest) = self.0.split_first()?;
        let kind = ElementType::from(*kind)?;
        let name = before_nul(rest)?;
        let rest = rest.get(name.len() + 1..)?;
        let (value, rest) = rest.split_at_checked(bytes_of(kind, rest)?)?;
        self.0 = rest;
        Some(Element { kind, name, value })
    }
}

impl<'a> Element<'a> {
    /// Its bytes, if there are exactly `N`.
    pub(super) fn fixed<const N: usize>(&self) -> Option<[u8; N]> {
        self.value.first_chunk().copied()
    }

    /// The text of a string value.
    pub(super) fn text(&self) -> &'a [u8] {
        self.value.get(LENGTH_BYTES..self.value.len().saturating_sub(1)).unwrap_or_default()
    }

    /// A document with this value alone, under an empty name; `None` if the value is broken.
    pub(super) fn alone(&self) -> Option<RawDocumentBuf> {
        let length = LENGTH_BYTES + 2 + self.value.len() + 1;
        let mut bytes = Vec::with_capacity(length);
        bytes.extend(i32::try_from(length).ok()?.to_le_bytes());
        bytes.extend([self.kind as u8, 0]);
        bytes.extend(self.value);
        bytes.push(0);
        RawDocumentBuf::from_bytes(bytes).ok()
    }
}

/// The bytes of the fields of a document, one after the other.
pub(super) fn fields_of(document: &[u8]) -> &[u8] {
    document.get(LENGTH_BYTES..document.len().saturating_sub(1)).unwrap_or_default()
}

/// The document of these fields, followed by those.
pub(super) fn document_of(first: &[u8], others: &[u8]) -> RawDocumentBuf {
    let length = LENGTH_BYTES + first.len() + others.len() + 1;
    let mut bytes = Vec::with_capacity(length);
    // Both come of documents, which are far below 2 GiB.
    bytes.extend(i32::try_from(length).unwrap_or(i32::MAX).to_le_bytes());
    bytes.extend_from_slice(first);
    bytes.extend_from_slice(others);
    bytes.push(0);
    RawDocumentBuf::from_bytes(bytes).expect("its length stands before it, and a NUL behind it")
}

/// Bytes of a length.
const LENGTH_BYTES: usize = 4;

/// Bytes of the value of that kind at the beginning of `rest`.
fn bytes_of(kind: ElementType, rest: &[u8]) -> Option<usize> {
    let length = || rest.first_chunk().and_then(|bytes| usize::try_from(i32::from_le_bytes(*bytes)).ok());
    match kind {
        ElementType::Undefined | ElementType::Null | ElementType::MinKey | ElementType::MaxKey => Some(0),
        ElementType::Boolean => Some(1),
        ElementType::Int32 => Some(4),
        ElementType::Double | ElementType::DateTime | ElementType::Timestamp | ElementType::Int64 => Some(8),
        ElementType::ObjectId => Some(12),
        ElementType::Decimal128 => Some(16),
        ElementType::EmbeddedDocument | ElementType::Array | ElementType::JavaScriptCodeWithScope => {
            // A length that counts itself; a smaller number is invalid.
            length().filter(|length| *length > LENGTH_BYTES)
        }
        ElementType::String | ElementType::JavaScriptCode | ElementType::Symbol => {
            Some(LENGTH_BYTES + length().filter(|length| *length > 0)?)
        }
        ElementType::Binary => Some(LENGTH_BYTES + 1 + length()?),
        ElementType::DbPointer => Some(LENGTH_BYTES + length()? + 12),
        ElementType::RegularExpression => {
            let pattern = before_nul(rest)?.len() + 1;
            Some(pattern + before_nul(rest.get(pattern..)?)?.len() + 1)
        }
    }
}

fn before_nul(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    bytes.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::fields;
    use bson::{RawBsonRef, RawDocument};
    use proptest::prelude::*;

    /// A document with a value of every kind, some of them twice.
    fn of_every_kind() -> Vec<u8> {
        let mut fields: Vec<u8> = Vec::new();
        let values: [(u8, &[u8]); 23] = [
            (0x01, &1.5_f64.to_le_bytes()),
            (0x02, b"\x03\0\0\0\xc3\xa9\0"),
            (0x02, b"\x01\0\0\0\0"),
            (0x03, b"\x08\0\0\0\x0aa\0\0"),
            (0x04, b"\x0c\0\0\0\x100\0\x07\0\0\0\0"),
            (0x05, b"\x02\0\0\0\0\x01\x02"),
            (0x05, b"\x06\0\0\0\x02\x02\0\0\0\x01\x02"),
            (0x06, b""),
            (0x07, b"123456789012"),
            (0x08, b"\x01"),
            (0x09, &1_000_i64.to_le_bytes()),
            (0x0a, b""),
            (0x0b, b"^a\0i\0"),
            (0x0c, b"\x02\0\0\0c\0abcdefghijkl"),
            (0x0d, b"\x02\0\0\0x\0"),
            (0x0e, b"\x02\0\0\0s\0"),
            (0x0f, b"\x0f\0\0\0\x02\0\0\0x\0\x05\0\0\0\0"),
            (0x10, b"\xff\xff\xff\xff"),
            (0x11, b"\x01\0\0\0\x02\0\0\0"),
            (0x12, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
            (0x13, b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\x30"),
            (0x7f, b""),
            (0xff, b""),
        ];
        for (number, (kind, value)) in values.into_iter().enumerate() {
            fields.push(kind);
            fields.extend(format!("field {number}").as_bytes());
            fields.push(0);
            fields.extend(value);
        }
        let length = i32::try_from(fields.len() + 5).unwrap();
        [length.to_le_bytes().as_slice(), &fields, &[0]].concat()
    }

    #[test]
    fn raw_elements_equal_those_of_bson() {
        let bytes = of_every_kind();
        let document = RawDocument::from_bytes(&bytes).unwrap();
        let theirs: Vec<(&str, RawBsonRef<'_>)> = fields(document).collect();
        assert_eq!(theirs.len(), 23);
        let ours: Vec<Element<'_>> = Elements::of(&bytes).collect();
        assert_eq!(ours.len(), theirs.len());
        for (ours, (name, value)) in ours.iter().zip(theirs) {
            assert_eq!((ours.name, ours.kind), (name.as_bytes(), value.element_type()));
            let alone = ours.alone().unwrap();
            assert_eq!(fields(&alone).next().unwrap(), ("", value), "{name}");
        }
    }

    proptest! {
        #[test]
        fn raw_elements_of_broken_bytes_stay_within_them(at in 0_usize..300, byte: u8, length in 0_usize..300) {
            let mut bytes = of_every_kind();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(length);
            let total: usize = Elements::of(&bytes).map(|each| 2 + each.name.len() + each.value.len()).sum();
            prop_assert!(total <= bytes.len());
        }
    }
}
