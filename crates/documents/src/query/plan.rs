//! Chooses the index for a query.
//!
//! An index is chosen by its definition alone, not by what is in it: first one that equality narrows, then
//! one that gives the order that was asked for, then one that a range narrows.
//!
//! # Pitfalls
//! A plan only finds candidates: the engine that executes it still checks every document with
//! [`Filter::evaluate`]. An index that has met an array (multikey) may list a document more than once and
//! gives no order; in a compound one only the first path is bounded. An index that has met a value too long
//! for its keys gives no order either.

use crate::document::order::Direction;
use crate::document::{ID_FIELD, KeyFormat, Path, cut, key};
use crate::filter::{Entries, Filter, Interval};
use crate::index::Coverage;
use crate::limits::INDEX_KEY_PART_MAX_BYTES;
use crate::sort::{Position, Sort, SortKey};

/// Intervals that the values of several keys may be combined to.
const INTERVALS_MAX: usize = 1000;

/// What the planner knows about an index.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its keys.
    pub keys: &'a [SortKey],
    /// Which documents it has.
    pub coverage: &'a Coverage,
    /// Whether an indexed path may go through an array in any document.
    pub is_multikey: bool,
    /// How its keys are stored.
    pub format: KeyFormat,
    /// Whether a key of any document may be cut: then it gives no order.
    pub has_cut: bool,
}

/// How to reach the documents of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where they are found.
    pub access: AccessPath,
    /// The intervals of keys that may belong to a matching document; they are in order and do not overlap.
    pub intervals: Vec<Interval>,
    /// How to go through them to meet the documents in the requested order; `None` if they have to be sorted.
    pub order: Option<Order>,
    /// Whether everything has to be examined.
    pub is_scan: bool,
}

/// What the documents are reached by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessPath {
    /// The keys of their `_id`s.
    Ids,
    /// The index at this position among the candidates.
    Index(usize),
}

/// An order that an access path gives by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The direction of the scan.
    pub walk: ScanKind,
    /// How all keys begin: the values that are the same for all.
    prefix: Vec<u8>,
    /// The parts that follow: which value of a position, in which direction.
    rest: Vec<(usize, Direction)>,
}

/// A direction through entries, which are in the order of their keys and then of the documents' `_id`s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanKind {
    /// From the lowest to the highest.
    Up,
    /// From the highest to the lowest.
    Down,
    /// From the highest key to the lowest, but those of one key up by the `_id`.
    DownByKey,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanEntry {
    /// Its key; empty where the access is by the `_id`.
    pub key: Vec<u8>,
    /// The key of the document's `_id`.
    pub id: Vec<u8>,
}

impl Order {
    /// The entry of the document at `position`.
    #[must_use]
    pub fn place(&self, position: &Position) -> PlanEntry {
        let values = position.values();
        let mut key = self.prefix.clone();
        for (value, direction) in &self.rest {
            key::append(values[*value].as_raw_bson_ref(), *direction, &mut key);
        }
        let id = values.last().map(|id| key::encode(&[(id.as_raw_bson_ref(), Direction::Ascending)]));
        PlanEntry { key, id: id.unwrap_or_default() }
    }
}

/// The plan for the documents that match `filter`, in the order of `sort`, or in any.
#[must_use]
pub fn plan(candidates: &[Candidate<'_>], filter: &Filter, sort: Option<&Sort>) -> Plan {
    // One that lacks documents serves only queries none of whose documents it lacks.
    let is_usable = |candidate: &Candidate<'_>| match candidate.coverage.filter() {
        None => true,
        Some(partial) => filter.implies(partial.filter()),
    };
    let usable = candidates.iter().enumerate().filter(|(_, candidate)| is_usable(candidate));
    let by_index = usable.map(|(place, candidate)| {
        let bounds = Bounds::of_index(candidate, filter);
        let order = sort.and_then(|sort| order_of_index(candidate, &bounds, sort));
        ConsideredIndex { access: AccessPath::Index(place), bounds, order }
    });
    let best = by_index.fold(by_id(filter, sort), |best, next| {
        // The first of equals, so that the result does not depend on the order of a map.
        if next.score() > best.score() { next } else { best }
    });
    let is_scan = best.bounds.narrowing == Narrowing::None && !(filter.is_empty() && best.order.is_some());
    Plan { access: best.access, intervals: best.bounds.intervals, order: best.order, is_scan }
}

