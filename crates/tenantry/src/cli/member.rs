//! `tenantry member`: the operator's side of the members of an organization, over HTTP against a running server.

mod arguments;
mod links;

pub use arguments::{account, account_argument, command, role, role_argument};

use arguments::{lifetime, text};

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
use serde_json::json;
use std::process::ExitCode;
use tenantry_domain::email::EmailAddress;
use tenantry_domain::ids::AccountId;

/// Runs the command.
pub fn run(matches: &ArgMatches) -> ExitCode {
    remote::run(matches, async |client, name, arguments| {
        let members = Members::new(&client, arguments);
        match name {
            "list" => members.list(|_| true).await,
            "set-role" => members.set_role(account(arguments), role(arguments)).await,
            "reset-link" => members.make_reset_link(account(arguments), lifetime(arguments)).await,
            "verify-link" => {
                members.make_link(account(arguments), "email_verification", None, lifetime(arguments)).await
            }
            "address-link" => {
                let address = Some(text(arguments, "new-address"));
                members.make_link(account(arguments), "email_change", address, lifetime(arguments)).await
            }
            "links" => members.list_links(account(arguments)).await,
            "revoke-link" => members.revoke_link(account(arguments), text(arguments, "kind")).await,
            _ => members.remove(account(arguments)).await,
        }
    })
}

/// A member, as far as it is shown.
#[derive(Deserialize)]
pub struct Member {
    account_id: String,
    email: String,
    /// What it may do.
    pub role: String,
    since: Timestamp,
}

/// A link for a new password.
#[derive(Deserialize)]
struct ResetLink {
    token: String,
    url: Option<String>,
    expires_at: Timestamp,
}

/// The members of an organization on a server, and the format of the output.
pub struct Members<'a> {
    client: &'a Client,
    organization: String,
    json: bool,
}

impl<'a> Members<'a> {
    /// Those of the organization that the arguments name.
    pub fn new(client: &'a Client, arguments: &ArgMatches) -> Self {
        Self { client, organization: organization(arguments), json: arguments.get_flag("json") }
    }

    fn path<'b>(&'b self, more: &[&'b str]) -> Vec<&'b str> {
        [&["v1", "organizations", self.organization.as_str(), "members"], more].concat()
    }

    /// Lists those that `keep` says.
    pub async fn list(&self, keep: impl Fn(&Member) -> bool) -> Result<(), ClientError> {
        let list = List::read(self.client, &self.path(&[]), &[], None).await?;
        list.filter(keep)?.print(self.json, table)
    }

    /// The member with that account id or address.
    pub async fn find(&self, which: &str) -> Result<Member, ClientError> {
        if which.parse::<AccountId>().is_ok() {
            return self.get(which).await?.read();
        }
        let list = List::read(self.client, &self.path(&[]), &[], None).await?;
        let key = |text: &str| EmailAddress::parse_stored(text).ok().map(|email| email.key());
        let is_meant = |member: &Member| key(&member.email) == key(which);
        list.parse()?.into_iter().find(is_meant).ok_or_else(|| {
            let organization = &self.organization;
            ClientError::Other(format!(
                "No member of {organization} has the address {which}. `tenantry member list {organization}` lists \
                 them, and `tenantry invite create` invites somebody."
            ))
        })
    }

    async fn get(&self, id: &str) -> Result<ClientResponse, ClientError> {
        self.client.send(self.client.request(Method::GET, &self.path(&[id]), &[])).await
    }

    /// Gives a member a role.
    pub async fn set_role(&self, which: &str, role: &str) -> Result<(), ClientError> {
        let id = self.find(which).await?.account_id;
        let request = self.client.request(Method::PATCH, &self.path(&[&id]), &[]);
        let answer = match self.change(request.json(&json!({ "role": role }))).await? {
            Some(answer) => answer,
            None => self.get(&id).await?,
        };
        if self.json {
            say(&answer.body);
            return Ok(());
        }
        let Member { email, role, .. } = answer.read()?;
        say(&format!("{email} has the role {role} in {} now.", self.organization));
        Ok(())
    }

    async fn remove(&self, which: &str) -> Result<(), ClientError> {
        let Member { account_id, email, .. } = self.find(which).await?;
        self.change(self.client.request(Method::DELETE, &self.path(&[&account_id]), &[])).await?;
        say(&if self.json {
            json!({ "removed": account_id }).to_string()
        } else {
            format!("Removed {email} from {}.", self.organization)
        });
        Ok(())
    }

    /// Makes a link with which a member gives their account a new password.
    async fn make_reset_link(&self, which: &str, lifetime: Option<u64>) -> Result<(), ClientError> {
        let Member { account_id, email, .. } = self.find(which).await?;
        let path = self.path(&[&account_id, "password-reset"]);
        let body = lifetime.map_or_else(|| json!({}), |seconds| json!({ "expires_in": seconds }));
        let answer = self.client.send(self.client.request(Method::POST, &path, &[]).json(&body)).await?;
        if self.json {
            say(&answer.body);
            return Ok(());
        }
        let ResetLink { token, url, expires_at } = answer.read()?;
        say(&format!(
            "A link for a new password of {email}. It is good for one use, until {}. Bring it to the person: who has it has \
             the account. It is not shown again:\n\n{}",
            utc(expires_at),
            url.unwrap_or(token)
        ));
        Ok(())
    }

    /// Sends a change and waits for its end; its answer, unless that only said where to watch.
    async fn change(&self, request: RequestBuilder) -> Result<Option<ClientResponse>, ClientError> {
        let answer = self.client.send(request).await?;
        if answer.status != StatusCode::ACCEPTED {
            return Ok(Some(answer));
        }
        operation::follow(self.client, answer).await?;
        Ok(None)
    }
}

fn table(members: &[Member]) -> String {
    if members.is_empty() {
        return "No members.".to_owned();
    }
    let headings = ["ACCOUNT", "ROLE", "SINCE", "ADDRESS"].map(str::to_owned);
    let row = |member: &Member| {
        [member.account_id.clone(), member.role.clone(), utc(member.since), member.email.clone()]
    };
    let rows: Vec<_> = std::iter::once(headings).chain(members.iter().map(row)).collect();
    align(&rows)
}
