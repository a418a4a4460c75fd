//! The entries of a document in an index, as MongoDB makes them; sorting uses the same ones.
//!
//! An array makes one entry for each of its values, an empty one `undefined`, a missing field `null`. Paths
//! that go through the same array make their entries together, value by value; two different arrays
//! ("parallel") have no sensible entries and are refused. The entries of a compound index are whole tuples.

use super::order::compare;
use super::path::PathPart;
use super::{Path, as_document, empty_document, field_within, items_within, size};
use crate::error::Error;
use crate::fuel::{self, Fuel, Interruption};
use bson::{RawArray, RawBsonRef, RawDocument};
use std::cmp::Ordering;

/// The entries of `document` in an index on `paths`: at least one, each with a value for each path, none twice,
/// in ascending order.
///
/// # Errors
/// Why it cannot be indexed or sorted by them.
pub fn index_entries<'a>(
    document: &'a RawDocument,
    paths: &[&Path],
    fuel: &Fuel<'_>,
) -> Result<Vec<Vec<RawBsonRef<'a>>>, EntriesError> {
    let columns: Vec<_> = paths.iter().map(|path| Column::new(path.parts())).collect();
    let mut entries = Vec::new();
    expand(document, columns, fuel, &mut entries)?;
    fuel.spend(sorting(&entries))?;
    entries.sort_by(|a, b| compare_entries(a, b));
    entries.dedup_by(|a, b| compare_entries(a, b).is_eq());
    Ok(entries)
}

/// Why a document has no entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntriesError {
    /// It cannot have any: the sentence that says why.
    Unsuitable(String),
    /// It costs too much to find out.
    Stopped(Interruption),
}

impl EntriesError {
    fn unsuitable(sentence: &str) -> Self {
        Self::Unsuitable(sentence.to_owned())
    }

    /// The error as a defect, for a document that was already sorted by the same paths.
    #[must_use]
    pub fn unexpected(self) -> Error {
        match self {
            Self::Unsuitable(sentence) => Error::internal(sentence),
            Self::Stopped(stopped) => stopped.into(),
        }
    }
}

impl From<Interruption> for EntriesError {
    fn from(stopped: Interruption) -> Self {
        Self::Stopped(stopped)
    }
}

/// The cost of sorting them: about log2(n) comparisons each.
fn sorting(entries: &[Vec<RawBsonRef<'_>>]) -> u64 {
    let halvings = u64::from(entries.len().checked_ilog2().map_or(0, |halvings| halvings + 1));
    let values = entries.iter().flatten();
    halvings * values.map(|value| fuel::comparison(size(*value))).sum::<u64>()
}

/// Whether one of `paths`, none of which has a position in it, goes through an array of `document` or ends at one.
#[must_use]
pub fn meets_array(document: &RawDocument, paths: &[&Path]) -> bool {
    let fuel = Fuel::unlimited();
    paths
        .iter()
        .any(|path| matches!(walk(document, path.parts(), &fuel), Ok(Some((RawBsonRef::Array(_), _)))))
}

/// The cost of making an entry, for each of its values.
const ENTRY: u64 = 32;

fn compare_entries(a: &[RawBsonRef<'_>], b: &[RawBsonRef<'_>]) -> Ordering {
    let orders = a.iter().zip(b).map(|(a, b)| compare(*a, *b));
    orders.fold(Ordering::Equal, Ordering::then)
}

/// One path on its way through a document.
#[derive(Clone)]
struct Column<'a, 'p> {
    /// The rest of the path; empty once the value is known.
    rest: &'p [PathPart],
    value: RawBsonRef<'a>,
    /// The value that `rest` reaches by a position in the array whose items are being visited.
    positioned: Option<Positioned<'a, 'p>>,
}

#[derive(Clone)]
struct Positioned<'a, 'p> {
    found: Option<FieldStep<'a, 'p>>,
    /// Whether the item at the position is an array.
    is_array: bool,
}

/// The first array along a path, or the value at its end, and what of the path is left there.
type FieldStep<'a, 'p> = (RawBsonRef<'a>, &'p [PathPart]);

impl<'p> Column<'_, 'p> {
    const fn new(rest: &'p [PathPart]) -> Self {
        Self { rest, value: RawBsonRef::Null, positioned: None }
    }
}

/// The array that the entries of one level are made from.
struct SharedArray<'a> {
    array: &'a RawArray,
    /// The columns that have met it.
    columns: Vec<usize>,
    /// Whether it is itself an item of an array and was reached by its position: then it counts as one value.
    is_value: bool,
}

