//! A backend beside Tenantry: one service key, and one token for each organization.
//!
//! ```text
//! TENANTRY_URL=http://localhost:8000 TENANTRY_KEY=tnt_service_... cargo run --example backend acme globex
//! ```

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "an example, not the service")]

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::error::Error;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

struct Tenantry {
    http: Client,
    url: String,
    key: String,
    /// The token of each organization and user, and when it expires.
    tokens: Mutex<HashMap<(String, String), (String, Instant)>>,
}

impl Tenantry {
    /// A token of that organization, kept until half a minute before it expires.
    async fn token(&self, organization: &str, user: &str) -> Result<String, Box<dyn Error>> {
        let mut tokens = self.tokens.lock().await;
        let name = (organization.to_owned(), user.to_owned());
        if let Some((token, expires)) = tokens.get(&name)
            && Instant::now() + Duration::from_secs(30) < *expires
        {
            return Ok(token.clone());
        }
        let path = format!("/v1/organizations/{organization}/tokens");
        let body = json!({ "permissions": ["documents:read", "documents:write"], "subject": user });
        let (status, answer) = self.send(Method::POST, &path, &self.key, Some(&body)).await?;
        let token = answer["access_token"].as_str().ok_or_else(|| format!("{status}: {answer}"))?;
        let lifetime = Duration::from_secs(answer["expires_in"].as_u64().unwrap_or_default());
        tokens.insert(name, (token.to_owned(), Instant::now() + lifetime));
        Ok(token.to_owned())
    }

    /// A request to the data of one organization, on behalf of one of your users.
    async fn request(
        &self,
        organization: &str,
        user: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Box<dyn Error>> {
        let path = format!("/v1/organizations/{organization}{path}");
        for is_first in [true, false] {
            let token = self.token(organization, user).await?;
            let (status, answer) = self.send(method.clone(), &path, &token, body).await?;
            if status == StatusCode::UNAUTHORIZED && is_first {
                // The token has ended before its time: the key was rotated, or the organization has changed.
                self.tokens.lock().await.remove(&(organization.to_owned(), user.to_owned()));
                continue;
            }
            return if status.is_success() { Ok(answer) } else { Err(format!("{status}: {answer}").into()) };
        }
        unreachable!("the second round returns")
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        credential: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<(StatusCode, Value)> {
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(credential);
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        let response = request.send().await?;
        let (status, text) = (response.status(), response.text().await?);
        Ok((status, serde_json::from_str(&text).unwrap_or_default()))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let tenantry = Tenantry {
        http: Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?,
        url: std::env::var("TENANTRY_URL")?,
        key: std::env::var("TENANTRY_KEY")?,
        tokens: Mutex::default(),
    };
    for organization in std::env::args().skip(1) {
        let documents = "/collections/documents/documents";
        let order = json!({ "total": 42 });
        tenantry.request(&organization, "user-4711", Method::POST, documents, Some(&order)).await?;
        let page = tenantry.request(&organization, "user-4711", Method::GET, documents, None).await?;
        println!("{organization} has {} documents", page["items"].as_array().map_or(0, Vec::len));
    }
    Ok(())
}
