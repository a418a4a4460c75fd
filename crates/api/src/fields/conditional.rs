//! Members that are required on a condition.

use super::Fields;
use std::fmt;

impl Fields {
    /// A value that is required unless `is_optional`, parsed from its text.
    pub fn required_unless<T, E: fmt::Display>(
        &mut self,
        name: &str,
        is_optional: bool,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if is_optional { self.optional(name, parse) } else { self.required(name, parse) }
    }

    /// A value that is required only if `is_required`, parsed from its text.
    pub fn required_if<T, E: fmt::Display>(
        &mut self,
        name: &str,
        is_required: bool,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.required_unless(name, !is_required, parse)
    }
}
