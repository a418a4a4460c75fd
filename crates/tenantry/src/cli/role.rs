//! `tenantry role`: the operator's side of the roles that an organization defines, over HTTP against a running server.

mod arguments;

pub use arguments::command;

use super::arguments::organization;
use super::client::{Client, ClientError, ClientResponse};
use super::org::operation;
use super::org::view::{align, utc};
use super::pages::List;
use super::print::say;
use super::remote;
use clap::ArgMatches;
use jiff::Timestamp;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// Runs the command.
pub fn run(matches: &ArgMatches) -> ExitCode {
    remote::run(matches, async |client, name, arguments| {
        let json = arguments.get_flag("json");
        let roles = Roles { client, organization: organization(arguments), json };
        match name {
            "list" => roles.list().await,
            "create" => roles.create(arguments).await,
            "update" => roles.update(arguments).await,
            _ => roles.delete(arguments).await,
        }
    })
}

/// A role, as far as it is shown.
#[derive(Deserialize)]
struct Role {
    name: String,
    description: String,
    permissions: Vec<String>,
    modified_at: Timestamp,
}

/// The roles of an organization on a server, and the format of the output.
struct Roles {
    client: Client,
    organization: String,
    json: bool,
}

impl Roles {
    fn path<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["v1", "organizations", self.organization.as_str(), "roles"], more].concat()
    }

    fn about(&self, method: Method, more: &[&str]) -> RequestBuilder {
        self.client.request(method, &self.path(more), &[])
    }

    async fn list(&self) -> Result<(), ClientError> {
        List::read_whole(&self.client, &self.path(&[])).await?.print(self.json, table)
    }

    async fn create(&self, arguments: &ArgMatches) -> Result<(), ClientError> {
        let mut body = changes(arguments);
        body.insert("name".to_owned(), json!(name(arguments)));
        let answer = self.change(self.about(Method::POST, &[]).json(&body), name(arguments)).await?;
        self.show(&answer, "Created")
    }

    async fn update(&self, arguments: &ArgMatches) -> Result<(), ClientError> {
        let name = name(arguments);
        let answer = self.change(self.about(Method::PATCH, &[name]).json(&changes(arguments)), name).await?;
        self.show(&answer, "Changed")
    }

    async fn delete(&self, arguments: &ArgMatches) -> Result<(), ClientError> {
        let name = name(arguments);
        let answer = self.client.send(self.about(Method::DELETE, &[name])).await?;
        if answer.status == StatusCode::ACCEPTED {
            operation::follow(&self.client, answer).await?;
        }
        say(&if self.json {
            json!({ "deleted": name }).to_string()
        } else {
            format!("Deleted the role {name} of {}.", self.organization)
        });
        Ok(())
    }

    /// Sends a change and waits for its end; the role afterwards.
    async fn change(&self, request: RequestBuilder, name: &str) -> Result<ClientResponse, ClientError> {
        let answer = self.client.send(request).await?;
        if answer.status != StatusCode::ACCEPTED {
            return Ok(answer);
        }
        operation::follow(&self.client, answer).await?;
        self.client.send(self.about(Method::GET, &[name])).await
    }

    fn show(&self, answer: &ClientResponse, done: &str) -> Result<(), ClientError> {
        if self.json {
            say(&answer.body);
            return Ok(());
        }
        let Role { name, permissions, .. } = answer.read()?;
        let organization = &self.organization;
        say(&format!("{done} the role {name} of {organization}. It allows {}.", permissions.join(", ")));
        Ok(())
    }
}

fn name(arguments: &ArgMatches) -> &str {
    arguments.get_one::<String>("name").map_or("", String::as_str)
}

/// What the arguments say of the role, beside its name.
fn changes(arguments: &ArgMatches) -> Map<String, Value> {
    let mut body = Map::new();
    let permissions: Vec<&String> = arguments.get_many("permission").into_iter().flatten().collect();
    if !permissions.is_empty() {
        body.insert("permissions".to_owned(), json!(permissions));
    }
    if let Some(description) = arguments.get_one::<String>("description") {
        body.insert("description".to_owned(), json!(description));
    }
    body
}

fn table(roles: &[Role]) -> String {
    if roles.is_empty() {
        return "No roles of its own.".to_owned();
    }
    let headings = ["NAME", "CHANGED", "PERMISSIONS", "DESCRIPTION"].map(str::to_owned);
    let row = |role: &Role| {
        [role.name.clone(), utc(role.modified_at), role.permissions.join(" "), role.description.clone()]
    };
    let rows: Vec<_> = std::iter::once(headings).chain(roles.iter().map(row)).collect();
    align(&rows)
}
