//! Lists of the server: all their pages, as one table or one JSON array.

use super::client::{Client, ClientError};
use super::print::{complain, say};
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::RawValue;
use tenantry_domain::limits::PAGE_MAX_ITEMS;

/// A page, its items as the server wrote them.
#[derive(Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// The items of a list.
pub struct List {
    items: Vec<Box<RawValue>>,
    has_more: bool,
}

impl List {
    /// Reads the list of that path up to `limit` items, a page at a time.
    ///
    /// # Errors
    /// The refusal of the server, or why there is no response.
    pub async fn read(
        client: &Client,
        path: &[&str],
        filters: &[(&str, &str)],
        limit: Option<u64>,
    ) -> Result<Self, ClientError> {
        let limit = limit.unwrap_or(u64::MAX);
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let wanted = (limit - items.len() as u64).min(PAGE_MAX_ITEMS.into()).to_string();
            let mut query = vec![("limit", wanted.as_str())];
            query.extend(filters);
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: Page = client.send(client.request(Method::GET, path, &query)).await?.read()?;
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() || items.len() as u64 >= limit {
                return Ok(Self { items, has_more: cursor.is_some() });
            }
        }
    }

    /// Reads a list that has no pages.
    ///
    /// # Errors
    /// The refusal of the server, or why there is no response.
    pub async fn read_whole(client: &Client, path: &[&str]) -> Result<Self, ClientError> {
        let page: Page = client.send(client.request(Method::GET, path, &[])).await?.read()?;
        Ok(Self { items: page.items, has_more: false })
    }

    /// The items, as far as they are shown.
    ///
    /// # Errors
    /// A sentence, if the server is not Tenantry.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<Vec<T>, ClientError> {
        let parsed = self.items.iter().map(|item| serde_json::from_str(item.get()));
        parsed.collect::<Result<Vec<T>, _>>().map_err(|error| {
            ClientError::Other(format!("An item of the list is not as it should be: {error}."))
        })
    }

    /// The items that `keep` says.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn filter<T: DeserializeOwned>(mut self, keep: impl Fn(&T) -> bool) -> Result<Self, ClientError> {
        let mut kept = self.parse::<T>()?.into_iter().map(|item| keep(&item));
        self.items.retain(|_| kept.next().unwrap_or_default());
        Ok(self)
    }

    /// Prints the list, and that there is more of it, if there is.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn print<T: DeserializeOwned>(
        &self,
        json: bool,
        table: impl FnOnce(&[T]) -> String,
    ) -> Result<(), ClientError> {
        say(&if json { self.array() } else { table(&self.parse()?) });
        if self.has_more {
            let note = format!("Stopped after {}; there are more.", self.items.len());
            complain(&if json { json!({ "note": note }).to_string() } else { note });
        }
        Ok(())
    }

    /// One JSON array, an item per line.
    fn array(&self) -> String {
        if self.items.is_empty() {
            return "[]".to_owned();
        }
        let items: Vec<&str> = self.items.iter().map(|item| item.get()).collect();
        format!("[\n{}\n]", items.join(",\n"))
    }
}
