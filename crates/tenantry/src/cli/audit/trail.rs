//! The audit trails of a server.

use super::arguments::LIST_DEFAULT;
use super::view::table;
use crate::cli::client::{Client, ClientError};
use crate::cli::pages::List;
use crate::cli::print::say;
use clap::ArgMatches;
use reqwest::{Method, Response};
use std::io::{self, ErrorKind, Write};
use std::time::Duration;

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

    /// Opens the chain, or the trail of that name that an import has brought along.
    ///
    /// # Errors
    /// The refusal of the server, or why there is no response.
    pub async fn open_chain(
        &self,
        arguments: &ArgMatches,
        trail: Option<&str>,
    ) -> Result<Response, ClientError> {
        let query: Vec<(&str, &str)> = trail.into_iter().map(|trail| ("trail", trail)).collect();
        let request = self.client.request(Method::GET, &path(arguments, &["chain"]), &query);
        self.client.open(request.timeout(STREAM_TIMEOUT)).await
    }

    /// Prints events, the newest first.
    ///
    /// # Errors
    /// The refusal of the server, or why there is no response.
    pub async fn list(&self, arguments: &ArgMatches) -> Result<(), ClientError> {
        let limit = arguments.get_one::<u32>("limit").copied().unwrap_or(LIST_DEFAULT);
        let filters = ["action", "actor", "since", "until"].into_iter();
        let filters: Vec<(&str, &str)> =
            filters.filter_map(|name| Some((name, arguments.get_one::<String>(name)?.as_str()))).collect();
        let list = List::read(&self.client, &path(arguments, &[]), &filters, Some(limit.into())).await?;
        list.print(self.json, table)
    }

    /// Prints the chain.
    ///
    /// # Errors
    /// The refusal of the server, or why there is no response.
    pub async fn export(&self, arguments: &ArgMatches) -> Result<(), ClientError> {
        let trail = arguments.get_one::<String>("trail").map(String::as_str);
        let mut chain = self.open_chain(arguments, trail).await?;
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
        let request = self.client.request(Method::GET, &path(arguments, &["checkpoint"]), &[]);
        let answer = self.client.send(request).await?;
        say(&answer.body);
        Ok(())
    }
}

/// The path to the trail of the organization that the arguments name, or of the installation.
fn path<'a>(arguments: &'a ArgMatches, more: &[&'a str]) -> Vec<&'a str> {
    let trail: Vec<&str> = match arguments.get_one::<String>("organization") {
        Some(organization) => vec!["v1", "organizations", organization, "audit"],
        None => vec!["v1", "audit"],
    };
    [&trail[..], more].concat()
}

/// A chain that did not arrive whole.
pub fn cut_off(error: &reqwest::Error) -> ClientError {
    ClientError::Broken(format!("The server broke off the chain ({error}). Repeat the command."))
}
