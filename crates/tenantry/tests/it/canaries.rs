//! No secret is in a log, a metric, an error, the audit trail, the arguments of the process, or the stored records: a
//! client uses every kind of secret, also wrongly, and all of these are searched for each of them.

use crate::support::client::Client;
use crate::support::fixtures::{credentials, new_organization};
use crate::support::process::Launch;
use crate::support::smtp::SmtpServer;
use crate::support::test_env::TestEnv;
use serde_json::{Value, json};

/// Everything that must be nowhere, and everything that was answered to those who may not see it.
#[derive(Default)]
struct Canaries {
    secrets: Vec<String>,
    refusals: String,
}

impl Canaries {
    fn hide(&mut self, secret: impl Into<String>) -> String {
        self.secrets.push(secret.into());
        self.secrets[self.secrets.len() - 1].clone()
    }

    /// Hides the texts of these members of a response.
    fn hide_members(&mut self, body: &Value, names: &[&str]) {
        for name in names {
            self.hide(body[*name].as_str().unwrap_or_else(|| panic!("no {name}: {body}")));
        }
    }

    async fn refuse(&mut self, client: &Client, path: &str, body: &Value) {
        let answer = client.post(path, body).await;
        assert!(answer.status.is_client_error(), "{answer}");
        self.refusals.push_str(&answer.to_string());
    }

    async fn use_passwords_and_sessions(&mut self, client: &Client, operator: &Client) -> Client {
        let password = self.hide("canary password of the owner 1");
        let new = json!({ "organization_name": "Acme", "email": "owner@acme.example", "password": password });
        operator.post("/v1/organizations", &new).await.created();
        let wrong = self.hide("canary password that is wrong 2");
        self.refuse(client, "/admin/login", &credentials("owner@acme.example", &wrong)).await;
        let tokens = client.post("/admin/login", &credentials("owner@acme.example", &password)).await.ok();
        self.hide_members(&tokens, &["access_token", "refresh_token"]);
        let body = json!({ "refresh_token": tokens["refresh_token"] });
        let tokens = client.post("/v1/auth/refresh", &body).await.ok();
        self.hide_members(&tokens, &["access_token", "refresh_token"]);
        let owner = client.with_token(tokens["access_token"].as_str().unwrap());
        let changed = self.hide("canary password after a change 3");
        let body = json!({ "current_password": password, "new_password": changed });
        owner.post("/v1/me/password", &body).await.done();
        let weak = self.hide("cnry4");
        let body = json!({ "current_password": changed, "new_password": weak });
        self.refuse(&owner, "/v1/me/password", &body).await;
        owner
    }

    async fn use_keys(&mut self, client: &Client, operator: &Client, owner: &Client) {
        let body = json!({ "name": "backend", "permissions": ["tokens:issue", "documents:read"] });
        let made = operator.post("/v1/keys", &body).await.created();
        self.hide_members(&made, &["key"]);
        let rotate = format!("/v1/keys/{}/rotate", made["id"].as_str().unwrap());
        let rotated = operator.post(&rotate, &json!({ "overlap": 60 })).await.ok();
        self.hide_members(&rotated, &["key"]);
        let backend = client.with_token(rotated["key"].as_str().unwrap());
        let body = json!({ "permissions": ["documents:read"], "subject": "user-1" });
        let token = backend.post("/v1/organizations/acme/tokens", &body).await.ok();
        self.hide_members(&token, &["access_token"]);
        let program = client.with_token(token["access_token"].as_str().unwrap());
        self.refuse(&program, "/v1/organizations/acme/keys", &json!({})).await;
        let body = json!({ "name": "report", "permissions": ["documents:read"] });
        let made = owner.post("/v1/organizations/acme/keys", &body).await.created();
        self.hide_members(&made, &["key"]);
        let mistyped = self.hide(format!("{}0", made["key"].as_str().unwrap()));
        self.refuse(&client.with_token(&mistyped), "/v1/organizations/acme/keys", &json!({})).await;
        let forged = self.hide("eyJhbGciOiJub25lIn0.canary.5");
        self.refuse(&client.with_token(&forged), "/v1/organizations/acme/keys", &json!({})).await;
    }

    /// The token of the next mail.
    async fn mailed(&mut self, smtp: &SmtpServer) -> Value {
        let mail = smtp.mail().await;
        self.hide_mail(&mail);
        mail["token"].clone()
    }

    /// Hides the token and the link of a mail, if there are some, and every line of its text and its HTML that says more
    /// than a word or two.
    fn hide_mail(&mut self, mail: &Value) {
        for name in ["token", "link"] {
            if let Some(text) = mail[name].as_str() {
                self.hide(text);
            }
        }
        let body = [&mail["text"], &mail["html"]].map(|part| part.as_str().unwrap_or_default());
        let lines = body.iter().flat_map(|part| part.lines()).map(str::trim);
        let sentences: Vec<&str> = lines.filter(|line| line.split_whitespace().count() > 3).collect();
        assert!(sentences.len() >= 4, "a mail says something: {mail}");
        for sentence in sentences {
            self.hide(sentence);
        }
    }

