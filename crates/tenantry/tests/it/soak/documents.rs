//! Writers and readers of the documents of one organization. Each writer has documents of its own, so it can say what each
//! must be: as it was acknowledged, or, for the one that got no answer, as that or as it was before.

use crate::support::client::{Answer, Client};
use crate::support::fixtures::{PASSWORD, credentials, email_for};
use crate::support::rng::TestRng;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many documents a writer keeps: as many are deleted as are inserted.
const KEPT: usize = 150;
/// Up to how many characters of text a document has.
const TEXT_MAX: u64 = 2000;

/// A key of the organization with that id.
pub async fn key(client: &Client, organization: &str) -> String {
    let tokens = client.post("/admin/login", &credentials(&email_for("Soak"), PASSWORD)).await.ok();
    let owner = client.with_token(tokens["access_token"].as_str().unwrap());
    let body = json!({ "name": "soak", "permissions": ["documents:read", "documents:write"] });
    let made = owner.post(&format!("/v1/organizations/{organization}/keys"), &body).await.created();
    made["key"].as_str().unwrap().to_owned()
}

/// Somebody who inserts, changes and deletes documents, one request after the other.
pub struct DocumentWriter {
    number: usize,
    rng: TestRng,
    /// The documents by their ids, each with the number that tells its states apart.
    documents: BTreeMap<String, u64>,
    /// What the last request makes of a document (`None`: it is gone), until it is answered.
    pending: Option<(String, Option<u64>)>,
    made: u64,
    pub answered: usize,
}

impl DocumentWriter {
    pub fn new(number: usize, seed: u64) -> Self {
        let rng = TestRng::new(seed);
        Self { number, rng, documents: BTreeMap::new(), pending: None, made: 0, answered: 0 }
    }

    /// How many documents it has.
    pub fn len(&self) -> usize {
        self.documents.len()
    }

    /// One change; whether it was answered.
    pub async fn change(&mut self, member: &Client, collection: &str) -> bool {
        self.made += 1;
        let state = self.made;
        let is_full = self.documents.len() >= KEPT;
        let chosen = self.chosen().filter(|_| is_full || self.rng.below(3) > 0);
        let text = "x".repeat(self.rng.below(TEXT_MAX) as usize);
        let (method, path, body, next) = match chosen {
            None => {
                let id = format!("{}-{state}", self.number);
                let body = json!({ "_id": id, "state": state, "text": text });
                (Method::POST, format!("{collection}/documents"), body, (id, Some(state)))
            }
            Some(id) => {
                let path = format!("{collection}/documents/{id}");
                match self.rng.below(4) {
                    0 | 1 if is_full => (Method::DELETE, path, Value::Null, (id, None)),
                    0 => (Method::PUT, path, json!({ "state": state, "text": text }), (id, Some(state))),
                    1 => (Method::PATCH, path, json!({ "state": state }), (id, Some(state))),
                    _ => {
                        let update = json!({ "update": { "$set": { "state": state, "text": text } } });
                        (Method::POST, format!("{path}/update"), update, (id, Some(state)))
                    }
                }
            }
        };
        self.pending = Some(next);
        let body = (!body.is_null()).then(|| ("application/json", body.to_string().into_bytes()));
        let Ok(answer) = member.try_send(method, &path, body).await else { return false };
        // It may have happened, or may happen still.
        if answer.status == 503 {
            return false;
        }
        assert!(answer.status.is_success(), "{answer}");
        if let Some((id, state)) = self.pending.take() {
            self.take_over(id, state);
        }
        self.answered += 1;
        true
    }

    /// One of its documents.
    fn chosen(&mut self) -> Option<String> {
        let index = self.rng.below(self.documents.len().max(1) as u64) as usize;
        self.documents.keys().nth(index).cloned()
    }

    fn take_over(&mut self, id: String, state: Option<u64>) {
        match state {
            Some(state) => drop(self.documents.insert(id, state)),
            None => drop(self.documents.remove(&id)),
        }
    }

    /// Decides by what is stored whether the change without an answer has happened, and expects everything else to be as
    /// it was acknowledged.
    pub fn settle(&mut self, stored: &BTreeMap<String, u64>) {
        if let Some((id, state)) = self.pending.take()
            && stored.get(&id).copied() == state
        {
            self.take_over(id, state);
        }
        let prefix = format!("{}-", self.number);
        let own = stored.iter().filter(|(id, _)| id.starts_with(&prefix));
        let own: BTreeMap<String, u64> = own.map(|(id, state)| (id.clone(), *state)).collect();
        assert_eq!(
            own, self.documents,
            "writer {}: what is stored is not what was acknowledged",
            self.number
        );
    }
}

/// One read of any kind; whether it was answered.
pub async fn read_documents(member: &Client, collection: &str, rng: &mut TestRng) -> bool {
    let (path, body) = match rng.below(3) {
        0 => (
            "query",
            json!({ "filter": { "state": { "$gt": rng.below(1000) } }, "fields": "state", "limit": 50 }),
        ),
        1 => ("count", json!({ "filter": { "text": { "$exists": true } } })),
        _ => (
            "aggregate",
            json!({ "pipeline": [{ "$group": { "_id": null, "last": { "$max": "$state" } } }] }),
        ),
    };
    let body = ("application/json", body.to_string().into_bytes());
    let asked = member.try_send(Method::POST, &format!("{collection}/{path}"), Some(body)).await;
    asked.is_ok_and(|answer: Answer| {
        assert!(answer.status.is_success() || answer.status == 503, "{answer}");
        true
    })
}

/// All documents: their ids, and the number of their state.
pub async fn stored_documents(member: &Client, collection: &str) -> BTreeMap<String, u64> {
    let (mut found, mut query) = (BTreeMap::new(), json!({ "fields": "state", "limit": 200 }));
    loop {
        let page = member.post(&format!("{collection}/query"), &query).await.ok();
        found.extend(page["items"].as_array().unwrap().iter().map(|document| {
            (document["_id"].as_str().unwrap().to_owned(), document["state"].as_u64().unwrap())
        }));
        let Some(cursor) = page["next_cursor"].as_str() else { return found };
        query["cursor"] = cursor.into();
    }
}
