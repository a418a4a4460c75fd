//! `tenantry invite`: the operator's side of the invitations of an organization, over HTTP against a running server.

mod arguments;

pub use arguments::command;

use super::arguments::organization;
use super::client::{Client, ClientError, ClientResponse};
use super::member;
use super::org::view::{align, utc};
use super::pages::List;
use super::print::say;
use super::remote;
use clap::ArgMatches;
use jiff::Timestamp;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Runs the command.
pub fn run(matches: &ArgMatches) -> ExitCode {
    remote::run(matches, async |client, name, arguments| {
        let json = arguments.get_flag("json");
        let invitations = Invitations { client, organization: organization(arguments), json };
        match name {
            "create" => invitations.create(arguments).await,
            "list" => invitations.list().await,
            "renew" => invitations.renew(arguments).await,
            _ => invitations.revoke(arguments).await,
        }
    })
}

/// An invitation, as far as it is shown.
#[derive(Deserialize)]
struct Invitation {
    id: String,
    email: String,
    role: String,
    inviter: Option<String>,
    inviter_key: Option<String>,
    created_at: Timestamp,
    expires_at: Timestamp,
}

/// An invitation with its token.
#[derive(Deserialize)]
struct IssuedInvitation {
    #[serde(flatten)]
    invitation: Invitation,
    /// Absent if it was mailed.
    token: Option<String>,
    url: Option<String>,
}

/// The invitations of an organization on a server, and the format of the output.
struct Invitations {
    client: Client,
    organization: String,
    json: bool,
}

impl Invitations {
    fn about(&self, method: Method, more: &[&str]) -> RequestBuilder {
        self.client.request(method, &self.path(more), &[])
    }

    fn path<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["v1", "organizations", self.organization.as_str(), "invitations"], more].concat()
    }

    async fn create(&self, arguments: &ArgMatches) -> Result<(), ClientError> {
        let email = arguments.get_one::<String>("email");
        let body = with_lifetime(json!({ "email": email, "role": member::role(arguments) }), arguments);
        let answer = self.client.send(self.about(Method::POST, &[]).json(&body)).await?;
        self.show_once(&answer, |made| format!("Invited {} as {}.", made.email, made.role))
    }

    async fn list(&self) -> Result<(), ClientError> {
        List::read(&self.client, &self.path(&[]), &[], None).await?.print(self.json, table)
    }

    async fn renew(&self, arguments: &ArgMatches) -> Result<(), ClientError> {
        let body = with_lifetime(json!({}), arguments);
        let request = self.about(Method::POST, &[id(arguments), "renew"]).json(&body);
        let answer = self.client.send(request).await?;
        self.show_once(&answer, |renewed| {
            format!("Renewed the invitation of {}. The earlier token is no longer valid.", renewed.email)
        })
    }

    async fn revoke(&self, arguments: &ArgMatches) -> Result<(), ClientError> {
        let id = id(arguments);
        self.client.send(self.about(Method::DELETE, &[id])).await?;
        say(&if self.json { json!({ "revoked": id }).to_string() } else { format!("Revoked {id}.") });
        Ok(())
    }

    /// Prints an invitation with its token, which the server does not show again.
    fn show_once(
        &self,
        answer: &ClientResponse,
        sentence: impl FnOnce(&Invitation) -> String,
    ) -> Result<(), ClientError> {
        if self.json {
            say(&answer.body);
            return Ok(());
        }
        let IssuedInvitation { invitation, token, url } = answer.read()?;
        say(&format!("{}\n\n{}\n", sentence(&invitation), details(&invitation)));
        let Some(token) = token else {
            say("The link is mailed to that address, and shown to nobody else.");
            return Ok(());
        };
        say(&format!("This is the token, for that person alone. It is not shown again:\n\n{token}"));
        if let Some(url) = url {
            say(&format!("\nThe link that carries it:\n\n{url}"));
        }
        Ok(())
    }
}

fn id(arguments: &ArgMatches) -> &str {
    arguments.get_one::<String>("id").map_or("", String::as_str)
}

fn with_lifetime(mut body: Value, arguments: &ArgMatches) -> Value {
    if let Some(seconds) = arguments.get_one::<u64>("expires-in") {
        body["expires_in"] = json!(seconds);
    }
    body
}

fn details(invitation: &Invitation) -> String {
    let rows = [
        ["id".to_owned(), invitation.id.clone()],
        ["address".to_owned(), invitation.email.clone()],
        ["role".to_owned(), invitation.role.clone()],
        ["created".to_owned(), utc(invitation.created_at)],
        ["expires".to_owned(), utc(invitation.expires_at)],
    ];
    align(&rows)
}

fn inviter(invitation: &Invitation) -> String {
    let key = invitation.inviter_key.as_ref().map(|id| format!("key {id}"));
    invitation.inviter.clone().or(key).unwrap_or_else(|| "operator".to_owned())
}

fn table(invitations: &[Invitation]) -> String {
    if invitations.is_empty() {
        return "No invitations.".to_owned();
    }
    let headings = ["ID", "ROLE", "CREATED", "EXPIRES", "INVITER", "ADDRESS"].map(str::to_owned);
    let row = |invitation: &Invitation| {
        [
            invitation.id.clone(),
            invitation.role.clone(),
            utc(invitation.created_at),
            utc(invitation.expires_at),
            inviter(invitation),
            invitation.email.clone(),
        ]
    };
    let rows: Vec<_> = std::iter::once(headings).chain(invitations.iter().map(row)).collect();
    align(&rows)
}
