//! Imports of an archive, each purged again: what comes and goes leaves nothing.

use crate::support::client::Client;
use crate::support::fixtures::{PASSWORD, credentials, email_for, encoded, new_organization};
use reqwest::Method;
use serde_json::json;

const DOCUMENTS: usize = 20;

/// Somebody who imports an archive again and again.
#[derive(Default)]
pub struct Importer {
    archive: Vec<u8>,
    /// The name of the import under way, whether it is acknowledged, and whether its purge was sent.
    current: Option<(String, bool, bool)>,
    number: usize,
    pub imported: usize,
}

impl Importer {
    /// With the archive of an organization that it makes.
    pub async fn new(client: &Client, operator: &Client) -> Self {
        let name = "Soak Source";
        let made = client.post("/org/create", &new_organization(name, &email_for(name))).await.created();
        let tokens = client.post("/admin/login", &credentials(&email_for(name), PASSWORD)).await.ok();
        let owner = client.with_token(tokens["access_token"].as_str().unwrap());
        let path = format!("/v1/organizations/{}", made["id"].as_str().unwrap());
        for number in 0..DOCUMENTS {
            let document = json!({ "_id": number, "text": "x".repeat(500) });
            owner.post(&format!("{path}/collections/documents/documents"), &document).await.created();
        }
        let archive = operator.get(&format!("{path}/export")).await.text.into_bytes();
        Self { archive, ..Self::default() }
    }

    /// Imports the archive under another name, and purges what came of it; whether both were answered.
    pub async fn import_and_purge(&mut self, operator: &Client) -> bool {
        self.number += 1;
        let name = format!("Imported {}", self.number);
        self.current = Some((name.clone(), false, false));
        let (name_in_query, email) = (encoded(&name), encoded(&email_for(&name)));
        let path =
            format!("/v1/organizations/import?id=new&organization_name={name_in_query}&owner_email={email}");
        let body = ("application/x-ndjson", self.archive.clone());
        let Ok(answer) = operator.try_send(Method::POST, &path, Some(body)).await else { return false };
        if [202, 503].contains(&answer.status.as_u16()) {
            return false;
        }
        let made = answer.created();
        self.imported += 1;
        self.current = Some((name, true, true));
        let path = format!("/v1/organizations/{}?purge=true", made["id"].as_str().unwrap());
        let Ok(answer) = operator.try_send(Method::DELETE, &path, None).await else { return false };
        if [202, 503].contains(&answer.status.as_u16()) || answer.is_refused("operation_in_progress") {
            return false;
        }
        assert!(answer.status.is_success(), "{answer}");
        self.current = None;
        true
    }

    /// Removes what a kill has left of an import. What was acknowledged is there, unless its purge was sent, too.
    pub async fn settle(&mut self, operator: &Client) {
        let Some((name, is_acknowledged, is_purge_sent)) = self.current.take() else { return };
        let found = operator.get(&format!("/org/get?organization_name={}", encoded(&name))).await;
        if !found.status.is_success() {
            assert!(!is_acknowledged || is_purge_sent, "{name} is lost: {found}");
            found.refused("organization_not_found");
            return;
        }
        let body = found.json();
        let path = format!("/v1/organizations/{}?purge=true", body["id"].as_str().unwrap());
        let answer = operator.delete(&path).await;
        assert!(answer.status.is_success(), "{answer}");
    }
}
