//! Dotted paths, and how MongoDB follows one through a document.
//!
//! A path goes through every document of an array it meets, and a part such as `0` also names a position.
//!
//! # Pitfalls
//! A path may reach many values, a missing one, or, through an array, nothing at all, and these differ:
//! `{"a.b": null}` matches `{"a": [{}]}` but not `{"a": []}`.

use super::{RESERVED_FIELD, field_within, items_within};
use crate::fuel::{Fuel, Interruption};
use crate::limits::{PATH_MAX_BYTES, PATH_MAX_PARTS};
use bson::{RawArray, RawBsonRef, RawDocument};
use std::fmt;

/// A path from a request: no part is empty or begins with `$`, and it does not reach the reserved field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    text: Box<str>,
    parts: Box<[PathPart]>,
}

/// The text between two dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPart {
    /// The name of a field.
    pub name: Box<str>,
    /// The position in an array that it may also mean.
    pub position: Option<usize>,
}

impl Path {
    /// A path from the top of a document.
    ///
    /// # Errors
    /// The sentence that says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = Self::parse_relative(text)?;
        if path.head() == RESERVED_FIELD {
            return Err(format!("`{RESERVED_FIELD}` is reserved for the service."));
        }
        Ok(path)
    }

    /// A path from within an array's item, where nothing is reserved.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_relative(text: &str) -> Result<Self, String> {
        if text.len() > PATH_MAX_BYTES {
            return Err(format!("A path may have at most {PATH_MAX_BYTES} bytes."));
        }
        let parts = text.split('.').map(PathPart::parse).collect::<Result<Box<[_]>, _>>()?;
        if parts.len() > PATH_MAX_PARTS {
            return Err(format!("A path may have at most {PATH_MAX_PARTS} parts."));
        }
        Ok(Self { text: text.into(), parts })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its first part.
    #[must_use]
    pub fn head(&self) -> &str {
        &self.parts[0].name
    }

    /// Whether a part may mean a position in an array. Such a path cannot be indexed.
    #[must_use]
    pub fn has_position(&self) -> bool {
        self.parts.iter().any(|part| part.position.is_some())
    }

    /// How many of its parts may mean a position.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.parts.iter().filter(|part| part.position.is_some()).count()
    }

    /// Its parts, at least one.
    pub(crate) const fn parts(&self) -> &[PathPart] {
        &self.parts
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PathPart {
    fn parse(name: &str) -> Result<Self, String> {
        if name.is_empty() {
            return Err("A path must not have an empty part.".into());
        }
        if name.starts_with('$') {
            return Err("No part of a path may begin with `$`.".into());
        }
        if name.contains('\0') {
            return Err("A path must not contain NUL.".into());
        }
        Ok(Self { position: position(name), name: name.into() })
    }
}

/// MongoDB compares a part with the decimal position, so `01` is none.
fn position(name: &str) -> Option<usize> {
    let is_decimal = name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    if is_decimal { name.parse().ok() } else { None }
}

/// How an array at the end of a path is visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    /// Its values are visited, then itself.
    Items,
    /// It alone is visited.
    Whole,
}

/// The callback for each value that is reached; returns whether to stop.
type PathVisitor<'a> = dyn FnMut(Option<RawBsonRef<'_>>) -> Result<bool, Interruption> + 'a;

/// Calls `see` with every value that `parts` reach from `document`, and `None` for each missing one, until it
/// returns true. Returns whether it did.
///
/// # Errors
/// There is not enough fuel to go on. A part that is both a name and a position is followed twice, so without
/// a bound, a malicious document would take exponential time.
pub fn visit(
    document: &RawDocument,
    parts: &[PathPart],
    leaf: Leaf,
    fuel: &Fuel<'_>,
    see: &mut PathVisitor<'_>,
) -> Result<bool, Interruption> {
    let Some((part, rest)) = parts.split_first() else { return Ok(false) };
    match field_within(document, &part.name, fuel)? {
        Some(RawBsonRef::Array(array)) => visit_array(array, rest, leaf, fuel, see),
        Some(RawBsonRef::Document(inner)) if !rest.is_empty() => visit(inner, rest, leaf, fuel, see),
        Some(value) if rest.is_empty() => see(Some(value)),
        _ => see(None),
    }
}

fn visit_array(
    array: &RawArray,
    rest: &[PathPart],
    leaf: Leaf,
    fuel: &Fuel<'_>,
    see: &mut PathVisitor<'_>,
) -> Result<bool, Interruption> {
    let Some((part, after)) = rest.split_first() else {
        if leaf == Leaf::Items {
            for item in items_within(array, fuel) {
                if see(Some(item?))? {
                    return Ok(true);
                }
            }
        }
        return see(Some(RawBsonRef::Array(array)));
    };
    for (position, item) in items_within(array, fuel).enumerate() {
        let item = item?;
        let is_named = part.position == Some(position);
        let is_enough = match item {
            // As a document of the array, and as the one at the position; the former may miss the field.
            RawBsonRef::Document(inner) => {
                visit(inner, rest, leaf, fuel, see)?
                    || (is_named
                        && if after.is_empty() {
                            see(Some(item))?
                        } else {
                            visit(inner, after, leaf, fuel, see)?
                        })
            }
            _ if is_named && after.is_empty() => see(Some(item))?,
            RawBsonRef::Array(inner) if is_named => visit_array(inner, after, leaf, fuel, see)?,
            _ => false,
        };
        if is_enough {
            return Ok(true);
        }
    }
    Ok(false)
}
