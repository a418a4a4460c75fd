//! `tenantry signing-key`: the keys that sign access tokens, over HTTP against a running server.

mod arguments;
mod view;

pub use arguments::command;

use super::client::{Client, ClientError, ClientResponse};
use super::print::say;
use super::remote;
use clap::ArgMatches;
use reqwest::Method;
use std::process::ExitCode;
use view::SigningKeyList;

/// Runs the command.
pub fn run(matches: &ArgMatches) -> ExitCode {
    remote::run(matches, async |client, name, arguments| {
        let keys = SigningKeys { client, json: arguments.get_flag("json") };
        match name {
            "list" => keys.list().await,
            "rotate" => keys.rotate().await,
            _ => keys.retire(arguments).await,
        }
    })
}

/// The signing keys of a server, and the format of the output.
struct SigningKeys {
    client: Client,
    json: bool,
}

impl SigningKeys {
    async fn send(&self, method: Method, more: &[&str]) -> Result<ClientResponse, ClientError> {
        let path = [&["v1", "signing-keys"], more].concat();
        self.client.send(self.client.request(method, &path, &[])).await
    }

    async fn list(&self) -> Result<(), ClientError> {
        let answer = self.send(Method::GET, &[]).await?;
        self.show(&answer, None)
    }

    async fn rotate(&self) -> Result<(), ClientError> {
        let answer = self.send(Method::POST, &["rotate"]).await?;
        self.show(&answer, Some("The keys are now:"))
    }

    async fn retire(&self, arguments: &ArgMatches) -> Result<(), ClientError> {
        let kids: Vec<String> = match arguments.get_one::<String>("kid") {
            Some(kid) => vec![kid.clone()],
            // The one that signs comes after the next one, so that no key of these takes over.
            None => self.send(Method::GET, &[]).await?.read::<SigningKeyList>()?.in_use(),
        };
        let mut answer = None;
        for kid in &kids {
            answer = Some(self.send(Method::DELETE, &[kid]).await?);
        }
        let Some(answer) = answer else { return self.list().await };
        self.show(&answer, Some("Retired, with every token that was signed. The keys are now:"))
    }

    fn show(&self, answer: &ClientResponse, sentence: Option<&str>) -> Result<(), ClientError> {
        if self.json {
            say(&answer.body);
            return Ok(());
        }
        let list: SigningKeyList = answer.read()?;
        if let Some(sentence) = sentence {
            say(sentence);
        }
        say(&view::table(&list));
        Ok(())
    }
}
