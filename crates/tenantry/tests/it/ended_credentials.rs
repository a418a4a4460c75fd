//! What each event does to each credential: the table of docs/guides/security.md is read here, and every row of it is
//! made to happen. On MongoDB another instance, which has its records in memory, says the same a second later.

mod table;

use crate::support::app::{App, Setup};
use crate::support::client::Client;
use crate::support::fixtures::{
    Organization, PASSWORD, again, email_for, invited, joined, organization, prove_address, sign_in,
    with_access,
};
use crate::support::identity_provider::Provider;
use crate::support::keys::with_key;
use crate::support::test_env::Engine;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use table::{EVENTS, rows};
use tenantry_domain::limits::RECENT_READ_MAX_AGE;

/// How long what expires is good for, in seconds: less than everything else.
const SHORT: u64 = 600;

/// What a person with a role of the organization's own may do, before it changes.
const OWN_ROLE: [&str; 6] =
    ["organizations:read", "documents:read", "keys:read", "keys:write", "members:read", "members:write"];
/// What keys and tokens allow.
const READS: [&str; 2] = ["organizations:read", "documents:read"];

/// Two organizations, a person who is an admin of both, or has a role of the first one's own, and everything that opens
/// the first one.
struct Scene {
    app: App,
    /// Another instance, where there can be one.
    there: Option<App>,
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
    provider: Provider,
}

impl Scene {
    async fn new(event: &str) -> Self {
        let provider = Provider::new();
        provider.configure(&provider.entry_of_any_organization());
        let setup = Setup::unlimited().with("--retention-days=30").with("--jwt-algorithm=EdDSA");
        let setup = setup.with(&provider.flag());
        let setup = match event {
            "access token expired" => setup.with(&format!("--jwt-exp-seconds={SHORT}")),
            "session expired" => setup
                .with(&format!("--refresh-idle-lifetime={SHORT}"))
                .with(&format!("--refresh-absolute-lifetime={SHORT}")),
            _ => setup,
        };
        // What the event is about is good for a short time alone, if it is to expire.
        let lasting = |what: &str, mut body: Value| {
            if event == format!("{what} expired") {
                body["expires_in"] = SHORT.into();
            }
            body
        };
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
        let body = lasting("invitation", json!({ "email": guest.email(), "role": "special" }));
        let invitation = person.post(&format!("{}/invitations", acme.path()), &body).await.created();
        let body = json!({ "name": "report", "permissions": READS });
        let keys = format!("{}/keys", acme.path());
        let other_key = acme.owner.post(&keys, &body).await.created();
        let own_key = person.post(&keys, &lasting("API key", body)).await.created();
        let permissions = [&["tokens:issue"][..], &READS].concat();
        let body = json!({ "name": "backend", "permissions": permissions });
        let service = app.operator().post("/v1/keys", &lasting("service key", body)).await.created();
        let body = lasting("exchanged token", json!({ "permissions": READS }));
        let tokens_path = format!("{}/tokens", acme.path());
        let issued = with_key(&app, &service).post(&tokens_path, &body).await.ok();
        let token = app.client().with_token(issued["access_token"].as_str().unwrap());
        let refresh_token = tokens["refresh_token"].clone();
        let mut claims = provider.claims(&app, "person");
        claims["org_id"] = acme.id().into();
        if event.starts_with("token of the identity provider") {
            claims["exp"] = (claims["iat"].as_u64().unwrap() + SHORT).into();
        }
        let identity = provider.sign(&claims);
        person.post("/v1/me/identities", &json!({ "token": identity })).await.ok();
        let at_provider = app.client().with_token(&identity);
        // Tokens of providers know seconds alone.
        app.clock.advance(Duration::from_secs(5));
        let there = match crate::engine() {
            Engine::Embedded => None,
            Engine::MongoDb => Some(app.another().await),
        };
        Self {
            app,
            there,
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
            provider,
        }
    }

    /// Makes it happen; the scene afterwards.
    async fn happen(self, event: &str) -> Self {
        if event == "identity provider taken out of the settings" {
            return self.without_provider().await;
        }
        self.cause(event).await;
        self
    }