/// A possible plan.
struct ConsideredIndex {
    access: AccessPath,
    bounds: Bounds,
    order: Option<Order>,
}

impl ConsideredIndex {
    /// How good it is, as far as that is known without the documents.
    fn score(&self) -> (u32, std::cmp::Reverse<usize>) {
        let bounds = &self.bounds;
        let points = u32::try_from(bounds.points).unwrap_or(0);
        let ordered = if self.order.is_some() { 12 } else { 0 };
        let range = match bounds.narrowing {
            Narrowing::Between => 10,
            Narrowing::OneSide => 5,
            Narrowing::Nothing | Narrowing::Points | Narrowing::Type | Narrowing::None => 0,
        };
        let score = match (bounds.narrowing, self.access) {
            (Narrowing::Nothing, _) => 1000,
            (_, AccessPath::Ids) if points > 0 => 900,
            _ if points > 0 => 500 + 20 * points + range + ordered,
            (Narrowing::Between, _) => 300 + ordered,
            (Narrowing::OneSide, _) => 200 + ordered,
            (Narrowing::Type, _) => 150 + ordered,
            // Without a requested order, the `_id` is the order: even a wide range is better.
            (_, AccessPath::Index(_)) if ordered > 0 => 250,
            _ => ordered,
        };
        (score, std::cmp::Reverse(bounds.intervals.len()))
    }
}

/// The range of keys that a filter allows.
struct Bounds {
    intervals: Vec<Interval>,
    /// How many keys, from the first on, have one value each.
    fixed: usize,
    /// The key of these values.
    prefix: Vec<u8>,
    /// How many keys, from the first on, are one of some values.
    points: usize,
    narrowing: Narrowing,
}

/// How the last key is narrowed that is narrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Narrowing {
    /// No document can match.
    Nothing,
    /// Narrowed to some values.
    Points,
    /// Narrowed from both sides.
    Between,
    /// Narrowed from one side.
    OneSide,
    /// Narrowed to a type.
    Type,
    /// Not narrowed.
    None,
}

impl Narrowing {
    fn of(intervals: &[Interval]) -> Self {
        // A key of one byte is a type's.
        let ends = intervals.iter().flat_map(|interval| [&interval.low, &interval.high]);
        let (values, types): (Vec<_>, Vec<_>) = ends.partition(|end| end.len() > 1);
        match (values.is_empty(), types.is_empty()) {
            _ if intervals.iter().all(Interval::is_point) => Self::Points,
            (_, true) => Self::Between,
            (false, false) => Self::OneSide,
            (true, false) => Self::Type,
        }
    }
}

impl Bounds {
    const fn new() -> Self {
        Self { intervals: Vec::new(), fixed: 0, prefix: Vec::new(), points: 0, narrowing: Narrowing::None }
    }

    fn of_index(candidate: &Candidate<'_>, filter: &Filter) -> Self {
        let (entries, bounded) = match candidate.is_multikey {
            true => (Entries::Many, 1),
            false => (Entries::One, candidate.keys.len()),
        };
        let mut bounds = Self::new();
        for key in &candidate.keys[..bounded] {
            let Some(intervals) = filter.bounds(&key.path, entries) else { break };
            if bounds.points > 0 && bounds.intervals.len() * intervals.len() > INTERVALS_MAX {
                break;
            }
            bounds.add(intervals, key.direction, candidate.format);
            if bounds.narrowing != Narrowing::Points {
                break;
            }
        }
        bounds.finish()
    }

    fn of_ids(filter: &Filter, path: &Path) -> Self {
        let mut bounds = Self::new();
        if let Some(intervals) = filter.bounds(path, Entries::One) {
            bounds.add(intervals, Direction::Ascending, KeyFormat::Whole);
        }
        bounds.finish()
    }

    /// Narrows the next key; the ones before are points.
    fn add(&mut self, mut intervals: Vec<Interval>, direction: Direction, format: KeyFormat) {
        self.narrowing = if intervals.is_empty() { Narrowing::Nothing } else { Narrowing::of(&intervals) };
        if format == KeyFormat::Cut {
            intervals = cut_ends(intervals, self.narrowing == Narrowing::Points);
        }
        if direction == Direction::Descending {
            intervals = intervals.iter().rev().map(Interval::descending).collect();
        }
        if self.points > 0 {
            let combine = |before: &Interval, next: &Interval| Interval {
                low: [before.low.as_slice(), &next.low].concat(),
                high: [before.high.as_slice(), &next.high].concat(),
            };
            let pairs =
                self.intervals.iter().flat_map(|before| intervals.iter().map(move |next| (before, next)));
            intervals = pairs.map(|(before, next)| combine(before, next)).collect();
        }
        self.intervals = intervals;
        if self.narrowing == Narrowing::Points {
            if self.fixed == self.points
                && let [one] = self.intervals.as_slice()
            {
                self.fixed += 1;
                self.prefix.clone_from(&one.low);
            }
            self.points += 1;
        }
    }

