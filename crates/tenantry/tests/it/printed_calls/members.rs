//! The commands of `docs/guides/members.md`.

use super::run_with;
use crate::support::app::{App, Setup};
use crate::support::printed::{Shell, block, commands};
use crate::support::smtp::SmtpServer;
use serde_json::{Value, json};

const PAGE: &str = "docs/guides/members.md";
/// The passwords that the page prints.
const PASSWORD: &str = "SecurePassword123";
const ANOTHER: &str = "AnotherPassword456";

/// The organization `acme-corp`, and a shell of its owner.
struct Acme {
    app: App,
    shell: Shell,
}

impl Acme {
    async fn on(app: App) -> Self {
        let new =
            json!({ "organization_name": "Acme Corp", "email": "admin@acme.com", "password": PASSWORD });
        app.client().post("/org/create", &new).await.created();
        let url = format!("http://{}", app.address());
        let shell =
            Shell::of(&app).with("URL", &url).with("ORG", &format!("{url}/v1/organizations/acme-corp"));
        let mut acme = Self { app, shell };
        acme.sign_in("admin@acme.com", PASSWORD).await;
        acme
    }

    /// The shell is that account's from now on.
    async fn sign_in(&mut self, email: &str, password: &str) -> Value {
        let credentials = json!({ "email": email, "password": password });
        let tokens = self.app.client().post("/admin/login", &credentials).await.ok();
        self.shell.set("TOKEN", text(&tokens["access_token"]));
        tokens
    }

    /// Invites that address, by the operator; the token of the link.
    async fn invite(&self, email: &str, role: &str) -> Value {
        let body = json!({ "email": email, "role": role });
        self.app.operator().post("/v1/organizations/acme-corp/invitations", &body).await.created()
    }

    /// Makes somebody a member; the id of the account.
    async fn join(&self, email: &str, role: &str) -> String {
        let token = &self.invite(email, role).await["token"];
        let body = json!({ "token": token, "password": ANOTHER });
        let joined = self.app.client().post("/v1/invitations/accept", &body).await.created();
        text(&joined["admin_id"]).to_owned()
    }

