//! An organization with canaries in everything that it keeps.

use crate::support::app::App;
use crate::support::client::Client;
use crate::support::fixtures::{Organization, PASSWORD, organization, with_access};
use crate::support::identity_provider::Provider;
use crate::support::keys::{service_key, with_key};
use serde_json::{Value, json};

/// The kind of the link that is there for the owner.
pub const LINK_KIND: &str = "email_change";

/// An organization with canaries, and all by which a request could name it or something of it.
pub struct Home {
    pub organization: Organization,
    /// In everything it keeps.
    pub canary: String,
    pub collection: String,
    pub document: String,
    pub index: String,
    /// A role of its own.
    pub role: String,
    pub cursor: String,
    pub etag: String,
    /// An `Idempotency-Key` that it has used.
    pub key: String,
    /// The ids of a key, of an invitation, and of the operation that made it.
    pub api_key: String,
    pub invitation: String,
    pub operation: String,
    /// The address that the invitation is for.
    pub invited: String,
    /// The ids of a session and of an identity of its owner.
    pub session: String,
    pub identity: String,
}

impl Home {
    pub async fn make(app: &App, provider: &Provider, name: &str) -> Self {
        let organization = organization(app, name).await;
        let canary = format!("canary{}", name.to_lowercase());
        let none = String::new;
        let mut home = Self {
            collection: format!("{canary}-collection"),
            document: format!("{canary}-document"),
            index: format!("{canary}-index"),
            role: format!("{canary}-role"),
            key: format!("{name}-key"),
            invited: format!("{canary}@invited.example"),
            cursor: none(),
            etag: none(),
            api_key: none(),
            invitation: none(),
            operation: none(),
            session: none(),
            identity: none(),
            canary,
            organization,
        };
        home.fill_data().await;
        home.fill_people(app).await;
        home.fill_account(app, provider).await;
        home.fill_trail(app).await;
        home
    }

    async fn fill_data(&mut self) {
        let (owner, path) = (self.organization.owner.clone(), self.organization.path());
        owner.post(&format!("{path}/collections"), &json!({ "name": self.collection })).await.created();
        for collection in [self.collection.as_str(), "documents"] {
            let base = format!("{path}/collections/{collection}");
            owner
                .post(&format!("{base}/indexes"), &json!({ "keys": "n", "name": self.index }))
                .await
                .created();
            let schema =
                json!({ "schema": { "title": self.canary, "required": ["_id"] }, "level": "moderate" });
            owner.put(&format!("{base}/schema"), &schema).await.created();
            for number in 0..3 {
                let id =
                    if number == 0 { self.document.clone() } else { format!("{}{number}", self.document) };
                let document = json!({ "_id": id, "n": number, "text": self.canary, "same": "in all" });
                let made = owner
                    .with_header("idempotency-key", &format!("{}{collection}{number}", self.key))
                    .post(&format!("{base}/documents"), &document)
                    .await;
                self.etag = made.header("etag").to_owned();
                made.created();
            }
            let page = owner.get(&format!("{base}/documents?limit=1")).await.ok();
            self.cursor = page["next_cursor"].as_str().unwrap().to_owned();
        }
        self.key = format!("{}documents0", self.key);
    }

    /// A role, a key, somebody who is invited and somebody who has joined.
    async fn fill_people(&mut self, app: &App) {
        let (owner, path) = (self.organization.owner.clone(), self.organization.path());
        let role =
            json!({ "name": self.role, "description": self.canary, "permissions": ["documents:read"] });
        owner.post(&format!("{path}/roles"), &role).await.created();
        let key = json!({ "name": format!("{} report", self.canary), "permissions": ["documents:read"] });
        self.api_key = id_of(&owner.post(&format!("{path}/keys"), &key).await.created());
        let invitations = format!("{path}/invitations");
        let invited = json!({ "email": self.invited, "role": self.role });
        self.invitation = id_of(&owner.post(&invitations, &invited).await.created());
        let member = json!({ "email": format!("{}@member.example", self.canary), "role": self.role });
        let token = owner.post(&invitations, &member).await.created()["token"].clone();
        let joining = json!({ "token": token, "password": PASSWORD });
        app.client().post("/v1/invitations/accept", &joining).await.created();
        let operations = owner.get(&format!("{path}/operations")).await.ok();
        self.operation = id_of(&operations["items"][0]);
    }

    /// A link to another address, and an identity of the owner.
    async fn fill_account(&mut self, app: &App, provider: &Provider) {
        let organization = &self.organization;
        let link = json!({ "kind": LINK_KIND, "email": format!("{}@moved.example", self.canary) });
        let links = format!("{}/links", organization.member(organization.owner_id()));
        app.operator().post(&links, &link).await.created();
        let subject = format!("{}-subject", self.canary);
        let token = provider.token_for(app, &subject, organization.id());
        let identity = organization.owner.post("/v1/me/identities", &json!({ "token": token })).await.ok();
        self.identity = id_of(&identity);
        let sessions = organization.owner.get("/v1/me/sessions").await.ok();
        self.session = id_of(&sessions["items"][0]);
    }

    /// An exchange for a user of a backend, who stands in the audit trail.
    async fn fill_trail(&self, app: &App) {
        let backend = with_key(app, &service_key(app, &["tokens:issue", "documents:read"]).await);
        let path = self.organization.path();
        let body =
            json!({ "permissions": ["documents:read"], "subject": format!("{}-of-backend", self.canary) });
        let token = backend.post(&format!("{path}/tokens"), &body).await.ok();
        with_access(app, &token).get(&format!("{path}/collections")).await.ok();
    }

    /// The paths of all lists that have a canary.
    pub fn lists(&self) -> Vec<String> {
        let path = self.organization.path();
        let parts = ["collections", "keys", "members", "invitations", "roles", "audit", "audit/chain"];
        let mut lists: Vec<String> = parts.iter().map(|part| format!("{path}/{part}")).collect();
        for collection in [self.collection.as_str(), "documents"] {
            for part in ["documents", "indexes", "schema"] {
                lists.push(format!("{path}/collections/{collection}/{part}"));
            }
        }
        lists.extend(["/v1/me/links", "/v1/me/identities"].map(str::to_owned));
        lists
    }

    /// Everything it keeps, as itself, but for its audit trail, in which it stands who was refused: its collections and
    /// documents first.
    pub async fn contents(&self) -> Vec<Value> {
        let (owner, path) = (&self.organization.owner, self.organization.path());
        let mut contents = vec![owner.get(&format!("{path}/collections")).await.ok()];
        for collection in [self.collection.as_str(), "documents"] {
            let base = format!("{path}/collections/{collection}");
            contents.push(owner.get(&format!("{base}/documents")).await.ok());
            contents.push(owner.get(&format!("{base}/indexes")).await.ok());
            contents.push(owner.get(&format!("{base}/schema")).await.ok());
        }
        for people in ["keys", "members", "invitations", "roles", "operations"] {
            contents.push(owner.get(&format!("{path}/{people}")).await.ok());
        }
        contents.push(self.account(owner).await);
        contents
    }

    /// What its owner's account keeps.
    async fn account(&self, owner: &Client) -> Value {
        let mut account = Vec::new();
        for path in ["/v1/me", "/v1/me/links", "/v1/me/identities", "/v1/me/sessions"] {
            account.push(owner.get(path).await.ok());
        }
        account.into()
    }
}

fn id_of(record: &Value) -> String {
    record["id"].as_str().unwrap_or_else(|| panic!("no id: {record}")).to_owned()
}
