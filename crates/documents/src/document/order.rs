//! MongoDB's order of all values.
//!
//! First the type decides, with all four types of numbers as one and symbols as strings; then the value. Two
//! documents compare field by field: type, name, value. `undefined` is below `null`, and an empty array sorts
//! as `undefined` (see [`super::index_entries`]).

use super::{fields, number};
use bson::raw::{RawBinaryRef, RawDocumentBuf};
use bson::spec::BinarySubtype;
use bson::{RawBsonRef, RawDocument, Timestamp};
use std::cmp::Ordering;

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the lowest to the highest.
    Ascending,
    /// From the highest to the lowest.
    Descending,
}

impl Direction {
    /// `order` of two values when this is the direction.
    #[must_use]
    pub const fn apply(self, order: Ordering) -> Ordering {
        match self {
            Self::Ascending => order,
            Self::Descending => order.reverse(),
        }
    }
}

/// The types in their order; those that compare by value are one. The number is the first byte of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "they are named as BSON names them")]
pub enum Rank {
    MinKey = 1,
    Undefined,
    Null,
    Number,
    String,
    Document,
    Array,
    Binary,
    ObjectId,
    Boolean,
    DateTime,
    Timestamp,
    Regex,
    DbPointer,
    Code,
    CodeWithScope,
    MaxKey,
}

impl Rank {
    /// The rank of the type of `value`.
    #[must_use]
    pub const fn of(value: RawBsonRef<'_>) -> Self {
        match value {
            RawBsonRef::MinKey => Self::MinKey,
            RawBsonRef::Undefined => Self::Undefined,
            RawBsonRef::Null => Self::Null,
            RawBsonRef::Int32(_)
            | RawBsonRef::Int64(_)
            | RawBsonRef::Double(_)
            | RawBsonRef::Decimal128(_) => Self::Number,
            RawBsonRef::String(_) | RawBsonRef::Symbol(_) => Self::String,
            RawBsonRef::Document(_) => Self::Document,
            RawBsonRef::Array(_) => Self::Array,
            RawBsonRef::Binary(_) => Self::Binary,
            RawBsonRef::ObjectId(_) => Self::ObjectId,
            RawBsonRef::Boolean(_) => Self::Boolean,
            RawBsonRef::DateTime(_) => Self::DateTime,
            RawBsonRef::Timestamp(_) => Self::Timestamp,
            RawBsonRef::RegularExpression(_) => Self::Regex,
            RawBsonRef::DbPointer(_) => Self::DbPointer,
            RawBsonRef::JavaScriptCode(_) => Self::Code,
            RawBsonRef::JavaScriptCodeWithScope(_) => Self::CodeWithScope,
            RawBsonRef::MaxKey => Self::MaxKey,
        }
    }
}

/// Compares any two values.
#[must_use]
pub fn compare(a: RawBsonRef<'_>, b: RawBsonRef<'_>) -> Ordering {
    if is_same(a, b) {
        return Ordering::Equal;
    }
    Rank::of(a).cmp(&Rank::of(b)).then_with(|| compare_within_rank(a, b))
}

/// Whether these are one and the same place in a document. All entries that an array makes in a compound index share
/// the values of the other paths: compared over and over, one long value among them would take minutes.
fn is_same(a: RawBsonRef<'_>, b: RawBsonRef<'_>) -> bool {
    use RawBsonRef as R;
    match (a, b) {
        (R::String(a), R::String(b)) => std::ptr::eq(a, b),
        (R::Document(a), R::Document(b)) => std::ptr::eq(a.as_bytes(), b.as_bytes()),
        (R::Array(a), R::Array(b)) => std::ptr::eq(a.as_bytes(), b.as_bytes()),
        (R::Binary(a), R::Binary(b)) => a.subtype == b.subtype && std::ptr::eq(a.bytes, b.bytes),
        _ => false,
    }
}

fn compare_within_rank(a: RawBsonRef<'_>, b: RawBsonRef<'_>) -> Ordering {
    use RawBsonRef as R;
    match (a, b) {
        (R::String(a) | R::Symbol(a), R::String(b) | R::Symbol(b)) => a.cmp(b),
        (R::Document(a), R::Document(b)) => compare_documents(a, b),
        (R::Array(a), R::Array(b)) => compare_documents(super::as_document(a), super::as_document(b)),
        (R::Binary(a), R::Binary(b)) => binary_parts(&a).cmp(&binary_parts(&b)),
        (R::ObjectId(a), R::ObjectId(b)) => a.cmp(&b),
        (R::Boolean(a), R::Boolean(b)) => a.cmp(&b),
        (R::DateTime(a), R::DateTime(b)) => a.cmp(&b),
        (R::Timestamp(a), R::Timestamp(b)) => timestamp_parts(a).cmp(&timestamp_parts(b)),
        (R::RegularExpression(a), R::RegularExpression(b)) => {
            let patterns = a.pattern.as_str().cmp(b.pattern.as_str());
            patterns.then_with(|| a.options.as_str().cmp(b.options.as_str()))
        }
        (R::DbPointer(_), R::DbPointer(_)) => pointer_parts(a).cmp(&pointer_parts(b)),
        (R::JavaScriptCode(a), R::JavaScriptCode(b)) => a.cmp(b),
        (R::JavaScriptCodeWithScope(a), R::JavaScriptCodeWithScope(b)) => {
            a.code.cmp(b.code).then_with(|| compare_documents(a.scope, b.scope))
        }
        // Only numbers and types with a single value are left.
        _ => number::compare(a, b),
    }
}

fn compare_documents(a: &RawDocument, b: &RawDocument) -> Ordering {
    let (mut a, mut b) = (fields(a), fields(b));
    loop {
        let ((name_a, a), (name_b, b)) = match (a.next(), b.next()) {
            (Some(a), Some(b)) => (a, b),
            (a, b) => return a.is_some().cmp(&b.is_some()),
        };
        let order = Rank::of(a).cmp(&Rank::of(b)).then_with(|| name_a.cmp(name_b));
        let order = order.then_with(|| compare_within_rank(a, b));
        if order.is_ne() {
            return order;
        }
    }
}

/// Length, subtype and bytes. The length of the old subtype counts its second length.
pub(super) fn binary_parts<'a>(binary: &RawBinaryRef<'a>) -> (usize, u8, &'a [u8]) {
    let second = if binary.subtype == BinarySubtype::BinaryOld { 4 } else { 0 };
    (binary.bytes.len() + second, binary.subtype.into(), binary.bytes)
}

pub(super) const fn timestamp_parts(timestamp: Timestamp) -> (u32, u32) {
    (timestamp.time, timestamp.increment)
}

fn pointer_parts(value: RawBsonRef<'_>) -> (usize, String, [u8; 12]) {
    let (namespace, id) = db_pointer(value);
    (namespace.len(), namespace, id)
}

/// Namespace and id of a pointer, a type from before 2010 whose parts the BSON library keeps to itself.
pub(super) fn db_pointer(value: RawBsonRef<'_>) -> (String, [u8; 12]) {
    let mut holder = RawDocumentBuf::new();
    holder.append(bson::raw::cstr!(""), value);
    // The holder's length, the type, the empty name; the namespace's length and NUL; the id; the holder's end.
    let bytes = holder.as_bytes();
    let end = bytes.len() - 1 - 12;
    let namespace = bytes.get(10..end - 1).unwrap_or_default();
    let id = bytes[end..].first_chunk().copied().unwrap_or_default();
    (String::from_utf8_lossy(namespace).into_owned(), id)
}
