//! Members that are arrays of objects, each with members of its own.

use super::strict_json::Members;
use super::{Fields, NAMED_MAX, kept_members};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use tenantry_domain::{Error, Result};

impl Fields {
    /// What `read` makes of each object of an array that must be there, with 1 to `most` of them; ends after some bad
    /// fields. The array was kept as text.
    pub fn objects<T>(
        &mut self,
        name: &str,
        most: usize,
        mut read: impl FnMut(&mut Self, usize) -> Option<T>,
    ) -> Option<Vec<T>> {
        let text: String = self.required(name, str::parse)?;
        let Ok(items) = serde_json::from_str::<Vec<Box<RawValue>>>(&text) else {
            self.refuse(name, "Must be an array of objects.");
            return None;
        };
        if items.is_empty() || items.len() > most {
            self.refuse(name, format!("Must have 1 to {most} items; it has {}.", items.len()));
            return None;
        }
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let members =
                serde_json::from_str(item.get()).ok().and_then(|Members(raw)| kept_members(raw).ok());
            let Some(members) = members else {
                let list = &mut Self::new(format!("{}{name}/", self.at), BTreeMap::new());
                list.refuse(&index.to_string(), "Must be an object in which no name is given twice.");
                self.errors.append(&mut list.errors);
                continue;
            };
            let mut inner = Self::new(format!("{}{name}/{index}/", self.at), members);
            values.extend(read(&mut inner, index));
            inner.refuse_unknown();
            self.errors.append(&mut inner.errors);
            if self.errors.len() >= NAMED_MAX {
                self.errors.truncate(NAMED_MAX);
                break;
            }
        }
        (values.len() == items.len()).then_some(values)
    }

    /// The value of `result`; its errors are those of the member `name`, or of what is in it.
    pub fn take_below<T>(&mut self, name: &str, result: Result<T, impl Into<Error>>) -> Option<T> {
        let pointer = format!("{}{name}", self.at);
        self.take(result.map_err(|error| error.into().below(&pointer)))
    }

    /// The value of `result`, whose errors name members.
    pub fn take_within<T>(&mut self, result: Result<T, impl Into<Error>>) -> Option<T> {
        let pointer = self.at.trim_end_matches('/').to_owned();
        self.take(result.map_err(|error| error.into().below(&pointer)))
    }
}
