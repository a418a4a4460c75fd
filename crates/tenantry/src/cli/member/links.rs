//! `tenantry member`: the links with which members prove addresses, change them, or get new passwords.

use super::{Member, Members};
use crate::cli::client::ClientError;
use crate::cli::org::view::{align, utc};
use crate::cli::print::say;
use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

/// A link that was made.
#[derive(Deserialize)]
struct IssuedLink {
    email: String,
    token: String,
    url: Option<String>,
    expires_at: Timestamp,
}

/// A link that nobody has used.
#[derive(Deserialize)]
struct Link {
    kind: String,
    email: String,
    delivery: String,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Links {
    items: Vec<Link>,
}

impl Members<'_> {
    /// Makes a link of that kind for a member.
    pub(super) async fn make_link(
        &self,
        which: &str,
        kind: &str,
        address: Option<&str>,
        lifetime: Option<u64>,
    ) -> Result<(), ClientError> {
        let Member { account_id, .. } = self.find(which).await?;
        let path = self.path(&[&account_id, "links"]);
        let mut body = json!({ "kind": kind });
        if let Some(address) = address {
            body["email"] = address.into();
        }
        if let Some(seconds) = lifetime {
            body["expires_in"] = seconds.into();
        }
        let answer = self.client.send(self.client.request(Method::POST, &path, &[]).json(&body)).await?;
        if self.json {
            say(&answer.body);
            return Ok(());
        }
        let IssuedLink { email, token, url, expires_at } = answer.read()?;
        say(&format!(
            "A link that proves {email}. It is good for one use, until {}. Bring it to who has that address. It is not \
             shown again:\n\n{}",
            utc(expires_at),
            url.unwrap_or(token)
        ));
        Ok(())
    }

    /// Lists the links of a member.
    pub(super) async fn list_links(&self, which: &str) -> Result<(), ClientError> {
        let Member { account_id, .. } = self.find(which).await?;
        let path = self.path(&[&account_id, "links"]);
        let answer = self.client.send(self.client.request(Method::GET, &path, &[])).await?;
        if self.json {
            say(&answer.body);
            return Ok(());
        }
        let Links { items } = answer.read()?;
        say(&table(&items));
        Ok(())
    }

    /// Revokes a link of a member.
    pub(super) async fn revoke_link(&self, which: &str, kind: &str) -> Result<(), ClientError> {
        let Member { account_id, email, .. } = self.find(which).await?;
        let path = self.path(&[&account_id, "links", kind]);
        self.client.send(self.client.request(Method::DELETE, &path, &[])).await?;
        say(&if self.json {
            json!({ "revoked": kind, "account_id": account_id }).to_string()
        } else {
            format!("Revoked the link {kind} of {email}.")
        });
        Ok(())
    }
}

fn table(links: &[Link]) -> String {
    if links.is_empty() {
        return "No links.".to_owned();
    }
    let headings = ["KIND", "BY", "UNTIL", "ADDRESS"].map(str::to_owned);
    let row =
        |link: &Link| [link.kind.clone(), link.delivery.clone(), utc(link.expires_at), link.email.clone()];
    let rows: Vec<_> = std::iter::once(headings).chain(links.iter().map(row)).collect();
    align(&rows)
}
