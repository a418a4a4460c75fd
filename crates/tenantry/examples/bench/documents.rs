//! Documents: what the service is compared with when it keeps them, which is the engines used directly.
//!
//! Both sides get the same documents, from here. What a newcomer gets wrong: a comparison of different work. What
//! is used directly also checks that what comes is JSON, gives it an `_id`, keeps an index, and has a document on
//! disk before it says so.

pub mod driver;
pub mod route;
pub mod sqlite;

use super::fill;
use bson::{Bson, Document};
use clap::ValueEnum;

/// Documents of one kind, by which they are listed.
const OF_A_KIND: u32 = 200;
/// Documents of a list.
const LISTED: u32 = 100;
/// Documents that are inserted at once, of many; as many as the service takes at once.
const BATCH: usize = tenantry_domain::limits::INSERT_MAX_DOCUMENTS;

/// What is done with documents, over and over.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Operation {
    /// Gets one by its id
    Read,
    /// Lists a hundred of a kind, in the order of their ids
    List,
    /// Inserts one
    Insert,
    /// Inserts many at once
    Bulk,
}

impl Operation {
    const fn inserts(self) -> bool {
        matches!(self, Self::Insert | Self::Bulk)
    }

    /// Documents that it inserts, or else answers.
    const fn counts(self) -> u64 {
        match self {
            Self::Read | Self::List | Self::Insert => 1,
            Self::Bulk => BATCH as u64,
        }
    }
}

fn id(number: u32) -> String {
    format!("{number:08}")
}

fn kind(number: u32) -> String {
    format!("k{:06}", number / OF_A_KIND)
}

/// The kind of the list that is asked for after `turn` others, each far from the one before.
fn nth_kind(turn: u32, documents: u32) -> String {
    kind(nth(turn, documents))
}

/// The document that is asked for after `turn` others, each far from the one before.
fn nth(turn: u32, documents: u32) -> u32 {
    turn.wrapping_mul(61_803) % documents
}

/// The document of that number, of the usual size.
fn document(number: u32) -> Document {
    let mut document = fill::document(&id(number));
    document.insert("kind", kind(number));
    document
}

/// The document of that number without an `_id`, which whoever keeps it gives it.
fn unnamed(number: u32) -> Document {
    let mut document = document(number);
    document.remove("_id");
    document
}

fn json(document: Document) -> String {
    Bson::Document(document).into_relaxed_extjson().to_string()
}

/// Prints documents as JSON, a line each.
#[expect(clippy::print_stdout, reason = "the benchmark reads them from here")]
pub fn print(first: u32, count: u32, named: bool) {
    let make = if named { document } else { unnamed };
    let lines: String = (first..first + count).map(|number| json(make(number)) + "\n").collect();
    print!("{lines}");
}
