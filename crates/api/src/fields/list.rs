//! Members that are arrays of strings.

use super::Fields;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

impl Fields {
    /// Values that must be there, each read from its text.
    pub fn required_list<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        match self.members.get(name) {
            None | Some(Value::Null) => {
                self.members.remove(name);
                self.refuse(name, "Is required.");
                None
            }
            Some(Value::Array(items)) if items.is_empty() => {
                self.members.remove(name);
                self.refuse(name, "Must not be empty.");
                None
            }
            Some(_) => self.list(name, parse),
        }
    }

    /// Values that may be absent or null, each read from its text.
    pub fn list<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let items = match self.members.remove(name)? {
            Value::Null => return None,
            Value::Array(items) => items,
            _ => {
                self.refuse(name, "Must be an array of strings.");
                return None;
            }
        };
        let mut values = Vec::with_capacity(items.len());
        let mut inner = Self::new(format!("{}{name}/", self.at), BTreeMap::new());
        for (index, item) in items.iter().enumerate() {
            match item.as_str().map(&parse) {
                Some(Ok(value)) => values.push(value),
                Some(Err(detail)) => inner.refuse(&index.to_string(), detail),
                None => inner.refuse(&index.to_string(), "Must be a string."),
            }
        }
        let is_valid = inner.errors.is_empty();
        self.errors.extend(inner.errors);
        is_valid.then_some(values)
    }
}
