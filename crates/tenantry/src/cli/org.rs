//! `tenantry org`: the operator's side of organizations, over HTTP against a running server.
//!
//! What a newcomer gets wrong: this is a client like any other. It knows the API and nothing of the store, and
//! shows fields that it does not know only under `--json`.

mod archives;
mod arguments;
mod changes;
mod list;
mod operation;
mod view;

pub use arguments::command;

use super::client::{Answer, Client, ClientError, operator_key};
use super::{complain, say};
use crate::config::{self, ClientConfig};
use clap::ArgMatches;
use reqwest::{Method, RequestBuilder, StatusCode};
use std::path::Path;
use std::process::ExitCode;
use view::Organization;

/// Runs the command.
pub fn run(matches: &ArgMatches) -> ExitCode {
    match try_run(matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let json = matches.subcommand().is_some_and(|(_, arguments)| arguments.get_flag("json"));
            complain(&if json { failure.to_json() } else { format!("tenantry: {failure}") });
            ExitCode::from(failure.exit_code())
        }
    }
}

fn try_run(matches: &ArgMatches) -> Result<(), ClientError> {
    let Some((name, arguments)) = matches.subcommand() else { return Ok(()) };
    let config = ClientConfig::load(arguments, config::environment(), Some(Path::new(".env")))
        .map_err(|errors| ClientError::Other(errors.to_string()))?;
    let client = Client::new(config.server_url.clone(), Some(operator_key(&config)?))?;
    let session = Session { client, json: arguments.get_flag("json") };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ClientError::Other(format!("This machine gives no means to wait: {error}.")))?;
    runtime.block_on(async {
        match name {
            "list" => list::run(&session, arguments).await,
            "export" => archives::export(&session, arguments).await,
            "import" => archives::import(&session, arguments).await,
            "show" => session.show(&arguments::organization(arguments)).await,
            _ => changes::run(&session, name, arguments).await,
        }
    })
}

/// A server, and how its answers are shown.
struct Session {
    client: Client,
    json: bool,
}

impl Session {
    /// A request about one organization; `more` is the rest of its path.
    fn about(&self, method: Method, organization: &str, more: &[&str]) -> RequestBuilder {
        let path = [&["v1", "organizations", organization], more].concat();
        self.client.request(method, &path, &[])
    }

    /// The organization as it is now.
    async fn get(&self, organization: &str) -> Result<Answer, ClientError> {
        self.client.send(self.about(Method::GET, organization, &[])).await
    }

    async fn show(&self, organization: &str) -> Result<(), ClientError> {
        let answer = self.get(organization).await?;
        if self.json {
            say(&answer.body);
        } else {
            say(&view::details(&answer.read()?));
        }
        Ok(())
    }

    /// Sends a change and waits for its end; the organization it leads to.
    async fn change(&self, request: RequestBuilder) -> Result<Answer, ClientError> {
        let answer = self.client.send(request).await?;
        if answer.status != StatusCode::ACCEPTED {
            return Ok(answer);
        }
        let operation = operation::follow(&self.client, answer).await?;
        self.get(&operation.organization_id).await
    }

    /// Tells what became of an organization: `sentence`, with the details under it.
    fn tell(
        &self,
        answer: &Answer,
        sentence: impl FnOnce(&Organization) -> String,
    ) -> Result<(), ClientError> {
        if self.json {
            say(&answer.body);
            return Ok(());
        }
        let organization = answer.read()?;
        say(&format!("{}\n\n{}", sentence(&organization), view::details(&organization)));
        Ok(())
    }
}