    async fn answers(&self, commands: &str) -> Vec<Value> {
        self.shell.answers(&run_with(commands)).await
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn member_and_role_commands_run_as_printed() {
    let mut acme = Acme::on(App::start().await).await;
    let account = acme.join("new@acme.com", "member").await;
    acme.shell.set("ACCOUNT", &account);
    let answers = acme.answers(&block(PAGE, "call $ORG/members  ")).await;
    let [all, viewer] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((all["items"].as_array().unwrap().len(), &viewer["role"]), (2, &"viewer".into()));
    assert_eq!(acme.answers("call $ORG/members").await[0]["items"].as_array().unwrap().len(), 1);

    for (address, role) in
        [("new@acme.com", "member"), ("old@acme.com", "member"), ("former@acme.com", "owner")]
    {
        acme.join(address, role).await;
    }
    let said = acme.shell.run(&block(PAGE, "tenantry member list acme-corp")).await;
    for part in [
        "new@acme.com has the role viewer in acme-corp now.",
        "Removed old@acme.com from acme-corp.",
        "new@acme.com has the role owner in acme-corp now.",
        "former@acme.com has the role admin in acme-corp now.",
        "change_role",
    ] {
        assert!(said.contains(part), "`{part}` is missing in\n{said}");
    }

    let former = acme.answers("call $ORG/members").await[0]["items"].as_array().unwrap().clone();
    let former = former.iter().find(|member| member["email"] == "former@acme.com").unwrap();
    acme.shell.set("ACCOUNT", text(&former["account_id"]));
    let answers = acme.answers(&block(PAGE, "call $ORG/roles -d")).await;
    let [made, _, changed, member, in_use] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((&made["name"], &changed["permissions"]), (&"billing".into(), &json!(["documents:read"])));
    assert_eq!((&member["role"], &in_use["code"]), (&"billing".into(), &"role_in_use".into()));
    acme.answers("call $ORG/members/$ACCOUNT -X PATCH -d '{\"role\": \"admin\"}'").await;
    acme.answers("call $ORG/roles/billing -X DELETE").await;
    let said = acme.shell.run(&block(PAGE, "tenantry role create acme-corp billing")).await;
    assert!(
        said.contains("new@acme.com has the role billing") && said.contains("Deleted the role"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn invitation_commands_run_as_printed() {
    let mut acme = Acme::on(App::start().await).await;
    let id = acme.invite("old@globex.example", "member").await["id"].clone();
    acme.shell.set("ID", text(&id));
    let answers = acme.answers(&block(PAGE, "call $ORG/invitations -d")).await;
    let [invited, all, renewed] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((all["items"].as_array().unwrap().len(), &renewed["id"]), (2, &id));

    let shell = Shell::of(&acme.app)
        .with("URL", &format!("http://{}", acme.app.address()))
        .replacing("tnt_invitation_…", text(&invited["token"]));
    let answers = shell.answers(&block(PAGE, "curl $URL/v1/invitations/accept")).await;
    assert_eq!(answers[0]["organization_name"], "Acme Corp", "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn link_and_session_commands_run_as_printed() {
    let mut acme = Acme::on(App::start().await).await;
    acme.join("new@acme.com", "member").await;
    acme.join("old@acme.com", "member").await;
    acme.shell.run("tenantry member address-link acme-corp admin@acme.com root@acme.com").await;
    let answers = acme.answers(&block(PAGE, "call $URL/v1/me/links")).await;
    assert_eq!(answers[0]["items"][0]["kind"], "email_change", "{answers:?}");
    let said = acme.shell.run(&block(PAGE, "tenantry member verify-link acme-corp")).await;
    for part in ["tnt_verify_", "tnt_address_", "tnt_reset_", "Revoked the link password_reset"] {
        assert!(said.contains(part), "`{part}` is missing in\n{said}");
    }

    let reset = block(PAGE, "curl $URL/v1/organizations/acme-corp/members/$ACCOUNT/password-reset");
    let members = acme.answers("call $ORG/members").await[0]["items"].as_array().unwrap().clone();
    let new = members.iter().find(|member| member["email"] == "new@acme.com").unwrap();
    acme.shell.set("ACCOUNT", text(&new["account_id"]));
    assert!(text(&acme.answers(&reset).await[0]["token"]).starts_with("tnt_reset_"));

    let further = acme.answers(&block(PAGE, "call $URL/v1/organizations -d")).await;
    let [second, tokens] = &further[..] else { panic!("{further:?}") };
    assert_eq!(
        (&second["organization_identifier"], &tokens["organization_name"]),
        (&"second".into(), &"Second".into())
    );

    acme.sign_in("admin@acme.com", PASSWORD).await;
    let sessions = acme.answers("call $URL/v1/me/sessions").await[0]["items"].as_array().unwrap().clone();
    let other = sessions.iter().find(|session| session["current"] == false).unwrap();
    acme.shell.set("SESSION", text(&other["id"]));
    let answers = acme.answers(&block(PAGE, "call $URL/v1/me/sessions  ")).await;
    assert_eq!(answers[0]["items"].as_array().unwrap().len(), sessions.len());
    assert_eq!(acme.answers("call $URL/v1/me").await[0]["code"], "token_revoked");

    acme.sign_in("old@acme.com", ANOTHER).await;
    assert_eq!(acme.answers(&block(PAGE, "call $URL/v1/me -X DELETE")).await, Vec::<Value>::new());
    let gone = json!({ "email": "old@acme.com", "password": ANOTHER });
    acme.app.client().post("/admin/login", &gone).await.refused("invalid_credentials");
}

#[tokio::test(flavor = "multi_thread")]
async fn mailed_link_commands_run_as_printed() {
    let smtp = SmtpServer::start();
    let setup = smtp.flags().iter().fold(Setup::unlimited(), |setup, flag| setup.with(flag));
    let mut acme = Acme::on(setup.start().await).await;

    let proof = commands(&block(PAGE, "call $URL/v1/me/email/verification"));
    let [ask, prove] = &proof[..] else { panic!("{proof:?}") };
    acme.answers(ask).await;
    let token = smtp.mail().await["token"].clone();
    acme.answers(&prove.replace("tnt_verify_…", text(&token))).await;
    assert!(acme.answers("call $URL/v1/me").await[0]["email_verified_at"].is_string());

    let change = commands(&block(PAGE, "call $URL/v1/me/email -d"));
    let [ask, confirm] = &change[..] else { panic!("{change:?}") };
    acme.answers(ask).await;
    let token = smtp.mail().await["token"].clone();
    acme.answers(&confirm.replace("tnt_address_…", text(&token))).await;
    acme.app.advance_seconds(11);
    assert_eq!(smtp.mail().await["to"][0], "admin@acme.com", "the address of before is told");
    assert_eq!(acme.answers("call $URL/v1/me").await[0]["email"], "new@acme.com");

    let forgotten = commands(&block(PAGE, "curl $URL/v1/auth/forgot-password"));
    let [ask, reset] = &forgotten[..] else { panic!("{forgotten:?}") };
    acme.answers(ask).await;
    let token = smtp.mail().await["token"].clone();
    acme.answers(&reset.replace("tnt_reset_…", text(&token))).await;
    acme.sign_in("new@acme.com", ANOTHER).await;
}
