//! An update that has been checked, and what it is applied with.

use super::tree::Node;
use crate::filter::{Filter, FilterPrice, MatchedPosition};
use crate::fuel::Fuel;
use std::collections::BTreeMap;

/// An update that may be applied to any document.
#[derive(Debug)]
pub struct Update {
    pub(super) root: Node,
    /// The sources of `$rename`, as the names of their paths.
    pub(super) sources: Vec<Vec<Box<str>>>,
    /// The filters of arrays, by their names.
    pub(super) filters: BTreeMap<Box<str>, Filter>,
    /// Whether a path has `$`.
    pub(super) needs_position: bool,
    /// The pointer of a path that leads to the `_id`.
    pub(super) id_pointer: Option<Box<str>>,
    /// The numbers of the sources that a `$rename` moves to the `_id`, or into it.
    pub(super) renamed_to_id: Vec<usize>,
    /// The pointer of the update itself.
    pub(super) pointer: Box<str>,
    pub(super) bytes: usize,
    pub(super) paths: usize,
    pub(super) price: FilterPrice,
}

/// Where in a request the parts of an update are.
#[derive(Debug, Clone, Copy)]
pub struct UpdatePointers<'a> {
    /// The JSON pointer of the operators.
    pub update: &'a str,
    /// That of the filters of arrays.
    pub array_filters: &'a str,
}

/// What an update needs to know besides the document.
#[derive(Clone, Copy)]
pub struct UpdateContext<'a> {
    /// The time of `$currentDate`, in milliseconds since 1970.
    pub now: i64,
    /// The position in an array that the filter has matched, for `$`.
    pub position: MatchedPosition,
    /// The most bytes of the new document.
    pub max_bytes: usize,
    /// What the work may cost.
    pub fuel: &'a Fuel<'a>,
}