    fn finish(mut self) -> Self {
        if self.narrowing == Narrowing::None {
            self.intervals = vec![Interval::everything()];
        }
        self
    }
}

/// The intervals of keys of which long values are cut. They may hold more values than before, never fewer.
fn cut_ends(mut intervals: Vec<Interval>, are_points: bool) -> Vec<Interval> {
    let is_long = |end: &Vec<u8>| end.len() > INDEX_KEY_PART_MAX_BYTES;
    if !intervals.iter().any(|interval| is_long(&interval.low) || is_long(&interval.high)) {
        return intervals;
    }
    if are_points {
        for point in &mut intervals {
            cut(&mut point.low, 0);
            point.high.clone_from(&point.low);
        }
        // Those that agree in their first bytes are in the order of their hashes.
        intervals.sort_unstable_by(|one, other| one.low.cmp(&other.low));
        intervals.dedup();
        return intervals;
    }
    // Cut, two of them may overlap: one holds all.
    let ends = intervals.first().map(|first| first.low.clone()).zip(intervals.pop().map(|last| last.high));
    let one = ends.map(|(mut low, mut high)| {
        low.truncate(INDEX_KEY_PART_MAX_BYTES);
        high.truncate(INDEX_KEY_PART_MAX_BYTES);
        Interval { low, high }
    });
    one.into_iter().collect()
}

fn by_id(filter: &Filter, sort: Option<&Sort>) -> ConsideredIndex {
    let path = Path::parse(ID_FIELD).expect("it is a path");
    let order = sort.and_then(|sort| match sort.keys() {
        [id] => Some(Order {
            walk: walk(&[id.direction == Direction::Ascending])?,
            prefix: Vec::new(),
            rest: Vec::new(),
        }),
        _ => None,
    });
    ConsideredIndex { access: AccessPath::Ids, bounds: Bounds::of_ids(filter, &path), order }
}

fn order_of_index(candidate: &Candidate<'_>, bounds: &Bounds, sort: &Sort) -> Option<Order> {
    // Entries of one key are in the order of the `_id` all the same.
    if candidate.has_cut && bounds.fixed < candidate.keys.len() {
        return None;
    }
    if candidate.is_multikey && !(candidate.keys.len() == 1 && bounds.fixed == 1 && sort.keys().len() == 1) {
        return None;
    }
    let (fixed, rest) = candidate.keys.split_at(bounds.fixed);
    let is_fixed = |key: &SortKey| !candidate.is_multikey && fixed.iter().any(|one| one.path == key.path);
    let wanted: Vec<_> = sort.keys().iter().enumerate().filter(|(_, key)| !is_fixed(key)).collect();
    let has_id = |key: &SortKey| key.path.as_str() == ID_FIELD;
    // The `_id` ends every key, unless the index itself ends in it.
    let given = if rest.last().is_some_and(has_id) { wanted.len() } else { wanted.len().checked_sub(1)? };
    if given != rest.len() || wanted.iter().zip(rest).any(|((_, one), other)| one.path != other.path) {
        return None;
    }
    let mut same: Vec<bool> =
        wanted.iter().zip(rest).map(|((_, one), other)| one.direction == other.direction).collect();
    same.extend(wanted.get(given).map(|(_, id)| id.direction == Direction::Ascending));
    let walk = match same.as_slice() {
        [keys @ .., true] if given < wanted.len() && !keys.is_empty() && !keys.contains(&true) => {
            ScanKind::DownByKey
        }
        all => walk(all)?,
    };
    let rest = wanted.iter().zip(rest).map(|((place, _), key)| (*place, key.direction)).collect();
    Some(Order { walk, prefix: bounds.prefix.clone(), rest })
}

/// The way whose directions are all the same as in the index, or all the other.
fn walk(same: &[bool]) -> Option<ScanKind> {
    match same {
        [first, rest @ ..] if rest.iter().all(|one| one == first) => {
            Some(if *first { ScanKind::Up } else { ScanKind::Down })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