fn expand<'a>(
    document: &'a RawDocument,
    mut columns: Vec<Column<'a, '_>>,
    fuel: &Fuel<'_>,
    entries: &mut Vec<Vec<RawBsonRef<'a>>>,
) -> Result<(), EntriesError> {
    // The cost of making an entry and keeping it.
    fuel.spend(ENTRY * columns.len() as u64)?;
    match advance(document, &mut columns, fuel)? {
        None => entries.push(columns.iter().map(|column| column.value).collect()),
        Some(shared) if shared.array.is_empty() => {
            columns.iter_mut().for_each(|column| column.positioned = None);
            set(&mut columns, &shared, RawBsonRef::Undefined);
            expand(empty_document(), columns, fuel, entries)?;
        }
        Some(shared) => {
            for column in &mut columns {
                column.positioned = at_position(shared.array, column.rest, fuel)?;
            }
            for item in items_within(shared.array, fuel) {
                let item = item?;
                let mut columns = columns.clone();
                let value = if shared.is_value { RawBsonRef::Array(shared.array) } else { item };
                set(&mut columns, &shared, value);
                let inner = item.as_document().unwrap_or_else(|| empty_document());
                expand(inner, columns, fuel, entries)?;
            }
        }
    }
    Ok(())
}

/// Advances every column as far as possible without entering an array; returns the array they met, if any.
fn advance<'a>(
    document: &'a RawDocument,
    columns: &mut [Column<'a, '_>],
    fuel: &Fuel<'_>,
) -> Result<Option<SharedArray<'a>>, EntriesError> {
    let mut shared: Option<SharedArray<'a>> = None;
    for (index, column) in columns.iter_mut().enumerate() {
        if column.rest.is_empty() {
            continue;
        }
        let (step, is_value) = next_step(document, column, fuel)?;
        let Some((value, rest)) = step else {
            (column.value, column.rest) = (RawBsonRef::Null, &[]);
            continue;
        };
        column.rest = rest;
        let RawBsonRef::Array(array) = value else {
            column.value = value;
            continue;
        };
        let shared = shared.get_or_insert(SharedArray { array, columns: Vec::new(), is_value: false });
        if !std::ptr::eq(array.as_bytes().as_ptr(), shared.array.as_bytes().as_ptr()) {
            let sentence = "Two of the paths go through different arrays of one document.";
            return Err(EntriesError::unsuitable(sentence));
        }
        shared.columns.push(index);
        shared.is_value |= is_value;
    }
    Ok(shared)
}

/// The value that a column reaches next, and whether that is an array reached by its position.
fn next_step<'a, 'p>(
    document: &'a RawDocument,
    column: &Column<'a, 'p>,
    fuel: &Fuel<'_>,
) -> Result<(Option<FieldStep<'a, 'p>>, bool), EntriesError> {
    let Some(positioned) = &column.positioned else {
        return Ok((walk(document, column.rest, fuel)?, false));
    };
    if let Some(part) = column.rest.first()
        && field_within(document, &part.name, fuel)?.is_some()
    {
        let sentence = "A number in a path is both a position in an array and a field of a document in it.";
        return Err(EntriesError::unsuitable(sentence));
    }
    Ok((positioned.found, positioned.is_array))
}

/// Follows `parts` to the first array, or to the end.
fn walk<'a, 'p>(
    document: &'a RawDocument,
    parts: &'p [PathPart],
    fuel: &Fuel<'_>,
) -> Result<Option<FieldStep<'a, 'p>>, Interruption> {
    let Some((part, rest)) = parts.split_first() else { return Ok(None) };
    match field_within(document, &part.name, fuel)? {
        Some(RawBsonRef::Document(inner)) if !rest.is_empty() => walk(inner, rest, fuel),
        Some(value) if rest.is_empty() || value.as_array().is_some() => Ok(Some((value, rest))),
        _ => Ok(None),
    }
}

fn at_position<'a, 'p>(
    array: &'a RawArray,
    rest: &'p [PathPart],
    fuel: &Fuel<'_>,
) -> Result<Option<Positioned<'a, 'p>>, Interruption> {
    let Some(position) = rest.first().and_then(|part| part.position) else { return Ok(None) };
    let Some(item) = items_within(array, fuel).nth(position) else { return Ok(None) };
    let is_array = item?.as_array().is_some();
    Ok(Some(Positioned { found: walk(as_document(array), rest, fuel)?, is_array }))
}

/// Gives `value` to the columns that end at the array.
fn set<'a>(columns: &mut [Column<'a, '_>], shared: &SharedArray<'_>, value: RawBsonRef<'a>) {
    for index in &shared.columns {
        if columns[*index].rest.is_empty() {
            columns[*index].value = value;
        }
    }
}
