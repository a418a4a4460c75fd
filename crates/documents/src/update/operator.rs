//! The operators of an update, with their operands.

use crate::arithmetic::Number;
use crate::filter::Filter;
use bson::Bson;
use std::collections::HashSet;

/// An operator at the end of a path.
#[derive(Debug)]
pub struct Leaf {
    /// What it does.
    pub operator: UpdateOperator,
    /// The JSON pointer of its path in the request.
    pub pointer: Box<str>,
    /// Whether it only counts when an upsert inserts.
    pub only_on_insert: bool,
}

/// What to do with the value at a path.
#[derive(Debug)]
pub enum UpdateOperator {
    /// `$set`, `$setOnInsert`
    Set(Bson),
    /// `$unset`
    Unset,
    /// `$inc`
    Add(Number),
    /// `$mul`
    Multiply(Number),
    /// `$min`
    Min(Bson),
    /// `$max`
    Max(Bson),
    /// `$rename`: takes the value at the source of that number.
    Rename(usize),
    /// The source of a `$rename`, which nothing else may touch.
    RenameSource,
    /// `$currentDate`
    CurrentDate,
    /// `$currentDate` with `{"$type": "timestamp"}`
    CurrentTimestamp,
    /// `$push`
    Push(Push),
    /// `$addToSet`
    AddToSet(Vec<Bson>),
    /// `$pull` of values equal to one of these, as keys; and `$pullAll`
    PullEqual(HashSet<Vec<u8>>),
    /// `$pull` of values that meet conditions. The filter is on documents with the value as [`VALUE`].
    PullValues(Filter),
    /// `$pull` of documents that match.
    PullDocuments(Filter),
    /// `$pop`
    Pop(End),
    /// `$bit`
    Bits(Vec<BitOperation>),
}

/// A bitwise operation, and the number to combine with.
pub type BitOperation = (fn(i64, i64) -> i64, Number);

/// The name of the field that holds a value on which there are conditions.
pub const VALUE: &str = "value";

/// An end of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Where it begins.
    First,
    /// Where it ends.
    Last,
}

/// The operand of `$push`.
#[derive(Debug, Default)]
pub struct Push {
    /// What to add.
    pub values: Vec<Bson>,
    /// Before which position; from the end if negative.
    pub position: Option<i64>,
    /// The order of the array afterwards.
    pub sort: Option<PushSort>,
    /// How many values stay: the first, or the last if negative.
    pub slice: Option<i64>,
}

/// The `$sort` of a `$push`.
#[derive(Debug)]
pub enum PushSort {
    /// By the values themselves.
    Values {
        /// From the highest to the lowest.
        descending: bool,
    },
    /// By fields of the values: the names of each path, and whether it is descending.
    Fields(Vec<(Vec<Box<str>>, bool)>),
}

impl UpdateOperator {
    /// Whether it leaves out a path that does not exist, instead of creating it.
    pub const fn changes_only_existing(&self) -> bool {
        matches!(
            self,
            Self::Unset
                | Self::RenameSource
                | Self::PullEqual(_)
                | Self::PullValues(_)
                | Self::PullDocuments(_)
                | Self::Pop(_)
        )
    }
}
