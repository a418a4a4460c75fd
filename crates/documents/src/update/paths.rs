//! The paths of an update: names, positions in arrays, and `$`, `$[]` and `$[name]`.

use super::tree::PathStep;
use crate::document::RESERVED_FIELD;
use crate::limits::{PATH_MAX_BYTES, PATH_MAX_PARTS};

/// Reads a path from the top of a document.
///
/// # Errors
/// The sentence that says which rule it breaks.
pub fn parse(text: &str) -> Result<Vec<PathStep>, String> {
    if text.len() > PATH_MAX_BYTES {
        return Err(format!("A path may have at most {PATH_MAX_BYTES} bytes."));
    }
    let steps = text.split('.').map(step).collect::<Result<Vec<_>, _>>()?;
    if steps.len() > PATH_MAX_PARTS {
        return Err(format!("A path may have at most {PATH_MAX_PARTS} parts."));
    }
    match &steps[0] {
        PathStep::Field(name) if **name == *RESERVED_FIELD => {
            return Err(format!("`{RESERVED_FIELD}` is reserved for the service."));
        }
        PathStep::Field(_) => {}
        _ => return Err("A path must begin with the name of a field.".into()),
    }
    if steps.iter().filter(|step| **step == PathStep::Matched).count() > 1 {
        return Err("A path may have `$` only once; for arrays within arrays use `$[]` or `$[name]`.".into());
    }
    Ok(steps)
}

/// Reads a path that names fields alone: those of `$rename`.
///
/// # Errors
/// As [`parse`].
pub fn parse_static(text: &str) -> Result<Vec<PathStep>, String> {
    let steps = parse(text)?;
    if steps.iter().all(|step| matches!(step, PathStep::Field(_))) {
        Ok(steps)
    } else {
        Err("A path of `$rename` must not have `$`, `$[]` or `$[name]`.".into())
    }
}

/// The names of a path of fields.
pub fn names(steps: &[PathStep]) -> Vec<Box<str>> {
    let name = |step: &PathStep| match step {
        PathStep::Field(name) => Some(name.clone()),
        _ => None,
    };
    steps.iter().filter_map(name).collect()
}

fn step(name: &str) -> Result<PathStep, String> {
    match name {
        "" => return Err("A path must not have an empty part.".into()),
        "$" => return Ok(PathStep::Matched),
        "$[]" => return Ok(PathStep::All),
        _ => {}
    }
    if let Some(filter) = name.strip_prefix("$[").and_then(|rest| rest.strip_suffix(']')) {
        return Ok(PathStep::Filtered(filter.into()));
    }
    if name.starts_with('$') {
        return Err("A part of a path may begin with `$` only as `$`, `$[]` or `$[name]`.".into());
    }
    if name.contains('\0') {
        return Err("A path must not contain NUL.".into());
    }
    Ok(PathStep::Field(name.into()))
}

/// The position in an array that a part of a path means.
pub fn position(name: &str) -> Option<usize> {
    let is_number = is_digits(name) && !is_padded(name);
    let position: u32 = if is_number { name.parse().ok()? } else { return None };
    usize::try_from(position).ok()
}

/// Whether it is a number with zeros before it. For an array MongoDB takes `01` as 1, but as another path than `1`.
pub fn is_padded(name: &str) -> bool {
    is_digits(name) && name.len() > 1 && name.starts_with('0')
}

fn is_digits(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}
