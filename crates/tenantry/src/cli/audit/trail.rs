//! The audit trails of a server.

use super::arguments::LIST_DEFAULT;
use super::view::{Event, Page, table};
use crate::cli::client::{Client, ClientError};
use crate::cli::print::say;
use clap::ArgMatches;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use std::io::{self, ErrorKind, Write};
use std::time::Duration;
use tenantry_domain::limits::PAGE_MAX_ITEMS;

/// Timeout for a whole chain; the server has limits of its own for a reader that stops.
const STREAM_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// The trails of a server, and the format of the output.
pub struct Trail {
    client: Client,
    json: bool,
}

impl Trail {
    /// The trails that `client` reads.
    pub fn new(client: Client, arguments: &ArgMatches) -> Self {
        Self { client, json: arguments.get_flag("json") }
    }

    /// Whether the output is JSON.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Opens the chain.
    ///
    /// # Errors
    /// The refusal of the server, or why there is no response.
    pub async fn open_chain(&self, arguments: &ArgMatches) -> Result<Response, ClientError> {
        self.client.open(self.about(arguments, &["chain"], &[]).timeout(STREAM_TIMEOUT)).await
    }

    /// A request about the trail of the organization that the arguments name, or of the installation.
    fn about(&self, arguments: &ArgMatches, more: &[&str], query: &[(&str, &str)]) -> RequestBuilder {
        let path: Vec<&str> = match arguments.get_one::<String>("organization") {
            Some(organization) => vec!["v1", "organizations", organization, "audit"],
            None => vec!["v1", "audit"],
        };
        self.client.request(Method::GET, &[&path[..], more].concat(), query)
    }

    /// Prints events, the newest first.
    ///
    /// # Errors
    /// The refusal of the server, or why there is no response.
    pub async fn list(&self, arguments: &ArgMatches) -> Result<(), ClientError> {
        let mut left = arguments.get_one::<u32>("limit").copied().unwrap_or(LIST_DEFAULT);
        let (mut cursor, mut items) = (None::<String>, Vec::<Value>::new());
        while left > 0 {
            let limit = left.min(PAGE_MAX_ITEMS).to_string();
            let mut query = vec![("limit", limit.as_str())];
            for name in ["action", "actor", "since", "until"] {
                query.extend(arguments.get_one::<String>(name).map(|value| (name, value.as_str())));
            }
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let answer = self.client.send(self.about(arguments, &[], &query)).await?;
            let page: Page = answer.read()?;
            left = left.saturating_sub(u32::try_from(page.items.len()).unwrap_or(u32::MAX));
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        if self.json {
            say(&Value::Array(items).to_string());
            return Ok(());
        }
        let events = items.into_iter().map(serde_json::from_value).collect::<Result<Vec<Event>, _>>();
        let events = events.map_err(|error| {
            ClientError::Other(format!("An event of the list is not as it should be: {error}."))
        })?;
        say(&table(&events));
        Ok(())
    }

    /// Prints the chain.
    ///
    /// # Errors
    /// The refusal of the server, or why there is no response.
    pub async fn export(&self, arguments: &ArgMatches) -> Result<(), ClientError> {
        let mut chain = self.open_chain(arguments).await?;
        let mut output = io::stdout().lock();
        while let Some(piece) = chain.chunk().await.map_err(|error| cut_off(&error))? {
            match output.write_all(&piece) {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                written => written
                    .map_err(|error| ClientError::Other(format!("The output cannot be written: {error}.")))?,
            }
        }
        Ok(())
    }

    /// Prints a checkpoint.
    ///
    /// # Errors
    /// The refusal of the server, or why there is no response.
    pub async fn checkpoint(&self, arguments: &ArgMatches) -> Result<(), ClientError> {
        let answer = self.client.send(self.about(arguments, &["checkpoint"], &[])).await?;
        say(&answer.body);
        Ok(())
    }
}

/// A chain that did not arrive whole.
pub fn cut_off(error: &reqwest::Error) -> ClientError {
    ClientError::Broken(format!("The server broke off the chain ({error}). Repeat the command."))
}
