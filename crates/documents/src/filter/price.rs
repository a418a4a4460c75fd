//! The price of a filter: the part of its cost that is known after parsing.
//!
//! The real cost is counted during evaluation ([`crate::fuel`]). The price decides whether a filter is
//! accepted at all, and whether the work may begin on an async thread.

use crate::limits::{FILTER_MAX_NODES, FILTER_MAX_PATH_PARTS, FILTER_MAX_STATES, INLINE_MAX_BYTES};

/// States of patterns that are compiled in some ten microseconds.
const SHORT_STATES: usize = 200;
/// Conditions, parts of paths and values for which planning and one document take a few microseconds each.
const SHORT_NODES: usize = 64;
const SHORT_PATH_PARTS: usize = 128;
const SHORT_LIST_ITEMS: usize = 100;

/// The counts of a filter's parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FilterPrice {
    /// Bytes of it as JSON: its values are copied, compared with and sent on.
    pub bytes: usize,
    /// Operators, fields and branches.
    pub nodes: usize,
    /// Parts of all paths.
    pub path_parts: usize,
    /// Values of all lists.
    pub list_items: usize,
    /// States of all patterns when compiled.
    pub states: usize,
}

impl FilterPrice {
    /// Whether planning it and evaluating it with one small document takes no longer than handing it to another thread.
    #[must_use]
    pub const fn is_short(&self) -> bool {
        self.nodes <= SHORT_NODES
            && self.path_parts <= SHORT_PATH_PARTS
            && self.list_items <= SHORT_LIST_ITEMS
            && self.states <= SHORT_STATES
            && self.bytes <= INLINE_MAX_BYTES
    }

    /// Whether evaluating it with each of many documents keeps a processor busy. The values of a list are looked up.
    #[must_use]
    pub const fn is_expensive(&self) -> bool {
        self.nodes > SHORT_NODES || self.path_parts > SHORT_PATH_PARTS || self.states > SHORT_STATES
    }

    /// The first limit that it exceeds, as a sentence.
    pub(super) fn excess(&self) -> Option<String> {
        let bounds = [
            (self.nodes, FILTER_MAX_NODES, "conditions"),
            (self.path_parts, FILTER_MAX_PATH_PARTS, "parts in all of its paths"),
            (self.states, FILTER_MAX_STATES, "states in all of its patterns when compiled"),
        ];
        let (_, most, what) = bounds.into_iter().find(|(count, most, _)| count > most)?;
        Some(format!("A filter may have at most {most} {what}."))
    }
}