    /// Both instances, started again without the provider.
    async fn without_provider(self) -> Self {
        self.provider.configure_all(&[]);
        let there = match self.there {
            None => None,
            Some(there) => Some(there.restart().await),
        };
        Self { app: self.app.restart().await, there, ..self }
    }

    async fn cause(&self, event: &str) {
        let (acme, operator) = (self.acme.path(), self.app.operator());
        let key = |key: &Value| format!("{acme}/keys/{}", key["id"].as_str().unwrap());
        let service = format!("/v1/keys/{}", self.service["id"].as_str().unwrap());
        let guest = self.acme.member(self.globex.owner_id());
        match event {
            "logout" => self.person.post_empty("/v1/auth/logout").await.done(),
            "access token expired"
            | "session expired"
            | "API key expired"
            | "invitation expired"
            | "exchanged token expired"
            | "service key expired"
            | "token of the identity provider expired" => {
                self.app.clock.advance(Duration::from_secs(SHORT));
            }
            "password set by the operator" => {
                // The password of who owns an organization: of the person, in the other one.
                let body = json!({ "password": "another secret 47" });
                operator.post(&format!("{}/set-password", self.globex.path()), &body).await.ok();
            }
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

    /// Whether each credential that is only read with still opens what it opened, in the order of [`table::CREDENTIALS`].
    async fn reads(&self, app: &App) -> Vec<&'static str> {
        let acme = self.acme.path();
        let mut states = Vec::new();
        for (client, path) in [
            (&self.person, &acme),
            (&self.elsewhere, &self.globex.path()),
            (&self.acme.owner, &acme),
            (&with_key(app, &self.own_key), &acme),
            (&with_key(app, &self.other_key), &acme),
            (&self.token, &acme),
            (&with_key(app, &self.service), &self.globex.path()),
            (&self.at_provider, &acme),
        ] {
            let client = again(app, client);
            let documents = client.get(&format!("{path}/collections")).await;
            // The backend reads no data itself.
            let reads_data = documents.status.is_success() || documents.is_refused("members_only");
            states.push(state(client.get(path).await.status.is_success(), reads_data));
        }
        states
    }

    /// Whether each credential still opens what it opened, in the order of [`table::CREDENTIALS`]. Those that are spent by it are
    /// used at the other instance, where there is one.
    async fn states(&self, event: &str) -> Vec<&'static str> {
        let mut states = self.reads(&self.app).await;
        if let Some(there) = &self.there {
            // However busy the machine is: what was read before is not used any longer.
            tokio::time::sleep(RECENT_READ_MAX_AGE).await;
            assert_eq!(self.reads(there).await, states, "{event}: another instance says something else");
        }
        let app = self.there.as_ref().unwrap_or(&self.app);
        let body = json!({ "refresh_token": self.refresh_token });
        let refreshed = app.client().post("/v1/auth/refresh", &body).await.status.is_success();
        states.insert(1, state(refreshed, refreshed));
        let body = json!({ "token": self.invitation["token"] });
        // Who was invited signs in for it: their token may have ended, which is not what is asked here.
        let invited = with_access(app, &sign_in(app, self.invited.email()).await);
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
        assert_eq!(Scene::new(event).await.states(event).await, ["goes on"; 10]);
    }
    let rows = rows();
    assert_eq!(rows.iter().map(|(event, _)| event.as_str()).collect::<Vec<_>>(), EVENTS);
    let mut wrong = Vec::new();
    for (event, expected) in rows {
        let scene = Scene::new(&event).await;
        if let Some(there) = &scene.there {
            // From now on it has everything in memory.
            assert_eq!(scene.reads(there).await, ["goes on"; 8], "{event}");
        }
        let scene = scene.happen(&event).await;
        let states = scene.states(&event).await;
        if states != expected {
            wrong.push(format!("| {event} | {} |", states.join(" | ")));
        }
    }
    assert!(wrong.is_empty(), "the page says something else:\n{}", wrong.join("\n"));
}
