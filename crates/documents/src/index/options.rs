//! What an index has besides its name and its keys, and the form in which that is kept.

use super::coverage::{Coverage, PartialFilter};
use crate::document::Path;
use crate::error::{Error, FieldError, Result};
use crate::limits::EXPIRE_AFTER_MAX_SECONDS;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The options of an index that is requested or read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexOptions {
    /// Whether no two of its documents may have a common entry.
    pub unique: bool,
    /// Whether it has only documents with a value at one of its paths.
    pub sparse: bool,
    /// If given, it has only documents that match.
    pub partial_filter: Option<PartialFilter>,
    /// If given, a document is removed this many seconds after the date in it.
    pub expire_after_seconds: Option<u32>,
}

impl IndexOptions {
    /// The options of an index that has all documents.
    #[must_use]
    pub fn of_all(unique: bool) -> Self {
        Self { unique, ..Self::default() }
    }

    /// Which documents an index on `paths` has. Refuses options that do not go together.
    pub(super) fn coverage(self, paths: &[&Path]) -> Result<Coverage> {
        let mut fields = Vec::new();
        let mut refuse =
            |pointer: &str, detail: String| fields.push(FieldError { pointer: pointer.into(), detail });
        if self.sparse && self.partial_filter.is_some() {
            let detail = "Must not be true beside a `partial_filter`: add `$exists` to that.";
            refuse("/sparse", detail.into());
        }
        if let Some(seconds) = self.expire_after_seconds {
            if paths.len() > 1 {
                let detail = "Needs an index with exactly one key, which is the date.";
                refuse("/expire_after_seconds", detail.into());
            } else if seconds > EXPIRE_AFTER_MAX_SECONDS {
                let detail = format!("Must be a whole number from 0 to {EXPIRE_AFTER_MAX_SECONDS}.");
                refuse("/expire_after_seconds", detail);
            }
        }
        if !fields.is_empty() {
            return Err(Error::Invalid(fields));
        }
        Ok(match self.partial_filter {
            Some(filter) => Coverage::Partial(filter),
            None if self.sparse => Coverage::sparse(paths),
            None => Coverage::All,
        })
    }
}

/// The options that not every index has, as engines and archives keep them beside its name, keys and uniqueness.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredOptions {
    #[serde(default, skip_serializing_if = "is_false")]
    sparse: bool,
    /// Canonical Extended JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partial_filter: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expire_after_seconds: Option<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl StoredOptions {
    pub(super) fn new(coverage: &Coverage, expire_after_seconds: Option<u32>) -> Self {
        let partial_filter = match coverage {
            Coverage::Partial(filter) => RawValue::from_string(filter.text().to_owned()).ok(),
            Coverage::All | Coverage::Sparse(_) => None,
        };
        Self { sparse: matches!(coverage, Coverage::Sparse(_)), partial_filter, expire_after_seconds }
    }

    /// Whether an index of these options is one that earlier versions also know.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        !self.sparse && self.partial_filter.is_none() && self.expire_after_seconds.is_none()
    }

    /// The options, beside whether the index is unique.
    ///
    /// # Errors
    /// The filter is none that a partial index may have.
    pub fn read(self, unique: bool) -> Result<IndexOptions> {
        let Self { sparse, partial_filter, expire_after_seconds } = self;
        let partial_filter = partial_filter.map(|json| PartialFilter::parse(json.get(), "/partial_filter"));
        Ok(IndexOptions { unique, sparse, partial_filter: partial_filter.transpose()?, expire_after_seconds })
    }
}
