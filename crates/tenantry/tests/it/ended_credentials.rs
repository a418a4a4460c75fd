//! What each event does to each credential: the table of docs/guides/security.md is read here, and every row of it is
//! made to happen.

use crate::support::app::{App, Setup};
use crate::support::client::Client;
use crate::support::fixtures::{
    Organization, PASSWORD, email_for, invited, joined, organization, prove_address, sign_in, with_access,
};
use crate::support::identity_provider::Provider;
use crate::support::keys::{exchange, service_key, with_key};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const PAGE: &str = include_str!("../../../../docs/guides/security.md");

/// The columns of the table after the event, in their order.
const CREDENTIALS: [&str; 10] = [
    "the person's access token",
    "its refresh token",
    "the person in another organization",
    "another member",
    "API key that the person made",
    "API key of another maker",
    "invitation that the person made",
    "exchanged token",
    "service key",
    "token of the person's identity provider",
];

/// The rows of the table: the event, and what it does to each credential.
fn table() -> Vec<(String, Vec<String>)> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = PAGE.lines().skip_while(|line| !line.starts_with("| event | the person's access token"));
    let heading = cells(lines.next().expect("docs/guides/security.md has the table"));
    assert_eq!(heading[1..], CREDENTIALS);
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|line| {
        let mut cells = cells(line);
        let event = cells.remove(0);
        (event, cells)
    })
    .collect()
}

/// What a person with a role of the organization's own may do, before it changes.
const OWN_ROLE: [&str; 6] =
    ["organizations:read", "documents:read", "keys:read", "keys:write", "members:read", "members:write"];
/// What keys and tokens allow.
const READS: [&str; 2] = ["organizations:read", "documents:read"];

/// Two organizations, a person who is an admin of both, or has a role of the first one's own, and everything that opens
/// the first one.
struct Scene {
    app: App,
    acme: Organization,
    globex: Organization,
    email: String,
    person: Client,
    refresh_token: Value,
    elsewhere: Client,
    own_key: Value,
    other_key: Value,
    /// The token of an invitation that the person made, and whom it is for.
    invitation: Value,
    invited: Organization,
    token: Client,
    service: Value,
    at_provider: Client,
    /// Its file is read again at each start.
    _provider: Provider,
}

impl Scene {
    async fn new(event: &str) -> Self {
        let provider = Provider::new();
        provider.configure(&provider.entry_of_any_organization());
        let setup = Setup::unlimited().with("--retention-days=30").with("--jwt-algorithm=EdDSA");
        let setup = setup.with(&provider.flag());
        let app = setup.start().await;
        let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
        let role = if event.starts_with("own role") { "special" } else { "admin" };
        let body = json!({ "name": "special", "permissions": OWN_ROLE });
        acme.owner.post(&format!("{}/roles", acme.path()), &body).await.created();
        let (app, acme) = if event.starts_with("address proven") {
            // Of a person whose address is not proven, as accounts of before.
            let (app, _) = joined(app, &globex, &acme, role).await;
            let owner = with_access(&app, &sign_in(&app, acme.email()).await);
            (app, Organization { owner, ..acme })
        } else {
            drop(invited(&app, &globex, &acme, role).await);
            (app, acme)
        };
        let email = email_for("Globex");
        let tokens = sign_in(&app, &email).await;
        assert_eq!(tokens["org_id"], acme.id());
        let person = with_access(&app, &tokens);
        let body = json!({ "organization": globex.id() });
        let elsewhere = with_access(&app, &person.post("/v1/auth/switch", &body).await.ok());
        let guest = organization(&app, "Initech").await;
        prove_address(&app, &guest).await;
        let body = json!({ "email": guest.email(), "role": "special" });
        let invitation = person.post(&format!("{}/invitations", acme.path()), &body).await.created();
        let body = json!({ "name": "report", "permissions": READS });
        let keys = format!("{}/keys", acme.path());
        let own_key = person.post(&keys, &body).await.created();
        let other_key = acme.owner.post(&keys, &body).await.created();
        let service = service_key(&app, &[&["tokens:issue"][..], &READS].concat()).await;
        let issued = exchange(&with_key(&app, &service), &acme.path(), &READS).await.ok();
        let token = app.client().with_token(issued["access_token"].as_str().unwrap());
        let refresh_token = tokens["refresh_token"].clone();
        let identity = provider.token_for(&app, "person", acme.id());
        person.post("/v1/me/identities", &json!({ "token": identity })).await.ok();
        let at_provider = app.client().with_token(&identity);
        // Tokens of providers know seconds alone.
        app.clock.advance(Duration::from_secs(5));
        Self {
            app,
            acme,
            globex,
            email,
            person,
            refresh_token,
            elsewhere,
            own_key,
            other_key,
            invitation,
            invited: guest,
            token,
            service,
            at_provider,
            _provider: provider,
        }
    }

