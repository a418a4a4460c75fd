//! The entries a document makes in an index, as MongoDB makes them; sorting uses the same ones.
//!
//! An array makes one entry for each of its values, an empty one `undefined`, a missing field `null`. Paths that
//! go through the same array make their entries together, value by value; two different arrays ("parallel") have
//! no sensible entries and are refused. What a newcomer gets wrong: entries of a compound index are whole tuples.

use super::order::compare;
use super::path::Part;
use super::{Path, as_document, empty_document, field, items};
use bson::{RawArray, RawBsonRef, RawDocument};
use std::cmp::Ordering;

/// The entries of `document` in an index on `paths`: at least one, each with a value for each path, none twice,
/// in ascending order.
///
/// # Errors
/// The sentence that says why it cannot be indexed or sorted so.
pub fn index_entries<'a>(
    document: &'a RawDocument,
    paths: &[&Path],
) -> Result<Vec<Vec<RawBsonRef<'a>>>, String> {
    let columns: Vec<_> = paths.iter().map(|path| Column::new(path.parts())).collect();
    let mut entries = Vec::new();
    expand(document, columns, &mut entries)?;
    entries.sort_by(|a, b| compare_entries(a, b));
    entries.dedup_by(|a, b| compare_entries(a, b).is_eq());
    Ok(entries)
}

/// Whether one of `paths`, none of which has a position in it, goes through an array of `document` or ends at one.
#[must_use]
pub fn meets_array(document: &RawDocument, paths: &[&Path]) -> bool {
    paths.iter().any(|path| matches!(walk(document, path.parts()), Some((RawBsonRef::Array(_), _))))
}

fn compare_entries(a: &[RawBsonRef<'_>], b: &[RawBsonRef<'_>]) -> Ordering {
    let orders = a.iter().zip(b).map(|(a, b)| compare(*a, *b));
    orders.fold(Ordering::Equal, Ordering::then)
}

/// One path on its way through a document.
#[derive(Clone)]
struct Column<'a, 'p> {
    /// What is still to go; nothing once the value is known.
    rest: &'p [Part],
    value: RawBsonRef<'a>,
    /// What `rest` reaches by a position in the array whose items are being visited.
    positioned: Option<Positioned<'a, 'p>>,
}

#[derive(Clone)]
struct Positioned<'a, 'p> {
    found: Option<Step<'a, 'p>>,
    /// Whether the item at the position is an array.
    is_array: bool,
}

/// The first array along a path, or the value at its end, and what of the path is left there.
type Step<'a, 'p> = (RawBsonRef<'a>, &'p [Part]);

impl<'p> Column<'_, 'p> {
    const fn new(rest: &'p [Part]) -> Self {
        Self { rest, value: RawBsonRef::Null, positioned: None }
    }
}

/// The array that the entries of one level are made from.
struct Shared<'a> {
    array: &'a RawArray,
    /// The columns that have met it.
    columns: Vec<usize>,
    /// Whether it stands in an array itself and was reached by its position: then it counts as one value.
    is_value: bool,
}

fn expand<'a>(
    document: &'a RawDocument,
    mut columns: Vec<Column<'a, '_>>,
    entries: &mut Vec<Vec<RawBsonRef<'a>>>,
) -> Result<(), String> {
    match advance(document, &mut columns)? {
        None => entries.push(columns.iter().map(|column| column.value).collect()),
        Some(shared) if shared.array.is_empty() => {
            columns.iter_mut().for_each(|column| column.positioned = None);
            set(&mut columns, &shared, RawBsonRef::Undefined);
            expand(empty_document(), columns, entries)?;
        }
        Some(shared) => {
            columns.iter_mut().for_each(|column| column.positioned = at_position(shared.array, column.rest));
            for item in items(shared.array) {
                let mut columns = columns.clone();
                let value = if shared.is_value { RawBsonRef::Array(shared.array) } else { item };
                set(&mut columns, &shared, value);
                let inner = item.as_document().unwrap_or_else(|| empty_document());
                expand(inner, columns, entries)?;
            }
        }
    }
    Ok(())
}

/// Takes every column as far as it goes without entering an array; the array they have met, if any.
fn advance<'a>(
    document: &'a RawDocument,
    columns: &mut [Column<'a, '_>],
) -> Result<Option<Shared<'a>>, String> {
    let mut shared: Option<Shared<'a>> = None;
    for (index, column) in columns.iter_mut().enumerate() {
        if column.rest.is_empty() {
            continue;
        }
        let (step, is_value) = next_step(document, column)?;
        let Some((value, rest)) = step else {
            (column.value, column.rest) = (RawBsonRef::Null, &[]);
            continue;
        };
        column.rest = rest;
        let RawBsonRef::Array(array) = value else {
            column.value = value;
            continue;
        };
        let shared = shared.get_or_insert(Shared { array, columns: Vec::new(), is_value: false });
        if !std::ptr::eq(array.as_bytes().as_ptr(), shared.array.as_bytes().as_ptr()) {
            return Err("Two of the paths go through different arrays of one document.".into());
        }
        shared.columns.push(index);
        shared.is_value |= is_value;
    }
    Ok(shared)
}

/// Where a column goes from here, and whether that is an array reached by its position.
fn next_step<'a, 'p>(
    document: &'a RawDocument,
    column: &Column<'a, 'p>,
) -> Result<(Option<Step<'a, 'p>>, bool), String> {
    let has_field = column.rest.first().is_some_and(|part| field(document, &part.name).is_some());
    match &column.positioned {
        Some(_) if has_field => {
            Err("A number in a path is both a position in an array and a field of a document in it.".into())
        }
        Some(positioned) => Ok((positioned.found, positioned.is_array)),
        None => Ok((walk(document, column.rest), false)),
    }
}

/// Follows `parts` to the first array, or to the end.
fn walk<'a, 'p>(document: &'a RawDocument, parts: &'p [Part]) -> Option<Step<'a, 'p>> {
    let (part, rest) = parts.split_first()?;
    match field(document, &part.name)? {
        RawBsonRef::Document(inner) if !rest.is_empty() => walk(inner, rest),
        value if rest.is_empty() || value.as_array().is_some() => Some((value, rest)),
        _ => None,
    }
}

fn at_position<'a, 'p>(array: &'a RawArray, rest: &'p [Part]) -> Option<Positioned<'a, 'p>> {
    let item = items(array).nth(rest.first()?.position?)?;
    Some(Positioned { found: walk(as_document(array), rest), is_array: item.as_array().is_some() })
}

/// Gives `value` to the columns that end at the array.
fn set<'a>(columns: &mut [Column<'a, '_>], shared: &Shared<'_>, value: RawBsonRef<'a>) {
    for index in &shared.columns {
        if columns[*index].rest.is_empty() {
            columns[*index].value = value;
        }
    }
}
