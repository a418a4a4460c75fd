//! Shared by the commands about organizations: the server, and the format of the output.

use super::{operation, view};
use crate::cli::client::{Client, ClientError, ClientResponse};
use crate::cli::print::say;
use reqwest::{Method, RequestBuilder, StatusCode};
use view::Organization;

/// The server, and the format of the output.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) json: bool,
}

impl Session {
    /// A request about one organization; `more` is the rest of its path.
    pub(super) fn about(&self, method: Method, organization: &str, more: &[&str]) -> RequestBuilder {
        let path = [&["v1", "organizations", organization], more].concat();
        self.client.request(method, &path, &[])
    }

    /// The organization as it is now.
    pub(super) async fn get(&self, organization: &str) -> Result<ClientResponse, ClientError> {
        self.client.send(self.about(Method::GET, organization, &[])).await
    }

    pub(super) async fn show(&self, organization: &str) -> Result<(), ClientError> {
        let answer = self.get(organization).await?;
        if self.json {
            say(&answer.body);
        } else {
            say(&view::details(&answer.read()?));
        }
        Ok(())
    }

    /// Sends a change and waits for its end; returns the organization afterwards.
    pub(super) async fn change(&self, request: RequestBuilder) -> Result<ClientResponse, ClientError> {
        let answer = self.client.send(request).await?;
        if answer.status != StatusCode::ACCEPTED {
            return Ok(answer);
        }
        let operation = operation::follow(&self.client, answer).await?;
        self.get(&operation.organization_id).await
    }

    /// Prints the result of a change: `sentence`, with the organization's details under it.
    pub(super) fn tell(
        &self,
        answer: &ClientResponse,
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