    async fn happen(&self, event: &str) {
        let (acme, operator) = (self.acme.path(), self.app.operator());
        let key = |key: &Value| format!("{acme}/keys/{}", key["id"].as_str().unwrap());
        let service = format!("/v1/keys/{}", self.service["id"].as_str().unwrap());
        let guest = self.acme.member(self.globex.owner_id());
        match event {
            "logout" => self.person.post_empty("/v1/auth/logout").await.done(),
            "password changed" => {
                let other_session = with_access(&self.app, &sign_in(&self.app, &self.email).await);
                let body = json!({ "current_password": PASSWORD, "new_password": "another secret 47" });
                other_session.post("/v1/me/password", &body).await.done();
            }
            "password reset by a link" => {
                let link = operator.post(&format!("{guest}/password-reset"), &json!({})).await.created();
                let body = json!({ "token": link["token"], "new_password": "another secret 47" });
                self.app.client().post("/v1/auth/reset-password", &body).await.done();
            }
            "address proven by a link, signed in" => {
                let body = json!({ "token": self.link("email_verification").await });
                self.person.post("/v1/auth/verify-email", &body).await.done();
            }
            "address proven by a link, with a new password" => {
                let token = self.link("email_verification").await;
                let body = json!({ "token": token, "new_password": "another secret 47" });
                self.app.client().post("/v1/auth/verify-email", &body).await.done();
            }
            "address changed by a link" => {
                let other_session = with_access(&self.app, &sign_in(&self.app, &self.email).await);
                let body = json!({ "token": self.link("email_change").await });
                other_session.post("/v1/me/email/confirm", &body).await.done();
            }
            "link revoked" => {
                self.link("password_reset").await;
                self.person.delete("/v1/me/links/password_reset").await.done();
            }
            "all sessions ended" => {
                let other_session = with_access(&self.app, &sign_in(&self.app, &self.email).await);
                other_session.delete("/v1/me/sessions?keep_current=true").await.done();
            }
            "role lowered" => drop(self.acme.owner.patch(&guest, &json!({ "role": "viewer" })).await.ok()),
            "role raised" => drop(self.acme.owner.patch(&guest, &json!({ "role": "owner" })).await.ok()),
            "own role narrowed" => self.change_role(&OWN_ROLE[..1]).await,
            "own role widened" => self.change_role(&[&OWN_ROLE[..], &["audit:read"]].concat()).await,
            "member removed" => self.acme.owner.delete(&guest).await.done(),
            "API key revoked" => self.acme.owner.delete(&key(&self.own_key)).await.done(),
            "API key rotated" => {
                drop(self.person.post(&format!("{}/rotate", key(&self.own_key)), &json!({})).await.ok());
            }
            "service key revoked" => operator.delete(&service).await.done(),
            "service key rotated" => {
                drop(operator.post(&format!("{service}/rotate"), &json!({})).await.ok());
            }
            "signing key retired" => {
                let keys = operator.get("/v1/signing-keys").await.ok();
                let current = keys["items"].as_array().unwrap().iter().find(|key| key["state"] == "current");
                let kid = current.unwrap()["kid"].as_str().unwrap();
                drop(operator.delete(&format!("/v1/signing-keys/{kid}")).await.ok());
            }
            "organization renamed" => {
                let body = json!({ "organization_name": "Acme Two" });
                drop(self.acme.owner.patch(&acme, &body).await.ok());
            }
            "organization suspended" => drop(operator.post_empty(&format!("{acme}/suspend")).await.ok()),
            "suspended and reactivated" => {
                operator.post_empty(&format!("{acme}/suspend")).await.ok();
                operator.post_empty(&format!("{acme}/reactivate")).await.ok();
            }
            "organization deleted" => self.delete().await,
            "deleted and restored" => {
                self.delete().await;
                operator.post(&format!("{acme}/restore"), &json!({})).await.ok();
            }
            "organization purged" => self.purge().await,
            "purged and imported" => {
                let archive = operator.get(&format!("{acme}/export")).await.text;
                self.purge().await;
                let body = Some(("application/x-ndjson", archive.into_bytes()));
                operator.send(Method::POST, "/v1/organizations/import", body).await.created();
            }
            other => panic!("the table has the event `{other}`: write down here how it happens"),
        }
    }