    async fn use_links(&mut self, client: &Client, operator: &Client, owner: &Client, smtp: &SmtpServer) {
        let body = json!({ "email": "new@acme.example", "role": "member" });
        owner.post("/v1/organizations/acme/invitations", &body).await.created();
        let invitation = self.mailed(smtp).await;
        let password = self.hide("canary password of a member 6");
        let body = json!({ "token": invitation, "password": password });
        let joined = client.post("/v1/invitations/accept", &body).await.created();
        self.hide_members(&joined, &["access_token", "refresh_token"]);
        self.refuse(client, "/v1/invitations/accept", &body).await;
        let members = operator.get("/v1/organizations/acme/members").await.ok();
        let member = members["items"].as_array().unwrap().iter();
        let member = member.clone().find(|member| member["email"] == "new@acme.example").unwrap();
        let path = format!(
            "/v1/organizations/acme/members/{}/password-reset",
            member["account_id"].as_str().unwrap()
        );
        let link = operator.post(&path, &json!({})).await.created();
        self.hide_members(&link, &["token"]);
        let password = self.hide("canary password after a reset 7");
        let body = json!({ "token": link["token"], "new_password": password });
        client.post("/v1/auth/reset-password", &body).await.done();
        self.refuse(client, "/v1/auth/reset-password", &body).await;
        self.use_links_to_addresses(client, operator, owner, smtp).await;
        let password = self.hide("canary password by the operator 8");
        let body = json!({ "password": password });
        operator.post("/v1/organizations/acme/set-password", &body).await.ok();
    }

    async fn use_links_to_addresses(
        &mut self,
        client: &Client,
        operator: &Client,
        owner: &Client,
        smtp: &SmtpServer,
    ) {
        owner.post_empty("/v1/me/email/verification").await.expect(202);
        let body = json!({ "token": self.mailed(smtp).await });
        owner.post("/v1/auth/verify-email", &body).await.done();
        self.refuse(owner, "/v1/auth/verify-email", &body).await;
        let body =
            json!({ "email": "moved@acme.example", "current_password": "canary password after a change 3" });
        owner.post("/v1/me/email", &body).await.expect(202);
        let body = json!({ "token": self.mailed(smtp).await });
        owner.post("/v1/me/email/confirm", &body).await.done();
        self.refuse(owner, "/v1/me/email/confirm", &body).await;
        let me = owner.get("/v1/me").await.ok();
        let path = format!("/v1/organizations/acme/members/{}/links", me["account_id"].as_str().unwrap());
        let body = json!({ "kind": "email_change", "email": "again@acme.example" });
        let link = operator.post(&path, &body).await.created();
        self.hide_members(&link, &["token", "url"]);
        let forgotten = json!({ "email": "moved@acme.example" });
        assert_eq!(client.post("/v1/auth/forgot-password", &forgotten).await.status, 202);
        let password = self.hide("canary password after a mailed reset 9");
        // Word to the former address may come first.
        let mut token = smtp.mail().await;
        if token["token"].is_null() {
            self.hide_mail(&token);
            token = smtp.mail().await;
        }
        self.hide_mail(&token);
        let body = json!({ "token": token["token"], "new_password": password });
        client.post("/v1/auth/reset-password", &body).await.done();
        self.refuse(client, "/v1/auth/reset-password", &body).await;
    }

    #[track_caller]
    fn assert_absent(&self, place: &str, text: &str) {
        for secret in &self.secrets {
            assert!(!text.contains(secret.as_str()), "{secret} is in {place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_in_no_log_metric_error_event_or_record() {
    let test_env = TestEnv::new();
    let signing_secret = "canary secret that signs the tokens, 64 bytes and more, number 0";
    let launch = Launch::on(&test_env).with("--log-level=trace");
    // As a flag it would be in the process list, as its page says.
    let launch = launch.without("--jwt-secret").env("JWT_SECRET", signing_secret);
    let smtp_password = "canary password of the mail server 10";
    let smtp = SmtpServer::start_on(0, Some(smtp_password));
    let launch = smtp.flags().iter().skip(1).fold(launch, |launch, flag| launch.with(flag));
    let launch = launch.env("SMTP_URL", &format!("smtp://mailer@127.0.0.1:{}?tls=off", smtp.port));
    let server = launch.env("SMTP_PASSWORD", smtp_password).start();
    let (client, operator) = (server.client(), server.operator());
    let mut canaries = Canaries::default();
    canaries.hide(signing_secret);
    canaries.hide(smtp_password);
    canaries.hide(operator.header("authorization").unwrap().trim_start_matches("Bearer "));
    let owner = canaries.use_passwords_and_sessions(&client, &operator).await;
    canaries.use_keys(&client, &operator, &owner).await;
    canaries.use_links(&client, &operator, &owner, &smtp).await;

    canaries.assert_absent("an error", &canaries.refusals);
    for path in ["/metrics", "/v1/audit/chain", "/v1/organizations/acme/audit/chain", "/v1/keys"] {
        let answer = operator.get(path).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer}");
        canaries.assert_absent(path, &answer.to_string());
    }
    let arguments = std::fs::read(format!("/proc/{}/cmdline", server.id())).unwrap();
    canaries.assert_absent("the process list", &String::from_utf8_lossy(&arguments));
    canaries.assert_absent("the records", &crate::support::checker::Snapshot::read(&test_env).control_text());
    let log = server.log_at_its_end().await;
    assert!(log.contains("DEBUG") && log.contains("/v1/auth/reset-password"), "{log}");
    canaries.assert_absent("the log", &log);
}

/// The search finds what is there.
#[test]
#[should_panic(expected = "is in the log")]
fn secret_that_is_there_is_found() {
    let mut canaries = Canaries::default();
    canaries.hide(new_organization("Acme", "a@b.example")["password"].as_str().unwrap());
    canaries.assert_absent("the log", &new_organization("Acme", "a@b.example").to_string());
}
