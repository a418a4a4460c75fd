//! `tenantry key`: service keys, and the operator's side of an organization's API keys, over HTTP against a
//! running server.

mod arguments;
mod view;

pub use arguments::command;

use super::client::{Client, ClientError, ClientResponse};
use super::pages::List;
use super::print::say;
use super::remote;
use clap::ArgMatches;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::process::ExitCode;
use view::{IssuedKey, Key};

/// Runs the command.
pub fn run(matches: &ArgMatches) -> ExitCode {
    remote::run(matches, async |client, name, arguments| {
        let keys = Keys { client, json: arguments.get_flag("json") };
        match name {
            "create" => keys.create(arguments).await,
            "list" => keys.list(arguments).await,
            "rotate" => keys.rotate(arguments).await,
            _ => keys.revoke(arguments).await,
        }
    })
}

/// The keys of a server, and the format of the output.
struct Keys {
    client: Client,
    json: bool,
}

impl Keys {
    /// A request about service keys, or about the keys of the organization that the arguments name.
    fn about(&self, method: Method, arguments: &ArgMatches, more: &[&str]) -> RequestBuilder {
        self.client.request(method, &[&path(arguments)[..], more].concat(), &[])
    }

    async fn create(&self, arguments: &ArgMatches) -> Result<(), ClientError> {
        let texts = |name| -> Vec<String> {
            arguments.get_many::<String>(name).into_iter().flatten().cloned().collect()
        };
        let mut body = json!({ "name": texts("name").concat(), "permissions": texts("permission") });
        if let Some(seconds) = arguments.get_one::<u64>("expires-in") {
            body["expires_in"] = json!(seconds);
        }
        let mut organizations = Vec::new();
        for which in texts("only") {
            organizations.push(self.id_of(&which).await?);
        }
        if !organizations.is_empty() {
            body["organizations"] = json!(organizations);
        }
        let request = with_json(self.about(Method::POST, arguments, &[]), &body);
        let answer = self.client.send(request).await?;
        self.show_once(&answer, |key| format!("Created the service key `{}`.", key.name))
    }

    /// The id of an organization, by its id, identifier or name.
    async fn id_of(&self, which: &str) -> Result<Value, ClientError> {
        let request = self.client.request(Method::GET, &["v1", "organizations", which], &[]);
        let found: Value = self.client.send(request).await?.read()?;
        Ok(found["id"].clone())
    }

    async fn list(&self, arguments: &ArgMatches) -> Result<(), ClientError> {
        let list = List::read(&self.client, &path(arguments), &[], None).await?;
        list.print(self.json, view::table)
    }

    async fn rotate(&self, arguments: &ArgMatches) -> Result<(), ClientError> {
        let overlap = arguments.get_one::<u64>("overlap").copied().unwrap_or(0);
        let request = self.about(Method::POST, arguments, &[&id(arguments), "rotate"]);
        let answer = self.client.send(with_json(request, &json!({ "overlap": overlap }))).await?;
        self.show_once(&answer, |key| match overlap {
            0 => format!("Rotated `{}`. The old secret is refused from now on.", key.name),
            _ => format!("Rotated `{}`. The old secret is accepted for {overlap} seconds more.", key.name),
        })
    }

    async fn revoke(&self, arguments: &ArgMatches) -> Result<(), ClientError> {
        let id = id(arguments);
        self.client.send(self.about(Method::DELETE, arguments, &[&id])).await?;
        say(&if self.json { json!({ "revoked": id }).to_string() } else { format!("Revoked {id}.") });
        Ok(())
    }

    /// Prints a key with its text, which the server does not show again.
    fn show_once(
        &self,
        answer: &ClientResponse,
        sentence: impl FnOnce(&Key) -> String,
    ) -> Result<(), ClientError> {
        if self.json {
            say(&answer.body);
            return Ok(());
        }
        let issued: IssuedKey = answer.read()?;
        say(&format!("{}\n\n{}\n", sentence(&issued.about), view::details(&issued.about)));
        say(&format!("This is the key. It is not shown again:\n\n{}", issued.key));
        Ok(())
    }
}

/// The path of service keys, or of the keys of the organization that the arguments name.
fn path(arguments: &ArgMatches) -> Vec<&str> {
    match arguments.try_get_one::<String>("organization") {
        Ok(Some(organization)) => vec!["v1", "organizations", organization, "keys"],
        _ => vec!["v1", "keys"],
    }
}

fn id(arguments: &ArgMatches) -> String {
    arguments.get_one::<String>("id").cloned().unwrap_or_default()
}

fn with_json(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request.header(CONTENT_TYPE, "application/json").body(body.to_string())
}