    async fn change_role(&self, permissions: &[&str]) {
        let path = format!("{}/roles/special", self.acme.path());
        self.acme.owner.patch(&path, &json!({ "permissions": permissions })).await.ok();
    }

    async fn purge(&self) {
        let answer = self.app.operator().delete(&format!("{}?purge=true", self.acme.path())).await;
        assert!(answer.status.is_success(), "{answer}");
        self.app.operator().get(&self.acme.path()).await.refused("organization_not_found");
    }

    /// The token of a link that the operator makes for the person.
    async fn link(&self, kind: &str) -> Value {
        let mut body = json!({ "kind": kind });
        if kind == "email_change" {
            body["email"] = "moved@globex.example".into();
        }
        let path = format!("{}/links", self.acme.member(self.globex.owner_id()));
        self.app.operator().post(&path, &body).await.created()["token"].clone()
    }

    async fn delete(&self) {
        let answer = self.app.operator().delete(&self.acme.path()).await;
        assert!(answer.status.is_success(), "{answer}");
    }

    /// Whether each credential still opens what it opened, in the order of [`CREDENTIALS`].
    async fn states(&self) -> Vec<&'static str> {
        let acme = self.acme.path();
        let reads = [
            (self.person.clone(), acme.clone()),
            (self.elsewhere.clone(), self.globex.path()),
            (self.acme.owner.clone(), acme.clone()),
            (with_key(&self.app, &self.own_key), acme.clone()),
            (with_key(&self.app, &self.other_key), acme.clone()),
            (self.token.clone(), acme),
            (with_key(&self.app, &self.service), self.globex.path()),
            (self.at_provider.clone(), self.acme.path()),
        ];
        let mut states = Vec::new();
        for (client, path) in reads {
            let documents = client.get(&format!("{path}/collections")).await;
            // The backend reads no data itself.
            let reads_data = documents.status.is_success() || documents.is_refused("members_only");
            states.push(state(client.get(&path).await.status.is_success(), reads_data));
        }
        let body = json!({ "refresh_token": self.refresh_token });
        let refreshed = self.app.client().post("/v1/auth/refresh", &body).await.status.is_success();
        states.insert(1, state(refreshed, refreshed));
        let body = json!({ "token": self.invitation["token"] });
        // Who was invited signs in for it: their token may have ended, which is not what is asked here.
        let invited = with_access(&self.app, &sign_in(&self.app, self.invited.email()).await);
        let accepted = invited.post("/v1/invitations/accept", &body).await.status.is_success();
        states.insert(6, state(accepted, accepted));
        states
    }
}

fn state(is_good: bool, reads_data: bool) -> &'static str {
    match (is_good, reads_data) {
        (true, true) => "goes on",
        (true, false) => "is lowered",
        (false, _) => "ends",
    }
}

#[tokio::test]
async fn credentials_end_with_events_as_the_table_says() {
    for event in ["nothing", "own role as it was"] {
        assert_eq!(Scene::new(event).await.states().await, ["goes on"; 10]);
    }
    let rows = table();
    assert!(rows.len() >= 20, "{rows:?}");
    let mut wrong = Vec::new();
    for (event, expected) in rows {
        let scene = Scene::new(&event).await;
        scene.happen(&event).await;
        let states = scene.states().await;
        if states != expected {
            wrong.push(format!("| {event} | {} |", states.join(" | ")));
        }
    }
    assert!(wrong.is_empty(), "the page says something else:\n{}", wrong.join("\n"));
}
